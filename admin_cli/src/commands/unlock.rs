//! `otpgate unlock USER`.

use super::{Context, user_name};
use crate::cli::User;
use crate::error::CliError;

pub(super) fn run(context: &Context<'_>, arguments: &User) -> Result<u8, CliError> {
    let store = context.store()?;
    let forgotten = store
        .administer()?
        .update_state(&user_name(&arguments.user), |_, state| {
            let failures = state.throttle.failures();
            state.throttle.unlock();
            Ok(failures)
        })?;
    let user = &arguments.user;
    let text = match forgotten {
        0 => format!("{user} was not locked: no failure was on record."),
        1 => format!("1 failure of {user} is forgotten; the next code counts."),
        failures => format!("{failures} failures of {user} are forgotten; the next code counts."),
    };
    context.changed(user, &text)
}
