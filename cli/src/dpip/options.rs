//! The options of `dpip`, which may stand anywhere.

use std::ffi::OsString;

use lexopt::{Arg, Parser};

use crate::failure::Failure;
use crate::value;

/// DPVS has a table per worker, and shows all of them so.
const VERBOSE: &str = "-v shows the tables of each worker, and here all workers have the same; leave it out, \
                       and see 'sluice stats' for what each worker counts";

/// What the options say.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) help: bool,
    pub(super) version: bool,
    pub(super) stats: bool,
    pub(super) colour: bool,
    pub(super) repeat: Option<Repeat>,
}

/// Showing again and again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repeat {
    /// Seconds between, from 1.
    pub(super) seconds: u64,
    /// How often; without end when absent.
    pub(super) count: Option<u64>,
}

/// Separates the options from the words.
pub(super) fn parse(args: Vec<OsString>) -> Result<(Options, Vec<String>), Failure> {
    let mut options = Options::default();
    let (mut seconds, mut count) = (None, None);
    let mut words = Vec::new();
    let mut parser = Parser::from_args(args);
    parser.set_short_equals(false);
    while let Some(arg) = parser.next().map_err(usage)? {
        match arg {
            Arg::Value(word) => words.push(word.to_string_lossy().into_owned()),
            Arg::Short('h') | Arg::Long("help") => options.help = true,
            Arg::Short('V') | Arg::Long("version") => options.version = true,
            Arg::Short('s') | Arg::Long("stats") => options.stats = true,
            Arg::Short('C') | Arg::Long("color") => options.colour = true,
            Arg::Short('4') => {}
            Arg::Short('6') => return Err(Failure::later("IPv6 (-6)")),
            Arg::Short('f') | Arg::Long("family") => family(&mut parser)?,
            Arg::Short('i') | Arg::Long("interval") => seconds = Some(positive(&mut parser, "interval")?),
            Arg::Short('c') | Arg::Long("count") => count = Some(positive(&mut parser, "count")?),
            Arg::Short('v') | Arg::Long("verbose") => return Err(Failure::usage(VERBOSE)),
            Arg::Short('F') | Arg::Long("force") => return Err(Failure::later("forcing (-F), which is for ipset,")),
            other => return Err(usage(other.unexpected())),
        }
    }
    if count.is_some() && seconds.is_none() {
        return Err(Failure::usage("-c goes with -i"));
    }
    options.repeat = seconds.map(|seconds| Repeat { seconds, count });
    Ok((options, words))
}

impl Options {
    /// Checks that a repetition is asked of what can be repeated.
    pub(super) fn check(&self, shows_links: bool) -> Result<(), Failure> {
        match self.repeat {
            Some(_) if !(shows_links && self.stats) => Err(Failure::usage("-i goes with 'link show -s'")),
            _ => Ok(()),
        }
    }
}

fn family(parser: &mut Parser) -> Result<(), Failure> {
    let family = parser.value().map_err(usage)?;
    match family.to_str() {
        Some("inet") => Ok(()),
        Some("inet6") => Err(Failure::later("IPv6 (-f inet6)")),
        _ => Err(Failure::Usage(format!("unknown family '{}'; there is inet", family.to_string_lossy()))),
    }
}

fn positive(parser: &mut Parser, what: &str) -> Result<u64, Failure> {
    let text = parser.value().map_err(usage)?;
    let number = value::number(&text.to_string_lossy(), 1..=u64::from(u32::MAX));
    number.map_err(|error| Failure::Usage(format!("bad {what}: {error}")))
}

fn usage(error: lexopt::Error) -> Failure {
    Failure::Usage(format!("{error}; see dpip -h"))
}
