//! `otpgate resync USER`: two codes in a row tell where a device stands (RFC 4226 section 7.4).
//!
//! Unlike at a login, the one who asks is root: the watermark may fall, which is the cure after the
//! host's clock was far ahead, and after a repair.

use otp_core::account::{Kind, Token};
use otp_core::clock::{Clock as _, SystemClock};
use otp_core::hotp::{Code, MovingFactor};
use otp_core::matching::{MAX_SKEW, skew_of};
use otp_core::state::TokenState;
use otp_core::store::Record as _;
use otp_core::totp::UnixTime;
use subtle::ConstantTimeEq as _;

use super::enroll::digits_of;
use super::{Context, choose_device, user_name};
use crate::cli::UserDevice;
use crate::error::CliError;
use crate::input;

/// How far a counter is looked for: ten presses a day for thirty years.
const FURTHEST_COUNTER: u64 = 100_000;

pub(super) fn run(context: &Context<'_>, arguments: &UserDevice) -> Result<u8, CliError> {
    let store = context.store()?;
    let user = user_name(&arguments.user);
    let token = {
        let record = store.lock_enrolled(&user)?;
        let token = choose_device(record.account(), arguments.device.as_deref());
        token
            .map_err(|why| CliError::new(format!("{user} {why}")))?
            .clone()
    };
    let first = ask_code("The code that the device shows now: ")?;
    let second = ask_code("The code after it: ")?;
    let state = find(&token, &first, &second, SystemClock.now())?;
    let (next, skew) = (state.next, state.skew);
    store.administer()?.update_state(&user, |account, whole| {
        if account
            .tokens
            .iter()
            .all(|known| known.serial != token.serial)
        {
            return Err(format!("has enrolled {} anew meanwhile", token.id));
        }
        whole.set_token(state);
        Ok(())
    })?;
    let found = match token.kind {
        Kind::Totp { .. } => format!("its clock is {skew:+} steps off this host's"),
        Kind::Hotp { .. } => format!("its next counter is {next}"),
    };
    context.changed(
        &arguments.user,
        &format!(
            "The device {} of {} is in step again: {found}.",
            token.id, arguments.user
        ),
    )
}

fn ask_code(question: &str) -> Result<Code, CliError> {
    let typed = input::ask(question)?
        .ok_or_else(|| CliError::no("no code was typed; nothing was changed"))?;
    Code::parse(digits_of(&typed).as_bytes())
        .ok_or_else(|| CliError::no("that is no code; nothing was changed"))
}

fn find(token: &Token, first: &Code, second: &Code, now: UnixTime) -> Result<TokenState, CliError> {
    let generator = token.generator();
    let fits =
        |position: MovingFactor, code: &Code| bool::from(generator.code(position).ct_eq(code));
    let both = |position: &MovingFactor| {
        fits(*position, first) && fits(position.saturating_add(1), second)
    };
    let mut state = TokenState::new(token.serial, token.kind);
    match token.kind {
        Kind::Totp { period } => {
            let step = period.step(now);
            let mut range = step.saturating_sub(MAX_SKEW)..=step.saturating_add(MAX_SKEW);
            let position = range
                .find(both)
                .ok_or_else(|| not_found("20 steps either side of this host's clock"))?;
            state.advance_past(position.saturating_add(1));
            state.skew = skew_of(position.saturating_add(1), step).unwrap_or_default();
        }
        Kind::Hotp { counter } => {
            let mut range = counter..=counter.saturating_add(FURTHEST_COUNTER);
            let position = range
                .find(both)
                .ok_or_else(|| not_found("100 000 counters from its enrolment on"))?;
            state.advance_past(position.saturating_add(1));
        }
    }
    Ok(state)
}

fn not_found(range: &str) -> CliError {
    CliError::no(format!(
        "these are not two codes in a row of this device within {range}; nothing was changed. Set the \
         device's clock, or enrol it again"
    ))
}
