//! The words of a `dpip` command line.

use crate::failure::Failure;

/// Words read one after the other.
pub(super) struct Words<'a>(std::slice::Iter<'a, String>);

impl<'a> Words<'a> {
    pub(super) fn new(words: &'a [String]) -> Self {
        Words(words.iter())
    }

    /// The next word.
    pub(super) fn next(&mut self) -> Option<&'a str> {
        self.0.next().map(String::as_str)
    }

    /// The next word, which must be there and is `what`.
    pub(super) fn expect(&mut self, what: &str) -> Result<&'a str, Failure> {
        self.next().ok_or_else(|| Failure::Usage(format!("missing {what}")))
    }

    /// Reads the value of `keyword` into `slot`, which must be empty.
    pub(super) fn set<T>(
        &mut self,
        slot: &mut Option<T>,
        keyword: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<(), Failure> {
        let word = self.next().ok_or_else(|| Failure::Usage(format!("missing value after '{keyword}'")))?;
        if slot.is_some() {
            return Err(Failure::Usage(format!("'{keyword}' is given twice")));
        }
        *slot = Some(read(word).map_err(|error| Failure::Usage(format!("{keyword}: {error}")))?);
        Ok(())
    }

    /// Reads `[dev DEVICE]` and nothing else.
    pub(super) fn device(&mut self) -> Result<Option<String>, Failure> {
        let mut device = None;
        while let Some(word) = self.next() {
            match word {
                "dev" => self.set(&mut device, word, name)?,
                other => return Err(unknown(other)),
            }
        }
        Ok(device)
    }
}

/// The first of `names` that `word` is a prefix of; one that it equals goes before.
pub(super) fn complete(word: &str, names: &[&'static str]) -> Option<&'static str> {
    let equal = names.iter().find(|name| **name == word);
    equal.or_else(|| names.iter().find(|name| !word.is_empty() && name.starts_with(word))).copied()
}

/// A device's name, which the dataplane judges.
pub(super) fn name(word: &str) -> Result<String, String> {
    Ok(word.to_owned())
}

/// A keyword that does not belong there.
pub(super) fn unknown(word: &str) -> Failure {
    Failure::Usage(format!("unknown keyword '{word}'; see dpip -h"))
}

/// The device, which must be given.
pub(super) fn required(device: Option<String>) -> Result<String, Failure> {
    device.ok_or_else(|| Failure::usage("missing device; say dev DEVICE"))
}
