//! The private host keys: read by the listener, held by every network process that signs with them.
//!
//! They are files of root's (or of whoever runs the server), as sshd's are, and `ssh-keygen` makes them.
//! RSA keys are not taken: the SSH library comes without RSA, for the timing advisory of its
//! implementation.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::{error, fmt};

use otp_core::store::error::StoreError;
use otp_core::store::safe_open::inspect;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::ssh_key::{self, Algorithm, HashAlg, LineEnding, PrivateKey};
use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

use crate::protocol::HostKey;

/// Largest key file, in bytes; a P-521 key with a long comment has about 1 000.
const LARGEST: u64 = 8 * 1024;
/// Access for anybody but the owner.
const GROUP_AND_OTHERS: u32 = 0o077;

/// Why a host key is not taken, or not made.
#[derive(Debug)]
pub enum HostKeyError {
    /// There is no such file.
    Missing(PathBuf),
    /// It is there already.
    Exists(PathBuf),
    /// It must not be trusted.
    Distrusted(StoreError),
    /// It cannot be read or written.
    Io(PathBuf, io::Error),
    /// It is not in OpenSSH's format.
    Format(PathBuf, ssh_key::Error),
    /// It asks for a passphrase.
    Encrypted(PathBuf),
    /// It is of a type that is not taken.
    Type(PathBuf, String),
}

impl fmt::Display for HostKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(
                f,
                "host key {0}: is not there; make it: `otpgate-sshd --generate-host-key` for the first of \
                 host_keys, or `ssh-keygen -t ed25519 -f {0} -N \"\"`",
                path.display()
            ),
            Self::Exists(path) => write!(
                f,
                "host key {}: is there already; clients know the server by it. Remove it to have a new one",
                path.display()
            ),
            Self::Distrusted(error) => write!(
                f,
                "host key {0}: {1}; if nobody else can have read it: `chown root {0}; chmod 600 {0}`",
                error.path.display(),
                error.problem.itself()
            ),
            Self::Io(path, error) => write!(f, "host key {}: {error}", path.display()),
            Self::Format(path, error) => write!(
                f,
                "host key {}: not a private key in OpenSSH's format ({error}); {}",
                path.display(),
                Cure(path)
            ),
            Self::Encrypted(path) => write!(
                f,
                "host key {0}: has a passphrase, which nobody could type; take it off with \
                 `ssh-keygen -p -N \"\" -f {0}`, or {1}",
                path.display(),
                Cure(path)
            ),
            Self::Type(path, name) => write!(
                f,
                "host key {}: is of the type {name}, and ed25519 or ecdsa is wanted; {}",
                path.display(),
                Cure(path)
            ),
        }
    }
}

impl error::Error for HostKeyError {}

struct Cure<'p>(&'p Path);

impl fmt::Display for Cure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "move it away and make another: `ssh-keygen -t ed25519 -f {} -N \"\"`",
            self.0.display()
        )
    }
}

/// Reads all of them.
///
/// # Errors
/// The first that is not taken, and why.
pub fn load(paths: &[PathBuf]) -> Result<Vec<HostKey>, HostKeyError> {
    paths.iter().map(|path| load_one(path)).collect()
}

fn load_one(path: &Path) -> Result<HostKey, HostKeyError> {
    let text = read(path)?;
    let key = PrivateKey::from_openssh(text.as_bytes())
        .map_err(|error| HostKeyError::Format(path.to_owned(), error))?;
    if key.is_encrypted() {
        return Err(HostKeyError::Encrypted(path.to_owned()));
    }
    match key.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } => Ok(HostKey(text)),
        other => Err(HostKeyError::Type(
            path.to_owned(),
            other.as_str().to_owned(),
        )),
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>, HostKeyError> {
    // Neither a link nor a FIFO is followed or waited for.
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(rustix::io::Errno::NOENT) => return Err(HostKeyError::Missing(path.to_owned())),
        Err(error) => {
            return Err(HostKeyError::Distrusted(StoreError::io(
                path, "open", error,
            )));
        }
    };
    let stat = inspect(&fd, GROUP_AND_OTHERS, LARGEST, &|| path.to_owned())
        .map_err(HostKeyError::Distrusted)?;
    // Room for all of it from the beginning: growing would leave copies of the key behind.
    let room = usize::try_from(stat.st_size).unwrap_or_default();
    let mut text = Zeroizing::new(String::with_capacity(room + 1));
    let wrong = |error| HostKeyError::Io(path.to_owned(), error);
    io::Read::read_to_string(&mut File::from(fd), &mut text).map_err(wrong)?;
    Ok(text)
}

/// Makes a new ed25519 key at this path and its public half beside it, and tells its fingerprint.
///
/// # Errors
/// [`HostKeyError::Exists`], [`HostKeyError::Io`].
pub fn generate(path: &Path) -> Result<String, HostKeyError> {
    let wrong = |error| HostKeyError::Io(path.to_owned(), error);
    let key = new_key().map_err(wrong)?;
    let text = key.to_openssh(LineEnding::LF);
    let text = text.map_err(|error| HostKeyError::Format(path.to_owned(), error))?;
    let public = key.public_key().to_openssh();
    let public = public.map_err(|error| HostKeyError::Format(path.to_owned(), error))?;
    match write_new(path, 0o600, text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(HostKeyError::Exists(path.to_owned()));
        }
        result => result.map_err(wrong)?,
    }
    // One that lies there belongs to a key that is gone.
    let beside = PathBuf::from([path.as_os_str(), ".pub".as_ref()].join("".as_ref()));
    let _ = std::fs::remove_file(&beside);
    write_new(&beside, 0o644, format!("{public}\n").as_bytes())
        .map_err(|error| HostKeyError::Io(beside, error))?;
    Ok(key.public_key().fingerprint(HashAlg::Sha256).to_string())
}

fn new_key() -> io::Result<PrivateKey> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut()).map_err(io::Error::other)?;
    let keypair = Ed25519Keypair::from_seed(&seed);
    let name = rustix::system::uname();
    let comment = format!("otpgate-sshd@{}", name.nodename().to_string_lossy());
    PrivateKey::new(keypair.into(), comment).map_err(io::Error::other)
}

/// Writes a file that was not there, so that it is there whole after a loss of power.
fn write_new(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let mut options = File::options();
    let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(error) = written {
        let _ = std::fs::remove_file(path);
        return Err(error);
    }
    let directory = path.parent().unwrap_or(Path::new("/"));
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests;
