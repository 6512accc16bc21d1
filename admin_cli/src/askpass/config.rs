//! `askpass.toml`: for which logins there are answers, and where. It holds none itself.

use std::collections::BTreeSet;
use std::env;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use otp_core::config::parse_duration;
use otp_core::hotp::{Algorithm, Digits, MovingFactor};
use otp_core::toml_mistake::line_of;
use otp_core::totp::Period;
use serde::Deserialize;

use super::private_file;
use super::source::{self, Source};
use crate::error::CliError;

/// Where it is, seen from the home directory.
const IN_HOME: &str = ".config/otpgate/askpass.toml";
/// Where it is remembered which codes are used up.
const STATE_IN_HOME: &str = ".local/state/otpgate/askpass";
/// Largest configuration, in bytes.
const LARGEST: u64 = 64 * 1024;
/// Three codes of a phone app: with the time that a login takes, within sshd's two minutes.
const LONGEST_WAIT: u64 = 90;

/// The configuration, checked.
#[derive(Debug)]
pub struct Config {
    /// Which file it is.
    pub(super) path: PathBuf,
    pub(super) state_dir: PathBuf,
    /// How long a code may be waited for, in seconds.
    pub(super) longest_wait: u64,
    pub(super) logins: Vec<Login>,
}

/// One login that is answered for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// `user@host`, as ssh shows it in brackets: host is what HostName or HostKeyAlias say, without port.
    pub(super) who: Vec<String>,
    pub(super) password: Option<Source>,
    pub(super) code: Option<Code>,
    /// Answer questions without brackets too, from clients that show none.
    pub(super) allow_unprefixed: bool,
    /// Host keys that are known.
    pub(super) fingerprints: Vec<String>,
}

/// How a code comes about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Code {
    /// Something else makes it.
    Ready(Source),
    /// It is made here.
    Made(Device),
}

/// What a device would hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) secret: Source,
    pub(super) algorithm: Algorithm,
    pub(super) digits: Digits,
    pub(super) movement: Movement,
}

/// What its codes follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Movement {
    /// TOTP.
    Clock(Period),
    /// HOTP, from this counter.
    Counter(MovingFactor),
}

impl Login {
    /// The first of its names.
    pub(super) fn name(&self) -> &str {
        self.who.first().map_or("", String::as_str)
    }

    /// Whether it leads to this host.
    pub(super) fn is_at(&self, host: &str) -> bool {
        let host_of = |who: &String| who.rsplit_once('@').is_some_and(|(_, there)| there == host);
        self.who.iter().any(host_of)
    }
}

/// The file that counts.
///
/// # Errors
/// Without a home and without [`super::VARIABLE`].
pub fn place() -> Result<PathBuf, CliError> {
    if let Some(path) = env::var_os(super::VARIABLE).filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    home().map(|home| home.join(IN_HOME)).ok_or_else(|| {
        CliError::no(format!(
            "HOME is no directory of this user's; name the configuration with {}",
            super::VARIABLE
        ))
    })
}

/// The caller's own home. Under sudo HOME may be another's, who could lead root's files elsewhere by links.
fn home() -> Option<PathBuf> {
    let caller = rustix::process::geteuid().as_raw();
    let own = |home: &PathBuf| home.metadata().is_ok_and(|place| place.uid() == caller);
    env::home_dir().filter(|home| home.is_absolute() && own(home))
}

impl Config {
    /// Reads and checks it.
    ///
    /// # Errors
    /// What is wrong, and on which line. What stands there is not repeated: people write passwords into
    /// configurations.
    pub fn load(path: &Path) -> Result<Self, CliError> {
        let bytes = private_file::read(path, LARGEST)?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| CliError::no(format!("{}: is not UTF-8", path.display())))?;
        Self::parse(text, path)
            .map_err(|problem| CliError::no(format!("{}:{problem}", path.display())))
    }

    fn parse(text: &str, path: &Path) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| explain(text, &error))?;
        let home = home();
        let state_dir = match (&file.state_dir, &home) {
            (Some(named), home) => source::beside(directory(path), home.as_deref(), named),
            (None, Some(home)) => home.join(STATE_IN_HOME),
            (None, None) => {
                return Err(" HOME is no directory of this user's; name a state_dir".to_owned());
            }
        };
        let longest_wait = match &file.longest_wait {
            None => LONGEST_WAIT,
            Some(text) => {
                parse_duration(text).map_err(|problem| format!(" longest_wait: {problem}"))?
            }
        };
        let logins: Result<Vec<Login>, String> =
            file.login.into_iter().map(LoginText::check).collect();
        let logins = logins?;
        check_names(&logins)?;
        Ok(Self {
            path: path.to_owned(),
            state_dir,
            longest_wait,
            logins,
        })
    }

    /// A path as the configuration means it.
    pub(super) fn beside(&self, path: &Path) -> PathBuf {
        source::beside(directory(&self.path), home().as_deref(), path)
    }
}

fn directory(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// A name that stands twice, or two logins without names, would make the answer a matter of order.
fn check_names(logins: &[Login]) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for who in logins.iter().flat_map(|login| &login.who) {
        if !seen.insert(who) {
            return Err(format!(" two logins are for {who}"));
        }
    }
    if logins.iter().filter(|login| login.allow_unprefixed).count() > 1 {
        return Err(" only one login may have allow_unprefixed".to_owned());
    }
    Ok(())
}

/// Names of keys are repeated, values are not.
fn explain(text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start);
    let line = line_of(text, start);
    let message = error.message();
    if message.starts_with("unknown field") || message.starts_with("missing field") {
        return format!("{line}: {message}");
    }
    let key = text
        .lines()
        .nth(line - 1)
        .and_then(|line| line.split_once('='));
    let key = key.map_or("this line", |(key, _)| key.trim());
    format!(
        "{line}: {key} cannot be understood; password, secret and code take {{ file = \"...\" }}, \
         {{ command = [\"...\"] }} or {{ keyring = \"...\" }}, and otpgate-askpass.toml(5) has the rest"
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    state_dir: Option<PathBuf>,
    longest_wait: Option<String>,
    #[serde(default)]
    login: Vec<LoginText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginText {
    who: Vec<String>,
    password: Option<Source>,
    secret: Option<Source>,
    code: Option<Source>,
    #[serde(default)]
    kind: Kind,
    algorithm: Option<Algorithm>,
    digits: Option<Digits>,
    period: Option<Period>,
    counter: Option<MovingFactor>,
    #[serde(default)]
    allow_unprefixed: bool,
    #[serde(default)]
    fingerprints: Vec<String>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Totp,
    Hotp,
}

impl LoginText {
    fn check(self) -> Result<Login, String> {
        let name = self.who.first().cloned().unwrap_or_default();
        let fail = |problem: &str| Err(format!(" [[login]] {name}: {problem}"));
        let well_formed = |who: &String| {
            let parts = who.rsplit_once('@');
            let full = parts.is_some_and(|(user, host)| !user.is_empty() && !host.is_empty());
            full && !who
                .chars()
                .any(|letter| letter.is_control() || letter == ' ')
        };
        if self.who.is_empty() || !self.who.iter().all(well_formed) {
            return fail("who takes a list of \"user@host\", as ssh shows it in brackets");
        }
        if !self
            .fingerprints
            .iter()
            .all(|known| known.starts_with("SHA256:"))
        {
            return fail(
                "fingerprints takes a list of \"SHA256:...\", as `ssh-keygen -lf` prints them",
            );
        }
        if self.secret.is_some() && self.code.is_some() {
            return fail("takes a secret or a code, not both");
        }
        let (counted, timed) = (self.counter.is_some(), self.period.is_some());
        if (self.kind == Kind::Totp && counted) || (self.kind == Kind::Hotp && timed) {
            return fail("counter goes with kind = \"hotp\", and period with \"totp\"");
        }
        let movement = match self.kind {
            Kind::Totp => Movement::Clock(self.period.unwrap_or_default()),
            Kind::Hotp => Movement::Counter(self.counter.unwrap_or_default()),
        };
        let made = self.secret.map(|secret| {
            Code::Made(Device {
                secret,
                algorithm: self.algorithm.unwrap_or_default(),
                digits: self.digits.unwrap_or(Digits::SIX),
                movement,
            })
        });
        Ok(Login {
            who: self.who,
            password: self.password,
            code: made.or(self.code.map(Code::Ready)),
            allow_unprefixed: self.allow_unprefixed,
            fingerprints: self.fingerprints,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("/etc/x/askpass.toml"))
    }

    #[test]
    fn everything_that_can_be_written() {
        let config = parse(
            r#"
            state_dir = "state"
            longest_wait = "2m"
            [[login]]
            who = ["alice@server", "alice@192.0.2.1"]
            password = { command = ["pass", "server"] }
            secret = { file = "server.secret" }
            algorithm = "sha256"
            digits = 8
            period = 60
            fingerprints = ["SHA256:x"]
            [[login]]
            who = ["bob@server"]
            password = { keyring = "server" }
            secret = { file = "/root/secret" }
            kind = "hotp"
            counter = 7
            allow_unprefixed = true
            [[login]]
            who = ["carol@server"]
            code = { command = ["ykman", "oath", "accounts", "code", "-s", "server"] }
            "#,
        )
        .unwrap();
        assert_eq!(config.longest_wait, 120);
        assert_eq!(config.state_dir, Path::new("/etc/x/state"));
        assert_eq!(config.beside(Path::new("a")), Path::new("/etc/x/a"));
        let movements: Vec<_> = config
            .logins
            .iter()
            .map(|login| match &login.code {
                Some(Code::Made(device)) => Some(device.movement),
                _ => None,
            })
            .collect();
        let period = Period::try_from(60).unwrap();
        assert_eq!(
            movements,
            [
                Some(Movement::Clock(period)),
                Some(Movement::Counter(7)),
                None
            ]
        );
    }

    #[test]
    fn mistakes_are_named_by_line_and_values_are_not_repeated() {
        for (text, expected) in [
            (
                "[[login]]\nwho = [\"a@b\"]\npasword = 1",
                "3: unknown field `pasword`",
            ),
            (
                "[[login]]\npassword = { file = \"x\" }",
                "missing field `who`",
            ),
            (
                "[[login]]\nwho = [\"a@b\"]\npassword = \"hunter2\"",
                "3: password cannot be understood",
            ),
            (
                "[[login]]\nwho = [\"a@b\"]\npassword = { hunter2 = \"x\" }",
                "3: password cannot be understood",
            ),
            (
                "[[login]]\nwho = [\"a@b\"]\ndigits = 5",
                "3: digits cannot be understood",
            ),
            ("[[login]]\nwho = []", "who takes a list"),
            ("[[login]]\nwho = [\"server\"]", "who takes a list"),
            ("[[login]]\nwho = [\"a@b\", \"@b\"]", "who takes a list"),
            (
                "[[login]]\nwho = [\"a@b\"]\nfingerprints = [\"yes\"]",
                "SHA256:",
            ),
            ("[[login]]\nwho = [\"a@b\"]\ncounter = 1", "kind = \"hotp\""),
            (
                "[[login]]\nwho = [\"a@b\"]\nkind = \"hotp\"\nperiod = 30",
                "kind = \"hotp\"",
            ),
            (
                "[[login]]\nwho = [\"a@b\"]\nsecret = { file = \"x\" }\ncode = { file = \"x\" }",
                "not both",
            ),
            (
                "[[login]]\nwho = [\"a@b\"]\n[[login]]\nwho = [\"a@b\"]",
                "two logins are for a@b",
            ),
            (
                "[[login]]\nwho = [\"a@b\"]\nallow_unprefixed = true\n[[login]]\nwho = [\"b@b\"]\nallow_unprefixed = true",
                "only one login",
            ),
            ("longest_wait = \"soon\"", "longest_wait: "),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(expected), "{text}: {problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
