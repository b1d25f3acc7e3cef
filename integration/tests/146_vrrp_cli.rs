//! `sluice vrrp` with a real vrrpd: seen by anybody, moved by those who may.

use std::time::Duration;

use api::vrrpd::{Instance, State, Turn};
use integration::address::HOST_DEVICE;
use integration::{Cli, Lab, LabError, Process, VrrpRouter, wait};
use nix::sys::signal::Signal;

const PATIENCE: Duration = Duration::from_secs(30);
const STRANGER: u32 = 65_534;

/// A vrrpd that is alone, with two instances in a sync group and one that is in none.
struct Scene {
    router: VrrpRouter,
    cli: Cli,
    lab: Lab,
}

fn instance(number: u8) -> String {
    format!(
        "[[vrrp.instance]]\nname = \"VI_{number}\"\ninterface = \"{HOST_DEVICE}\"\nversion = 3\n\
         virtual_router_id = {number}\nadvert_int = 0.1\nvirtual_ipaddress = [\"192.168.100.25{number}\"]\n"
    )
}

fn configuration() -> String {
    let group = "[[vrrp.sync_group]]\nname = \"VG_1\"\ngroup = [\"VI_1\", \"VI_2\"]\n";
    format!("[bus]\naddress = \"none\"\n{}{}{}{group}", instance(1), instance(2), instance(3))
}

impl Scene {
    fn start() -> Scene {
        let lab = Lab::new(1).unwrap();
        let router = VrrpRouter::vrrpd(&lab, &lab.servers[0].namespace, "vrrpd", &configuration()).unwrap();
        let cli = VrrpRouter::cli(&lab, "vrrpd").unwrap();
        let scene = Scene { router, cli, lab };
        scene.until([State::Master; 3]);
        scene
    }

    fn states(&self) -> Result<Vec<State>, LabError> {
        Ok(self.cli.rows::<Instance>("vrrp show")?.into_iter().map(|instance| instance.state).collect())
    }

    /// Waits until VI_1, VI_2 and VI_3 are in these states.
    fn until(&self, states: [State; 3]) {
        let what = format!("the states to be {states:?}");
        wait::until(&what, PATIENCE, || Ok((self.states()? == states).then_some(()))).unwrap();
    }

    fn run(&self, words: &str) {
        assert_eq!(self.cli.run(&format!("sluice vrrp {words}")).unwrap(), "", "{words}");
    }
}

const BACKUP: State = State::Backup;
const MASTER: State = State::Master;

#[test]
fn the_operator_sees_and_moves_instances_and_groups() {
    let scene = Scene::start();
    let mut command = scene.cli.command("./sluice");
    let mut watch = Process::start("watch", command.args(["vrrp", "watch", "--json"]), scene.lab.directory()).unwrap();
    // Until it watches, something has to happen again and again.
    watch
        .until("the first change", PATIENCE, |watch| {
            scene.run("release VI_3");
            scene.run("resume VI_3");
            scene.until([MASTER; 3]);
            Ok(watch.log().contains("VI_3").then_some(()))
        })
        .unwrap();
    scene.run("release VI_2");
    scene.until([BACKUP, BACKUP, MASTER]);
    let shown = scene.cli.run("sluice vrrp show").unwrap();
    let line = shown.lines().find(|line| line.starts_with("VI_1 ")).unwrap();
    for word in ["VG_1", HOST_DEVICE, "backup, released", "192.168.100.251", "the operator released it"] {
        assert!(line.contains(word), "{word}: {shown}");
    }
    scene.run("resume VG_1");
    scene.until([MASTER; 3]);
    // It comes back by itself.
    scene.run("release --for 2s");
    scene.until([BACKUP; 3]);
    scene.until([MASTER; 3]);
    assert!(scene.cli.rows::<Instance>("vrrp show").unwrap().iter().all(|instance| !instance.released));
    scene.run("priority VI_3 120");
    wait::until("the priority", PATIENCE, || {
        let instances = scene.cli.rows::<Instance>("vrrp show")?;
        Ok((instances[2].effective_priority == 120).then_some(()))
    })
    .unwrap();
    let turns = |watch: &Process| -> Vec<Turn> {
        watch.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    };
    let was_released = |turn: &Turn| turn.name == "VG_1" && turn.transition.reason == "the operator released it";
    watch
        .until("both releases of the group", PATIENCE, |watch| {
            Ok((turns(watch).iter().filter(|turn| was_released(turn)).count() == 2).then_some(()))
        })
        .unwrap();
}

#[test]
fn wrong_names_are_told_with_the_right_ones() {
    let scene = Scene::start();
    for (words, why) in [
        ("release VI1", "there is no instance or sync group VI1; did you mean VI_1?"),
        ("resume web", "there is no instance or sync group web; there are VG_1, VI_1, VI_2, VI_3"),
        ("priority VG_1 100", "there is no instance VG_1; did you mean VI_1?"),
    ] {
        let refused = scene.cli.refusal(&format!("sluice vrrp {words}")).unwrap();
        assert_eq!(refused, format!("sluice: {why}"));
    }
    let file = scene.lab.directory().join("vrrpd.toml");
    std::fs::write(&file, configuration() + &instance(4)).unwrap();
    scene.run("reload");
    assert_eq!(scene.cli.rows::<Instance>("vrrp show").unwrap().len(), 4);
    std::fs::write(&file, configuration() + "[vrrrp]\n").unwrap();
    let refused = scene.cli.refusal("sluice vrrp reload").unwrap();
    assert!(refused.contains("not reloaded: ") && refused.contains("did you mean `vrrp`?"), "{refused}");
}

#[test]
fn anybody_may_look_and_operators_touch() {
    let scene = Scene::start();
    let stranger = scene.cli.as_user(STRANGER);
    assert_eq!(stranger.rows::<Instance>("vrrp show").unwrap().len(), 3);
    for words in ["release", "resume", "priority VI_1 1", "announce", "reload"] {
        let refused = stranger.refusal(&format!("sluice vrrp {words}")).unwrap();
        let why = format!("operating vrrpd needs root or group sluice; you are uid {STRANGER}");
        assert_eq!(refused, format!("sluice: {why}"));
    }
    assert_eq!(scene.states().unwrap(), [MASTER; 3]);
}

#[test]
fn one_vrrpd_serves_an_instance() {
    let mut scene = Scene::start();
    let second = VrrpRouter::vrrpd(&scene.lab, &scene.lab.servers[0].namespace, "vrrpd", &configuration());
    let refused = second.unwrap_err().to_string();
    assert!(refused.contains("instance default of sluice-vrrpd is already running"), "{refused}");
    assert_eq!(scene.states().unwrap(), [MASTER; 3], "the first one goes on");
    scene.router.end(Signal::SIGTERM).unwrap();
    let gone = scene.cli.refusal("sluice vrrp show").unwrap();
    assert!(gone.contains("cannot reach vrrpd at ") && gone.ends_with("is sluice-vrrpd running?"), "{gone}");
}
