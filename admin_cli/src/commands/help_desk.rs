//! What to do next, for whoever is on the telephone with somebody. `examples/HELPDESK.md` has the whole flows.

use otp_core::store::Record as _;
use otp_core::user_name::UserName;

use super::{Context, name};
use crate::error::CliError;

/// A second device: the first one goes on counting until somebody takes it away.
pub(super) fn after_another_device(
    context: &Context<'_>,
    user: &UserName,
    device: &str,
) -> Result<String, CliError> {
    let record = context.store()?.lock_enrolled(user)?;
    let tokens = record.account().tokens.iter();
    let others = tokens.filter(|token| token.enabled && token.id != device);
    let others: Vec<&str> = others.map(|token| token.id.as_str()).collect();
    if others.is_empty() {
        return Ok(String::new());
    }
    let (shown, quoted) = (name::shown(user), name::quoted(user));
    Ok(format!(
        "Codes of {} still count too. When {shown} has logged in with {device}: `otpgate remove {quoted} --device {}`\n",
        others.join(", "),
        others.first().copied().unwrap_or_default()
    ))
}

/// Somebody who is shut out may be in already.
pub(super) fn after_disabling(user: &str) -> String {
    format!(
        "\nSessions that are open stay open: `loginctl terminate-user {user}` ends them. Logins that need no code, \
         with a key say, go on."
    )
}

/// Nobody is refused for being removed: where `nullok` or a rule lets people in who are not enrolled, the
/// password alone is enough from now on.
pub(super) fn after_removal(user: &str) -> String {
    format!(
        "\nWhere people who are not enrolled get in (`otpgate check --explain {user}`), the password alone is enough for \
         {user} now; `usermod --expiredate 1 {user}` closes the account of somebody who has left."
    )
}
