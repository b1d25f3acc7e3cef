//! Why an advertisement is not believed.

use serde::{Deserialize, Serialize};

/// Why an advertisement is discarded. The kinds are those the MIBs of VRRP count (RFC 2787, RFC 6527), and a few more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum VrrpError {
    /// It crossed a router, or was made up behind one.
    #[error("TTL or hop limit is not 255")]
    Ttl,
    /// Neither 2 (over IPv4) nor 3, or not the one configured.
    #[error("VRRP version is unknown or not the one configured")]
    Version,
    /// No advertisement.
    #[error("VRRP type is not 1, advertisement")]
    Type,
    /// 0, or one that is not configured here.
    #[error("VRID is 0 or not configured here")]
    Vrid,
    /// Shorter than its header, or than the addresses it counts.
    #[error("VRRP message is shorter than what it should hold")]
    Length,
    /// Right in no form there is.
    #[error("VRRP checksum is wrong")]
    Checksum,
    /// Version 3 without any address (RFC 9568, 5.2.5).
    #[error("VRRP message counts no addresses")]
    Count,
    /// 0; in version 2 also one that is not the one configured.
    #[error("VRRP interval is 0 or not the one configured")]
    Interval,
    /// A type of authentication that is neither none nor password.
    #[error("VRRP authentication type is neither 0, none, nor 1, password")]
    AuthenticationType,
    /// A type of authentication that is not the one configured.
    #[error("VRRP authentication type is not the one configured")]
    AuthenticationMismatch,
    /// The wrong password.
    #[error("VRRP password is wrong")]
    AuthenticationFailed,
    /// Other addresses than those configured (RFC 3768, 7.1). Version 3 takes note, and believes it all the same.
    #[error("VRRP addresses are not those configured")]
    AddressList,
}

impl VrrpError {
    /// Every kind, in the order of their numbers: `ALL[kind as usize] == kind`.
    pub const ALL: [Self; 12] = [
        Self::Ttl,
        Self::Version,
        Self::Type,
        Self::Vrid,
        Self::Length,
        Self::Checksum,
        Self::Count,
        Self::Interval,
        Self::AuthenticationType,
        Self::AuthenticationMismatch,
        Self::AuthenticationFailed,
        Self::AddressList,
    ];
}
