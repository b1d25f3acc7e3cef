//! What cannot be done is said in a line, and leaves nothing behind.

mod common;

use sluice_dpdk::{Memzone, Pool, PortConfig};

#[test]
fn refusals_say_what_and_why() {
    let lab = common::Lab::start("0");
    let pool = lab.pool("refused", 1023);
    ports(&lab, &pool);
    pools(&lab);
    zones(&lab);
    assert_eq!(pool.available(), pool.size());
    drop(pool);
    lab.shutdown();
}

fn ports(lab: &common::Lab, pool: &Pool) {
    let refused = |device: &str, change: fn(&mut PortConfig)| {
        let mut config = common::config(pool);
        change(&mut config);
        let text = lab.try_open(device, config).unwrap_err().to_string();
        assert!(!text.contains('\n'), "{text}");
        text
    };
    assert_eq!(
        refused("net_af_packet0,iface=nosuch0", |_| ()),
        "cannot open net_af_packet0: no such network device: nosuch0"
    );
    assert_eq!(
        refused("net_nosuch0", |_| ()),
        "DPDK has no driver for virtual device net_nosuch0: check the name, and that the driver is installed"
    );
    assert_eq!(
        refused("net_null0,nosuch=1", |_| ()),
        "the driver refuses `net_null0,nosuch=1`: its own message on standard error says why"
    );
    assert!(refused("ff:1f.7", |_| ()).starts_with("cannot attach 0000:ff:1f.7: No such device; allow it "));
    assert_eq!(
        refused("net_null0", |config| config.rx_queues = 0),
        "port net_null0: 0 receive queues asked for, it takes 1 to 1024"
    );
    assert_eq!(
        refused("net_null0", |config| config.tx_queues = 1025),
        "port net_null0: 1025 transmit queues asked for, it takes 1 to 1024"
    );
    assert_eq!(
        refused("net_null0", |config| config.mtu = 45),
        "port net_null0: an MTU of 45 asked for, it takes 46 to 65535"
    );
    assert_eq!(
        refused("net_null0", |config| config.mtu = 2031),
        "port net_null0: an MTU of 2031 needs mbufs of 2049 bytes, the pool's have 2048: make them larger"
    );
    // Nothing of these attempts is in the way.
    drop(lab.open("net_null0", pool));
}

fn pools(lab: &common::Lab) {
    let refused =
        |name: &str, size, cache, room| Pool::new(&lab.eal, name, size, cache, room, None).unwrap_err().to_string();
    assert_eq!(refused("a\0b", 15, 0, 2048), "pool name \"a\\0b\" contains a NUL byte: remove it");
    assert_eq!(
        refused("wide", 15, 0, u16::MAX),
        "pool \"wide\": mbufs of 65535 bytes asked for, at most 65407 are possible"
    );
    for (name, size, cache, reason) in [
        ("refused", 15, 0, "File exists"),
        ("large", 1 << 20, 0, "No buffer space available"),
        ("cache", 15, 513, "Invalid argument"),
    ] {
        let text = refused(name, size, cache, 2048);
        assert!(text.starts_with(&format!("pool {name:?} of {size} mbufs with 2048 bytes each: {reason}; ")), "{text}");
    }
}

fn zones(lab: &common::Lab) {
    let _zone = Memzone::reserve(&lab.eal, "taken", 64, None).unwrap();
    for (name, len, text) in [
        ("taken", 64, "memory zone \"taken\" of 64 bytes: File exists; give EAL more memory (-m), or another name"),
        ("empty", 0, "memory zone \"empty\": a length of 0 asked for, give it at least 1 byte"),
        ("a\0b", 1, "memory zone name \"a\\0b\" contains a NUL byte: remove it"),
    ] {
        assert_eq!(Memzone::reserve(&lab.eal, name, len, None).unwrap_err().to_string(), text);
    }
    let large = Memzone::reserve(&lab.eal, "large", 1 << 30, None).unwrap_err().to_string();
    assert!(large.contains("Cannot allocate memory"), "{large}");
}
