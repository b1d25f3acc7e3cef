//! Bringing the dataplane up, in the order in which its parts need each other, and down again.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::Thread;

use anyhow::{Context, Result, bail, ensure};
use api::Owner;
use api::config::{self, Config, Hugepages};
use dpdk::{Device, Eal, EalConfig, Lcore as EalLcore, LcoreHandle, LogLevel, MemoryMode, Memzone, Pool};
use engine::counters::{Counters, Slots};
use engine::flow::region_size;
use engine::neighbour::{Limits, Owner as Neighbours, Timers};
use engine::port::PortPool;
use engine::snapshot::Settings;
use engine::steering::{KEY_LEN, Steering};
use engine::{Secrets, Time, Worker, WorkerId};
use tracing::{info, warn};

use crate::control::desired::{self, Desired};
use crate::control::{Compiler, Crew, Leases, Member, State, StateFile, Tenures};
use crate::kni::{KniThread, WorkerEnd, WorkerLink};
use crate::memory;
use crate::ports::{Ports, device_name};
use crate::worker::{Clock, FramePool, Handover, Lcore, Queues, Stop, handovers, rings};

const MIB: usize = 1 << 20;

/// The number of the lcore that control runs on; workers follow.
const CONTROL_LCORE: u32 = 0;

/// The running workers.
pub struct Workers {
    stop: Stop,
    threads: Vec<Thread>,
    handles: Vec<LcoreHandle>,
    kni: Option<KniThread>,
}

impl Workers {
    /// Tells the workers to end and waits until they have.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.iter().for_each(Thread::unpark);
        self.handles.into_iter().for_each(LcoreHandle::join);
        if let Some(kni) = self.kni {
            kni.stop();
        }
    }
}

/// Starts EAL on this thread, which becomes the control CPU's.
///
/// # Errors
/// When EAL refuses, or there is not enough memory, or not of the kind that is required.
pub fn start_eal(config: &config::Dataplane, instance: &str, extra: &[String]) -> Result<Eal> {
    check_cpus(config)?;
    let wanted = config.memory_mib;
    let mode = match config.hugepages {
        Hugepages::Never => MemoryMode::NoHuge,
        Hugepages::Auto | Hugepages::Require => MemoryMode::choose(wanted),
    };
    if config.hugepages == Hugepages::Require && mode == MemoryMode::NoHuge {
        bail!(
            "hugepages are required, but fewer than {wanted} MiB of them are free; reserve more, or set hugepages = \"auto\""
        );
    }
    if mode == MemoryMode::NoHuge {
        memory::check(wanted)?;
    }
    let mut arguments = mode.arguments(wanted, &format!("sluice-{instance}"));
    let devices: Vec<Device> =
        config.ports.iter().map(|port| Device::parse(device_name(&port.device))).collect::<Result<_, _>>()?;
    arguments.extend(Device::eal_arguments(&devices));
    let lcores = (CONTROL_LCORE..).zip(std::iter::once(&config.control_cpu).chain(&config.worker_cpus));
    let lcores: Vec<String> = lcores.map(|(lcore, cpu)| format!("{lcore}@{cpu}")).collect();
    arguments.extend(["--lcores".into(), lcores.join(",")]);
    arguments.extend(["--main-lcore".into(), CONTROL_LCORE.to_string()]);
    // Its socket would be another way in, and what keeps EAL's run-time directory from being removed.
    arguments.push("--no-telemetry".into());
    arguments.extend(extra.iter().cloned());
    match mode {
        MemoryMode::Hugepages => info!("packet memory: {wanted} MiB of hugepages"),
        MemoryMode::NoHuge => warn!("packet memory: {wanted} MiB of ordinary pages, which costs speed"),
    }
    Ok(Eal::start(&EalConfig { arguments, log_level: LogLevel::Warning })?)
}

/// DPDK answers a CPU that is not there with all of its usage text.
fn check_cpus(config: &config::Dataplane) -> Result<()> {
    let workers = config.worker_cpus.iter().map(|cpu| ("worker_cpus", cpu));
    for (key, cpu) in std::iter::once(("control_cpu", &config.control_cpu)).chain(workers) {
        let there = Path::new(&format!("/sys/devices/system/cpu/cpu{cpu}/topology")).exists();
        ensure!(there, "{key} names CPU {cpu}, which this machine does not have or has offline; lscpu lists its CPUs");
    }
    Ok(())
}

/// Starts the workers on their lcores and puts control's state together.
///
/// # Errors
/// When there is not enough memory for the tables.
pub fn start_workers(
    eal: &Eal,
    config: &config::Dataplane,
    mut ports: Ports,
    steering: &Arc<Steering>,
) -> Result<(State, Workers)> {
    let secrets = secrets()?;
    let stop: Stop = Arc::new(AtomicBool::new(false));
    let settings = Settings {
        decrement_ttl: config.decrement_ttl,
        defence_tcp_drop: config.defence.tcp_drop,
        defence_udp_drop: config.defence.udp_drop,
    };
    let clock = Clock::start();
    let tenures = Tenures::new(Leases::new(clock), config.worker_cpus.len() as u16, config.ports.len());
    let mut compiler = Compiler::new(secrets.hash_key, ports.interfaces(), &config.timeouts, settings);
    compiler.set_pulse(Arc::clone(tenures.pulse()));
    let lcores: Vec<EalLcore> = eal.lcores().into_iter().filter(|lcore| lcore.id != CONTROL_LCORE).collect();
    let queues = ports.queues(config.worker_cpus.len());
    let mut workers = Workers { stop, threads: Vec::new(), handles: Vec::new(), kni: None };
    let mut links = Vec::new();
    let mut members = Vec::new();
    let handovers = handovers(config.worker_cpus.len());
    for (number, ((lcore, queues), handover)) in (0..).zip(lcores.into_iter().zip(queues).zip(handovers)) {
        let pool = FramePool(ports.pool().clone());
        let place = (WorkerId(number), Arc::clone(steering));
        let setting = Setting { eal, config, secrets, pool, clock, compiler: &compiler };
        let (link, kernel) = if ports.twins().is_empty() { None } else { Some(WorkerLink::new()) }.unzip();
        members.push(setting.launch(place, lcore, (queues, handover, kernel), &mut workers)?);
        links.extend(link);
    }
    tell_memory(config, ports.pool());
    if !links.is_empty() {
        let links = links.into_iter().zip(workers.threads.iter().cloned()).collect();
        workers.kni = Some(KniThread::start(ports.twins(), links)?);
    }
    let devices = config.ports.iter().map(|port| desired::Device { name: port.name.clone(), mtu: port.mtu }).collect();
    let desired = Desired::new(devices, desired::Limits::from(config));
    let neighbours = Neighbours::new(config.neighbours as usize, Timers::default());
    Ok((State::new(desired, compiler, Crew::new(members), neighbours, ports, tenures), workers))
}

/// What every worker is started with.
struct Setting<'a> {
    eal: &'a Eal,
    config: &'a config::Dataplane,
    secrets: Secrets,
    pool: FramePool,
    clock: Clock,
    compiler: &'a Compiler,
}

impl Setting<'_> {
    fn launch(
        self,
        place: (WorkerId, Arc<Steering>),
        lcore: EalLcore,
        (queues, handover, kernel): (Queues, Handover, Option<WorkerEnd>),
        workers: &mut Workers,
    ) -> Result<Member> {
        let id = place.0;
        let config = self.config;
        let flows = config.connections.div_ceil(config.worker_cpus.len() as u32);
        let size = region_size(flows);
        let mut memory = Memzone::reserve(self.eal, &format!("flows{}", id.0), size, Some(lcore.socket))
            .with_context(|| no_room(config, id, flows, lcore.socket))?;
        let slots = Slots {
            servers: config.servers as usize,
            locals: config.local_addresses as usize,
            bindings: config.servers as usize,
            services: config.services as usize,
        };
        let limits = Limits { neighbours: config.neighbours as usize, ..Limits::default() };
        let counters = Arc::new(Counters::new(slots));
        let (control_end, rings) = rings();
        let (introduce, introduced) = mpsc::channel();
        let (pool, poll, clock, secrets, stop) =
            (self.pool, config.poll, self.clock, self.secrets, Arc::clone(&workers.stop));
        let (snapshot, counted) = (Arc::new(self.compiler.latest().clone()), Arc::clone(&counters));
        let handle = self.eal.launch(lcore, move || {
            let worker = Worker::new(place, &mut memory, flows, counted, limits, secrets, Time(0));
            // Without the message the start is given up.
            let Some(worker) = worker else { return };
            let _ = introduce.send(std::thread::current());
            Lcore { worker, snapshot, pool, queues, handover, rings, kernel, poll, clock, stop }.run();
        })?;
        workers.handles.push(handle);
        let thread = introduced.recv().context("the memory reserved for connections does not fit them")?;
        workers.threads.push(thread.clone());
        let cpu = lcore.cpu as u16;
        info!(worker = id.0, cpu, node = lcore.socket, connections = flows, "worker started");
        Ok(Member::new(lcore.id as u16, cpu, flows, counters, control_end, thread))
    }
}

/// Why a worker has no flow table, and what to do.
fn no_room(config: &config::Dataplane, worker: WorkerId, flows: u32, node: u32) -> String {
    let wanted = region_size(flows).div_ceil(MIB);
    format!(
        "worker {} needs {wanted} MiB on NUMA node {node} for its {flows} of {} connections, and of the {} MiB of \
         dataplane.memory there is not so much left; raise memory or lower connections",
        worker.0, config.connections, config.memory_mib
    )
}

/// Says what memory goes where.
fn tell_memory(config: &config::Dataplane, pool: &Pool) {
    let flows = config.connections.div_ceil(config.worker_cpus.len() as u32);
    let (workers, buffers) = (config.worker_cpus.len(), pool.size() as usize);
    let (table, buffer) = (region_size(flows), pool.mbuf_size() as usize);
    info!(
        "memory: {} MiB for connections, {} bytes each with the index; {} MiB for packet buffers, {buffer} bytes each; \
         {} KiB for each local address in every worker",
        table * workers / MIB,
        table.div_ceil(flows as usize),
        buffer * buffers / MIB,
        PortPool::BYTES / 1024
    );
}

/// How flows are shared out among the workers, under a key drawn now.
///
/// # Errors
/// When there are no random numbers.
pub fn steering(config: &config::Dataplane) -> Result<Arc<Steering>> {
    loop {
        let mut key = [0; KEY_LEN];
        getrandom::fill(&mut key).context("no random numbers")?;
        if let Some(steering) = Steering::new(key, config.worker_cpus.len() as u16) {
            return Ok(Arc::new(steering));
        }
    }
}

fn secrets() -> Result<Secrets> {
    let mut words = [0u64; 6];
    for word in &mut words {
        *word = getrandom::u64().context("no random numbers")?;
    }
    let [a, b, c, d, e, f] = words;
    Ok(Secrets { hash_key: [a, b, c, d], isn_key: [e, f] })
}

/// Makes the objects of the configuration file, then those made by hand in an earlier run.
///
/// # Errors
/// With the line of the first that cannot be made, or when the file of the others cannot be read.
pub async fn configure(state: &mut State, config: &Config, path: &Path, saved: &StateFile) -> Result<()> {
    state.wait_for(&config.ipc.wait_for, config.ipc.fill_timeout);
    for placed in &config.dataplane.objects {
        let change = api::Change::Add(placed.object.clone());
        state.apply(Owner::Config, &[change]).await.with_context(|| format!("{}:{}", path.display(), placed.line))?;
    }
    state.restore(saved.load()?).await?;
    Ok(())
}
