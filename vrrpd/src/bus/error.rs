//! What can go wrong with a call, as D-Bus errors.

use ::daemon::bus::NotAdmitted;
use zbus::DBusError;

/// A failed call.
#[derive(Debug, DBusError)]
#[zbus(prefix = "org.sluice.Error")]
pub(super) enum BusError {
    /// The bus itself failed.
    #[zbus(error)]
    Bus(zbus::Error),
    /// What was asked for is no such thing.
    Invalid(String),
    /// The caller may not do this.
    Denied(String),
    /// There is no such instance any more.
    NotFound(String),
    /// vrrpd does not answer.
    Timeout(String),
}

pub(super) type Result<T> = std::result::Result<T, BusError>;

impl From<NotAdmitted> for BusError {
    fn from(why: NotAdmitted) -> Self {
        match why {
            NotAdmitted::Bus(error) => BusError::Bus(error),
            NotAdmitted::Refused(refusal) => BusError::Denied(refusal.message),
        }
    }
}
