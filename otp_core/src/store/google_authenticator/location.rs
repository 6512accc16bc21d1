//! Which file `secret=` names for a user.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// What `secret=` is when it is not given.
pub const DEFAULT: &str = "~/.google_authenticator";

/// Why a user has no file by this pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocationError {
    /// `~` or `${HOME}`, and no home is known, or one that is not an absolute path. `user=` forbids both.
    NoHome,
    /// `${USER}`, and the name is none that a file could have: it would lead out of the directory.
    BadName,
    /// The path is not absolute, or ends with no file name.
    NoFile,
}

impl fmt::Display for LocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoHome => "secret= needs a home directory, which this user does not have (with user= there is none): write an absolute path with ${USER}",
            Self::BadName => "secret= has ${USER}, and this user name cannot be part of a file name",
            Self::NoFile => "secret= leads to no absolute path of a file: begin it with / or ~/",
        })
    }
}

impl std::error::Error for LocationError {}

/// Puts home and user name into the pattern: `~` at the start and behind each `/`, `${HOME}`, `${USER}`.
///
/// # Errors
/// [`LocationError`].
pub fn locate(pattern: &str, user: &[u8], home: Option<&[u8]>) -> Result<PathBuf, LocationError> {
    let home = home.filter(|home| home.starts_with(b"/"));
    let mut path = Vec::new();
    let mut rest = pattern;
    let mut tilde = true;
    while let Some(first) = rest.chars().next() {
        if let Some(behind) = rest
            .strip_prefix("${HOME}")
            .or_else(|| rest.strip_prefix('~').filter(|_| tilde))
        {
            path.extend_from_slice(home.ok_or(LocationError::NoHome)?);
            (rest, tilde) = (behind, false);
        } else if let Some(behind) = rest.strip_prefix("${USER}") {
            path.extend_from_slice(plain(user).ok_or(LocationError::BadName)?);
            (rest, tilde) = (behind, false);
        } else {
            let (this, behind) = rest.split_at(first.len_utf8());
            path.extend_from_slice(this.as_bytes());
            (rest, tilde) = (behind, first == '/');
        }
    }
    let path = PathBuf::from(OsString::from_vec(path));
    let is_file = path.is_absolute() && path.file_name().is_some();
    is_file.then_some(path).ok_or(LocationError::NoFile)
}

/// The directory that is the same for everybody who has a file by this pattern; `None` where it is the home.
#[must_use]
pub fn shared_directory(pattern: &str) -> Option<PathBuf> {
    let placeholders = ["${USER}", "${HOME}", "/~"];
    let first = |text: &str| placeholders.iter().filter_map(|word| text.find(word)).min();
    if pattern.starts_with('~') || pattern.starts_with("${HOME}") {
        return None;
    }
    let fixed = pattern.get(..first(pattern).unwrap_or(pattern.len()))?;
    let (directory, _) = fixed.rsplit_once('/')?;
    Some(PathBuf::from(format!("{directory}/")))
}

/// Whether the pattern names a file for each user name.
#[must_use]
pub fn names_users(pattern: &str) -> bool {
    pattern.contains("${USER}")
}

/// Whether the pattern leads into homes.
#[must_use]
pub fn names_homes(pattern: &str) -> bool {
    pattern.starts_with('~') || pattern.contains("/~") || pattern.contains("${HOME}")
}

/// A name that stays inside the directory it is put into.
fn plain(user: &[u8]) -> Option<&[u8]> {
    let odd = user.is_empty() || [&b"."[..], b".."].contains(&user);
    let odd = odd || user.iter().any(|byte| *byte == b'/' || *byte == 0);
    (!odd).then_some(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_lead_to_files() {
        let alice = |pattern| locate(pattern, b"alice", Some(b"/home/alice"));
        for (pattern, expected) in [
            (DEFAULT, Ok("/home/alice/.google_authenticator")),
            ("${HOME}/x", Ok("/home/alice/x")),
            ("/var/otp/${USER}/x~", Ok("/var/otp/alice/x~")),
            ("/var/~/x", Ok("/var//home/alice/x")),
            ("/var/${USER}~", Ok("/var/alice~")),
            ("/var/$USER", Ok("/var/$USER")),
            ("x/y", Err(LocationError::NoFile)),
            ("/", Err(LocationError::NoFile)),
        ] {
            assert_eq!(alice(pattern), expected.map(PathBuf::from), "{pattern}");
        }
    }

    #[test]
    fn what_is_everybodys_ends_before_the_first_placeholder() {
        for (pattern, expected) in [
            (DEFAULT, None),
            ("${HOME}/x", None),
            ("/var/otp/${USER}/x", Some("/var/otp/")),
            ("/var/otp/x-${USER}", Some("/var/otp/")),
            ("/var/otp/x", Some("/var/otp/")),
            ("/x", Some("/")),
            ("/var/~/x", Some("/")),
        ] {
            let found = shared_directory(pattern);
            assert_eq!(found, expected.map(PathBuf::from), "{pattern}");
        }
    }

    #[test]
    fn names_and_homes_that_lead_elsewhere_are_refused() {
        for name in [&b"../../etc/x"[..], b"..", b".", b"", b"a/b", b"a\0b"] {
            let found = locate("/var/otp/${USER}", name, None);
            assert_eq!(found, Err(LocationError::BadName), "{name:?}");
        }
        for home in [None, Some(&b""[..]), Some(b"relative")] {
            assert_eq!(locate(DEFAULT, b"alice", home), Err(LocationError::NoHome));
        }
    }
}
