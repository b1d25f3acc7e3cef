//! The listing of local addresses: `ipvsadm -G`.

use std::io::{self, Write};

use api::row::{LocalAddressRow, ServiceRow};

use super::list;
use crate::lines::Lines;

/// Prints each service and its local addresses; a service without any shows that.
pub(super) fn print<W: Write>(
    out: &mut Lines<W>,
    mut services: Vec<ServiceRow>,
    laddrs: &[LocalAddressRow],
) -> io::Result<()> {
    list::sort(&mut services);
    out.print(line("VIP:VPORT", "TOTAL", ["SNAT_IP", "CONFLICTS", "CONNS"]))?;
    for row in services {
        let key = row.service.key;
        let own = || laddrs.iter().filter(|row| row.local.service == key);
        out.print(line(&list::virtual_endpoint(key).to_string(), &own().count().to_string(), [""; 3]))?;
        for row in own() {
            let (address, connections) = (row.local.address.to_string(), row.connections.to_string());
            out.print(line("", "", [&address, "0", &connections]))?;
        }
    }
    Ok(())
}

fn line(virt: &str, total: &str, [address, conflicts, connections]: [&str; 3]) -> String {
    format!("{virt:<20} {total:<8} {address:<20} {conflicts:<10} {connections:<10}")
}

#[cfg(test)]
mod tests {
    use api::{LocalAddress, Owner, Owners, Protocol};

    use super::*;
    use crate::ipvsadm::list::tests::service_row;
    use crate::lines::printed;

    fn laddr(service: &ServiceRow, address: &str, connections: u64) -> LocalAddressRow {
        LocalAddressRow {
            local: LocalAddress {
                service: service.service.key,
                address: address.parse().unwrap(),
                device: "dpdk0".into(),
            },
            owners: Owners::only(Owner::Operator),
            connections,
        }
    }

    #[test]
    fn as_in_the_tutorial() {
        let service = service_row(Protocol::Tcp, "10.0.0.100:80", &["192.168.100.2:80"]);
        let laddrs = [laddr(&service, "192.168.100.200", 0)];
        let expected = "\
VIP:VPORT            TOTAL    SNAT_IP              CONFLICTS  CONNS
10.0.0.100:80        1
                              192.168.100.200      0          0
";
        assert_eq!(printed(|out| print(out, vec![service], &laddrs)), expected);
    }

    #[test]
    fn each_service_has_its_own_and_none_is_left_out() {
        let bare = service_row(Protocol::Tcp, "10.0.0.100:443", &[]);
        let service = service_row(Protocol::Tcp, "192.168.100.254:80", &[]);
        let laddrs = [laddr(&service, "192.168.100.200", 17), laddr(&service, "192.168.100.201", 18)];
        let expected = "\
VIP:VPORT            TOTAL    SNAT_IP              CONFLICTS  CONNS
10.0.0.100:443       0
192.168.100.254:80   2
                              192.168.100.200      0          17
                              192.168.100.201      0          18
";
        assert_eq!(printed(|out| print(out, vec![service, bare], &laddrs)), expected);
    }
}
