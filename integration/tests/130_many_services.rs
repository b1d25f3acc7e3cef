//! A dataplane with many services, changed by one call after the other. `SLUICE_SERVICES=10000` is the soak's size;
//! how long the calls take is told, and nothing is asserted of it.

use std::fmt::Write;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use api::ipc::Client;
use api::row::ServiceRow;
use api::{Change, Object, Protocol, Server, ServerKey, ServiceKey};
use integration::{Dataplane, Lab, Settings};

/// Ports in use of each VIP.
const PORTS: u32 = 50;

fn service(number: u32) -> ServiceKey {
    let vip = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 1, 0, 1)) + number / PORTS);
    ServiceKey { protocol: Protocol::Tcp, vip: vip.into(), port: 1 + (number % PORTS) as u16 }
}

fn server(number: u32, host: u8) -> ServerKey {
    ServerKey { service: service(number), address: IpAddr::from([192, 168, 100, host]), port: 80 }
}

/// Makes the changes one call after the other over one connection, and tells how long that took.
fn one_by_one(dataplane: &Dataplane, what: &str, changes: Vec<Change>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut client = Client::connect(dataplane.cli().socket(), "test").await.unwrap();
        let (began, calls) = (Instant::now(), changes.len());
        for change in changes {
            client.apply(vec![change]).await.unwrap();
        }
        eprintln!("{calls} calls to add {what}: {:.2} s", began.elapsed().as_secs_f64());
    });
}

#[test]
fn every_call_of_many_is_carried_out() {
    let lab = Lab::new(0).unwrap();
    let dataplane = Dataplane::start(&lab, Settings::default()).unwrap();
    let cli = dataplane.cli();
    let services: u32 = std::env::var("SLUICE_SERVICES").map_or(500, |number| number.parse().unwrap());

    let mut saved = String::new();
    for number in 0..services {
        let key = service(number);
        let name = SocketAddr::new(key.vip, key.port);
        writeln!(saved, "-A -t {name} -s rr\n-a -t {name} -r 192.168.100.2:80 -b -w 1").unwrap();
    }
    fs::write(cli.directory().join("saved"), &saved).unwrap();
    let began = Instant::now();
    cli.script("./ipvsadm -R < saved").unwrap();
    eprintln!("ipvsadm -R of {services} services and servers: {:.2} s", began.elapsed().as_secs_f64());
    assert!(cli.run("ipvsadm -S -n").unwrap() == saved, "what is saved is not what was restored");

    let add = |number| Change::Add(Object::Server(Server::new(server(number, 3), 1)));
    one_by_one(&dataplane, "a server", (0..services).map(add).collect());
    let rows: Vec<ServiceRow> = cli.rows("service show").unwrap();
    assert_eq!(rows.len(), services as usize);
    for (number, row) in (0..).zip(&rows) {
        let servers: Vec<ServerKey> = row.servers.iter().map(|row| row.server.key).collect();
        assert_eq!((row.service.key, servers), (service(number), vec![server(number, 2), server(number, 3)]));
    }
}
