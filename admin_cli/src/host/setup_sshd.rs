//! The drop-in that makes sshd show our prompt.

use std::fmt;
use std::path::{Path, PathBuf};

use super::sshd_config::{self, Setting};
use super::sshd_run::{Settings, Sshd};

/// First in the directory, because sshd takes the first value it reads.
const NAME: &str = "00-otpgate.conf";

/// The settings, and why.
const WANTED: [(&str, &str, &str); 3] = [
    (
        "UsePAM",
        "yes",
        "sshd calls PAM only with this; without it nobody is asked for a code.",
    ),
    (
        "KbdInteractiveAuthentication",
        "yes",
        "The method that shows PAM's prompts one by one: password, then code.",
    ),
    (
        "PasswordAuthentication",
        "no",
        "This method answers every hidden prompt with the password, so it can never give a right code.",
    ),
];

/// Why the drop-in cannot do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// sshd_config does not read the directory.
    NoInclude,
    /// It does, but this line comes first and wins.
    Earlier(Setting),
    /// The directory is not there.
    NoDirectory,
    /// Everything stands there, and still sshd runs with another value: setting, wanted, found.
    NotInForce(&'static str, &'static str, String),
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoInclude => write!(
                f,
                "it has no Include line, outside of Match blocks, for the drop-in directory"
            ),
            Self::Earlier(setting) => write!(
                f,
                "{} says {} {} before the drop-in is read, and sshd takes the first value",
                setting.place(),
                setting.keyword,
                setting.values.join(" ")
            ),
            Self::NoDirectory => write!(f, "the drop-in directory does not exist"),
            Self::NotInForce(name, wanted, found) => write!(
                f,
                "sshd still runs with {name} {found} instead of {wanted}, so another line wins"
            ),
        }
    }
}

/// The drop-in's path.
#[must_use]
pub fn path(directory: &Path) -> PathBuf {
    directory.join(NAME)
}

/// The drop-in's content, one line each.
#[must_use]
pub fn lines() -> Vec<String> {
    let mut lines = vec![
        "# Written by \"otpgate setup sshd\"; \"otpgate setup sshd --undo\" removes it.".to_owned(),
        "# sshd takes the first value it reads: what stands here wins over later files.".to_owned(),
    ];
    for (name, value, why) in WANTED {
        lines.push(String::new());
        lines.push(format!("# {why}"));
        lines.push(format!("{name} {value}"));
    }
    lines
}

/// Whether sshd runs as it must already.
#[must_use]
pub fn in_force(settings: &Settings) -> bool {
    first_wrong(settings).is_none()
}

/// Whether a drop-in would win.
///
/// # Errors
/// Why it would not.
pub fn check_place(config: &Path, directory: &Path) -> Result<(), Conflict> {
    if !directory.is_dir() {
        return Err(Conflict::NoDirectory);
    }
    let written = sshd_config::read(config);
    let target = path(directory);
    let include = written
        .iter()
        .position(|setting| reads(setting, config, &target))
        .ok_or(Conflict::NoInclude)?;
    match written
        .iter()
        .take(include)
        .chain(siblings(&written, include, &target))
        .find(|setting| contradicts(setting))
    {
        Some(setting) => Err(Conflict::Earlier(setting.clone())),
        None => Ok(()),
    }
}

/// Whether the drop-in, once written, is what sshd goes by.
///
/// # Errors
/// sshd does not answer, or goes by another value.
pub fn verify(sshd: &Sshd) -> Result<(), super::setup::SetupError> {
    sshd.test()?;
    let settings = sshd.settings(None)?;
    match first_wrong(&settings) {
        None => Ok(()),
        Some((name, wanted, found)) => {
            Err(Conflict::NotInForce(name, wanted, found).at(&sshd.config))
        }
    }
}

impl Conflict {
    /// As an error about this configuration.
    #[must_use]
    pub fn at(self, config: &Path) -> super::setup::SetupError {
        super::setup::SetupError::Sshd {
            config: config.to_owned(),
            conflict: Box::new(self),
        }
    }

    /// What to type against it.
    #[must_use]
    pub fn cure(&self, config: &Path) -> String {
        let config = config.display();
        match self {
            Self::NoInclude => format!(
                "write at the top of {config}:  {}    and then: sshd -t && systemctl reload ssh",
                WANTED
                    .map(|(name, value, _)| format!("{name} {value}"))
                    .join("; ")
            ),
            Self::Earlier(setting) => format!(
                "sudoedit +{} {}    # take the line out, or move it behind the Include line",
                setting.line,
                setting.file.display()
            ),
            Self::NoDirectory => {
                format!("mkdir -m 0755 the directory that the Include line of {config} names")
            }
            Self::NotInForce(..) => format!("grep -ri authentication {config} {config}.d"),
        }
    }
}

fn reads(setting: &Setting, config: &Path, target: &Path) -> bool {
    setting.sets("include")
        && setting.file == config
        && setting.condition.is_none()
        && setting
            .values
            .iter()
            .any(|pattern| sshd_config::include_covers(pattern, target))
}

/// Lines of the files that the same Include line reads before ours, in glob(3)'s order.
fn siblings<'a>(
    written: &'a [Setting],
    include: usize,
    target: &'a Path,
) -> impl Iterator<Item = &'a Setting> {
    written
        .iter()
        .skip(include + 1)
        .take_while(move |setting| setting.file.parent() == target.parent())
        .filter(move |setting| setting.file.as_path() < target)
}

fn contradicts(setting: &Setting) -> bool {
    setting.condition.is_none()
        && WANTED.iter().any(|(name, value, _)| {
            setting.sets(&name.to_ascii_lowercase())
                && setting.values.first().map(String::as_str) != Some(*value)
        })
}

fn first_wrong(settings: &Settings) -> Option<(&'static str, &'static str, String)> {
    WANTED
        .into_iter()
        .find(|(name, value, _)| match *name {
            "KbdInteractiveAuthentication" => !settings.keyboard_interactive(),
            other => !settings.is(&other.to_ascii_lowercase(), value),
        })
        .map(|(name, value, _)| {
            let found = settings.value(&name.to_ascii_lowercase());
            (name, value, found.unwrap_or("an unknown value").to_owned())
        })
}
