//! What connects one member of a group to its interface.

use crate::actor::{GroupMessage, Surroundings};
use crate::dataplane::Facts;
use crate::kernel::{
    Holder, Interface, Interfaces, Message, PacketSocket, VrrpSocket, Wanted, advertising, virtual_link,
};
use crate::plan::MemberPlan;
use crate::track::{Findings, Verdict, by_number, by_state};
use crate::{Advert, Input, Member, Standing, Task};
use net::vrrp::{GROUP_V4, GROUP_V6};
use ractor::ActorRef;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tracing::warn;

/// How long a socket rests that has more to say than others have patience for.
const REST: Duration = Duration::from_millis(1);

/// A member's socket and its addresses. One on a port has neither: it is the dataplane's.
pub(crate) struct Edge {
    plan: MemberPlan,
    /// Whether the interface is a port.
    on_port: bool,
    socket: Option<(Arc<VrrpSocket>, Task)>,
    frames: Arc<PacketSocket>,
    /// The index of the interface on which no socket could be opened.
    refused: Option<u32>,
    /// What the state machine was told last.
    told: Vec<Input>,
    holder: Option<Holder>,
    /// Advertisements that were sent.
    pub(crate) sent: u64,
}

/// What is known of everything that can be tracked.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) interfaces: &'a Interfaces,
    pub(crate) facts: &'a Facts,
    pub(crate) findings: &'a Findings,
}

impl Edge {
    pub(crate) fn new(plan: &MemberPlan, on_port: bool, around: &Surroundings) -> Self {
        let (netlink, frames) = (around.netlink.clone(), Arc::clone(&around.frames));
        let holder = (!on_port).then(|| Holder::start(plan.clone(), around.interfaces.clone(), netlink, frames));
        let frames = Arc::clone(&around.frames);
        Self { plan: plan.clone(), on_port, socket: None, frames, refused: None, told: Vec::new(), holder, sent: 0 }
    }

    /// Says what is wanted of its addresses, where they are the kernel's.
    pub(crate) fn want(&self, change: impl FnOnce(&mut Wanted)) {
        if let Some(holder) = &self.holder {
            holder.want(change);
        }
    }

    /// Waits until no address of its own is here any more.
    pub(crate) async fn cleared(&mut self) {
        if let Some(holder) = &mut self.holder {
            holder.cleared().await;
        }
    }

    /// Whether everything it tracks is known, and not only taken to be so.
    pub(crate) fn is_settled(&self, findings: &Findings) -> bool {
        let mut scripts = self.plan.tracking.scripts.iter();
        scripts.all(|tracked| findings.scripts.get(&tracked.name).is_some_and(Verdict::is_settled))
    }

    /// Goes along with the interfaces, and with what else is tracked. Returns what of that is news to the state
    /// machine.
    pub(crate) fn follow(
        &mut self,
        index: usize,
        member: &Member,
        known: Known<'_>,
        actor: &ActorRef<GroupMessage>,
    ) -> Vec<Input> {
        let interface = known.interfaces.get(&self.plan.interface);
        self.connect(index, member, interface, actor);
        let ipv6 = member.settings().addresses.iter().any(IpAddr::is_ipv6);
        // An owner's addresses are its own.
        let virtual_addresses = if member.is_owner() { &[][..] } else { &self.plan.addresses };
        let source = interface.and_then(|interface| match self.plan.source {
            // Which others a port has is for the kernel to know.
            Some(source) if self.on_port && ipv6 => Some(source),
            Some(source) => Some(source).filter(|source| interface.has(*source)),
            None => interface.primary(ipv6, virtual_addresses),
        });
        let connected = self.on_port || self.socket.is_some();
        let up = connected && interface.is_some_and(|interface| interface.up);
        let mut now = vec![Input::Source { member: index, address: source }, Input::Interface { member: index, up }];
        let tracked = self.tracked(known);
        now.extend(tracked.map(|(name, says, standing)| Input::Tracked { member: index, name, says, standing }));
        let news = now.iter().filter(|input| !self.told.contains(input)).cloned().collect();
        self.told = now;
        news
    }

    /// How what it tracks stands: the names, what is to be said of them, and the standings.
    fn tracked(&self, known: Known<'_>) -> impl Iterator<Item = (String, String, Standing)> {
        let Known { interfaces, facts, findings } = known;
        let tracking = &self.plan.tracking;
        let links = tracking.interfaces.iter().map(|tracked| {
            let up = interfaces.get(&tracked.name).is_some_and(|interface| interface.up);
            let says = if up { "is up" } else { "is down" };
            (format!("interface {}", tracked.name), says.to_owned(), by_state(tracked.weight, up))
        });
        let scripts = tracking.scripts.iter().filter_map(|tracked| {
            let verdict = findings.scripts.get(&tracked.name)?;
            let says = match (verdict.is_settled(), verdict.is_up()) {
                (false, _) => "has not run yet",
                (true, true) => "succeeded",
                (true, false) => "failed",
            };
            Some((format!("script {}", tracked.name), says.to_owned(), by_state(tracked.weight, verdict.is_up())))
        });
        let files = tracking.files.iter().filter_map(|tracked| {
            let number = *findings.files.get(&tracked.name)?;
            Some((format!("file {}", tracked.name), format!("says {number}"), by_number(tracked.weight, number)))
        });
        // What nobody has said anything about is no reason not to be master.
        let facts = tracking.facts.iter().map(|tracked| {
            let holds = facts.get(&tracked.name).copied();
            let says = match holds {
                None => "is not known",
                Some(true) => "holds",
                Some(false) => "does not hold",
            };
            let standing = by_state(tracked.weight, holds.unwrap_or(true));
            (format!("fact {}", tracked.name), says.to_owned(), standing)
        });
        links.chain(scripts).chain(files).chain(facts)
    }

    /// Whether a predecessor left its addresses on the interface, or on the link over it.
    pub(crate) fn is_left(&self, interfaces: &Interfaces) -> bool {
        let Some(interface) = interfaces.get(&self.plan.interface) else { return false };
        let link = |mac| virtual_link(interfaces, interface.index, mac);
        let Some(place) = self.plan.virtual_mac().map_or(Some(interface), link) else { return false };
        let is_left = |addr: IpAddr| place.addresses.iter().any(|there| there.ours && there.net.addr() == addr);
        self.plan.addresses.iter().all(|net| is_left(net.addr()))
    }

    /// The next message that was received.
    pub(crate) fn receive(&self) -> Option<Message> {
        self.socket.as_ref().and_then(|(socket, _)| socket.receive())
    }

    /// Sends an advertisement to the group, or to every peer.
    ///
    /// # Errors
    /// The last one, when it could not be sent to each.
    pub(crate) fn send(&mut self, advert: &Advert) -> io::Result<()> {
        let Some((socket, _)) = &self.socket else { return Ok(()) };
        if let (Some(mac), true) = (self.plan.virtual_mac(), self.plan.peers.is_empty()) {
            // From the virtual router's MAC address, which switches so learn the way to (RFC 9568, 7.3).
            let frame = advertising(advert, mac).map_err(io::Error::other)?;
            self.frames.send(socket.index(), &frame)?;
            self.sent += 1;
            return Ok(());
        }
        let group: [IpAddr; 1] = [if advert.source.is_ipv6() { GROUP_V6.into() } else { GROUP_V4.into() }];
        let to = if self.plan.peers.is_empty() { &group[..] } else { &self.plan.peers };
        let mut outcome = Ok(());
        for destination in to {
            match socket.send(advert, *destination) {
                Ok(()) => self.sent += 1,
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    /// Opens the socket when the interface has come, or has come anew.
    fn connect(
        &mut self,
        index: usize,
        member: &Member,
        interface: Option<&Interface>,
        actor: &ActorRef<GroupMessage>,
    ) {
        let Some(interface) = interface.filter(|_| !self.on_port) else {
            self.socket = None;
            return;
        };
        if self.socket.as_ref().is_some_and(|(socket, _)| socket.index() == interface.index) {
            return;
        }
        let (settings, multicast) = (member.settings(), self.plan.peers.is_empty());
        let ipv6 = settings.addresses.iter().any(IpAddr::is_ipv6);
        match VrrpSocket::open(&self.plan.interface, interface.index, ipv6, settings.vrid, multicast) {
            Ok(socket) => {
                let socket = Arc::new(socket);
                let task = Task::spawn(listen(index, Arc::clone(&socket), actor.clone()));
                self.socket = Some((socket, task));
            }
            Err(error) => {
                self.socket = None;
                if self.refused.replace(interface.index) != Some(interface.index) {
                    let (instance, interface) = (&self.plan.name, &self.plan.interface);
                    warn!(instance, interface, %error, "cannot send and receive VRRP; is CAP_NET_RAW there?");
                }
            }
        }
    }
}

/// Has the actor read the socket whenever there may be something.
async fn listen(member: usize, socket: Arc<VrrpSocket>, actor: ActorRef<GroupMessage>) {
    while let Ok(mut ready) = socket.readable().await {
        let (done, drained) = oneshot::channel();
        if actor.cast(GroupMessage::Readable { member, done }).is_err() {
            return;
        }
        match drained.await {
            Ok(true) => ready.clear_ready(),
            Ok(false) => tokio::time::sleep(REST).await,
            Err(_) => return,
        }
    }
}
