//! What a world is made of.

use crate::random::Random;
use crate::support::{group, in_dataplane, interval, member, ms, priority};
use net::vrrp::{ChecksumForm, Version, Vrid};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use vrrpd::{Checksum, Settings};

pub struct Plan {
    /// Of each router.
    pub settings: Vec<Settings>,
    /// The weight, rise and fall of each router's script.
    pub scripts: Vec<(i16, u32, u32)>,
    pub ipv6: bool,
    /// The longest interval of any of them.
    pub interval: Duration,
    pub preempt_delay: Duration,
    /// Whether the best router has to win in the end.
    pub preempt: bool,
    pub trouble: Duration,
}

impl Plan {
    pub fn draw(random: &mut Random) -> Self {
        let version = if random.percent(30) { Version::V2 } else { Version::V3 };
        let ipv6 = version == Version::V3 && random.percent(30);
        let common = if version == Version::V2 { 100 * (1 + random.below(2) as u16) } else { 0 };
        let (routers, networks, preempt) = (2 + random.below(4), 1 + random.below(2), random.percent(80));
        let preempt_delay = ms(if random.percent(30) { 2500 } else { 0 });
        let workers = random.percent(60);
        let mut slowest = 0;
        let mut router = || {
            let of_its_own = random.pick(&[1, 5, 10, 50, 100, 100, 100]);
            let every = if version == Version::V2 { common } else { of_its_own };
            slowest = slowest.max(every);
            let number = random.pick(&[1, 50, 100, 100, 100, 150, 254, 255]);
            let form = random.pick(&[ChecksumForm::PseudoHeader, ChecksumForm::Message]);
            let checksum = if random.percent(50) { Checksum::Auto } else { Checksum::Always(form) };
            let members = (0..networks).map(|network| {
                let mut one = member(version);
                one.vrid = Vrid::new(7 + network as u8).expect("not 0");
                (one.interval, one.priority, one.checksum) = (interval(every), priority(number), checksum);
                (one.preempt, one.preempt_delay) = (preempt, preempt_delay);
                one.addresses = vec![address(ipv6, network, 99)];
                one
            });
            let members = members.collect();
            if workers { in_dataplane(members) } else { group(members) }
        };
        let settings = (0..routers).map(|_| router()).collect();
        let mut script =
            || (random.pick(&[0, 0, -60, -253, 60]), 1 + random.below(3) as u32, 1 + random.below(3) as u32);
        let scripts = (0..routers).map(|_| script()).collect();
        let trouble = ms(1000 + random.below(60_000) as u64);
        Plan { settings, scripts, ipv6, interval: ms(u64::from(slowest) * 10), preempt_delay, preempt, trouble }
    }
}

/// Of a router on a network.
pub fn address(ipv6: bool, network: usize, router: usize) -> IpAddr {
    match ipv6 {
        true => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, network as u16, router as u16).into(),
        false => Ipv4Addr::new(10, 0, network as u8, router as u8).into(),
    }
}
