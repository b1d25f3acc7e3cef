//! The names of things on the bus.

use std::net::IpAddr;

use api::{ServerKey, ServiceKey};
use daemon::bus::{escape, of_instance};

/// The object that stands for the dataplane, above all others.
pub const ROOT: &str = "/org/sluice/Dataplane1";

/// The name an instance has on the bus.
pub fn name(instance: &str) -> String {
    of_instance("org.sluice.Dataplane1", instance)
}

/// The path of a device.
pub(super) fn link(device: &str) -> String {
    format!("{ROOT}/links/{}", escape(device))
}

/// The path of an address on a device.
pub(super) fn address(address: IpAddr, device: &str) -> String {
    format!("{ROOT}/addresses/{}/{}", escape(device), host(address))
}

/// The path of a service.
pub(super) fn service(ServiceKey { protocol, vip, port }: &ServiceKey) -> String {
    format!("{ROOT}/services/{protocol}_{}_{port}", host(*vip))
}

/// The path of a server, below its service's.
pub(super) fn server(ServerKey { service: key, address, port }: &ServerKey) -> String {
    format!("{}/{}_{port}", service(key), host(*address))
}

/// The numbers of an address, four in decimal or eight in hexadecimal.
fn host(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.octets().map(|octet| octet.to_string()).join("_"),
        IpAddr::V6(v6) => v6.segments().map(|segment| format!("{segment:x}")).join("_"),
    }
}

#[cfg(test)]
mod tests {
    use api::Protocol;

    use super::*;

    #[test]
    fn everything_has_a_name_of_its_own() {
        assert_eq!(
            (name("default").as_str(), name("edge").as_str()),
            ("org.sluice.Dataplane1", "org.sluice.Dataplane1.edge")
        );
        assert_eq!(link("lan-0_a"), "/org/sluice/Dataplane1/links/lan_2d0_5fa");
        assert_eq!(address("10.0.0.1".parse().unwrap(), "dpdk0"), "/org/sluice/Dataplane1/addresses/dpdk0/10_0_0_1");
        let service = ServiceKey { protocol: Protocol::Udp, vip: "2001:db8::1".parse().unwrap(), port: 53 };
        let server_key = ServerKey { service, address: "10.0.0.2".parse().unwrap(), port: 80 };
        let expected = "/org/sluice/Dataplane1/services/udp_2001_db8_0_0_0_0_0_1_53/10_0_0_2_80";
        assert_eq!(server(&server_key), expected);
        assert!(zbus::ObjectPath::try_from(expected).is_ok());
    }
}
