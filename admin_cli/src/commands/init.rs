//! `otpgate init`.

use otp_core::store::administration;

use super::Context;
use crate::error::{CliError, OK};

pub(super) fn run(context: &Context<'_>) -> Result<u8, CliError> {
    let state_dir = context.config()?.state_dir;
    administration::init(&state_dir)?;
    let json = serde_json::json!({ "state_dir": state_dir });
    let text = format!(
        "{} is ready. Next: `otpgate enroll USER` for yourself, then `otpgate setup sshd`.\n",
        state_dir.display()
    );
    context.print(&json, &text)?;
    Ok(OK)
}
