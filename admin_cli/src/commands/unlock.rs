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
    context.changed(
        &arguments.user,
        &format!(
            "{} failures of {} are forgotten; the next code counts.",
            forgotten, arguments.user
        ),
    )
}
