//! Whether the place is there in which a user's own file would be.
//!
//! A home whose file system is not mounted has no file in it, and under `nullok` everybody who lives there
//! would pass as one who has none. So "there is no file" is believed only where the home is a home: there,
//! and not the empty directory of somebody else's that a file system is mounted on. The same holds for the
//! directory that `secret=/var/ga/${USER}` names.
//!
//! Services have homes that never were, `/nonexistent` by Debian's policy (9.2.3); they are no persons, and
//! pass as before.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;

use super::super::error::{Problem, StoreError};

/// Below it, by the distributions' convention, are no people (login.defs, UID_MIN).
const FIRST_PERSON: u32 = 1000;
/// `nobody`, and services that systemd makes up as they start.
const NO_PERSONS: [u32; 2] = [65_534, 65_535];
/// The home of those who have none.
const NO_HOME: &str = "/nonexistent";

/// Whether people log in under this number.
#[must_use]
pub fn is_person(uid: u32) -> bool {
    uid >= FIRST_PERSON && !NO_PERSONS.contains(&uid)
}

/// Where a file would be, as far as an administrator made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base<'a> {
    /// In the home of the user with this number.
    Home(&'a Path, u32),
    /// In a directory that is the same for everybody.
    Shared(&'a Path),
}

impl Base<'_> {
    /// Looks whether it is there. To be called with the user's identity.
    ///
    /// # Errors
    /// [`Problem::NotMounted`] when it is not, and what else keeps one from knowing.
    pub fn check(self) -> Result<(), StoreError> {
        match self {
            Self::Home(home, uid) if !is_person(uid) || home.starts_with(NO_HOME) => Ok(()),
            Self::Home(home, uid) => check_home(home, uid),
            Self::Shared(directory) => open(directory).map(drop),
        }
    }
}

fn open(path: &Path) -> Result<OwnedFd, StoreError> {
    // With O_DIRECTORY an automounter is asked, also under O_PATH.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
        Errno::NOENT => StoreError::new(path, Problem::NotMounted),
        error => StoreError::io(path, "open", error),
    })
}

fn check_home(home: &Path, uid: u32) -> Result<(), StoreError> {
    let directory = open(home)?;
    let stat =
        rustix::fs::fstat(&directory).map_err(|error| StoreError::io(home, "stat", error))?;
    // Some homes are root's for good, as sshd's ChrootDirectory wants it; those have something in them.
    if stat.st_uid == uid || !is_empty(&directory) {
        return Ok(());
    }
    Err(StoreError::new(home, Problem::NotMounted))
}

/// What may not be listed is somebody's, and no place to mount on.
fn is_empty(directory: &OwnedFd) -> bool {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let listed = rustix::fs::openat(directory, ".", flags, Mode::empty()).and_then(Dir::new);
    let Ok(entries) = listed else {
        return false;
    };
    for entry in entries {
        match entry {
            Ok(entry) if matches!(entry.file_name().to_bytes(), b"." | b"..") => {}
            Ok(_) | Err(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_home_that_is_not_there_is_no_answer() {
        let place = tempfile::tempdir().unwrap();
        let home = place.path().join("alice");
        let not_mounted = |base: Base<'_>| {
            let error = base.check().err();
            error.is_some_and(|error| matches!(error.problem, Problem::NotMounted))
        };
        assert!(not_mounted(Base::Home(&home, 1000)));
        assert!(not_mounted(Base::Shared(&home)));
        fs::create_dir(&home).unwrap();
        let owner = rustix::process::geteuid().as_raw();
        assert!(Base::Shared(&home).check().is_ok());
        assert!(
            not_mounted(Base::Home(&home, owner + 1000)),
            "empty, and another's"
        );
        fs::write(home.join("upload"), "").unwrap();
        assert!(Base::Home(&home, owner + 1000).check().is_ok());
    }

    #[test]
    fn who_never_had_a_home_has_no_file() {
        for (home, uid) in [
            ("/nonexistent", 1000),
            ("/nonexistent/x", 1000),
            ("/none", 999),
            ("/none", 65_534),
        ] {
            assert!(
                Base::Home(Path::new(home), uid).check().is_ok(),
                "{home} {uid}"
            );
        }
    }

    #[test]
    fn what_is_no_directory_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(Base::Home(file.path(), 1000).check().is_err());
        assert!(Base::Shared(file.path()).check().is_err());
    }
}
