//! Waiting for conditions, by polling with a deadline.

use std::thread;
use std::time::{Duration, Instant};

use crate::error::LabError;
use crate::interrupt;

pub(crate) const POLL: Duration = Duration::from_millis(10);

/// Calls `probe` until it yields a value, at most for `within`. `what` completes "waited in vain for".
///
/// # Errors
/// [`LabError::Timeout`] when time is up, [`LabError::Interrupted`] when the user asked to stop, and whatever `probe`
/// fails with.
pub fn until<T>(
    what: &str,
    within: Duration,
    mut probe: impl FnMut() -> Result<Option<T>, LabError>,
) -> Result<T, LabError> {
    let start = Instant::now();
    loop {
        interrupt::check()?;
        if let Some(value) = probe()? {
            return Ok(value);
        }
        if start.elapsed() >= within {
            return Err(LabError::Timeout { what: what.to_owned(), waited: start.elapsed() });
        }
        thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_with_the_value_or_the_deadline() {
        let mut calls = 0;
        let third = until("the third call", Duration::from_secs(10), || {
            calls += 1;
            Ok((calls == 3).then_some(calls))
        });
        assert_eq!(third.unwrap(), 3);
        let never = until::<()>("nothing", Duration::ZERO, || Ok(None)).unwrap_err();
        assert!(never.to_string().ends_with("s in vain for nothing"), "{never}");
    }
}
