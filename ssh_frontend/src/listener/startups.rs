//! MaxStartups: who is turned away while many are not logged in yet.
//!
//! A flood of half-open connections must not keep everybody out. From `begin` on some are dropped at
//! random, so that a real user who tries again gets through, and only at `full` all are.

use crate::config::MaxStartups;

/// What becomes of a new connection.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is served.
    Keep,
    /// It is closed.
    Drop,
}

/// Judges a new connection while `waiting` others are not logged in. `random` is any number, each as likely
/// as the others.
pub fn admit(waiting: usize, limits: MaxStartups, random: u32) -> Admission {
    let waiting = u64::try_from(waiting).unwrap_or(u64::MAX);
    let (begin, full) = (u64::from(limits.begin), u64::from(limits.full));
    if waiting < begin {
        return Admission::Keep;
    }
    if waiting >= full {
        return Admission::Drop;
    }
    // The line from `rate` percent at `begin` to a hundred at `full`; begin < full here.
    let rate = u64::from(limits.rate.min(100));
    let percent = rate + (100 - rate) * (waiting - begin) / (full - begin);
    match u64::from(random) % 100 < percent {
        true => Admission::Drop,
        false => Admission::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: MaxStartups = MaxStartups {
        begin: 10,
        rate: 30,
        full: 100,
    };

    fn dropped_of_hundred(waiting: usize, limits: MaxStartups) -> usize {
        let dropped = |random: &u32| admit(waiting, limits, *random) == Admission::Drop;
        (0..100).filter(dropped).count()
    }

    #[test]
    fn the_rate_rises_from_begin_to_full() {
        for (waiting, percent) in [
            (0, 0),
            (9, 0),
            (10, 30),
            (11, 30),
            (55, 65),
            (99, 99),
            (100, 100),
            (usize::MAX, 100),
        ] {
            assert_eq!(dropped_of_hundred(waiting, LIMITS), percent, "{waiting}");
        }
    }

    #[test]
    fn one_number_is_a_hard_limit() {
        let limits = MaxStartups {
            begin: 3,
            rate: 100,
            full: 3,
        };
        assert_eq!(dropped_of_hundred(2, limits), 0);
        assert_eq!(dropped_of_hundred(3, limits), 100);
    }
}
