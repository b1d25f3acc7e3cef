//! Changes of the configuration, as operators and daemons make them.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use engine::Scheduler;
use engine::lease::Thresholds;
use engine::snapshot::Twin;

use crate::control::DRAIN;
use crate::peers::SERVERS;
use crate::plan::{ServerPlan, ServiceName, ServicePlan};
use crate::simulation::{Simulation, at};

const VIPS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 100), Ipv4Addr::new(10, 0, 0, 101)];

const LOCALS: [Ipv4Addr; 3] =
    [Ipv4Addr::new(192, 168, 100, 200), Ipv4Addr::new(192, 168, 100, 201), Ipv4Addr::new(192, 168, 100, 202)];

fn all_services() -> Vec<ServiceName> {
    VIPS.iter().flat_map(|&vip| [(6, at(vip, 80)), (17, at(vip, 53))]).collect()
}

impl Simulation<'_> {
    /// The configuration to begin with.
    pub fn configure(&mut self) {
        self.control.plan.vips.extend(VIPS);
        for name in all_services() {
            self.add_service(name);
        }
        self.control.publish(&mut self.members);
    }

    /// One change, or several at once as a reload makes them.
    pub fn change(&mut self) {
        let changes = if self.random.percent(10) { 8 } else { 1 };
        for _ in 0..changes {
            self.change_one();
        }
        self.control.drop_locals();
        self.control.publish(&mut self.members);
    }

    fn change_one(&mut self) {
        let name = self.random.pick(&all_services());
        match self.random.below(100) {
            0..30 => self.change_server(name),
            30..50 => self.add_or_remove_server(name),
            50..60 => self.change_limit(name),
            60..70 => self.add_or_remove_local(name),
            70..78 => self.edit_service(name),
            78..84 => match self.control.plan.services.contains_key(&name) {
                true => self.remove_service(name),
                false => self.add_service(name),
            },
            84..90 => {
                let vip = *name.1.ip();
                if !self.control.plan.vips.remove(&vip) {
                    self.control.plan.vips.insert(vip);
                }
            }
            90 => {
                self.control.plan.route_generation += 1;
                self.control.plan.far_route ^= true;
            }
            91..95 => {
                self.control.plan.route_generation += 1;
                let side = self.random.below(2);
                self.control.plan.mtu[side] = self.random.pick(&[1500, 1500, 1280, 600]);
            }
            95..97 => self.control.plan.decrement_ttl = self.random.percent(50),
            _ => {
                let side = self.random.below(2);
                self.control.plan.twins[side] = self.random.pick(&[Twin::Absent, Twin::Unhandled, Twin::Everything]);
            }
        }
    }

    fn add_service(&mut self, name: ServiceName) {
        let Some(slot) = self.control.services.take() else { return };
        let scheduler = self.random.pick(&[
            Scheduler::RoundRobin,
            Scheduler::WeightedRoundRobin,
            Scheduler::WeightedLeastConnections,
        ]);
        let service = ServicePlan {
            slot,
            scheduler,
            timeout: self.random.pick(&[0, 0, 5]),
            expire_quiescent: self.random.percent(30),
            servers: Default::default(),
            locals: Default::default(),
        };
        self.control.plan.services.insert(name, service);
        for server in SERVERS.into_iter().take(2) {
            self.add_server(name, at(server, name.1.port()));
        }
        self.add_local(name, LOCALS[0]);
    }

    fn remove_service(&mut self, name: ServiceName) {
        let servers: Vec<SocketAddrV4> = self.control.plan.services[&name].servers.keys().copied().collect();
        servers.into_iter().for_each(|server| self.remove_server(name, server));
        let Some(service) = self.control.plan.services.remove(&name) else { return };
        service.locals.values().for_each(|&slot| self.control.bindings.drain(slot));
        self.control.services.drain(service.slot);
    }

    fn edit_service(&mut self, name: ServiceName) {
        let (timeout, expires) = (self.random.pick(&[0, 5, 20]), self.random.percent(30));
        let Some(service) = self.control.plan.services.get_mut(&name) else { return };
        (service.timeout, service.expire_quiescent) = (timeout, expires);
        let quiescent = service.servers.values().filter(|server| expires && server.weight == 0);
        let slots: Vec<u32> = quiescent.map(|server| server.slot).collect();
        slots.into_iter().for_each(|slot| self.control.end_later(slot, self.now));
    }

    fn add_server(&mut self, name: ServiceName, server: SocketAddrV4) {
        let Some(slot) = self.control.servers.take() else { return };
        let upper = self.random.below(6) as u32;
        let thresholds = (upper > 0 && self.random.percent(40)).then_some(Thresholds { upper, lower: upper / 2 });
        self.control.begin_limit(slot, thresholds, &mut self.members);
        let server_plan = ServerPlan { slot, weight: self.random.below(3) as u32 + 1, thresholds };
        let service = self.control.plan.services.get_mut(&name).expect("the service");
        service.servers.insert(server, server_plan);
    }

    fn remove_server(&mut self, name: ServiceName, server: SocketAddrV4) {
        let service = self.control.plan.services.get_mut(&name).expect("the service");
        let Some(old) = service.servers.remove(&server) else { return };
        self.control.servers.drain(old.slot);
        if service.expire_quiescent {
            self.control.end_later(old.slot, self.now);
        }
    }

    fn add_or_remove_server(&mut self, name: ServiceName) {
        let server = at(self.random.pick(&SERVERS), name.1.port());
        match self.control.plan.services.get(&name).map(|service| service.servers.contains_key(&server)) {
            Some(true) => self.remove_server(name, server),
            Some(false) => self.add_server(name, server),
            None => {}
        }
    }

    /// Another weight, or a drain: no new connections, and an end to the old ones some time later.
    fn change_server(&mut self, name: ServiceName) {
        let (weight, drains) = (self.random.below(4) as u32, self.random.percent(20));
        let after = DRAIN * self.random.below(4) as u32;
        let Some(service) = self.control.plan.services.get_mut(&name) else { return };
        let (servers, expires) = (service.servers.len(), service.expire_quiescent);
        let Some(server) = service.servers.values_mut().nth(self.random.below(servers.max(1))) else { return };
        server.weight = if drains { 0 } else { weight };
        let slot = server.slot;
        match server.weight {
            0 if expires => self.control.end_later(slot, self.now + Duration::ZERO),
            0 if drains => self.control.end_later(slot, self.now + after),
            _ => {}
        }
    }

    fn change_limit(&mut self, name: ServiceName) {
        let upper = self.random.below(8) as u32;
        let thresholds = (upper > 0).then_some(Thresholds { upper, lower: upper / 3 });
        let Some(service) = self.control.plan.services.get_mut(&name) else { return };
        let servers = service.servers.len();
        let Some(server) = service.servers.values_mut().nth(self.random.below(servers.max(1))) else { return };
        if server.thresholds != thresholds {
            server.thresholds = thresholds;
            let slot = server.slot;
            self.control.change_limit(slot, thresholds, &mut self.members);
        }
    }

    fn add_local(&mut self, name: ServiceName, local: Ipv4Addr) {
        let Some(binding) = self.control.bindings.take() else { return };
        match self.control.hold_local(local, &mut self.members) {
            Some(_) => {
                let service = self.control.plan.services.get_mut(&name).expect("the service");
                service.locals.insert(local, binding);
            }
            None => self.control.bindings.drain(binding),
        }
    }

    fn add_or_remove_local(&mut self, name: ServiceName) {
        let local = self.random.pick(&LOCALS);
        let Some(service) = self.control.plan.services.get_mut(&name) else { return };
        match service.locals.remove(&local) {
            Some(binding) => self.control.bindings.drain(binding),
            None => self.add_local(name, local),
        }
    }
}
