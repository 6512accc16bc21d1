//! `/etc/otpgate/otpgate.toml`: every number of the policy, the rules, and where the state lives.
//!
//! An absent file means the defaults. Anything that is not understood is an error that names the line,
//! the key and the nearest right one: a misspelt `max_failures` must not silently mean the default.

mod channel;
mod delivery;
mod file;
mod rule_check;
mod template;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::day::Day;
use crate::hotp::{Algorithm, Digits};
use crate::policy::Parameters;
use crate::rules::{Enrol, Rule, Unenrolled};
use crate::store::StoreError;
use crate::store::safe_open::read_configuration;
use crate::toml_mistake::{explain, line_of, line_of_key};
use crate::totp::Period;
pub use channel::{
    Body, Channel, CommandLine, Http, Json, Method, Security, ServerLogin, Smtp, Way,
};
pub use delivery::{DEFAULT_PROGRAM, Delivery};
use file::File;
pub use template::{Template, Value};
pub use values::{parse_duration, parse_duration_to};

/// Where the configuration is looked for.
pub const DEFAULT_PATH: &str = "/etc/otpgate/otpgate.toml";
/// Where the state lives unless the configuration says otherwise.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/otpgate";
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
    /// The line on which each of them begins, from 1.
    pub rule_lines: Vec<usize>,
    /// Codes that are sent, whatever the channel.
    pub delivery: Delivery,
    /// The ways to send one, by name.
    pub channels: BTreeMap<String, Channel>,
    /// Users without an account who have a `~/.google_authenticator`.
    pub google_authenticator_files: GoogleAuthenticatorFiles,
    /// `enrol_until`, for rules that say nothing of it.
    pub enrol_until: Option<Day>,
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
    #[serde(default, deserialize_with = "values::period")]
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
            rule_lines: Vec::new(),
            delivery: Delivery::default(),
            channels: BTreeMap::new(),
            google_authenticator_files: GoogleAuthenticatorFiles::default(),
            enrol_until: None,
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

    /// What holds for people who are not enrolled under the rule of this number, or under none.
    #[must_use]
    pub fn unenrolled(&self, rule: Option<usize>) -> Unenrolled {
        let rule = rule.and_then(|position| self.rules.get(position));
        let until = rule.and_then(|rule| rule.enrol_until).or(self.enrol_until);
        let open = rule.and_then(|rule| rule.enrol) == Some(Enrol::Open);
        Unenrolled { until, open }
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
        file.check(text)
            .map_err(|(key, problem)| fail(line_of_key(text, key), problem))
    }
}

#[cfg(test)]
mod tests;
