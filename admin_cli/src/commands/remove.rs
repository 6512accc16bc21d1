//! `otpgate remove`.

use otp_core::config::GoogleAuthenticatorFiles;

use super::{Context, choose_device, help_desk, name, user_name};
use crate::cli::Remove;
use crate::error::CliError;

/// An import leaves the file where it is, and with nobody enrolled it counts again, used codes included.
fn left_at_home(context: &Context<'_>, user: &str) -> Result<String, CliError> {
    let fallback = GoogleAuthenticatorFiles::Fallback;
    let known = nix::unistd::User::from_name(user).ok().flatten();
    let file = known.map(|known| known.dir.join(".google_authenticator"));
    let file = file.filter(|file| file.symlink_metadata().is_ok());
    match file {
        Some(file) if context.config()?.google_authenticator_files == fallback => Ok(format!(
            " {} counts again from now on, with the codes that were used since it was imported: take it away, \
             unless that is what you want.",
            file.display()
        )),
        _ => Ok(String::new()),
    }
}

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
        let left = left_at_home(context, &arguments.user)?;
        let advice = help_desk::after_removal(&name::quoted(&user));
        format!("{} is no longer enrolled.{left}{advice}", arguments.user)
    };
    context.changed(&arguments.user, &text)
}
