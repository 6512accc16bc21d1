//! A device that makes codes, and knows which digits are to be kept away from.

use crate::random::Random;
use std::collections::BTreeMap;
use tests::oath;

/// Positions that the product may look at, and some: resynchronisation reaches a hundred ahead.
const REACH: u64 = 150;
/// Codes that are made at once.
const CHUNK: u64 = 512;

/// A time-based one is a counter-based one whose counter is the time step.
pub struct Device {
    /// Which one of the user's, counted from 1.
    pub number: u32,
    secret: String,
    chunks: BTreeMap<u64, Vec<String>>,
}

impl Device {
    /// With this secret, in base32.
    pub fn new(number: u32, secret: String) -> Self {
        Self {
            number,
            secret,
            chunks: BTreeMap::new(),
        }
    }

    /// The code at this position.
    pub fn code(&mut self, factor: u64) -> &str {
        let chunk = factor / CHUNK;
        // A clock that jumps leaves many behind.
        if self.chunks.len() > 8 && !self.chunks.contains_key(&chunk) {
            self.chunks.clear();
        }
        let codes = self
            .chunks
            .entry(chunk)
            .or_insert_with(|| oath::hotp_range(&self.secret, chunk * CHUNK, CHUNK));
        &codes[usize::try_from(factor % CHUNK).unwrap()]
    }

    /// Whether the code stands nowhere else nearby. One that does, as it happens once in some thousand, is
    /// used up in both places, and no actor could say afterwards which it was.
    pub fn is_plain(&mut self, factor: u64) -> bool {
        let code = self.code(factor).to_owned();
        self.around(factor, |other, there| other == factor || there != code)
    }

    /// Six digits that stand nowhere near.
    pub fn wrong(&mut self, factor: u64, random: &mut Random) -> String {
        loop {
            let digits = format!("{:06}", random.below(1_000_000));
            if self.around(factor, |_, there| there != digits) {
                return digits;
            }
        }
    }

    fn around(&mut self, factor: u64, holds: impl Fn(u64, &str) -> bool) -> bool {
        let mut range = factor.saturating_sub(REACH)..=factor + REACH;
        range.all(|other| holds(other, self.code(other)))
    }
}
