//! Holds each candidate against the store, and enrols those who are new in batches.

use std::collections::HashSet;
use std::path::PathBuf;

use otp_core::account::{Account, MAX_RECOVERY_CODES, MAX_TOKENS};
use otp_core::scratch::ScratchCodes;
use otp_core::secret::STRONG_BYTES;
use otp_core::state::State;
use otp_core::store::bulk::Enrolment;
use otp_core::store::google_authenticator::lock::{Held, Locks};
use otp_core::store::{FilesStore, Record as _, Store as _};
use otp_core::user_name::UserName;

use super::candidate::{self, Candidate, Device};
use super::report::{Outcome, Report, UserLine};
use crate::cli::HowToImport;
use crate::error::CliError;

/// Users who wait for the disk together. Other administrators wait as long as a batch takes, and give up
/// after 5 s.
const BATCH: usize = 4_000;
/// The same where logins go on by files that are taken over: each of these waits as long as a batch takes.
const BATCH_IN_USE: usize = 250;

/// A file by which its user may be logging in at this moment. Between reading it and being enrolled a code of
/// it may be used, and would be fresh in the store.
pub(super) struct InUse<'a> {
    /// Where it is: this is locked.
    pub path: PathBuf,
    /// Reads it again; `None` when it is as it was.
    pub again: Box<dyn Fn() -> Result<Option<Candidate>, String> + 'a>,
}

/// Somebody who waits for the others of a batch.
struct Waiting<'a> {
    enrolment: Enrolment,
    line: UserLine,
    in_use: Option<InUse<'a>>,
}

/// Enrols candidates. A run that was cut short continues where it was: whoever is enrolled with the same
/// keys is passed over.
pub(super) struct Importer<'a> {
    store: &'a FilesStore,
    how: &'a HowToImport,
    pub report: Report<'a>,
    batch: Vec<Waiting<'a>>,
    names: HashSet<UserName>,
}

impl<'a> Importer<'a> {
    pub fn new(store: &'a FilesStore, how: &'a HowToImport, report: Report<'a>) -> Self {
        Self {
            store,
            how,
            report,
            batch: Vec::new(),
            names: HashSet::new(),
        }
    }

    /// Takes one user. What stands in their way is reported; an error ends the import.
    pub fn take(&mut self, candidate: Candidate) -> Result<(), CliError> {
        self.take_in_use(candidate, None)
    }

    /// The same of a file that may be in use.
    pub fn take_in_use(
        &mut self,
        candidate: Candidate,
        in_use: Option<InUse<'a>>,
    ) -> Result<(), CliError> {
        if self.names.contains(&candidate.user) {
            self.flush()?;
        }
        if let Err(why) = acceptable(&candidate, self.how) {
            return self.report.refused(&candidate.user, &candidate.place, &why);
        }
        match self.store.is_enrolled(&candidate.user) {
            Ok(false) => self.enrol(candidate, in_use),
            Ok(true) => self.meet(candidate),
            Err(error) => {
                let why = error.to_string();
                self.report.refused(&candidate.user, &candidate.place, &why)
            }
        }
    }

    /// Somebody who has no account.
    fn enrol(&mut self, candidate: Candidate, in_use: Option<InUse<'a>>) -> Result<(), CliError> {
        let line = UserLine::of(&candidate);
        if self.how.dry_run {
            return self.report.user(&line, Outcome::Imported);
        }
        self.names.insert(candidate.user.clone());
        let most = if in_use.is_some() {
            BATCH_IN_USE
        } else {
            BATCH
        };
        self.batch.push(Waiting {
            enrolment: candidate.into_enrolment()?,
            line,
            in_use,
        });
        if self.batch.len() >= most {
            self.flush()?;
        }
        Ok(())
    }

    /// Somebody who has an account: of an earlier run, or another one.
    fn meet(&mut self, candidate: Candidate) -> Result<(), CliError> {
        let record = match self.store.lock_enrolled(&candidate.user) {
            Ok(record) => record,
            Err(error) => {
                let why = error.to_string();
                return self.report.refused(&candidate.user, &candidate.place, &why);
            }
        };
        let has = |device: &Device| {
            let mut tokens = record.account().tokens.iter();
            tokens.any(|token| device.same_key(token))
        };
        let same = candidate.devices.iter().all(has);
        if self.how.force {
            drop(record);
            return self.replace(candidate);
        }
        if !same {
            let why = "is enrolled with another key already; --force replaces it";
            return self.report.refused(&candidate.user, &candidate.place, why);
        }
        if record.state().pending && !self.how.dry_run {
            // The run that enrolled them was cut short before it could say so.
            let state = State {
                pending: false,
                ..record.state().clone()
            };
            record.commit(&state)?;
        }
        self.report
            .user(&UserLine::of(&candidate), Outcome::Already)
    }

    fn replace(&mut self, candidate: Candidate) -> Result<(), CliError> {
        let line = UserLine::of(&candidate);
        if !self.how.dry_run {
            let user = candidate.user.clone();
            let change =
                |account: &mut Account, state: &mut State| replace(account, state, candidate);
            if let Err(error) = self.store.administer()?.update(&user, change) {
                return self.report.refused(&user, "", &error.to_string());
            }
        }
        self.report.user(&line, Outcome::Replaced)
    }

    /// Enrols whoever waits, at the end.
    pub fn close(&mut self) -> Result<(), CliError> {
        self.flush()?;
        if !self.how.dry_run {
            self.store.administer()?.sync_all()?;
        }
        Ok(())
    }

    /// Enrols whoever waits.
    fn flush(&mut self) -> Result<(), CliError> {
        self.names.clear();
        if self.batch.is_empty() {
            return Ok(());
        }
        let administration = self.store.administer()?;
        let locks = Locks::open(self.store.path())?;
        let mut held = Vec::new();
        let (mut enrolments, mut lines) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        for waiting in self.batch.drain(..) {
            let user = waiting.enrolment.user.clone();
            let fresh = if matches!(self.store.is_enrolled(&user), Ok(false)) {
                freshen(waiting, &locks, &mut held, self.how)
            } else {
                Err("was enrolled meanwhile; run the import again".into())
            };
            match fresh {
                Ok((enrolment, line)) => {
                    enrolments.push(enrolment);
                    lines.push(line);
                }
                Err(why) => self.report.refused(&user, "", &why)?,
            }
        }
        administration.create_all(enrolments)?;
        drop(held);
        drop(administration);
        for line in &lines {
            self.report.user(line, Outcome::Imported)?;
        }
        Ok(())
    }
}

/// Locks a file that may be in use, and takes over what has changed in it since it was read.
fn freshen<'a>(
    waiting: Waiting<'_>,
    locks: &'a Locks,
    held: &mut Vec<Held<'a>>,
    how: &HowToImport,
) -> Result<(Enrolment, UserLine), String> {
    let Waiting {
        enrolment,
        line,
        in_use,
    } = waiting;
    let Some(InUse { path, again }) = in_use else {
        return Ok((enrolment, line));
    };
    held.extend(locks.hold(&path).map_err(|error| error.to_string())?);
    let Some(candidate) = again()? else {
        return Ok((enrolment, line));
    };
    acceptable(&candidate, how)?;
    let line = UserLine::of(&candidate);
    let enrolment = candidate
        .into_enrolment()
        .map_err(|error| error.to_string())?;
    Ok((enrolment, line))
}

/// What no store takes.
fn acceptable(candidate: &Candidate, how: &HowToImport) -> Result<(), String> {
    let user = &candidate.user;
    if UserName::from_file_name(user.file_name()).as_ref() != Some(user) {
        return Err("the user name is empty, or too long for any system".into());
    }
    if candidate.devices.is_empty() {
        return Err("there is no key".into());
    }
    if candidate.devices.len() > MAX_TOKENS {
        return Err(format!(
            "there are more keys than {MAX_TOKENS}, which is the most that a user has"
        ));
    }
    if candidate.scratch.len() > MAX_RECOVERY_CODES {
        return Err(format!(
            "there are {} scratch codes, and a user has {MAX_RECOVERY_CODES} at most",
            candidate.scratch.len()
        ));
    }
    let bits = |device: &Device| device.token.secret.expose().len() * 8;
    let weakest = candidate.devices.iter().map(bits).min().unwrap_or_default();
    if weakest < STRONG_BYTES * 8 && !how.allow_weak {
        return Err(format!(
            "the secret has {weakest} bits, and RFC 4226 asks for at least {}; --allow-weak takes it",
            STRONG_BYTES * 8
        ));
    }
    Ok(())
}

/// Puts the candidate's devices and scratch codes in place of the account's. A key that both have stays the
/// device that it is, with everything that is used up of it on either side.
fn replace(account: &mut Account, state: &mut State, candidate: Candidate) -> Result<(), String> {
    let used = |id| state.used_recovery.contains(&id);
    let scratch = match &account.scratch {
        Some(old) => Some(old.replaced_by(&candidate.scratch, used)),
        None => candidate::scratch(&candidate.scratch).map_err(|error| error.to_string())?,
    };
    let codes = scratch.as_ref().map_or(0, ScratchCodes::count);
    if account.recovery.len() + codes > MAX_RECOVERY_CODES {
        return Err(format!(
            "has {} recovery codes here, and with {codes} scratch codes, used ones included, that is more than \
             {MAX_RECOVERY_CODES}",
            account.recovery.len(),
        ));
    }
    account.scratch = scratch.filter(|codes| codes.count() > 0);
    let mut tokens = Vec::with_capacity(candidate.devices.len());
    for mut device in candidate.devices {
        let known = account.tokens.iter().find(|token| device.same_key(token));
        if let Some(known) = known {
            device.use_up_as(&state.token(known.serial, &known.kind));
            device.state.serial = known.serial;
            device.token.serial = known.serial;
            // What an administrator decided about it stands in no file.
            device.token.enabled = known.enabled;
            device.token.services.clone_from(&known.services);
        }
        state.set_token(device.state);
        tokens.push(device.token);
    }
    account.tokens = tokens;
    Ok(())
}
