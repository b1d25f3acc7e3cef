//! Scripts and files that move a VRRP instance, and commands that are told of it: vrrpd and the runner of commands, two
//! routers on the servers' bridge.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use api::runner::{Ending, Run};
use integration::address::HOST_DEVICE;
use integration::runner::INHERITED;
use integration::{Lab, Runner, VrrpRouter, run, wait};
use nix::sys::signal::Signal;

const VIP: &str = "192.168.100.254";
const PATIENCE: Duration = Duration::from_secs(60);

/// Two routers, of which the first has the runner.
struct Scene {
    /// Ended before the lab is.
    routers: Vec<VrrpRouter>,
    runner: Runner,
    lab: Lab,
}

impl Scene {
    fn new() -> Scene {
        let lab = Lab::new(2).unwrap();
        let runner = Runner::start(&lab, &lab.servers[0].namespace, "runner").unwrap();
        Scene { routers: Vec::new(), runner, lab }
    }

    /// A router on a host; `rest` is what its instance says further.
    fn start(&mut self, host: usize, priority: u8, rest: &str) {
        let text = format!(
            "[bus]\naddress = \"none\"\n{}{}{rest}\n",
            self.runner.configuration(),
            instance("VI_1", 51, VIP, priority)
        );
        let namespace = &self.lab.servers[host].namespace;
        let router = VrrpRouter::vrrpd(&self.lab, namespace, &format!("vrrpd{host}"), &text).unwrap();
        self.routers.push(router);
    }

    /// The hosts that have an address.
    fn having(&self, address: &str) -> Vec<usize> {
        let has = |host: &usize| {
            let shown =
                self.lab.servers[*host].namespace.run(&format!("ip -o address show dev {HOST_DEVICE}")).unwrap();
            shown.contains(&format!(" {address}/"))
        };
        (0..self.lab.servers.len()).filter(has).collect()
    }

    fn until_master(&self, host: usize) {
        wait::until(&format!("host {host} alone to have {VIP}"), PATIENCE, || {
            Ok((self.having(VIP) == [host]).then_some(()))
        })
        .unwrap();
    }

    fn until_logged(&self, text: &str) {
        wait::until(text, PATIENCE, || Ok(self.routers[0].log().contains(text).then_some(()))).unwrap();
    }

    /// A file that commands write to.
    fn file(&self, name: &str) -> PathBuf {
        self.runner.directory().join(name)
    }

    /// Waits until a file has these lines.
    fn until_lines(&self, name: &str, lines: &[String]) {
        let text = || fs::read_to_string(self.file(name)).unwrap_or_default();
        let outcome = wait::until("the lines", PATIENCE, || Ok(text().lines().eq(lines).then_some(())));
        assert!(outcome.is_ok(), "{name}: {:?}\nnot {lines:?}", text());
    }
}

fn instance(name: &str, vrid: u8, address: &str, priority: u8) -> String {
    format!(
        "[[vrrp.instance]]\nname = \"{name}\"\ninterface = \"{HOST_DEVICE}\"\nversion = 3\nvirtual_router_id = {vrid}\n\
         priority = {priority}\nadvert_int = 0.3\nvirtual_ipaddress = [\"{address}\"]\n"
    )
}

#[test]
fn a_script_that_fails_moves_the_address_until_it_succeeds_again() {
    let mut scene = Scene::new();
    let fine = scene.file("fine");
    fs::write(&fine, "").unwrap();
    let rest = format!(
        "track_script = [{{ name = \"chk_x\", weight = -20 }}]\n[[vrrp.script]]\nname = \"chk_x\"\ninterval = 0.1\nfall = 2\n\
         script = \"/usr/bin/test -e {}\"\n",
        fine.display()
    );
    scene.start(0, 100, &rest);
    scene.start(1, 90, "");
    scene.until_master(0);
    fs::remove_file(&fine).unwrap();
    scene.until_master(1);
    scene.until_logged("script chk_x failed: priority 100 to 80");
    scene.until_logged("with priority 90; ours is 80: script chk_x failed");
    assert!(scene.routers[0].log().contains("failed: it exited with 1"), "{}", scene.routers[0].log());
    fs::write(&fine, "").unwrap();
    scene.until_master(0);
    scene.until_logged("script chk_x succeeded: priority 80 to 100");
}

/// What tracks a script is at fault without it; what does not goes on; and nothing of it is left.
#[test]
fn a_runner_that_is_killed_costs_only_what_needs_it() {
    let mut scene = Scene::new();
    let rest = "track_script = [{ name = \"chk_x\" }]\n[[vrrp.script]]\nname = \"chk_x\"\ninterval = 0.1\nfall = 3\n\
                script = \"/bin/true\"\n";
    let other = "192.168.100.253";
    scene.start(0, 100, &format!("{rest}{}", instance("VI_2", 52, other, 100)));
    scene.until_master(0);
    scene.runner.end(Signal::SIGKILL).unwrap();
    scene.until_logged("master to fault: script chk_x failed, which VI_1 tracks");
    wait::until("the address to go", PATIENCE, || Ok(scene.having(VIP).is_empty().then_some(()))).unwrap();
    assert_eq!(scene.having(other), [0]);
    let said = |scene: &Scene| scene.routers[0].log().matches("not run, which counts as failed").count();
    assert_eq!(said(&scene), 1, "{}", scene.routers[0].log());
    scene.runner = Runner::start(&scene.lab, &scene.lab.servers[0].namespace, "runner").unwrap();
    scene.until_master(0);
    assert_eq!((said(&scene), scene.having(other)), (1, vec![0]));
    let log = scene.routers[0].log();
    assert_eq!(log.lines().filter(|line| line.contains("VI_2") && line.contains(" to ")).count(), 2, "{log}");
}

#[test]
fn a_script_that_hangs_is_killed_with_all_it_started() {
    let mut scene = Scene::new();
    let pids = scene.file("pids");
    let hang = Runner::script(
        &scene.lab,
        "hang",
        &format!("trap '' TERM\nsleep 1000 &\necho $$ $! > {}\nwait\nsleep 1000", pids.display()),
    )
    .unwrap();
    let rest = format!(
        "track_script = [{{ name = \"chk_x\" }}]\n[[vrrp.script]]\nname = \"chk_x\"\ninterval = 3600\ntimeout = 0.5\n\
         script = \"{}\"\n",
        hang.display()
    );
    scene.start(0, 100, &rest);
    scene.until_logged("failed: it took too long");
    scene.until_logged("init to fault: script chk_x failed, which VI_1 tracks");
    let pids = fs::read_to_string(pids).unwrap();
    let pids: Vec<&str> = pids.split_whitespace().collect();
    assert_eq!(pids.len(), 2);
    wait::until("both to be gone", PATIENCE, || {
        let lives = |pid: &&str| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.contains(' ') && !stat.contains(") Z")
        };
        Ok((!pids.iter().any(lives)).then_some(()))
    })
    .unwrap();
    wait::until("no zombie", PATIENCE, || Ok(scene.runner.children()?.is_empty().then_some(()))).unwrap();
}

#[test]
fn commands_are_told_of_each_state_in_order() {
    let mut scene = Scene::new();
    let directory = scene.runner.directory().display().to_string();
    let text = format!("file=$1; shift; sleep 0.0$(($$ % 10)); echo \"$@\" >> {directory}/$file");
    let note = Runner::script(&scene.lab, "note", &text).unwrap().display().to_string();
    let states = ["master", "backup", "fault", "stop"];
    let of = |file: &str| {
        let each = states.map(|state| format!("notify_{state} = \"{note} {file} 'to {state}'\"\n"));
        format!("{}notify = \"{note} {file} any\"\n", each.concat())
    };
    let rest = format!(
        "{}track_interface = [{{ name = \"watched\" }}]\n[[vrrp.sync_group]]\nname = \"VG_1\"\ngroup = [\"VI_1\"]\n{}",
        of("instance"),
        of("group")
    );
    let namespace = scene.lab.servers[0].namespace.clone();
    namespace.ip("link add name watched type veth peer name other").unwrap();
    namespace.ip("link set watched up").unwrap();
    namespace.ip("link set other up").unwrap();
    scene.start(0, 100, &rest);
    scene.until_master(0);
    namespace.ip("link set other down").unwrap();
    scene.until_logged("master to fault: interface watched is down, which VI_1 tracks");
    let until_told = |scene: &Scene, states: &[&str]| {
        for (file, told) in [("instance", ["INSTANCE VI_1", "100"]), ("group", ["GROUP VG_1", "0"])] {
            let of =
                |state: &&str| [format!("to {state}"), format!("any {} {} {}", told[0], state.to_uppercase(), told[1])];
            scene.until_lines(file, &states.iter().flat_map(of).collect::<Vec<_>>());
        }
    };
    until_told(&scene, &["backup", "master", "fault"]);
    assert!(scene.routers[0].end(Signal::SIGTERM).unwrap().success());
    until_told(&scene, &["backup", "master", "fault", "stop"]);
}

#[test]
fn a_number_in_a_file_is_added_to_the_priority() {
    let mut scene = Scene::new();
    let file = scene.file("number");
    fs::write(&file, "0\n").unwrap();
    let rest = format!(
        "track_file = [{{ name = \"load\", weight = -2 }}]\n[[vrrp.track_file]]\nname = \"load\"\nfile = \"{}\"\n",
        file.display()
    );
    scene.start(0, 100, &rest);
    scene.start(1, 90, "");
    scene.until_master(0);
    fs::write(&file, "12\n").unwrap();
    scene.until_master(1);
    scene.until_logged("file load says 12: priority 100 to 76");
    fs::write(&file, "-3\n").unwrap();
    scene.until_master(0);
    scene.until_logged("file load says -3: priority 76 to 106");
    fs::write(&file, "127\n").unwrap();
    scene.until_logged("master to fault: file load says 127, which VI_1 tracks");
    scene.until_master(1);
}

#[test]
fn the_runner_is_for_its_clients_and_lets_nothing_through() {
    let scene = Scene::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let run_there = |argv: &[&str]| {
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        let run = Run { argv, environment: Vec::new(), timeout: PATIENCE, outlives_client: false };
        runtime.block_on(api::runner::run(&scene.runner.socket(), "test", &run))
    };
    let user = run_there(&["/usr/bin/id", "-un"]).unwrap();
    assert_eq!((user.ending, user.first_line.as_str()), (Ending::Exited(0), "games"));
    let inherited = format!("/proc/self/fd/{INHERITED}");
    assert_eq!(run_there(&["/usr/bin/test", "-e", &inherited]).unwrap().ending, Ending::Exited(1));
    assert_eq!(run_there(&["/usr/bin/test", "-e", "/proc/self/fd/2"]).unwrap().ending, Ending::Exited(0));
    let own = scene.file("own");
    fs::write(&own, "#!/bin/sh\n").unwrap();
    let refused = run_there(&[own.to_str().unwrap()]).unwrap_err().to_string();
    assert!(refused.contains("others than root can write to"), "{refused}");

    let mut stranger = scene.lab.servers[0].namespace.command("setpriv");
    stranger.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "socat", "-u"]);
    stranger.arg(format!("UNIX-CONNECT:{}", scene.runner.socket().display())).arg("-");
    let answer = run(&mut stranger).unwrap();
    assert!(answer.stdout.contains("for the daemons' users only; you are uid 65534"), "{answer:?}");
}
