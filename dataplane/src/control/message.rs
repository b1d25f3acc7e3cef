//! What the control actor can be asked.

use std::net::IpAddr;
use std::time::Instant;

use api::capture::Capture;
use api::ipc::{Event, Refusal};
use api::row::{AddressRow, Query, Row, ServerRow, ServiceRow};
use api::vrrp::{TenureCall, VrrpEvent, WatchedRouter};
use api::{Change, LinkSettings, ObjectKey, Owner, ServiceKey};
use engine::FlowPage;
use net::HeapBuffer;
use ractor::RpcReplyPort;
use tokio::sync::{broadcast, mpsc};

use super::capture::Stream;
use crate::worker::Question;

/// A message to the control actor. Replies carry the configuration generation in force, or the refusal.
#[derive(Debug)]
pub enum ControlMessage {
    /// Make these changes as this owner, all or none; reply when every worker runs them.
    Apply {
        /// Whose changes they are.
        owner: Owner,
        /// The changes.
        changes: Vec<Change>,
        /// Takes the outcome.
        reply: RpcReplyPort<Result<u64, Refusal>>,
    },
    /// List. The reader may be as slow as its client: send the rows from a task of their own, stop when the channel is
    /// closed, and reply after the last batch.
    List {
        /// What to list.
        query: Query,
        /// Takes batches of rows, some hundreds each.
        rows: mpsc::Sender<Vec<Row>>,
        /// Takes the outcome.
        reply: RpcReplyPort<Result<u64, Refusal>>,
    },
    /// Say what is known of one object; nothing, when there is none.
    Find {
        /// The object.
        key: ObjectKey,
        /// Takes it.
        reply: RpcReplyPort<Option<Found>>,
    },
    /// Zero the totals of a service, or of all.
    Zero {
        /// Who asks.
        owner: Owner,
        /// The service; all when absent.
        service: Option<ServiceKey>,
        /// Takes the outcome.
        reply: RpcReplyPort<Result<u64, Refusal>>,
    },
    /// Take a daemon's word that its objects are there.
    Filled {
        /// The daemon.
        owner: Owner,
        /// Takes the generation in force.
        reply: RpcReplyPort<Result<u64, Refusal>>,
    },
    /// Change settings of a device; reply when every worker knows.
    SetLink {
        /// Who asks.
        owner: Owner,
        /// The device.
        device: String,
        /// The settings.
        settings: LinkSettings,
        /// Takes the outcome.
        reply: RpcReplyPort<Result<u64, Refusal>>,
    },
    /// The network device under a port is up or not.
    Netdev {
        /// The port's number.
        port: usize,
        /// Whether it is up.
        up: bool,
    },
    /// Hand out the stream of events from now on. A receiver that reads too slowly learns how many it missed, and
    /// never holds up the sender.
    Subscribe {
        /// Takes the receiver.
        reply: RpcReplyPort<broadcast::Receiver<Event>>,
    },
    /// Copy packets from now on.
    Capture {
        /// Which.
        capture: Capture,
        /// Takes what brings them, or the refusal.
        reply: RpcReplyPort<Result<Stream, Refusal>>,
    },
    /// Copy no more packets for a capture. When it has ended already, nothing is done.
    EndCapture {
        /// The capture's number.
        id: u64,
        /// Takes the generation in force.
        reply: RpcReplyPort<u64>,
    },
    /// Do something about a tenure of vrrpd's; reply when it is done.
    Tenure {
        /// What.
        call: TenureCall,
        /// When the call came: leases are counted from then.
        received: Instant,
        /// Takes the outcome.
        reply: RpcReplyPort<Result<u64, Refusal>>,
    },
    /// Hand out what is received for these virtual routers, and what becomes of tenures, from now on until the receiver
    /// is dropped. One that reads too slowly learns how many it missed.
    Watch {
        /// The virtual routers.
        routers: Vec<WatchedRouter>,
        /// Takes the receiver, or the refusal.
        reply: RpcReplyPort<Result<mpsc::Receiver<VrrpEvent>, Refusal>>,
    },
    /// A page of a worker's connections, for a listing under way.
    Page {
        /// The worker.
        worker: usize,
        /// The page to fill.
        page: Box<FlowPage>,
        /// Takes the page back.
        reply: RpcReplyPort<Box<FlowPage>>,
    },
    /// A question to a worker, what would become of a packet.
    Ask {
        /// The worker.
        worker: usize,
        /// The packet.
        packet: HeapBuffer,
        /// Takes the answer.
        reply: RpcReplyPort<Box<Question>>,
    },
    /// Drop every tenure, with its last wills; reply when they are on their way.
    Resign(RpcReplyPort<()>),
    /// Do what is due. Sent by a timer that waits for the reply, so that ticks never pile up.
    Tick(RpcReplyPort<()>),
}

/// What is known of one object.
#[derive(Debug)]
pub enum Found {
    /// An address.
    Address(AddressRow),
    /// A service, without its servers, and its local addresses.
    Service(ServiceRow, Vec<IpAddr>),
    /// A server.
    Server(ServerRow),
}
