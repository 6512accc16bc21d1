//! Why setup did not do it: what, where, and what to type.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::files::Unreadable;
use super::finding::Finding;
use super::setup_pam::NoPlace;
use super::setup_sshd::Conflict;
use super::sshd_run::Silence;

/// Why setup did not do it.
#[derive(Debug)]
pub enum SetupError {
    /// No file name of a service.
    NotAName(String),
    /// No directory to write into.
    NoPamDirectory,
    /// There is no such service.
    NoService {
        /// The name.
        service: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// Other services include the file.
    Shared {
        /// The name.
        service: String,
        /// Who includes it.
        by: Vec<String>,
    },
    /// `--enrol`, for a program that its caller can stop.
    Stoppable(String),
    /// The service file is a link to another.
    Symlink(PathBuf),
    /// The file cannot be read.
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        why: Unreadable,
    },
    /// libpam could not read the stack either.
    Damaged(Box<Finding>),
    /// libpam could not load the module.
    Module(Box<Finding>),
    /// The configuration's path cannot stand on a pam.d line.
    ConfigName(PathBuf),
    /// A line that setup did not write names another configuration than this command works with.
    OtherConfig {
        /// `file:line`.
        place: String,
        /// What it names; none for the usual one.
        named: Option<String>,
        /// The service.
        service: String,
    },
    /// Our line is there, but in an included file.
    Elsewhere(String),
    /// There is no place where our line would work.
    NoPlace {
        /// The service file.
        file: PathBuf,
        /// Why.
        why: NoPlace,
    },
    /// The drop-in for sshd would not do its work.
    Sshd {
        /// The configuration.
        config: PathBuf,
        /// What is in the way.
        conflict: Box<Conflict>,
    },
    /// sshd does not answer, or does not accept its configuration.
    Silence(Silence),
    /// Setup never ran here.
    NothingToUndo {
        /// The service file.
        file: PathBuf,
        /// Its lines that name our module.
        lines: Vec<usize>,
    },
    /// The kernel refused.
    Io {
        /// What we wanted to do.
        what: &'static str,
        /// To which file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A later step failed; earlier ones were taken back.
    RolledBack {
        /// Why.
        cause: Box<SetupError>,
        /// Files that could not be taken back.
        stuck: Vec<PathBuf>,
        /// Where the originals of those are.
        originals: PathBuf,
    },
}

impl SetupError {
    /// Whether files stay changed, so that the originals must be kept.
    #[must_use]
    pub fn leaves_changes(&self) -> bool {
        matches!(self, Self::RolledBack { stuck, .. } if !stuck.is_empty())
    }

    /// An error of the kernel's.
    #[must_use]
    pub fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            what,
            path: path.to_owned(),
            source,
        }
    }
}

impl From<Silence> for SetupError {
    fn from(silence: Silence) -> Self {
        Self::Silence(silence)
    }
}

impl std::error::Error for SetupError {}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAName(name) => write!(
                f,
                "{name:?} is not the name of a PAM service. Type: ls /etc/pam.d"
            ),
            Self::NoPamDirectory => write!(
                f,
                "this host has no pam.d directory. Type: mkdir -m 0755 /etc/pam.d"
            ),
            Self::NoService { service, known } => write!(
                f,
                "there is no PAM service {service:?} here; there are: {}. Type: otpgate setup sshd",
                known.join(" ")
            ),
            Self::Shared { service, by } => shared(f, service, by),
            Self::Stoppable(service) => write!(
                f,
                "{service} is a program that any local user starts and can stop, also while it holds the lock of administration for an enrolment; every other enrolment and change would wait. People enrol at sshd, otpgate-sshd and login. Type: otpgate setup sshd --enrol"
            ),
            Self::Symlink(path) => write!(
                f,
                "{} is a symbolic link, and replacing it would cut it off from the file behind it. Type: cp --remove-destination \"$(readlink -f {0})\" {0}",
                path.display()
            ),
            Self::Unreadable { file, why } => {
                write!(f, "cannot read {}: {why}. Type: ls -lL {0}", file.display())
            }
            Self::Damaged(finding) | Self::Module(finding) => write!(
                f,
                "{}: {} Type: {}",
                finding.place, finding.meaning, finding.cure
            ),
            Self::ConfigName(path) => write!(
                f,
                "{path:?} cannot be named on a pam.d line, which takes an absolute path in UTF-8 without \"#\", backslash and control characters. Type: mv {path:?} /etc/otpgate/"
            ),
            Self::OtherConfig {
                place,
                named,
                service,
            } => other_config(f, place, named.as_deref(), service),
            Self::Elsewhere(place) => write!(
                f,
                "{place} has our line already, in a file that other services share. Take it out there, then run this again. Type: otpgate check"
            ),
            Self::NoPlace { file, why } => no_place(f, file, why),
            Self::Sshd { config, conflict } => write!(
                f,
                "a drop-in would not work with {}: {conflict}. Type: {}",
                config.display(),
                conflict.cure(config)
            ),
            Self::Silence(silence) => write!(f, "{silence}. Type: {}", silence.cure()),
            Self::NothingToUndo { file, lines } => nothing_to_undo(f, file, lines),
            Self::Io { what, path, source } => write!(
                f,
                "cannot {what} {}: {source}. {}",
                path.display(),
                io_cure(source)
            ),
            Self::RolledBack {
                cause,
                stuck,
                originals,
            } => rolled_back(f, cause, stuck, originals),
        }
    }
}

fn shared(f: &mut fmt::Formatter<'_>, service: &str, by: &[String]) -> fmt::Result {
    let by = match by.is_empty() {
        true => "sudo, su, login and screen lockers".to_owned(),
        false => by.join(", "),
    };
    write!(
        f,
        "{service} is shared by other services ({by}): a code there locks people out of their own screens. Type: otpgate setup sshd"
    )
}

fn no_place(f: &mut fmt::Formatter<'_>, file: &Path, why: &NoPlace) -> fmt::Result {
    let file = file.display();
    match why {
        NoPlace::NoPassword => write!(
            f,
            "{file}: nothing here checks a password, so there is no line to stand behind. Type: sudoedit {file}    # and put \"auth required pam_otpgate.so\" where the code is to be asked for"
        ),
        NoPlace::GoneRound(place) => write!(
            f,
            "{file}: {place} ends the login in success before our line, so nobody would be asked. Type: sudoedit {file}    # write \"auth substack\" instead of \"auth include\" for that file, or \"requisite\" instead of \"sufficient\"; then otpgate check, for within a substack a wrong password does not end the login"
        ),
        NoPlace::Jumps => write!(
            f,
            "{file}: wherever our line stands, a jump of another line counts it or it is never reached. Type: sudoedit {file}    # put the lines that check the password into a file of their own, and \"auth substack\" it"
        ),
    }
}

fn nothing_to_undo(f: &mut fmt::Formatter<'_>, file: &Path, lines: &[usize]) -> fmt::Result {
    let file = file.display();
    match lines.first() {
        None => write!(
            f,
            "{file}: setup has changed nothing here, so there is nothing to undo. Type: otpgate check"
        ),
        Some(line) => write!(
            f,
            "{file}:{line} names pam_otpgate.so, but setup did not write it and keeps no original. Type: sudoedit +{line} {file}"
        ),
    }
}

fn io_cure(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => "Type: run it again with sudo",
        io::ErrorKind::WouldBlock => {
            "Another setup is running; wait for it. Type: pgrep -a otpgate"
        }
        io::ErrorKind::StorageFull => "Type: df -h /etc /var/lib",
        _ => "Type: findmnt -T /etc    # is it writable?",
    }
}

fn other_config(
    f: &mut fmt::Formatter<'_>,
    place: &str,
    named: Option<&str>,
    service: &str,
) -> fmt::Result {
    match named {
        Some(path) => write!(
            f,
            "{place} works with the configuration {path}, this command with another, and setup did not write that line. Type: otpgate --config {path:?} setup {service}"
        ),
        None => write!(
            f,
            "{place} works with the usual configuration, this command with another, and setup did not write that line. Type: otpgate setup {service}"
        ),
    }
}

fn rolled_back(
    f: &mut fmt::Formatter<'_>,
    cause: &SetupError,
    stuck: &[PathBuf],
    originals: &Path,
) -> fmt::Result {
    if stuck.is_empty() {
        return write!(f, "{cause}\nEvery file is as it was before.");
    }
    let files: Vec<String> = stuck
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    write!(
        f,
        "{cause}\nThese files could NOT be put back: {}. The originals are kept in {}, and its manifest.json says which is which. Type: otpgate setup {} --undo    # once the cause is mended",
        files.join(", "),
        originals.display(),
        originals.file_name().unwrap_or_default().display()
    )
}
