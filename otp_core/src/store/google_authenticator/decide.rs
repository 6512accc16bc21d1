//! When a code is right by a user's own file: file, attempt and time in, verdict and new file out.
//!
//! What the peer would say, with three differences (each makes guessing harder): no skew is learned from
//! old codes, a wrong code of a counter advances nothing, and grace comes after the rate limit.

use subtle::{ConditionallySelectable, ConstantTimeEq};

use super::grace;
use super::number::as_int;
use super::rate_limit::{self, Limit};
use super::settings::{self, BadLine, Kind, first_step, leading_blanks};
use super::text::SecretFile;
use crate::hotp::{Algorithm, Code, Digits, Generator};
use crate::totp::UnixTime;

/// A code that may have been meant, at the end of what was typed.
#[derive(Debug, Clone)]
pub struct Candidate {
    code: Code,
    /// Its length in bytes: 6 for a device's code, 8 for a single-use one.
    pub length: usize,
}

/// What may stand in front of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InFront {
    /// A password, which is cut off or ignored.
    Anything,
    /// Nothing: the code alone was asked for.
    Nothing,
}

/// The codes that may have been meant, in the order in which they are tried.
#[must_use]
pub fn candidates(typed: &[u8], in_front: InFront) -> Vec<Candidate> {
    let candidate = |length: usize| {
        let (before, end) = typed.split_at_checked(typed.len().checked_sub(length)?)?;
        let allowed = in_front == InFront::Anything || before.is_empty();
        // No single-use code begins with 0.
        let single_use_like = length != 8 || end.first() != Some(&b'0');
        let code = Code::parse(end).filter(|_| allowed && single_use_like)?;
        Some(Candidate { code, length })
    };
    [6, 8].into_iter().filter_map(candidate).collect()
}

/// One attempt.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// What was typed, as [`candidates`] reads it.
    pub candidates: &'a [Candidate],
    /// Whether an earlier answer of the same login was counted against the rate limit.
    pub counted: bool,
    /// Whether the attempt comes from a known source. Others may have filled the rate limit, and must not keep
    /// the owner out: failures from there have a throttle of their own ([`super::guesses`]).
    pub known: bool,
    /// The host to remember on success, with `grace_period`.
    pub remember: Option<&'a [u8]>,
}

impl Attempt<'_> {
    /// The same with at most so many guesses.
    #[must_use]
    pub(super) fn bounded(&self, left: u16, known: bool) -> Self {
        let most = self.candidates.len().min(usize::from(left));
        Self {
            candidates: self.candidates.get(..most).unwrap_or_default(),
            known,
            ..*self
        }
    }

    /// How many guesses it is.
    #[must_use]
    pub(super) fn guesses(&self) -> u16 {
        u16::try_from(self.candidates.len()).unwrap_or(u16::MAX)
    }
}

/// What lets somebody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// A code by time.
    Totp,
    /// A code by counter.
    Hotp,
    /// A single-use code.
    Scratch,
}

/// What keeps somebody out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No code, or one that fits nothing.
    Wrong,
    /// A code by time that was used.
    Replayed,
    /// The code that the counter stands behind: used, and no guess.
    LastCode,
    /// Too many failures lately.
    Throttled {
        /// When the next attempt is evaluated.
        until: UnixTime,
    },
    /// Too many failures in all.
    Locked,
    /// Too many attempts lately.
    RateLimited,
    /// The rate limit's line cannot be read.
    BadRateLimit,
    /// Another line that decides cannot be read; its key.
    BadOption(&'static str),
    /// Line 1 is no secret.
    NoSecret,
    /// There is no file, or none that can be used.
    NoFile,
    /// The file could not be written, so the code could be used again.
    NotRecorded,
}

impl From<BadLine> for Refusal {
    fn from(line: BadLine) -> Self {
        Self::BadOption(line.0)
    }
}

impl Refusal {
    /// Whether asking for another code is pointless.
    #[must_use]
    pub fn is_final(self) -> bool {
        // What the throttle refuses looks like a wrong code.
        let open = matches!(
            self,
            Self::Wrong | Self::LastCode | Self::Throttled { .. } | Self::Locked
        );
        !open
    }
}

/// The verdict over an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Let in, by the code of this length.
    Accepted {
        /// What was right.
        proof: Proof,
        /// Bytes of the code.
        length: usize,
    },
    /// Kept out.
    Refused(Refusal),
}

/// What is to be done before anybody is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Glance {
    /// Ask.
    Ask,
    /// A recent login from the same host lets in.
    Grace,
    /// Too many attempts lately: refuse without asking, and count this one.
    OverLimit,
    /// The rate limit's line cannot be read: refuse without asking.
    Malformed,
}

/// Looks at a file before the question. `grace` is a host and `grace_period` in seconds.
pub fn glance(file: &SecretFile, grace: Option<(&[u8], u64)>, now: UnixTime) -> Glance {
    let limit = file.option("RATE_LIMIT");
    match limit.map(|value| rate_limit::count(value, now)) {
        Some(Limit::Malformed) => return Glance::Malformed,
        Some(Limit::Over(_)) => return Glance::OverLimit,
        Some(Limit::Within(_)) | None => {}
    }
    match grace {
        Some((host, seconds))
            if grace::is_plain(host) && grace::holds(file, host, seconds, now) =>
        {
            Glance::Grace
        }
        _ => Glance::Ask,
    }
}

/// Decides over an attempt. The second value is the file that has to be on the disk before anybody hears the
/// verdict; `None` when nothing in it changes.
pub fn decide(
    file: &SecretFile,
    attempt: &Attempt<'_>,
    now: UnixTime,
) -> (Verdict, Option<SecretFile>) {
    let mut new = file.clone();
    let verdict = judge(&mut new, attempt, now);
    (verdict, (new != *file).then_some(new))
}

fn judge(file: &mut SecretFile, attempt: &Attempt<'_>, now: UnixTime) -> Verdict {
    if !attempt.counted
        && let Err(refusal) = count(file, attempt.known, now)
    {
        return Verdict::Refused(refusal);
    }
    let Some(secret) = file.secret() else {
        return Verdict::Refused(Refusal::NoSecret);
    };
    let generator = Generator::new(&secret, Algorithm::Sha1, Digits::SIX);
    for candidate in attempt.candidates {
        match try_one(file, &generator, &candidate.code, now) {
            Ok(proof) => {
                if let Some(host) = attempt.remember.filter(|host| grace::is_plain(host)) {
                    grace::remember(file, host, now);
                }
                let length = candidate.length;
                return Verdict::Accepted { proof, length };
            }
            // Beside another candidate it would be a guess that costs nothing.
            Err(Refusal::LastCode) if attempt.candidates.len() > 1 => {}
            Err(Refusal::Wrong) => {}
            Err(refusal) => return Verdict::Refused(refusal),
        }
    }
    Verdict::Refused(Refusal::Wrong)
}

fn count(file: &mut SecretFile, known: bool, now: UnixTime) -> Result<(), Refusal> {
    let Some(value) = file.option("RATE_LIMIT") else {
        return Ok(());
    };
    match rate_limit::count(value, now) {
        Limit::Malformed => Err(Refusal::BadRateLimit),
        Limit::Over(value) => {
            file.set_option("RATE_LIMIT", value.as_bytes());
            if known {
                Ok(())
            } else {
                Err(Refusal::RateLimited)
            }
        }
        Limit::Within(value) => {
            file.set_option("RATE_LIMIT", value.as_bytes());
            Ok(())
        }
    }
}

/// Single-use codes first, then the device.
fn try_one(
    file: &mut SecretFile,
    generator: &Generator,
    code: &Code,
    now: UnixTime,
) -> Result<Proof, Refusal> {
    if code.digits().count() == 8 {
        let number = code.expose().parse().map_err(|_| Refusal::Wrong)?;
        return match file.use_up(number) {
            true => Ok(Proof::Scratch),
            false => Err(Refusal::Wrong),
        };
    }
    match settings::kind(file) {
        Kind::Counter(counter) => by_counter(file, generator, code, counter).map(|()| Proof::Hotp),
        Kind::Time => by_time(file, generator, code, now).map(|()| Proof::Totp),
        Kind::Neither => Err(Refusal::Wrong),
    }
}

fn by_counter(
    file: &mut SecretFile,
    generator: &Generator,
    code: &Code,
    counter: u64,
) -> Result<(), Refusal> {
    let window = settings::window(file)?;
    // Behind the last counter that is read there is none to write, so it could not be used up.
    let positions = (0..window).map(|ahead| counter.saturating_add_signed(ahead));
    let positions = positions.filter(|position| *position < i64::MAX.unsigned_abs());
    let last = counter.checked_sub(1).into_iter();
    let was_last = search(generator, code, last).is_some();
    let miss = if was_last {
        Refusal::LastCode
    } else {
        Refusal::Wrong
    };
    let found = search(generator, code, positions).ok_or(miss)?;
    let next = found.saturating_add(1);
    file.set_option("HOTP_COUNTER", next.to_string().as_bytes());
    Ok(())
}

fn by_time(
    file: &mut SecretFile,
    generator: &Generator,
    code: &Code,
    now: UnixTime,
) -> Result<(), Refusal> {
    let step = settings::step_size(file)?;
    let window = settings::window(file)?;
    let skew = settings::skew(file);
    let current = i64::try_from(now.0).unwrap_or(i64::MAX) / step;
    let middle = current.saturating_add(skew);
    let offsets = -((window - 1) / 2)..=window / 2;
    let positions = offsets.filter_map(|offset| u64::try_from(middle.checked_add(offset)?).ok());
    let found = search(generator, code, positions).ok_or(Refusal::Wrong)?;
    let found = i64::try_from(found).unwrap_or(i64::MAX);
    use_up_step(file, found, window)
}

/// The first position whose code this is. All are computed: the time it takes must not tell where it was.
fn search(generator: &Generator, code: &Code, positions: impl Iterator<Item = u64>) -> Option<u64> {
    let (mut found, mut position_found) = (subtle::Choice::from(0), 0);
    for position in positions {
        let here = generator.code(position).ct_eq(code) & !found;
        position_found.conditional_assign(&position, here);
        found |= here;
    }
    bool::from(found).then_some(position_found)
}

/// Enters a step into the list of used ones, out of which those beyond the window fall.
fn use_up_step(file: &mut SecretFile, step: i64, window: i64) -> Result<(), Refusal> {
    let Some(value) = file.option("DISALLOW_REUSE") else {
        return Ok(());
    };
    let mut kept = Vec::with_capacity(value.len() + 21);
    let mut rest = value;
    loop {
        let blanks = leading_blanks(rest);
        kept.extend_from_slice(rest.get(..blanks).unwrap_or_default());
        rest = rest.get(blanks..).unwrap_or_default();
        if rest.is_empty() {
            break;
        }
        let (used, entry, behind) = first_step(rest)?;
        // Both as the peer keeps them, in an int: steps of a second outgrow it in 2038.
        let away = as_int(used.cast_unsigned()).wrapping_sub(as_int(step.cast_unsigned()));
        if away == 0 {
            return Err(Refusal::Replayed);
        }
        if i64::from(away.unsigned_abs()) >= window {
            // With the blanks behind it.
            rest = behind.get(leading_blanks(behind)..).unwrap_or_default();
        } else {
            kept.extend_from_slice(entry);
            rest = behind;
        }
    }
    if !kept.is_empty() {
        kept.push(b' ');
    }
    kept.extend_from_slice(step.to_string().as_bytes());
    file.set_option("DISALLOW_REUSE", &kept);
    Ok(())
}

#[cfg(test)]
mod tests;
