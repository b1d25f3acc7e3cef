use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::command::run;
use crate::error::{Attempt, LabError};
use crate::netns::Namespace;
use crate::process::Process;
use crate::wait;

const PATIENCE: Duration = Duration::from_secs(10);

/// A capture that has not grown for so long has everything.
const QUIET: Duration = Duration::from_millis(300);
/// The longest that it is behind.
const BEHIND: Duration = Duration::from_secs(3);

/// What tshark calls wrong: a bad checksum at any layer, or bytes that are not what they claim to be. Linux writes a TCP
/// checksum of 0 as ffff where it finishes checksums for the device, as it has to for UDP: once in 65536 segments.
const FAULTS: &str = "!tcp.checksum.ffff && (_ws.malformed || _ws.expert.group == \"Malformed\" || _ws.expert.group == \"Checksum\" || \
                      ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0 || \
                      icmp.checksum.status == 0 || vrrp.checksum.status == 0)";

/// With this, tshark expects the checksum of VRRP version 3 over IPv4 in the form of RFC 9568, 5.2.8, and no other.
const RFC_9568: &str = "vrrp.v3_checksum_as_in_v2:TRUE";

/// A capture that is running.
#[derive(Debug)]
pub struct Capture {
    process: Process,
    file: PathBuf,
}

/// Packets that were captured.
#[derive(Debug)]
pub struct Packets {
    file: PathBuf,
    preferences: Vec<&'static str>,
}

impl Capture {
    /// Captures every packet of a device of a namespace into `NAME.pcap` in `directory`, from when this returns.
    ///
    /// # Errors
    /// When tcpdump does not come up.
    pub fn start(namespace: &Namespace, device: &str, name: &str, directory: &Path) -> Result<Capture, LabError> {
        Capture::matching("", namespace, device, name, directory)
    }

    /// As [`Capture::start`], of those packets only that a filter of tcpdump's matches.
    ///
    /// # Errors
    /// As [`Capture::start`].
    pub fn matching(
        filter: &str,
        namespace: &Namespace,
        device: &str,
        name: &str,
        directory: &Path,
    ) -> Result<Capture, LabError> {
        let file = directory.join(format!("{name}.pcap"));
        let mut command = namespace.command("tcpdump");
        // A buffer of 64 MiB, so that nothing is lost while the CPUs are busy; immediate mode, so that nothing is
        // still in a block of the ring when it is told to end.
        command
            .args(["-n", "-i", device, "-B", "65536", "--immediate-mode", "-U", "-Z", "root", "-w"])
            .arg(&file)
            .arg(filter);
        let mut process = Process::start(&format!("tcpdump-{name}"), &mut command, directory)?;
        process.until("tcpdump to listen", PATIENCE, |p| Ok(p.log().contains("listening on").then_some(())))?;
        Ok(Capture { process, file })
    }

    /// Ends it. Every packet seen until now is in the result.
    ///
    /// # Errors
    /// When tcpdump lost packets, or ends in another way than asked for.
    pub fn stop(mut self) -> Result<Packets, LabError> {
        self.catch_up()?;
        self.process.signal(Signal::SIGINT)?;
        self.process.wait(PATIENCE)?;
        let log = self.process.log();
        if log.lines().any(|line| line == "0 packets dropped by kernel") {
            return Ok(Packets { file: self.file, preferences: Vec::new() });
        }
        Err(LabError::Unexpected(format!("tcpdump lost packets or failed: {}", log.trim_end())))
    }
}

impl Capture {
    /// Waits until tcpdump has written what it saw: told to end, it leaves the rest, and it may be behind. Where packets
    /// never cease to come, it has written what came until now after a while.
    fn catch_up(&self) -> Result<(), LabError> {
        let mut written = 0;
        let began = Instant::now();
        let mut quiet_since = began;
        wait::until("tcpdump to catch up", PATIENCE, || {
            let length = fs::metadata(&self.file).attempt(|| format!("look at {}", self.file.display()))?.len();
            if length != written {
                (written, quiet_since) = (length, Instant::now());
            }
            Ok((quiet_since.elapsed() >= QUIET || began.elapsed() >= BEHIND).then_some(()))
        })
    }
}

impl Packets {
    /// Packets in a file of any format that tshark reads.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn read(file: &Path) -> Result<Packets, LabError> {
        fs::metadata(file).attempt(|| format!("read {}", file.display()))?;
        Ok(Packets { file: file.to_owned(), preferences: Vec::new() })
    }

    /// The same, of which the checksums of VRRP version 3 over IPv4 have to be in the form of RFC 9568.
    pub fn of_rfc_9568(self) -> Packets {
        Packets { preferences: vec![RFC_9568], ..self }
    }

    /// Writes Ethernet frames to a file (libpcap format 2.4), for programs that read captures.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(file: &Path, frames: impl IntoIterator<Item = Vec<u8>>) -> Result<Packets, LabError> {
        const ETHERNET: u32 = 1;
        let mut bytes = Vec::new();
        for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, ETHERNET] {
            bytes.extend(u32::to_le_bytes(word));
        }
        for frame in frames {
            for word in [0, 0, frame.len() as u32, frame.len() as u32] {
                bytes.extend(u32::to_le_bytes(word));
            }
            bytes.extend(frame);
        }
        fs::write(file, bytes).attempt(|| format!("write {}", file.display()))?;
        Ok(Packets { file: file.to_owned(), preferences: Vec::new() })
    }

    /// The packets that are malformed or have a bad checksum, a line of tshark's each.
    ///
    /// # Errors
    /// When tshark fails.
    pub fn faults(&self) -> Result<Vec<String>, LabError> {
        Ok(self.tshark(&["-Y", FAULTS])?.lines().map(str::to_owned).collect())
    }

    /// How many packets a display filter of Wireshark's matches.
    ///
    /// # Errors
    /// When tshark fails, which it does on a filter that it does not understand.
    pub fn count(&self, filter: &str) -> Result<usize, LabError> {
        Ok(self.fields(filter, &["frame.number"])?.len())
    }

    /// The values of some fields of each packet that a display filter of Wireshark's matches.
    ///
    /// # Errors
    /// When tshark fails, which it does on filters and fields that it does not know.
    pub fn fields(&self, filter: &str, fields: &[&str]) -> Result<Vec<Vec<String>>, LabError> {
        let mut arguments = vec!["-Y", filter, "-T", "fields"];
        fields.iter().for_each(|field| arguments.extend(["-e", field]));
        let printed = self.tshark(&arguments)?;
        Ok(printed.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
    }

    /// The packets that a filter of tcpdump's matches, decoded by it.
    ///
    /// # Errors
    /// When tcpdump fails.
    pub fn decode(&self, filter: &str) -> Result<String, LabError> {
        run(Command::new("tcpdump").args(["-nn", "-t", "-r"]).arg(&self.file).arg(filter))?.success()
    }

    fn tshark(&self, arguments: &[&str]) -> Result<String, LabError> {
        let mut command = Command::new("tshark");
        command.args(["-n", "-r"]).arg(&self.file);
        for layer in ["ip", "tcp", "udp"] {
            command.args(["-o", &format!("{layer}.check_checksum:TRUE")]);
        }
        for preference in &self.preferences {
            command.args(["-o", preference]);
        }
        run(command.args(arguments))?.success()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;
    use std::slice::from_ref;

    /// A capture file of these frames.
    fn pcap(name: &str, frames: &[Vec<u8>]) -> PathBuf {
        let file = std::env::temp_dir().join(format!("sluice-{}-{name}.pcap", std::process::id()));
        Packets::write(&file, frames.to_vec()).unwrap();
        file
    }

    fn segment(options: &[u8]) -> Vec<u8> {
        let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv4([10, 0, 0, 48], [10, 0, 0, 100], 64)
            .tcp(40000, 80, 1, 1000)
            .options_raw(options)
            .unwrap();
        let mut frame = Vec::new();
        builder.write(&mut frame, b"hello").unwrap();
        frame
    }

    #[test]
    fn faults_are_found_and_only_faults() {
        let right = segment(&[2, 4, 0x05, 0xb4]);
        let flip = |position: usize| {
            let mut frame = right.clone();
            frame[position] ^= 1;
            frame
        };
        // The IPv4 time to live, the TCP window, the TCP payload; then a segment cut off within its header.
        let damaged = [flip(22), flip(48), flip(60), right[..40].to_vec()];
        let file = pcap("faults", &[from_ref(&right), &damaged, from_ref(&right)].concat());
        let packets = Packets::read(&file).unwrap();
        let faults = packets.faults();
        let sizes = packets.fields("tcp.options.mss_val == 1460", &["frame.number", "tcp.options"]);
        fs::remove_file(&file).unwrap();
        assert_eq!(faults.unwrap().len(), damaged.len());
        assert_eq!(sizes.unwrap()[0], ["1", "020405b4"]);
    }

    #[test]
    fn a_filter_that_is_not_understood_is_an_error() {
        let file = pcap("filter", &[]);
        let count = Packets::read(&file).unwrap().count("no.such.field");
        fs::remove_file(&file).unwrap();
        assert!(count.is_err());
    }
}
