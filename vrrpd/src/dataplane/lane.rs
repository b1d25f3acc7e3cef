//! A connection on which calls are made one after the other.

use super::{Answered, Facts, Request, held};
use crate::actor::GroupMessage;
use crate::kernel::{Interface, InterfaceAddress, Interfaces};
use anyhow::{Context, Result};
use api::Owner;
use api::ipc::{Client, ClientError, RefusalKind};
use api::row::{Query, Row};
use api::vrrp::{Tenure, TenureCall};
use ipnet::IpNet;
use net::{MacAddr, ipv6};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::timeout;
use tracing::warn;

/// What there is to do.
pub(super) enum Job {
    /// What a group asks.
    Asked(Request),
    /// Drop a tenure that is no group's.
    Drop(Tenure),
    /// List the ports with their addresses.
    Ports,
    /// List the facts.
    Facts,
    /// List the tenures that are held.
    Tenures,
    /// Say that everything is there that is to be there.
    Filled,
}

/// What came of it, beside what groups are told.
pub(super) enum News {
    /// A claim of that number was answered.
    Claimed(u64),
    /// The ports.
    Ports(Interfaces),
    /// The facts.
    Facts(Facts),
    /// The tenures that are held.
    Tenures(Vec<Tenure>),
}

/// Does what there is to do until there is no more, or the dataplane does not answer within `patience`.
pub(super) async fn work(
    mut client: Client,
    mut jobs: UnboundedReceiver<Job>,
    news: UnboundedSender<News>,
    patience: Duration,
) -> Result<()> {
    while let Some(job) = jobs.recv().await {
        let done = timeout(patience, perform(&mut client, job)).await.context("the dataplane does not answer")??;
        if let Some(done) = done {
            // It fails when nobody wants to know any more.
            let _ = news.send(done);
        }
    }
    Ok(())
}

async fn perform(client: &mut Client, job: Job) -> Result<Option<News>> {
    Ok(match job {
        Job::Asked(Request::Tenure { group, call, sent }) => {
            let claim = if let TenureCall::Claim(tenure) = &call { Some(News::Claimed(tenure.id)) } else { None };
            let (id, outcome) = ask(client, call).await?;
            if let Some(id) = id {
                // It fails when the actor has ended.
                let _ = group.cast(GroupMessage::Answered(Answered { id, sent, outcome }));
            }
            claim
        }
        Job::Asked(Request::Flush(done)) => {
            // Who asked may have given up.
            let _ = done.send(());
            None
        }
        Job::Drop(tenure) => {
            // Refused is only what is not held any more.
            let _ = ask(client, TenureCall::Drop { id: tenure.id, wills: held::wills(&tenure) }).await?;
            None
        }
        Job::Ports => Some(News::Ports(ports(client).await?)),
        Job::Facts => {
            let rows = client.list(Query::Facts).await?.into_iter();
            let fact = |row| if let Row::Fact(row) = row { Some((row.fact.name, row.fact.holds)) } else { None };
            Some(News::Facts(rows.filter_map(fact).collect()))
        }
        Job::Tenures => {
            let rows = client.list(Query::Tenures).await?.into_iter();
            let tenures = rows.filter_map(|row| if let Row::Tenure(row) = row { Some(row.tenure) } else { None });
            Some(News::Tenures(tenures.collect()))
        }
        Job::Filled => {
            client.filled().await?;
            None
        }
    })
}

/// Makes a call. Returns the tenure's number, where an answer is wanted, and what came of it.
async fn ask(client: &mut Client, call: TenureCall) -> Result<(Option<u64>, Result<(), RefusalKind>)> {
    let what = call.to_string();
    let id = match &call {
        TenureCall::Claim(tenure) | TenureCall::Replace(tenure) => Some(tenure.id),
        TenureCall::Renew { id } => Some(*id),
        TenureCall::Drop { .. } | TenureCall::Advertise { .. } | TenureCall::Announce { .. } => None,
    };
    match client.tenure(call).await {
        Ok(_) => Ok((id, Ok(()))),
        Err(ClientError::Refused(refusal)) => {
            // What is not there any more is told of apart.
            if refusal.kind != RefusalKind::NotFound {
                warn!("{what}: refused: {}", refusal.message);
            }
            Ok((id, Err(refusal.kind)))
        }
        Err(error) => Err(error.into()),
    }
}

/// The address by which an interface with this MAC address speaks IPv6 on its link.
fn link_local(mac: MacAddr) -> IpNet {
    IpNet::new_assert(ipv6::link_local(mac).into(), 64)
}

async fn ports(client: &mut Client) -> Result<Interfaces> {
    let mut ports = Interfaces::new();
    for row in client.list(Query::Links { device: None }).await? {
        let Row::Link(row) = row else { continue };
        // Of IPv6 a port lists what comes with tenures; this one its twin has too.
        let own = InterfaceAddress { net: link_local(row.mac), ours: false, usable: true };
        let port = Interface { index: row.index.into(), up: row.up, addresses: vec![own], ..Interface::default() };
        ports.insert(row.name, port);
    }
    for row in client.list(Query::Addresses { device: None }).await? {
        let Row::Address(row) = row else { continue };
        let Some(port) = ports.get_mut(&row.address.device) else { continue };
        let Ok(net) = IpNet::new(row.address.address, row.address.prefix_len) else { continue };
        port.addresses.push(InterfaceAddress { net, ours: row.owners.contains(Owner::Vrrpd), usable: true });
    }
    Ok(ports)
}
