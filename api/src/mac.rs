//! MAC addresses as serde has them: six bytes in messages, `02:00:00:00:00:af` where people read.

use macaddr::MacAddr6;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) fn serialize<S: Serializer>(mac: &MacAddr6, serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.collect_str(&mac.to_string().to_lowercase())
    } else {
        mac.serialize(serializer)
    }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MacAddr6, D::Error> {
    if !deserializer.is_human_readable() {
        return MacAddr6::deserialize(deserializer);
    }
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|error| serde::de::Error::custom(format_args!("MAC address {text:?}: {error}")))
}

/// One that may be absent.
pub(crate) mod option {
    use super::{Deserialize, Deserializer, MacAddr6, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Mac(#[serde(with = "super")] MacAddr6);

    pub(crate) fn serialize<S: Serializer>(mac: &Option<MacAddr6>, serializer: S) -> Result<S::Ok, S::Error> {
        mac.map(Mac).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<MacAddr6>, D::Error> {
        Ok(Option::<Mac>::deserialize(deserializer)?.map(|mac| mac.0))
    }
}
