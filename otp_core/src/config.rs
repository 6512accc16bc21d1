//! `/etc/otpgate/otpgate.toml`: every number of the policy, the rules, and where the state lives.
//!
//! An absent file means the defaults. Anything that is not understood is an error that names the line,
//! the key and the nearest right one: a misspelt `max_failures` must not silently mean the default.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::Deserialize;
use serde::de::{self, Deserializer};

use crate::account::check_text;
use crate::hotp::{Algorithm, Digits};
use crate::matching::MAX_SKEW;
use crate::policy::Parameters;
use crate::rules::Rule;
use crate::state::burnt::REACH;
use crate::store::StoreError;
use crate::store::safe_open::read_configuration;
use crate::throttle::Limits;
use crate::totp::Period;

/// Where the configuration is looked for.
pub const DEFAULT_PATH: &str = "/etc/otpgate/otpgate.toml";
/// Where the state lives unless the configuration says otherwise.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/otpgate";
/// The furthest that two HOTP codes in a row may resynchronise: as far as refused ones are remembered.
const FURTHEST_RESYNC: u64 = REACH - 8;
/// Largest configuration file, in bytes.
pub const LARGEST_FILE: u64 = 1024 * 1024;

/// The configuration, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The directory with accounts and state.
    pub state_dir: PathBuf,
    /// What phones show as the issuer; the host name when absent.
    pub issuer: Option<String>,
    /// The numbers of the policy.
    pub parameters: Parameters,
    /// Named sets of device parameters for `otpgate enroll --profile`.
    pub profiles: BTreeMap<String, Profile>,
    /// The rules, in order.
    pub rules: Vec<Rule>,
    /// Users without an account who have a `~/.google_authenticator`.
    pub google_authenticator_files: GoogleAuthenticatorFiles,
}

/// What a `~/.google_authenticator` means for a user who has no account here, where the line in pam.d does
/// not name a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GoogleAuthenticatorFiles {
    /// The code is checked against it: who has one is never let in without a code because the module's name
    /// was changed in pam.d.
    #[default]
    Fallback,
    /// Nothing: homes are not looked into.
    Off,
}

/// A named set of device parameters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Issuer on the phone.
    pub issuer: Option<String>,
    /// Hash.
    pub algorithm: Option<Algorithm>,
    /// Digits of a code.
    pub digits: Option<Digits>,
    /// Length of a time step, in seconds or as a duration.
    #[serde(default, deserialize_with = "period")]
    pub period: Option<Period>,
}

/// Why a configuration is not taken.
#[derive(Debug)]
pub enum ConfigError {
    /// The file that was named is not there.
    Missing(PathBuf),
    /// The file cannot be read, or must not be trusted.
    File(StoreError),
    /// Its text is wrong.
    Text {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => {
                write!(
                    f,
                    "{}: is not there, though it was named; correct the name, or make the file",
                    path.display()
                )
            }
            Self::File(error) => error.fmt(f),
            Self::Text {
                path,
                line,
                problem,
            } => write!(f, "{}:{line}: {problem}", path.display()),
        }
    }
}

impl std::error::Error for ConfigError {}

impl Default for Config {
    fn default() -> Self {
        Self {
            state_dir: DEFAULT_STATE_DIR.into(),
            issuer: None,
            parameters: Parameters::default(),
            profiles: BTreeMap::new(),
            rules: Vec::new(),
            google_authenticator_files: GoogleAuthenticatorFiles::default(),
        }
    }
}

impl Config {
    /// Reads the configuration file of this name, or the usual one. Only the usual one may be absent, which
    /// means the defaults: with a misspelt name every rule and the whole store would silently be others.
    ///
    /// # Errors
    /// [`ConfigError::Missing`]; [`ConfigError::File`] when it is not a regular file of root's (or the
    /// caller's) that nobody else may write; [`ConfigError::Text`] for its text.
    pub fn load(named: Option<&Path>) -> Result<Self, ConfigError> {
        let path = named.unwrap_or(Path::new(DEFAULT_PATH));
        match read_configuration(path, LARGEST_FILE).map_err(ConfigError::File)? {
            Some(text) => Self::parse(&text, path),
            None if named.is_some() => Err(ConfigError::Missing(path.to_owned())),
            None => Ok(Self::default()),
        }
    }

    /// Reads the text of a configuration file; `path` is for error messages.
    ///
    /// # Errors
    /// [`ConfigError::Text`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let fail = |line, problem| ConfigError::Text {
            path: path.to_owned(),
            line,
            problem,
        };
        let file: File = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            fail(line_of(text, start), explain(text, start, error.message()))
        })?;
        file.check()
            .map_err(|(key, problem)| fail(line_of_key(text, key), problem))
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or_default();
    1 + before.bytes().filter(|byte| *byte == b'\n').count()
}

fn line_of_key(text: &str, key: &str) -> usize {
    let mut lines = text.lines();
    lines
        .position(|line| line.trim_start().starts_with(key))
        .map_or(1, |position| position + 1)
}

/// Turns serde's message into one that says what to write instead.
fn explain(text: &str, offset: usize, message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    if message.starts_with("unknown field") {
        let wrong = quoted.next().unwrap_or_default();
        let known: Vec<&str> = quoted.collect();
        let nearest = known
            .iter()
            .min_by_key(|key| strsim::damerau_levenshtein(wrong, key));
        return match nearest {
            Some(nearest) => format!(
                "unknown key \"{wrong}\"; the nearest is \"{nearest}\" (all: {})",
                known.join(", ")
            ),
            None => format!("unknown key \"{wrong}\""),
        };
    }
    let line = text
        .lines()
        .nth(line_of(text, offset) - 1)
        .unwrap_or_default();
    match line.split_once('=') {
        Some((key, _)) => format!("{}: {message}", key.trim()),
        None => message.to_owned(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    state_dir: PathBuf,
    issuer: Option<String>,
    totp: TotpSection,
    hotp: HotpSection,
    throttle: ThrottleSection,
    profile: BTreeMap<String, Profile>,
    rule: Vec<Rule>,
    google_authenticator_files: GoogleAuthenticatorFiles,
}

impl Default for File {
    fn default() -> Self {
        Self {
            state_dir: DEFAULT_STATE_DIR.into(),
            issuer: None,
            totp: TotpSection::default(),
            hotp: HotpSection::default(),
            throttle: ThrottleSection::default(),
            profile: BTreeMap::new(),
            rule: Vec::new(),
            google_authenticator_files: GoogleAuthenticatorFiles::default(),
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
    fn check(self) -> Result<Config, (&'static str, String)> {
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
        check_rules(&self.rule)?;
        let reach = crate::matching::Reach {
            totp_window: self.totp.window,
            totp_resync: self.totp.resync,
            hotp_look_ahead: self.hotp.look_ahead,
            hotp_resync: self.hotp.resync,
        };
        Ok(Config {
            state_dir: self.state_dir,
            issuer: self.issuer,
            parameters: Parameters { reach, limits },
            profiles: self.profile,
            rules: self.rule,
            google_authenticator_files: self.google_authenticator_files,
        })
    }
}

/// An empty list would match nobody, and neither would IPv4 written as IPv6, which nobody means.
fn check_rules(rules: &[Rule]) -> Result<(), (&'static str, String)> {
    for rule in rules {
        let lists = [
            ("users", rule.users.as_ref()),
            ("groups", rule.groups.as_ref()),
            ("services", rule.services.as_ref()),
        ];
        let empty = lists
            .into_iter()
            .find(|(_, list)| list.is_some_and(Vec::is_empty));
        let empty = empty.map(|(key, _)| key);
        let no_networks = rule
            .from
            .as_ref()
            .is_some_and(Vec::is_empty)
            .then_some("from");
        let mapped = |network: &&IpNet| {
            matches!(network.addr().to_canonical(), IpAddr::V4(_)) && network.addr().is_ipv6()
        };
        if let Some(network) = rule.from.iter().flatten().find(mapped) {
            let problem = format!(
                "from: {network} is an IPv4 network in IPv6 form, which no address matches; write it as IPv4"
            );
            return Err(("from", problem));
        }
        if let Some(key) = empty.or(no_networks) {
            let problem = format!(
                "{key}: an empty list matches nobody; leave the key out to match everybody"
            );
            return Err((key, problem));
        }
    }
    Ok(())
}

fn within<'de, const LOW: u64, const HIGH: u64, D: Deserializer<'de>>(
    from: D,
) -> Result<u64, D::Error> {
    let number = i64::deserialize(from)?;
    let number = u64::try_from(number)
        .ok()
        .filter(|number| (LOW..=HIGH).contains(number));
    number.ok_or_else(|| de::Error::custom(format!("takes a number from {LOW} to {HIGH}")))
}

/// A duration such as `"30s"` or `"15m"`, in whole seconds, at most a day.
fn wait<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let text = String::deserialize(from)
        .map_err(|_| de::Error::custom("takes a duration in quotes, such as \"30s\" or \"15m\""))?;
    parse_duration(&text).map_err(de::Error::custom)
}

fn period<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Period>, D::Error> {
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
    let duration = humantime::parse_duration(text.trim()).ok();
    let seconds = duration
        .filter(|duration| duration.subsec_nanos() == 0)
        .map(|duration| duration.as_secs());
    seconds
        .filter(|seconds| (1..=86_400).contains(seconds))
        .ok_or_else(|| {
            "takes a duration from \"1s\" to \"1d\", such as \"30s\" or \"15m\"".to_owned()
        })
}

#[cfg(test)]
mod tests;
