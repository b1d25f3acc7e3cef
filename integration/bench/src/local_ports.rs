//! What it costs a worker to find a source port and take it.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use engine::WorkerId;
use engine::port::{PER_BUCKET, PortPool};
use engine::steering::Steering;

use crate::own_time::own_time;
use crate::world::steering;

const LOCAL: Ipv4Addr = Ipv4Addr::new(192, 168, 101, 1);
const SERVER: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 168, 100, 1), 80);

/// Ports taken before as many are given back.
const BATCH: usize = 1024;

/// The ports of a local address towards one server, of which some are in use.
pub struct Ports {
    pool: PortPool,
    steering: Arc<Steering>,
    /// Those in use.
    held: Vec<u16>,
    random: fastrand::Rng,
}

impl Ports {
    /// A pool of which so many percent are in use, any of them: what was taken has been given back in any order.
    ///
    /// # Panics
    /// When there is no port: `percent` is below 99.
    pub fn in_use(percent: usize) -> Self {
        let random = fastrand::Rng::with_seed(percent as u64);
        let mut ports = Ports { pool: PortPool::new(), steering: steering(1), held: Vec::new(), random };
        while ports.held.len() < PER_BUCKET * percent / 100 {
            ports.take();
        }
        ports.allocate(10 * PER_BUCKET);
        ports
    }

    /// Seconds per port, of so many taken while as many are given back.
    ///
    /// # Panics
    /// When there is no port.
    pub fn allocate(&mut self, count: usize) -> f64 {
        let batches = count.div_ceil(BATCH);
        let mut spent = Duration::ZERO;
        for _ in 0..batches {
            for _ in 0..BATCH {
                let port = self.held.swap_remove(self.random.usize(..self.held.len()));
                self.pool.release(&self.steering, SERVER, port);
            }
            let began = own_time();
            for _ in 0..BATCH {
                self.take();
            }
            spent += own_time() - began;
        }
        spent.as_secs_f64() / (batches * BATCH) as f64
    }

    fn take(&mut self) {
        let found = self.pool.find(&self.steering, WorkerId(0), LOCAL, SERVER).expect("a free port");
        self.pool.take(&self.steering, found);
        self.held.push(found.port);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn as_many_ports_are_in_use_as_it_says() {
        for percent in [5, 95] {
            let mut ports = Ports::in_use(percent);
            assert!(ports.allocate(1000) > 0.0);
            let held: BTreeSet<u16> = ports.held.iter().copied().collect();
            assert_eq!(held.len(), PER_BUCKET * percent / 100);
        }
    }
}
