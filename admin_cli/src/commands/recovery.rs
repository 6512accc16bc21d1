//! `otpgate recovery USER`: a new set of recovery codes.

use otp_core::recovery::RecoveryCode;

use super::enroll::{hash_all, new_recovery_codes, recovery_text};
use super::{Context, user_name};
use crate::cli::User;
use crate::error::{CliError, OK};

pub(super) fn run(context: &Context<'_>, arguments: &User) -> Result<u8, CliError> {
    let store = context.store()?;
    let codes = new_recovery_codes()?;
    let stored = hash_all(&codes)?;
    store
        .administer()?
        .update(&user_name(&arguments.user), |account, _| {
            account.recovery = stored;
            account.scratch = None;
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
