//! Files of captured packets: the part of pcapng (draft-ietf-opsawg-pcapng) that capturing takes.

use std::io::{self, Write};

use api::capture::Packet;

/// Block types (draft, 4.1 to 4.3).
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;

/// Tells a reader the byte order.
const MAGIC: u32 = 0x1a2b_3c4d;
/// The link type of Ethernet.
const ETHERNET: u16 = 1;

/// Options: the application in a section header, an interface's name and resolution, a packet's flags.
const USER_APPLICATION: u16 = 4;
const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
const EPB_FLAGS: u16 = 2;

/// Times are in units of 10⁻⁹ s.
const NANOSECONDS: u8 = 9;
/// Directions in a packet's flags.
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;

/// Writes a file.
pub(super) struct Writer<W: Write> {
    out: W,
    /// A block being made.
    block: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Begins a file of packets of these interfaces, each cut to at most `snaplen` bytes.
    pub(super) fn new(out: W, interfaces: &[String], snaplen: u16) -> io::Result<Self> {
        let mut writer = Writer { out, block: Vec::new() };
        writer.block.extend(MAGIC.to_le_bytes());
        // Version 1.0, in a section of unknown length.
        writer.block.extend([1, 0, 0, 0]);
        writer.block.extend((-1i64).to_le_bytes());
        writer.option(USER_APPLICATION, concat!("sluice ", env!("CARGO_PKG_VERSION")).as_bytes());
        writer.end_of_options();
        writer.finish(SECTION_HEADER)?;
        for name in interfaces {
            writer.block.extend(ETHERNET.to_le_bytes());
            writer.block.extend([0, 0]);
            writer.block.extend(u32::from(snaplen).to_le_bytes());
            writer.option(IF_NAME, name.as_bytes());
            writer.option(IF_TSRESOL, &[NANOSECONDS]);
            writer.end_of_options();
            writer.finish(INTERFACE_DESCRIPTION)?;
        }
        writer.flush()?;
        Ok(writer)
    }

    /// Adds a packet.
    pub(super) fn packet(&mut self, packet: &Packet) -> io::Result<()> {
        let (high, low) = ((packet.time >> 32) as u32, packet.time as u32);
        for word in [packet.interface.into(), high, low, packet.bytes.len() as u32, packet.length] {
            self.block.extend(word.to_le_bytes());
        }
        self.block.extend(&packet.bytes);
        self.pad();
        self.option(EPB_FLAGS, &if packet.inbound { INBOUND } else { OUTBOUND }.to_le_bytes());
        self.end_of_options();
        self.finish(ENHANCED_PACKET)
    }

    /// Hands over what is buffered.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        self.block.extend(code.to_le_bytes());
        self.block.extend((value.len() as u16).to_le_bytes());
        self.block.extend(value);
        self.pad();
    }

    fn end_of_options(&mut self) {
        self.block.extend([0; 4]);
    }

    fn pad(&mut self) {
        self.block.resize(self.block.len().next_multiple_of(4), 0);
    }

    /// Writes the block, between its type and the length it has on both ends.
    fn finish(&mut self, kind: u32) -> io::Result<()> {
        let length = (self.block.len() as u32 + 12).to_le_bytes();
        self.out.write_all(&kind.to_le_bytes())?;
        self.out.write_all(&length)?;
        self.out.write_all(&self.block)?;
        self.block.clear();
        self.out.write_all(&length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_as_the_draft_has_them() {
        let mut file = Vec::new();
        let mut writer = Writer::new(&mut file, &["dpdk0".into()], 96).unwrap();
        let time = 0x1122_3344_5566_7788;
        let packet = Packet { interface: 0, inbound: false, time, length: 60, bytes: vec![0xab; 5].into() };
        writer.packet(&packet).unwrap();
        let application = concat!("sluice ", env!("CARGO_PKG_VERSION"));
        let section = usize::from_le_bytes([file[4], file[5], file[6], file[7], 0, 0, 0, 0]);
        assert_eq!(file[..16], [0x0a, 0x0d, 0x0d, 0x0a, file[4], 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0]);
        assert_eq!(file[16..28], [255, 255, 255, 255, 255, 255, 255, 255, 4, 0, application.len() as u8, 0]);
        assert_eq!(file[section - 4..section], file[4..8]);
        let interface = [
            [1, 0, 0, 0].as_slice(),
            &[44, 0, 0, 0],
            &[1, 0, 0, 0],
            &[96, 0, 0, 0],
            &[2, 0, 5, 0],
            b"dpdk0\0\0\0",
            &[9, 0, 1, 0],
            &[9, 0, 0, 0],
            &[0; 4],
            &[44, 0, 0, 0],
        ]
        .concat();
        assert_eq!(file[section..section + 44], interface);
        let packet = [
            [6, 0, 0, 0].as_slice(),
            &[52, 0, 0, 0],
            &[0; 4],
            &[0x44, 0x33, 0x22, 0x11],
            &[0x88, 0x77, 0x66, 0x55],
            &[5, 0, 0, 0],
            &[60, 0, 0, 0],
            &[0xab, 0xab, 0xab, 0xab, 0xab, 0, 0, 0],
            &[2, 0, 4, 0],
            &[2, 0, 0, 0],
            &[0; 4],
            &[52, 0, 0, 0],
        ]
        .concat();
        assert_eq!(file[section + 44..], packet);
    }
}
