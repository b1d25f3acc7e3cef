//! The multicast groups that the kernel listens to.

use std::collections::BTreeSet;

/// The devices that are in a multicast group, from the text of `/proc/net/dev_mcast`.
pub fn with_groups(text: &str) -> BTreeSet<&str> {
    text.lines().filter_map(|line| line.split_whitespace().nth(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_column_names_the_device() {
        let text = "2    eth0            1     0     01005e000001\n\
                    2    eth0            1     0     333300000001\n\
                    7    dpdk0.kni       1     0     01005e000005\n";
        assert_eq!(with_groups(text), BTreeSet::from(["dpdk0.kni", "eth0"]));
        assert!(with_groups("").is_empty());
    }
}
