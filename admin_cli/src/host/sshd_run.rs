//! Asking sshd itself: `sshd -T` says what it would run with, `sshd -t` whether it would start.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::program::run_within;

/// It answers within milliseconds; a key on a dead network mount is the usual reason that it does not.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// sshd's binary and the configuration to run it with.
#[derive(Debug, Clone)]
pub struct Sshd {
    /// Absolute: sshd refuses to start under a relative path, because it executes itself again.
    pub binary: PathBuf,
    /// Its main configuration file.
    pub config: PathBuf,
    /// How long it may take to answer.
    pub patience: Duration,
}

/// A login to ask about, for `Match` blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The account.
    pub user: String,
    /// Where from. Loopback stands for "anywhere" when nobody said.
    pub from: IpAddr,
}

/// The settings in force: keyword in lower case, and the rest of the line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// Reads the output of `sshd -T`. Keywords that stand several times keep the first value.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut settings = BTreeMap::new();
        for line in text.lines() {
            if let Some((keyword, value)) = line.split_once(' ') {
                settings
                    .entry(keyword.to_ascii_lowercase())
                    .or_insert_with(|| value.to_owned());
            }
        }
        Self(settings)
    }

    /// The value of a keyword (lower case).
    #[must_use]
    pub fn value(&self, keyword: &str) -> Option<&str> {
        self.0.get(keyword).map(String::as_str)
    }

    /// Whether a keyword stands there with exactly this value.
    #[must_use]
    pub fn is(&self, keyword: &str, value: &str) -> bool {
        self.value(keyword) == Some(value)
    }

    /// Before OpenSSH 8.7 the setting had another name.
    #[must_use]
    pub fn keyboard_interactive(&self) -> bool {
        let keyword = match self.value("kbdinteractiveauthentication") {
            Some(_) => "kbdinteractiveauthentication",
            None => "challengeresponseauthentication",
        };
        self.is(keyword, "yes")
    }
}

/// Why sshd gave no answer.
#[derive(Debug)]
pub enum Silence {
    /// The binary is not there.
    NotInstalled(PathBuf),
    /// It could not be run.
    Io(PathBuf, io::Error),
    /// It took too long and was killed.
    TooSlow(PathBuf, Duration),
    /// It does not accept its configuration; this is what it wrote.
    Refused(String),
}

impl Silence {
    /// What to type against it.
    #[must_use]
    pub fn cure(&self) -> String {
        match self {
            Self::NotInstalled(_) => "apt install openssh-server".to_owned(),
            Self::Refused(said) if said.contains("privilege separation directory") => {
                "mkdir -p -m 0755 /run/sshd".to_owned()
            }
            Self::Refused(said) if said.contains("no hostkeys available") => {
                "sudo otpgate check    # only root can read the host keys; if root gets this too: ssh-keygen -A".to_owned()
            }
            Self::Io(..) | Self::TooSlow(..) | Self::Refused(_) => "sshd -t".to_owned(),
        }
    }
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInstalled(binary) => write!(f, "{} is not there", binary.display()),
            Self::Io(binary, error) => write!(f, "cannot run {}: {error}", binary.display()),
            Self::TooSlow(binary, patience) => write!(
                f,
                "{} gave no answer within {} s",
                binary.display(),
                patience.as_secs()
            ),
            Self::Refused(said) => write!(f, "sshd does not accept its configuration: {said}"),
        }
    }
}

impl std::error::Error for Silence {}

impl Sshd {
    /// `sshd -t`: would it start?
    ///
    /// # Errors
    /// It would not, or cannot be asked.
    pub fn test(&self) -> Result<(), Silence> {
        self.run(&["-t"], None).map(|_| ())
    }

    /// `sshd -T`: what would it run with, for everybody or for one connection?
    ///
    /// # Errors
    /// It would not start, or cannot be asked.
    pub fn settings(&self, connection: Option<&Connection>) -> Result<Settings, Silence> {
        let said = self.run(&["-T"], connection)?;
        Ok(Settings::parse(&said))
    }

    fn run(&self, mode: &[&str], connection: Option<&Connection>) -> Result<String, Silence> {
        let mut command = Command::new(&self.binary);
        command.args(mode).arg("-f").arg(&self.config);
        if let Some(Connection { user, from }) = connection {
            // Older versions want all three. The address serves as host name, as with UseDNS no.
            command
                .arg("-C")
                .arg(format!("user={user},host={from},addr={from}"));
        }
        let finished = run_within(command, self.patience).map_err(|error| self.failed(error))?;
        match finished {
            None => Err(Silence::TooSlow(self.binary.clone(), self.patience)),
            Some((status, said, _)) if status.success() => Ok(said),
            Some((status, _, complaint)) if complaint.trim().is_empty() => {
                Err(Silence::Refused(status.to_string()))
            }
            Some((_, _, complaint)) => Err(Silence::Refused(complaint.trim().to_owned())),
        }
    }

    fn failed(&self, error: io::Error) -> Silence {
        match error.kind() {
            io::ErrorKind::NotFound => Silence::NotInstalled(self.binary.clone()),
            _ => Silence::Io(self.binary.clone(), error),
        }
    }
}
