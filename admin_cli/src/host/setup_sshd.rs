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
    /// The drop-in is there, but not as setup writes it, and sshd runs with another value.
    Edited(PathBuf, Wrong),
    /// Everything stands there, and still sshd runs with another value; this line may be why.
    NotInForce(Wrong, Option<Box<Setting>>),
}

/// A setting that sshd runs with otherwise than it must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    name: &'static str,
    wanted: &'static str,
    found: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            wanted,
            found,
        } = self;
        write!(f, "sshd runs with {name} {found} instead of {wanted}")
    }
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
            Self::Edited(path, wrong) => write!(
                f,
                "{} is there already, is not what setup writes, and {wrong}",
                path.display()
            ),
            Self::NotInForce(wrong, None) => {
                write!(f, "{wrong} all the same, so another line wins")
            }
            Self::NotInForce(wrong, Some(setting)) => {
                write!(f, "{wrong} all the same: {} wins", setting.place())?;
                match &setting.condition {
                    Some(whom) => write!(f, " (for \"Match {whom}\")"),
                    None => Ok(()),
                }
            }
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

/// The drop-in's content.
#[must_use]
pub fn content() -> Vec<u8> {
    (lines().join("\n") + "\n").into_bytes()
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
        Some(wrong) => Err(not_in_force(&sshd.config, wrong).at(&sshd.config)),
    }
}

/// The drop-in is there, and this is wrong with what sshd runs with: which line is to blame?
#[must_use]
pub fn blame(config: &Path, target: &Path, bytes: &[u8], wrong: Wrong) -> Conflict {
    match bytes == content() {
        true => not_in_force(config, wrong),
        false => Conflict::Edited(target.to_owned(), wrong),
    }
}

fn not_in_force(config: &Path, wrong: Wrong) -> Conflict {
    let winner = sshd_config::read(config).into_iter().find(|setting| {
        setting.sets(&wrong.name.to_ascii_lowercase())
            && setting.values.first().map(String::as_str) != Some(wrong.wanted)
    });
    Conflict::NotInForce(wrong, winner.map(Box::new))
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
            Self::Edited(path, _) => {
                let path = path.display();
                format!("mv {path} {path}.old && otpgate setup sshd")
            }
            Self::NotInForce(_, Some(setting)) => format!(
                "sudoedit +{} {}    # take the line out",
                setting.line,
                setting.file.display()
            ),
            Self::NotInForce(_, None) => format!("grep -ri authentication {config} {config}.d"),
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

/// The first setting that sshd does not run with as it must.
#[must_use]
pub fn first_wrong(settings: &Settings) -> Option<Wrong> {
    WANTED
        .into_iter()
        .find(|(name, value, _)| match *name {
            "KbdInteractiveAuthentication" => !settings.keyboard_interactive(),
            other => !settings.is(&other.to_ascii_lowercase(), value),
        })
        .map(|(name, wanted, _)| {
            let found = settings.value(&name.to_ascii_lowercase());
            Wrong {
                name,
                wanted,
                found: found.unwrap_or("an unknown value").to_owned(),
            }
        })
}
