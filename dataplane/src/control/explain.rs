//! What would become of a packet: the question goes to a worker by mail, the answer comes back with the names that
//! operators know.

use std::net::{IpAddr, SocketAddr, SocketAddrV4};

use api::explain::{ExplainedConnection, ExplainedFate, ExplainedHop, Explanation, Probe, ProbeKind, ToaUse};
use api::ipc::{Refusal, RefusalKind};
use api::{Protocol, ServiceKey};
use engine::flow::Direction;
use engine::verdict::{Connection, Fate, Knowledge, NextStop, Standing, Toa, Verdict};
use engine::{InterfaceId, KernelClass, Tick};
use net::tcp::Flags;
use net::{HeapBuffer, MacAddr, Meta, build, ipv4, tcp, udp};
use ractor::{ActorRef, call_t};

use super::advice::advice;
use super::message::ControlMessage;
use super::state::State;

/// How long a worker may take to answer, in milliseconds.
const PATIENCE: u64 = 2000;

/// The sender's MAC address: from outside, and of no consequence.
const SENDER: MacAddr = MacAddr::new(2, 0, 0, 0, 0, 1);

/// The header of an ICMP echo request.
const ICMP_HEADER: usize = 8;

/// A question for workers, with the names to make sense of their answers.
pub(super) struct Inquiry {
    frame: Vec<u8>,
    interface: InterfaceId,
    devices: Vec<String>,
    lcores: Vec<u16>,
}

/// The question about a packet.
///
/// # Errors
/// When the probe makes no sense, or no device can be told that the packet comes in by.
pub(super) fn inquire(state: &State, probe: &Probe) -> Result<Inquiry, Refusal> {
    let (source, destination) = match (probe.source, probe.destination) {
        (SocketAddr::V4(source), SocketAddr::V4(destination)) => (source, destination),
        _ => return Err(refusal(RefusalKind::Invalid, "cannot explain IPv6 yet; ask about IPv4 addresses".into())),
    };
    let snapshot = state.compiler.latest();
    let interface = match &probe.device {
        Some(name) => {
            state.desired.device(name)?;
            state.ports.interface(name)
        }
        None => snapshot.routes.lookup(*source.ip()).map(|route| route.interface),
    };
    let known = interface.and_then(|interface| Some((interface, snapshot.interface(interface)?)));
    let (interface, ours) = known.ok_or_else(|| {
        let message = format!("no route to {} tells where the packet comes in; name the device", source.ip());
        refusal(RefusalKind::NotFound, message)
    })?;
    let frame = build::addressed(packet(probe, source, destination)?, SENDER, ours.mac);
    let devices = state.desired.devices().iter().map(|device| device.name.clone()).collect();
    let lcores = state.crew.members().iter().map(|member| member.lcore).collect();
    Ok(Inquiry { frame, interface, devices, lcores })
}

fn packet(probe: &Probe, source: SocketAddrV4, destination: SocketAddrV4) -> Result<Vec<u8>, Refusal> {
    let headers = ipv4::HEADER_LEN
        + match probe.kind {
            ProbeKind::Tcp { .. } => tcp::HEADER_LEN,
            ProbeKind::Udp => udp::HEADER_LEN,
            ProbeKind::Icmp => ICMP_HEADER,
        };
    let size = probe.size.map_or(headers, usize::from);
    let payload = size.checked_sub(headers).ok_or_else(|| {
        refusal(
            RefusalKind::Invalid,
            format!("a packet of {size} bytes has no room for its headers, which take {headers}"),
        )
    })?;
    let payload = vec![0; payload];
    Ok(match probe.kind {
        ProbeKind::Tcp { flags } => build::tcp(source, destination, Flags(flags), 1, 1, &[], &payload),
        ProbeKind::Udp => build::udp(source, destination, &payload),
        ProbeKind::Icmp => build::icmp_echo(*source.ip(), *destination.ip(), 1, 1, &payload),
    })
}

fn refusal(kind: RefusalKind, message: String) -> Refusal {
    Refusal { kind, message, index: None }
}

/// Asks the worker that owns the packet. Any worker knows which that is.
///
/// # Errors
/// When a worker does not answer in time.
pub(super) async fn explain(control: &ActorRef<ControlMessage>, inquiry: &Inquiry) -> Result<Explanation, Refusal> {
    let verdict = ask(control, inquiry, 0).await?;
    let verdict = match verdict.fate {
        Fate::Redirect(owner) => ask(control, inquiry, usize::from(owner.0)).await?,
        _ => verdict,
    };
    Ok(inquiry.explanation(&verdict))
}

async fn ask(
    control: &ActorRef<ControlMessage>,
    inquiry: &Inquiry,
    worker: usize,
) -> Result<Verdict<HeapBuffer>, Refusal> {
    let meta = Meta { interface: inquiry.interface.0, ..Meta::default() };
    let packet = HeapBuffer::new(&inquiry.frame).with_meta(meta);
    let answer = call_t!(control, |reply| ControlMessage::Ask { worker, packet, reply }, PATIENCE);
    answer.ok().and_then(|question| question.verdict).ok_or_else(|| {
        let message = format!("worker {worker} did not answer within {PATIENCE} ms; is its CPU taken?");
        refusal(RefusalKind::Timeout, message)
    })
}

impl Inquiry {
    fn explanation(&self, verdict: &Verdict<HeapBuffer>) -> Explanation {
        let worker = verdict.worker.0;
        Explanation {
            device: self.device(self.interface),
            worker,
            lcore: self.lcores.get(usize::from(worker)).copied().unwrap_or_default(),
            connection: verdict.connection.as_ref().map(connection),
            next_hop: verdict.way.as_ref().map(|way| self.next_hop(way)),
            toa: verdict.toa.map(|toa| match toa {
                Toa::NotDue => ToaUse::NotDue,
                Toa::Inserted => ToaUse::Inserted,
                Toa::NoRoom => ToaUse::NoRoom,
            }),
            fate: fate(verdict.fate),
            advice: match verdict.fate {
                Fate::Drop { reason, .. } => Some(advice(reason).to_owned()),
                _ => None,
            },
        }
    }

    fn device(&self, interface: InterfaceId) -> String {
        self.devices.get(usize::from(interface.0)).cloned().unwrap_or_default()
    }

    fn next_hop(&self, way: &NextStop) -> ExplainedHop {
        let (mac, stale) = match way.knowledge {
            Knowledge::Confirmed(mac) => (Some(mac), false),
            Knowledge::Stale(mac) => (Some(mac), true),
            Knowledge::Asked | Knowledge::Nothing => (None, false),
        };
        ExplainedHop {
            route: way.prefix.map(Into::into),
            device: self.device(way.neighbour.interface),
            address: way.neighbour.address.into(),
            mac,
            stale,
            mtu: way.mtu,
        }
    }
}

fn connection(connection: &Connection) -> ExplainedConnection {
    let at = |(address, port)| SocketAddr::new(IpAddr::V4(address), port);
    let endpoints = &connection.endpoints;
    let protocol = if endpoints.protocol == ipv4::TCP { Protocol::Tcp } else { Protocol::Udp };
    let (is_new, replaces, idle, expires_in) = match connection.standing {
        Standing::New { replaces, .. } => (true, replaces, 0, 0),
        Standing::Established { idle, expires_in } => (false, false, idle, expires_in),
    };
    ExplainedConnection {
        service: ServiceKey { protocol, vip: endpoints.virt.0.into(), port: endpoints.virt.1 },
        client: at(endpoints.client),
        local: at(endpoints.local),
        server: at(endpoints.server),
        from_client: connection.direction == Direction::In,
        is_new,
        replaces,
        idle: idle / Tick::PER_SECOND,
        expires_in: expires_in.div_ceil(Tick::PER_SECOND),
        state: connection.state.name().to_owned(),
        next_state: connection.next.name().to_owned(),
    }
}

fn fate(fate: Fate) -> ExplainedFate {
    match fate {
        Fate::Transmit { pieces, .. } => ExplainedFate::Sent { fragments: pieces as u16 },
        // No probe is a fragment, and an owner hands nothing over.
        Fate::AwaitNeighbour | Fate::AwaitFirstFragment | Fate::Redirect(_) => ExplainedFate::AwaitsNeighbour,
        Fate::Answer(_) => ExplainedFate::Answered,
        Fate::Kernel { class, reason } => {
            let control = class == KernelClass::Control;
            ExplainedFate::ToKernel { control, reason: reason.name().to_owned() }
        }
        Fate::Consume => ExplainedFate::Consumed,
        Fate::Drop { reason, told } => ExplainedFate::Dropped { reason: reason.name().to_owned(), told },
    }
}
