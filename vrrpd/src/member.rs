//! One virtual router: its timers and its part in the election (RFC 3768, 6; RFC 9568, 6).

use crate::{Advert, Checksum, MemberSettings, Reason, Standing, Time};
use net::vrrp::{ChecksumForm, Fields, Interval, PRIORITY_OWNER, PRIORITY_STOP, Version, VrrpError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;

/// The least time between two rounds of announcements against a router of lower priority: neither a flood nor a short
/// interval may make more of them than switches and neighbours can bear.
const REANNOUNCEMENT: Duration = Duration::from_secs(1);

/// What was heard, counted since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Advertisements that were believed, those of priority 0 among them.
    pub received: u64,
    /// Of those, of priority 0: the master stopped.
    pub stops: u64,
    /// Messages that were not believed, by [`VrrpError`] in the order of [`VrrpError::ALL`]. An advertisement of
    /// version 3 with other addresses is believed and counted here too (RFC 9568, 7.1).
    pub errors: [u64; VrrpError::ALL.len()],
    /// Our own advertisements that came back: a loop in the network, or our address in use elsewhere.
    pub own: u64,
}

/// The master as it was last heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterSeen {
    /// Its primary address.
    pub address: IpAddr,
    /// Its priority.
    pub priority: u8,
    /// When it was last heard.
    pub at: Time,
}

/// Something tracked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// What is to be said of it, as `failed`.
    pub says: String,
    /// How it stands.
    pub standing: Standing,
}

/// A member of a group.
pub struct Member {
    settings: MemberSettings,
    priority: NonZeroU8,
    tracked: BTreeMap<String, Tracked>,
    interface_up: bool,
    source: Option<IpAddr>,
    /// Master_Adver_Interval: in version 3 that of the master, else our own.
    master_interval: Interval,
    /// The form of the checksum the master last used.
    master_checksum: Option<ChecksumForm>,
    master: Option<MasterSeen>,
    role: Role,
    counters: Counters,
}

enum Role {
    Idle,
    Backup { down_at: Time, preempt_at: Option<Time> },
    Master { advertise_at: Option<Time>, conflict: Option<Conflict>, reannounce_from: Time },
}

struct Conflict {
    with: IpAddr,
    since: Time,
    quiet_at: Time,
    told: bool,
}

/// What comes of an advertisement.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing to be done.
    Nothing,
    /// A master has to answer, so that nobody takes over.
    Answer,
    /// Somebody of lower priority speaks as master; it may be time to say so, and to announce the addresses again.
    Lower { conflict: Option<IpAddr>, reannounce: bool },
    /// A better master speaks: this one is backup now.
    Deposed { by: IpAddr, priority: u8 },
}

impl Member {
    pub(crate) fn new(settings: MemberSettings) -> Self {
        Self {
            priority: settings.priority,
            tracked: BTreeMap::new(),
            interface_up: false,
            source: None,
            master_interval: settings.interval,
            master_checksum: None,
            master: None,
            role: Role::Idle,
            counters: Counters::default(),
            settings,
        }
    }

    /// What it was configured with.
    pub fn settings(&self) -> &MemberSettings {
        &self.settings
    }

    /// What was heard.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What the election goes by before tracking: as configured, or as the operator set it.
    pub fn priority(&self) -> u8 {
        self.priority.get()
    }

    /// The master, unless it is this router, or none was heard since this one began to listen.
    pub fn master(&self) -> Option<&MasterSeen> {
        self.master.as_ref()
    }

    /// What the election goes by: the priority with the weights of what is tracked, from 1 to 254; that of an owner is
    /// always 255.
    pub fn effective_priority(&self) -> u8 {
        if self.is_owner() {
            return PRIORITY_OWNER;
        }
        let weights = self.tracked.values().map(|tracked| match tracked.standing {
            Standing::Weight(weight) => i32::from(weight),
            Standing::Fault => 0,
        });
        (i32::from(self.priority.get()) + weights.sum::<i32>()).clamp(1, 254) as u8
    }

    /// What is tracked, by its name.
    pub fn tracked(&self) -> &BTreeMap<String, Tracked> {
        &self.tracked
    }

    /// Whether the addresses are this router's own.
    pub fn is_owner(&self) -> bool {
        self.priority.get() == PRIORITY_OWNER
    }

    /// How much sooner than others this router takes over (RFC 3768, 6.1; RFC 9568, 6.1).
    pub fn skew_time(&self) -> Duration {
        let behind = 256 - u32::from(self.effective_priority());
        match self.settings.version {
            Version::V2 => Duration::from_secs(1) * behind / 256,
            Version::V3 => self.master_interval.duration() * behind / 256,
        }
    }

    /// How long a master may be silent until it is taken for dead.
    pub fn master_down_interval(&self) -> Duration {
        self.master_interval.duration() * 3 + self.skew_time()
    }

    pub(crate) fn set_priority(&mut self, priority: NonZeroU8) {
        self.priority = priority;
    }

    pub(crate) fn set_interface(&mut self, up: bool) {
        self.interface_up = up;
    }

    pub(crate) fn set_source(&mut self, address: Option<IpAddr>) {
        self.source = address;
    }

    pub(crate) fn track(&mut self, name: &str, tracked: Tracked) {
        self.tracked.insert(name.to_owned(), tracked);
    }

    /// Why it cannot be master.
    pub(crate) fn fault(&self, member: usize) -> Option<Reason> {
        if !self.interface_up {
            Some(Reason::InterfaceDown { member })
        } else if self.source.is_none() {
            Some(Reason::NoAddress { member })
        } else {
            let at_fault = self.tracked.iter().find(|(_, tracked)| tracked.standing == Standing::Fault);
            at_fault.map(|(name, _)| Reason::Tracking { member, name: name.clone() })
        }
    }

    /// What it advertises as master; absent without an address.
    pub(crate) fn advert(&self) -> Option<Advert> {
        let source = self.source?;
        let preferred = match self.settings.checksum {
            Checksum::Always(form) => form,
            Checksum::Auto => self.master_checksum.unwrap_or(ChecksumForm::PseudoHeader),
        };
        let settings = &self.settings;
        let checksum = match (settings.version, source) {
            (Version::V2, _) => ChecksumForm::Message,
            (Version::V3, IpAddr::V6(_)) => ChecksumForm::PseudoHeader,
            (Version::V3, IpAddr::V4(_)) => preferred,
        };
        let fields = Fields {
            version: settings.version,
            vrid: settings.vrid,
            priority: self.effective_priority(),
            interval: settings.interval,
            authentication: settings.authentication,
            checksum,
        };
        Some(Advert { source, fields, addresses: settings.addresses.clone() })
    }

    /// Its last will.
    pub(crate) fn will(&self) -> Option<Advert> {
        let advert = self.advert()?;
        Some(Advert { fields: Fields { priority: PRIORITY_STOP, ..advert.fields }, ..advert })
    }

    /// It listens to nothing.
    pub(crate) fn be_idle(&mut self) {
        self.role = Role::Idle;
        self.master = None;
    }

    /// It begins to listen: a full Master_Down_Interval of hearing first, unless the addresses are its own.
    pub(crate) fn be_backup(&mut self, now: Time) {
        self.master_interval = self.settings.interval;
        let hearing = if self.is_owner() { Duration::ZERO } else { self.master_down_interval() };
        self.role = Role::Backup { down_at: now + hearing, preempt_at: None };
    }

    /// It is master; `advertise_at` is when it sends its first advertisement from here.
    pub(crate) fn be_master(&mut self, advertise_at: Option<Time>) {
        self.master = None;
        self.role = Role::Master { advertise_at, conflict: None, reannounce_from: Time::default() };
    }

    /// Advertisements are sent from here, from `now` on.
    pub(crate) fn advertise_from(&mut self, now: Time) {
        if let Role::Master { advertise_at, .. } = &mut self.role {
            *advertise_at = Some(now);
        }
    }

    /// When no master will have been heard for long enough; absent unless it is backup.
    pub(crate) fn down_at(&self) -> Option<Time> {
        if let Role::Backup { down_at, .. } = self.role { Some(down_at) } else { None }
    }

    /// When something is due in a master.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let Role::Master { advertise_at, conflict, .. } = &self.role else { return None };
        let quiet_at = conflict.as_ref().map(|conflict| conflict.quiet_at);
        [*advertise_at, quiet_at].into_iter().flatten().min()
    }

    /// Whether to send an advertisement now; if so, the Adver_Timer is set again.
    pub(crate) fn take_advert(&mut self, now: Time) -> bool {
        let interval = self.settings.interval.duration();
        let Role::Master { advertise_at: Some(at), .. } = &mut self.role else { return false };
        if *at > now {
            return false;
        }
        // From when it was due, lest it slips; but nothing is made up for.
        *at = (*at + interval).max(now);
        true
    }

    /// The Adver_Timer begins anew, because an advertisement is sent out of turn.
    pub(crate) fn restart_adver_timer(&mut self, now: Time) {
        let interval = self.settings.interval.duration();
        if let Role::Master { advertise_at: Some(at), .. } = &mut self.role {
            *at = now + interval;
        }
    }

    /// A conflict has been quiet for long enough by `now`; `true`: it had been told.
    pub(crate) fn take_quiet(&mut self, now: Time) -> bool {
        let Role::Master { conflict, .. } = &mut self.role else { return false };
        conflict.take_if(|conflict| conflict.quiet_at <= now).is_some_and(|conflict| conflict.told)
    }

    /// Whether advertisements are sent from here.
    pub(crate) fn is_advertising(&self) -> bool {
        matches!(self.role, Role::Master { advertise_at: Some(_), .. })
    }

    pub(crate) fn count(&mut self, error: VrrpError) {
        self.counters.errors[error as usize] += 1;
    }

    /// An advertisement came, received at `at`.
    pub(crate) fn hear(&mut self, advert: &Advert, at: Time) -> Heard {
        let Some(ours) = self.advert() else { return Heard::Nothing };
        if let Err(error) = self.believe(advert, &ours) {
            self.count(error);
            return Heard::Nothing;
        }
        if advert.source == ours.source {
            self.counters.own += 1;
            return Heard::Nothing;
        }
        self.counters.received += 1;
        self.counters.stops += u64::from(advert.fields.priority == PRIORITY_STOP);
        match self.role {
            Role::Idle => Heard::Nothing,
            Role::Backup { .. } => {
                self.hear_as_backup(advert, at);
                Heard::Nothing
            }
            Role::Master { .. } => self.hear_as_master(advert, &ours, at),
        }
    }

    fn believe(&mut self, advert: &Advert, ours: &Advert) -> Result<(), VrrpError> {
        advert.fields.check(&ours.fields)?;
        let same = advert.addresses.len() == ours.addresses.len()
            && advert.addresses.iter().all(|address| ours.addresses.contains(address));
        match self.settings.version {
            _ if same => Ok(()),
            // RFC 3768, 7.1: only the owner of the addresses is believed.
            Version::V2 if advert.fields.priority != PRIORITY_OWNER => Err(VrrpError::AddressList),
            // RFC 9568, 7.1: for people to look at.
            _ => {
                self.count(VrrpError::AddressList);
                Ok(())
            }
        }
    }

    /// RFC 9568, 6.4.2.
    fn hear_as_backup(&mut self, advert: &Advert, at: Time) {
        if advert.fields.priority == PRIORITY_STOP {
            let skew = self.skew_time();
            if let Role::Backup { down_at, .. } = &mut self.role {
                *down_at = at + skew;
            }
        } else if self.bears(advert, at) {
            self.follow(advert, at);
        }
    }

    /// Whether this master is left in office.
    fn bears(&mut self, advert: &Advert, at: Time) -> bool {
        let better = advert.fields.priority >= self.effective_priority();
        let (owner, delay, preempt) = (self.is_owner(), self.settings.preempt_delay, self.settings.preempt);
        let Role::Backup { preempt_at, .. } = &mut self.role else { return true };
        if better {
            *preempt_at = None;
            return true;
        }
        let due = *preempt_at.get_or_insert(at + delay);
        !owner && (!preempt || at < due)
    }

    /// Takes the sender for master, and waits for its next advertisement.
    fn follow(&mut self, advert: &Advert, at: Time) {
        if self.settings.version == Version::V3 {
            self.master_interval = advert.fields.interval;
        }
        self.master_checksum = Some(advert.fields.checksum);
        self.master = Some(MasterSeen { address: advert.source, priority: advert.fields.priority, at });
        let down = at + self.master_down_interval();
        match &mut self.role {
            Role::Backup { down_at, .. } => *down_at = down,
            role => *role = Role::Backup { down_at: down, preempt_at: None },
        }
    }

    /// RFC 9568, 6.4.3. Two owners settle it like any two of equal priority, as its erratum 8298 has it.
    fn hear_as_master(&mut self, advert: &Advert, ours: &Advert, at: Time) -> Heard {
        let priority = advert.fields.priority;
        if priority == PRIORITY_STOP {
            return Heard::Answer;
        }
        // The addresses only break a tie, the greater one wins.
        if (priority, advert.source) > (ours.fields.priority, ours.source) {
            self.follow(advert, at);
            return Heard::Deposed { by: advert.source, priority };
        }
        Heard::Lower { conflict: self.note_conflict(advert, at), reannounce: self.take_reannouncement(at) }
    }

    fn take_reannouncement(&mut self, at: Time) -> bool {
        let Role::Master { reannounce_from, .. } = &mut self.role else { return false };
        let due = *reannounce_from <= at;
        if due {
            *reannounce_from = at + REANNOUNCEMENT;
        }
        due
    }

    /// Whom to name, when it has gone on for so long that the other should have heard us.
    fn note_conflict(&mut self, advert: &Advert, at: Time) -> Option<IpAddr> {
        let patience = self.master_down_interval();
        let with = advert.source;
        let Role::Master { conflict, .. } = &mut self.role else { return None };
        let quiet_at = at + patience.max(advert.fields.interval.duration() * 4);
        match conflict {
            Some(known) if known.with == with => {
                known.quiet_at = quiet_at;
                let tell = !known.told && at.since(known.since) >= patience;
                known.told |= tell;
                tell.then_some(with)
            }
            // One at a time: whoever was told stays so until it is quiet.
            Some(known) if known.told => None,
            _ => {
                *conflict = Some(Conflict { with, since: at, quiet_at, told: false });
                None
            }
        }
    }
}
