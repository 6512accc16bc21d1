//! Reading a file that only its owner and root can have written.
//!
//! The checks are sshd's `StrictModes`: a file, or a directory above it, that others may write to could be
//! theirs. The user may plant what they like in their own home, a FIFO or a device too: nothing here waits.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, open, stat};

use crate::as_user::Account;

/// Largest file that is read, in bytes: some ten thousand keys.
const LARGEST: u64 = 1 << 20;
/// Writable by the group or by others.
const WRITABLE_BY_OTHERS: Mode = Mode::WGRP.union(Mode::WOTH);

/// What the file says. None: there is no such file.
///
/// # Errors
/// Why it cannot be read or trusted, for the log.
pub fn read_trusted(account: &Account, file: &Path) -> Result<Option<Vec<u8>>, String> {
    let path = account.home.join(file);
    if !path.is_absolute() {
        return Err("a home directory whose path is not absolute".to_owned());
    }
    // Links are followed, as sshd does: it is the real place that has to be trusted.
    let real = match fs::canonicalize(&path) {
        Ok(real) => real,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let file = open_trusted(account, &real).map_err(|why| format!("{}: {why}", real.display()))?;
    trust_directories(account, &real)?;
    read(file)
        .map(Some)
        .map_err(|why| format!("{}: {why}", real.display()))
}

/// No such file, or no such home: `/dev/null` is one that system users have.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn open_trusted(account: &Account, real: &Path) -> Result<File, String> {
    let flags =
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file =
        open(real, flags, Mode::empty()).map_err(|error| io::Error::from(error).to_string())?;
    let stat = fstat(&file).map_err(|error| error.to_string())?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err("not a regular file".to_owned());
    }
    trust(account, &stat)?;
    Ok(File::from(file))
}

/// From the file up to the home directory, or to the root if it is somewhere else.
fn trust_directories(account: &Account, real: &Path) -> Result<(), String> {
    let home = fs::canonicalize(&account.home).ok();
    for directory in real.ancestors().skip(1) {
        let stat = stat(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        trust(account, &stat).map_err(|why| format!("{}: {why}", directory.display()))?;
        if Some(directory) == home.as_deref() {
            break;
        }
    }
    Ok(())
}

fn trust(account: &Account, stat: &Stat) -> Result<(), String> {
    if stat.st_uid != 0 && stat.st_uid != account.uid {
        return Err(format!("it belongs to uid {}", stat.st_uid));
    }
    if Mode::from_raw_mode(stat.st_mode).intersects(WRITABLE_BY_OTHERS) {
        return Err("others may write to it; `chmod go-w` is the cure".to_owned());
    }
    Ok(())
}

/// The length is counted, not believed: the file may grow meanwhile.
fn read(file: File) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    file.take(LARGEST + 1)
        .read_to_end(&mut text)
        .map_err(|error| error.to_string())?;
    if text.len() as u64 > LARGEST {
        return Err(format!("larger than {LARGEST} bytes"));
    }
    Ok(text)
}
