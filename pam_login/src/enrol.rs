//! Enrolment at a login: the password entry.
//!
//! Three entries hand it on, all within one PAM handle. The auth entry lets somebody in to enrol and leaves a
//! [`mark`]; the account entry, seeing it, answers "a new authentication token is needed"; the application
//! then calls the password entry, and only that one enrols. Without the mark, nobody is enrolled by anything:
//! not by `passwd`, not by sudo, not after a login with a key.

mod dialogue;
pub mod mark;

use otp_core::clock::Clock;
use otp_core::config::Config;
use otp_core::enrolment::{Whose, new_device};
use otp_core::recovery::{RecoveryCode, StoredRecoveryCode};
use otp_core::secret::SecretError;
use otp_core::state::TokenState;
use otp_core::store::enrolment::FirstDevice;
use otp_core::store::{FilesStore, Problem, StoreError};
use pam_ffi::{MessageStyle, Priority, flags};

use crate::authenticate::{Failure, Login};
use crate::host::Host;
use crate::log::Subject;
use crate::options::Options;
use crate::outcome::Outcome;
use dialogue::{Dialogue, Stopped};
use mark::Mark;

/// The password entry, which libpam calls twice: to ask whether there is anything to do, and to do it.
pub fn change(host: &mut impl Host, options: &Options, flags: u32, clock: &impl Clock) -> Outcome {
    // Nobody is asked for, and nothing is read, where no mark is: this may be `passwd`.
    if !options.enrol || !Mark::is_there(host) {
        return Outcome::Skipped;
    }
    let login = match Login::read(host) {
        Ok(login) => login,
        Err(failure) => return failure.report(host, None),
    };
    let Some(mark) = Mark::of(host, &login).filter(|mark| mark.asked) else {
        return Outcome::Skipped;
    };
    if flags & flags::PRELIM_CHECK != 0 {
        return Outcome::EnrolmentReady;
    }
    // Whatever becomes of it: one mark, one try.
    Mark::spend(host);
    let subject = login.subject();
    let silent = flags & flags::SILENT != 0;
    match enrol(host, options, &login, mark, silent, clock) {
        Ok(token) => {
            Mark::remove(host);
            subject.enrolled(host, mark, &token);
            Outcome::Enrolled
        }
        Err(NotEnrolled::Stopped(stopped)) => {
            subject.not_enrolled(host, mark, stopped.reason());
            Outcome::NotEnrolled
        }
        Err(NotEnrolled::Failed(failure)) => {
            let _ = failure.report(host, Some(&subject));
            Outcome::NotEnrolled
        }
    }
}

/// Why nobody was enrolled.
enum NotEnrolled {
    /// By the person, or by somebody who was faster.
    Stopped(Stopped),
    /// By something of the host's.
    Failed(Failure),
}

impl From<Stopped> for NotEnrolled {
    fn from(stopped: Stopped) -> Self {
        Self::Stopped(stopped)
    }
}

impl<T: Into<Failure>> From<T> for NotEnrolled {
    fn from(failure: T) -> Self {
        Self::Failed(failure.into())
    }
}

/// The whole story of an enrolment: profile, key, proof, recovery codes, and last of all the disk. So a
/// dialogue that ends anywhere before leaves nothing behind.
fn enrol(
    host: &mut impl Host,
    options: &Options,
    login: &Login,
    mark: Mark,
    silent: bool,
    clock: &impl Clock,
) -> Result<String, NotEnrolled> {
    if silent {
        return Err(Stopped::Silent.into());
    }
    let config = Config::load(options.config.as_deref())?;
    let mut dialogue = Dialogue {
        host,
        config: &config,
        clock,
    };
    let profile = dialogue.choose_profile()?;
    let name = dialogue.host.host_name();
    let whose = Whose {
        user: login.user.file_name(),
        host: &name,
    };
    let random = |_: SecretError| StoreError::new(&config.state_dir, Problem::Random);
    let token = new_device(&config, &profile, whose, clock.now()).map_err(random)?;
    let mut used = TokenState::new(token.serial, &token.kind);
    used.advance_past(dialogue.see_proof(&token)?);
    let codes = RecoveryCode::generate_set().map_err(random)?;
    dialogue.hand_out(&codes)?;
    let id = token.id.clone();
    let device = FirstDevice {
        token,
        used,
        recovery: StoredRecoveryCode::new_set(&codes).map_err(random)?,
        source: login.origin.source(),
        now: clock.now(),
    };
    store(host, &config, login, mark, device)?;
    let text = "Done: you are enrolled. From now on this login asks for a code of your app.";
    // Somebody who cannot be told is still enrolled.
    let _ = host.send(MessageStyle::TextInfo, text);
    Ok(id)
}

/// Under the locks of administration and of the user, for what was there when they were let in.
fn store(
    host: &mut impl Host,
    config: &Config,
    login: &Login,
    mark: Mark,
    device: FirstDevice,
) -> Result<(), NotEnrolled> {
    let store = FilesStore::open(&config.state_dir)?;
    let stored = store.administer()?.enrol(&login.user, mark.before, device);
    let Err(error) = stored else {
        return Ok(());
    };
    let text =
        "Nothing was stored, and the key just shown is worth nothing. Remove it from the app.";
    let _ = host.send(MessageStyle::ErrorMsg, text);
    match error.problem {
        Problem::AlreadyEnrolled | Problem::NotEnrolled | Problem::Refused(_) => {
            Err(Stopped::Overtaken.into())
        }
        _ => Err(error.into()),
    }
}

impl Subject {
    fn enrolled(&self, host: &mut impl Host, mark: Mark, token: &str) {
        let line = format!(
            "{} token={token} kind=totp by={}",
            self.line("enrolled", true),
            mark.way()
        );
        host.log(Priority::Notice, &line);
    }

    fn not_enrolled(&self, host: &mut impl Host, mark: Mark, reason: &str) {
        let line = format!(
            "{} reason={reason} by={}",
            self.line("not_enrolled", true),
            mark.way()
        );
        host.log(Priority::Notice, &line);
    }
}
