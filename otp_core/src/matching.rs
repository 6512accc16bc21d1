//! Where, if anywhere, a code fits a device: RFC 4226 sections 7.2 and 7.4, RFC 6238 sections 5.2 and 6.
//!
//! Every position of a range is computed and compared in constant time, and no range is left early:
//! how long it takes depends on the kind of device, never on the code.

use std::ops::RangeInclusive;

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::account::{Kind, Token};
use crate::hotp::{Algorithm, Code, Digits, Generator, MovingFactor};
use crate::secret::Secret;
use crate::state::TokenState;
use crate::totp::UnixTime;

/// A learned skew never exceeds 20 steps either way: beyond that the device's clock wants setting.
pub const MAX_SKEW: u64 = 20;

/// No position: a code that is sent belongs to none, [`crate::delivered`] compares it.
#[allow(clippy::reversed_empty_ranges)]
const NOWHERE: RangeInclusive<MovingFactor> = 1..=0;

/// How far from the expected position a code is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// TOTP: steps either side of the current one in which a code is accepted.
    pub totp_window: u64,
    /// TOTP: steps either side in which two codes in a row resynchronise.
    pub totp_resync: u64,
    /// HOTP: codes beyond the expected one that are accepted.
    pub hotp_look_ahead: u64,
    /// HOTP: codes beyond the expected one of which two in a row resynchronise.
    pub hotp_resync: u64,
}

impl Default for Reach {
    fn default() -> Self {
        Self {
            totp_window: 1,
            totp_resync: 10,
            hotp_look_ahead: 10,
            hotp_resync: 100,
        }
    }
}

impl Reach {
    /// The positions in which a code of this device is accepted at `now`.
    fn window(
        &self,
        token: &Token,
        state: &TokenState,
        now: UnixTime,
    ) -> RangeInclusive<MovingFactor> {
        match token.kind {
            Kind::Totp { period } => around(centre(period.step(now), state.skew), self.totp_window),
            // One back: the code that was accepted last is a replay, and no guess.
            Kind::Hotp { .. } => {
                state.next.saturating_sub(1)..=state.next.saturating_add(self.hotp_look_ahead)
            }
            Kind::Delivered { .. } => NOWHERE,
        }
    }

    /// The positions in which two codes in a row move the window.
    fn resync(
        &self,
        token: &Token,
        state: &TokenState,
        now: UnixTime,
    ) -> RangeInclusive<MovingFactor> {
        match token.kind {
            Kind::Totp { period } => {
                let step = period.step(now);
                let reach = around(centre(step, state.skew), self.totp_resync);
                let whole = around(step, MAX_SKEW);
                *reach.start().max(whole.start())..=*reach.end().min(whole.end())
            }
            Kind::Hotp { .. } => state.next..=state.next.saturating_add(self.hotp_resync),
            Kind::Delivered { .. } => NOWHERE,
        }
    }

    /// Computations that a wrong code for one HOTP device costs: the measure for all refusals.
    fn usual_work(&self) -> u64 {
        self.hotp_resync.max(2 * self.totp_resync).saturating_add(3)
    }
}

fn centre(step: MovingFactor, skew: i8) -> MovingFactor {
    step.saturating_add_signed(i64::from(skew))
}

fn around(centre: MovingFactor, reach: u64) -> RangeInclusive<MovingFactor> {
    centre.saturating_sub(reach)..=centre.saturating_add(reach)
}

/// Where a code fits one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hits {
    /// The lowest position that may be accepted. The lowest, because the same digits may stand again a
    /// few counters on: taking the highest would leave the device behind for as many presses.
    pub fresh: Option<MovingFactor>,
    /// Whether there are more such positions.
    pub several: bool,
    /// Whether it fits a position that is used up.
    pub used: bool,
}

/// Counts computations, so that every refusal can be made to cost the same.
#[derive(Debug, Default)]
pub struct Work(u64);

impl Work {
    /// Computes as many codes as are missing from the usual number.
    pub fn pad(&mut self, reach: &Reach) {
        let Ok(secret) = Secret::new(vec![0; 20]) else {
            return;
        };
        let generator = Generator::new(&secret, Algorithm::Sha1, Digits::SIX);
        while self.0 < reach.usual_work() {
            std::hint::black_box(generator.code(self.0));
            self.0 += 1;
        }
    }
}

/// One device of the account, ready to be compared with a code.
pub struct Device<'a> {
    /// What was enrolled.
    pub token: &'a Token,
    /// What logins changed.
    pub state: TokenState,
    generator: Generator,
}

impl<'a> Device<'a> {
    /// Sets up the key.
    #[must_use]
    pub fn new(token: &'a Token, state: TokenState) -> Self {
        Self {
            token,
            state,
            generator: token.generator(),
        }
    }

    /// Where the code fits the window, or the position right behind the candidate of the last attempt.
    pub fn hits(&self, code: &Code, now: UnixTime, reach: &Reach, work: &mut Work) -> Hits {
        self.compare(self.acceptable(now, reach), code, work)
    }

    /// Where the code fits outside the window, within the resync range.
    pub fn near_hits(&self, code: &Code, now: UnixTime, reach: &Reach, work: &mut Work) -> Hits {
        self.compare(self.nearby(now, reach), code, work)
    }

    fn acceptable(
        &self,
        now: UnixTime,
        reach: &Reach,
    ) -> impl Iterator<Item = MovingFactor> + use<> {
        let window = reach.window(self.token, &self.state, now);
        let resync = reach.resync(self.token, &self.state, now);
        let follower = self
            .state
            .candidate
            .and_then(|candidate| candidate.checked_add(1));
        let follower =
            follower.filter(|follower| resync.contains(follower) && !window.contains(follower));
        window.chain(follower)
    }

    fn nearby(&self, now: UnixTime, reach: &Reach) -> impl Iterator<Item = MovingFactor> + use<> {
        let window = reach.window(self.token, &self.state, now);
        let resync = reach.resync(self.token, &self.state, now);
        resync.filter(move |position| !window.contains(position))
    }

    /// Compares at every position, in constant time and without early exit.
    fn compare(
        &self,
        positions: impl Iterator<Item = MovingFactor>,
        code: &Code,
        work: &mut Work,
    ) -> Hits {
        let no = Choice::from(0);
        let (mut first, mut any, mut several, mut used) = (0, no, no, no);
        for position in positions {
            let equal = self.equal_at(position, code, work);
            let may = Choice::from(u8::from(self.state.is_fresh(position)));
            let fresh = equal & may;
            first.conditional_assign(&position, fresh & !any);
            several |= fresh & any;
            any |= fresh;
            used |= equal & !may;
        }
        Hits {
            fresh: bool::from(any).then_some(first),
            several: several.into(),
            used: used.into(),
        }
    }

    fn equal_at(&self, position: MovingFactor, code: &Code, work: &mut Work) -> Choice {
        work.0 += 1;
        self.generator.code(position).ct_eq(code)
    }

    /// Uses up every position that the code fits and, when the first of them lies outside the window,
    /// learns where the device stands. Returns whether it did.
    pub fn accept(&mut self, hits: Hits, code: &Code, now: UnixTime, reach: &Reach) -> bool {
        let Some(position) = hits.fresh else {
            return false;
        };
        let resynchronised = !reach
            .window(self.token, &self.state, now)
            .contains(&position);
        if hits.several {
            self.burn_all(
                self.acceptable(now, reach)
                    .filter(|other| *other != position),
                code,
            );
        }
        if let (Kind::Totp { period }, true) = (&self.token.kind, resynchronised) {
            self.state.skew = skew_of(position, period.step(now)).unwrap_or(self.state.skew);
        }
        self.state.advance_past(position);
        resynchronised
    }

    /// Uses up every position nearby that the code fits, and remembers the first as candidate.
    pub fn remember(&mut self, hits: Hits, code: &Code, now: UnixTime, reach: &Reach) {
        self.state.candidate = hits.fresh;
        if let Some(position) = hits.fresh {
            self.state.burn(position);
        }
        if hits.several {
            self.burn_all(
                self.nearby(now, reach)
                    .filter(|other| Some(*other) != hits.fresh),
                code,
            );
        }
    }

    fn burn_all(&mut self, positions: impl Iterator<Item = MovingFactor>, code: &Code) {
        for position in positions {
            let equal = self.equal_at(position, code, &mut Work::default());
            if bool::from(equal) && self.state.is_fresh(position) {
                self.state.burn(position);
            }
        }
    }

    /// Whether the lowest acceptable step lies further ahead than any skew explains: the clock was
    /// ahead at an earlier login, and every right code is refused until `otpgate resync`.
    #[must_use]
    pub fn watermark_is_ahead(&self, now: UnixTime) -> bool {
        match self.token.kind {
            Kind::Totp { period } => {
                self.state.next > period.step(now).saturating_add(2 * MAX_SKEW)
            }
            Kind::Hotp { .. } | Kind::Delivered { .. } => false,
        }
    }
}

/// Steps by which `position` is ahead of `step`; `None` beyond [`MAX_SKEW`].
#[must_use]
pub fn skew_of(position: MovingFactor, step: MovingFactor) -> Option<i8> {
    let ahead = i64::try_from(i128::from(position) - i128::from(step)).ok()?;
    i8::try_from(ahead)
        .ok()
        .filter(|skew| u64::from(skew.unsigned_abs()) <= MAX_SKEW)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::tests::{hotp_token, totp_token};

    const NOW: UnixTime = UnixTime(1_700_000_000);
    const STEP: MovingFactor = NOW.0 / 30;

    fn device(token: &Token) -> Device<'_> {
        Device::new(token, TokenState::new(token.serial, &token.kind))
    }

    fn offsets(
        token: &Token,
        state: TokenState,
        range: impl Iterator<Item = MovingFactor>,
    ) -> Vec<MovingFactor> {
        let device = Device::new(token, state);
        let fits = |position: &MovingFactor| {
            let code = token.generator().code(*position);
            device
                .hits(&code, NOW, &Reach::default(), &mut Work::default())
                .fresh
                == Some(*position)
        };
        range.filter(fits).collect()
    }

    #[test]
    fn rfc_6238_5_2_the_window_is_one_step_either_side() {
        let token = totp_token("phone");
        let state = TokenState::new(token.serial, &token.kind);
        let fitting = offsets(&token, state.clone(), STEP - 30..STEP + 30);
        assert_eq!(fitting, [STEP - 1, STEP, STEP + 1]);
        let skewed = TokenState { skew: -7, ..state };
        assert_eq!(
            offsets(&token, skewed, STEP - 30..STEP + 30),
            [STEP - 8, STEP - 7, STEP - 6]
        );
    }

    #[test]
    fn rfc_4226_7_2_the_look_ahead_is_ten_beyond_the_counter() {
        let token = hotp_token("key");
        let state = TokenState {
            next: 50,
            ..TokenState::new(token.serial, &token.kind)
        };
        assert_eq!(
            offsets(&token, state, 0..200),
            (50..=60).collect::<Vec<_>>()
        );
    }

    #[test]
    fn rfc_4226_7_4_near_hits_lie_outside_the_window_and_within_the_resync_range() {
        let near = |token: &Token, position| {
            let code = token.generator().code(position);
            device(token)
                .near_hits(&code, NOW, &Reach::default(), &mut Work::default())
                .fresh
        };
        let totp = totp_token("phone");
        let hits: Vec<_> = (STEP - 40..STEP + 40)
            .filter(|step| near(&totp, *step) == Some(*step))
            .collect();
        let expected: Vec<_> = (STEP - 10..STEP - 1).chain(STEP + 2..=STEP + 10).collect();
        assert_eq!(hits, expected);
        let hotp = hotp_token("key");
        let hits: Vec<_> = (0..200)
            .filter(|counter| near(&hotp, *counter) == Some(*counter))
            .collect();
        assert_eq!(hits, (11..=100).collect::<Vec<_>>());
    }

    #[test]
    fn total_skew_is_bounded() {
        assert_eq!(skew_of(STEP + 20, STEP), Some(20));
        assert_eq!(skew_of(STEP - 20, STEP), Some(-20));
        assert_eq!(skew_of(STEP + 21, STEP), None);
        assert_eq!(skew_of(u64::MAX, 0), None);
        let token = totp_token("phone");
        let skewed = TokenState {
            skew: 15,
            ..TokenState::new(token.serial, &token.kind)
        };
        let code = token.generator().code(STEP + 21);
        let device = Device::new(&token, skewed);
        assert_eq!(
            device
                .near_hits(&code, NOW, &Reach::default(), &mut Work::default())
                .fresh,
            None
        );
    }

    #[test]
    fn refusals_cost_the_same_for_each_kind_of_device() {
        let reach = Reach::default();
        for token in [totp_token("phone"), hotp_token("key")] {
            let mut work = Work::default();
            let code = Code::parse(b"00000000").unwrap();
            assert_eq!(
                device(&token).hits(&code, NOW, &reach, &mut work),
                Hits::default()
            );
            assert_eq!(
                device(&token).near_hits(&code, NOW, &reach, &mut work),
                Hits::default()
            );
            work.pad(&reach);
            assert_eq!(work.0, reach.usual_work(), "{}", token.id);
        }
    }

    #[test]
    fn the_ends_of_the_number_line_are_walls() {
        let token = hotp_token("key");
        let lost = TokenState {
            next: u64::MAX,
            ..TokenState::new(token.serial, &token.kind)
        };
        let code = token.generator().code(u64::MAX);
        let now = UnixTime(u64::MAX);
        let hits =
            Device::new(&token, lost).hits(&code, now, &Reach::default(), &mut Work::default());
        assert_eq!(
            (hits.fresh, hits.used),
            (None, true),
            "it could be replayed for ever"
        );
        let last = TokenState {
            next: u64::MAX - 1,
            ..TokenState::new(token.serial, &token.kind)
        };
        let mut device = Device::new(&token, last);
        let code = token.generator().code(u64::MAX - 1);
        let hits = device.hits(&code, now, &Reach::default(), &mut Work::default());
        assert_eq!(hits.fresh, Some(u64::MAX - 1));
        device.accept(hits, &code, now, &Reach::default());
        assert_eq!(
            device
                .hits(&code, now, &Reach::default(), &mut Work::default())
                .fresh,
            None
        );
    }
}
