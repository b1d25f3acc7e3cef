//! Work on lcores: where it runs, when it has ended, and what becomes of a panic.

mod common;

use std::env;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sluice_dpdk::{Eal, Lcore, set_thread_affinity, thread_affinity, tsc, tsc_hz};

const PANICS: &str = "SLUICE_TEST_LCORE_PANICS";

#[test]
fn lcores_run_what_they_are_given() {
    let cpus = thread_affinity().unwrap();
    let (first, last) = (cpus[0], cpus[cpus.len() - 1]);
    let map = format!("2@{first},5@{last}");
    if env::var_os(PANICS).is_some() {
        return panic_on_an_lcore(&map);
    }
    a_panic_ends_the_process();

    let lab = common::Lab::start(&map);
    let main = lab.eal.main_lcore();
    let lcores = lab.eal.lcores();
    assert_eq!(lcores.iter().map(|lcore| (lcore.id, lcore.cpu)).collect::<Vec<_>>(), [(2, first), (5, last)]);
    assert_eq!(main, lcores[0]);

    // The caller is pinned, as are its threads, until it is told otherwise.
    assert_eq!(thread_affinity().unwrap(), [first]);
    set_thread_affinity(&cpus).unwrap();
    assert_eq!(std::thread::spawn(thread_affinity).join().unwrap().unwrap(), cpus);

    launch_and_join(&lab.eal, lcores[1], last);
    for (lcore, text) in [
        (main, "lcore 2 is the main one: launch on another"),
        (Lcore { id: 3, ..main }, "there is no lcore 3: start DPDK with it (-l or --lcores)"),
        (Lcore { id: u32::MAX, ..main }, "there is no lcore 4294967295: start DPDK with it (-l or --lcores)"),
    ] {
        assert_eq!(lab.eal.launch(lcore, || ()).unwrap_err().to_string(), text);
    }

    assert!(tsc_hz() > 1_000_000);
    let before = tsc();
    assert!(tsc() > before);
    lab.shutdown();
}

fn launch_and_join(eal: &Eal, lcore: Lcore, cpu: usize) {
    let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    for _ in 0..100 {
        let (stop_here, seen_here) = (stop.clone(), seen.clone());
        let handle = eal
            .launch(lcore, move || {
                assert_eq!(thread_affinity().unwrap(), [cpu]);
                while !stop_here.load(Ordering::Acquire) {
                    std::thread::yield_now();
                }
                seen_here.store(true, Ordering::Release);
            })
            .expect("the lcore is free");
        assert_eq!(handle.lcore(), lcore);
        assert!(!handle.is_finished());
        assert_eq!(eal.launch(lcore, || ()).unwrap_err().to_string(), "lcore 5 is busy: join what it runs first");
        stop.store(true, Ordering::Release);
        handle.join();
        assert!(seen.swap(false, Ordering::AcqRel), "joined before the end");
        stop.store(false, Ordering::Release);
    }
    assert_eq!(Arc::strong_count(&stop), 1, "what the work owned is dropped");
    let handle = eal.launch(lcore, || ()).expect("the lcore is free");
    common::eventually("the work ends", || handle.is_finished().then_some(()));
    handle.join();
}

fn a_panic_ends_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "lcores_run_what_they_are_given", "--nocapture"])
        .env(PANICS, "1")
        .env(common::RUNTIME_DIRECTORY, directory.path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&child.stderr);
    assert_eq!(child.status.signal(), Some(6), "aborted: {errors}");
    assert!(errors.contains("a worker's last words"), "{errors}");
}

fn panic_on_an_lcore(map: &str) {
    let lab = common::Lab::start(map);
    let lcore = lab.eal.lcores()[1];
    lab.eal.launch(lcore, || panic!("a worker's last words")).unwrap().join();
}
