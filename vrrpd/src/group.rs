//! The state that members share, and the tenure that comes with it.

use crate::member::{Heard, Tracked};
use crate::tenure::Held;
use crate::{Advert, Input, Member, Output, Reason, Sender, Settings, State, Step, Tenure, Time};
use std::time::Duration;

/// How long a group whose tenure was refused waits where there is no lease to wait for.
const AFTER_REFUSAL: Duration = Duration::from_secs(3);

/// A sync group, or a lone instance as a group of one.
pub struct Group {
    name: String,
    lease: Option<Duration>,
    members: Vec<Member>,
    state: State,
    started: bool,
    boot: Option<u128>,
    filled: bool,
    /// The lease ran out unanswered; when to ask the dataplane again whether it is there.
    lost: Option<Time>,
    /// The dataplane cannot be reached: no claim is made, and from then on one that holds nothing is at fault.
    gone: Option<Time>,
    /// No claim is made before.
    refused_until: Option<Time>,
    hold: Option<Hold>,
    /// The number of the last tenure.
    last_id: u64,
    held: Option<Held>,
}

/// The operator wants another router to be master.
struct Hold {
    until: Option<Time>,
}

/// Whether the group may be elected.
enum Footing {
    Firm,
    Not(State, Reason),
}

impl Group {
    /// A group that was told nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            name: settings.name,
            lease: settings.lease,
            members: settings.members.into_iter().map(Member::new).collect(),
            state: State::Init,
            started: false,
            boot: None,
            filled: false,
            lost: None,
            gone: None,
            refused_until: None,
            hold: None,
            last_id: 0,
            held: None,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The state of each member.
    pub fn state(&self) -> State {
        self.state
    }

    /// Its members, in the order of the settings.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// What it holds as master.
    pub fn tenure(&self) -> Option<&Tenure> {
        self.held.as_ref().map(|held| &held.tenure)
    }

    /// Whether that is granted: addresses may be where vrrpd puts them itself.
    pub fn is_granted(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.granted)
    }

    /// Whether the operator has released it.
    pub fn is_released(&self) -> bool {
        self.hold.is_some()
    }

    /// Takes note of `input` at `now`, which never goes back.
    pub fn step(&mut self, input: &Input, now: Time) -> Step {
        let mut outputs = Vec::new();
        self.note(input, now, &mut outputs);
        self.settle(now, &mut outputs);
        self.refresh_tenure(&mut outputs);
        self.send_due(now, &mut outputs);
        Step { outputs, wake: self.wake() }
    }

    fn note(&mut self, input: &Input, now: Time, out: &mut Vec<Output>) {
        match input {
            Input::Startup { held } => self.start(*held, now, out),
            Input::Shutdown => self.started = false,
            Input::Tick => self.tick(now, out),
            Input::Advert { member, at, advert } => self.hear(*member, advert, (*at).min(now), now, out),
            Input::Invalid { member, error } => self.with(*member, |member| member.count(*error)),
            Input::Priority { member, priority } => self.with(*member, |member| member.set_priority(*priority)),
            Input::Tracked { member, name, says, standing } => {
                let tracked = Tracked { says: says.clone(), standing: *standing };
                self.with(*member, |member| member.track(name, tracked));
            }
            Input::Interface { member, up } => self.with(*member, |member| member.set_interface(*up)),
            Input::Source { member, address } => self.with(*member, |member| member.set_source(*address)),
            Input::Release { period } => {
                self.hold = Some(Hold { until: period.map(|period| now + period) });
                if self.state == State::Master {
                    self.resign(None, out);
                    self.be_backup(None, Reason::Released, now, out);
                }
            }
            Input::Resume => self.resume(now),
            Input::Boot { id } => self.boot(*id, now),
            Input::Gone => self.gone = self.lease.map(|lease| now + lease),
            Input::Filled => self.filled = true,
            Input::Renewed { id, sent } => self.renewed(*id, *sent, now, out),
            Input::Refused { id } => {
                if self.held.take_if(|held| held.tenure.id == *id).is_some() {
                    self.refused_until = Some(now + self.lease.unwrap_or(AFTER_REFUSAL));
                }
            }
            Input::Ended { id } => self.ended(*id, now, out),
        }
    }

    fn with(&mut self, member: usize, change: impl FnOnce(&mut Member)) {
        if let Some(member) = self.members.get_mut(member) {
            change(member);
        }
    }

    fn start(&mut self, held: Option<u64>, now: Time, out: &mut Vec<Output>) {
        if self.started {
            return;
        }
        self.started = true;
        let Some(id) = held else { return };
        self.last_id = self.last_id.max(id);
        if let (Footing::Firm, Some(tenure)) = (self.footing(now), self.tenure_now(id)) {
            out.push(Output::Replace(tenure.clone()));
            self.hold_office(tenure, Reason::Takeover, now, out);
        } else {
            out.push(Output::Drop { id, wills: self.sent_by(Sender::Workers) });
        }
    }

    /// A new dataplane has nothing of ours. The one we knew, heard of again, has all it had.
    fn boot(&mut self, id: u128, now: Time) {
        self.lost = None;
        if self.gone.take().is_some() && self.state == State::Backup {
            // What a master has said meanwhile was not heard.
            self.members.iter_mut().for_each(|member| member.be_backup(now));
        }
        if self.boot.replace(id) != Some(id) {
            self.filled = false;
        }
    }

    fn renewed(&mut self, id: u64, sent: Time, now: Time, out: &mut Vec<Output>) {
        self.lost = None;
        let Some(held) = self.held.as_mut().filter(|held| held.tenure.id == id) else {
            // It was given up, and that was not heard.
            out.push(Output::Drop { id, wills: self.sent_by(Sender::Workers) });
            return;
        };
        if !held.granted {
            let ours = self.members.iter_mut().filter(|member| member.settings().sender == Sender::Daemon);
            ours.for_each(|member| member.advertise_from(now));
        }
        held.renewed(sent);
    }

    fn ended(&mut self, id: u64, now: Time, out: &mut Vec<Output>) {
        self.lost = None;
        if self.held.take_if(|held| held.tenure.id == id).is_some() {
            self.send_wills(None, out);
            self.be_backup(None, Reason::Ended, now, out);
        }
    }

    fn resume(&mut self, now: Time) {
        if self.hold.take().is_some() && self.state == State::Backup {
            self.members.iter_mut().for_each(|member| member.be_backup(now));
        }
    }

    fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        self.ask_dataplane(now, out);
        for (member, quiet) in self.members.iter_mut().map(|member| member.take_quiet(now)).enumerate() {
            if quiet {
                out.push(Output::Conflict { member, with: None });
            }
        }
        // All or none: one that hears no master beside others that do is cut off, and would only be deposed again.
        let electing = self.state == State::Backup && self.hold.is_none() && self.gone.is_none();
        if electing && self.master_down_at().is_some_and(|at| at <= now) {
            self.promote(now, out);
        }
    }

    /// Renews the tenure, or asks after the one that was lost: any answer says that the dataplane is there again.
    fn ask_dataplane(&mut self, now: Time, out: &mut Vec<Output>) {
        let Some(lease) = self.lease else { return };
        if self.held.as_ref().is_some_and(|held| held.is_over(now)) {
            self.lost = Some(now + lease / 3);
        } else if self.held.as_mut().is_some_and(|held| held.take_renewal(now)) {
            out.push(Output::Renew { id: self.last_id });
        } else if let Some(ask_at) = self.lost.as_mut().filter(|at| **at <= now) {
            *ask_at = now + lease / 3;
            out.push(Output::Renew { id: self.last_id });
        }
    }

    fn hear(&mut self, index: usize, advert: &Advert, at: Time, now: Time, out: &mut Vec<Output>) {
        let granted = self.held.as_ref().is_some_and(|held| held.granted);
        let Some(member) = self.members.get_mut(index) else { return };
        let answers = match member.hear(advert, at) {
            Heard::Nothing => false,
            Heard::Answer => {
                member.restart_adver_timer(now);
                granted
            }
            Heard::Lower { conflict, reannounce } => {
                if let Some(with) = conflict {
                    out.push(Output::Conflict { member: index, with: Some(with) });
                }
                if granted && reannounce {
                    out.push(Output::Reannounce { member: index });
                }
                granted && !member.settings().lower_prio_no_advert
            }
            Heard::Deposed { by, priority } => {
                self.resign(Some(index), out);
                return self.be_backup(Some(index), Reason::Deposed { member: index, by, priority }, now, out);
            }
        };
        if let Some(advert) = member.advert().filter(|_| answers) {
            out.push(Output::Advertise { member: index, advert });
        }
    }

    /// Whether it may be elected, and why not.
    fn footing(&self, now: Time) -> Footing {
        if !self.started {
            return Footing::Not(State::Init, Reason::Stopped);
        }
        if self.lease.is_some() && !self.filled {
            return Footing::Not(State::Init, Reason::NotFilled);
        }
        let fault = self.members.iter().enumerate().find_map(|(index, member)| member.fault(index));
        let refused = self.refused_until.is_some_and(|until| until > now);
        let is_cut_off = self.held.is_none() && self.gone.is_some_and(|until| until <= now);
        match fault {
            Some(reason) => Footing::Not(State::Fault, reason),
            None if self.lost.is_some() || is_cut_off => Footing::Not(State::Fault, Reason::LeaseLost),
            None if refused => Footing::Not(State::Fault, Reason::Refused),
            None => Footing::Firm,
        }
    }

    /// Brings the state in line with the footing.
    fn settle(&mut self, now: Time, out: &mut Vec<Output>) {
        self.refused_until.take_if(|until| *until <= now);
        if self.hold.as_ref().and_then(|hold| hold.until).is_some_and(|until| until <= now) {
            self.resume(now);
        }
        match (self.footing(now), self.state) {
            (Footing::Not(state, reason), current) if state != current => {
                if current == State::Master {
                    self.resign(None, out);
                }
                self.members.iter_mut().for_each(Member::be_idle);
                self.turn(state, reason, out);
            }
            (Footing::Firm, State::Init | State::Fault)
                if self.hold.is_none() && self.gone.is_none() && self.is_owner() =>
            {
                self.promote(now, out);
            }
            (Footing::Firm, State::Init | State::Fault) => self.be_backup(None, Reason::Ready, now, out),
            _ => (),
        }
    }

    fn is_owner(&self) -> bool {
        self.members.iter().all(Member::is_owner)
    }

    /// When every member will have heard no master for long enough.
    fn master_down_at(&self) -> Option<Time> {
        self.members.iter().filter_map(Member::down_at).max()
    }

    fn promote(&mut self, now: Time, out: &mut Vec<Output>) {
        let Some(tenure) = self.tenure_now(self.last_id + 1) else { return };
        self.last_id += 1;
        let reason = if self.is_owner() { Reason::Owner } else { Reason::MasterDown };
        out.push(Output::Claim(tenure.clone()));
        self.hold_office(tenure, reason, now, out);
    }

    fn hold_office(&mut self, tenure: Tenure, reason: Reason, now: Time, out: &mut Vec<Output>) {
        let held = Held::new(tenure, self.lease, now);
        for member in &mut self.members {
            let from_here = held.granted && member.settings().sender == Sender::Daemon;
            member.be_master(from_here.then_some(now));
        }
        self.held = Some(held);
        self.turn(State::Master, reason, out);
    }

    /// The tenure as it should be; `None` while a member has no address to advertise from.
    fn tenure_now(&self, id: u64) -> Option<Tenure> {
        let adverts: Option<Vec<Advert>> = self.members.iter().map(Member::advert).collect();
        Some(Tenure { id, adverts: adverts? })
    }

    /// A priority, an address or a checksum may be another than the dataplane was told.
    fn refresh_tenure(&mut self, out: &mut Vec<Output>) {
        let Some(tenure) = self.held.as_ref().and_then(|held| self.tenure_now(held.tenure.id)) else { return };
        if let Some(held) = self.held.as_mut().filter(|held| held.tenure != tenure) {
            held.tenure = tenure.clone();
            out.push(Output::Replace(tenure));
        }
    }

    fn send_due(&mut self, now: Time, out: &mut Vec<Output>) {
        for (index, member) in self.members.iter_mut().enumerate() {
            if member.take_advert(now)
                && let Some(advert) = member.advert()
            {
                out.push(Output::Advertise { member: index, advert });
            }
        }
    }

    /// Gives the tenure back, with the last wills of all members but one that was `deposed`: its peers have a master.
    fn resign(&mut self, deposed: Option<usize>, out: &mut Vec<Output>) {
        self.send_wills(deposed, out);
        if let Some(held) = self.held.take() {
            let mut wills = self.sent_by(Sender::Workers);
            wills.retain(|member| Some(*member) != deposed);
            out.push(Output::Drop { id: held.tenure.id, wills });
        }
    }

    /// The last wills that are sent from here.
    fn send_wills(&self, deposed: Option<usize>, out: &mut Vec<Output>) {
        for (index, member) in self.members.iter().enumerate() {
            if member.is_advertising()
                && Some(index) != deposed
                && let Some(advert) = member.will()
            {
                out.push(Output::Advertise { member: index, advert });
            }
        }
    }

    fn sent_by(&self, sender: Sender) -> Vec<usize> {
        let of_sender = |(_, member): &(usize, &Member)| member.settings().sender == sender;
        self.members.iter().enumerate().filter(of_sender).map(|(index, _)| index).collect()
    }

    /// All members are backups, those that are not `deposed` with new timers.
    fn be_backup(&mut self, deposed: Option<usize>, reason: Reason, now: Time, out: &mut Vec<Output>) {
        for (index, member) in self.members.iter_mut().enumerate() {
            if Some(index) != deposed {
                member.be_backup(now);
            }
        }
        self.turn(State::Backup, reason, out);
    }

    fn turn(&mut self, to: State, reason: Reason, out: &mut Vec<Output>) {
        let from = std::mem::replace(&mut self.state, to);
        out.push(Output::Transition { from, to, reason });
    }

    /// When something is due next.
    fn wake(&self) -> Option<Time> {
        match self.state {
            State::Init => None,
            State::Fault => [self.refused_until, self.lost].into_iter().flatten().min(),
            State::Backup => match (&self.hold, self.gone) {
                (None, None) => self.master_down_at(),
                (hold, gone) => hold.as_ref().and_then(|hold| hold.until).into_iter().chain(gone).min(),
            },
            State::Master => {
                let lease = self.held.as_ref().and_then(Held::deadline);
                self.members.iter().filter_map(Member::deadline).chain(lease).min()
            }
        }
    }
}
