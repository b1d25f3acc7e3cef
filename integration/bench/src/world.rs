//! One worker between a client network and a server network, in the configuration that ships.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use arrayvec::ArrayVec;
use engine::counters::{Counters, Slots};
use engine::flow::region_size;
use engine::neighbour::{Limits, NeighbourKey, Note, Status, Update};
use engine::port::PortPool;
use engine::snapshot::{Interface, Local, Route, Routes, Server, Service, ServiceKey, Snapshot, Twin};
use engine::steering::{KEY_LEN, Steering};
use engine::tenure::Term;
use engine::virtual_mac::VirtualMacs;
use engine::{
    BURST, DropReason, Heard, InterfaceId, KernelClass, Output, Scheduler, Secrets, Tick, Time, Worker, WorkerId,
};
use net::{Buffer, MacAddr, ipv4};

use crate::frame;
use crate::memory::Region;
use crate::own_time::own_time;
use crate::packet::{Free, Packet};

/// The servers' side.
pub const LAN: InterfaceId = InterfaceId(0);
/// The clients' side.
pub const WAN: InterfaceId = InterfaceId(1);
/// Where frames of clients go.
pub const WAN_MAC: MacAddr = MacAddr::new(2, 0, 0, 0, 1, 1);
/// Where frames of servers go.
pub const LAN_MAC: MacAddr = MacAddr::new(2, 0, 0, 0, 1, 0);
const PEER_MAC: MacAddr = MacAddr::new(2, 0, 0, 0, 2, 1);

const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 100);
/// The TCP service.
pub const HTTP: SocketAddrV4 = SocketAddrV4::new(VIP, 80);
/// The UDP service.
pub const DNS: SocketAddrV4 = SocketAddrV4::new(VIP, 53);
/// No service.
pub const NOTHING: SocketAddrV4 = SocketAddrV4::new(VIP, 9);

/// Enough servers and local addresses for ten million connections by ports that are reusable towards other servers.
const SERVERS: u8 = 250;
const LOCALS: u8 = 32;

/// Longer than anything that is measured takes.
const FOR_GOOD: Duration = Duration::from_secs(1 << 30);

/// Packets under way at once: sixteen bursts.
pub const BATCH: usize = 16 * BURST;

/// Takes what the worker sends, as a port would.
pub struct Wire {
    /// The frames sent, with where.
    pub sent: Vec<(InterfaceId, Packet)>,
    /// The ring to the other worker, if there is one.
    pub ring: Option<rtrb::Producer<Packet>>,
    free: Free,
}

impl Output<Packet> for Wire {
    fn transmit(&mut self, interface: InterfaceId, packet: Packet) {
        self.sent.push((interface, packet));
    }

    fn redirect(&mut self, _: WorkerId, packet: Packet) -> Result<(), Packet> {
        let Some(ring) = &mut self.ring else { return Err(packet) };
        ring.push(packet).map_err(|rtrb::PushError::Full(packet)| packet)
    }

    fn allocate(&mut self) -> Option<Packet> {
        self.free.take()
    }

    fn to_kernel(&mut self, _: InterfaceId, _: &[u8], _: KernelClass) -> bool {
        true
    }

    fn hear(&mut self, _: Heard<'_>) -> bool {
        true
    }

    fn note(&mut self, _: Note) -> bool {
        true
    }
}

/// The worker and what is around it.
pub struct World {
    worker: Worker<'static, Packet>,
    snapshot: Snapshot,
    /// The time.
    pub now: Time,
    ticked: Tick,
    /// What it has sent.
    pub wire: Wire,
}

impl World {
    /// A world whose table has room for so many flows.
    ///
    /// # Panics
    /// When the machine has no memory for it.
    pub fn new(flows: u32) -> Self {
        World::of((WorkerId(0), steering(1)), flows)
    }

    /// The same for one of several workers.
    ///
    /// # Panics
    /// Likewise.
    pub fn of(own: (WorkerId, Arc<Steering>), flows: u32) -> Self {
        let free = Free::with(2 * BATCH);
        let slots = Slots { servers: 512, locals: usize::from(LOCALS), bindings: 64, services: 2 };
        let region = Region::leak(region_size(flows));
        let secrets = Secrets { hash_key: [11, 12, 13, 14], isn_key: [15, 16] };
        let counters = Arc::new(Counters::new(slots));
        let worker = Worker::new(own, region, flows, counters, Limits::default(), secrets, Time(0));
        let wire = Wire { sent: Vec::with_capacity(2 * BATCH), ring: None, free };
        let mut world = World {
            worker: worker.expect("the region fits"),
            snapshot: two_arm(),
            now: Time(0),
            ticked: Tick(0),
            wire,
        };
        for slot in 0..LOCALS {
            world.worker.add_ports(slot.into(), Box::new(PortPool::new()));
        }
        world
    }

    /// Gives an interface a virtual router's MAC address, for good.
    ///
    /// # Panics
    /// When a term cannot begin.
    pub fn have_virtual_mac(&mut self, interface: InterfaceId, mac: MacAddr) {
        let (mut macs, term) = (VirtualMacs::default(), Arc::new(Term::default()));
        term.extend(self.now + FOR_GOOD, self.now).expect("a new term");
        macs.insert(interface, mac, term);
        self.snapshot.virtual_macs = Arc::new(macs);
    }

    /// Hands over frames, a burst at a time, and returns the time the worker took.
    // A function of its own, so that its instructions can be counted.
    #[inline(never)]
    pub fn receive(&mut self, packets: &mut Vec<Packet>) -> Duration {
        let began = own_time();
        let mut burst: ArrayVec<Packet, BURST> = ArrayVec::new();
        let mut packets = packets.drain(..);
        loop {
            burst.extend(packets.by_ref().take(BURST));
            if burst.is_empty() {
                break;
            }
            self.worker.receive(&self.snapshot, self.now, &mut burst, &mut self.wire);
        }
        own_time() - began
    }

    /// Takes what another worker has put into the ring, a burst at a time, and returns the time the worker took.
    pub fn take_over(&mut self, ring: &mut rtrb::Consumer<Packet>) -> Duration {
        let began = own_time();
        let mut burst: ArrayVec<Packet, BURST> = ArrayVec::new();
        loop {
            while !burst.is_full()
                && let Ok(packet) = ring.pop()
            {
                burst.push(packet);
            }
            if burst.is_empty() {
                break;
            }
            self.worker.receive_redirected(&self.snapshot, self.now, &mut burst, &mut self.wire);
        }
        own_time() - began
    }

    /// Hands over frames that came by an interface, and returns the time and the endpoints of what came of them.
    pub fn relay(
        &mut self,
        interface: InterfaceId,
        frames: impl Iterator<Item = Vec<u8>>,
    ) -> (Duration, Vec<(SocketAddrV4, SocketAddrV4)>) {
        let mut packets: Vec<_> = frames.map(|frame| self.packet(&frame, interface)).collect();
        let spent = self.receive(&mut packets);
        let sent = self.wire.sent.drain(..).map(|(_, packet)| frame::endpoints(packet.bytes())).collect();
        (spent, sent)
    }

    /// Puts a frame into a buffer.
    pub fn packet(&self, frame: &[u8], interface: InterfaceId) -> Packet {
        self.wire.free.received(frame, interface.0)
    }

    /// Lets time pass, with the turns of expiry a worker's loop would take; gives the time each turn took to `each`.
    pub fn pass(&mut self, duration: Duration, mut each: impl FnMut(Duration)) {
        self.now = self.now + duration;
        while self.ticked != self.now.tick() {
            let began = own_time();
            let more = self.worker.tick(&self.snapshot, self.now, &mut self.wire);
            each(own_time() - began);
            self.wire.sent.clear();
            if !more {
                self.ticked = self.now.tick();
            }
        }
    }

    /// Connections there are.
    pub fn connections(&self) -> u64 {
        self.worker.counters().connections.get()
    }

    /// Packets the worker has made itself.
    pub fn originated(&self) -> u64 {
        self.worker.counters().originated.get()
    }

    /// Packets handed over to the other worker.
    pub fn redirected_out(&self) -> u64 {
        self.worker.counters().redirected_out.get()
    }

    /// What was dropped, by reason.
    pub fn drops(&self) -> Vec<(DropReason, u64)> {
        let counters = self.worker.counters();
        let all = DropReason::ALL.iter().map(|&reason| (reason, counters.drops(reason).get()));
        all.filter(|&(_, count)| count > 0).collect()
    }

    /// Makes the gateway and the servers known neighbours, which packets wait for by now.
    pub fn introduce(&mut self) {
        let servers = (1..=SERVERS).map(|host| (LAN, server(host)));
        for (interface, address) in servers.chain([(WAN, GATEWAY)]) {
            let status = Status::Known { mac: PEER_MAC, stale: false };
            let update = Update { key: NeighbourKey { interface, address }, status };
            self.worker.update_neighbour(&self.snapshot, update, &mut self.wire);
        }
        self.wire.sent.clear();
    }
}

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 48);

fn server(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 100, host)
}

/// Flows shared out among so many workers.
///
/// # Panics
/// When there are more than a table of workers has entries.
pub fn steering(workers: u16) -> Arc<Steering> {
    let key = |seed: u8| std::array::from_fn::<u8, KEY_LEN, _>(|n| (n as u8).wrapping_mul(167).wrapping_add(seed));
    Arc::new((0..=u8::MAX).find_map(|seed| Steering::new(key(seed), workers)).expect("a usable key"))
}

fn two_arm() -> Snapshot {
    let mut snapshot = Snapshot::empty([9, 9, 9, 9]);
    snapshot.generation = 1;
    let interface = |mac| Interface { mac, mtu: 1500, twin: Twin::Unhandled };
    snapshot.interfaces = Arc::new([interface(LAN_MAC), interface(WAN_MAC)]);
    Arc::make_mut(&mut snapshot.addresses).insert(VIP, WAN);
    let routes = [("10.0.0.0/16", WAN, None), ("192.168.0.0/16", LAN, None), ("0.0.0.0/0", WAN, Some(GATEWAY))];
    let routes = routes.map(|(prefix, interface, gateway)| {
        (prefix.parse().expect("a prefix"), Route { interface, gateway, mtu: 1500 })
    });
    snapshot.routes = Arc::new(Routes::new(1, routes));
    for (number, (protocol, vip)) in [(ipv4::TCP, HTTP), (ipv4::UDP, DNS)].into_iter().enumerate() {
        let first = number as u32 * u32::from(SERVERS);
        let servers = (1..=SERVERS).map(|host| Server {
            slot: first + u32::from(host) - 1,
            address: server(host),
            port: vip.port(),
            weight: 1,
        });
        let locals = (0..LOCALS).map(|n| Local {
            binding_slot: number as u32 * u32::from(LOCALS) + u32::from(n),
            local_slot: n.into(),
            address: Ipv4Addr::new(192, 168, 101, n + 1),
        });
        let service = Service::new(number as u32, Scheduler::RoundRobin, servers.collect(), locals.collect());
        let key = ServiceKey { protocol, vip: *vip.ip(), port: vip.port() };
        snapshot.services.insert(key, Arc::new(service));
    }
    let addresses = Arc::make_mut(&mut snapshot.addresses);
    addresses.extend((0..LOCALS).map(|n| (Ipv4Addr::new(192, 168, 101, n + 1), LAN)));
    snapshot
}
