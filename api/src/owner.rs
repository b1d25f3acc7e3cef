//! Who claims an object. An object lives while someone claims it; a peer's owner follows from its credentials and
//! never from its messages.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A party that may claim objects in the dataplane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// The configuration file, read when the dataplane starts.
    Config,
    /// A change made by hand, through the CLI or the bus.
    Operator,
    /// The VRRP daemon.
    Vrrpd,
    /// The health checking daemon.
    Healthd,
    /// The route publication daemon.
    Routed,
}

impl Owner {
    /// Every owner, in the order they are printed.
    pub const ALL: [Owner; 5] = [Owner::Config, Owner::Operator, Owner::Vrrpd, Owner::Healthd, Owner::Routed];

    /// The name used in messages, configuration and listings.
    pub fn name(self) -> &'static str {
        match self {
            Owner::Config => "config",
            Owner::Operator => "operator",
            Owner::Vrrpd => "vrrpd",
            Owner::Healthd => "healthd",
            Owner::Routed => "routed",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The set of owners that claim an object.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<Owner>", into = "Vec<Owner>")]
pub struct Owners(u8);

impl Owners {
    /// A set of one.
    pub fn only(owner: Owner) -> Self {
        Owners(owner.bit())
    }

    /// Whether `owner` claims the object.
    pub fn contains(self, owner: Owner) -> bool {
        self.0 & owner.bit() != 0
    }

    /// Adds a claim.
    pub fn insert(&mut self, owner: Owner) {
        self.0 |= owner.bit();
    }

    /// Releases a claim.
    pub fn remove(&mut self, owner: Owner) {
        self.0 &= !owner.bit();
    }

    /// Whether nobody claims the object, so that it should go.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The owners in the set, in the order of [`Owner::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Owner> {
        Owner::ALL.into_iter().filter(move |owner| self.contains(*owner))
    }
}

impl From<Vec<Owner>> for Owners {
    fn from(owners: Vec<Owner>) -> Self {
        owners.into_iter().fold(Owners::default(), |mut set, owner| {
            set.insert(owner);
            set
        })
    }
}

impl From<Owners> for Vec<Owner> {
    fn from(owners: Owners) -> Self {
        owners.iter().collect()
    }
}

impl fmt::Display for Owners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, owner) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            f.write_str(owner.name())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Owners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_added_and_released() {
        let mut owners = Owners::only(Owner::Operator);
        owners.insert(Owner::Config);
        assert_eq!(owners.to_string(), "config,operator");
        owners.remove(Owner::Operator);
        assert!(!owners.contains(Owner::Operator));
        owners.remove(Owner::Config);
        assert!(owners.is_empty());
    }

    #[test]
    fn a_set_survives_the_wire() {
        let owners = Owners::from(vec![Owner::Routed, Owner::Config]);
        let bytes = postcard::to_stdvec(&owners).unwrap();
        assert_eq!(postcard::from_bytes::<Owners>(&bytes).unwrap(), owners);
    }
}
