//! Holds each candidate against the store, and enrols those who are new in batches.

use std::collections::HashSet;

use otp_core::account::{Account, MAX_RECOVERY_CODES, MAX_TOKENS};
use otp_core::secret::STRONG_BYTES;
use otp_core::state::State;
use otp_core::store::bulk::Enrolment;
use otp_core::store::{FilesStore, Record as _, Store as _};
use otp_core::user_name::UserName;

use super::candidate::{self, Candidate, Device};
use super::report::{Outcome, Report, UserLine};
use crate::cli::HowToImport;
use crate::error::CliError;

/// Users who wait for the disk together. Other administrators wait as long as a batch takes, and give up
/// after 5 s.
const BATCH: usize = 2_000;

/// Enrols candidates. A run that was cut short continues where it was: whoever is enrolled with the same
/// keys is passed over.
pub(super) struct Importer<'a> {
    store: &'a FilesStore,
    how: &'a HowToImport,
    pub report: Report<'a>,
    batch: Vec<(Enrolment, UserLine)>,
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
        if self.names.contains(&candidate.user) {
            self.flush()?;
        }
        if let Err(why) = acceptable(&candidate, self.how) {
            return self.report.refused(&candidate.user, &candidate.place, &why);
        }
        match self.store.is_enrolled(&candidate.user) {
            Ok(false) => self.enrol(candidate),
            Ok(true) => self.meet(candidate),
            Err(error) => {
                let why = error.to_string();
                self.report.refused(&candidate.user, &candidate.place, &why)
            }
        }
    }

    /// Somebody who has no account.
    fn enrol(&mut self, candidate: Candidate) -> Result<(), CliError> {
        let line = UserLine::of(&candidate);
        if self.how.dry_run {
            return self.report.user(&line, Outcome::Imported);
        }
        self.names.insert(candidate.user.clone());
        self.batch.push((candidate.into_enrolment()?, line));
        if self.batch.len() >= BATCH {
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

    /// Enrols whoever waits.
    pub fn flush(&mut self) -> Result<(), CliError> {
        self.names.clear();
        if self.batch.is_empty() {
            return Ok(());
        }
        let administration = self.store.administer()?;
        let (mut enrolments, mut lines) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        for (enrolment, line) in self.batch.drain(..) {
            if matches!(self.store.is_enrolled(&enrolment.user), Ok(false)) {
                enrolments.push(enrolment);
                lines.push(line);
            } else {
                let why = "was enrolled meanwhile; run the import again";
                self.report.refused(&enrolment.user, "", why)?;
            }
        }
        administration.create_all(enrolments)?;
        drop(administration);
        for line in &lines {
            self.report.user(line, Outcome::Imported)?;
        }
        Ok(())
    }
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
    let unused = |code: &otp_core::hotp::Code| {
        let known = account.scratch.as_ref().and_then(|codes| codes.find(code));
        known.is_none_or(|id| !state.used_recovery.contains(&id))
    };
    let codes: Vec<_> = candidate.scratch.into_iter().filter(unused).collect();
    if account.recovery.len() + codes.len() > MAX_RECOVERY_CODES {
        return Err(format!(
            "has {} recovery codes here, and with {} scratch codes that is more than {MAX_RECOVERY_CODES}",
            account.recovery.len(),
            codes.len()
        ));
    }
    account.scratch = candidate::scratch(&codes).map_err(|error| error.to_string())?;
    let mut tokens = Vec::with_capacity(candidate.devices.len());
    for mut device in candidate.devices {
        let known = account.tokens.iter().find(|token| device.same_key(token));
        if let Some(known) = known {
            device.use_up_as(&state.token(known.serial, known.kind));
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
