//! Plain functions over bytes that a peer or an operator may send, which must be taken or refused and nothing else:
//! over noise, and over what is sound but for some bytes. `PROPTEST_CASES=n` runs each that often.

use std::fmt::Debug;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sluice_api::config::Config;
use sluice_api::ipc::{Answer, Call, ClientHello, Event, ServerHello, decode, encode};
use sluice_api::vrrpd;

const GOLDEN: &str = include_str!("golden.txt");

const CONFIG: &str = r#"
[dataplane]
memory = "2G"
hugepages = "never"
poll = "busy"
decrement_ttl = true
connections = "4M"

[[dataplane.port]]
name = "dpdk0"
device = "net_af_packet0,iface=veth0,qpairs=2"
mtu = 9000
promiscuous = true

[[dataplane.address]]
address = "10.0.0.1/24"
device = "dpdk0"
sapool = true

[[dataplane.route]]
prefix = "default"
via = "10.0.0.254"
device = "dpdk0"
source = "10.0.0.1"
mtu = 1400
metric = 7

[dataplane.timeouts]
conn_init = 5
tcp.established = 3600
udp.oneway = 10

[ipc]
group = "adm"
users = { vrrpd = "me" }
"#;

/// A file, which is refused in one line if it is. Says whether it was taken.
fn config(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let parsed = Config::parse(&text, Path::new("test.toml"));
    if let Err(error) = &parsed {
        let message = error.to_string();
        assert!(!message.is_empty() && !message.contains('\n'), "{message:?}");
    }
    parsed.is_ok()
}

/// The payload of a frame, as every message it may be: what is understood says the same when it is sent on.
fn message(bytes: &[u8]) {
    fn one<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
        if let Ok(message) = decode::<T>(bytes) {
            let again = encode(&message).expect("what was received can be sent");
            assert_eq!(decode::<T>(&again).expect("and received"), message);
        }
    }
    one::<ClientHello>(bytes);
    one::<ServerHello>(bytes);
    one::<Call>(bytes);
    one::<Answer>(bytes);
    one::<Event>(bytes);
    one::<Call<vrrpd::Request>>(bytes);
    one::<Answer<vrrpd::Reply>>(bytes);
}

fn noise() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..200)
}

/// One of the messages whose bytes are pinned, with some bytes changed and perhaps an end of its own.
fn nearly_a_message() -> impl Strategy<Value = Vec<u8>> {
    let hex = |text: &str| {
        let digits: Vec<u8> = text.bytes().filter_map(|c| char::from(c).to_digit(16)).map(|d| d as u8).collect();
        digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect::<Vec<u8>>()
    };
    let messages: Vec<Vec<u8>> = GOLDEN.lines().filter_map(|line| Some(hex(line.rsplit_once(' ')?.1))).collect();
    assert!(messages.len() > 20);
    (prop::sample::select(messages), changes(), prop::collection::vec(any::<u8>(), 0..3)).prop_map(
        |(message, changes, end)| {
            let message = if end.is_empty() { message } else { [message, end].concat() };
            changed(message, changes)
        },
    )
}

fn changes() -> impl Strategy<Value = Vec<(Index, u8)>> {
    prop::collection::vec((any::<Index>(), any::<u8>()), 0..4)
}

fn changed(mut bytes: Vec<u8>, changes: Vec<(Index, u8)>) -> Vec<u8> {
    for (place, value) in changes {
        if !bytes.is_empty() {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
    }
    bytes
}

proptest! {
    #[test]
    fn configurations_of_noise(bytes in noise()) {
        config(&bytes);
    }

    #[test]
    fn configurations_that_are_nearly_right(changes in changes()) {
        let sound = changes.is_empty();
        prop_assert!(config(&changed(CONFIG.as_bytes().to_vec(), changes)) || !sound);
    }

    #[test]
    fn messages_of_noise(bytes in noise()) {
        message(&bytes);
    }

    #[test]
    fn messages_that_are_nearly_right(bytes in nearly_a_message()) {
        message(&bytes);
    }
}
