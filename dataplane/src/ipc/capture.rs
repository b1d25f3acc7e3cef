//! A client's capture: packets go out as workers see them, and as fast as the client reads.

use std::time::Duration;

use api::Owner;
use api::capture::{Capture, Packets};
use api::ipc::{Refusal, RefusalKind, Reply, Role};
use daemon::ipc::{Broken, Peer};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use tracing::info;

use super::connection::{CONTROL, Connection, silent};
use crate::control::capture::Stream;
use crate::control::message::ControlMessage;

/// How often workers' rings are looked at: they wake nobody.
const LOOK: Duration = Duration::from_millis(1);

/// The call that began a capture, and its packets.
pub(super) struct Capturing {
    id: u32,
    /// Never locked: it makes the connection fit for tasks that share it.
    stream: Mutex<Stream>,
}

impl Connection {
    /// Begins a capture; its packets follow the answer.
    pub(super) async fn capture(&mut self, id: u32, capture: Capture) -> Result<(), Broken> {
        match self.begin(id, &capture).await {
            Ok(mut capturing) => {
                let names = capturing.stream.get_mut().names().to_vec();
                self.capturing = Some(capturing);
                self.line.answer(id, Reply::Capturing(names)).await
            }
            Err(refusal) => self.line.answer(id, Reply::Refused(refusal)).await,
        }
    }

    async fn begin(&mut self, id: u32, capture: &Capture) -> Result<Capturing, Refusal> {
        // Traffic is for its operators alone: not for those who look, and not for daemons.
        if self.line.role != Role::Operate(Owner::Operator) {
            return Err(self.line.deny(capture, "capturing packets"));
        }
        if self.capturing.is_some() {
            let message = "this connection captures already; open another for another capture".into();
            return Err(Refusal { kind: RefusalKind::Exists, message, index: None });
        }
        let wanted = capture.clone();
        let stream = self.ask(|reply| ControlMessage::Capture { capture: wanted, reply }).await??;
        let running = async move {
            while !stream.is_running() {
                sleep(LOOK).await;
            }
            Mutex::new(stream)
        };
        let stream = timeout(CONTROL, running).await.map_err(|_| silent())?;
        let Peer { uid, pid, .. } = self.line.peer;
        info!(uid, pid, client = self.line.name, "{capture}: begun");
        Ok(Capturing { id, stream })
    }

    /// Ends the capture of a client that makes no more calls, if any: it still gets what was captured until now.
    pub(super) async fn finish_capture(&mut self) -> Result<(), Broken> {
        let Some(Capturing { id, stream }) = self.capturing.take() else { return Ok(()) };
        let mut stream = stream.into_inner();
        let number = stream.id();
        let reply = match self.ask(|reply| ControlMessage::EndCapture { id: number, reply }).await {
            Ok(generation) => match timeout(CONTROL, self.drain(id, &mut stream)).await {
                Ok(drained) => {
                    drained?;
                    Reply::Done { generation }
                }
                Err(_) => Reply::Refused(silent()),
            },
            Err(refusal) => Reply::Refused(refusal),
        };
        self.line.answer(id, reply).await
    }

    /// Passes on what is left, and how many were lost.
    async fn drain(&mut self, id: u32, stream: &mut Stream) -> Result<(), Broken> {
        loop {
            // In this order: when it was over, this is the last there is to say.
            let over = stream.is_over();
            let packets = stream.take();
            if packets.packets.is_empty() && !over {
                sleep(LOOK).await;
                continue;
            }
            self.line.answer_in_time(id, Reply::Packets(packets)).await?;
            if over {
                return Ok(());
            }
        }
    }
}

/// The next packets of the capture; never, when there is none. Dropping the future loses none.
pub(super) async fn next_packets(capturing: &mut Option<Capturing>) -> (u32, Packets) {
    let Some(Capturing { id, stream }) = capturing else { return std::future::pending().await };
    loop {
        let packets = stream.get_mut().take();
        if !packets.packets.is_empty() {
            return (*id, packets);
        }
        sleep(LOOK).await;
    }
}
