//! Commands, run by a runner in this process, as this user.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::config::Config;
use api::ipc::Contract;
use api::runner::{Asked, Ended, Ending, Run, RunError};
use daemon::ipc::Listener;
use runner::access::Access;
use runner::server;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const LONG: Duration = Duration::from_secs(60);

struct Runner {
    directory: TempDir,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl Runner {
    fn start() -> Runner {
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().expect("this user has a name").name;
        let config = Config::parse(&format!("[ipc]\nusers = {{ vrrpd = \"{user}\" }}\n"), Path::new("x.toml")).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let (stop, stopping) = watch::channel(false);
        let listener = Listener::bind(Contract::Runner, &directory.path().join("runner.sock"), "test").unwrap();
        let server = tokio::spawn(server::serve(listener, Access::resolve(&config.ipc), stopping));
        Runner { directory, stop, server }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("runner.sock")
    }

    async fn run(&self, run: &Run) -> Result<Ended, RunError> {
        api::runner::run(&self.socket(), "test", run).await
    }

    /// Asks for a script that writes its process id into a file, and waits for that.
    async fn asked(&self, run: &Run) -> (Asked, String) {
        let asked = Asked::ask(&self.socket(), "test", run).await.unwrap();
        let pid = self.directory.path().join("pid");
        until("the script to run", || pid.exists() && !fs::read_to_string(&pid).unwrap().is_empty()).await;
        let text = fs::read_to_string(&pid).unwrap();
        fs::remove_file(&pid).unwrap();
        (asked, text.trim().to_owned())
    }

    /// A script that writes its process id into a file, and then does `rest`.
    fn script(&self, rest: &str, outlives_client: bool) -> Run {
        let directory = self.directory.path().display();
        Run { outlives_client, ..shell(&format!("cd {directory}; echo $$ > new; mv new pid; {rest}")) }
    }
}

fn run(argv: &[&str]) -> Run {
    let argv = argv.iter().map(|word| (*word).to_owned()).collect();
    Run { argv, environment: Vec::new(), timeout: LONG, outlives_client: false }
}

fn shell(script: &str) -> Run {
    run(&["/bin/sh", "-c", script])
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain for {what}");
}

/// Whether there is a process of that number that is more than a zombie.
fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

#[tokio::test]
async fn it_is_told_how_a_command_ended_and_the_first_line() {
    let runner = Runner::start();
    for (script, ending, line) in [
        ("true", Ending::Exited(0), ""),
        ("echo one; echo two; exit 3", Ending::Exited(3), "one"),
        ("echo -n half >&2; kill -9 $$", Ending::Signalled(9), "half"),
        ("printf 'a\\033[1mb\\n'", Ending::Exited(0), "a[1mb"),
    ] {
        let ended = runner.run(&shell(script)).await.unwrap();
        assert_eq!((ended.ending, ended.first_line.as_str()), (ending, line), "{script}");
        assert_eq!(ended.is_success(), ending == Ending::Exited(0));
    }
    let much = runner.run(&shell("i=0; while [ $i -lt 20000 ]; do echo -n 12345; i=$((i+1)); done")).await.unwrap();
    assert_eq!((much.ending, much.first_line.len()), (Ending::Exited(0), 256));
}

#[tokio::test]
async fn a_program_gets_its_words_its_environment_and_no_more() {
    let runner = Runner::start();
    let words = runner.run(&run(&["/bin/echo", "$HOME", "a  b", "*", ""])).await.unwrap();
    assert_eq!(words.first_line, "$HOME a  b * ");
    let one = Run { environment: vec![("ONE".into(), "1 2".into())], ..shell("env | sort | tr '\\n' ' '") };
    let environment = runner.run(&one).await.unwrap().first_line;
    assert!(environment.starts_with("ONE=1 2 PATH=/usr/local/sbin:"), "{environment}");
    let words = environment.split('=').count();
    // The shell adds PWD, and some of them two more.
    assert!((3..=6).contains(&words) && !environment.contains("HOME="), "{environment}");
    assert_eq!(runner.run(&shell("pwd; cat")).await.unwrap().first_line, "/");
}

#[tokio::test]
async fn the_whole_group_is_killed_when_time_is_up() {
    let runner = Runner::start();
    let script =
        "trap '' TERM; sh -c \"trap '' TERM; echo \\$\\$ > child; while :; do sleep 1; done\" & echo one; wait";
    let run = Run { timeout: Duration::from_millis(500), ..runner.script(script, false) };
    let (asked, parent) = runner.asked(&run).await;
    let ended = asked.answer().await.unwrap();
    assert_eq!((ended.ending, ended.first_line.as_str()), (Ending::TimedOut, "one"));
    let child = fs::read_to_string(runner.directory.path().join("child")).unwrap().trim().to_owned();
    until("both to be gone", || !lives(&parent) && !lives(&child)).await;
}

#[tokio::test]
async fn a_command_ends_with_its_client_unless_it_outlives_it() {
    let runner = Runner::start();
    let (asked, pid) = runner.asked(&runner.script("while :; do sleep 1; done", false)).await;
    drop(asked);
    until("it to be gone", || !lives(&pid)).await;
    let done = runner.directory.path().join("done");
    let (asked, _) = runner.asked(&runner.script("while [ ! -e go ]; do sleep 0.1; done; touch done", true)).await;
    drop(asked);
    fs::write(runner.directory.path().join("go"), "").unwrap();
    until("it to end by itself", || done.exists()).await;
    // Also when the client has gone before anybody looked.
    fs::remove_file(&done).unwrap();
    drop(Asked::ask(&runner.socket(), "test", &runner.script("touch done", true)).await.unwrap());
    until("it to run", || done.exists()).await;
}

#[tokio::test]
async fn a_runner_that_stops_ends_what_ends_with_its_client_and_leaves_the_rest() {
    let runner = Runner::start();
    let (_checking, check) = runner.asked(&runner.script("while :; do sleep 1; done", false)).await;
    let left = "while [ ! -e go ]; do sleep 0.1; done";
    let (_notifying, notification) = runner.asked(&runner.script(left, true)).await;
    runner.stop.send_replace(true);
    until("the server to end", || runner.server.is_finished()).await;
    assert!(!runner.socket().exists());
    until("the check to be gone", || !lives(&check)).await;
    assert!(lives(&notification));
    fs::write(runner.directory.path().join("go"), "").unwrap();
    until("the notification to end", || !lives(&notification)).await;
}

#[tokio::test]
async fn what_must_not_run_is_refused_with_the_reason() {
    let runner = Runner::start();
    let own = runner.directory.path().join("own");
    fs::write(&own, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&own, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let own = own.to_str().unwrap().to_owned();
    let too_long = Run { timeout: Duration::from_secs(3601), ..shell("true") };
    for (run, why) in [
        (run(&[&own]), "others than root can write to"),
        (run(&["/bin/no-such-program"]), "/bin/no-such-program: No such file"),
        (run(&["sh"]), "sh is not run: sh is no absolute path"),
        (run(&[]), "there is no program to run"),
        (run(&["/etc/passwd"]), "Permission denied"),
        (too_long, "it may take 3600 s at most"),
    ] {
        let refused = runner.run(&run).await.unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
}

#[tokio::test]
async fn no_zombies_stay() {
    let runner = Runner::start();
    for _ in 0..20 {
        runner.run(&shell("true")).await.unwrap();
    }
    let children = fs::read_to_string(format!("/proc/{}/task/{0}/children", std::process::id())).unwrap();
    let zombies = children.split_whitespace().filter(|pid| Path::new(&format!("/proc/{pid}")).exists() && !lives(pid));
    assert_eq!(zombies.count(), 0);
}

#[tokio::test]
async fn a_runner_that_is_absent_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("nowhere.sock");
    let error = api::runner::run(&nowhere, "test", &shell("true")).await.unwrap_err();
    assert!(error.to_string().ends_with("is sluice-runner running?"), "{error}");
}
