//! Positions that were refused as candidates, and must not be accepted later.

use crate::hotp::MovingFactor;

/// Positions that are remembered at once, counted from the lowest. No device's codes are looked for
/// over a longer range: [`crate::config`] bounds what `resync` may say.
pub const REACH: u64 = 128;

/// A set of positions within [`REACH`] of each other. One that lies further up pushes the lowest out:
/// for a clock it has long passed, for a counter it lies outside the range that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Burnt {
    pub(super) base: MovingFactor,
    pub(super) bits: u128,
}

impl Burnt {
    /// Whether the position is used up.
    #[must_use]
    pub fn contains(&self, position: MovingFactor) -> bool {
        let offset = position
            .checked_sub(self.base)
            .filter(|offset| *offset < REACH);
        offset.is_some_and(|offset| self.bits >> offset & 1 == 1)
    }

    /// Uses the position up.
    pub fn insert(&mut self, position: MovingFactor) {
        if self.bits == 0 {
            *self = Self {
                base: position,
                bits: 1,
            };
            return;
        }
        if position < self.base {
            let down = self.base - position;
            if down > u64::from(self.bits.leading_zeros()) {
                // So far below what is burnt already that only a clock set back by an hour leads here.
                return;
            }
            *self = Self {
                base: position,
                bits: self.bits << down,
            };
        }
        self.forget_below(position.saturating_sub(REACH - 1));
        if self.bits == 0 {
            self.base = position;
        }
        self.bits |= 1 << (position - self.base);
    }

    /// Forgets what lies below `next`, which is never looked at again.
    pub fn forget_below(&mut self, next: MovingFactor) {
        if let Some(up) = next.checked_sub(self.base) {
            self.bits = u32::try_from(up)
                .ok()
                .and_then(|up| self.bits.checked_shr(up))
                .unwrap_or(0);
            self.base = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn like_a_set_as_long_as_the_positions_are_near(
            positions in proptest::collection::vec(1_000..1_100_u64, 1..40),
            next in 990..1_110_u64,
        ) {
            let (mut burnt, mut set) = (Burnt::default(), BTreeSet::new());
            for position in positions {
                burnt.insert(position);
                set.insert(position);
            }
            burnt.forget_below(next);
            set.retain(|position| *position >= next);
            for position in 900..1_300 {
                prop_assert_eq!(burnt.contains(position), set.contains(&position), "{}", position);
            }
        }

        #[test]
        fn the_last_one_is_always_in_and_nothing_panics(
            positions in proptest::collection::vec(any::<u64>(), 1..40),
        ) {
            let mut burnt = Burnt::default();
            let mut highest = 0;
            for position in positions {
                burnt.insert(position);
                highest = highest.max(position);
                prop_assert!(burnt.contains(highest));
            }
        }
    }
}
