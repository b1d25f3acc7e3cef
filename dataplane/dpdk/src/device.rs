use std::fmt;
use std::str::FromStr;

use nix::net::if_::if_nametoindex;

/// Longest name of a device, in bytes, as DPDK stores it (`RTE_DEV_NAME_MAX_LEN` less the terminator).
const NAME_MAX: usize = 63;

/// A text that does not name a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// Neither form.
    #[error(
        "{0:?} is not a device: give a PCI address such as 0000:06:00.0, \
         or a virtual device such as net_af_packet0,iface=eth1"
    )]
    Unknown(String),
    /// A name DPDK has no room for.
    #[error("device name {0:?} is too long: at most {NAME_MAX} bytes")]
    TooLong(String),
    /// An argument that is not `key=value`.
    #[error("device {device}: {argument:?} is not an argument: give key=value, separated by commas, without spaces")]
    Argument {
        /// The device's name.
        device: String,
        /// What is in the argument's place.
        argument: String,
    },
    /// A driver on top of a network device of the kernel, without that device.
    #[error("device {0} needs a network device of the kernel: give {0},iface=NAME")]
    NoInterface(String),
}

/// What a port runs on: a PCI device, or a virtual one made by a driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    name: String,
    /// What follows the name and a comma; empty for none.
    arguments: String,
}

impl Device {
    /// Reads `[DOMAIN:]BUS:DEVICE.FUNCTION` or `net_DRIVER…`, followed by the driver's arguments, if any.
    ///
    /// # Errors
    /// See [`DeviceError`]. Whether the device exists is seen when it is opened.
    pub fn parse(text: &str) -> Result<Self, DeviceError> {
        let (name, arguments) = text.split_once(',').map_or((text, None), |(name, rest)| (name, Some(rest)));
        let name = pci_address(name)
            .or_else(|| is_virtual(name).then(|| name.to_owned()))
            .ok_or_else(|| DeviceError::Unknown(text.to_owned()))?;
        if name.len() > NAME_MAX {
            return Err(DeviceError::TooLong(name));
        }
        let is_argument = |argument: &str| {
            !argument.is_empty() && !argument.starts_with('=') && argument.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if let Some(argument) = arguments.into_iter().flat_map(|all| all.split(',')).find(|&a| !is_argument(a)) {
            return Err(DeviceError::Argument { device: name, argument: argument.to_owned() });
        }
        let device = Self { name, arguments: arguments.unwrap_or_default().to_owned() };
        if device.is_socket_on_interface() && device.values("iface").next().is_none() {
            return Err(DeviceError::NoInterface(device.name));
        }
        Ok(device)
    }

    /// The name DPDK knows it by: the PCI address in full, or what stands before the first comma.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is a PCI device.
    pub fn is_pci(&self) -> bool {
        !self.name.starts_with(VIRTUAL_PREFIX)
    }

    /// The EAL arguments that let EAL see these devices of the PCI bus, and no others.
    pub fn eal_arguments<'a>(devices: impl IntoIterator<Item = &'a Self>) -> Vec<String> {
        let allowed: Vec<String> = devices
            .into_iter()
            .filter(|device| device.is_pci())
            .flat_map(|device| ["-a".to_owned(), device.to_string()])
            .collect();
        if allowed.is_empty() { vec!["--no-pci".to_owned()] } else { allowed }
    }

    /// The first network device of the kernel that the device is to run on and that does not exist here.
    pub(crate) fn missing_interface(&self) -> Option<&str> {
        let keys: &[&str] = if self.is_socket_on_interface() {
            &["iface"]
        } else if self.name.starts_with("net_pcap") {
            &["iface", "rx_iface", "rx_iface_in", "tx_iface"]
        } else {
            // A tap's iface is the one to be made.
            &[]
        };
        keys.iter().flat_map(|key| self.values(key)).find(|&name| if_nametoindex(name).is_err())
    }

    fn is_socket_on_interface(&self) -> bool {
        self.name.starts_with("net_af_packet") || self.name.starts_with("net_af_xdp")
    }

    fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.arguments.split(',').filter_map(move |argument| argument.strip_prefix(key)?.strip_prefix('='))
    }
}

impl FromStr for Device {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        Self::parse(text)
    }
}

/// As DPDK takes it, and [`Device::parse`] too.
impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.arguments.is_empty() { Ok(()) } else { write!(f, ",{}", self.arguments) }
    }
}

const VIRTUAL_PREFIX: &str = "net_";

fn is_virtual(name: &str) -> bool {
    let in_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.strip_prefix(VIRTUAL_PREFIX).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(in_name))
}

/// The address in full, as in `0000:06:00.0`.
fn pci_address(text: &str) -> Option<String> {
    let hexadecimal = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
        let valid = lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        valid.then(|| u32::from_str_radix(text, 16).ok()).flatten()
    };
    let (rest, function) = text.split_once('.')?;
    let (rest, device) = rest.rsplit_once(':')?;
    let (domain, bus) = rest.split_once(':').unwrap_or(("0000", rest));
    let function = hexadecimal(function, 1..=1).filter(|&function| function < 8)?;
    let device = hexadecimal(device, 2..=2).filter(|&device| device < 32)?;
    let (domain, bus) = (hexadecimal(domain, 4..=8)?, hexadecimal(bus, 2..=2)?);
    Some(format!("{domain:04x}:{bus:02x}:{device:02x}.{function}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_written_back() {
        for (text, name, written) in [
            ("0000:06:00.0", "0000:06:00.0", "0000:06:00.0"),
            ("06:1F.7", "0000:06:1f.7", "0000:06:1f.7"),
            ("10000:e1:00.0,rx_vec_en=0", "10000:e1:00.0", "10000:e1:00.0,rx_vec_en=0"),
            ("net_null0", "net_null0", "net_null0"),
            ("net_af_packet0,iface=veth0,qpairs=2", "net_af_packet0", "net_af_packet0,iface=veth0,qpairs=2"),
        ] {
            let device = Device::parse(text).unwrap();
            assert_eq!((device.name(), device.to_string().as_str()), (name, written));
            assert_eq!(written.parse(), Ok(device));
        }
    }

    #[test]
    fn what_is_no_device_is_refused() {
        for text in ["", "veth0", "net_", "net_Null0", "06:00", "06:20.0", "06:00.8", "006:00.0", "00:06:00.0", "-a"] {
            assert_eq!(Device::parse(text), Err(DeviceError::Unknown(text.to_owned())));
        }
        for (text, argument) in
            [("net_null0,", ""), ("net_null0,size=64,,", ""), ("06:00.0,a b", "a b"), ("06:00.0,=1", "=1")]
        {
            let refused = Device::parse(text).unwrap_err();
            assert!(
                matches!(&refused, DeviceError::Argument { argument: a, .. } if a == argument),
                "{text}: {refused}"
            );
        }
        let long = format!("net_{}", "a".repeat(60));
        assert_eq!(Device::parse(&long), Err(DeviceError::TooLong(long.clone())));
        assert_eq!(
            Device::parse("net_af_packet0,qpairs=1").unwrap_err().to_string(),
            "device net_af_packet0 needs a network device of the kernel: give net_af_packet0,iface=NAME"
        );
    }

    #[test]
    fn only_interfaces_that_must_exist_are_missed() {
        let missing = |text| Device::parse(text).unwrap().missing_interface().map(str::to_owned);
        assert_eq!(missing("net_af_packet0,iface=lo"), None);
        assert_eq!(missing("net_af_packet0,qpairs=1,iface=nosuch0"), Some("nosuch0".to_owned()));
        assert_eq!(missing("net_pcap0,rx_pcap=a,tx_iface=nosuch0"), Some("nosuch0".to_owned()));
        assert_eq!(missing("net_tap0,iface=nosuch0"), None);
    }

    #[test]
    fn eal_sees_the_devices_named_only() {
        let devices = ["06:00.0", "net_null0", "06:00.1,a=1"].map(|text| Device::parse(text).unwrap());
        assert_eq!(Device::eal_arguments(&devices), ["-a", "0000:06:00.0", "-a", "0000:06:00.1,a=1"]);
        assert_eq!(Device::eal_arguments(&devices[1..2]), ["--no-pci"]);
    }
}
