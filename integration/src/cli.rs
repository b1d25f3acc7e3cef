use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use api::Object;
use api::row::{AddressRow, LocalAddressRow, RouteRow, ServiceRow};
use serde::de::DeserializeOwned;

use crate::command::{Finished, run};
use crate::error::{Attempt, LabError};
use crate::requirements::binary;
use crate::vrrp;

/// A directory with `sluice`, `ipvsadm` and `dpip`, whose commands go to one dataplane.
#[derive(Clone, Debug)]
pub struct Cli {
    directory: PathBuf,
    socket: PathBuf,
    vrrpd: Option<PathBuf>,
    user: Option<u32>,
}

impl Cli {
    /// Installs the tools below a directory, for the dataplane that listens at `socket`. They are copied there
    /// because other users may not be allowed into the directory they were built in.
    ///
    /// # Errors
    /// When they are not built or cannot be copied.
    pub(crate) fn install(below: &Path, socket: &Path) -> Result<Cli, LabError> {
        let directory = below.join("bin");
        let built = binary("sluice")?;
        if !directory.exists() {
            let links = || {
                fs::create_dir(&directory)?;
                ["ipvsadm", "dpip"].into_iter().try_for_each(|name| symlink("sluice", directory.join(name)))
            };
            links().attempt(|| format!("make {}", directory.display()))?;
            // By another process: what this one has open for writing, no other thread's child could run.
            run(Command::new("cp").arg(&built).arg(directory.join("sluice")))?.success()?;
        }
        Ok(Cli { directory, socket: socket.to_owned(), vrrpd: None, user: None })
    }

    /// The same tools run by the user with that id, without groups.
    pub fn as_user(&self, user: u32) -> Cli {
        Cli { user: Some(user), ..self.clone() }
    }

    /// The same tools with another socket.
    pub fn with_socket(&self, socket: &Path) -> Cli {
        Cli { socket: socket.to_owned(), ..self.clone() }
    }

    /// The same tools with the vrrpd that listens at `socket`.
    pub fn with_vrrpd(&self, socket: &Path) -> Cli {
        Cli { vrrpd: Some(socket.to_owned()), ..self.clone() }
    }

    /// Where the tools are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the dataplane listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// A command that runs `program` in the directory of the tools, which then find the dataplane.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.directory).env("SLUICE_SOCKET", &self.socket).env("DPVS_IPC_FILE", &self.socket);
        if let Some(vrrpd) = &self.vrrpd {
            command.env(vrrp::SOCKET, vrrpd);
        }
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    /// Runs one of the tools, given with its arguments as words without blanks.
    ///
    /// # Errors
    /// When it cannot be started. How it ended is for the caller to judge.
    pub fn try_run(&self, words: &str) -> Result<Finished, LabError> {
        let mut words = words.split_whitespace();
        let program = self.directory.join(words.next().unwrap_or_default());
        run(self.command(&program.to_string_lossy()).args(words))
    }

    /// As [`Cli::try_run`], and it must succeed. Returns what it printed.
    ///
    /// # Errors
    /// When it fails.
    pub fn run(&self, words: &str) -> Result<String, LabError> {
        self.try_run(words)?.success()
    }

    /// Runs a script of the tutorial's kind, which calls `./dpip` and `./ipvsadm`.
    ///
    /// # Errors
    /// When one of its commands fails.
    pub fn script(&self, script: &str) -> Result<String, LabError> {
        run(self.command("sh").args(["-e", "-c", script]))?.success()
    }

    /// What `sluice --json …` prints: an array of rows.
    ///
    /// # Errors
    /// When the command fails or prints something else.
    pub fn rows<T: DeserializeOwned>(&self, words: &str) -> Result<Vec<T>, LabError> {
        let printed = self.run(&format!("sluice --json {words}"))?;
        let wrong = |error| LabError::Unexpected(format!("`sluice --json {words}` printed {printed:?}: {error}"));
        serde_json::from_str(&printed).map_err(wrong)
    }

    /// Everything that is configured, counters left out.
    ///
    /// # Errors
    /// When a listing fails.
    pub fn objects(&self) -> Result<Vec<Object>, LabError> {
        let mut objects = Vec::new();
        objects.extend(self.rows::<AddressRow>("addr show")?.into_iter().map(|row| Object::Address(row.address)));
        objects.extend(self.rows::<RouteRow>("route show")?.into_iter().map(|row| Object::Route(row.route)));
        for row in self.rows::<ServiceRow>("service show")? {
            objects.push(Object::Service(row.service));
            objects.extend(row.servers.into_iter().map(|row| Object::Server(row.server)));
        }
        let locals = self.rows::<LocalAddressRow>("laddr show")?;
        objects.extend(locals.into_iter().map(|row| Object::LocalAddress(row.local)));
        Ok(objects)
    }

    /// Runs a command that must be refused: it fails, prints nothing, and says why in one line, which is returned.
    ///
    /// # Errors
    /// When it does otherwise.
    pub fn refusal(&self, words: &str) -> Result<String, LabError> {
        let finished = self.try_run(words)?;
        let lines: Vec<&str> = finished.stderr.lines().collect();
        match lines[..] {
            [line] if !finished.status.success() && finished.status.code().is_some() && finished.stdout.is_empty() => {
                Ok(line.to_owned())
            }
            _ => Err(LabError::Unexpected(format!("`{words}` should fail with one line and did {finished:?}"))),
        }
    }
}
