//! One path of the engine, taken so often: for callgrind to count instructions.

use std::str::FromStr;

use crate::measure;
use crate::population::{Population, Protocol};
use crate::world::BATCH;

/// Connections there are; what a packet costs in instructions hardly depends on them.
const CONNECTIONS: u64 = 1000;

/// A path of packets through the engine.
#[derive(Clone, Copy)]
pub enum Route {
    /// Packets of UDP connections, in both directions.
    UdpHit,
    /// Segments of established TCP connections, in both directions.
    TcpHit,
    /// Packets of UDP connections, those of clients to a virtual router's MAC address.
    VirtualMacHit,
    /// First packets of UDP connections.
    New,
    /// Packets that no service is for.
    Miss,
}

impl Route {
    /// Each, by its name.
    pub const ALL: [(&'static str, Route); 5] = [
        ("udp_hit", Route::UdpHit),
        ("tcp_hit", Route::TcpHit),
        ("virtual_mac_hit", Route::VirtualMacHit),
        ("new_udp", Route::New),
        ("miss", Route::Miss),
    ];

    /// Sends batches of [`BATCH`] packets.
    pub fn run(self, batches: usize) {
        let packets = batches * BATCH;
        let mut random = fastrand::Rng::with_seed(1);
        match self {
            Route::UdpHit => measure::hits(&mut Population::new(Protocol::Udp, CONNECTIONS), packets, &mut random),
            Route::TcpHit => measure::hits(&mut Population::new(Protocol::Tcp, CONNECTIONS), packets, &mut random),
            Route::VirtualMacHit => {
                let mut population = Population::new(Protocol::Udp, CONNECTIONS);
                population.use_virtual_mac();
                measure::hits(&mut population, packets, &mut random)
            }
            Route::New => measure::new_connections(&mut Population::empty(Protocol::Udp, 8 * CONNECTIONS), packets),
            Route::Miss => measure::misses(&mut Population::empty(Protocol::Udp, CONNECTIONS), packets, &mut random),
        };
    }
}

impl FromStr for Route {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Route::ALL.iter().find(|(known, _)| *known == name);
        found.map(|&(_, route)| route).ok_or_else(|| {
            let names = Route::ALL.map(|(known, _)| known).join(", ");
            format!("no path of the engine is called {name:?}; there are {names}")
        })
    }
}
