//! What is wrong with a configuration file, and where.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Why a configuration file cannot be used. One line.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file says something that does not hold.
    #[error("{}:{line}: {reason}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong, and what would be right.
        reason: String,
    },
}

/// The text of a file under check: knows the line of each byte.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) text: &'a str,
    pub(super) path: &'a Path,
}

impl Source<'_> {
    /// The line, from 1, in which a span begins.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().iter().take(span.start);
        1 + before.filter(|byte| **byte == b'\n').count()
    }

    pub(super) fn wrong(&self, span: &Range<usize>, reason: impl Into<String>) -> ConfigError {
        ConfigError::Wrong { path: self.path.to_owned(), line: self.line(span), reason: reason.into() }
    }

    /// The error of the TOML reader in our words.
    pub(super) fn unreadable(&self, error: &toml::de::Error) -> ConfigError {
        let reason = unknown_name(error.message()).unwrap_or_else(|| error.message().replace('\n', ", "));
        self.wrong(&error.span().unwrap_or_default(), reason)
    }
}

/// Reads serde's ``unknown field `x`, expected one of `a`, `b` `` (or `unknown variant`), and says it with a
/// suggestion.
fn unknown_name(message: &str) -> Option<String> {
    let what = if message.starts_with("unknown field") {
        "key"
    } else if message.starts_with("unknown variant") {
        "value"
    } else {
        return None;
    };
    let mut names = message.split('`').skip(1).step_by(2);
    let unknown = names.next()?;
    let known: Vec<&str> = names.collect();
    Some(match closest(unknown, &known) {
        Some(name) => format!("unknown {what} `{unknown}`; did you mean `{name}`?"),
        None => format!("unknown {what} `{unknown}`; known here: {}", known.join(", ")),
    })
}

/// The name a typing error away, if there is one.
pub fn closest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |name: &str| strsim::damerau_levenshtein(unknown, name);
    let nearest = known.iter().copied().min_by_key(|name| distance(name))?;
    (distance(nearest) <= (nearest.len() / 3).max(1)).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_gets_a_suggestion_or_the_known_ones() {
        let say = |message| unknown_name(message).unwrap();
        assert_eq!(say("unknown field `mtuu`, expected `mtu`"), "unknown key `mtuu`; did you mean `mtu`?");
        assert_eq!(
            say("unknown field `wat`, expected one of `device`, `mtu`"),
            "unknown key `wat`; known here: device, mtu"
        );
        assert_eq!(
            say("unknown variant `atuo`, expected one of `auto`, `require`"),
            "unknown value `atuo`; did you mean `auto`?"
        );
        assert_eq!(unknown_name("invalid type: string"), None);
    }
}
