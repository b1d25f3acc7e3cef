//! What instances and sync groups track, and whom they notify.

use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;

use super::check::{interface, name};
use super::file::{NotifyingSection, ScriptSection, TrackFileSection, TrackedSection, TrackingSection};
use super::{Notify, Script, TrackFile, Tracked, Tracking};
use crate::config::error::{Source, closest};
use crate::config::{CommandLine, ConfigError};
use crate::object::Fact;

const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);
const MIN_PERIOD: Duration = Duration::from_millis(10);
const MAX_WEIGHT: i64 = 253;
/// A file's number may be negative; such a weight has -1 be a fault.
const MAX_FILE_WEIGHT: i64 = 254;
const DEFAULT_FILE_WEIGHT: i16 = 1;

/// The scripts and the files that can be tracked.
pub(super) struct Trackables<'a> {
    source: Source<'a>,
    pub(super) scripts: Vec<Script>,
    pub(super) files: Vec<TrackFile>,
}

impl<'a> Trackables<'a> {
    pub(super) fn read(
        source: Source<'a>,
        scripts: &[ScriptSection],
        files: &[TrackFileSection],
    ) -> Result<Self, ConfigError> {
        let mut all = Self { source, scripts: Vec::new(), files: Vec::new() };
        for section in scripts {
            let script = all.script(section)?;
            all.scripts.push(script);
        }
        for section in files {
            let file = all.file(section)?;
            all.files.push(file);
        }
        Ok(all)
    }

    fn script(&self, section: &ScriptSection) -> Result<Script, ConfigError> {
        let taken = self.scripts.iter().map(|other| other.name.as_str());
        let interval = self.period("interval", section.interval.as_ref())?.unwrap_or(DEFAULT_INTERVAL);
        Ok(Script {
            name: name(self.source, &section.name, "script", taken)?,
            command: command(self.source, &section.script)?,
            interval,
            timeout: self.period("timeout", section.timeout.as_ref())?.unwrap_or(interval),
            weight: self.weight(section.weight.as_ref(), MAX_WEIGHT)?.unwrap_or_default(),
            rise: section.rise.unwrap_or(1),
            fall: section.fall.unwrap_or(1),
        })
    }

    fn period(&self, key: &str, given: Option<&Spanned<super::file::Period>>) -> Result<Option<Duration>, ConfigError> {
        let Some(given) = given else { return Ok(None) };
        let period = given.get_ref().0;
        if period < MIN_PERIOD {
            let reason = format!("{key} of {period:?} is out of range, which is 0.01 to 3600 s");
            return Err(self.source.wrong(&given.span(), reason));
        }
        Ok(Some(period))
    }

    fn file(&self, section: &TrackFileSection) -> Result<TrackFile, ConfigError> {
        let taken = self.files.iter().map(|other| other.name.as_str());
        let path = section.file.get_ref();
        if path.is_relative() || path.file_name().is_none() {
            let reason = format!("{:?} is no absolute path of a file, like /run/weight", path.display().to_string());
            return Err(self.source.wrong(&section.file.span(), reason));
        }
        Ok(TrackFile {
            name: name(self.source, &section.name, "tracked file", taken)?,
            file: PathBuf::clone(path),
            weight: self.weight(section.weight.as_ref(), MAX_FILE_WEIGHT)?.unwrap_or(DEFAULT_FILE_WEIGHT),
        })
    }

    fn weight(&self, given: Option<&Spanned<i64>>, most: i64) -> Result<Option<i16>, ConfigError> {
        let Some(given) = given else { return Ok(None) };
        let weight = *given.get_ref();
        if (-most..=most).contains(&weight) {
            return Ok(Some(weight as i16));
        }
        Err(self.source.wrong(&given.span(), format!("{weight} is out of range, which is -{most} to {most}")))
    }

    /// What an instance or a sync group tracks.
    pub(super) fn tracking(&self, section: &TrackingSection<'_>) -> Result<Tracking, ConfigError> {
        let weigh = |given: &TrackedSection, most| self.weight(given.weight.as_ref(), most);
        let interfaces = self.each("interface", section.interfaces, |given| {
            interface(self.source, &given.name)?;
            Ok(weigh(given, MAX_WEIGHT)?.unwrap_or_default())
        })?;
        let scripts = self.each("script", section.scripts, |given| {
            let known = self.scripts.iter().map(|script| (script.name.as_str(), script.weight));
            let default = self.find(given, "script", known)?;
            Ok(weigh(given, MAX_WEIGHT)?.unwrap_or(default))
        })?;
        let files = self.each("file", section.files, |given| {
            let known = self.files.iter().map(|file| (file.name.as_str(), file.weight));
            let default = self.find(given, "tracked file", known)?;
            Ok(weigh(given, MAX_FILE_WEIGHT)?.unwrap_or(default))
        })?;
        let facts = self.each("fact", section.facts, |given| {
            if let Some(reason) = Fact::not_a_name(given.name.get_ref()) {
                return Err(self.source.wrong(&given.name.span(), reason));
            }
            Ok(weigh(given, MAX_WEIGHT)?.unwrap_or_default())
        })?;
        Ok(Tracking { interfaces, scripts, files, facts })
    }

    /// Each once, with its weight.
    fn each(
        &self,
        what: &str,
        given: &[TrackedSection],
        weight: impl Fn(&TrackedSection) -> Result<i16, ConfigError>,
    ) -> Result<Vec<Tracked>, ConfigError> {
        let mut tracked: Vec<Tracked> = Vec::new();
        for section in given {
            let weight = weight(section)?;
            let name = section.name.get_ref().clone();
            if tracked.iter().any(|other| other.name == name) {
                return Err(self.source.wrong(&section.name.span(), format!("{what} {name} is tracked already")));
            }
            tracked.push(Tracked { name, weight });
        }
        Ok(tracked)
    }

    /// The weight of one that is defined.
    fn find<'n>(
        &self,
        given: &TrackedSection,
        what: &str,
        known: impl Iterator<Item = (&'n str, i16)>,
    ) -> Result<i16, ConfigError> {
        let name = given.name.get_ref();
        let known: Vec<(&str, i16)> = known.collect();
        if let Some((_, weight)) = known.iter().find(|(other, _)| other == name) {
            return Ok(*weight);
        }
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        let hint = match closest(name, &names) {
            Some(near) => format!("did you mean {near}?"),
            None if names.is_empty() => "none is defined".to_owned(),
            None => format!("there are {}", names.join(", ")),
        };
        Err(self.source.wrong(&given.name.span(), format!("{name:?} is no {what}; {hint}")))
    }
}

/// The commands of an instance or a sync group.
pub(super) fn notify(source: Source<'_>, section: &NotifyingSection<'_>) -> Result<Notify, ConfigError> {
    let read = |given: Option<&Spanned<String>>| given.map(|given| command(source, given)).transpose();
    Ok(Notify {
        master: read(section.master)?,
        backup: read(section.backup)?,
        fault: read(section.fault)?,
        stop: read(section.stop)?,
        any: read(section.any)?,
    })
}

fn command(source: Source<'_>, given: &Spanned<String>) -> Result<CommandLine, ConfigError> {
    CommandLine::parse(given.get_ref()).map_err(|error| source.wrong(&given.span(), error.to_string()))
}
