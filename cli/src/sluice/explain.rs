//! `sluice explain`: what would become of a packet, in lines.

use api::explain::{ExplainedConnection, ExplainedFate, ExplainedHop, Explanation, Probe, ProbeKind, ToaUse};

use super::args::{self, ProbeProtocol};
use crate::failure::Failure;

/// SYN, by which a TCP connection begins.
const SYN: u8 = 2;

impl args::Explain {
    /// The packet to ask about.
    ///
    /// # Errors
    /// When the arguments contradict each other.
    pub(super) fn probe(self) -> Result<Probe, Failure> {
        let args::Explain { protocol, source, destination, device, flags, size } = self;
        if flags.is_some() && protocol != ProbeProtocol::Tcp {
            return Err(Failure::usage("--flags is for tcp; the other protocols have none"));
        }
        let at = |what: &str, (address, port): (std::net::IpAddr, Option<u16>)| match (protocol, port) {
            (ProbeProtocol::Icmp, None) => Ok((address, 0).into()),
            (ProbeProtocol::Icmp, Some(_)) => Err(Failure::usage(format!("the {what} has a port; icmp has none"))),
            (_, Some(port)) => Ok((address, port).into()),
            (_, None) => Err(Failure::usage(format!("the {what} has no port; write {address}:PORT"))),
        };
        let kind = match protocol {
            ProbeProtocol::Tcp => ProbeKind::Tcp { flags: flags.map_or(SYN, |args::Flags(flags)| flags) },
            ProbeProtocol::Udp => ProbeKind::Udp,
            ProbeProtocol::Icmp => ProbeKind::Icmp,
        };
        Ok(Probe { kind, source: at("source", source)?, destination: at("destination", destination)?, device, size })
    }
}

/// The lines of an explanation, each under a word for what it is about.
pub(super) fn text(explanation: &Explanation) -> String {
    let mut lines = vec![
        ("in", explanation.device.clone()),
        ("worker", format!("{} on lcore {}", explanation.worker, explanation.lcore)),
    ];
    if let Some(connection) = &explanation.connection {
        lines.extend(about(connection));
    }
    if let Some(toa) = explanation.toa {
        lines.push(("toa", carried(toa).to_owned()));
    }
    if let Some(hop) = &explanation.next_hop {
        lines.extend(towards(hop));
    }
    lines.push(("verdict", verdict(explanation)));
    lines.extend(explanation.advice.iter().map(|advice| ("advice", advice.clone())));
    let line = |(word, text): &(&str, String)| format!("{word:<11}{text}");
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn about(connection: &ExplainedConnection) -> Vec<(&'static str, String)> {
    let ExplainedConnection { service, client, local, server, state, next_state, .. } = connection;
    let virt = std::net::SocketAddr::new(service.vip, service.port);
    let flow = match connection {
        ExplainedConnection { is_new: true, replaces: false, .. } => format!("would begin, as {next_state}"),
        ExplainedConnection { is_new: true, .. } => {
            format!("would begin, as {next_state}, in the place of one that is over")
        }
        ExplainedConnection { idle, expires_in, .. } => {
            let becomes = if state == next_state { String::new() } else { format!(", would become {next_state}") };
            format!("{state}{becomes}, idle for {idle} s, expires in {expires_in} s")
        }
    };
    let rewrite = match connection.from_client {
        true => format!("{client} > {virt} becomes {local} > {server}"),
        false => format!("{server} > {local} becomes {virt} > {client}"),
    };
    vec![
        ("service", format!("{} {virt}", service.protocol)),
        ("connection", flow),
        ("server", server.to_string()),
        ("rewrite", rewrite),
    ]
}

fn carried(toa: ToaUse) -> &'static str {
    match toa {
        ToaUse::Inserted => "yes: the server is told the client's endpoint",
        ToaUse::NotDue => {
            "no: only a client's segments from its handshake to its first acknowledgement of data carry it"
        }
        ToaUse::NoRoom => "no: the segment has no room for it",
    }
}

fn towards(hop: &ExplainedHop) -> Vec<(&'static str, String)> {
    let ExplainedHop { route, device, address, mac, stale, mtu } = hop;
    let route = route.map_or_else(|| "-".to_owned(), |route| route.to_string());
    let known = match mac {
        Some(mac) if *stale => format!("at {}, not confirmed for a while", mac.to_string().to_lowercase()),
        Some(mac) => format!("at {}", mac.to_string().to_lowercase()),
        None => "its MAC address is not known yet".to_owned(),
    };
    vec![("route", format!("{route} dev {device}, MTU {mtu}")), ("next hop", format!("{address}, {known}"))]
}

fn verdict(explanation: &Explanation) -> String {
    let device = explanation.next_hop.as_ref().map_or("-", |hop| &hop.device);
    match &explanation.fate {
        ExplainedFate::Sent { fragments: 1 } => format!("sent by {device}"),
        ExplainedFate::Sent { fragments } => format!("sent by {device} in {fragments} fragments"),
        ExplainedFate::AwaitsNeighbour => format!("waits until the next hop answers ARP, then sent by {device}"),
        ExplainedFate::Answered => format!("answered, by {}", explanation.device),
        ExplainedFate::ToKernel { control, reason } => {
            let class = if *control { ", ahead of other packets" } else { "" };
            format!("to the kernel, by the twin of {}{class}: {reason}", explanation.device)
        }
        ExplainedFate::Consumed => "consumed here".to_owned(),
        ExplainedFate::Dropped { reason, told: true } => format!("dropped: {reason}; its sender is told by ICMP"),
        ExplainedFate::Dropped { reason, told: false } => format!("dropped: {reason}"),
    }
}

#[cfg(test)]
mod tests;
