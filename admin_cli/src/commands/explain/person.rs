//! What is known of the user: enrolled, with which devices, held up by failures, with a file of their own.

use std::fmt::Write as _;

use otp_core::clock::{Clock as _, SystemClock};
use otp_core::config::{Config, GoogleAuthenticatorFiles};
use otp_core::source::Origin;
use otp_core::store::google_authenticator::location::{self, locate};
use otp_core::store::{FilesStore, Record as _, Store as _};
use otp_core::throttle::Admission;
use otp_core::totp::UnixTime;
use otp_core::user_name::UserName;
use pam_ffi::nss;
use serde_json::{Value, json};

use super::Line;
use crate::commands::{name, user_name};
use crate::error::CliError;

/// The user.
pub(super) struct Person {
    pub(super) enrolment: Option<Enrolment>,
    /// A file in their home that counts here.
    pub(super) own_file: Option<String>,
    /// The name as a word of a shell command.
    pub(super) quoted: String,
    /// Whether the system knows them.
    exists: bool,
}

/// What the store has.
pub(super) struct Enrolment {
    pub(super) enabled: bool,
    devices: Vec<Device>,
    pub(super) recovery_left: usize,
    pub(super) blocked_until: Option<UnixTime>,
    pub(super) locked: bool,
    /// Of somebody who has no device yet.
    pub(super) invite: Option<Invite>,
}

/// What is left of an invite.
#[derive(Clone, Copy)]
pub(super) struct Invite {
    pub(super) expires: UnixTime,
    pub(super) admissions_left: u8,
}

struct Device {
    id: String,
    kind: &'static str,
    enabled: bool,
    serves: bool,
}

impl Person {
    /// Looks where a login would.
    ///
    /// # Errors
    /// When store or name service cannot be asked: then logins are refused too.
    pub(super) fn look_up(
        config: &Config,
        line: &Line,
        user: &str,
        service: &str,
        origin: Origin,
    ) -> Result<Self, CliError> {
        let store = FilesStore::open(&config.state_dir)?;
        let name = user_name(user);
        let fail =
            |error: std::io::Error| CliError::new(format!("{user}: the name service: {error}"));
        let account = nss::account(user.as_bytes()).map_err(fail)?;
        let falls_back = config.google_authenticator_files == GoogleAuthenticatorFiles::Fallback;
        let own_file = account
            .as_ref()
            .filter(|_| falls_back || line.has_own_file_options())
            .and_then(|account| own_file(line, user, account));
        Ok(Self {
            enrolment: Enrolment::read(&store, &name, config, service, origin)?,
            own_file,
            quoted: name::quoted(&name),
            exists: account.is_some(),
        })
    }

    pub(super) fn enrolled(&self) -> bool {
        self.enrolment.is_some()
    }

    pub(super) fn as_json(&self) -> Value {
        json!({
            "exists": self.exists,
            "enrolled": self.enrolled(),
            "own_file": self.own_file,
            "enrolment": self.enrolment.as_ref().map(Enrolment::as_json),
        })
    }

    pub(super) fn as_text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        if !self.exists {
            text.push_str("  system       knows no such user\n");
        }
        match &self.enrolment {
            Some(enrolment) => text.push_str(&enrolment.as_text()),
            None => text.push_str("  enrolled     no\n"),
        }
        if let Some(path) = &self.own_file {
            let _ = writeln!(text, "  own file     {path}");
        }
        text
    }
}

/// A file that is there, whatever is in it. With `user=` on the line the name alone makes the path.
fn own_file(line: &Line, user: &str, account: &nss::Account) -> Option<String> {
    let options = line.options.as_ref().ok();
    let pattern = options.and_then(|options| options.files.secret.as_deref());
    let path = locate(
        pattern.unwrap_or(location::DEFAULT),
        user.as_bytes(),
        Some(&account.home),
    );
    let path = path.ok()?;
    path.symlink_metadata().ok()?;
    Some(path.display().to_string())
}

impl Enrolment {
    fn read(
        store: &FilesStore,
        user: &UserName,
        config: &Config,
        service: &str,
        origin: Origin,
    ) -> Result<Option<Self>, CliError> {
        if !store.is_enrolled(user)? {
            return Ok(None);
        }
        let record = store.lock_enrolled(user)?;
        let (account, state) = (record.account(), record.state());
        let device = |token: &otp_core::account::Token| Device {
            id: token.id.clone(),
            kind: token.kind.name(),
            enabled: token.enabled,
            serves: token.serves(service),
        };
        let limits = &config.parameters.limits;
        let admission = state
            .throttle
            .admit(origin.source(), SystemClock.now(), limits);
        Ok(Some(Self {
            enabled: account.enabled,
            devices: account.tokens.iter().map(device).collect(),
            recovery_left: state.recovery_left(account),
            blocked_until: match admission {
                Admission::Wait(until) => Some(until),
                Admission::Open | Admission::Locked => None,
            },
            locked: admission == Admission::Locked,
            invite: account.invite().map(|invite| Invite {
                expires: invite.expires,
                admissions_left: invite.admissions_left(state.admissions),
            }),
        }))
    }

    /// The devices whose codes count here.
    pub(super) fn serving(&self) -> impl Iterator<Item = &str> {
        let serving = self.devices.iter().filter(|device| device.serves);
        serving.map(|device| device.id.as_str())
    }

    fn as_json(&self) -> Value {
        let device = |device: &Device| {
            json!({
                "id": device.id,
                "kind": device.kind,
                "enabled": device.enabled,
                "serves": device.serves,
            })
        };
        json!({
            "enabled": self.enabled,
            "devices": self.devices.iter().map(device).collect::<Vec<_>>(),
            "recovery_codes_left": self.recovery_left,
            "throttled_until": self.blocked_until.map(|until| until.0),
            "locked": self.locked,
            "invited_until": self.invite.map(|invite| invite.expires.0),
        })
    }

    fn as_text(&self) -> String {
        let mut text = match self.invite {
            Some(_) => String::from("  enrolled     no, but invited\n"),
            None => String::from("  enrolled     yes\n"),
        };
        for device in &self.devices {
            let here = match (device.enabled, device.serves) {
                (false, _) => "disabled",
                (true, true) => "counts here",
                (true, false) => "for other services",
            };
            let _ = writeln!(
                text,
                "  device       {} ({}): {here}",
                device.id, device.kind
            );
        }
        text
    }
}
