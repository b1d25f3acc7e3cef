//! How single values are written: numbers within bounds, counts like `1M`, sizes like `512M`.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserializer, Error, Visitor};

/// Reads an integer from `MIN` to `MAX`.
pub(super) fn number<'de, D, T, const MIN: u32, const MAX: u32>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u32>,
{
    narrow(deserializer.deserialize_any(Number { unit: Unit::One, min: MIN, max: MAX })?)
}

/// Reads an integer from `MIN` to `MAX`, or none if the key is absent.
pub(super) fn optional_number<'de, D, T, const MIN: u32, const MAX: u32>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u32>,
{
    number::<D, T, MIN, MAX>(deserializer).map(Some)
}

/// Reads a count from `MIN` to `MAX`: an integer, or a string with a binary suffix (`"1M"` is 1048576).
pub(super) fn count<'de, D, const MIN: u32, const MAX: u32>(deserializer: D) -> Result<u32, D::Error>
where
    D: Deserializer<'de>,
{
    deserializer.deserialize_any(Number { unit: Unit::Count, min: MIN, max: MAX })
}

/// Reads an amount of memory in MiB from `MIN` to `MAX`: an integer of MiB, or a string like `"512M"` or `"2G"`.
pub(super) fn mebibytes<'de, D, const MIN: u32, const MAX: u32>(deserializer: D) -> Result<u32, D::Error>
where
    D: Deserializer<'de>,
{
    deserializer.deserialize_any(Number { unit: Unit::Mebibytes, min: MIN, max: MAX })
}

fn narrow<T: TryFrom<u32>, E: Error>(value: u32) -> Result<T, E> {
    T::try_from(value).map_err(|_| E::custom(format!("{value} is too large")))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    One,
    Count,
    Mebibytes,
}

struct Number {
    unit: Unit,
    min: u32,
    max: u32,
}

impl Number {
    fn bounded<E: Error>(&self, value: i128) -> Result<u32, E> {
        match u32::try_from(value) {
            Ok(value) if (self.min..=self.max).contains(&value) => Ok(value),
            _ => {
                let unit = if self.unit == Unit::Mebibytes { " MiB" } else { "" };
                Err(E::custom(format!("{value}{unit} is out of range, which is {} to {}{unit}", self.min, self.max)))
            }
        }
    }
}

impl Visitor<'_> for Number {
    type Value = u32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit {
            Unit::One => f.write_str("an integer"),
            Unit::Count => f.write_str("an integer or a string like \"1M\" (K, M or G: 1024, 1024² or 1024³)"),
            Unit::Mebibytes => f.write_str("an integer (MiB) or a string like \"512M\""),
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<u32, E> {
        self.bounded(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<u32, E> {
        self.bounded(value.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u32, E> {
        let parsed = match self.unit {
            Unit::One => None,
            Unit::Count => suffixed(text, &[("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30)]),
            Unit::Mebibytes => suffixed(text, &[("M", 1), ("G", 1 << 10)]),
        };
        match parsed {
            Some(value) => self.bounded(value),
            None => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        }
    }
}

fn suffixed(text: &str, suffixes: &[(&str, i128)]) -> Option<i128> {
    let (digits, factor) =
        suffixes.iter().find_map(|(suffix, factor)| text.strip_suffix(suffix).map(|digits| (digits, *factor)))?;
    let digits: u32 = digits.parse().ok()?;
    Some(i128::from(digits) * factor)
}

/// Reads seconds from 0 to `MAX`, in microseconds at the finest: `5`, or `0.25`.
pub(super) fn seconds<'de, D, const MAX: u32>(deserializer: D) -> Result<Duration, D::Error>
where
    D: Deserializer<'de>,
{
    deserializer.deserialize_any(Seconds { max: MAX })
}

/// Reads seconds from 0 to `MAX`, or none if the key is absent.
pub(super) fn optional_seconds<'de, D, const MAX: u32>(deserializer: D) -> Result<Option<Duration>, D::Error>
where
    D: Deserializer<'de>,
{
    seconds::<D, MAX>(deserializer).map(Some)
}

struct Seconds {
    max: u32,
}

impl Visitor<'_> for Seconds {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of seconds")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Duration, E> {
        self.visit_f64(value as f64)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Duration, E> {
        if !(0.0..=f64::from(self.max)).contains(&value) {
            return Err(E::custom(format!("{value} s is out of range, which is 0 to {} s", self.max)));
        }
        Ok(Duration::from_micros((value * 1e6).round() as u64))
    }
}
