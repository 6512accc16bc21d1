//! What must not be forgotten between two questions: which codes are used up, and who has had an answer.
//!
//! One small file and a lock beside it, in a directory of the user's own. It is written anew beside the old
//! one and renamed, durable before a code is printed: after a crash a code is lost, never used twice.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Instant;

use otp_core::hotp::{Algorithm, Digits, Generator, MovingFactor};
use otp_core::secret::Secret;
use otp_core::store::lock;
use otp_core::store::safe_open::Directory;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::client::Client;
use crate::error::CliError;

const FILE: &str = "used.json";
/// Written under the lock, so one name is enough, and a leftover is overwritten.
const NEW: &str = "used.json.new";
const LOCK: &str = "lock";
/// Largest file, in bytes: some thousand connections at once.
const LARGEST: u64 = 1024 * 1024;

/// What is answered once per connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum What {
    Password,
    Code,
}

impl What {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Password => "the password",
            Self::Code => "a code",
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Used {
    /// The first counter or step that is not used up, by [`identity`].
    next: BTreeMap<String, MovingFactor>,
    answered: Vec<Answered>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Answered {
    client: Client,
    login: String,
    what: What,
}

/// The file, locked.
#[derive(Debug)]
pub(super) struct Memory {
    directory: Directory,
    _lock: File,
    used: Used,
}

/// A name for a secret, so that two logins with one device do not use up each other's codes, and a device that
/// was enrolled anew begins anew. Made as a code is, from a moving factor that no device comes to.
pub(super) fn identity(secret: &Secret) -> String {
    let generator = Generator::new(secret, Algorithm::Sha512, Digits::EIGHT);
    let parts = [u64::MAX, u64::MAX - 1].map(|factor| generator.code(factor).expose());
    parts.map(|part| part.as_str().to_owned()).concat()
}

impl Memory {
    /// Opens and locks it; makes it at first.
    pub(super) fn open(path: &Path) -> Result<Self, CliError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder
            .create(path)
            .map_err(|error| fail(path, "make", &error))?;
        let directory = Directory::open(path).map_err(|error| {
            CliError::no(format!(
                "{}: {}; it has to be a directory of your own with mode 0700",
                path.display(),
                error.problem
            ))
        })?;
        let lock_file = private(false)
            .open(directory.join(LOCK))
            .map_err(|error| fail(&directory.join(LOCK), "open", &error))?;
        lock::exclusive(&lock_file, Instant::now() + lock::DEADLINE).map_err(|error| {
            CliError::no(format!(
                "{}: cannot be locked ({error:?}); look for a stopped otpgate-askpass",
                directory.join(LOCK).display()
            ))
        })?;
        let used = read(&directory)?;
        Ok(Self {
            directory,
            _lock: lock_file,
            used,
        })
    }

    /// Notes that this connection gets this answer; false when it had it already.
    pub(super) fn note(&mut self, client: &Client, login: &str, what: What) -> bool {
        let now = Answered {
            client: client.clone(),
            login: login.to_owned(),
            what,
        };
        let answered = &mut self.used.answered;
        answered.retain(|answered| answered.client.lives());
        if answered.contains(&now) {
            return false;
        }
        answered.push(now);
        true
    }

    /// The first counter or step of this device that is not used up.
    pub(super) fn next(&self, device: &str) -> MovingFactor {
        self.used.next.get(device).copied().unwrap_or_default()
    }

    /// Uses up this one and all before it.
    pub(super) fn use_up(&mut self, device: &str, moving_factor: MovingFactor) {
        let next = moving_factor.saturating_add(1);
        self.used.next.insert(device.to_owned(), next);
    }

    /// Makes it durable, and lets the next one in.
    pub(super) fn save(self) -> Result<(), CliError> {
        let (new, file) = (self.directory.join(NEW), self.directory.join(FILE));
        let save = || -> io::Result<()> {
            let mut out = private(true).open(&new)?;
            serde_json::to_writer(&mut out, &self.used)?;
            out.flush()?;
            out.sync_all()?;
            fs::rename(&new, &file)?;
            File::open(self.directory.join("."))?.sync_all()
        };
        save().map_err(|error| fail(&file, "write", &error))
    }
}

fn read(directory: &Directory) -> Result<Used, CliError> {
    let path = directory.join(FILE);
    let bytes = directory
        .read(FILE, LARGEST)
        .map_err(|error| CliError::no(format!("{}: {}", path.display(), error.problem)))?;
    match bytes {
        None => Ok(Used::default()),
        Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
            CliError::no(format!(
                "{}: is damaged ({error}). Which codes are used up is not known: raise `counter` of hotp logins \
                 above the last one, wait a minute, and remove the file",
                path.display()
            ))
        }),
    }
}

fn private(truncate: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    options
        .write(true)
        .create(true)
        .truncate(truncate)
        .mode(0o600)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default());
    options
}

fn fail(path: &Path, action: &str, error: &io::Error) -> CliError {
    CliError::no(format!("{}: cannot {action}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::from_base32(text).unwrap()
    }

    #[test]
    fn a_connection_gets_each_answer_once() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("deep/state");
        let client = Client::of_this_process().unwrap();
        for (login, what, first) in [
            ("a@b", What::Password, true),
            ("a@b", What::Code, true),
            ("a@b", What::Code, false),
            ("a@c", What::Code, true),
            ("a@b", What::Password, false),
        ] {
            let mut memory = Memory::open(&path).unwrap();
            assert_eq!(memory.note(&client, login, what), first, "{login} {what:?}");
            memory.save().unwrap();
        }
    }

    #[test]
    fn what_is_used_up_stays_so() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("state");
        let device = identity(&secret("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"));
        let other = identity(&secret("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJR"));
        assert_ne!(device, other);
        let mut memory = Memory::open(&path).unwrap();
        assert_eq!(memory.next(&device), 0);
        memory.use_up(&device, 41);
        memory.save().unwrap();
        let memory = Memory::open(&path).unwrap();
        assert_eq!((memory.next(&device), memory.next(&other)), (42, 0));
    }

    #[test]
    fn a_damaged_or_foreign_memory_is_no_fresh_start() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("state");
        Memory::open(&path).unwrap().save().unwrap();
        fs::write(path.join(FILE), "{").unwrap();
        let error = Memory::open(&path).unwrap_err().to_string();
        assert!(error.contains("is damaged"), "{error}");
        fs::remove_file(path.join(FILE)).unwrap();
        std::os::unix::fs::symlink("/dev/null", path.join(FILE)).unwrap();
        assert!(Memory::open(&path).is_err());
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let error = Memory::open(&path).unwrap_err().to_string();
        assert!(error.contains("mode 0700"), "{error}");
    }
}
