//! `otpgate disable`, `otpgate enable`.

use super::{Context, choose_device, help_desk, name, user_name};
use crate::cli::UserDevice;
use crate::error::CliError;

pub(super) fn run(
    context: &Context<'_>,
    arguments: &UserDevice,
    enabled: bool,
) -> Result<u8, CliError> {
    let store = context.store()?;
    store
        .administer()?
        .update(&user_name(&arguments.user), |account, _| {
            let Some(device) = &arguments.device else {
                account.enabled = enabled;
                return Ok(());
            };
            let id = choose_device(account, Some(device))?.id.clone();
            for token in account.tokens.iter_mut().filter(|token| token.id == id) {
                token.enabled = enabled;
            }
            Ok(())
        })?;
    let verb = if enabled { "enabled" } else { "disabled" };
    let text = match &arguments.device {
        Some(device) => format!("The device {device} of {} is {verb}.", arguments.user),
        None if enabled => format!("{} is enabled.", arguments.user),
        None => format!(
            "{} is disabled: every code is refused.{}",
            arguments.user,
            help_desk::after_disabling(&name::quoted(&user_name(&arguments.user)))
        ),
    };
    context.changed(&arguments.user, &text)
}
