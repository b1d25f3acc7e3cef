//! What can be set of a device while it runs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Settings of a device. What is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkSettings {
    /// Brings the link up or down.
    pub up: Option<bool>,
    /// Whether to receive every frame, whatever its destination.
    pub promiscuous: Option<bool>,
    /// Whether to receive every multicast frame.
    pub all_multicast: Option<bool>,
    /// Whether the device's twin in the kernel gets a copy of every frame in both directions.
    pub forward2kni: Option<bool>,
}

impl fmt::Display for LinkSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items = [
            ("link", self.up, ["down", "up"]),
            ("promisc", self.promiscuous, ["off", "on"]),
            ("allmulticast", self.all_multicast, ["off", "on"]),
            ("forward2kni", self.forward2kni, ["off", "on"]),
        ];
        let set = items.iter().filter_map(|(name, value, words)| Some((name, words[usize::from((*value)?)])));
        for (number, (name, word)) in set.enumerate() {
            let gap = if number == 0 { "" } else { " " };
            write!(f, "{gap}{name} {word}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_set_is_said() {
        let settings = LinkSettings { up: Some(false), forward2kni: Some(true), ..LinkSettings::default() };
        assert_eq!(settings.to_string(), "link down forward2kni on");
        assert_eq!(LinkSettings::default().to_string(), "");
    }
}
