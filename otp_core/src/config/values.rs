//! Values as people write them: numbers within bounds, durations.

use serde::Deserialize;
use serde::de::{self, Deserializer};

use crate::totp::Period;

pub(super) fn within<'de, const LOW: u64, const HIGH: u64, D: Deserializer<'de>>(
    from: D,
) -> Result<u64, D::Error> {
    let number = i64::deserialize(from)?;
    let number = u64::try_from(number)
        .ok()
        .filter(|number| (LOW..=HIGH).contains(number));
    number.ok_or_else(|| de::Error::custom(format!("takes a number from {LOW} to {HIGH}")))
}

/// A duration such as `"30s"` or `"15m"`, in whole seconds, at most a day.
pub(super) fn wait<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let text = String::deserialize(from)
        .map_err(|_| de::Error::custom("takes a duration in quotes, such as \"30s\" or \"15m\""))?;
    parse_duration(&text).map_err(de::Error::custom)
}

pub(super) fn period<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Period>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum SecondsOrText {
        Seconds(u32),
        Text(String),
    }
    let seconds = match SecondsOrText::deserialize(from)? {
        SecondsOrText::Seconds(seconds) => seconds,
        SecondsOrText::Text(text) => {
            let seconds = parse_duration(&text).map_err(de::Error::custom)?;
            u32::try_from(seconds).map_err(de::Error::custom)?
        }
    };
    Period::try_from(seconds)
        .map(Some)
        .map_err(de::Error::custom)
}

/// Reads `"30s"`, `"15m"`, `"8h"`: 1 second to a day, in seconds.
///
/// # Errors
/// What would be right, in words.
pub fn parse_duration(text: &str) -> Result<u64, String> {
    parse_duration_to(text, 86_400).ok_or_else(|| {
        "takes a duration from \"1s\" to \"1d\", such as \"30s\" or \"15m\"".to_owned()
    })
}

/// Reads a duration of 1 to `most` seconds.
#[must_use]
pub fn parse_duration_to(text: &str, most: u64) -> Option<u64> {
    let duration = humantime::parse_duration(text.trim()).ok();
    let seconds = duration
        .filter(|duration| duration.subsec_nanos() == 0)
        .map(|duration| duration.as_secs());
    seconds.filter(|seconds| (1..=most).contains(seconds))
}
