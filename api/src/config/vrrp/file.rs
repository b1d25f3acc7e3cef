//! What `[vrrp]` may say, key by key. The names are keepalived's where it has one.

use std::num::NonZeroU8;
use std::path::PathBuf;
use std::time::Duration;

use net::vrrp::{ChecksumForm, Version};
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use toml::Spanned;

use crate::config::value::{number, optional_number, optional_seconds, seconds};
use crate::vrrp::{Announcements, GarpForm, Rounds};

/// How addresses are announced, as far as a section says it.
#[derive(Clone, Copy)]
pub(super) struct Announcing {
    pub(super) master_delay: Option<Duration>,
    pub(super) master_repeat: Option<u32>,
    pub(super) master_refresh: Option<Duration>,
    pub(super) master_refresh_repeat: Option<u32>,
    pub(super) lower_prio_delay: Option<Duration>,
    pub(super) lower_prio_repeat: Option<u32>,
    pub(super) garp_interval: Option<Duration>,
    pub(super) gna_interval: Option<Duration>,
    pub(super) garp_form: Option<GarpForm>,
    pub(super) lower_prio_no_advert: Option<bool>,
}

/// A section with the keys of [`Announcing`] beside its own: serde cannot flatten them in and refuse unknown ones too.
macro_rules! announcing_section {
    ($(#[$attribute:meta])* $name:ident { $($rest:tt)* }) => {
        $(#[$attribute])*
        pub(in crate::config) struct $name {
            $($rest)*
            #[serde(default, deserialize_with = "optional_seconds::<_, 3600>")]
            garp_master_delay: Option<Duration>,
            #[serde(default, deserialize_with = "optional_number::<_, _, 0, 255>")]
            garp_master_repeat: Option<u32>,
            #[serde(default, deserialize_with = "optional_seconds::<_, 86_400>")]
            garp_master_refresh: Option<Duration>,
            #[serde(default, deserialize_with = "optional_number::<_, _, 1, 255>")]
            garp_master_refresh_repeat: Option<u32>,
            #[serde(default, deserialize_with = "optional_seconds::<_, 3600>")]
            garp_lower_prio_delay: Option<Duration>,
            #[serde(default, deserialize_with = "optional_number::<_, _, 0, 255>")]
            garp_lower_prio_repeat: Option<u32>,
            #[serde(default, deserialize_with = "optional_seconds::<_, 60>")]
            garp_interval: Option<Duration>,
            #[serde(default, deserialize_with = "optional_seconds::<_, 60>")]
            gna_interval: Option<Duration>,
            #[serde(default)]
            garp_form: Option<GarpForm>,
            #[serde(default)]
            lower_prio_no_advert: Option<bool>,
        }

        impl $name {
            pub(super) fn announcing(&self) -> Announcing {
                Announcing {
                    master_delay: self.garp_master_delay,
                    master_repeat: self.garp_master_repeat,
                    master_refresh: self.garp_master_refresh,
                    master_refresh_repeat: self.garp_master_refresh_repeat,
                    lower_prio_delay: self.garp_lower_prio_delay,
                    lower_prio_repeat: self.garp_lower_prio_repeat,
                    garp_interval: self.garp_interval,
                    gna_interval: self.gna_interval,
                    garp_form: self.garp_form,
                    lower_prio_no_advert: self.lower_prio_no_advert,
                }
            }
        }
    };
}

impl Announcing {
    /// What this says, and else `wider`.
    pub(super) fn or(self, wider: Self) -> Self {
        Self {
            master_delay: self.master_delay.or(wider.master_delay),
            master_repeat: self.master_repeat.or(wider.master_repeat),
            master_refresh: self.master_refresh.or(wider.master_refresh),
            master_refresh_repeat: self.master_refresh_repeat.or(wider.master_refresh_repeat),
            lower_prio_delay: self.lower_prio_delay.or(wider.lower_prio_delay),
            lower_prio_repeat: self.lower_prio_repeat.or(wider.lower_prio_repeat),
            garp_interval: self.garp_interval.or(wider.garp_interval),
            gna_interval: self.gna_interval.or(wider.gna_interval),
            garp_form: self.garp_form.or(wider.garp_form),
            lower_prio_no_advert: self.lower_prio_no_advert.or(wider.lower_prio_no_advert),
        }
    }

    /// With keepalived's defaults.
    pub(super) fn announcements(self) -> Announcements {
        Announcements {
            master: Rounds {
                repeat: self.master_repeat.unwrap_or(5),
                delay: self.master_delay.unwrap_or(Duration::from_secs(5)),
            },
            refresh: self.master_refresh.unwrap_or_default(),
            refresh_repeat: self.master_refresh_repeat.unwrap_or(1),
            garp_interval: self.garp_interval.unwrap_or_default(),
            gna_interval: self.gna_interval.unwrap_or_default(),
            form: self.garp_form.unwrap_or_default(),
        }
    }

    /// What is not said is as when it became master.
    pub(super) fn lower_prio(self) -> Rounds {
        let Announcements { master, .. } = self.announcements();
        Rounds {
            repeat: self.lower_prio_repeat.unwrap_or(master.repeat),
            delay: self.lower_prio_delay.unwrap_or(master.delay),
        }
    }
}

announcing_section! {
    #[derive(Deserialize, Default)]
    #[serde(deny_unknown_fields)]
    VrrpSection {
        #[serde(default)]
        pub(super) version: Option<ProtocolVersion>,
        #[serde(default, deserialize_with = "optional_number::<_, _, 1, 60>")]
        pub(super) lease: Option<u32>,
        #[serde(default)]
        pub(super) instance: Vec<Spanned<InstanceSection>>,
        #[serde(default)]
        pub(super) sync_group: Vec<SyncGroupSection>,
        #[serde(default)]
        pub(super) script: Vec<ScriptSection>,
        #[serde(default)]
        pub(super) track_file: Vec<TrackFileSection>,
    }
}

announcing_section! {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    InstanceSection {
        pub(super) name: Spanned<String>,
        pub(super) interface: Spanned<String>,
        #[serde(default)]
        pub(super) version: Option<ProtocolVersion>,
        pub(super) virtual_router_id: Spanned<OneTo255>,
        #[serde(default)]
        pub(super) priority: Option<OneTo255>,
        #[serde(default)]
        pub(super) advert_int: Option<Spanned<AdvertInterval>>,
        pub(super) virtual_ipaddress: Spanned<Vec<Spanned<String>>>,
        #[serde(default)]
        pub(super) virtual_ipaddress_excluded: Vec<Spanned<String>>,
        #[serde(default)]
        pub(super) unicast_peer: Vec<Spanned<String>>,
        #[serde(default, alias = "mcast_src_ip")]
        pub(super) unicast_src_ip: Option<Spanned<String>>,
        #[serde(default)]
        pub(super) authentication: Option<Spanned<AuthenticationSection>>,
        #[serde(default)]
        pub(super) checksum: Option<Spanned<ChecksumName>>,
        #[serde(default)]
        pub(super) nopreempt: Option<Spanned<bool>>,
        #[serde(default, deserialize_with = "optional_seconds::<_, 1000>")]
        pub(super) preempt_delay: Option<Duration>,
        #[serde(default)]
        pub(super) use_vmac: bool,
        #[serde(default)]
        pub(super) accept: Option<Spanned<bool>>,
        #[serde(default)]
        track_interface: Vec<TrackedSection>,
        #[serde(default)]
        track_script: Vec<TrackedSection>,
        #[serde(default)]
        track_file: Vec<TrackedSection>,
        #[serde(default)]
        track_fact: Vec<TrackedSection>,
        #[serde(default)]
        notify_master: Option<Spanned<String>>,
        #[serde(default)]
        notify_backup: Option<Spanned<String>>,
        #[serde(default)]
        notify_fault: Option<Spanned<String>>,
        #[serde(default)]
        notify_stop: Option<Spanned<String>>,
        #[serde(default)]
        notify: Option<Spanned<String>>,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SyncGroupSection {
    pub(super) name: Spanned<String>,
    pub(super) group: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    track_interface: Vec<TrackedSection>,
    #[serde(default)]
    track_script: Vec<TrackedSection>,
    #[serde(default)]
    track_file: Vec<TrackedSection>,
    #[serde(default)]
    track_fact: Vec<TrackedSection>,
    #[serde(default)]
    notify_master: Option<Spanned<String>>,
    #[serde(default)]
    notify_backup: Option<Spanned<String>>,
    #[serde(default)]
    notify_fault: Option<Spanned<String>>,
    #[serde(default)]
    notify_stop: Option<Spanned<String>>,
    #[serde(default)]
    notify: Option<Spanned<String>>,
}

/// What instances and sync groups have in common.
macro_rules! moving_section {
    ($name:ident) => {
        impl $name {
            pub(super) fn tracking(&self) -> TrackingSection<'_> {
                TrackingSection {
                    interfaces: &self.track_interface,
                    scripts: &self.track_script,
                    files: &self.track_file,
                    facts: &self.track_fact,
                }
            }

            pub(super) fn notifying(&self) -> NotifyingSection<'_> {
                NotifyingSection {
                    master: self.notify_master.as_ref(),
                    backup: self.notify_backup.as_ref(),
                    fault: self.notify_fault.as_ref(),
                    stop: self.notify_stop.as_ref(),
                    any: self.notify.as_ref(),
                }
            }
        }
    };
}

moving_section!(InstanceSection);
moving_section!(SyncGroupSection);

/// The keys that begin with `track_`.
pub(super) struct TrackingSection<'s> {
    pub(super) interfaces: &'s [TrackedSection],
    pub(super) scripts: &'s [TrackedSection],
    pub(super) files: &'s [TrackedSection],
    pub(super) facts: &'s [TrackedSection],
}

/// The keys that begin with `notify`.
pub(super) struct NotifyingSection<'s> {
    pub(super) master: Option<&'s Spanned<String>>,
    pub(super) backup: Option<&'s Spanned<String>>,
    pub(super) fault: Option<&'s Spanned<String>>,
    pub(super) stop: Option<&'s Spanned<String>>,
    pub(super) any: Option<&'s Spanned<String>>,
}

/// keepalived's `vrrp_script`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScriptSection {
    pub(super) name: Spanned<String>,
    pub(super) script: Spanned<String>,
    #[serde(default)]
    pub(super) interval: Option<Spanned<Period>>,
    #[serde(default)]
    pub(super) timeout: Option<Spanned<Period>>,
    #[serde(default)]
    pub(super) weight: Option<Spanned<i64>>,
    #[serde(default, deserialize_with = "optional_number::<_, _, 1, 1000>")]
    pub(super) rise: Option<u32>,
    #[serde(default, deserialize_with = "optional_number::<_, _, 1, 1000>")]
    pub(super) fall: Option<u32>,
}

/// keepalived's `vrrp_track_file`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TrackFileSection {
    pub(super) name: Spanned<String>,
    pub(super) file: Spanned<PathBuf>,
    #[serde(default)]
    pub(super) weight: Option<Spanned<i64>>,
}

/// Seconds between runs of a script, or for one.
#[derive(Deserialize, Clone, Copy)]
#[serde(transparent)]
pub(super) struct Period(#[serde(deserialize_with = "seconds::<_, 3600>")] pub(super) Duration);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuthenticationSection {
    #[expect(dead_code, reason = "there is no other")]
    pub(super) auth_type: AuthenticationType,
    pub(super) auth_pass: Spanned<String>,
}

#[derive(Deserialize)]
pub(super) enum AuthenticationType {
    #[serde(rename = "PASS")]
    Password,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TrackedSection {
    pub(super) name: Spanned<String>,
    #[serde(default)]
    pub(super) weight: Option<Spanned<i64>>,
}

/// 1 to 255.
#[derive(Clone, Copy)]
pub(super) struct OneTo255(pub(super) NonZeroU8);

impl<'de> Deserialize<'de> for OneTo255 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = number::<D, u8, 1, 255>(deserializer)?;
        NonZeroU8::new(number).map(Self).ok_or_else(|| D::Error::custom("0 is out of range"))
    }
}

/// Seconds between advertisements; which ones there are depends on the version.
#[derive(Deserialize, Clone, Copy)]
#[serde(transparent)]
pub(super) struct AdvertInterval(#[serde(deserialize_with = "seconds::<_, 255>")] pub(super) Duration);

/// The version of the protocol, as a number.
#[derive(Clone, Copy)]
pub(super) struct ProtocolVersion(pub(super) Version);

impl<'de> Deserialize<'de> for ProtocolVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match number::<D, u8, 0, { u32::MAX }>(deserializer) {
            Ok(2) => Ok(Self(Version::V2)),
            Ok(3) => Ok(Self(Version::V3)),
            Ok(other) => Err(D::Error::custom(format!("{other} is no version of VRRP; there are 2 and 3"))),
            Err(error) => Err(error),
        }
    }
}

/// What a checksum of version 3 over IPv4 covers.
#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ChecksumName {
    Auto,
    PseudoHeader,
    Rfc9568,
}

impl ChecksumName {
    pub(super) fn form(self) -> Option<ChecksumForm> {
        match self {
            Self::Auto => None,
            Self::PseudoHeader => Some(ChecksumForm::PseudoHeader),
            Self::Rfc9568 => Some(ChecksumForm::Message),
        }
    }
}
