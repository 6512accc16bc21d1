//! What the option lines of a file say, for a login and for an import alike.
//!
//! Numbers are read as the peer reads them: a file that works there means the same here.

use super::number::{as_int, signed_or_zero, unsigned};
use super::rate_limit;
use super::text::SecretFile;

const REUSE: &str = "DISALLOW_REUSE";

/// A line whose value the peer refuses too; its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadLine(pub &'static str);

/// By what the codes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// By counter; the next one to try.
    Counter(u64),
    /// By time.
    Time,
    /// By nothing: only single-use codes count.
    Neither,
}

/// By what the codes go: a counter of 1 or more, whatever else the file says.
#[must_use]
pub fn kind(file: &SecretFile) -> Kind {
    match file.option("HOTP_COUNTER").map(signed_or_zero) {
        Some(counter) if counter >= 1 => Kind::Counter(counter.unsigned_abs()),
        _ if file.is_time_based() => Kind::Time,
        _ => Kind::Neither,
    }
}

/// Positions that are looked at, 1 to 100: around the current step, or from the counter on.
///
/// # Errors
/// [`BadLine`].
pub fn window(file: &SecretFile) -> Result<i64, BadLine> {
    bounded(file, "WINDOW_SIZE", 3, 100)
}

/// Seconds of a time step, 1 to 60.
///
/// # Errors
/// [`BadLine`].
pub fn step_size(file: &SecretFile) -> Result<i64, BadLine> {
    bounded(file, "STEP_SIZE", 30, 60)
}

/// Steps by which the device's clock runs ahead.
#[must_use]
pub fn skew(file: &SecretFile) -> i64 {
    let skew = file.option("TIME_SKEW").map_or(0, signed_or_zero);
    // The low half, where the peer keeps it in an int.
    i64::from(as_int(skew.cast_unsigned()))
}

/// The used time steps; `None` where the file allows reuse.
///
/// # Errors
/// [`BadLine`].
pub fn used_steps(file: &SecretFile) -> Result<Option<Vec<i64>>, BadLine> {
    let Some(mut rest) = file.option(REUSE) else {
        return Ok(None);
    };
    let mut steps = Vec::new();
    loop {
        rest = rest.get(leading_blanks(rest)..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(Some(steps));
        }
        let (step, _, behind) = first_step(rest)?;
        steps.push(step);
        rest = behind;
    }
}

/// The first number of the list of used steps, its text, and what stands behind it.
pub(super) fn first_step(list: &[u8]) -> Result<(i64, &[u8], &[u8]), BadLine> {
    let (number, length) = unsigned(list).ok_or(BadLine(REUSE))?;
    let (entry, behind) = list.split_at_checked(length).ok_or(BadLine(REUSE))?;
    if behind.first().is_some_and(|byte| !b" \t".contains(byte)) {
        return Err(BadLine(REUSE));
    }
    Ok((i64::from(as_int(number)), entry, behind))
}

pub(super) fn leading_blanks(text: &[u8]) -> usize {
    text.iter().take_while(|byte| b" \t".contains(byte)).count()
}

/// Attempts, and the seconds in which there may be so many; `None` without the line.
///
/// # Errors
/// [`BadLine`].
pub fn rate_limit(file: &SecretFile) -> Result<Option<(usize, u64)>, BadLine> {
    let Some(value) = file.option("RATE_LIMIT") else {
        return Ok(None);
    };
    let figures = rate_limit::figures(value);
    figures.map(Some).ok_or(BadLine("RATE_LIMIT"))
}

/// A number from 1 to `most`, or the default where the line is not there.
fn bounded(file: &SecretFile, key: &'static str, default: i64, most: i32) -> Result<i64, BadLine> {
    let Some(value) = file.option(key) else {
        return Ok(default);
    };
    let number = unsigned(value).filter(|(_, length)| {
        let behind = value.get(*length);
        behind.is_none_or(|byte| b" \t".contains(byte))
    });
    let number = number.map(|(number, _)| as_int(number));
    let number = number.filter(|number| (1..=most).contains(number));
    number.map(i64::from).ok_or(BadLine(key))
}
