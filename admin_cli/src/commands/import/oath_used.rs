//! What a line of pam_oath's file says is used up, so that it stays so.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use otp_core::account::{Kind, Token};
use otp_core::hotp::{Code, MovingFactor};
use otp_core::matching::MAX_SKEW;
use otp_core::state::TokenState;
use otp_core::totp::{Period, UnixTime};
use subtle::ConstantTimeEq as _;

use super::oath_line::Last;

/// Steps beyond the largest skew that a code could be accepted in here: the widest `resync` does no more.
const MARGIN: u64 = 12;

/// Uses up what the line says. Returns what cannot be told from it.
pub(super) fn use_up(
    token: &Token,
    state: &mut TokenState,
    last: &Last,
    window: u64,
    now: UnixTime,
) -> Option<String> {
    match &token.kind {
        Kind::Hotp { counter } => {
            let counter = *counter;
            // MOVING_FACTOR is the counter just used; the code itself may know better.
            let ahead = counter..=counter.saturating_add(window);
            let used = highest(token, ahead, &last.code).unwrap_or(counter);
            state.advance_past(used);
            None
        }
        Kind::Totp { period } => use_up_step(token, *period, state, last, window, now),
        // Not in these files.
        Kind::Delivered { .. } => None,
    }
}

/// LAST_TIME is local time, and says in which window LAST_OTP was right.
fn use_up_step(
    token: &Token,
    period: Period,
    state: &mut TokenState,
    last: &Last,
    window: u64,
    now: UnixTime,
) -> Option<String> {
    let steps: Vec<MovingFactor> = last
        .time
        .map(moments)
        .unwrap_or_default()
        .into_iter()
        .map(|time| period.step(time))
        .collect();
    let windows = steps
        .iter()
        .map(|step| step.saturating_sub(window)..=step.saturating_add(window));
    let used = windows
        .filter_map(|range| highest(token, range, &last.code))
        .max();
    if let Some(used) = used {
        state.advance_past(used);
        return None;
    }
    // Another time zone, a wider window, a clock that was wrong: the code is used up wherever it could
    // still be accepted, and everything before LAST_TIME with it.
    let past = steps
        .into_iter()
        .filter(|step| *step <= period.step(now))
        .max();
    if let Some(past) = past {
        state.advance_past(past);
    }
    let step = period.step(now);
    let reach = MAX_SKEW + MARGIN;
    let generator = token.generator();
    for position in step.saturating_sub(reach)..=step.saturating_add(reach) {
        if bool::from(generator.code(position).ct_eq(&last.code)) && state.is_fresh(position) {
            state.burn(position);
        }
    }
    Some(
        "LAST_OTP is no code of the time that LAST_TIME gives, in this host's time zone and --window; it stays \
         used up"
            .to_owned(),
    )
}

fn highest(
    token: &Token,
    positions: std::ops::RangeInclusive<MovingFactor>,
    code: &Code,
) -> Option<MovingFactor> {
    let generator = token.generator();
    positions
        .rev()
        .find(|position| bool::from(generator.code(*position).ct_eq(code)))
}

/// The moments that a local time can mean: two in the hour that a clock set back repeats.
fn moments(time: DateTime) -> Vec<UnixTime> {
    let ambiguous = TimeZone::system().to_ambiguous_timestamp(time);
    let both = [ambiguous.earlier(), ambiguous.later()];
    let seconds = both.into_iter().flatten().map(|moment| moment.as_second());
    seconds
        .filter_map(|seconds| u64::try_from(seconds).ok())
        .map(UnixTime)
        .collect()
}
