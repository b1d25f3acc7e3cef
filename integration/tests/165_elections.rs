//! Elections of three routers, two of ours and a keepalived or an FRR, on interfaces of the kernel: whatever becomes of
//! their links and of themselves, one of them is master, and the right one. `SLUICE_ELECTIONS` says how many schedules
//! there are, `SLUICE_SEED` runs one again.

use std::time::{Duration, Instant};

use integration::address::HOST_DEVICE;
use integration::{FrrInstance, FrrRouter, Lab, VrrpRouter, wait};
use nix::sys::signal::Signal;

/// Schedules in a usual run: one of each of the first kinds.
const ELECTIONS: u64 = 5;
/// What happens in a schedule.
const EVENTS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);
const VIP: &str = "192.168.100.254";
const VIP6: &str = "fe80::100";
const VRID: u8 = 51;
/// The third router's host.
const PEER: usize = 2;

#[derive(Clone, Copy, Debug)]
struct Kind {
    version: u8,
    ipv6: bool,
    unicast: bool,
    frr: bool,
}

const V3: Kind = Kind { version: 3, ipv6: false, unicast: false, frr: false };
const KINDS: [Kind; 7] = [
    V3,
    Kind { version: 2, ..V3 },
    Kind { ipv6: true, ..V3 },
    Kind { unicast: true, ..V3 },
    Kind { frr: true, ..V3 },
    Kind { version: 2, frr: true, ..V3 },
    Kind { version: 2, unicast: true, ..V3 },
];

impl Kind {
    fn interval(self) -> Duration {
        if self.version == 2 { Duration::from_secs(1) } else { Duration::from_millis(300) }
    }

    fn address(self) -> &'static str {
        if self.ipv6 { VIP6 } else { VIP }
    }
}

enum Router {
    Daemon(VrrpRouter),
    Frr(FrrRouter),
}

struct Election {
    kind: Kind,
    preempt: bool,
    priorities: [u8; 3],
    routers: [Option<Router>; 3],
    /// The longest that one took.
    longest: Duration,
    random: fastrand::Rng,
    lab: Lab,
}

/// Says which seed failed.
struct Witness(u64);

impl Drop for Witness {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {} failed; SLUICE_SEED={0} runs it again", self.0);
        }
    }
}

impl Election {
    fn draw(seed: u64) -> Election {
        let mut random = fastrand::Rng::with_seed(seed);
        let kind = KINDS[(seed % KINDS.len() as u64) as usize];
        let lab = Lab::new(3).unwrap();
        if kind.ipv6 {
            for host in &lab.servers {
                host.namespace.sysctl(&format!("net/ipv6/conf/{HOST_DEVICE}/disable_ipv6"), "0").unwrap();
            }
        }
        let preempt = random.u8(..10) < 7;
        let mut election = Election {
            kind,
            preempt,
            priorities: [0; 3],
            routers: [None, None, None],
            longest: Duration::ZERO,
            random,
            lab,
        };
        (0..3).for_each(|host| election.start(host));
        println!("seed {seed}: {kind:?}, priorities {:?}, preempting: {preempt}", election.priorities);
        election
    }

    /// Starts a router with a priority that no other has.
    fn start(&mut self, host: usize) {
        self.priorities[host] = 0;
        while self.priorities.iter().filter(|other| **other == self.priorities[host]).count() > 1
            || self.priorities[host] == 0
        {
            self.priorities[host] = self.random.u8(1..255);
        }
        let (lab, namespace) = (&self.lab, &self.lab.servers[host].namespace);
        self.routers[host] = Some(match host {
            PEER if self.kind.frr => Router::Frr(FrrRouter::start(lab, namespace, "frr", self.frr()).unwrap()),
            PEER => Router::Daemon(VrrpRouter::keepalived(lab, namespace, "keepalived", &self.keepalived()).unwrap()),
            _ => Router::Daemon(VrrpRouter::vrrpd(lab, namespace, &format!("vrrpd{host}"), &self.ours(host)).unwrap()),
        });
    }

    /// The addresses of the others, where they are spoken to one by one.
    fn peers(&self, host: usize) -> Vec<String> {
        let others = (0..3).filter(|peer| *peer != host && self.kind.unicast);
        others.map(|peer| self.lab.servers[peer].address.to_string()).collect()
    }

    fn ours(&self, host: usize) -> String {
        let Kind { version, .. } = self.kind;
        let peers = match &self.peers(host)[..] {
            [] => String::new(),
            peers => format!("unicast_peer = {peers:?}\n"),
        };
        format!(
            "[bus]\naddress = \"none\"\n[[vrrp.instance]]\nname = \"VI_1\"\ninterface = \"{HOST_DEVICE}\"\n\
             version = {version}\nvirtual_router_id = {VRID}\npriority = {}\nadvert_int = {}\nnopreempt = {}\n\
             virtual_ipaddress = [\"{}\"]\n{peers}",
            self.priorities[host],
            self.kind.interval().as_secs_f64(),
            !self.preempt,
            self.kind.address(),
        )
    }

    fn keepalived(&self) -> String {
        let peers = match &self.peers(PEER)[..] {
            [] => String::new(),
            peers => format!("unicast_peer {{\n {}\n }}", peers.join("\n ")),
        };
        format!(
            "vrrp_instance VI_1 {{\n state BACKUP\n interface {HOST_DEVICE}\n version {}\n virtual_router_id {VRID}\n \
             priority {}\n advert_int {}\n {peers}\n virtual_ipaddress {{\n {}\n }}\n}}\n",
            self.kind.version,
            self.priorities[PEER],
            self.kind.interval().as_secs_f64(),
            self.kind.address(),
        )
    }

    fn frr(&self) -> FrrInstance {
        let (version, interval) = (self.kind.version, self.kind.interval());
        let address = VIP.parse().expect("an address");
        FrrInstance { version, vrid: VRID, priority: self.priorities[PEER], interval, address }
    }

    fn is_master(&self, host: usize) -> bool {
        match &self.routers[host] {
            None => false,
            Some(Router::Frr(router)) => router.is_master().unwrap(),
            Some(Router::Daemon(_)) => {
                let show = format!("ip -o address show dev {HOST_DEVICE}");
                let shown = self.lab.servers[host].namespace.run(&show).unwrap();
                shown.contains(&format!(" {}/", self.kind.address()))
            }
        }
    }

    /// Whether a host preempts one of lower priority; what is not ours does by default.
    fn preempts(&self, host: usize) -> bool {
        self.preempt || host == PEER
    }

    /// Waits until one of these hosts is master, whom none of the others preempts, and stays it.
    fn elect(&mut self, what: &str, among: &[usize]) {
        let is_safe = |master: usize| {
            let better = |host: &&usize| self.priorities[**host] > self.priorities[master];
            !among.iter().filter(better).any(|host| self.preempts(*host))
        };
        let masters = || -> Vec<usize> { among.iter().copied().filter(|host| self.is_master(*host)).collect() };
        let (begun, mut last) = (Instant::now(), Vec::new());
        let elected = wait::until(&format!("one master of {among:?} after {what}"), PATIENCE, || {
            last = masters();
            Ok(matches!(last[..], [master] if is_safe(master)).then_some(()))
        });
        assert!(elected.is_ok(), "{elected:?}: {last:?} with priorities {:?}", self.priorities);
        let took = begun.elapsed();
        std::thread::sleep(2 * self.kind.interval());
        assert_eq!(masters(), last, "after {what}, a while later");
        self.longest = self.longest.max(took);
    }

    /// The cable of a host, at the bridge.
    fn port(&self, host: usize, words: &str) {
        self.lab.lan.ip(&format!("link set server{} {words}", host + 1)).unwrap();
    }

    fn happen(&mut self) {
        let host = self.random.usize(..3);
        let others: Vec<usize> = (0..3).filter(|other| *other != host).collect();
        let what = match self.random.u8(..3) {
            0 => {
                self.port(host, "down");
                self.elect(&format!("the link of {host} went down"), &others);
                self.port(host, "up");
                format!("the link of {host} came up")
            }
            1 => {
                self.port(host, "nomaster");
                self.elect(&format!("{host} was cut off"), &others);
                self.port(host, "master bridge");
                format!("{host} was back")
            }
            _ => {
                match self.routers[host].take() {
                    Some(Router::Daemon(mut router)) => drop(router.end(Signal::SIGTERM).unwrap()),
                    Some(Router::Frr(router)) => router.stop().unwrap(),
                    None => (),
                }
                self.elect(&format!("{host} stopped"), &others);
                self.start(host);
                format!("{host} started anew")
            }
        };
        self.elect(&what, &[0, 1, 2]);
    }
}

fn run(seed: u64) {
    let witness = Witness(seed);
    let mut election = Election::draw(seed);
    election.elect("all started", &[0, 1, 2]);
    (0..EVENTS).for_each(|_| election.happen());
    let lowest = election.priorities.iter().min().map_or(0, |lowest| u32::from(256 - u16::from(*lowest)));
    let down = election.kind.interval() * 3 + election.kind.interval() * lowest / 256;
    println!("the longest election took {:?}; the slowest down timer is {down:?}", election.longest);
    drop(witness);
}

#[test]
fn one_of_them_is_master() {
    let number = |variable| std::env::var(variable).ok().map(|text: String| text.parse::<u64>().expect("a number"));
    match number("SLUICE_SEED") {
        Some(seed) => run(seed),
        None => (0..number("SLUICE_ELECTIONS").unwrap_or(ELECTIONS)).for_each(run),
    }
}
