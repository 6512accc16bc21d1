//! `otpgate recovery USER`: a new set of recovery codes.

use otp_core::account::{Account, MAX_RECOVERY_CODES};
use otp_core::recovery::{RecoveryCode, StoredRecoveryCode};
use otp_core::state::State;

use super::enroll::recovery_text;
use super::{Context, user_name};
use crate::cli::User;
use crate::error::{CliError, OK};

pub(super) fn run(context: &Context<'_>, arguments: &User) -> Result<u8, CliError> {
    let store = context.store()?;
    let codes = RecoveryCode::generate_set()?;
    let stored = StoredRecoveryCode::new_set(&codes)?;
    store
        .administer()?
        .update(&user_name(&arguments.user), |account, state| {
            if account.invite().is_some() {
                return Err(
                    "is invited and has no device yet; recovery codes come with the enrolment"
                        .into(),
                );
            }
            account.recovery = stored;
            end_scratch_codes(account, state);
            Ok(())
        })?;
    let exposed: Vec<_> = codes.iter().map(RecoveryCode::expose).collect();
    let listed: Vec<&str> = exposed.iter().map(|code| code.as_str()).collect();
    let json = serde_json::json!({ "user": arguments.user, "recovery_codes": listed });
    let text = format!(
        "The old recovery codes of {} no longer work.\n{}",
        arguments.user,
        *recovery_text(&exposed)
    );
    context.print(&json, &text).map_err(|error| {
        CliError::new(format!(
            "the old recovery codes of {} no longer work, and {error}; run it again",
            arguments.user
        ))
    })?;
    Ok(OK)
}

/// Uses all scratch codes up. They stay on record: the file that they came from still lists them, and an
/// import that did not know them would bring them back.
pub(super) fn end_scratch_codes(account: &mut Account, state: &mut State) {
    let Some(scratch) = &mut account.scratch else {
        return;
    };
    scratch.keep_first(MAX_RECOVERY_CODES.saturating_sub(account.recovery.len()));
    for id in scratch.ids() {
        if !state.used_recovery.contains(&id) {
            state.used_recovery.push(id);
        }
    }
}
