//! `otpgate resync USER`: two codes in a row tell where a device stands (RFC 4226 section 7.4).
//!
//! Unlike at a login, the one who asks is root: the watermark may fall, which is the cure after the
//! host's clock was far ahead, and after a repair.

use otp_core::account::{Kind, Token};
use otp_core::clock::{Clock as _, SystemClock};
use otp_core::hotp::{Code, MovingFactor};
use otp_core::matching::{MAX_SKEW, skew_of};
use otp_core::state::TokenState;
use otp_core::store::{FilesStore, Record as _};
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
    let config = context.config()?;
    let window = config.parameters.reach.totp_window;
    let store = FilesStore::open(&config.state_dir)?;
    let user = user_name(&arguments.user);
    let token = {
        let record = store.lock_enrolled(&user)?;
        let token = choose_device(record.account(), arguments.device.as_deref());
        token
            .map_err(|why| CliError::new(format!("{user} {why}")))?
            .clone()
    };
    if token.kind.is_delivered() {
        return Err(CliError::new(format!(
            "the codes of {} are sent: there is nothing that could be out of step",
            token.id
        )));
    }
    let first = ask_code("The code that the device shows now: ")?;
    let second = ask_code("The code after it: ")?;
    let found = store.administer()?.update_state(&user, |account, whole| {
        if account
            .tokens
            .iter()
            .all(|known| known.serial != token.serial)
        {
            return Err(format!("has enrolled {} anew meanwhile", token.id));
        }
        // Under the lock: no login can use a code up between the look and the write.
        let state = find(
            &token,
            whole.token(token.serial, &token.kind),
            (&first, &second),
            window,
            SystemClock.now(),
        );
        if let Ok(state) = &state {
            whole.set_token(state.clone());
        }
        Ok(state)
    })?;
    let TokenState { next, skew, .. } = found.map_err(CliError::no)?;
    let found = match &token.kind {
        Kind::Totp { .. } => format!("its clock is {skew:+} steps off this host's"),
        Kind::Hotp { .. } | Kind::Delivered { .. } => format!("its next counter is {next}"),
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

/// The device's state after these two codes. What was used stays used, with one exception: a watermark
/// that no clock explains, left by a login under a wrong clock or by a repair, may fall.
fn find(
    token: &Token,
    known: TokenState,
    (first, second): (&Code, &Code),
    window: u64,
    now: UnixTime,
) -> Result<TokenState, String> {
    let generator = token.generator();
    let fits =
        |position: MovingFactor, code: &Code| bool::from(generator.code(position).ct_eq(code));
    let both = |position: &MovingFactor| {
        fits(*position, first) && fits(position.saturating_add(1), second)
    };
    let mut state = TokenState::new(token.serial, &token.kind);
    match &token.kind {
        Kind::Totp { period } => {
            let step = period.step(now);
            let mut range = step.saturating_sub(MAX_SKEW)..=step.saturating_add(MAX_SKEW);
            let second = range.find(both).map(|position| position.saturating_add(1));
            // The second code says where the clock stands; at the edge it may lie one step too far.
            let found = second.and_then(|second| Some((second, skew_of(second, step)?)));
            let (second, skew) =
                found.ok_or_else(|| not_found("20 steps either side of this host's clock"))?;
            state.skew = skew;
            let explained = step
                .saturating_add_signed(known.skew.into())
                .saturating_add(window + 1);
            if known.next <= explained {
                state.next = known.next;
                state.burnt = known.burnt;
            }
            state.advance_past(second);
        }
        Kind::Delivered { .. } => return Err(not_found("nothing")),
        Kind::Hotp { counter } => {
            let lost = known.next == MovingFactor::MAX;
            let from = if lost { *counter } else { known.next };
            let mut range = from..=from.saturating_add(FURTHEST_COUNTER);
            let position = range
                .find(both)
                .ok_or_else(|| not_found("100 000 counters from the next one on"))?;
            state.burnt = known.burnt;
            state.advance_past(position.saturating_add(1));
        }
    }
    Ok(state)
}

fn not_found(range: &str) -> String {
    format!(
        "these are not two unused codes in a row of this device within {range}; nothing was changed. Set \
         the device's clock, or enrol it again"
    )
}
