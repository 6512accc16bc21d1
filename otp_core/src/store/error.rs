//! What went wrong with the store, where, and what to type against it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::seal::KeyId;

/// A file of the store, and what is wrong with it.
#[derive(Debug)]
pub struct StoreError {
    /// Which file or directory.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: Problem,
}

/// What can be wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// There is no store here.
    NotInitialised,
    /// A system call failed.
    Io {
        /// What was being done: `open`, `write`.
        action: &'static str,
        /// How it failed.
        error: io::Error,
    },
    /// The last component of the path is a symbolic link.
    Symlink,
    /// Neither a regular file nor, where one is wanted, a directory.
    FileType(&'static str),
    /// Owned by somebody else.
    Owner {
        /// Whose it is.
        uid: u32,
        /// Whose it has to be.
        expected: u32,
    },
    /// Group or others have access.
    Mode {
        /// Permission bits.
        mode: u32,
        /// Permission bits that must not be set.
        forbidden: u32,
    },
    /// It has another name somewhere.
    HardLinks(u64),
    /// Larger than anything that was ever written here.
    Size {
        /// Bytes it has.
        size: u64,
        /// Bytes it has at most.
        most: u64,
    },
    /// Somebody else held the lock until the deadline.
    Busy,
    /// The account's text is wrong.
    DamagedAccount(String),
    /// Neither slot of the state is valid.
    DamagedState,
    /// There is an account and no state.
    StateMissing,
    /// There is a state and no account.
    AccountMissing,
    /// Account and state are of different times.
    Generation {
        /// The account's.
        account: u64,
        /// The state's.
        state: u64,
    },
    /// The state does not know this device of the account.
    UnknownDevice(String),
    /// The calling process may not write a file of the state's size.
    FileSizeLimit(u64),
    /// The user has an account already.
    AlreadyEnrolled,
    /// The user has no account.
    NotEnrolled,
    /// Not text.
    NotUtf8,
    /// The kernel gave no random bytes.
    Random,
    /// The configuration file must not be trusted.
    Configuration(Box<Problem>),
    /// The directory of the seal keys is not there, or must not be trusted.
    KeysDirectory(Box<Problem>),
    /// The file with the seal keys must not be trusted, or cannot be read.
    SealKey(Box<Problem>),
    /// The file with the seal keys holds something else.
    SealKeyText(String),
    /// The file with the seal keys is missing, and this key is needed.
    SealKeyMissing(KeyId),
    /// The file with the seal keys is there, and this key is not in it.
    SealKeyUnknown(KeyId),
    /// `seal.toml` is wrong.
    SealSettings(String),
    /// `seal.toml` is missing, and there are sealed secrets.
    SealSettingsMissing,
    /// A sealed secret was changed, or belongs to another user or device.
    SealBroken,
    /// A directory of the store must not be trusted.
    Directory(Box<Problem>),
    /// A decoy is missing or damaged, so that users who are not enrolled cannot be refused at the usual
    /// cost.
    Decoy(Box<Problem>),
    /// The count of failures at a user's own file must not be trusted, or cannot be read.
    Guesses(Box<Problem>),
    /// The directory in which a user's own file would be is not there, so there may be a file all the same.
    NotMounted,
    /// An administrative change was refused by what it was given.
    Refused(String),
    /// A user's own file was there before the question and is not there now.
    Removed,
    /// A user's own file was replaced by somebody who does not know of our lock.
    Changed,
    /// A user's own file is empty, too large, or has a NUL inside.
    NoSecretFile,
    /// A user's own file has mode bits that `allowed_perm` does not allow.
    OpenToOthers {
        /// Mode bits.
        mode: u32,
        /// Mode bits that must not be set.
        forbidden: u32,
    },
    /// A user's own file belongs to somebody else.
    NotTheUsers {
        /// Whose it is.
        uid: u32,
        /// Whose it has to be.
        expected: u32,
    },
}

impl StoreError {
    /// About this path.
    #[must_use]
    pub fn new(path: &Path, problem: Problem) -> Self {
        Self {
            path: path.to_owned(),
            problem,
        }
    }

    /// A failed system call on this path.
    #[must_use]
    pub fn io(path: &Path, action: &'static str, error: Errno) -> Self {
        let problem = match error {
            Errno::LOOP => Problem::Symlink,
            // A socket, or a FIFO without a reader, cannot even be opened.
            Errno::NXIO => Problem::FileType("regular file"),
            Errno::ISDIR => Problem::FileType("regular file"),
            Errno::NOTDIR => Problem::FileType("directory"),
            error => Problem::Io {
                action,
                error: error.into(),
            },
        };
        Self::new(path, problem)
    }

    /// The same problem, of something that is no user's file.
    #[must_use]
    pub fn of(self, what: impl FnOnce(Box<Problem>) -> Problem) -> Self {
        Self {
            path: self.path,
            problem: what(Box::new(self.problem)),
        }
    }

    /// Whether `otpgate repair USER` can do something about it.
    #[must_use]
    pub fn is_repairable(&self) -> bool {
        matches!(
            self.problem,
            Problem::DamagedState
                | Problem::StateMissing
                | Problem::Generation { .. }
                | Problem::UnknownDevice(_)
                | Problem::Owner { .. }
                | Problem::Mode { .. }
        )
    }

    fn cure(&self) -> &'static str {
        self.problem.cure()
    }
}

impl Problem {
    fn cure(&self) -> &'static str {
        match self {
            Problem::NotInitialised => "run `otpgate init`",
            Problem::Io { error, .. } => match error.kind() {
                io::ErrorKind::NotFound => "run `otpgate init`",
                io::ErrorKind::PermissionDenied => {
                    "run as root, or check owner and mode with `otpgate check`"
                }
                io::ErrorKind::ReadOnlyFilesystem => {
                    "make the file system writable: used codes must be recorded"
                }
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space",
                _ => "check the disk and the kernel log",
            },
            Problem::Symlink | Problem::FileType(_) | Problem::HardLinks(_) => {
                "find out who put it there, then restore the file from a backup or enrol again"
            }
            Problem::Owner { .. } | Problem::Mode { .. } => {
                "run `otpgate repair USER`, or chown and chmod it"
            }
            Problem::Size { .. } | Problem::DamagedAccount(_) | Problem::NotUtf8 => {
                "restore it from a backup, or run `otpgate remove USER --force` and enrol again"
            }
            Problem::Busy => {
                "try again; if it stays, look for a stopped process that holds the lock"
            }
            Problem::FileSizeLimit(_) => "log in without that limit",
            Problem::DamagedState
            | Problem::StateMissing
            | Problem::Generation { .. }
            | Problem::UnknownDevice(_) => "run `otpgate repair USER`",
            Problem::AccountMissing => {
                "restore the account from a backup, or run `otpgate remove USER --force` and enrol again"
            }
            Problem::AlreadyEnrolled => {
                "add a device with another name, or replace this one with --force"
            }
            Problem::NotEnrolled => "run `otpgate enroll USER`",
            Problem::Configuration(_) => {
                "make it a file of root's that nobody else may write: chown root, chmod 644"
            }
            Problem::KeysDirectory(_) => {
                "make it, as root's, with nobody else to write in it: mkdir, chown root, chmod 755"
            }
            Problem::SealKey(inner) if matches!(**inner, Problem::Io { .. }) => inner.cure(),
            Problem::SealKey(_) => {
                "make it a plain file of root's that nobody else may read: chown root, chmod 600"
            }
            Problem::SealKeyText(_) => "put the right file back: 64 hexadecimal digits a line",
            Problem::SealKeyMissing(_) => {
                "put it back from where you keep it (a systemd credential: `systemctl restart otpgate-seal-key`)"
            }
            Problem::SealKeyUnknown(_) => {
                "add the line with that key in front of the others; `otpgate seal status` tells more"
            }
            Problem::SealSettings(_) => "correct it, or put it back from a backup",
            Problem::SealSettingsMissing => {
                "run `otpgate seal init`, with --key-file if it is elsewhere"
            }
            Problem::SealBroken => {
                "put the user's own account back from a backup, or run `otpgate remove USER --force` and enrol again"
            }
            Problem::Directory(_) => "give it to root alone: chown root, chmod 700",
            // What is not the decoy's own fault has its own cure.
            Problem::Decoy(inner) if matches!(**inner, Problem::Io { .. } | Problem::Busy) => {
                inner.cure()
            }
            Problem::Decoy(inner) if inner.is_of_seal_key() => inner.cure(),
            Problem::Decoy(_) => "run `otpgate init`, which makes the decoys anew",
            Problem::Guesses(inner) if matches!(**inner, Problem::Io { .. } | Problem::Busy) => {
                inner.cure()
            }
            Problem::Guesses(_) => "run `otpgate unlock USER`, which makes it anew",
            Problem::NotMounted => {
                "mount or make it; for a user who is not to have one, write a rule, or /nonexistent as the home"
            }
            Problem::Random => "check /dev/urandom",
            Problem::Removed | Problem::Changed => "log in again",
            Problem::NoSecretFile => "make it anew with google-authenticator",
            Problem::OpenToOthers { .. } => {
                "its user types: chmod 600, or write allowed_perm= into pam.d"
            }
            Problem::NotTheUsers { .. } => {
                "chown it, or write user= or no_strict_owner into pam.d if it is meant so"
            }
            Problem::Refused(_) => "",
        }
    }
}

impl Problem {
    /// What is wrong, whatever it is wrong with.
    #[must_use]
    pub fn itself(&self) -> &Self {
        match self {
            Self::Configuration(problem)
            | Self::Directory(problem)
            | Self::KeysDirectory(problem)
            | Self::SealKey(problem)
            | Self::Decoy(problem)
            | Self::Guesses(problem) => problem,
            problem => problem,
        }
    }
}

impl Problem {
    /// Whether the keys that secrets are sealed with are what is wrong, for everybody alike.
    #[must_use]
    pub fn is_of_seal_key(&self) -> bool {
        match self {
            Self::Decoy(problem) => problem.is_of_seal_key(),
            Self::SealKey(_)
            | Self::SealKeyText(_)
            | Self::SealKeyMissing(_)
            | Self::SealKeyUnknown(_)
            | Self::SealSettings(_)
            | Self::SealSettingsMissing => true,
            _ => false,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", crate::shown::path(&self.path), self.problem)?;
        match self.cure() {
            "" => Ok(()),
            cure => write!(f, "; {cure}"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInitialised => f.write_str("no otpgate store here"),
            Self::Io { action, error } => write!(f, "cannot {action}: {error}"),
            Self::Symlink => f.write_str("is a symbolic link"),
            Self::FileType(expected) => write!(f, "is not a {expected}"),
            Self::Owner { uid, expected } => {
                write!(f, "is owned by uid {uid} instead of uid {expected}")
            }
            Self::Mode { mode, forbidden } => write!(
                f,
                "has mode {mode:04o}, which gives away access (none of {forbidden:04o} may be set)"
            ),
            Self::HardLinks(links) => write!(f, "has {links} names (hard links) instead of one"),
            Self::Size { size, most } => write!(f, "has {size} bytes, and {most} are the most"),
            Self::Busy => f.write_str("stayed locked by another process for 5 s"),
            Self::DamagedAccount(what) => write!(f, "damaged: {what}"),
            Self::DamagedState => f.write_str("damaged: neither slot is valid"),
            Self::StateMissing => f.write_str("is missing, though the account is there"),
            Self::AccountMissing => f.write_str("is missing, though the state is there"),
            Self::Generation { account, state } => write!(
                f,
                "belongs to another account file (generation {state}, the account has {account})"
            ),
            Self::UnknownDevice(device) => {
                write!(
                    f,
                    "belongs to another account file (it knows no device {device})"
                )
            }
            Self::FileSizeLimit(bytes) => write!(
                f,
                "the calling process may write files of {bytes} bytes only (ulimit -f), so nothing could be recorded"
            ),
            Self::AlreadyEnrolled => f.write_str("is enrolled already"),
            Self::NotEnrolled => f.write_str("is not enrolled"),
            Self::NotUtf8 => f.write_str("damaged: not UTF-8"),
            Self::Random => f.write_str("the kernel gave no random bytes"),
            Self::Configuration(problem) | Self::Directory(problem) => problem.fmt(f),
            Self::KeysDirectory(problem) => match problem.itself() {
                Self::NotInitialised => f.write_str("there is no such directory for the seal key"),
                problem => write!(f, "the directory of the seal key: {problem}"),
            },
            Self::SealKey(problem) => write!(f, "the seal key: {problem}"),
            Self::SealKeyText(what) => write!(f, "is no file of seal keys: {what}"),
            Self::SealKeyMissing(id) => {
                write!(
                    f,
                    "the seal key is missing, and secrets are sealed with {id}"
                )
            }
            Self::SealKeyUnknown(id) => {
                write!(f, "holds other seal keys, and secrets are sealed with {id}")
            }
            Self::SealSettings(what) => write!(f, "damaged: {what}"),
            Self::SealSettingsMissing => f.write_str("is missing, and there are sealed secrets"),
            Self::SealBroken => f.write_str(
                "a sealed secret does not open: it was changed, or is another user's or device's",
            ),
            Self::Decoy(problem) => write!(f, "a decoy: {problem}"),
            Self::Guesses(problem) => write!(f, "the count of failures at a user's own file: {problem}"),
            Self::NotMounted => f.write_str(
                "is not there, or is an empty directory of somebody else's, so nobody can say whether there is a file in it",
            ),
            Self::Refused(why) => f.write_str(why),
            Self::Removed => f.write_str("was removed during the login"),
            Self::Changed => {
                f.write_str("was changed during the login, on another host or by its user")
            }
            Self::NoSecretFile => {
                f.write_str("is empty, or larger than 65536 bytes, or has a NUL inside")
            }
            Self::OpenToOthers { mode, forbidden } => write!(
                f,
                "has mode {mode:04o} (none of {forbidden:04o} may be set)"
            ),
            Self::NotTheUsers { uid, expected } => {
                write!(f, "is owned by uid {uid} instead of uid {expected}")
            }
        }
    }
}

impl std::error::Error for StoreError {}
