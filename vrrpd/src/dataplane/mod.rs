//! The way to the dataplane: what groups ask of it, and what it has to say. The connection is made, and made again.
//!
//! A request is answered to the group that made it; one that is not, because the connection broke or the dataplane took
//! too long, is not answered at all: the lease says what becomes of it.

use crate::actor::GroupMessage;
use crate::kernel::{Interface, InterfaceAddress, Interfaces};
use crate::plan::GroupPlan;
use crate::{Sender, Tenure, Time};
use anyhow::{Context, Result, ensure};
use api::config::Config;
use api::ipc::{Client, ClientError, Event, RefusalKind, Role};
use api::row::{Query, Row};
use api::vrrp::{Adverts, Received, Router, TenureCall, TenureRow, Vip, VrrpEvent, WatchedRouter};
use api::{ObjectKind, Owner};
use ipnet::IpNet;
use net::vrrp::{Envelope, Vrid};
use ractor::ActorRef;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tracing::{info, warn};

/// How long the dataplane may take to answer: a lease is asked for three times.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long it may take to begin with, while it starts.
const BEGINNING: Duration = Duration::from_secs(5);
/// How long to wait before connecting again.
const AGAIN: Duration = Duration::from_millis(100);

/// What a group asks.
#[derive(Debug)]
pub(crate) enum Request {
    /// Do this about a tenure, and answer.
    Tenure {
        /// Who asks.
        group: ActorRef<GroupMessage>,
        /// What.
        call: TenureCall,
        /// When it was asked.
        sent: Time,
    },
    /// Say when all that was asked before is done.
    Flush(oneshot::Sender<()>),
}

/// The groups that live in the dataplane.
#[derive(Default)]
pub(crate) struct Directory {
    /// The actors with the names of their tenures.
    pub(crate) groups: Vec<(String, ActorRef<GroupMessage>)>,
    /// What they want to hear, each with whom to tell and the position of the member.
    pub(crate) routers: Vec<(WatchedRouter, ActorRef<GroupMessage>, usize)>,
}

/// What a group of the dataplane begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connected {
    /// The run of the dataplane.
    pub boot: u128,
    /// Whether it holds all that was configured.
    pub filled: bool,
    /// The number of the tenure it holds for the group.
    pub held: Option<u64>,
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The tenure's number in the dataplane.
    pub id: u64,
    /// When it was asked.
    pub sent: Time,
    /// Whether it was granted.
    pub outcome: Result<(), RefusalKind>,
}

/// Where the dataplane of a configuration listens.
pub fn socket(config: &Config, instance: &str) -> PathBuf {
    std::env::var_os("SLUICE_SOCKET").map_or_else(|| config.ipc.socket(instance), PathBuf::from)
}

/// What the dataplane is to hold for a group.
pub(crate) fn tenure(plan: &GroupPlan, tenure: &Tenure, id: u64) -> api::vrrp::Tenure {
    let router =
        |((member, settings), advert): ((&crate::plan::MemberPlan, &crate::MemberSettings), &crate::Advert)| {
            let by_workers = settings.sender == Sender::Workers;
            let adverts = Adverts {
                device: member.interface.clone(),
                source: advert.source,
                fields: advert.fields,
                addresses: advert.addresses.clone(),
                peers: member.peers.clone(),
            };
            let vip = |net: &IpNet| Vip {
                address: net.addr(),
                prefix_len: net.prefix_len(),
                device: member.interface.clone(),
            };
            Router {
                adverts: by_workers.then_some(adverts),
                addresses: member.addresses.iter().filter(|_| by_workers).map(vip).collect(),
                announcements: member.announcements,
            }
        };
    let members = plan.members.iter().zip(&plan.settings.members);
    api::vrrp::Tenure {
        id,
        name: plan.settings.name.clone(),
        lease: plan.settings.lease.unwrap_or_default(),
        routers: members.zip(&tenure.adverts).map(router).collect(),
    }
}

/// The connection of a process.
pub(crate) struct Dataplane {
    /// Where it listens.
    pub(crate) socket: PathBuf,
    /// What is asked of it.
    pub(crate) requests: mpsc::UnboundedReceiver<Request>,
    /// Whom to tell.
    pub(crate) directory: watch::Receiver<Arc<Directory>>,
    /// The ports, as interfaces.
    pub(crate) ports: watch::Sender<Arc<Interfaces>>,
}

impl Dataplane {
    /// Keeps up the connection while there are groups that need one.
    pub(crate) async fn run(mut self) {
        let mut told = false;
        loop {
            if self.directory.borrow_and_update().routers.is_empty() {
                if self.directory.changed().await.is_err() {
                    return;
                }
            } else if let Err(error) = self.session().await {
                if !std::mem::replace(&mut told, true) {
                    warn!("{error:#}; trying again");
                }
                while self.requests.try_recv().is_ok() {}
                tokio::time::sleep(AGAIN).await;
            } else {
                told = false;
            }
        }
    }

    /// Connects, and serves until the connection breaks or other groups need it.
    async fn session(&mut self) -> Result<()> {
        let directory = Arc::clone(&self.directory.borrow());
        let begin = self.begin(&directory);
        let Session { mut client, mut events, mut watched } =
            timeout(BEGINNING, begin).await.context("the dataplane does not answer")??;
        let mut told = false;
        loop {
            tokio::select! {
                Some(request) = self.requests.recv() => match request {
                    Request::Tenure { group, call, sent } => serve(&mut client, &group, call, sent).await?,
                    Request::Flush(done) => {
                        // Who asked may have given up.
                        let _ = done.send(());
                    }
                },
                event = events.next() => match event? {
                    Event::Filled => tell_all(&directory, || GroupMessage::Tell(crate::Input::Filled)),
                    Event::Link { .. } | Event::Missed(_) => self.list_ports(&mut client).await?,
                    Event::Changed { change, .. } if change.key().is_some_and(|key| key.kind() == ObjectKind::Address) => {
                        self.list_ports(&mut client).await?;
                    }
                    Event::Changed { .. } => (),
                },
                event = watched.next() => match event? {
                    VrrpEvent::Received(received) => deliver(&directory, received),
                    VrrpEvent::Ended { id, why } => {
                        info!(tenure = id, ?why, "the dataplane ended it");
                        tell_all(&directory, || GroupMessage::Ended { id });
                    }
                    VrrpEvent::Missed(missed) if !std::mem::replace(&mut told, true) => {
                        warn!(missed, "advertisements came faster than they could be read");
                    }
                    VrrpEvent::Watching | VrrpEvent::Missed(_) => (),
                },
                changed = self.directory.changed() => {
                    changed?;
                    return Ok(());
                }
            }
        }
    }

    async fn begin(&self, directory: &Directory) -> Result<Session> {
        let connect = || Client::connect(&self.socket, "vrrpd");
        // First, so that nothing is missed of what happens meanwhile.
        let events = connect().await?.subscribe().await?;
        let mut client = connect().await?;
        let hello = client.hello().clone();
        ensure!(
            hello.role == Role::Operate(Owner::Vrrpd),
            "the dataplane takes this process for another than vrrpd: run it as the user that ipc.users.vrrpd names"
        );
        let routers = directory.routers.iter().map(|(router, ..)| router.clone()).collect();
        let watched = connect().await?.watch(routers).await?;
        self.list_ports(&mut client).await?;
        let held = tenures(&mut client).await?;
        for (id, name) in held.iter().filter(|(_, name)| !directory.groups.iter().any(|(known, _)| known == name)) {
            info!(tenure = id, name, "nothing of that name is configured any more: dropping it");
            client.tenure(TenureCall::Drop { id: *id, wills: Vec::new() }).await?;
        }
        client.filled().await?;
        for (name, group) in &directory.groups {
            let held = held.iter().find(|(_, of)| of == name).map(|(id, _)| *id);
            // It fails when the actor has ended.
            let connected = Connected { boot: hello.boot_id.0, filled: hello.filled, held };
            let _ = group.cast(GroupMessage::Connected(connected));
        }
        info!(boot_id = %hello.boot_id, "connected to the dataplane");
        Ok(Session { client, events, watched })
    }

    async fn list_ports(&self, client: &mut Client) -> Result<()> {
        let mut ports = Interfaces::new();
        for row in client.list(Query::Links { device: None }).await? {
            let Row::Link(row) = row else { continue };
            let port = Interface { index: row.index.into(), up: row.up, mac: None, addresses: Vec::new() };
            ports.insert(row.name, port);
        }
        for row in client.list(Query::Addresses { device: None }).await? {
            let Row::Address(row) = row else { continue };
            let Some(port) = ports.get_mut(&row.address.device) else { continue };
            let Ok(net) = IpNet::new(row.address.address, row.address.prefix_len) else { continue };
            port.addresses.push(InterfaceAddress { net, ours: row.owners.contains(Owner::Vrrpd), usable: true });
        }
        let ports = Arc::new(ports);
        self.ports.send_if_modified(|known| {
            let changed = *known != ports;
            *known = ports;
            changed
        });
        Ok(())
    }
}

struct Session {
    client: Client,
    events: api::ipc::Events,
    watched: api::ipc::VrrpEvents,
}

async fn tenures(client: &mut Client) -> Result<Vec<(u64, String)>> {
    let rows = client.list(Query::Tenures).await?;
    let named = |row| match row {
        Row::Tenure(row) => {
            let TenureRow { tenure, .. } = *row;
            Some((tenure.id, tenure.name))
        }
        _ => None,
    };
    Ok(rows.into_iter().filter_map(named).collect())
}

/// Makes a call, and tells the group what came of it.
async fn serve(client: &mut Client, group: &ActorRef<GroupMessage>, call: TenureCall, sent: Time) -> Result<()> {
    let what = call.to_string();
    let id = match &call {
        TenureCall::Claim(tenure) | TenureCall::Replace(tenure) => Some(tenure.id),
        TenureCall::Renew { id } => Some(*id),
        TenureCall::Drop { .. } | TenureCall::Advertise { .. } | TenureCall::Announce { .. } => None,
    };
    let outcome = match timeout(PATIENCE, client.tenure(call)).await.context("the dataplane does not answer")? {
        Ok(_) => Ok(()),
        Err(ClientError::Refused(refusal)) => {
            // What is not there any more is told of apart.
            if refusal.kind != RefusalKind::NotFound {
                warn!("{what}: refused: {}", refusal.message);
            }
            Err(refusal.kind)
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(id) = id {
        // It fails when the actor has ended.
        let _ = group.cast(GroupMessage::Answered(Answered { id, sent, outcome }));
    }
    Ok(())
}

/// Hands a message to whom it is for: the second byte says to which virtual router.
fn deliver(directory: &Directory, received: Received) {
    let Some(vrid) = received.message.get(1).copied().and_then(Vrid::new) else { return };
    let ipv6 = received.source.is_ipv6();
    let is_for =
        |router: &WatchedRouter| router.device == received.device && router.vrid == vrid && router.ipv6 == ipv6;
    let Some((_, group, member)) = directory.routers.iter().find(|(router, ..)| is_for(router)) else { return };
    let ip = match (received.source, received.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => Envelope::V4 { source, destination, ttl: received.ttl },
        (IpAddr::V6(source), IpAddr::V6(destination)) => Envelope::V6 { source, destination, hop_limit: received.ttl },
        _ => return,
    };
    let at = Time::from_nanos(received.at);
    // It fails when the actor has ended.
    let _ = group.cast(GroupMessage::Received { member: *member, at, ip, payload: received.message });
}

fn tell_all(directory: &Directory, message: impl Fn() -> GroupMessage) {
    for (_, group) in &directory.groups {
        // It fails when the actor has ended.
        let _ = group.cast(message());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::plans;
    use crate::{Advert, MemberSettings};
    use net::vrrp::{ChecksumForm, Fields};
    use std::path::Path;

    fn advert(settings: &MemberSettings) -> Advert {
        let fields = Fields {
            version: settings.version,
            vrid: settings.vrid,
            priority: 100,
            interval: settings.interval,
            authentication: settings.authentication,
            checksum: ChecksumForm::Message,
        };
        Advert { source: "10.0.0.2".parse().unwrap(), fields, addresses: settings.addresses.clone() }
    }

    #[test]
    fn the_dataplane_holds_what_is_on_its_ports_and_nothing_else() {
        let instance = |name: &str, interface: &str, vrid: u8| {
            format!(
                "[[vrrp.instance]]\nname = \"{name}\"\ninterface = \"{interface}\"\nvirtual_router_id = {vrid}\n\
                 virtual_ipaddress = [\"10.0.0.{vrid}/24\"]\nvirtual_ipaddress_excluded = [\"10.1.0.{vrid}\"]\n"
            )
        };
        let text = "[[dataplane.port]]\nname = \"dpdk0\"\ndevice = \"net_null0\"\n".to_owned()
            + &instance("a", "dpdk0", 1)
            + &instance("b", "eth0", 2)
            + "[[vrrp.sync_group]]\nname = \"g\"\ngroup = [\"a\", \"b\"]\n";
        let plans = plans(&Config::parse(&text, Path::new("x.toml")).unwrap());
        let [plan] = &plans[..] else { panic!("{plans:?}") };
        let adverts = plan.settings.members.iter().map(advert).collect();
        let held = tenure(plan, &Tenure { id: 1, adverts }, 77);
        assert_eq!((held.id, held.name.as_str(), held.lease), (77, "g", Duration::from_secs(3)));
        let [a, b] = &held.routers[..] else { panic!("{held:?}") };
        let adverts = a.adverts.as_ref().expect("workers advertise");
        assert_eq!((adverts.device.as_str(), adverts.fields.vrid.get(), adverts.addresses.len()), ("dpdk0", 1, 1));
        let vips: Vec<String> = a.addresses.iter().map(|vip| format!("{}/{}", vip.address, vip.prefix_len)).collect();
        assert_eq!(vips, ["10.0.0.1/24", "10.1.0.1/32"]);
        assert_eq!((&b.adverts, b.addresses.len()), (&None, 0), "vrrpd sees to that");
    }
}
