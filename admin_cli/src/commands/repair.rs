//! `otpgate repair USER`.

use otp_core::clock::{Clock as _, SystemClock};
use otp_core::store::repair::Repaired;
use otp_core::totp::UnixTime;

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
        Repaired::Lost {
            totp_from,
            counters,
            recovery,
            invite,
        } => {
            let mut text = lost(user, totp_from, counters, recovery);
            if invite {
                text += &format!(
                    "\n- The invite no longer works; `otpgate invite {user}` makes a new one."
                );
            }
            text
        }
    };
    context.changed(user, &text)
}

/// What counts as used because nobody can say whether it was, and how to go on.
fn lost(user: &str, totp_from: Option<UnixTime>, counters: bool, recovery: bool) -> String {
    let mut text = match (totp_from, counters) {
        (None, false) => format!(
            "{user}: the state belongs to the account again, and may have forgotten a used recovery code."
        ),
        _ => format!(
            "{user}: the state was lost, so everything that may have been used counts as used."
        ),
    };
    if let Some(from) = totp_from {
        let from = when(Some(from));
        text += &format!(
            "\n- Time-based codes count again from {from}; `otpgate resync {user}` makes them count at once."
        );
    }
    if counters {
        text += &format!("\n- Counter-based devices need `otpgate resync {user} --device ID`.");
    }
    if recovery {
        text += &format!(
            "\n- The recovery codes no longer work; `otpgate recovery {user}` makes new ones."
        );
    }
    text
}
