//! Captures for net_pcap to play, in the format of libpcap: a packet of every flow.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use net::MacAddr;

use crate::frame::Template;
use crate::population::client;
use crate::world::DNS;

/// The address of the first net_pcap port of a process.
const PORT_MAC: MacAddr = MacAddr::new(0x02, 0x70, 0x63, 0x61, 0x70, 0x00);

/// Magic number, version 2.4, zone, accuracy, room for a frame, Ethernet.
const HEADER: [u32; 6] = [0xa1b2_c3d4, 2 | 4 << 16, 0, 0, 65_535, 1];

/// A capture on disk.
pub(super) struct Trace {
    path: PathBuf,
    /// The packets, and the flows.
    pub(super) flows: u64,
}

impl Trace {
    /// Writes a UDP datagram of each of so many clients, in an order that only the number decides.
    pub(super) fn write(directory: &Path, flows: u64) -> anyhow::Result<Self> {
        let path = directory.join(format!("{flows}.pcap"));
        let put = || -> std::io::Result<()> {
            let mut file = BufWriter::new(File::create(&path)?);
            write_packets(&mut file, flows)?;
            file.flush()
        };
        put().with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Trace { path, flows })
    }

    /// The device that plays it for ever.
    pub(super) fn device(&self) -> String {
        format!("net_pcap0,rx_pcap={},infinite_rx=1", self.path.display())
    }
}

fn write_packets(file: &mut impl Write, flows: u64) -> std::io::Result<()> {
    for word in HEADER {
        file.write_all(&word.to_ne_bytes())?;
    }
    let mut numbers: Vec<u64> = (0..flows).collect();
    fastrand::Rng::with_seed(flows).shuffle(&mut numbers);
    let mut template = Template::udp(PORT_MAC);
    for number in numbers {
        let frame = template.between(client(number), DNS);
        let length = frame.len() as u32;
        for word in [0, 0, length, length] {
            file.write_all(&word.to_ne_bytes())?;
        }
        file.write_all(frame)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::frame;

    #[test]
    fn a_capture_has_a_sound_packet_of_every_flow() {
        const RECORD: usize = 16 + 60;
        let mut file = Vec::new();
        write_packets(&mut file, 1000).unwrap();
        let records = &file[24..];
        assert_eq!(records.len(), 1000 * RECORD);
        let mut clients = BTreeSet::new();
        for record in records.chunks(RECORD) {
            let packet = &record[16..];
            assert!(frame::is_sound(packet));
            let (client, service) = frame::endpoints(packet);
            assert_eq!(service, DNS);
            clients.insert(client);
        }
        assert_eq!(clients.len(), 1000);
    }
}
