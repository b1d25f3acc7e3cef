//! The listing of services and servers: `ipvsadm -L`.

use std::io::{self, Write};
use std::net::SocketAddr;

use api::object::{ForwardMode, Protocol, Server, Service, ServiceKey};
use api::row::{ServerRow, ServiceRow, Traffic};

use super::number::counter;
use crate::lines::Lines;

/// How to print services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) columns: Columns,
    /// By family, protocol, address and port; otherwise as the dataplane lists them.
    pub(super) sorted: bool,
}

/// What to print of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Columns {
    Plain,
    Stats { exact: bool },
    Rate { exact: bool },
    Thresholds,
}

/// Prints the header, the services and their servers.
pub(super) fn print<W: Write>(out: &mut Lines<W>, mut services: Vec<ServiceRow>, layout: Layout) -> io::Result<()> {
    if layout.sorted {
        sort(&mut services);
    }
    header(out, layout.columns)?;
    for row in &services {
        out.print(service(row, layout.columns))?;
        for row in &row.servers {
            out.print(server(row, layout.columns))?;
        }
    }
    Ok(())
}

/// Sorts services by family, protocol, address and port, servers by address and port.
pub(super) fn sort(services: &mut [ServiceRow]) {
    services.sort_by_key(|row| {
        let key = row.service.key;
        (key.vip.is_ipv6(), key.protocol, key.vip, key.port)
    });
    for row in services {
        row.servers.sort_by_key(|row| row.server.key);
    }
}

/// `VIP:PORT`, the address in brackets when it is IPv6.
pub(super) fn virtual_endpoint(key: ServiceKey) -> SocketAddr {
    SocketAddr::new(key.vip, key.port)
}

fn header<W: Write>(out: &mut Lines<W>, columns: Columns) -> io::Result<()> {
    out.print(concat!("IP Virtual Server version ", env!("CARGO_PKG_VERSION"), " (size=0)"))?;
    out.print(match columns {
        Columns::Plain => {
            "Prot LocalAddress:Port Scheduler Flags\n  \
             -> RemoteAddress:Port           Forward Weight ActiveConn InActConn"
        }
        Columns::Stats { .. } => {
            "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes\n  -> RemoteAddress:Port"
        }
        Columns::Rate { .. } => {
            "Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS\n  -> RemoteAddress:Port"
        }
        Columns::Thresholds => {
            "Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn\n  -> RemoteAddress:Port"
        }
    })
}

fn service(row: &ServiceRow, columns: Columns) -> String {
    let key = row.service.key;
    let protocol = match key.protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
    };
    let name = format!("{protocol}  {}", virtual_endpoint(key));
    match columns {
        Columns::Stats { exact } => format!("{name:<33}{}", traffic(&row.traffic, exact)),
        Columns::Rate { exact } => format!("{name:<33}{}", traffic(&row.rates.ten_seconds, exact)),
        Columns::Plain => format!("{name} {}{}", row.service.scheduler, flags(&row.service)),
        Columns::Thresholds => format!("{name} {}", row.service.scheduler),
    }
}

/// What is special about a service, in DPVS's order.
fn flags(service: &Service) -> String {
    let timeout = service.connection_timeout.map(|seconds| format!(" conn-timeout {seconds}"));
    let expires = service.expire_quiescent.then_some(" expire-quiescent");
    format!("{}{}", timeout.unwrap_or_default(), expires.unwrap_or_default())
}

fn server(row: &ServerRow, columns: Columns) -> String {
    let server = &row.server;
    let name = format!("  -> {:<28}", SocketAddr::new(server.key.address, server.key.port).to_string());
    match columns {
        Columns::Plain => {
            let forward = match server.mode {
                ForwardMode::FullNat => "FullNat",
            };
            let overload = if row.overloaded { " overload" } else { "" };
            format!("{name} {forward:<7} {:<6} {:<10} {:<10}{overload}", server.weight, row.active, row.inactive)
        }
        Columns::Stats { exact } => format!("{name}{}", traffic(&row.traffic, exact)),
        Columns::Rate { exact } => format!("{name}{}", traffic(&row.rates.ten_seconds, exact)),
        Columns::Thresholds => {
            let Server { upper_threshold: upper, lower_threshold: lower, .. } = server;
            format!("{name} {upper:<10} {lower:<10} {:<10} {:<10}", row.active, row.inactive)
        }
    }
}

fn traffic(traffic: &Traffic, exact: bool) -> String {
    [traffic.connections, traffic.in_packets, traffic.out_packets, traffic.in_bytes, traffic.out_bytes]
        .map(|value| counter(value, exact))
        .concat()
}

#[cfg(test)]
pub(super) mod tests {
    use api::row::Rates;
    use api::{Owner, Owners, Scheduler, ServerKey};

    use super::*;
    use crate::lines::printed;

    pub(crate) fn service_row(protocol: Protocol, vip: &str, servers: &[&str]) -> ServiceRow {
        let vip: SocketAddr = vip.parse().unwrap();
        let key = ServiceKey { protocol, vip: vip.ip(), port: vip.port() };
        ServiceRow {
            service: Service::new(key, Scheduler::Rr),
            owners: Owners::only(Owner::Operator),
            traffic: Traffic::default(),
            rates: Rates::default(),
            servers: servers.iter().map(|server| server_row(key, server)).collect(),
        }
    }

    fn server_row(service: ServiceKey, server: &str) -> ServerRow {
        let server: SocketAddr = server.parse().unwrap();
        let key = ServerKey { service, address: server.ip(), port: server.port() };
        ServerRow {
            server: Server::new(key, 1),
            owners: Owners::only(Owner::Operator),
            active: 0,
            inactive: 0,
            traffic: Traffic::default(),
            rates: Rates::default(),
            overloaded: false,
        }
    }

    fn tutorial() -> ServiceRow {
        service_row(Protocol::Tcp, "10.0.0.100:80", &["192.168.100.2:80", "192.168.100.3:80"])
    }

    /// The listing less its first line, which holds the version.
    fn listing(services: Vec<ServiceRow>, columns: Columns) -> String {
        let text = printed(|out| print(out, services, Layout { columns, sorted: true }));
        let (first, rest) = text.split_once('\n').unwrap();
        assert_eq!(first, format!("IP Virtual Server version {} (size=0)", env!("CARGO_PKG_VERSION")));
        rest.to_owned()
    }

    #[test]
    fn plain_as_in_the_tutorial() {
        let expected = "\
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  10.0.0.100:80 rr
  -> 192.168.100.2:80             FullNat 1      0          0
  -> 192.168.100.3:80             FullNat 1      0          0
";
        assert_eq!(listing(vec![tutorial()], Columns::Plain), expected);
    }

    #[test]
    fn sorted_by_family_protocol_address_and_port() {
        let services = vec![
            service_row(Protocol::Tcp, "[2001::1]:80", &[]),
            service_row(Protocol::Udp, "10.0.0.1:53", &[]),
            service_row(Protocol::Tcp, "10.0.0.2:80", &[]),
            service_row(Protocol::Tcp, "10.0.0.1:443", &["10.1.0.2:80", "10.1.0.1:81", "10.1.0.1:80"]),
            service_row(Protocol::Tcp, "10.0.0.1:80", &[]),
        ];
        let names = |text: String| -> Vec<String> {
            text.lines().skip(2).map(|line| line.split_whitespace().nth(1).unwrap().to_owned()).collect()
        };
        assert_eq!(
            names(listing(services, Columns::Plain)),
            [
                "10.0.0.1:80",
                "10.0.0.1:443",
                "10.1.0.1:80",
                "10.1.0.1:81",
                "10.1.0.2:80",
                "10.0.0.2:80",
                "10.0.0.1:53",
                "[2001::1]:80"
            ]
        );
    }

    #[test]
    fn unsorted_when_asked() {
        let services =
            vec![service_row(Protocol::Udp, "10.0.0.2:1", &[]), service_row(Protocol::Tcp, "10.0.0.1:1", &[])];
        let text = printed(|out| print(out, services, Layout { columns: Columns::Plain, sorted: false }));
        assert!(text.find("UDP").unwrap() < text.find("TCP  ").unwrap());
    }

    fn busy() -> ServiceRow {
        let traffic = Traffic {
            connections: 1,
            in_packets: 1_969_674,
            out_packets: 103_645,
            in_bytes: 2_938_123_456,
            out_bytes: 4_218_283,
        };
        let mut row = service_row(Protocol::Tcp, "192.168.88.1:80", &["192.168.88.215:80"]);
        row.traffic = traffic;
        row.servers[0].traffic = traffic;
        row
    }

    #[test]
    fn stats() {
        let expected = "\
Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
  -> RemoteAddress:Port
TCP  192.168.88.1:80                     1  1969674   103645    2938M  4218283
  -> 192.168.88.215:80                   1  1969674   103645    2938M  4218283
";
        assert_eq!(listing(vec![busy()], Columns::Stats { exact: false }), expected);
        let exact = "\
Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
  -> RemoteAddress:Port
TCP  192.168.88.1:80                     1  1969674   103645 2938123456  4218283
  -> 192.168.88.215:80                   1  1969674   103645 2938123456  4218283
";
        assert_eq!(listing(vec![busy()], Columns::Stats { exact: true }), exact);
    }

    #[test]
    fn rates_are_those_of_ten_seconds() {
        let mut row = busy();
        row.rates = Rates { second: Traffic::default(), ten_seconds: row.traffic };
        row.traffic = Traffic::default();
        let expected = "\
Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS
  -> RemoteAddress:Port
TCP  192.168.88.1:80                     1  1969674   103645    2938M  4218283
  -> 192.168.88.215:80                   0        0        0        0        0
";
        assert_eq!(listing(vec![row], Columns::Rate { exact: false }), expected);
    }

    #[test]
    fn thresholds_overload_and_flags() {
        let mut row = tutorial();
        row.servers[0].active = 1234;
        row.servers[0].inactive = 56;
        row.servers[0].server.upper_threshold = 1290;
        row.servers[0].server.lower_threshold = 1000;
        let expected = "\
Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn
  -> RemoteAddress:Port
TCP  10.0.0.100:80 rr
  -> 192.168.100.2:80             1290       1000       1234       56
  -> 192.168.100.3:80             0          0          0          0
";
        assert_eq!(listing(vec![row.clone()], Columns::Thresholds), expected);

        row.servers[0].overloaded = true;
        row.service.connection_timeout = Some(600);
        row.service.expire_quiescent = true;
        let text = listing(vec![row], Columns::Plain);
        assert!(text.contains("TCP  10.0.0.100:80 rr conn-timeout 600 expire-quiescent\n"), "{text}");
        let line = "  -> 192.168.100.2:80             FullNat 1      1234       56         overload\n";
        assert!(text.contains(line), "{text}");
    }
}
