//! What stands behind the module's name in a pam.d file.
//!
//! An option that is not understood refuses every login: a misspelt `nullok` shuts out, a misspelt
//! `secret=` would let in.

pub mod files;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use otp_core::config::parse_duration;

use files::FileOptions;

/// The prompt for a code. An interface: clients compare it literally.
pub const CODE_PROMPT: &str = "Verification code: ";
/// The prompt for a password, with `ask_password`. An interface too.
pub const PASSWORD_PROMPT: &str = "Password: ";
/// The prompt for both at once, with `forward_pass`.
pub const COMBINED_PROMPT: &str = "Password & verification code: ";
/// How long a refused login takes, unless `no_delay` is given.
pub const FAIL_DELAY: Duration = Duration::from_secs(2);

/// Longest `grace_period=`, in seconds: a year. The module it comes from has no limit, and lines from there
/// are to go on working.
pub const LONGEST_GRACE: u64 = 365 * 86_400;

/// Whether the code may stand at the end of a password that was typed already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FirstPass {
    /// No: ask.
    #[default]
    Ignore,
    /// Yes, and ask when it does not.
    Try,
    /// Yes, and never ask.
    Use,
}

/// The options of one pam.d line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// `config=PATH`; the usual file when absent.
    pub config: Option<PathBuf>,
    /// `nullok`: who is not enrolled is not asked.
    pub nullok: bool,
    /// `ask_password`: ask for the password first, and hand it on.
    pub ask_password: bool,
    /// `try_first_pass`, `use_first_pass`; the last of them wins.
    pub first_pass: FirstPass,
    /// `forward_pass`: the code stands behind the password; cut it off and hand the password on.
    pub forward_pass: bool,
    /// `authtok_prompt=TEXT`.
    pub authtok_prompt: Option<String>,
    /// `echo_code`, `echo_verification_code`: show what is typed.
    pub echo_code: bool,
    /// `grace=DURATION`, `grace_period=SECONDS`: in seconds.
    pub grace: Option<u64>,
    /// `no_delay`: no delay after a failure.
    pub no_delay: bool,
    /// `debug`: more log lines.
    pub debug: bool,
    /// `quiet`: no messages to the user.
    pub quiet: bool,
    /// `enrol`: enrolment at login; on the auth, the account and the password line.
    pub enrol: bool,
    /// `secret=` and the like: users' own files.
    pub files: FileOptions,
}

/// Why a pam.d line is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionError(String);

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OptionError {}

/// Every option, for error messages and documentation.
pub const ALL: [&str; 23] = [
    "config=PATH",
    "nullok",
    "ask_password",
    "try_first_pass",
    "use_first_pass",
    "forward_pass",
    "authtok_prompt=TEXT",
    "echo_code",
    "echo_verification_code",
    "grace=DURATION",
    "grace_period=SECONDS",
    "no_delay",
    "debug",
    "quiet",
    "enrol",
    "echo-verification-code",
    "secret=PATH",
    "user=NAME",
    "no_strict_owner",
    "allowed_perm=MODE",
    "allow_readonly",
    "noskewadj",
    "no_increment_hotp",
];

impl Options {
    /// Reads the options of one line.
    ///
    /// # Errors
    /// [`OptionError`] names the option and the nearest right one.
    pub fn parse<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<Self, OptionError> {
        let mut options = Self::default();
        for argument in arguments {
            options.take(argument)?;
        }
        if options.ask_password && options.forward_pass {
            return Err(OptionError(
                "ask_password and forward_pass exclude each other".into(),
            ));
        }
        if options.enrol && options.files.any() {
            return Err(OptionError(
                "enrol and secret= (or another option for users' own files) exclude each other"
                    .into(),
            ));
        }
        Ok(options)
    }

    fn take(&mut self, argument: &str) -> Result<(), OptionError> {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (argument, None),
        };
        match (name, value) {
            ("config", Some(path)) => self.config = Some(absolute(path)?),
            ("nullok", None) => self.nullok = true,
            ("ask_password", None) => self.ask_password = true,
            ("try_first_pass", None) => self.first_pass = FirstPass::Try,
            ("use_first_pass", None) => self.first_pass = FirstPass::Use,
            ("forward_pass", None) => self.forward_pass = true,
            ("authtok_prompt", Some(text)) => self.authtok_prompt = Some(prompt(text)?),
            ("echo_code" | "echo_verification_code" | "echo-verification-code", None) => {
                self.echo_code = true
            }
            ("grace", Some(text)) => self.grace = Some(grace(text)?),
            ("grace_period", Some(text)) => self.grace = grace_period(text)?,
            ("no_delay", None) => self.no_delay = true,
            ("debug", None) => self.debug = true,
            ("quiet", None) => self.quiet = true,
            ("enrol", None) => self.enrol = true,
            _ => {
                let taken = self.files.take(name, value);
                return taken.unwrap_or_else(|| Err(unknown(name, value.is_some())));
            }
        }
        Ok(())
    }
}

fn absolute(path: &str) -> Result<PathBuf, OptionError> {
    if path.starts_with('/') {
        return Ok(path.into());
    }
    Err(OptionError("config= takes an absolute path".into()))
}

fn prompt(text: &str) -> Result<String, OptionError> {
    if text.is_empty() || text.len() > 256 || text.chars().any(char::is_control) {
        return Err(OptionError(
            "authtok_prompt= takes 1 to 256 bytes without control characters".into(),
        ));
    }
    Ok(text.to_owned())
}

fn grace(text: &str) -> Result<u64, OptionError> {
    parse_duration(text).map_err(|problem| OptionError(format!("grace= {problem}")))
}

fn grace_period(text: &str) -> Result<Option<u64>, OptionError> {
    let seconds = text
        .parse::<u64>()
        .ok()
        .filter(|seconds| *seconds <= LONGEST_GRACE);
    let wrong = || OptionError(format!("grace_period= takes 0 to {LONGEST_GRACE} seconds"));
    let seconds = seconds.ok_or_else(wrong)?;
    Ok(Some(seconds).filter(|seconds| *seconds > 0))
}

/// Names the option, never its value, which may hold anything.
fn unknown(name: &str, with_value: bool) -> OptionError {
    let name_of = |option: &'static str| option.split('=').next().unwrap_or(option);
    if let Some(known) = ALL.iter().find(|option| name_of(option) == name) {
        let problem = if with_value {
            "takes no value"
        } else {
            "needs a value"
        };
        return OptionError(format!("option {name} {problem}: write {known}"));
    }
    let nearest = ALL
        .iter()
        .min_by_key(|option| strsim::damerau_levenshtein(name, name_of(option)));
    let printable: String = name
        .chars()
        .filter(|letter| letter.is_ascii_graphic())
        .take(64)
        .collect();
    OptionError(format!(
        "unknown option {printable}; the nearest is {}",
        nearest.unwrap_or(&"nullok")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_taken() {
        for option in ALL {
            let line = option
                .replace("PATH", "/etc/x.toml")
                .replace("TEXT", "Code: ")
                .replace("DURATION", "8h")
                .replace("SECONDS", "60")
                .replace("MODE", "0640");
            let parsed =
                Options::parse([line.as_str()]).map_err(|error| format!("{option}: {error}"));
            assert_ne!(
                parsed.unwrap(),
                Options::default(),
                "{option} changes nothing"
            );
        }
    }

    #[test]
    fn the_last_first_pass_wins_and_grace_is_in_seconds() {
        let options = Options::parse(["use_first_pass", "try_first_pass", "grace=2h"]).unwrap();
        assert_eq!(
            (options.first_pass, options.grace),
            (FirstPass::Try, Some(7200))
        );
        assert_eq!(Options::parse(["grace_period=0"]).unwrap().grace, None);
    }

    #[test]
    fn what_is_not_understood_is_refused_with_advice() {
        for (argument, expected) in [
            ("nulok", "unknown option nulok; the nearest is nullok"),
            ("nullok=yes", "option nullok takes no value: write nullok"),
            ("config", "option config needs a value: write config=PATH"),
            ("config=etc/x", "config= takes an absolute path"),
            ("grace=forever", "grace= takes a duration"),
            ("grace_period=-1", "grace_period= takes 0 to 31536000"),
            ("authtok_prompt=", "authtok_prompt= takes 1 to 256 bytes"),
            ("secret=hunter2", "secret= takes a path that begins with"),
            (
                "secrets=hunter2",
                "unknown option secrets; the nearest is secret=PATH",
            ),
        ] {
            let error = Options::parse([argument]).expect_err(argument).to_string();
            assert!(error.contains(expected), "{argument}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(Options::parse(["ask_password", "forward_pass"]).is_err());
        assert!(Options::parse(["enrol", "allow_readonly"]).is_err());
    }
}
