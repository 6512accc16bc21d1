//! The file as it is written, section by section, and what no single key can tell.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::channel::{ChannelSection, check_all};
use super::delivery::DeliverySection;
use super::rule_check::check_rules;
use super::values::{wait, within};
use super::{Config, DEFAULT_STATE_DIR, GoogleAuthenticatorFiles, Profile};
use crate::account::check_text;
use crate::day::Day;
use crate::matching::{MAX_SKEW, Reach};
use crate::policy::Parameters;
use crate::rules::Rule;
use crate::state::burnt::REACH;
use crate::throttle::Limits;
use crate::toml_mistake::line_of;

/// The furthest that two HOTP codes in a row may resynchronise: as far as refused ones are remembered.
const FURTHEST_RESYNC: u64 = REACH - 8;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    state_dir: PathBuf,
    issuer: Option<String>,
    totp: TotpSection,
    hotp: HotpSection,
    throttle: ThrottleSection,
    delivery: DeliverySection,
    channel: BTreeMap<String, ChannelSection>,
    profile: BTreeMap<String, Profile>,
    rule: Vec<Spanned<Rule>>,
    google_authenticator_files: GoogleAuthenticatorFiles,
    enrol_until: Option<Day>,
}

impl Default for File {
    fn default() -> Self {
        Self {
            state_dir: DEFAULT_STATE_DIR.into(),
            issuer: None,
            totp: TotpSection::default(),
            hotp: HotpSection::default(),
            throttle: ThrottleSection::default(),
            delivery: DeliverySection::default(),
            channel: BTreeMap::new(),
            profile: BTreeMap::new(),
            rule: Vec::new(),
            google_authenticator_files: GoogleAuthenticatorFiles::default(),
            enrol_until: None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TotpSection {
    #[serde(deserialize_with = "within::<0, 10, _>")]
    window: u64,
    #[serde(deserialize_with = "within::<0, { MAX_SKEW }, _>")]
    resync: u64,
}

impl Default for TotpSection {
    fn default() -> Self {
        let reach = Parameters::default().reach;
        Self {
            window: reach.totp_window,
            resync: reach.totp_resync,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HotpSection {
    #[serde(deserialize_with = "within::<0, 100, _>")]
    look_ahead: u64,
    #[serde(deserialize_with = "within::<0, { FURTHEST_RESYNC }, _>")]
    resync: u64,
}

impl Default for HotpSection {
    fn default() -> Self {
        let reach = Parameters::default().reach;
        Self {
            look_ahead: reach.hotp_look_ahead,
            resync: reach.hotp_resync,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ThrottleSection {
    #[serde(deserialize_with = "within::<0, 20, _>")]
    free_failures: u64,
    #[serde(deserialize_with = "wait")]
    first_wait: u64,
    #[serde(deserialize_with = "wait")]
    longest_wait: u64,
    // NIST SP 800-63B section 5.2.2: no more than 100.
    #[serde(deserialize_with = "within::<1, 100, _>")]
    max_failures: u64,
    #[serde(deserialize_with = "within::<0, 99, _>")]
    known_source_allowance: u64,
}

impl Default for ThrottleSection {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            free_failures: limits.free_failures.into(),
            first_wait: limits.first_wait,
            longest_wait: limits.longest_wait,
            max_failures: limits.max_failures.into(),
            known_source_allowance: limits.known_source_allowance.into(),
        }
    }
}

impl ThrottleSection {
    fn limits(&self) -> Limits {
        // `within` has bounded each of them.
        let small = |number: u64| u16::try_from(number).unwrap_or(u16::MAX);
        Limits {
            free_failures: small(self.free_failures),
            first_wait: self.first_wait,
            longest_wait: self.longest_wait,
            max_failures: small(self.max_failures),
            known_source_allowance: small(self.known_source_allowance),
        }
    }
}

impl File {
    /// What no single key can tell. An error carries the key that it is about.
    pub(super) fn check(self, text: &str) -> Result<Config, (&'static str, String)> {
        if !self.state_dir.is_absolute() {
            return Err(("state_dir", "state_dir: takes an absolute path".to_owned()));
        }
        let issuers = self
            .profile
            .values()
            .filter_map(|profile| profile.issuer.as_ref());
        for issuer in issuers.chain(&self.issuer) {
            check_text("issuer: an issuer", issuer).map_err(|problem| ("issuer", problem))?;
        }
        if self.totp.resync < self.totp.window {
            return Err((
                "resync",
                "[totp] resync: at least as many steps as window".to_owned(),
            ));
        }
        if self.hotp.resync < self.hotp.look_ahead {
            return Err((
                "resync",
                "[hotp] resync: at least as many codes as look_ahead".to_owned(),
            ));
        }
        let limits = self.throttle.limits();
        if limits.first_wait > limits.longest_wait {
            return Err((
                "first_wait",
                "first_wait: no longer than longest_wait".to_owned(),
            ));
        }
        if limits.known_source_allowance >= limits.max_failures {
            let problem = "known_source_allowance: fewer than max_failures, or nobody could log in from anywhere new";
            return Err(("known_source_allowance", problem.to_owned()));
        }
        let lines = self
            .rule
            .iter()
            .map(|rule| line_of(text, rule.span().start));
        let rule_lines = lines.collect();
        let rules: Vec<Rule> = self.rule.into_iter().map(Spanned::into_inner).collect();
        check_rules(&rules)?;
        let (delivery, sent) = self.delivery.check()?;
        let reach = Reach {
            totp_window: self.totp.window,
            totp_resync: self.totp.resync,
            hotp_look_ahead: self.hotp.look_ahead,
            hotp_resync: self.hotp.resync,
        };
        Ok(Config {
            state_dir: self.state_dir,
            issuer: self.issuer,
            parameters: Parameters {
                reach,
                limits,
                delivery: sent,
            },
            profiles: self.profile,
            rules,
            rule_lines,
            delivery,
            channels: check_all(self.channel)?,
            google_authenticator_files: self.google_authenticator_files,
            enrol_until: self.enrol_until,
        })
    }
}
