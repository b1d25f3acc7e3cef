//! The ports of the configuration, and the packet buffers they share.

mod link;
mod macs;

use anyhow::{Context, Result, ensure};
use api::config::{self, PortDevice};
use api::row::{LinkCounters, LinkRow};
use dpdk::{Device, Eal, Pool, Port, PortConfig, Spread};
use engine::InterfaceId;
use engine::snapshot::{Interface, Twin};
use engine::steering::Steering;
use tracing::info;

use self::link::Underlying;
use self::macs::Reception;
use crate::kni::Twins;
use crate::worker::Queues;

/// The name of the pool of packet buffers.
pub const POOL_NAME: &str = "packets";

/// Buffers each lcore keeps to itself.
const CACHE: u32 = 256;

/// Bytes of an Ethernet header with a tag, and of its checksum.
const ETHERNET_OVERHEAD: u16 = 14 + 4 + 4;

/// The smallest room for a frame in a buffer, as drivers expect it.
const DATA_ROOM: u16 = 2048;

/// The started ports.
pub struct Ports {
    ports: Vec<Named>,
    pool: Pool,
    twins: Twins,
    in_rings: u64,
}

struct Named {
    name: String,
    port: Port,
    rx_queues: u16,
    tx_queues: u16,
    underlying: Underlying,
    reception: Reception,
}

impl Ports {
    /// Makes the pool, starts the ports with a queue for each worker, and has their twins resemble them.
    ///
    /// # Errors
    /// When a device is not there or cannot do what is configured.
    pub fn start(eal: &Eal, config: &config::Dataplane, steering: &Steering, twins: Twins) -> Result<Ports> {
        let mtu = config.ports.iter().map(|port| port.mtu).max().unwrap_or(0);
        let data_room = DATA_ROOM.max(mtu + ETHERNET_OVERHEAD);
        let pool = Pool::new(eal, POOL_NAME, config.mbufs, CACHE, data_room, None)
            .context("cannot reserve packet buffers; raise memory or lower mbufs in the configuration")?;
        let twin = if twins.is_empty() { Twin::Absent } else { Twin::Unhandled };
        let mut ports = Vec::new();
        for port in &config.ports {
            let started = open(eal, &pool, port, steering, twin)
                .with_context(|| format!("cannot start port {} ({})", port.name, device_name(&port.device)))?;
            ports.push(started);
        }
        let in_rings = u64::from(pool.size() - pool.available());
        twins.resemble(ports.iter().map(|named| (named.port.mac(), named.port.mtu())))?;
        Ok(Ports { ports, pool, twins, in_rings })
    }

    /// Shares the queues out: worker by worker, the queues of its number, and those beyond the number of workers in
    /// turns. A queue has one owner: a second call finds none left.
    pub fn queues(&mut self, workers: usize) -> Vec<Queues> {
        let mut shares: Vec<Queues> = (0..workers).map(|_| Queues::default()).collect();
        for (number, named) in (0..).zip(&mut self.ports) {
            for queue in 0..named.rx_queues {
                let share = &mut shares[usize::from(queue) % workers];
                share.receive.extend(named.port.take_rx_queue(queue).map(|queue| (InterfaceId(number), queue)));
            }
            for (queue, share) in (0..).zip(&mut shares) {
                share.transmit.extend(named.port.take_tx_queue(queue));
            }
        }
        shares
    }

    /// The interfaces as workers know them.
    pub fn interfaces(&self) -> Vec<Interface> {
        let interface =
            |named: &Named| Interface { mac: named.port.mac(), mtu: named.port.mtu(), twin: named.underlying.twin };
        self.ports.iter().map(interface).collect()
    }

    /// The interface of a device.
    pub fn interface(&self, device: &str) -> Option<InterfaceId> {
        let number = self.ports.iter().position(|named| named.name == device)?;
        u16::try_from(number).ok().map(InterfaceId)
    }

    /// The ports' twins in the kernel.
    pub fn twins(&self) -> &Twins {
        &self.twins
    }

    /// The packet buffers.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Buffers that receive rings held before there was traffic.
    pub fn buffers_in_rings(&self) -> u64 {
        self.in_rings
    }

    /// Packets that devices missed for want of room or of buffers.
    pub fn missed(&self) -> u64 {
        self.ports.iter().map(Named::counters).map(|counters| counters.imissed + counters.rx_nombuf).sum()
    }

    /// The devices as listed.
    pub fn rows<'a>(&'a self, device: Option<&'a str>) -> impl Iterator<Item = LinkRow> + 'a {
        let wanted = move |(_, named): &(u16, &Named)| device.is_none_or(|device| device == named.name);
        (1..).zip(&self.ports).filter(wanted).map(|(index, named)| self.row(index, named))
    }

    fn row(&self, index: u16, named: &Named) -> LinkRow {
        let port = &named.port;
        let link = named.link();
        let twin = self.twins.get(usize::from(index) - 1).map(|twin| twin.name().to_owned());
        LinkRow {
            index,
            name: named.name.clone(),
            driver: port.driver().to_owned(),
            socket: port.socket().map_or(0, |socket| socket as i32),
            mtu: port.mtu(),
            rx_queues: named.rx_queues,
            tx_queues: named.tx_queues,
            up: link.up,
            speed_mbps: link.speed_mbps,
            full_duplex: link.full_duplex,
            autonegotiated: link.autonegotiated,
            promiscuous: port.promiscuous(),
            all_multicast: port.all_multicast(),
            forward2kni: named.underlying.twin == Twin::Everything,
            twin,
            mac: port.mac(),
            offloads: Vec::new(),
            counters: named.counters(),
            mbufs_available: self.pool.available(),
            mbufs_in_use: self.pool.size() - self.pool.available(),
        }
    }
}

impl Named {
    /// What the driver counts; nothing where it cannot.
    fn counters(&self) -> LinkCounters {
        self.port.stats().map_or_else(
            |_| LinkCounters::default(),
            |stats| LinkCounters {
                ipackets: stats.ipackets,
                opackets: stats.opackets,
                ibytes: stats.ibytes,
                obytes: stats.obytes,
                ierrors: stats.ierrors,
                oerrors: stats.oerrors,
                imissed: stats.imissed,
                rx_nombuf: stats.rx_nombuf,
            },
        )
    }
}

/// What DPDK calls the device.
pub fn device_name(device: &PortDevice) -> &str {
    match device {
        PortDevice::Pci(name) | PortDevice::Vdev(name) => name,
    }
}

fn open(eal: &Eal, pool: &Pool, port: &config::Port, steering: &Steering, twin: Twin) -> Result<Named> {
    let workers = steering.workers() as u16;
    let device = Device::parse(device_name(&port.device))?;
    let tx_queues = port.tx_queues.unwrap_or(workers);
    ensure!(tx_queues >= workers, "tx_queues is {tx_queues}, but each of the {workers} workers needs one");
    let rx_queues = port.rx_queues.unwrap_or(workers);
    let queues = steering.table().iter().map(|worker| worker.0).collect();
    let config = PortConfig {
        rx_queues,
        spread: (rx_queues == workers).then(|| Spread { key: steering.key().to_vec(), queues }),
        tx_queues,
        rx_descriptors: port.rx_descriptors,
        tx_descriptors: port.tx_descriptors,
        mtu: port.mtu,
        promiscuous: port.promiscuous,
        pool: pool.clone(),
    };
    let name = port.name.clone();
    let underlying = Underlying::new(&port.device, twin);
    let reception = Reception::new(port.promiscuous);
    let port = Port::open(eal, &device, config)?;
    if workers > 1 && !port.spreads() {
        info!(port = name, "this port does not spread packets by our hash: workers hand them over to each other");
    }
    Ok(Named { name, port, rx_queues, tx_queues, underlying, reception })
}
