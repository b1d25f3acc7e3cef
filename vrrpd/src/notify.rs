//! The commands that are told of a state: one after the other for an instance, and for a group, and never waited for by
//! who is elected.

use crate::Task;
use crate::plan::GroupPlan;
use api::config::Notify;
use api::runner::{Asked, Run, RunError};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

/// How long a command may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long a runner that is absent is waited for, as while it is started anew; and how often it is looked for.
const ABSENCE: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(100);
/// So many commands wait at most; of more, the oldest do not run.
const WAITING: usize = 64;
/// How long the last ones may take one after the other; what is left then is handed over at once, which takes no longer
/// than that.
const LAST: Duration = Duration::from_secs(1);
const HANDING_OVER: Duration = Duration::from_millis(500);

/// A state, as commands are told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Master,
    Backup,
    Fault,
    Stop,
}

impl Told {
    fn name(self) -> &'static str {
        match self {
            Told::Master => "MASTER",
            Told::Backup => "BACKUP",
            Told::Fault => "FAULT",
            Told::Stop => "STOP",
        }
    }
}

/// The commands of a group and of its members.
pub(crate) struct Notifiers {
    /// By the members' positions.
    members: Vec<Notifier>,
    group: Notifier,
    told: Option<Told>,
}

impl Notifiers {
    /// Those of a plan, run by the runner that listens there.
    pub(crate) fn new(plan: &GroupPlan, runner: &Path) -> Self {
        let members = plan.members.iter();
        Self {
            members: members.map(|member| Notifier::new("INSTANCE", &member.name, &member.notify, runner)).collect(),
            group: Notifier::new("GROUP", &plan.settings.name, &plan.notify, runner),
            told: None,
        }
    }

    /// Tells of a state of all, unless it is the last one told; `priorities` are those of the members.
    pub(crate) fn tell(&mut self, state: Told, priorities: impl Iterator<Item = u8>) {
        if self.told.replace(state) == Some(state) {
            return;
        }
        self.members.iter().zip(priorities).for_each(|(member, priority)| member.tell(state, priority));
        self.group.tell(state, 0);
    }

    /// Has the last ones run, or handed over at least: they outlive this process.
    pub(crate) async fn close(&mut self) {
        let all = self.members.iter_mut().chain([&mut self.group]);
        futures_util::future::join_all(all.map(Notifier::close)).await;
    }
}

/// The commands of an instance, or of a group.
struct Notifier {
    kind: &'static str,
    name: String,
    notify: Notify,
    queue: Option<Queue>,
}

struct Queue {
    commands: mpsc::UnboundedSender<Vec<String>>,
    closing: watch::Sender<bool>,
    task: Task,
}

impl Notifier {
    fn new(kind: &'static str, name: &str, notify: &Notify, runner: &Path) -> Self {
        let queue = (*notify != Notify::default()).then(|| {
            let (commands, waiting) = mpsc::unbounded_channel();
            let (closing, closed) = watch::channel(false);
            let carrier = Carrier { name: name.to_owned(), runner: runner.to_owned(), closing: closed };
            Queue { commands, closing, task: Task::spawn(carrier.carry(waiting)) }
        });
        Self { kind, name: name.to_owned(), notify: notify.clone(), queue }
    }

    fn tell(&self, state: Told, priority: u8) {
        let Some(queue) = &self.queue else { return };
        let own = match state {
            Told::Master => &self.notify.master,
            Told::Backup => &self.notify.backup,
            Told::Fault => &self.notify.fault,
            Told::Stop => &self.notify.stop,
        };
        let further = || [self.kind.to_owned(), self.name.clone(), state.name().to_owned(), priority.to_string()];
        let own = own.as_ref().map(|command| command.argv([]));
        let any = self.notify.any.as_ref().map(|command| command.argv(further()));
        for argv in [own, any].into_iter().flatten() {
            // It fails when the process is ending.
            let _ = queue.commands.send(argv);
        }
    }

    async fn close(&mut self) {
        let Some(Queue { commands, closing, mut task }) = self.queue.take() else { return };
        drop(commands);
        if timeout(LAST, task.ended()).await.is_ok() {
            return;
        }
        closing.send_replace(true);
        if timeout(HANDING_OVER, task.ended()).await.is_err() {
            warn!(name = self.name, "its last notifications may not have run");
        }
    }
}

/// Brings commands to the runner.
struct Carrier {
    name: String,
    runner: PathBuf,
    closing: watch::Receiver<bool>,
}

impl Carrier {
    async fn carry(mut self, mut waiting: mpsc::UnboundedReceiver<Vec<String>>) {
        while let Some(argv) = waiting.recv().await {
            let command = argv.join(" ");
            if waiting.len() >= WAITING {
                warn!(name = self.name, command, "not run: {WAITING} others wait, which are newer");
                continue;
            }
            let run = Run { argv, environment: Vec::new(), timeout: TIMEOUT, outlives_client: true };
            match self.run(&run).await {
                Ok(None) => (),
                Ok(Some(ended)) if ended.is_success() => debug!(name = self.name, command, "notified"),
                Ok(Some(ended)) => warn!(name = self.name, command, "the notification failed: {ended}"),
                Err(error) => warn!(name = self.name, command, "not notified: {error}"),
            }
        }
    }

    /// What became of it; absent when that is not waited for.
    async fn run(&mut self, run: &Run) -> Result<Option<api::runner::Ended>, RunError> {
        let asked = self.ask(run).await?;
        tokio::select! {
            ended = asked.answer() => ended.map(Some),
            () = self.closed() => Ok(None),
        }
    }

    /// It did not run as long as nobody was there to run it.
    async fn ask(&self, run: &Run) -> Result<Asked, RunError> {
        let until = Instant::now() + ABSENCE;
        loop {
            match Asked::ask(&self.runner, "vrrpd", run).await {
                Err(RunError::Unreachable { .. }) if Instant::now() < until && !*self.closing.borrow() => {
                    sleep(AGAIN).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn closed(&mut self) {
        // An error means the same.
        let _ = self.closing.wait_for(|closing| *closing).await.map(drop);
    }
}
