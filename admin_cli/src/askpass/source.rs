//! Where a password, a secret or a ready code comes from.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use linux_keyutils::{Key, KeyError, KeyRing, KeyRingIdentifier};
use otp_core::secret::Secret;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::config::Config;
use super::private_file;
use crate::error::CliError;

/// Longest answer, in bytes: the module takes no longer one either.
const LONGEST: usize = 512;
/// How long a command may take. sshd gives a login two minutes in all.
const PATIENCE: Duration = Duration::from_secs(30);

/// A place that an answer is read from when it is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The first line of a file; a relative name begins where the configuration is.
    File(PathBuf),
    /// The first line that a program prints. No shell: program and arguments.
    Command(Vec<String>),
    /// A key of type `user` with this description, in the session's or the user's keyring of the kernel.
    Keyring(String),
}

impl Source {
    /// Reads the answer: one line, not empty, without control characters.
    pub(super) fn read(&self, config: &Config) -> Result<Zeroizing<String>, CliError> {
        let bytes = match self {
            Self::File(path) => private_file::read(&config.beside(path), LONGEST as u64)?,
            Self::Command(words) => output_of(words)?,
            Self::Keyring(description) => key(description)?,
        };
        let text = std::str::from_utf8(&bytes).ok();
        let line = text
            .and_then(|text| text.lines().next())
            .unwrap_or_default();
        if line.is_empty() || line.chars().any(char::is_control) {
            return Err(CliError::no(format!(
                "{}: its first line is no answer (empty, not UTF-8, or with control characters)",
                self.name(config)
            )));
        }
        Ok(Zeroizing::new(line.to_owned()))
    }

    /// For messages: the place, never what is there.
    fn name(&self, config: &Config) -> String {
        match self {
            Self::File(path) => config.beside(path).display().to_string(),
            Self::Command(words) => words.first().cloned().unwrap_or_default(),
            Self::Keyring(description) => format!("key {description}"),
        }
    }
}

/// A secret in base32, or `hex:` and hexadecimal, as `--secret-from` takes it.
pub(super) fn secret(source: &Source, config: &Config) -> Result<Secret, CliError> {
    let text = source.read(config)?;
    let secret = match text.trim().strip_prefix("hex:") {
        Some(hex) => Secret::from_hex(hex),
        None => Secret::from_base32(text.trim()),
    };
    secret.map_err(|error| CliError::no(format!("{}: {error}", source.name(config))))
}

/// What a program prints, up to [`LONGEST`] bytes.
fn output_of(words: &[String]) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(CliError::no("command: names no program"));
    };
    let fail = |what: String| CliError::no(format!("{program}: {what}"));
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| fail(format!("cannot start: {error}")))?;
    let read = read_with_patience(&mut child);
    if read.is_err() {
        // Already ended is as good.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| fail(error.to_string()))?;
    let output = read.map_err(|error| fail(error.to_string()))?;
    if status.success() {
        Ok(output)
    } else {
        Err(fail(format!("ended with {status}")))
    }
}

fn read_with_patience(child: &mut Child) -> io::Result<Zeroizing<Vec<u8>>> {
    let end = Instant::now() + PATIENCE;
    let mut bytes = Zeroizing::new(vec![0; LONGEST + 1]);
    let mut length = 0;
    let pipe = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    while let Some(room) = bytes.get_mut(length..).filter(|room| !room.is_empty()) {
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        if poll(&mut [PollFd::new(&pipe, PollFlags::IN)], Some(&left))? == 0 {
            return Err(io::Error::other("took longer than 30 s"));
        }
        match rustix::io::read(&pipe, room)? {
            0 => {
                bytes.truncate(length);
                return Ok(bytes);
            }
            count => length += count,
        }
    }
    Err(io::Error::other("printed more than 512 bytes"))
}

fn key(description: &str) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let fail = |error: KeyError| {
        CliError::no(format!(
            "keyring: no key \"{description}\" that can be read ({error:?}); put it there with `keyctl padd user {description} @u`"
        ))
    };
    let key = search(KeyRingIdentifier::Session, description)
        .or_else(|_| search(KeyRingIdentifier::User, description))
        .map_err(fail)?;
    let mut bytes = Zeroizing::new(vec![0; LONGEST]);
    // What is longer is cut, and does not come out as text of the right length.
    let length = key.read(&mut *bytes).map_err(fail)?;
    if length > LONGEST {
        return Err(CliError::no(format!(
            "key {description}: more than {LONGEST} bytes"
        )));
    }
    bytes.truncate(length);
    Ok(bytes)
}

fn search(keyring: KeyRingIdentifier, description: &str) -> Result<Key, KeyError> {
    KeyRing::from_special_id(keyring, false)?.search(description)
}

/// The path, seen from a directory.
pub(super) fn beside(directory: &Path, home: Option<&Path>, path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => directory.join(path),
    }
}
