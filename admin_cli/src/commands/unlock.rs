//! `otpgate unlock USER`: forgets failures, of an account and at a file of the user's own.

use otp_core::store::{FilesStore, Problem};

use super::{Context, own_file, user_name};
use crate::cli::User;
use crate::error::CliError;

pub(super) fn run(context: &Context<'_>, arguments: &User) -> Result<u8, CliError> {
    let user = &arguments.user;
    let state_dir = context.config()?.state_dir;
    let at_own_file = own_file::unlock(&state_dir, user)?;
    let at_account = unlock_account(&FilesStore::open(&state_dir)?, user)?;
    let forgotten = match (at_account, at_own_file) {
        (Err(not_enrolled), None) => return Err(not_enrolled),
        (Err(_), Some(failures)) => failures,
        (Ok(failures), other) => failures.saturating_add(other.unwrap_or(0)),
    };
    let text = match forgotten {
        0 => format!("{user} was not locked: no failure was on record."),
        1 => format!("1 failure of {user} is forgotten; the next code counts."),
        failures => format!("{failures} failures of {user} are forgotten; the next code counts."),
    };
    context.changed(user, &text)
}

/// The inner error is that the user has no account, who may have a file.
fn unlock_account(store: &FilesStore, user: &str) -> Result<Result<u16, CliError>, CliError> {
    let unlocked = store
        .administer()?
        .update_state(&user_name(user), |_, state| {
            let failures = state.throttle.failures();
            state.throttle.unlock();
            Ok(failures)
        });
    match unlocked {
        Err(error) if matches!(error.problem, Problem::NotEnrolled) => Ok(Err(error.into())),
        result => Ok(Ok(result?)),
    }
}
