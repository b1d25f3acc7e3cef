//! The DPVS tutorial's "Simple Full-NAT (two-arm)": the script as printed, and the listings as printed after it.

use crate::cli::Cli;
use crate::error::LabError;

/// The script.
pub const SCRIPT: &str = include_str!("../tutorial/tutorial-fnat.sh");

/// The script of "Full-NAT with OSPF/ECMP (two-arm)".
pub const OSPF_SCRIPT: &str = include_str!("../tutorial/tutorial-fnat-ospf.sh");

/// The commands of the test case of "Packet Capture and Tcpdump" (one-arm).
pub const CAPTURE_SCRIPT: &str = include_str!("../tutorial/pkt-cap.sh");

/// The commands that list what the script has set up, with what the tutorial says they print.
pub const LISTINGS: [(&str, &str); 4] = [
    ("dpip addr show", include_str!("../tutorial/dpip-addr-show.txt")),
    ("dpip route show", include_str!("../tutorial/dpip-route-show.txt")),
    ("ipvsadm -ln", include_str!("../tutorial/ipvsadm-ln.txt")),
    ("ipvsadm -G", include_str!("../tutorial/ipvsadm-G.txt")),
];

/// Runs one of [`LISTINGS`] and compares. Returns what it printed.
///
/// # Errors
/// [`LabError::Unexpected`] with both texts when they differ in more than the version in ipvsadm's first line.
pub fn listing(cli: &Cli, (command, expected): (&str, &str)) -> Result<String, LabError> {
    let printed = cli.run(command)?;
    if without_version(&printed) == without_version(expected) {
        return Ok(printed);
    }
    Err(LabError::Unexpected(format!("`{command}` printed\n{printed}and the tutorial has\n{expected}")))
}

fn without_version(listing: &str) -> String {
    const VERSION: &str = "IP Virtual Server version ";
    match listing.strip_prefix(VERSION).and_then(|rest| rest.split_once(' ')) {
        Some((_, rest)) => format!("{VERSION}{rest}"),
        None => listing.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_version_may_differ() {
        let (_, listing) = LISTINGS[2];
        assert_eq!(without_version(listing), without_version(&listing.replace("version 0.0.0", "version 12.3.4")));
        assert_ne!(without_version(listing), without_version(&listing.replace("size=0", "size=1")));
        assert_ne!(without_version(listing), without_version(&listing.replace("FullNat", "FullNat ")));
    }
}
