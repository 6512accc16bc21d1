//! Reading and replacing the host's own configuration files.
//!
//! Reading never hangs and never takes unbounded memory: a FIFO or a device planted in `/etc/pam.d`
//! must not stop the check that would have reported it. Replacing is atomic, because a half-written
//! `/etc/pam.d/sshd` locks everybody out.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

/// Larger than any configuration file a person writes.
pub const MAX_BYTES: u64 = 256 * 1024;

/// Why a file was not read.
#[derive(Debug)]
pub enum Unreadable {
    /// There is none.
    Missing,
    /// A FIFO, device, socket or directory.
    NotRegular,
    /// More than [`MAX_BYTES`].
    TooLarge,
    /// The kernel's answer.
    Io(io::Error),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "the file does not exist"),
            Self::NotRegular => write!(f, "not a regular file"),
            Self::TooLarge => write!(f, "larger than {} KiB", MAX_BYTES / 1024),
            Self::Io(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Unreadable {}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Io(error),
        }
    }
}

/// A file as it stood: content, mode and owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The content.
    pub bytes: Vec<u8>,
    /// Permission bits (07777).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Reads a regular file of bounded size, following symlinks as libpam and sshd do.
///
/// # Errors
/// Anything that is not such a file.
pub fn read(path: &Path) -> Result<Image, Unreadable> {
    // Opening some devices has effects of its own, so look before opening; the look after opening
    // is the one that counts.
    if !fs::metadata(path)?.is_file() {
        return Err(Unreadable::NotRegular);
    }
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits() | OFlag::O_CLOEXEC.bits())
        .open(path)?;
    let status = file.metadata()?;
    if !status.is_file() {
        return Err(Unreadable::NotRegular);
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Unreadable::TooLarge);
    }
    Ok(Image {
        bytes,
        mode: status.mode() & 0o7777,
        uid: status.uid(),
        gid: status.gid(),
    })
}

/// Puts the image in the file's place in one step that survives a power cut.
///
/// # Errors
/// The file is then as it was before.
pub fn replace(path: &Path, image: &Image) -> io::Result<()> {
    let temporary = temporary_name(path)?;
    // A leftover of a killed run; the directory belongs to root, so nobody planted it.
    remove_if_there(&temporary)?;
    let written = write_new(&temporary, image).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        remove_if_there(&temporary)?;
    }
    written?;
    sync_directory(path)
}

/// Removes a file for good; its absence is no error.
///
/// # Errors
/// The kernel's answer.
pub fn remove(path: &Path) -> io::Result<()> {
    remove_if_there(path)?;
    sync_directory(path)
}

fn write_new(path: &Path, image: &Image) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(&image.bytes)?;
    // Owner first: changing it clears setuid bits, and the mode must not be wide before the owner is right.
    std::os::unix::fs::fchown(&file, Some(image.uid), Some(image.gid))?;
    file.set_permissions(fs::Permissions::from_mode(image.mode))?;
    file.sync_all()
}

/// Every name in `/etc/pam.d` is a service that somebody could start; a leading dot keeps the
/// temporary file from being one, and from matching `sshd_config.d/*.conf`.
fn temporary_name(path: &Path) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(".otpgate-new");
    Ok(path.with_file_name(temporary))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        // A name alone is one of the current directory.
        Some(directory) if directory == Path::new("") => File::open(".")?.sync_all(),
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}
