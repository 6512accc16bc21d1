//! Who changed what: one line in syslog, AUTHPRIV, for every administrative change, beside the lines of the
//! logins. An interface like those: `examples/README.md` lists it. No secret and no code is in it.

use std::env;
use std::fmt::Write as _;
use std::fs;

use nix::unistd::{Uid, User};
use otp_core::user_name::UserName;
use pam_ffi::{Priority, nss, syslog};

use crate::cli::{Command, Deliver, Import, Seal};
use crate::error::{CliError, OK};

/// Of an import each user has a line, up to so many: syslog drops floods, other lines with them.
const MOST_IMPORTED: u64 = 1_000;
/// What the kernel says of a process that nobody's login started.
const NO_LOGIN: u32 = u32::MAX;

/// A change that a command makes.
#[derive(Debug)]
pub struct Change<'a> {
    name: &'static str,
    user: Option<&'a str>,
    device: Option<&'a str>,
    service: Option<&'a str>,
    force: bool,
}

impl<'a> Change<'a> {
    /// What this command changes; `None` when it only looks. Handing out keys counts.
    #[must_use]
    pub fn of(command: &'a Command) -> Option<Self> {
        let plain = Self {
            name: "",
            user: None,
            device: None,
            service: None,
            force: false,
        };
        let of_user = |name, user: &'a str, device: Option<&'a str>| Self {
            name,
            user: Some(user),
            device,
            ..plain
        };
        let named = |name| Self { name, ..plain };
        Some(match command {
            Command::Init => named("init"),
            Command::Setup(setup) if !setup.dry_run => Self {
                name: if setup.undo { "setup_undo" } else { "setup" },
                service: Some(&setup.service),
                ..plain
            },
            Command::Enroll(enroll) => Self {
                force: enroll.force,
                ..of_user("enroll", &enroll.user, Some(enroll.device()))
            },
            Command::Import(source) if !dry_run(source) => named("import"),
            Command::Remove(remove) => Self {
                force: remove.force,
                ..of_user("remove", &remove.user, remove.device.as_deref())
            },
            Command::Disable(who) => of_user("disable", &who.user, who.device.as_deref()),
            Command::Enable(who) => of_user("enable", &who.user, who.device.as_deref()),
            Command::Resync(who) => of_user("resync", &who.user, who.device.as_deref()),
            Command::Seal(Seal::Init { .. }) => named("seal_init"),
            Command::Seal(Seal::Rotate) => named("seal_rotate"),
            Command::Seal(Seal::Off) => named("seal_off"),
            Command::Export(who) => of_user("export", &who.user, None),
            Command::Invite(who) => of_user("invite", &who.user, None),
            // It lets nobody in by itself, but whoever reads the message.
            Command::Deliver(Deliver {
                user: Some(user),
                device,
                ..
            }) => of_user("deliver", user, device.as_deref()),
            Command::Recovery(who) => of_user("recovery", &who.user, None),
            Command::Unlock(who) => of_user("unlock", &who.user, None),
            Command::Repair(who) => of_user("repair", &who.user, None),
            Command::Setup(_)
            | Command::Import(_)
            | Command::Seal(Seal::Status)
            | Command::List(_)
            | Command::Show(_)
            | Command::Code(_)
            | Command::Verify(_)
            | Command::TestLogin(_)
            | Command::Check(_)
            | Command::Askpass(_)
            | Command::Deliver(_)
            | Command::Completions { .. }
            | Command::Man { .. } => return None,
        })
    }

    /// Writes the line.
    pub fn record(&self, result: &Result<u8, CliError>) {
        let mut line = format!("otpgate: change={}", self.name);
        // Writing to a String cannot fail.
        if let Some(user) = self.user {
            let _ = write!(line, " user={}", shown(user, result.is_err()));
        }
        for (key, value) in [("device", self.device), ("service", self.service)] {
            if let Some(value) = value {
                let _ = write!(line, " {key}={}", word(value));
            }
        }
        if self.force {
            line.push_str(" force=yes");
        }
        let result = match result {
            Ok(OK) => "done",
            Ok(_) => "incomplete",
            Err(_) => "error",
        };
        let _ = write!(line, " result={result}");
        write_line(&line);
    }
}

/// The line of one user whom an import enrolled; `count` are so far, this one included.
pub fn imported(user: &UserName, result: &str, count: u64) {
    if count <= MOST_IMPORTED {
        let user = user.file_name();
        write_line(&format!(
            "otpgate: change=import user={user} result={result}"
        ));
    }
}

fn dry_run(source: &Import) -> bool {
    match source {
        Import::Google(import) => import.how.dry_run,
        Import::Oath(import) => import.how.dry_run,
        Import::Otpauth(import) => import.how.dry_run,
    }
}

/// As the other lines name users. A name that led nowhere and that nobody has may be anything, a password too.
fn shown(user: &str, failed: bool) -> String {
    if failed && !matches!(nss::user_exists(user.as_bytes()), Ok(true)) {
        return "unknown".to_owned();
    }
    UserName::new(user.as_bytes()).file_name().to_owned()
}

fn write_line(change: &str) {
    // Without a syslog there is nobody to tell, and the change is made.
    syslog::open(c"otpgate");
    syslog::write(Priority::Notice, &format!("{change} {}", who()));
}

/// Who typed it: the login that all this began with, as the kernel remembers it through su and sudo; then
/// whom sudo names, then whose process it is.
fn who() -> String {
    let uid = Uid::current();
    let login = fs::read_to_string("/proc/self/loginuid");
    let login = login.ok().and_then(|text| text.trim().parse().ok());
    let login = login.filter(|login| *login != NO_LOGIN);
    let sudo = env::var("SUDO_USER").ok().filter(|name| !name.is_empty());
    let name = |uid: Uid| {
        let known = User::from_uid(uid).ok().flatten();
        known.map_or_else(|| uid.to_string(), |user| user.name)
    };
    let by = login.map(|login| name(Uid::from_raw(login)));
    let by = by.or_else(|| sudo.clone()).unwrap_or_else(|| name(uid));
    let mut text = format!("by={} uid={uid}", word(&by));
    // Writing to a String cannot fail.
    if let Some(login) = login {
        let _ = write!(text, " loginuid={login}");
    }
    if let Some(sudo) = sudo {
        let _ = write!(text, " sudo_user={}", word(&sudo));
    }
    text
}

/// A value without spaces or quotes, whatever it was.
fn word(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_graphic() && !"\"=\\".contains(letter);
    text.replace(|letter| !plain(letter), "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_can_pass_for_another_key() {
        assert_eq!(word("a b"), "a_b");
        assert_eq!(word("x user=root\n"), "x_user_root_");
        assert_eq!(shown("no such user=x", true), "unknown");
        assert_eq!(shown("carol new", false), "carol%20new");
    }
}
