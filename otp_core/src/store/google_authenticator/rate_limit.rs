//! `" RATE_LIMIT n m t1 t2 ...`: at most n attempts in m seconds, successes included.

use super::number::{as_int, unsigned};
use crate::totp::UnixTime;

/// What the line says of an attempt at this moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// Within the limit; the line's new value, which counts it.
    Within(String),
    /// Over it; the line's new value.
    Over(String),
    /// Not a line of this form.
    Malformed,
}

/// Counts an attempt.
pub(super) fn count(value: &[u8], now: UnixTime) -> Limit {
    let Some(line) = parse(value) else {
        return Limit::Malformed;
    };
    let oldest = now.0.saturating_sub(line.seconds);
    let mut times: Vec<u64> = line.times;
    times.push(now.0);
    // Entries of the future would lock the owner out until then.
    times.retain(|time| (oldest..=now.0).contains(time));
    times.sort_unstable();
    let over = times.len().saturating_sub(line.attempts);
    let mut text = format!("{} {}", line.attempts, line.seconds);
    for time in times.iter().skip(over) {
        text.push_str(&format!(" {time}"));
    }
    match over {
        0 => Limit::Within(text),
        _ => Limit::Over(text),
    }
}

/// Attempts and seconds.
pub(super) fn figures(value: &[u8]) -> Option<(usize, u64)> {
    parse(value).map(|line| (line.attempts, line.seconds))
}

struct Line {
    attempts: usize,
    seconds: u64,
    times: Vec<u64>,
}

fn parse(value: &[u8]) -> Option<Line> {
    let (attempts, length) = unsigned(value)?;
    let attempts = bounded(attempts, 100)?;
    let mut rest = value.get(length..)?;
    let mut seconds = None;
    let mut times = Vec::new();
    while let Some(first) = rest.first() {
        if !b" \t".contains(first) {
            return None;
        }
        let (number, length) = unsigned(rest)?;
        rest = rest.get(length..)?;
        match seconds {
            None => seconds = Some(bounded(number, 3600)?),
            Some(_) => times.push(number),
        }
    }
    Some(Line {
        attempts: usize::try_from(attempts).ok()?,
        seconds: seconds?,
        times,
    })
}

fn bounded(number: u64, most: i32) -> Option<u64> {
    let number = as_int(number);
    (1..=most).contains(&number).then_some(())?;
    u64::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_counted_and_old_and_future_ones_forgotten() {
        let now = UnixTime(1000);
        for (value, expected) in [
            ("3 30", Limit::Within("3 30 1000".into())),
            ("3 30 970 969", Limit::Within("3 30 970 1000".into())),
            ("3 30 1001 999", Limit::Within("3 30 999 1000".into())),
            ("2 30 990 980", Limit::Over("2 30 990 1000".into())),
            ("1\t30  1000", Limit::Over("1 30 1000".into())),
        ] {
            assert_eq!(count(value.as_bytes(), now), expected, "{value:?}");
        }
    }

    #[test]
    fn other_lines_are_malformed() {
        for value in [
            "", "3", "0 30", "101 30", "3 0", "3 3601", "3 30 ", "3 30 x", "3,30", "-1 30",
        ] {
            assert_eq!(
                count(value.as_bytes(), UnixTime(1)),
                Limit::Malformed,
                "{value:?}"
            );
        }
    }
}
