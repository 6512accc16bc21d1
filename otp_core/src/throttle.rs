//! How often one may guess (RFC 4226 section 7.3, NIST SP 800-63B section 5.2.2).
//!
//! Two things have to hold at once: guessing is hopeless, and guessing for somebody is no weapon
//! against them. So failures are counted for each known source by itself and for all foreign sources
//! together, and the last few failures of the account are kept for known sources.

use crate::source::Source;
use crate::totp::UnixTime;

/// Sources remembered per account. The one whose success is oldest makes room.
pub const MAX_KNOWN_SOURCES: usize = 16;
/// A source is known for 30 days after a success.
pub const KNOWN_FOR: u64 = 30 * 86_400;

/// The numbers, from the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Failures before the first wait.
    pub free_failures: u16,
    /// The first wait, in seconds; each further failure doubles it.
    pub first_wait: u64,
    /// The longest wait, in seconds.
    pub longest_wait: u64,
    /// Failures of the account without a success between, after which nothing is evaluated.
    pub max_failures: u16,
    /// How many of these only known sources may use.
    pub known_source_allowance: u16,
}

impl Default for Limits {
    fn default() -> Self {
        // NIST SP 800-63B section 5.2.2 allows no more than 100 consecutive failures.
        Self {
            free_failures: 3,
            first_wait: 5,
            longest_wait: 900,
            max_failures: 100,
            known_source_allowance: 10,
        }
    }
}

impl Limits {
    /// How long to wait after this many failures, in seconds.
    #[must_use]
    pub fn wait(&self, failures: u16) -> u64 {
        let Some(doublings) = failures.checked_sub(self.free_failures.saturating_add(1)) else {
            return 0;
        };
        let factor = 1_u64.checked_shl(u32::from(doublings)).unwrap_or(u64::MAX);
        self.first_wait
            .saturating_mul(factor)
            .min(self.longest_wait)
    }

    fn foreign_failures(&self) -> u16 {
        self.max_failures
            .saturating_sub(self.known_source_allowance)
    }
}

/// Failures since the last success, and until when the next attempt has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bucket {
    /// Failures without a success between.
    pub failures: u16,
    /// No attempt is evaluated before this moment.
    pub blocked_until: UnixTime,
}

impl Bucket {
    fn fail(&mut self, count: u16, now: UnixTime, limits: &Limits) {
        self.failures = self.failures.saturating_add(count);
        self.blocked_until = now.plus(limits.wait(self.failures));
    }
}

/// A source that succeeded before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownSource {
    /// Which one.
    pub source: Source,
    /// When it last succeeded.
    pub last_success: UnixTime,
    /// Its own failures.
    pub bucket: Bucket,
}

/// The throttle of one account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Throttle {
    /// All sources that are not known, together.
    pub foreign: Bucket,
    /// The known ones, at most [`MAX_KNOWN_SOURCES`].
    pub known: Vec<KnownSource>,
}

/// Whether an attempt is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Admission {
    /// It is.
    Open,
    /// Not before this moment.
    Wait(UnixTime),
    /// Not before `otpgate unlock`: nobody from there can succeed any more, and a success from elsewhere
    /// clears only its own count.
    Locked,
}

impl Throttle {
    /// Pulls every stored wait back to at most the longest one from now. A clock that jumped ahead for
    /// one login and came back must not lock anybody out for years; called before everything else, and
    /// its result is committed, so that the wait does end.
    pub fn clamp(&mut self, now: UnixTime, limits: &Limits) {
        let latest = now.plus(limits.longest_wait);
        let buckets = self.known.iter_mut().map(|known| &mut known.bucket);
        for bucket in buckets.chain([&mut self.foreign]) {
            bucket.blocked_until = bucket.blocked_until.min(latest);
        }
    }

    /// Whether an attempt from `source` is evaluated now.
    pub fn admit(&self, source: Source, now: UnixTime, limits: &Limits) -> Admission {
        if self.guesses_left(source, now, limits) == 0 {
            return Admission::Locked;
        }
        let bucket = self
            .known_now(source, now)
            .map_or(self.foreign, |known| known.bucket);
        if bucket.blocked_until > now {
            Admission::Wait(bucket.blocked_until)
        } else {
            Admission::Open
        }
    }

    /// How many guesses `source` may still make now; each guess that is evaluated counts.
    #[must_use]
    pub fn guesses_left(&self, source: Source, now: UnixTime, limits: &Limits) -> u16 {
        let left = limits.max_failures.saturating_sub(self.failures());
        match self.known_now(source, now) {
            Some(_) => left,
            None => left.min(
                limits
                    .foreign_failures()
                    .saturating_sub(self.foreign.failures),
            ),
        }
    }

    /// Counts `count` wrong guesses of one attempt.
    pub fn fail(&mut self, source: Source, count: u16, now: UnixTime, limits: &Limits) {
        match self
            .known
            .iter_mut()
            .find(|known| is_known(known, source, now))
        {
            Some(known) => known.bucket.fail(count, now, limits),
            None => self.foreign.fail(count, now, limits),
        }
    }

    /// A success clears its own source's count, and the foreign one when it came from there.
    pub fn succeed(&mut self, source: Source, now: UnixTime) {
        if self.known_now(source, now).is_none() {
            self.foreign = Bucket::default();
        }
        if source == Source::Opaque {
            return;
        }
        let fresh = KnownSource {
            source,
            last_success: now,
            bucket: Bucket::default(),
        };
        if let Some(known) = self.known.iter_mut().find(|known| known.source == source) {
            *known = fresh;
            return;
        }
        if self.known.len() >= MAX_KNOWN_SOURCES {
            self.forget_oldest();
        }
        self.known.push(fresh);
    }

    /// The failures of a forgotten source stay with the account: forgetting must not hand out guesses.
    fn forget_oldest(&mut self) {
        let by_age = self
            .known
            .iter()
            .enumerate()
            .min_by_key(|(_, known)| known.last_success);
        if let Some((position, _)) = by_age {
            let forgotten = self.known.swap_remove(position);
            self.foreign.failures = self
                .foreign
                .failures
                .saturating_add(forgotten.bucket.failures);
        }
    }

    /// All failures of the account without a success between.
    #[must_use]
    pub fn failures(&self) -> u16 {
        let known = self.known.iter().map(|known| known.bucket.failures);
        known.fold(self.foreign.failures, u16::saturating_add)
    }

    /// Forgets all failures; what `otpgate unlock` does. Known sources stay known.
    pub fn unlock(&mut self) {
        self.foreign = Bucket::default();
        for known in &mut self.known {
            known.bucket = Bucket::default();
        }
    }

    /// Whether `source` let somebody in lately.
    #[must_use]
    pub fn knows(&self, source: Source, now: UnixTime) -> bool {
        self.known_now(source, now).is_some()
    }

    fn known_now(&self, source: Source, now: UnixTime) -> Option<&KnownSource> {
        self.known.iter().find(|known| is_known(known, source, now))
    }
}

fn is_known(known: &KnownSource, source: Source, now: UnixTime) -> bool {
    known.source == source && now.since(known.last_success) <= KNOWN_FOR
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: Source = Source::V4(1);
    const AWAY: Source = Source::V4(2);
    const NOW: UnixTime = UnixTime(1_700_000_000);

    fn throttle_with_home() -> Throttle {
        let mut throttle = Throttle::default();
        throttle.succeed(HOME, NOW);
        throttle
    }

    #[test]
    fn rfc_4226_7_3_waits_double_up_to_the_longest() {
        let limits = Limits::default();
        let waits: Vec<u64> = (0..=14).map(|failures| limits.wait(failures)).collect();
        assert_eq!(
            waits,
            [0, 0, 0, 0, 5, 10, 20, 40, 80, 160, 320, 640, 900, 900, 900]
        );
        assert_eq!(limits.wait(u16::MAX), 900);
    }

    #[test]
    fn nist_800_63b_no_more_than_100_failures_without_a_success_between() {
        let limits = Limits::default();
        let mut throttle = throttle_with_home();
        let mut evaluated = 0;
        let mut now = NOW;
        for round in 0..1_000 {
            now = now.plus(901);
            let source = if round % 3 == 0 { HOME } else { AWAY };
            if throttle.admit(source, now, &limits) == Admission::Open {
                evaluated += 1;
                throttle.fail(source, 1, now, &limits);
            }
        }
        assert_eq!((evaluated, throttle.failures()), (100, 100));
        assert_eq!(
            throttle.admit(HOME, now.plus(901), &limits),
            Admission::Locked
        );
    }

    #[test]
    fn a_flood_from_elsewhere_leaves_the_owner_their_allowance() {
        let limits = Limits::default();
        let mut throttle = throttle_with_home();
        let mut now = NOW;
        while throttle.admit(AWAY, now, &limits) != Admission::Locked {
            throttle.fail(AWAY, 1, now, &limits);
            now = now.plus(901);
        }
        assert_eq!(throttle.foreign.failures, 90);
        for failure in 0..10 {
            assert_eq!(
                throttle.admit(HOME, now, &limits),
                Admission::Open,
                "failure {failure}"
            );
            throttle.fail(HOME, 1, now, &limits);
            now = now.plus(901);
        }
        assert_eq!(throttle.admit(HOME, now, &limits), Admission::Locked);
    }

    #[test]
    fn successes_clear_what_is_theirs() {
        let limits = Limits::default();
        let mut throttle = throttle_with_home();
        throttle.fail(AWAY, 5, NOW, &limits);
        throttle.fail(HOME, 2, NOW, &limits);
        throttle.succeed(HOME, NOW);
        assert_eq!((throttle.foreign.failures, throttle.failures()), (5, 5));
        throttle.fail(HOME, 2, NOW, &limits);
        throttle.succeed(AWAY, NOW);
        assert_eq!((throttle.foreign.failures, throttle.failures()), (0, 2));
        throttle.unlock();
        assert_eq!(throttle.failures(), 0);
        assert_eq!(throttle.known.len(), 2);
    }

    #[test]
    fn opaque_sources_are_never_known() {
        let mut throttle = Throttle::default();
        throttle.succeed(Source::Opaque, NOW);
        assert!(throttle.known.is_empty());
    }

    #[test]
    fn a_source_is_known_for_30_days_and_its_failures_outlive_it() {
        let limits = Limits::default();
        let mut throttle = throttle_with_home();
        throttle.fail(HOME, 7, NOW, &limits);
        let later = NOW.plus(KNOWN_FOR + 1);
        throttle.fail(HOME, 1, later, &limits);
        assert_eq!((throttle.foreign.failures, throttle.failures()), (1, 8));
        for number in 0..32 {
            throttle.succeed(Source::V4(100 + number), later);
        }
        assert_eq!(throttle.known.len(), MAX_KNOWN_SOURCES);
        assert_eq!(throttle.known_now(HOME, later), None);
    }

    #[test]
    fn a_clock_that_jumped_back_waits_no_longer_than_the_longest_wait() {
        let limits = Limits::default();
        let mut throttle = throttle_with_home();
        throttle.fail(AWAY, 20, NOW.plus(10 * 365 * 86_400), &limits);
        throttle.clamp(NOW, &limits);
        assert_eq!(
            throttle.admit(AWAY, NOW, &limits),
            Admission::Wait(NOW.plus(900))
        );
        assert_eq!(
            throttle.admit(AWAY, NOW.plus(900), &limits),
            Admission::Open
        );
        // The home source's last success now lies in the future; it still counts as known.
        assert_eq!(throttle.admit(HOME, NOW, &limits), Admission::Open);
    }
}
