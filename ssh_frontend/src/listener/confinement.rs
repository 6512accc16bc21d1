//! Whom and where the network processes are confined to, when the server is root's: it is checked before
//! the first connection, for afterwards every one of them would fail.

use std::path::{Path, PathBuf};
use std::{error, fmt, io};

use nix::unistd::User;
use rustix::fs::{AtFlags, FileType, Mode};

use crate::config::Config;

/// A new directory is made here only: what is elsewhere stays over a restart and is the administrator's.
const VOLATILE: &str = "/run";

/// What is wrong.
#[derive(Debug)]
pub enum ConfinementError {
    /// There is no such user.
    NoUser(String),
    /// The user is root.
    Root(String),
    /// The system refused.
    Io(PathBuf, io::Error),
    /// The directory is not there, and not ours to make.
    NoDirectory(PathBuf),
    /// The directory is something else.
    Unfit(PathBuf, &'static str),
}

impl fmt::Display for ConfinementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUser(name) => write!(
                f,
                "network_user {name}: there is no such user; make one: `useradd --system --no-create-home \
                 --shell /usr/sbin/nologin {name}`"
            ),
            Self::Root(name) => write!(
                f,
                "network_user {name}: has root's uid or gid; name a user that has no rights at all"
            ),
            Self::Io(path, error) => write!(f, "chroot_directory {}: {error}", path.display()),
            Self::NoDirectory(path) => write!(
                f,
                "chroot_directory {0}: is not there; make it: `mkdir -m 755 {0}`",
                path.display()
            ),
            Self::Unfit(path, what) => write!(
                f,
                "chroot_directory {0}: {what}; it has to be an empty directory of root's: \
                 `mkdir {0}; chown root:root {0}; chmod 755 {0}`",
                path.display()
            ),
        }
    }
}

impl error::Error for ConfinementError {}

/// Whether network processes change their identity: only root can.
#[must_use]
pub fn is_wanted() -> bool {
    rustix::process::geteuid().is_root()
}

/// Looks at user and directory. A directory that [`prepare`] will make may be absent.
///
/// # Errors
/// What is wrong with them.
pub fn check(config: &Config) -> Result<(), ConfinementError> {
    if !is_wanted() {
        return Ok(());
    }
    check_user(&config.network_user)?;
    let path = &config.chroot_directory;
    match check_directory(path) {
        Err(ConfinementError::NoDirectory(_)) if path.starts_with(VOLATILE) => Ok(()),
        result => result,
    }
}

/// Makes the directory if it has to be made.
///
/// # Errors
/// What is wrong with it.
pub fn prepare(config: &Config) -> Result<(), ConfinementError> {
    if !is_wanted() {
        return Ok(());
    }
    let path = &config.chroot_directory;
    if path.starts_with(VOLATILE) {
        match rustix::fs::mkdir(path, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(ConfinementError::Io(path.clone(), error.into())),
        }
    }
    check_directory(path)
}

fn check_user(name: &str) -> Result<(), ConfinementError> {
    match User::from_name(name) {
        Ok(Some(user)) if user.uid.is_root() || user.gid.as_raw() == 0 => {
            Err(ConfinementError::Root(name.to_owned()))
        }
        Ok(Some(_)) => Ok(()),
        // An unreachable directory service: as good as no such user.
        Ok(None) | Err(_) => Err(ConfinementError::NoUser(name.to_owned())),
    }
}

fn check_directory(path: &Path) -> Result<(), ConfinementError> {
    let unfit = |what| Err(ConfinementError::Unfit(path.to_owned(), what));
    let wrong = |error| ConfinementError::Io(path.to_owned(), error);
    let stat = match rustix::fs::statat(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(rustix::io::Errno::NOENT) => {
            return Err(ConfinementError::NoDirectory(path.to_owned()));
        }
        Err(error) => return Err(wrong(error.into())),
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return unfit("is no directory");
    }
    if stat.st_uid != 0 {
        return unfit("is not root's");
    }
    if stat.st_mode & 0o022 != 0 {
        return unfit("may be written by others");
    }
    match std::fs::read_dir(path).map_err(wrong)?.next() {
        Some(_) => unfit("is not empty"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_rights_is_wanted() {
        assert!(check_user("nobody").is_ok());
        let root = check_user("root").unwrap_err();
        assert!(matches!(root, ConfinementError::Root(_)), "{root}");
        let absent = check_user("no-such-user").unwrap_err().to_string();
        assert!(absent.contains("useradd --system"), "{absent}");
    }

    #[test]
    fn an_empty_directory_of_roots_is_wanted() {
        let problem = |path: &Path| check_directory(path).unwrap_err().to_string();
        assert!(problem(Path::new("/etc")).contains("is not empty"));
        assert!(problem(Path::new("/tmp")).contains("may be written by others"));
        assert!(problem(Path::new("/etc/passwd")).contains("is no directory"));
        assert!(problem(Path::new("/no/such")).contains("mkdir -m 755 /no/such"));
    }
}
