//! How long, and by which seed.

use std::env;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What the environment asks for.
pub struct Plan {
    /// `OTPGATE_SOAK_SEED`; otherwise the time.
    pub seed: u64,
    end: End,
}

enum End {
    Rounds(u64),
    At(Instant),
}

impl Plan {
    /// `OTPGATE_SOAK_ROUNDS`, or `OTPGATE_SOAK_SECONDS`, or an hour.
    pub fn from_environment() -> Self {
        let now = || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            now.as_secs()
        };
        let seconds = number("OTPGATE_SOAK_SECONDS").unwrap_or(3600);
        Self {
            seed: number("OTPGATE_SOAK_SEED").unwrap_or_else(now),
            end: match number("OTPGATE_SOAK_ROUNDS") {
                Some(rounds) => End::Rounds(rounds),
                None => End::At(Instant::now() + Duration::from_secs(seconds)),
            },
        }
    }

    /// Whether there is to be a round of this number, from 0. The first one is always run.
    pub fn goes_on(&self, round: u64) -> bool {
        match self.end {
            End::Rounds(rounds) => round < rounds.max(1),
            End::At(end) => round == 0 || Instant::now() < end,
        }
    }
}

fn number<T: FromStr>(variable: &str) -> Option<T> {
    let text = env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}
