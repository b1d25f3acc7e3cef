//! Virtual addresses that are kept, as advertisements hold them.

use super::Addresses;
use std::net::IpAddr;

/// The virtual addresses of an advertisement, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressList {
    /// Of IPv4.
    V4(Box<[[u8; 4]]>),
    /// Of IPv6.
    V6(Box<[[u8; 16]]>),
}

impl AddressList {
    /// These addresses, in this order; `None` if they are of two families.
    pub fn new(addresses: &[IpAddr]) -> Option<Self> {
        let v4 = |address: &IpAddr| if let IpAddr::V4(v4) = address { Some(v4.octets()) } else { None };
        let v6 = |address: &IpAddr| if let IpAddr::V6(v6) = address { Some(v6.octets()) } else { None };
        let all_v4 = addresses.iter().map(v4).collect::<Option<_>>().map(Self::V4);
        all_v4.or_else(|| addresses.iter().map(v6).collect::<Option<_>>().map(Self::V6))
    }

    /// The same, borrowed.
    pub fn as_addresses(&self) -> Addresses<'_> {
        match self {
            Self::V4(addresses) => Addresses::V4(addresses),
            Self::V6(addresses) => Addresses::V6(addresses),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_of_one_family() {
        let [v4, v6]: [IpAddr; 2] = ["10.0.0.1", "fe80::1"].map(|text| text.parse().expect("an address"));
        let list = |addresses: &[IpAddr]| {
            AddressList::new(addresses).map(|list| list.as_addresses().iter().collect::<Vec<_>>())
        };
        for addresses in [&[][..], &[v4, v4], &[v6]] {
            assert_eq!(list(addresses).as_deref(), Some(addresses));
        }
        assert_eq!(list(&[v4, v6]), None);
        assert_eq!(list(&[v6, v4]), None);
    }
}
