//! The packet path does not allocate: a counting allocator sees a million packets, new flows and expiry included.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use arrayvec::ArrayVec;
use engine::capture::{Carried, Ends, Filter};
use engine::neighbour::Note;
use engine::tenure::{Advert, End, Leased, Pulse, Router, Tenure, Term};
use engine::{BURST, Event, Heard, InterfaceId, KernelClass, Output, Time, WorkerId};
use net::tcp::Flags;
use net::{Buffer, HeapBuffer, HeapPool, Meta, Pool, build};
use support::fragments::*;
use support::vrrp::*;
use support::*;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator unchanged; counting touches a thread-local cell that needs
// neither initialisation nor a destructor.
#[allow(unsafe_code, reason = "a global allocator cannot be had without")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise about `pointer` and `layout` is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

/// Counts what comes out and lets it go.
struct Sink {
    pool: HeapPool,
    sent: u64,
    notes: u64,
}

impl Output<HeapBuffer> for Sink {
    fn transmit(&mut self, _: InterfaceId, packet: HeapBuffer) {
        self.sent += 1;
        drop(packet);
    }

    fn redirect(&mut self, _: WorkerId, packet: HeapBuffer) -> Result<(), HeapBuffer> {
        Err(packet)
    }

    fn allocate(&mut self) -> Option<HeapBuffer> {
        self.pool.allocate()
    }

    fn to_kernel(&mut self, _: InterfaceId, _: &[u8], _: KernelClass) -> bool {
        true
    }

    fn hear(&mut self, _: Heard<'_>) -> bool {
        true
    }

    fn note(&mut self, _: Note) -> bool {
        self.notes += 1;
        true
    }
}

#[test]
fn a_million_packets_allocate_nothing() {
    let mut world = World::with(Size { flows: 4096, buffers: 256 });
    world.acquaint();
    let mut sink = Sink { pool: HeapPool::new(256), sent: 0, notes: 0 };
    let mut burst: ArrayVec<HeapBuffer, BURST> = ArrayVec::new();
    let fragments = cut(&fragmentable(from_client(build::udp(CLIENT, DNS, &[0; 1600])), 9), 800);
    let answer = build::udp(DNS, CLIENT, b"answer");
    let templates = [
        from_client(build::tcp(CLIENT, HTTP, Flags::SYN, 1, 0, &[2, 4, 5, 0xb4], &[])),
        from_client(build::tcp(CLIENT, HTTP, Flags::ACK, 2, 1, &[], b"data")),
        from_client(build::udp(CLIENT, DNS, b"question")),
        from_client(build::udp(SocketAddrV4::new([10, 9, 9, 9].into(), 9), DNS, b"to a server nobody answers for")),
        build::addressed(build::arp_request(CLIENT_MAC, *CLIENT.ip(), VIP), CLIENT_MAC, net::MacAddr::broadcast()),
        from_client(build::icmp_echo(*CLIENT.ip(), VIP, 1, 1, &[0; 32])),
        from_client(build::udp(CLIENT, DNS, &[0; 1600])),
        fragmentable(from_client(build::udp(CLIENT, DNS, &[0; 1600])), 1),
        fragments[1].clone(),
        fragments[0].clone(),
        fragments[2].clone(),
        from_client(build::icmp_error(*CLIENT.ip(), VIP, (3, 3), [0; 4], &answer[14..])),
    ];
    let filter = Filter {
        carried: Some(Carried::Udp),
        hosts: Ends { either: Some(VIP.into()), ..Ends::default() },
        ports: Ends { destination: Some(DNS.port()), ..Ends::default() },
        ..Filter::default()
    };
    let before = allocations();
    let mut wanted = 0;
    let mut packets = 0u64;
    let mut ends = 0;
    while packets < 1_000_000 {
        for slot in 0..BURST {
            let template = &templates[slot % templates.len()];
            let mut buffer = world.wire.pool.allocate().unwrap();
            assert!(buffer.append(template.len()));
            buffer.bytes_mut().copy_from_slice(template);
            // A client port of its own: most packets begin a flow, until the table is full. No checksum covers the
            // IP header's fields that stay, and the engine leaves wrong transport checksums as wrong.
            if slot % templates.len() < 4 {
                let port = (packets as u16).wrapping_mul(7).wrapping_add(slot as u16);
                buffer.bytes_mut()[34..36].copy_from_slice(&port.to_be_bytes());
            }
            burst.push(buffer.with_meta(Meta { interface: WAN.0, ..Meta::default() }));
        }
        packets += burst.len() as u64;
        wanted += burst.iter().filter(|packet| filter.wants(packet.bytes())).count();
        world.worker.receive(&world.snapshot, world.now, &mut burst, &mut sink);
        world.now = world.now + Duration::from_millis(200);
        let live = world.counters().connections.get();
        while world.worker.tick(&world.snapshot, world.now, &mut sink) {}
        ends += live.saturating_sub(world.counters().connections.get());
    }
    assert_eq!(allocations() - before, 0, "allocations on the packet path");
    let frames: Vec<_> = templates.iter().map(|frame| HeapBuffer::new(frame)).collect();
    let before = allocations();
    for frame in frames {
        let packet = frame.with_meta(Meta { interface: WAN.0, ..Meta::default() });
        std::mem::forget(world.worker.explain(&world.snapshot, world.now, packet));
    }
    assert_eq!(allocations() - before, 0, "allocations where a worker explains");
    assert!(ends > 4096, "not even one table of flows ended meanwhile: {ends}");
    let evicted = world.counters().events(Event::EmbryonicEvicted).get();
    assert!(evicted > 4096, "nor did one make way for others: {evicted}");
    assert!(wanted > 100_000, "a capture wants many of them: {wanted}");
    assert!(sink.sent > 100_000, "packets went out: {}", sink.sent);
}

#[test]
fn a_tenure_is_tended_without_allocating() {
    let mut world = World::acquainted();
    let mut sink = Sink { pool: HeapPool::new(256), sent: 0, notes: 0 };
    let term = Arc::new(Term::default());
    term.extend(Time(u64::MAX), Time(0)).unwrap();
    let advert_of_ours = Advert::new((WAN, SOURCE.into()), fields(100), &[VIP.into()], &[]).unwrap();
    let router = Router { sender: WorkerId(0), advert: Some(Arc::new(advert_of_ours)), progress: Arc::default() };
    world.snapshot.tenures = [Tenure { id: 1, term: Arc::clone(&term), routers: [router].into() }].into();
    world.snapshot.pulse = Arc::new(Pulse::new(1, 2));
    Arc::make_mut(&mut world.snapshot.leased_v6).insert((WAN, VIP_V6), Leased::new(WAN, Arc::clone(&term)));
    let solicitation = build::solicitation(CLIENT_MAC, PEER_V6, VIP_V6);
    let frames = [advert(PEER, fields(99), 255), advert(SOURCE, fields(100), 255), solicitation];
    let mut burst: ArrayVec<HeapBuffer, BURST> = ArrayVec::new();
    let before = allocations();
    for turn in 0..10_000usize {
        let mut buffer = world.wire.pool.allocate().unwrap();
        let frame = &frames[turn % frames.len()];
        assert!(buffer.append(frame.len()));
        buffer.bytes_mut().copy_from_slice(frame);
        burst.push(buffer.with_meta(Meta { interface: WAN.0, ..Meta::default() }));
        world.worker.receive(&world.snapshot, world.now, &mut burst, &mut sink);
        world.worker.tend(&world.snapshot, world.now, &mut sink);
        world.now = world.now + Duration::from_millis(10);
    }
    term.end(End::Dropped);
    world.worker.leave(&world.snapshot, world.now, &mut sink);
    assert_eq!(allocations() - before, 0, "allocations for a tenure");
    assert_eq!(sink.sent, 1001 + 3333, "an advertisement every 100 ms, the last will, and answers");
}
