//! `otpgate remove`.

use super::{Context, choose_device, user_name};
use crate::cli::Remove;
use crate::error::CliError;

pub(super) fn run(context: &Context<'_>, arguments: &Remove) -> Result<u8, CliError> {
    let store = context.store()?;
    let administration = store.administer()?;
    let user = user_name(&arguments.user);
    let text = if let Some(device) = &arguments.device {
        let left = administration.update(&user, |account, _| {
            let id = choose_device(account, Some(device))?.id.clone();
            account.tokens.retain(|token| token.id != id);
            Ok(account.tokens.len())
        })?;
        let user = &arguments.user;
        let last = format!(
            " It was the last: only recovery codes let {user} in, until `otpgate enroll {user}`."
        );
        let last = if left == 0 { last.as_str() } else { "" };
        format!("The device {device} of {user} is removed.{last}")
    } else {
        if arguments.force {
            administration.remove_damaged(&user)?;
        } else {
            administration.remove(&user)?;
        }
        format!("{} is no longer enrolled.", arguments.user)
    };
    context.changed(&arguments.user, &text)
}
