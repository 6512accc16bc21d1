//! Whose file is where, and reading it without trusting the home it lies in.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::User;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::error::CliError;
use otp_core::store::google_authenticator::text::LARGEST;

const PLACEHOLDERS: [&str; 3] = ["~", "${HOME}", "${USER}"];

/// A user as the name service has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands) struct Person {
    pub name: String,
    pub uid: u32,
    pub home: String,
}

/// The user of this name; `None` when nobody knows them.
pub(super) fn person(name: &str) -> Result<Option<Person>, CliError> {
    let user = User::from_name(name);
    let user = user.map_err(|error| CliError::new(format!("{name}: the name service: {error}")))?;
    Ok(user.map(|user| Person {
        name: user.name,
        uid: user.uid.as_raw(),
        home: user.dir.to_string_lossy().into_owned(),
    }))
}

/// Everybody whom the name service lists. `getent` asks every service that is configured, as a login does.
pub(in crate::commands) fn everybody() -> Result<Vec<Person>, CliError> {
    let fail = |error| CliError::new(format!("getent passwd: {error}"));
    let output = Command::new("getent").arg("passwd").output();
    let output = output.map_err(|error| fail(error.to_string()))?;
    if !output.status.success() {
        return Err(fail(output.status.to_string()));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().filter_map(passwd_line).collect())
}

fn passwd_line(line: &str) -> Option<Person> {
    let mut fields = line.split(':');
    let mut field = || fields.next();
    let (name, _, uid, _, _, home) = (field()?, field()?, field()?, field()?, field()?, field()?);
    Some(Person {
        name: name.to_owned(),
        uid: uid.parse().ok()?,
        home: home.to_owned(),
    })
}

/// Whether the path names a file for each user.
pub(super) fn is_for_each(template: &str) -> bool {
    PLACEHOLDERS
        .iter()
        .any(|placeholder| template.contains(placeholder))
}

/// Whether the file lies where the user may do as they like.
pub(super) fn is_at_home(template: &str) -> bool {
    template.contains('~') || template.contains("${HOME}")
}

/// The path for this user, as `secret=` expands it.
pub(super) fn path_for(
    template: &str,
    name: &str,
    person: Option<&Person>,
) -> Result<PathBuf, String> {
    let home = person.map_or("", |person| &person.home);
    if name.is_empty() || name == "." || name == ".." || name.contains('/') {
        return Err("the user name is no plain file name".into());
    }
    let template = match template.strip_prefix('~') {
        Some(rest) => format!("{home}{rest}"),
        None => template.replace("/~", home),
    };
    let path = template.replace("${HOME}", home).replace("${USER}", name);
    if path.starts_with('/') {
        Ok(PathBuf::from(path))
    } else {
        Err(format!("{path} is no absolute path"))
    }
}

/// Reads the file of this user; `None` when there is none. A user can put anything in its place, and make
/// it change: it is opened once, without following or waiting, and then looked at.
///
/// # Errors
/// The reason, in words, beginning with the verb.
pub(super) fn read(
    path: &Path,
    template: &str,
    person: Option<&Person>,
) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let fd = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(Errno::LOOP) => return Err("is a symbolic link".into()),
        Err(Errno::ACCESS) => {
            return Err(
                "may not be read, as on a file server that does not trust root; \
                        copy it here, and import it with --from"
                    .into(),
            );
        }
        Err(error) => return Err(format!("cannot be opened: {error}")),
    };
    let failed = |error: Errno| format!("cannot be read: {error}");
    let stat = rustix::fs::fstat(&fd).map_err(failed)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink != 1 {
        return Err("is no regular file with one name".into());
    }
    let by_owner = person.is_some_and(|person| person.uid == stat.st_uid);
    // Outside the home, `user=root` in pam.d keeps the files.
    if !by_owner && (is_at_home(template) || stat.st_uid != 0) {
        return Err(format!(
            "belongs to the uid {}, not to the user",
            stat.st_uid
        ));
    }
    let mode = Mode::from_raw_mode(stat.st_mode).as_raw_mode();
    if mode & 0o077 != 0 {
        return Err(format!(
            "has the mode {mode:04o}, so others may know the secret; when you are sure that they do not: chmod 600"
        ));
    }
    if u64::try_from(stat.st_size).unwrap_or(u64::MAX) > LARGEST {
        return Err(format!("has more than {LARGEST} bytes"));
    }
    let mut bytes = Zeroizing::new(vec![0; usize::try_from(LARGEST + 1).unwrap_or_default()]);
    let mut length = 0;
    while let Some(room) = bytes.get_mut(length..).filter(|room| !room.is_empty()) {
        match rustix::io::read(&fd, room) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    bytes.truncate(length);
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> Person {
        passwd_line("alice:x:1000:1000:Alice,,,:/home/alice:/bin/sh").unwrap()
    }

    #[test]
    fn paths_are_expanded_as_behind_secret() {
        for (template, expected) in [
            (
                "~/.google_authenticator",
                "/home/alice/.google_authenticator",
            ),
            ("${HOME}/ga", "/home/alice/ga"),
            ("/var/lib/ga/${USER}", "/var/lib/ga/alice"),
            ("/var/lib/one", "/var/lib/one"),
        ] {
            let path = path_for(template, "alice", Some(&alice()));
            assert_eq!(path, Ok(PathBuf::from(expected)));
        }
    }

    #[test]
    fn no_name_walks_out_of_the_directory() {
        for name in ["", ".", "..", "../root", "a/b"] {
            assert!(
                path_for("/var/lib/ga/${USER}", name, None).is_err(),
                "{name}"
            );
        }
        let relative = path_for("ga/${USER}", "alice", Some(&alice()));
        assert!(relative.is_err());
    }
}
