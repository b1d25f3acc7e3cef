//! Limits of connections, saving and restoring, and draining, with real connections.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use api::row::ServiceRow;
use integration::{FullNat, Settings, http, settle, stats, wait};

const SERVICE: &str = "10.0.0.100:80";
const LIMITED: &str = "192.168.100.2:80";
const WITHIN: Duration = Duration::from_secs(20);

/// How long a client tries that is to be refused.
const BRIEFLY: Duration = Duration::from_millis(800);

/// A client's connection through the service, idle; none when the service does not take it.
fn connect(scene: &FullNat, patience: Duration) -> Option<TcpStream> {
    let target: SocketAddr = scene.service();
    scene.lab.client.enter(|| TcpStream::connect_timeout(&target, patience).ok()).unwrap()
}

fn listed(scene: &FullNat) -> ServiceRow {
    scene.dataplane.cli().rows("service show").unwrap().remove(0)
}

/// Waits until the limited server has so many connections.
fn until_held(scene: &FullNat, connections: u64) -> ServiceRow {
    let what = format!("the server to have {connections} connections");
    wait::until(&what, WITHIN, || {
        let row = listed(scene);
        let server = &row.servers[0];
        Ok((server.active + server.inactive == connections).then_some(row))
    })
    .unwrap()
}

fn overloads(scene: &FullNat) -> u64 {
    let books = stats(scene.dataplane.cli()).unwrap().books;
    books.drops.iter().find(|drop| drop.name == "overload").map_or(0, |drop| drop.value)
}

/// Leaves the limited server alone, with an upper threshold of 3 and a lower one of 2. The service's timeout keeps
/// idle connections while the others are over in a second or so.
fn limited(workers: Settings) -> FullNat {
    let scene = FullNat::start(Settings { short_timeouts: true, ..workers }).unwrap();
    let cli = scene.dataplane.cli();
    cli.run(&format!("ipvsadm -E -t {SERVICE} --conn-timeout 60")).unwrap();
    cli.run(&format!("ipvsadm -e -t {SERVICE} -r 192.168.100.3:80 -b -w 0")).unwrap();
    cli.run(&format!("ipvsadm -e -t {SERVICE} -r {LIMITED} -b -x 3 -y 2")).unwrap();
    scene
}

#[test]
fn three_connections_and_no_more_until_below_two() {
    let scene = limited(Settings::default());
    let mut held: Vec<TcpStream> = (0..3).map(|_| connect(&scene, WITHIN).expect("one of three")).collect();
    assert!(connect(&scene, BRIEFLY).is_none(), "a fourth");
    assert!(overloads(&scene) > 0);
    let listing = scene.dataplane.cli().run("ipvsadm -ln").unwrap();
    assert!(listing.contains("rr conn-timeout 60\n") && listing.contains("overload\n"), "{listing}");

    held.pop();
    assert!(until_held(&scene, 2).servers[0].overloaded);
    assert!(connect(&scene, BRIEFLY).is_none(), "not below the lower threshold yet");

    held.pop();
    wait::until("the server to be below the lower threshold", WITHIN, || {
        Ok((!until_held(&scene, 1).servers[0].overloaded).then_some(()))
    })
    .unwrap();
    held.push(connect(&scene, WITHIN).expect("below the lower threshold"));

    // A deadline that has come ends what is left, though clients and server hold on to it.
    scene.dataplane.cli().run(&format!("sluice server drain tcp {SERVICE} {LIMITED} --deadline 0")).unwrap();
    until_held(&scene, 0);
    drop(held);
    settle(scene.dataplane.cli(), WITHIN).unwrap();
}

#[test]
fn connections_end_with_a_quiescent_server_and_at_a_deadline() {
    let scene = limited(Settings::default());
    let cli = scene.dataplane.cli();
    let _held = connect(&scene, WITHIN).expect("the first");

    // A drain that is taken back ends nothing; one whose time comes does.
    let drain = |deadline| cli.run(&format!("sluice server drain tcp {SERVICE} {LIMITED} --deadline {deadline}"));
    drain(600).unwrap();
    assert!(connect(&scene, BRIEFLY).is_none(), "a draining server takes none");
    cli.run(&format!("sluice server resume tcp {SERVICE} {LIMITED}")).unwrap();
    let _another = connect(&scene, WITHIN).expect("the second");
    until_held(&scene, 2);
    drain(1).unwrap();
    until_held(&scene, 0);
    cli.run(&format!("sluice server resume tcp {SERVICE} {LIMITED}")).unwrap();

    // Weight 0 alone ends nothing, until the service says that it does.
    let _third = connect(&scene, WITHIN).expect("the third");
    cli.run(&format!("sluice server edit tcp {SERVICE} {LIMITED} --weight 0")).unwrap();
    assert!(connect(&scene, BRIEFLY).is_none(), "a quiescent server takes none");
    until_held(&scene, 1);
    cli.run(&format!("ipvsadm -E -t {SERVICE} --expire-quiescent")).unwrap();
    until_held(&scene, 0);
    cli.run(&format!("sluice server edit tcp {SERVICE} {LIMITED} --weight 1")).unwrap();
    let _fourth = connect(&scene, WITHIN).expect("the fourth");
    cli.run(&format!("ipvsadm -d -t {SERVICE} -r {LIMITED}")).unwrap();
    settle(cli, WITHIN).unwrap();
}

#[test]
fn four_workers_keep_a_limit_of_three() {
    let scene = limited(Settings { workers: 4, ..Settings::default() });
    // A worker without a lease refuses the first SYN; the next finds the lease there.
    let held: Vec<TcpStream> = (0..3).map(|_| connect(&scene, WITHIN).expect("one of three")).collect();
    for _ in 0..4 {
        assert!(connect(&scene, BRIEFLY).is_none(), "a fourth");
    }
    assert!(until_held(&scene, 3).servers[0].overloaded);
    drop(held);
    until_held(&scene, 0);
    drop(connect(&scene, WITHIN).expect("below the lower threshold"));
    settle(scene.dataplane.cli(), WITHIN).unwrap();
}

#[test]
fn what_is_saved_and_restored_is_the_same() {
    let scene = limited(Settings::default());
    let cli = scene.dataplane.cli();
    for command in [
        "ipvsadm -A -u 10.0.0.100:53 -s wrr --expire-quiescent",
        "ipvsadm -P -z 192.168.100.201 -u 10.0.0.100:53 -F dpdk0",
        "ipvsadm -A -t 10.0.0.100:443 -s wlc --conn-timeout 600 --expire-quiescent",
        "ipvsadm -a -t 10.0.0.100:443 -r 192.168.100.2:8443 -b -w 65535 -x 100 -y 80",
        "ipvsadm -a -t 10.0.0.100:443 -r 192.168.100.3:8443 -b -w 5",
        "sluice server drain tcp 10.0.0.100:443 192.168.100.3:8443 --deadline 600",
        "ipvsadm -P -z 192.168.100.200 -t 10.0.0.100:443 -F dpdk0",
        "ipvsadm -P -z 192.168.100.201 -t 10.0.0.100:443 -F dpdk0",
    ] {
        cli.run(command).unwrap();
    }
    let before = cli.objects().unwrap();
    let script = "./ipvsadm -S -n > saved && ./ipvsadm -C && ./ipvsadm -ln && ./ipvsadm -R < saved";
    let listed = cli.script(script).unwrap();
    assert!(!listed.contains("10.0.0.100"), "-C left something:\n{listed}");
    assert_eq!(cli.objects().unwrap(), before);
    // Nothing of a text with a mistake is restored.
    let script = "./ipvsadm -C; (cat saved; echo -a -t 10.0.0.100:81 -r 192.168.100.2 -b) | ./ipvsadm -R 2>&1 || true";
    let said = cli.script(script).unwrap();
    assert!(said.contains("line 12: ") && said.contains("nothing was restored"), "{said}");
    assert_eq!(cli.rows::<ServiceRow>("service show").unwrap(), []);
}

#[test]
fn rates_are_those_of_the_traffic() {
    let scene = FullNat::start(Settings { short_timeouts: true, ..Settings::default() }).unwrap();
    let tally = http::sequential(&scene.lab.client, scene.service(), 500).unwrap();
    assert_eq!((tally.failures, tally.successes()), (0, 500), "{tally:?}");
    let row = wait::until("rates", WITHIN, || {
        let row = listed(&scene);
        Ok((row.rates.ten_seconds.connections > 0).then_some(row))
    })
    .unwrap();
    let rates = row.rates.ten_seconds;
    assert!(rates.connections <= 500 && rates.in_packets > rates.connections && rates.out_bytes > rates.in_bytes);
    let listing = scene.dataplane.cli().run("ipvsadm -ln --rate").unwrap();
    assert!(listing.contains("CPS    InPPS   OutPPS    InBPS   OutBPS"), "{listing}");
}
