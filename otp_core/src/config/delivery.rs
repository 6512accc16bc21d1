//! `[delivery]`: codes that are sent, by whatever channel.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, de};

use super::values::{parse_duration, within};
use crate::delivered::{LONGEST_LIFETIME, Reuse, Rules};
use crate::hotp::Digits;

/// The program that sends, where packages put it.
pub const DEFAULT_PROGRAM: &str = "/usr/bin/otpgate";
/// Longest that sending may take, in seconds.
pub const LONGEST_TIMEOUT: u64 = 120;

/// What is not the policy's business about codes that are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Digits of a code, for devices that are enrolled from now on.
    pub digits: Digits,
    /// The program that the module starts: the `otpgate` command.
    pub program: PathBuf,
    /// How long sending may take, in seconds.
    pub timeout: u64,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            digits: Digits::SIX,
            program: DEFAULT_PROGRAM.into(),
            timeout: 20,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DeliverySection {
    #[serde(deserialize_with = "lifetime")]
    lifetime: u64,
    digits: Digits,
    reuse: Reuse,
    #[serde(deserialize_with = "within::<1, 100, _>")]
    budget: u64,
    program: PathBuf,
    #[serde(deserialize_with = "timeout")]
    timeout: u64,
}

impl Default for DeliverySection {
    fn default() -> Self {
        let (rules, delivery) = (Rules::default(), Delivery::default());
        Self {
            lifetime: rules.lifetime,
            digits: delivery.digits,
            reuse: rules.reuse,
            budget: rules.budget.into(),
            program: delivery.program,
            timeout: delivery.timeout,
        }
    }
}

impl DeliverySection {
    pub(super) fn check(self) -> Result<(Delivery, Rules), (&'static str, String)> {
        if !self.program.is_absolute() {
            return Err(("program", "program: takes an absolute path".to_owned()));
        }
        let rules = Rules {
            lifetime: self.lifetime,
            reuse: self.reuse,
            budget: u16::try_from(self.budget).unwrap_or(u16::MAX),
        };
        let delivery = Delivery {
            digits: self.digits,
            program: self.program,
            timeout: self.timeout,
        };
        Ok((delivery, rules))
    }
}

fn lifetime<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    seconds::<10, LONGEST_LIFETIME, D>(from)
}

fn timeout<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    seconds::<1, LONGEST_TIMEOUT, D>(from)
}

fn seconds<'de, const LOW: u64, const HIGH: u64, D: Deserializer<'de>>(
    from: D,
) -> Result<u64, D::Error> {
    let seconds = String::deserialize(from)
        .ok()
        .and_then(|text| parse_duration(&text).ok());
    let seconds = seconds.filter(|seconds| (LOW..=HIGH).contains(seconds));
    seconds.ok_or_else(|| {
        de::Error::custom(format!(
            "takes a duration in quotes from \"{LOW}s\" to \"{HIGH}s\""
        ))
    })
}
