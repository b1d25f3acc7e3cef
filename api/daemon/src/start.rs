//! The start of a program: its command line, its log, and the service manager.

use std::convert::Infallible;
use std::future::pending;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use api::config::{Config, check_instance};
use clap::{Args, CommandFactory, Parser};
use sd_notify::NotifyState;
use tracing::warn;
use tracing_subscriber::EnvFilter;

/// What every program is told on its command line.
#[derive(Debug, Args)]
pub struct Configured {
    /// The configuration file [default: /etc/sluice/INSTANCE.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The instance; it is part of the names of its socket and on the bus
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub instance: String,
}

impl Configured {
    /// Where the configuration is.
    pub fn file(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(|| format!("/etc/sluice/{}.toml", self.instance).into())
    }

    /// Reads the configuration.
    ///
    /// # Errors
    /// When the instance cannot have that name, or the file is wrong.
    pub fn load(&self) -> Result<Config> {
        check_instance(&self.instance)?;
        Ok(Config::load(&self.file())?)
    }
}

/// Reads the command line and runs a program with it, its log on standard error at the level that `SLUICE_LOG` names.
/// Why it fails is said in one line.
pub fn main<A: Parser + CommandFactory>(run: impl FnOnce(A) -> Result<()>) -> ExitCode {
    let arguments = A::parse();
    let filter = EnvFilter::try_from_env("SLUICE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(terminal).with_writer(std::io::stderr).init();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error:#}", A::command().get_name());
            ExitCode::FAILURE
        }
    }
}

/// Tells the service manager, if there is one.
pub fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        warn!(%error, "cannot notify the service manager");
    }
}

/// Tells the service manager that the program is well, as often as that wants to hear it and for as long as `is_well`
/// says so; never ends.
pub async fn watchdog(is_well: impl AsyncFn() -> bool) -> Infallible {
    let Some(period) = sd_notify::watchdog_enabled() else { return pending().await };
    loop {
        tokio::time::sleep(period / 3).await;
        if is_well().await {
            notify(NotifyState::Watchdog);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        configured: Configured,
    }

    fn configured(arguments: &[&str]) -> Configured {
        Arguments::parse_from(["program"].iter().chain(arguments)).configured
    }

    #[test]
    fn the_file_is_that_of_the_instance_unless_named() {
        assert_eq!(configured(&[]).file(), PathBuf::from("/etc/sluice/default.toml"));
        assert_eq!(configured(&["--instance", "edge"]).file(), PathBuf::from("/etc/sluice/edge.toml"));
        assert_eq!(configured(&["--instance", "edge", "--config", "x"]).file(), PathBuf::from("x"));
        let refused = configured(&["--instance", "../x"]).load().unwrap_err().to_string();
        assert!(refused.contains("\"../x\" is not valid"), "{refused}");
    }
}
