//! What DPVS's `ipvsadm` takes and Sluice does not have yet. Each is refused by name.

/// Options and commands by letter, where there is one, and long name.
const LATER: [(Option<char>, &str, &str); 35] = [
    (Some('g'), "gatewaying", "forwarding mode DR"),
    (Some('i'), "ipip", "forwarding mode Tunnel"),
    (Some('m'), "masquerading", "forwarding mode NAT"),
    (Some('J'), "snat", "forwarding mode SNAT"),
    (Some('H'), "match", "SNAT match"),
    (Some('f'), "fwmark-service", "firewall mark service"),
    (Some('6'), "ipv6", "IPv6"),
    (Some('q'), "icmp-service", "ICMP service"),
    (Some('1'), "icmpv6-service", "ICMPv6 service"),
    (None, "sctp-service", "SCTP service"),
    (Some('p'), "persistent", "persistence"),
    (Some('M'), "netmask", "persistence netmask"),
    (Some('o'), "ops", "one-packet scheduling"),
    (Some('j'), "synproxy", "SYN proxy"),
    (None, "hash-target", "hash target"),
    (None, "proxy-protocol", "PROXY protocol"),
    (None, "quic", "QUIC"),
    (None, "dest-check", "destination check"),
    (None, "pe", "persistence engine"),
    (Some('k'), "blklst", "blacklist"),
    (Some('2'), "whtlst", "whitelist"),
    (None, "persistent-conn", "listing persistent connections"),
    (None, "timeout", "listing timeouts"),
    (None, "daemon", "listing the synchronisation daemon"),
    (Some('U'), "add-blklst", "blacklist"),
    (Some('V'), "del-blklst", "blacklist"),
    (Some('B'), "get-blklst", "blacklist"),
    (Some('O'), "add-whtlst", "whitelist"),
    (Some('Y'), "del-whtlst", "whitelist"),
    (Some('W'), "get-whtlst", "whitelist"),
    (None, "set", "setting timeouts"),
    (None, "start-daemon", "connection synchronisation"),
    (None, "stop-daemon", "connection synchronisation"),
    (None, "mcast-interface", "connection synchronisation"),
    (None, "syncid", "connection synchronisation"),
];

/// The name of what a letter means, with the letter.
pub(super) fn short(letter: char) -> Option<String> {
    LATER.iter().find(|(short, ..)| *short == Some(letter)).map(|(_, _, what)| format!("{what} (-{letter})"))
}

/// The name of what a long option means, with the option.
pub(super) fn long(name: &str) -> Option<String> {
    LATER.iter().find(|(_, long, _)| *long == name).map(|(_, _, what)| format!("{what} (--{name})"))
}
