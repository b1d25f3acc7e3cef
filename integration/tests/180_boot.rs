//! The shipped units under a systemd of their own, as on a machine that was installed: started at boot, restarted,
//! killed, stopped. It takes systemd-nspawn, and so `make boot` runs it.

use std::time::Duration;

use integration::address::{VIP, WAN_DEVICE};
use integration::container::{Container, INSTANCE};
use integration::{Lab, Process, wait};
use nix::sys::signal::Signal;

const PATIENCE: Duration = Duration::from_secs(20);

struct Scene {
    container: Container,
    lab: Lab,
}

impl Scene {
    fn boot() -> Scene {
        let lab = Lab::new(0).unwrap();
        let configuration = format!(
            "[dataplane]\nmemory = \"512M\"\nconnections = \"64K\"\n[ipc]\nusers = {{ vrrpd = \"sluice-vrrpd\" }}\n\
             [[dataplane.port]]\nname = \"dpdk1\"\ndevice = \"net_af_packet0,iface={WAN_DEVICE}\"\n\
             [[dataplane.address]]\naddress = \"10.0.0.10/16\"\ndevice = \"dpdk1\"\n\
             [[vrrp.instance]]\nname = \"VI_1\"\ninterface = \"dpdk1\"\nversion = 3\nvirtual_router_id = 51\n\
             advert_int = 0.1\nvirtual_ipaddress = [\"{VIP}\"]\n"
        );
        let container = Container::boot(&lab, &lab.sluice, &configuration).unwrap();
        let scene = Scene { container, lab };
        scene.until_shown("dataplane", "ActiveState=active");
        scene.until_master();
        scene
    }

    fn systemctl(&self, verb: &str, program: &str) {
        self.container.run(&format!("systemctl {verb} sluice-{program}@{INSTANCE}")).unwrap();
    }

    fn until_shown(&self, program: &str, property: &str) {
        let name = property.split('=').next().unwrap_or_default();
        let show = format!("systemctl show --property={name} sluice-{program}@{INSTANCE}");
        wait::until(&format!("{property} of {program}"), PATIENCE, || {
            Ok((self.container.run(&show)?.trim() == property).then_some(()))
        })
        .unwrap();
    }

    fn vrrp(&self) -> String {
        self.container.run(&format!("sluice --instance {INSTANCE} vrrp show")).unwrap()
    }

    fn until_master(&self) {
        wait::until("vrrpd to be master", PATIENCE, || {
            let shown = self.container.try_run(&format!("sluice --instance {INSTANCE} vrrp show"))?;
            Ok(shown.stdout.contains("master").then_some(()))
        })
        .unwrap();
    }

    /// Pings the VIP while something happens; every one must be answered.
    fn nothing_is_lost_while(&self, happens: impl FnOnce()) {
        let mut command = self.lab.client.command("ping");
        command.args(["-n", "-i", "0.02", &VIP.to_string()]);
        let mut ping = Process::start("ping", &mut command, self.lab.directory()).unwrap();
        ping.until("an answer", PATIENCE, |ping| Ok(ping.log().contains("ttl=").then_some(()))).unwrap();
        happens();
        ping.signal(Signal::SIGINT).unwrap();
        ping.wait(PATIENCE).unwrap();
        assert!(ping.log().contains(" 0% packet loss"), "{}", ping.log());
    }
}

#[test]
#[ignore = "boots systemd in a container: make boot"]
fn the_units_start_at_boot_and_survive_what_systemd_does_to_them() {
    let scene = Scene::boot();
    let log = || scene.container.run(&format!("journalctl --quiet --no-pager -u sluice-vrrpd@{INSTANCE}")).unwrap();
    scene.nothing_is_lost_while(|| {
        scene.systemctl("restart", "vrrpd");
        scene.until_master();
        scene.systemctl("kill --signal=KILL", "vrrpd");
        scene.until_shown("vrrpd", "NRestarts=1");
        scene.until_shown("vrrpd", "ActiveState=active");
        scene.until_master();
    });
    assert!(scene.vrrp().contains("a predecessor was master"), "{}{}", scene.vrrp(), log());
    assert_eq!(log().matches("a predecessor was master").count(), 2, "{}", log());
    strangers_look_and_operators_operate(&scene);
    // The dataplane comes back with what the configuration says, and vrrpd is elected anew.
    scene.systemctl("kill --signal=KILL", "dataplane");
    scene.until_shown("dataplane", "NRestarts=1");
    wait::until("the VIP to answer again", PATIENCE, || {
        Ok(scene.lab.client.run(&format!("ping -n -c 1 -W 1 {VIP}")).ok())
    })
    .unwrap();
    scene.systemctl("stop", "vrrpd");
    assert!(scene.lab.client.run(&format!("ping -n -c 1 -W 1 {VIP}")).is_err(), "nobody holds it");
    scene.container.power_off().unwrap();
}

fn strangers_look_and_operators_operate(scene: &Scene) {
    let (name, object) = (format!("org.sluice.Vrrp1.{INSTANCE}"), "/org/sluice/Vrrp1/instances/VI_5f1");
    let call = |who: &str, rest: &str| scene.container.try_run(&format!("{who} busctl --system {rest}")).unwrap();
    let state = format!("get-property {name} {object} org.sluice.Vrrp1.Instance State");
    let operate = |what: &str| format!("call {name} {object} org.sluice.Vrrp1.Instance {what}");
    let stranger = "setpriv --reuid nobody --regid nogroup --clear-groups";
    let until = |who: &str, shown: &str| {
        wait::until(shown, PATIENCE, || Ok(call(who, &state).stdout.contains(shown).then_some(()))).unwrap();
    };
    until(stranger, "master");
    let refused = call(stranger, &operate("Release u 0"));
    assert!(!refused.status.success() && refused.stderr.contains("denied"), "{}", refused.stderr);
    until(stranger, "master");
    for (what, then) in [("Release u 0", "backup"), ("Resume", "master")] {
        let done = call("", &operate(what));
        assert!(done.status.success(), "{}", done.stderr);
        until("", then);
    }
}
