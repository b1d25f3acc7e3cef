//! Ctrl-C and SIGTERM as a request to stop, so that what was set up is taken down in order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::error::{Attempt, LabError};

static REQUESTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on SIGINT, SIGTERM and SIGHUP make every wait of the lab fail with [`LabError::Interrupted`] instead of
/// ending the process.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn install() -> Result<(), LabError> {
    let flag = REQUESTED.get_or_init(Arc::default);
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(flag)).attempt(|| format!("handle signal {signal}"))?;
    }
    Ok(())
}

/// Fails once the user has asked to stop.
///
/// # Errors
/// [`LabError::Interrupted`].
pub fn check() -> Result<(), LabError> {
    match REQUESTED.get() {
        Some(flag) if flag.load(Ordering::Relaxed) => Err(LabError::Interrupted),
        _ => Ok(()),
    }
}
