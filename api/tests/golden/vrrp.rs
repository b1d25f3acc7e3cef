//! Samples of what vrrpd and the dataplane say to each other.

use std::net::IpAddr;
use std::time::Duration;

use net::vrrp::{Authentication, ChecksumForm, Fields, Interval, Version, Vrid};
use sluice_api::vrrp::{
    Adverts, Announcements, GarpForm, Received, Rounds, Router, RouterSent, Tenure, TenureCall, TenureEnd, TenureRow,
    Vip, VrrpEvent, WatchedRouter,
};

use super::{v4, v6};

/// Every call, and every variant of what is in it.
pub(crate) fn calls() -> Vec<TenureCall> {
    let none = Tenure { routers: vec![held_only()], ..tenure() };
    vec![
        TenureCall::Claim(tenure()),
        TenureCall::Replace(none),
        TenureCall::Renew { id: 300 },
        TenureCall::Drop { id: 300, wills: vec![0, 2] },
        TenureCall::Advertise { id: 300, router: 1 },
        TenureCall::Announce { id: 300, router: 1, rounds: rounds() },
    ]
}

pub(crate) fn watched() -> Vec<WatchedRouter> {
    let watched = |ipv6| WatchedRouter { device: "dpdk0".into(), vrid: Vrid::MAX, ipv6 };
    vec![watched(false), watched(true)]
}

pub(crate) fn events() -> Vec<(&'static str, VrrpEvent)> {
    let received = Received {
        device: "dpdk0".into(),
        at: 1 << 50,
        source: v4(2),
        destination: v4(18),
        ttl: 255,
        message: vec![0x31, 51, 100, 0],
    };
    vec![
        ("watching", VrrpEvent::Watching),
        ("received", VrrpEvent::Received(received)),
        ("lease over", VrrpEvent::Ended { id: 1, why: TenureEnd::LeaseOver }),
        ("deposed", VrrpEvent::Ended { id: 2, why: TenureEnd::Deposed { router: 1, by: v6(), priority: 200 } }),
        ("link down", VrrpEvent::Ended { id: 3, why: TenureEnd::LinkDown { router: 0 } }),
        ("stalled", VrrpEvent::Ended { id: 4, why: TenureEnd::Stalled { router: 2 } }),
        ("missed", VrrpEvent::Missed(300)),
    ]
}

pub(crate) fn row() -> TenureRow {
    let sent = vec![RouterSent { adverts: 1000, withheld: 2, announcements: 10 }, RouterSent::default()];
    TenureRow { tenure: tenure(), expires_in: Duration::from_millis(2500), sent }
}

fn tenure() -> Tenure {
    let password = Authentication::Password(*b"1111\0\0\0\0");
    let v2 = fields(Version::V2, 100, password, ChecksumForm::Message);
    let v3 = fields(Version::V3, 1, Authentication::None, ChecksumForm::PseudoHeader);
    let routers = vec![
        router(v2, v4(1), Vec::new(), GarpForm::Request),
        router(v3, v4(1), vec![v4(2), v4(3)], GarpForm::Reply),
        router(v3, v6(), Vec::new(), GarpForm::Both),
        held_only(),
    ];
    Tenure { id: 300, name: "g1".into(), lease: Duration::from_secs(3), routers }
}

fn fields(version: Version, centiseconds: u16, authentication: Authentication, checksum: ChecksumForm) -> Fields {
    let interval = Interval::from_centiseconds(centiseconds).unwrap();
    Fields { version, vrid: Vrid::MIN, priority: 100, interval, authentication, checksum }
}

fn router(fields: Fields, source: IpAddr, peers: Vec<IpAddr>, form: GarpForm) -> Router {
    let use_vmac = peers.is_empty();
    let adverts = Adverts { device: "dpdk0".into(), source, fields, addresses: vec![source], peers, use_vmac };
    let addresses = vec![Vip { address: v4(100), prefix_len: 32, device: "dpdk1".into() }];
    Router { adverts: Some(adverts), addresses, announcements: announcements(form), accept: false }
}

fn held_only() -> Router {
    Router { adverts: None, addresses: Vec::new(), announcements: announcements(GarpForm::Request), accept: true }
}

fn announcements(form: GarpForm) -> Announcements {
    Announcements {
        master: rounds(),
        refresh: Duration::from_secs(600),
        refresh_repeat: 1,
        garp_interval: Duration::from_micros(1500),
        gna_interval: Duration::ZERO,
        form,
    }
}

fn rounds() -> Rounds {
    Rounds { repeat: 5, delay: Duration::from_secs(5) }
}
