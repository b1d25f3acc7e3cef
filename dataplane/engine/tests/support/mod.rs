//! A worker with two interfaces, a client network and a server network, and the owner of neighbours beside it.
#![allow(dead_code, unreachable_pub, reason = "a module of several test binaries, each of which uses its part")]

pub mod connection;
pub mod decode;
pub mod fragments;
pub mod random;
pub mod team;
pub mod vrrp;

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use arrayvec::ArrayVec;
use engine::counters::{Counters, Slots};
use engine::flow::{Region, region_size};
use engine::lease::{Lessor, Thresholds};
use engine::neighbour::{Action, Limits, NeighbourKey, Note, Owner, Timers};
use engine::port::PortPool;
use engine::snapshot::{Interface, Local, Route, Routes, Server, Service, ServiceKey, Snapshot, Twin};
use engine::steering::{KEY_LEN, Steering};
use engine::{
    BURST, DropReason, FlowPage, FlowRow, Heard, InterfaceId, KernelClass, Output, Scheduler, Secrets, Time, Worker,
    WorkerId,
};
use net::{HeapBuffer, HeapPool, MacAddr, Meta, Pool, build};

pub const LAN: InterfaceId = InterfaceId(0);
pub const WAN: InterfaceId = InterfaceId(1);
pub const LAN_MAC: MacAddr = MacAddr::new(2, 0, 0, 0, 1, 0);
pub const WAN_MAC: MacAddr = MacAddr::new(2, 0, 0, 0, 1, 1);
pub const CLIENT_MAC: MacAddr = MacAddr::new(2, 0, 0, 0, 2, 1);
pub const SERVER_MAC: MacAddr = MacAddr::new(2, 0, 0, 0, 3, 1);

pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 100);
pub const LIP: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 200);
pub const CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 48), 37177);
pub const HTTP: SocketAddrV4 = SocketAddrV4::new(VIP, 80);
pub const DNS: SocketAddrV4 = SocketAddrV4::new(VIP, 53);
pub const SERVERS: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 168, 100, 2), Ipv4Addr::new(192, 168, 100, 3)];

/// The services of [`two_arm`], in the order of their slots.
const SERVICES: [ServiceKey; 2] =
    [ServiceKey { protocol: 6, vip: VIP, port: 80 }, ServiceKey { protocol: 17, vip: VIP, port: 53 }];

const SLOTS: Slots = Slots { servers: 8, locals: 4, bindings: 8, services: 4 };

/// What the worker put out.
pub struct Wire {
    pub frames: Vec<(InterfaceId, HeapBuffer)>,
    pub redirected: Vec<(WorkerId, HeapBuffer)>,
    pub pool: HeapPool,
    /// What the kernel got, by the interfaces' twins.
    pub kernel: Vec<(InterfaceId, Vec<u8>, KernelClass)>,
    /// Whether the kernel is too far behind to take anything.
    pub kernel_is_behind: bool,
    pub notes: Vec<Note>,
    /// What control was told of VRRP: when, from whom, and what.
    pub heard: Vec<(Time, IpAddr, Vec<u8>)>,
}

/// Flows shared out among so many workers.
pub fn steering(workers: u16) -> Arc<Steering> {
    let key = |seed: u8| std::array::from_fn::<u8, KEY_LEN, _>(|n| (n as u8).wrapping_mul(167).wrapping_add(seed));
    Arc::new((0..=u8::MAX).find_map(|seed| Steering::new(key(seed), workers)).expect("a usable key"))
}

impl Wire {
    pub fn new(buffers: usize) -> Self {
        Wire {
            frames: Vec::new(),
            redirected: Vec::new(),
            pool: HeapPool::new(buffers),
            kernel: Vec::new(),
            kernel_is_behind: false,
            notes: Vec::new(),
            heard: Vec::new(),
        }
    }
}

impl Output<HeapBuffer> for Wire {
    fn transmit(&mut self, interface: InterfaceId, packet: HeapBuffer) {
        self.frames.push((interface, packet));
    }

    fn redirect(&mut self, owner: WorkerId, packet: HeapBuffer) -> Result<(), HeapBuffer> {
        self.redirected.push((owner, packet));
        Ok(())
    }

    fn allocate(&mut self) -> Option<HeapBuffer> {
        self.pool.allocate()
    }

    fn to_kernel(&mut self, interface: InterfaceId, frame: &[u8], class: KernelClass) -> bool {
        if !self.kernel_is_behind {
            self.kernel.push((interface, frame.to_vec(), class));
        }
        !self.kernel_is_behind
    }

    fn hear(&mut self, heard: Heard<'_>) -> bool {
        self.heard.push((heard.at, heard.ip.source(), heard.message.to_vec()));
        true
    }

    fn note(&mut self, note: Note) -> bool {
        self.notes.push(note);
        true
    }
}

pub struct World {
    pub worker: Worker<'static, HeapBuffer>,
    pub snapshot: Snapshot,
    pub now: Time,
    pub owner: Owner,
    pub wire: Wire,
    /// What the worker told control about other hosts with addresses of ours.
    pub duplicates: Vec<(NeighbourKey, MacAddr)>,
    pub lessor: Lessor,
}

/// Sizes of a world.
pub struct Size {
    pub flows: u32,
    pub buffers: usize,
}

impl World {
    pub fn new() -> Self {
        World::with(Size { flows: 64, buffers: 256 })
    }

    pub fn with(size: Size) -> Self {
        let region: &'static mut [u8] = Box::leak(Box::new(Region::new(size.flows))).bytes();
        assert!(region.len() >= region_size(size.flows));
        let secrets = Secrets { hash_key: [1, 2, 3, 4], isn_key: [5, 6] };
        let limits = Limits { neighbours: 32, queue: 4, held: 8 };
        let counters = Arc::new(Counters::new(SLOTS));
        let mut worker =
            Worker::new((WorkerId(0), steering(1)), region, size.flows, counters, limits, secrets, Time(0)).unwrap();
        worker.add_ports(0, Box::new(PortPool::new()));
        World {
            worker,
            snapshot: two_arm(),
            now: Time(0),
            owner: Owner::new(32, Timers::default()),
            wire: Wire::new(size.buffers),
            duplicates: Vec::new(),
            lessor: Lessor::new(1),
        }
    }

    /// A world in which the client and the servers are known neighbours.
    pub fn acquainted() -> Self {
        let mut world = World::new();
        world.acquaint();
        world
    }

    pub fn acquaint(&mut self) {
        self.receive(
            WAN,
            &build::addressed(build::arp_request(CLIENT_MAC, *CLIENT.ip(), VIP), CLIENT_MAC, MacAddr::broadcast()),
        );
        for server in SERVERS {
            self.receive(
                LAN,
                &build::addressed(build::arp_request(SERVER_MAC, server, LIP), SERVER_MAC, MacAddr::broadcast()),
            );
        }
    }

    pub fn counters(&self) -> &Arc<Counters> {
        self.worker.counters()
    }

    /// Hands a frame to the worker and returns what it sent, with what followed from its notes.
    pub fn receive(&mut self, interface: InterfaceId, frame: &[u8]) -> Vec<(InterfaceId, Vec<u8>)> {
        self.burst(interface, &[frame])
    }

    /// The same, of which only IPv4 is returned: the owner of neighbours may have had something to ask.
    pub fn exchange(&mut self, interface: InterfaceId, frame: &[u8]) -> (InterfaceId, Vec<u8>) {
        let mut sent = self.receive(interface, frame);
        sent.retain(|(_, frame)| frame[12..14] == [8, 0]);
        assert_eq!(sent.len(), 1, "one packet in, one packet out");
        sent.remove(0)
    }

    /// Limits the connections of a server.
    pub fn limit(&mut self, slot: u32, thresholds: Thresholds) {
        self.lessor.begin(slot, thresholds, |_, lease| self.worker.take_lease(lease));
    }

    /// Lets control look at the limits of all servers, as often as it takes.
    pub fn look(&mut self) {
        for _ in 0..2 {
            let mut leases = Vec::new();
            let counters = self.worker.counters();
            self.lessor.look(SLOTS.servers, |_| counters, |_, lease| leases.push(lease));
            leases.into_iter().for_each(|lease| self.worker.take_lease(lease));
        }
    }

    /// Hands a burst of frames to the worker.
    pub fn burst(&mut self, interface: InterfaceId, frames: &[&[u8]]) -> Vec<(InterfaceId, Vec<u8>)> {
        let mut burst: ArrayVec<HeapBuffer, BURST> = ArrayVec::new();
        for frame in frames {
            let mut buffer = self.wire.pool.allocate().expect("the pool has a buffer");
            assert!(net::Buffer::append(&mut buffer, frame.len()));
            net::Buffer::bytes_mut(&mut buffer).copy_from_slice(frame);
            burst.push(buffer.with_meta(Meta { interface: interface.0, ..Meta::default() }));
        }
        self.worker.receive(&self.snapshot, self.now, &mut burst, &mut self.wire);
        self.settle()
    }

    /// Lets time pass in small steps, ticking as the worker's loop would.
    pub fn wait(&mut self, duration: Duration) -> Vec<(InterfaceId, Vec<u8>)> {
        let end = self.now + duration;
        let mut sent = Vec::new();
        while self.now < end {
            self.now = (self.now + Duration::from_millis(100)).min(end);
            while self.worker.tick(&self.snapshot, self.now, &mut self.wire) {}
            let mut actions = Vec::new();
            self.owner.tick(self.now, |action| actions.push(action));
            self.carry_out(actions);
            sent.extend(self.settle());
        }
        sent
    }

    /// Hands notes to the owner and its answers to the worker until nothing moves; then takes what was sent.
    pub fn settle(&mut self) -> Vec<(InterfaceId, Vec<u8>)> {
        while !self.wire.notes.is_empty() {
            let mut actions = Vec::new();
            for note in std::mem::take(&mut self.wire.notes) {
                if let Note::Duplicate { key, mac } = note {
                    self.duplicates.push((key, mac));
                }
                self.owner.note(note, self.now, |action| actions.push(action));
            }
            self.carry_out(actions);
        }
        let sent: Vec<_> = self.wire.frames.drain(..).map(|(at, b)| (at, net::Buffer::bytes(&b).to_vec())).collect();
        self.counters().count_transmitted(sent.len(), 0);
        sent
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Post(update) => self.worker.update_neighbour(&self.snapshot, update, &mut self.wire),
                Action::Ask { key, source, to } => {
                    self.worker.ask((&self.snapshot, self.now), key, source, to, &mut self.wire);
                }
            }
        }
    }

    pub fn flows(&self) -> Vec<FlowRow> {
        let mut page = FlowPage::new();
        let mut rows = Vec::new();
        while page.has_next() {
            self.worker.list(&mut page, self.now);
            rows.extend_from_slice(page.rows());
        }
        rows
    }

    /// Publishes a configuration in which a server has another weight.
    pub fn set_weight(&mut self, server: usize, weight: u32) {
        self.snapshot.generation += 1;
        edit_services(&mut self.snapshot, |service| {
            let mut servers = service.servers.clone();
            servers[server].weight = weight;
            *service = Service::new(service.slot, service.scheduler, servers, service.locals.clone());
        });
    }

    /// Publishes a configuration in which the interfaces have twins, or none.
    pub fn set_twins(&mut self, twin: Twin) {
        self.snapshot.generation += 1;
        self.snapshot.interfaces = self.snapshot.interfaces.iter().map(|&known| Interface { twin, ..known }).collect();
    }

    /// Has the kernel send a frame by the twin of an interface, and returns what was sent.
    pub fn send_from_kernel(&mut self, interface: InterfaceId, frame: (&[u8], &[u8])) -> Vec<(InterfaceId, Vec<u8>)> {
        self.worker.send_from_kernel(interface, frame, &mut self.wire);
        self.settle()
    }

    pub fn drops(&self, reason: DropReason) -> u64 {
        self.counters().drops(reason).get()
    }

    /// The books, as design and `sluice stats` have them.
    pub fn assert_balanced(&self) {
        let counters = self.counters();
        let dropped: u64 = DropReason::ALL.iter().map(|&reason| counters.drops(reason).get()).sum();
        let credit =
            counters.received.get() + counters.from_kernel.get() + counters.originated.get() + counters.copied.get();
        let gone = counters.transmitted.get() + counters.to_kernel.get() + counters.consumed.get();
        let debit = gone + dropped + counters.held.get();
        assert_eq!(credit, debit, "the books do not balance");
        assert_eq!(self.wire.pool.live() as u64, counters.held.get(), "buffers are missing");
        let flows = self.flows().len() as u64;
        assert_eq!(counters.connections.get(), flows);
        assert_eq!(counters.local(0).ports_in_use.get(), flows, "ports in use are not those of connections");
        let gauged: u64 = (0..4).map(|s| counters.server(s).active.get() + counters.server(s).inactive.get()).sum();
        assert_eq!(gauged, flows);
        assert_eq!((0..2).map(|b| counters.binding(b).get()).sum::<u64>(), flows);
    }
}

/// The tutorial's two-arm Full-NAT, with a UDP service beside the TCP one.
pub fn two_arm() -> Snapshot {
    let key = [9, 9, 9, 9];
    let mut snapshot = Snapshot::empty(key);
    snapshot.generation = 1;
    snapshot.interfaces = [LAN_MAC, WAN_MAC].map(|mac| Interface { mac, mtu: 1500, twin: Twin::Absent }).into();
    let addresses = Arc::make_mut(&mut snapshot.addresses);
    addresses.insert(VIP, WAN);
    addresses.insert(LIP, LAN);
    let route = |prefix: &str, interface, gateway| (prefix.parse().unwrap(), Route { interface, gateway, mtu: 1500 });
    let routes = [
        route("10.0.0.0/16", WAN, None),
        route("192.168.100.0/24", LAN, None),
        route("172.16.0.0/12", WAN, Some(*CLIENT.ip())),
    ];
    snapshot.routes = Arc::new(Routes::new(1, routes));
    for (slot, key) in SERVICES.into_iter().enumerate() {
        let slot = slot as u32;
        let servers =
            SERVERS.iter().zip(slot * 2..).map(|(&address, slot)| Server { slot, address, port: key.port, weight: 1 });
        let local = Local { binding_slot: slot, local_slot: 0, address: LIP };
        let service = Service::new(slot, Scheduler::RoundRobin, servers.collect(), vec![local]);
        snapshot.services.insert(key, Arc::new(service));
    }
    Arc::make_mut(&mut snapshot.vips).insert(VIP);
    snapshot
}

/// Changes the services of [`two_arm`] that are there.
pub fn edit_services(snapshot: &mut Snapshot, edit: impl Fn(&mut Service)) {
    for key in SERVICES {
        let Some(mut service) = snapshot.services.get(&key).cloned() else { continue };
        edit(Arc::make_mut(&mut service));
        snapshot.services.insert(key, service);
    }
}

/// A frame from the client.
pub fn from_client(frame: Vec<u8>) -> Vec<u8> {
    build::addressed(frame, CLIENT_MAC, WAN_MAC)
}

/// A frame from a server.
pub fn from_server(frame: Vec<u8>) -> Vec<u8> {
    build::addressed(frame, SERVER_MAC, LAN_MAC)
}

/// Puts other routes in force.
pub fn reroute(snapshot: &mut Snapshot, change: impl FnOnce(&mut Vec<(ipnet::Ipv4Net, Route)>)) {
    let mut routes = snapshot.routes.iter().collect();
    change(&mut routes);
    snapshot.routes = Arc::new(Routes::new(snapshot.routes.generation + 1, routes));
}

/// Takes the route to a prefix away.
pub fn unroute(snapshot: &mut Snapshot, prefix: &str) {
    let prefix = prefix.parse().unwrap();
    reroute(snapshot, |routes| routes.retain(|(known, _)| *known != prefix));
}
