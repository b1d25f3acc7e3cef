//! Refusals as D-Bus errors.

use api::ipc::{Refusal, RefusalKind};
use daemon::bus::NotAdmitted;
use zbus::DBusError;

/// A failed call, named as [`RefusalKind`] names it.
#[derive(Debug, DBusError)]
#[zbus(prefix = "org.sluice.Error")]
pub(super) enum BusError {
    /// The bus itself failed.
    #[zbus(error)]
    Bus(zbus::Error),
    /// See [`RefusalKind::Exists`].
    Exists(String),
    /// See [`RefusalKind::NotFound`].
    NotFound(String),
    /// See [`RefusalKind::Invalid`].
    Invalid(String),
    /// See [`RefusalKind::Denied`].
    Denied(String),
    /// See [`RefusalKind::Owned`].
    Owned(String),
    /// See [`RefusalKind::InUse`].
    InUse(String),
    /// See [`RefusalKind::Full`].
    Full(String),
    /// See [`RefusalKind::Timeout`].
    Timeout(String),
    /// See [`RefusalKind::NoDevice`].
    NoDevice(String),
    /// See [`RefusalKind::NoService`].
    NoService(String),
}

pub(super) type Result<T> = std::result::Result<T, BusError>;

impl From<Refusal> for BusError {
    fn from(Refusal { kind, message, .. }: Refusal) -> Self {
        match kind {
            RefusalKind::Exists => BusError::Exists(message),
            RefusalKind::NotFound => BusError::NotFound(message),
            RefusalKind::Invalid => BusError::Invalid(message),
            RefusalKind::Denied => BusError::Denied(message),
            RefusalKind::Owned => BusError::Owned(message),
            RefusalKind::InUse => BusError::InUse(message),
            RefusalKind::Full => BusError::Full(message),
            RefusalKind::Timeout => BusError::Timeout(message),
            RefusalKind::NoDevice => BusError::NoDevice(message),
            RefusalKind::NoService => BusError::NoService(message),
        }
    }
}

impl From<NotAdmitted> for BusError {
    fn from(why: NotAdmitted) -> Self {
        match why {
            NotAdmitted::Bus(error) => BusError::Bus(error),
            NotAdmitted::Refused(refusal) => refusal.into(),
        }
    }
}
