//! Options that only pam_google_authenticator.so has. With one of them on the line, users' own files are
//! what counts, and nothing else.

use super::OptionError;

/// What the line says of users' own files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileOptions {
    /// `secret=PATH`, with `~`, `${HOME}` and `${USER}`.
    pub secret: Option<String>,
    /// `user=NAME`: whose identity and ownership the files have.
    pub user: Option<FileUser>,
    /// `no_strict_owner`: the owner need not be the user.
    pub no_strict_owner: bool,
    /// `allowed_perm=MODE`.
    pub allowed_perm: Option<u32>,
    /// `allow_readonly`: what cannot be recorded because the file system takes nothing lets in all the same.
    pub allow_readonly: bool,
    /// `noskewadj`: always so; skew is never learned from codes.
    pub noskewadj: bool,
    /// `no_increment_hotp`: always so; a wrong code advances no counter.
    pub no_increment_hotp: bool,
}

/// Whom `user=` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileUser {
    /// By name.
    Name(String),
    /// By number.
    Uid(u32),
}

/// The mode bits a file may have, unless the line says otherwise.
pub const DEFAULT_PERM: u32 = 0o600;

impl FileOptions {
    /// Whether the line has any of them.
    #[must_use]
    pub fn any(&self) -> bool {
        *self != Self::default()
    }

    /// Takes one option; `None` when it is none of these.
    pub(super) fn take(
        &mut self,
        name: &str,
        value: Option<&str>,
    ) -> Option<Result<(), OptionError>> {
        match (name, value) {
            ("secret", Some(path)) => {
                return Some(secret(path).map(|path| self.secret = Some(path)));
            }
            ("user", Some(name)) => return Some(user(name).map(|user| self.user = Some(user))),
            ("allowed_perm", Some(mode)) => {
                return Some(allowed_perm(mode).map(|mode| self.allowed_perm = Some(mode)));
            }
            ("no_strict_owner", None) => self.no_strict_owner = true,
            ("allow_readonly", None) => self.allow_readonly = true,
            ("noskewadj", None) => self.noskewadj = true,
            ("no_increment_hotp", None) => self.no_increment_hotp = true,
            _ => return None,
        }
        Some(Ok(()))
    }
}

fn secret(path: &str) -> Result<String, OptionError> {
    let begins = ["/", "~", "${HOME}"]
        .iter()
        .any(|start| path.starts_with(start));
    if begins {
        return Ok(path.to_owned());
    }
    Err(OptionError(
        "secret= takes a path that begins with /, ~ or ${HOME}".into(),
    ))
}

/// A number is a number as a whole: `0abc` would otherwise be root.
fn user(name: &str) -> Result<FileUser, OptionError> {
    let wrong = || OptionError("user= takes a user name or a user id".into());
    if name.starts_with(|first: char| first.is_ascii_digit() || "+-".contains(first)) {
        let uid = name.parse().ok().filter(|uid| *uid != u32::MAX);
        let digits = name.bytes().all(|byte| byte.is_ascii_digit());
        return uid.filter(|_| digits).map(FileUser::Uid).ok_or_else(wrong);
    }
    if name.is_empty() {
        return Err(wrong());
    }
    Ok(FileUser::Name(name.to_owned()))
}

fn allowed_perm(mode: &str) -> Result<u32, OptionError> {
    let octal = u32::from_str_radix(mode, 8).ok();
    let octal = octal.filter(|mode| (1..=0o7777).contains(mode));
    octal.ok_or_else(|| OptionError("allowed_perm= takes an octal mode, such as 0600".into()))
}

#[cfg(test)]
mod tests {
    use super::super::Options;
    use super::*;

    #[test]
    fn users_are_named_or_numbered_as_a_whole() {
        let user = |option: &str| Options::parse([option]).map(|options| options.files.user);
        let name = FileUser::Name("otp".into());
        assert_eq!(user("user=otp").unwrap(), Some(name));
        assert_eq!(user("user=017").unwrap(), Some(FileUser::Uid(17)));
        for wrong in [
            "user=",
            "user=0abc",
            "user=-1",
            "user=+1",
            "user=4294967295",
        ] {
            assert!(user(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn modes_are_octal_and_never_nothing() {
        let mode =
            |option: &str| Options::parse([option]).map(|options| options.files.allowed_perm);
        assert_eq!(mode("allowed_perm=0640").unwrap(), Some(0o640));
        for wrong in [
            "allowed_perm=0",
            "allowed_perm=",
            "allowed_perm=9",
            "allowed_perm=10000",
            "allowed_perm=0600x",
        ] {
            assert!(mode(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_line_with_none_of_them_says_nothing_of_files() {
        let any = |line: &[&str]| Options::parse(line.iter().copied()).unwrap().files.any();
        assert!(!any(&[
            "nullok",
            "forward_pass",
            "grace_period=60",
            "echo_verification_code"
        ]));
        for option in [
            "secret=~/x",
            "user=otp",
            "no_strict_owner",
            "allowed_perm=0600",
            "allow_readonly",
            "noskewadj",
            "no_increment_hotp",
        ] {
            assert!(any(&["nullok", option]), "{option}");
        }
    }
}
