//! `otpgate repair USER`.

use otp_core::clock::{Clock as _, SystemClock};
use otp_core::store::repair::Repaired;

use super::{Context, user_name};
use crate::cli::User;
use crate::error::CliError;
use crate::output::when;

pub(super) fn run(context: &Context<'_>, arguments: &User) -> Result<u8, CliError> {
    let store = context.store()?;
    let repaired = store
        .administer()?
        .repair(&user_name(&arguments.user), SystemClock.now())?;
    let user = &arguments.user;
    let text = match repaired {
        Repaired::Healthy => format!("{user}: nothing to repair."),
        Repaired::Permissions => format!("{user}: owner and mode are right again."),
        Repaired::Kept => {
            format!("{user}: the state belongs to the account again; nothing is lost.")
        }
        Repaired::Rebuilt { totp_from } => format!(
            "{user}: the state was lost, so everything that may have been used counts as used.\n\
             - Time-based codes count again from {}; `otpgate resync {user}` makes them count at once.\n\
             - Counter-based devices need `otpgate resync {user} --device ID`.\n\
             - The recovery codes no longer work; `otpgate recovery {user}` makes new ones.",
            when(Some(totp_from))
        ),
    };
    context.changed(user, &text)
}
