//! `make bench`: measures, prints a table and writes `report.json`. `QUICK=1` is over in three minutes.
//! `bench count PATH N` sends N batches of packets one path through the engine, for a profiler to look at.
//! `bench forward PROGRAM CONNECTIONS WORKERS PACKETS` measures one program (`sluice` or `macswap`) once, between ports
//! of memory, and prints what came of it as JSON.

use std::path::PathBuf;

use anyhow::Context;
use bench::cases::{self, Extent};
use bench::count::Route;
use bench::figure::Figure;
use bench::machine::Machine;
use bench::port::{self, Load};
use bench::{cycles, process, report};
use integration::interrupt;

/// How often each figure is measured, all of them in turn.
const RUNS: usize = 3;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => measure(),
        ["count", path, batches] => {
            let path: Route = path.parse().map_err(anyhow::Error::msg)?;
            path.run(number(batches, "batches")? as usize);
            Ok(())
        }
        ["forward", program, connections, workers, packets] => {
            let load = Load {
                connections: number(connections, "connections")?,
                workers: number(workers, "workers")? as usize,
                packets: number(packets, "packets")?,
            };
            println!("{}", serde_json::to_string(&port::run(program.parse()?, &load)?)?);
            Ok(())
        }
        _ => anyhow::bail!("usage: bench [count PATH N | forward PROGRAM CONNECTIONS WORKERS PACKETS]"),
    }
}

fn number(text: &str, what: &str) -> anyhow::Result<u64> {
    text.parse().with_context(|| format!("{text:?} is no number of {what}"))
}

fn measure() -> anyhow::Result<()> {
    let quick = std::env::var_os("QUICK").is_some_and(|value| value == "1");
    let extent = Extent { quick, cycles_per_second: cycles::per_second() };
    let machine = Machine::look(extent.cycles_per_second);
    eprintln!("bench: {}, {} of a second stalled", machine.cpu, machine.stalled_ms / 1e3);
    interrupt::install()?;
    // The processes first: the engine's tables would take the memory.
    let mut figures = process::figures(quick)?;
    figures.extend(port::figures(quick)?);
    eprintln!("bench: filling tables");
    let mut cases = cases::engine(extent);
    let mut values = vec![Vec::new(); cases.len()];
    for run in 1..=RUNS {
        eprintln!("bench: run {run} of {RUNS}");
        for (case, values) in cases.iter_mut().zip(&mut values) {
            interrupt::check()?;
            values.push((case.run)());
        }
    }
    figures.extend(
        std::iter::zip(cases, values).map(|(case, values)| Figure::new(case.name, case.unit, case.source, values)),
    );
    println!("{}", report::table(&figures));
    report::write(&directory()?, &figures, &machine)
}

/// Where the report goes: beside what cargo built, `target/bench`.
fn directory() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let target = program.ancestors().nth(2).context("this program is not in a directory of cargo's")?;
    Ok(target.join("bench"))
}
