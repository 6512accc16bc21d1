//! Every target over what it begins with, changed at random: a little of what a fuzzer does, in every
//! `make test`, and the same each time. `OTPGATE_MUTATIONS=100000` is a longer run, `OTPGATE_MUTATIONS_SEED`
//! another one.

use std::env;
use std::fs;
use std::path::Path;

use fuzz_bodies::{TARGETS, run};

/// Changed inputs of each target.
const USUAL: u64 = 1_500;
/// Longest input, in bytes: so long is what libFuzzer makes by itself.
const LONGEST: usize = 4096;

fn number(name: &str, usual: u64) -> u64 {
    let text = env::var(name).ok();
    text.map_or(usual, |text| text.parse().expect(name))
}

/// Marsaglia's xorshift: nothing here has to be unpredictable.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % sides.max(1)
    }

    fn part(&mut self, of: &[u8]) -> std::ops::Range<usize> {
        let start = self.roll(of.len() + 1);
        let most = (of.len() - start).min(1 << self.roll(8));
        start..start + self.roll(most + 1)
    }

    fn change(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.roll(input.len() + 1);
        match self.roll(7) {
            0 if at < input.len() => input[at] ^= 1 << self.roll(8),
            1 if at < input.len() => {
                input[at] = input[at]
                    .wrapping_add(1)
                    .wrapping_sub(2 * u8::from(self.roll(2) == 0))
            }
            2 => input.insert(at, u8::try_from(self.roll(256)).unwrap()),
            3 => {
                let part = self.part(input);
                input.drain(part);
            }
            4 => {
                let part = self.part(input);
                let copy = input[part].to_vec();
                input.splice(at..at, copy);
            }
            5 => {
                let other = &seeds[self.roll(seeds.len())];
                let part = self.part(other);
                input.splice(at..at, other[part].iter().copied());
            }
            _ => {
                const NUMBERS: [&str; 6] = [
                    "0",
                    "-1",
                    "255",
                    "4294967296",
                    "9223372036854775807",
                    "18446744073709551616",
                ];
                let text = NUMBERS[self.roll(NUMBERS.len())];
                input.splice(at..at, text.bytes());
            }
        }
        input.truncate(LONGEST);
    }
}

/// Says what it was, should the target panic.
struct Shown<'a>(&'a str, &'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: b\"{}\"", self.0, self.1.escape_ascii());
        }
    }
}

#[test]
fn no_target_finds_anything_in_changed_seeds() {
    let rounds = number("OTPGATE_MUTATIONS", USUAL);
    let wanted = env::var("OTPGATE_MUTATIONS_TARGET").ok();
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../seeds");
    for (target, _) in TARGETS {
        if wanted.as_ref().is_some_and(|wanted| wanted != target) {
            continue;
        }
        let mut files: Vec<_> = fs::read_dir(seeds.join(target))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        let seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
        let mut dice = Dice(number("OTPGATE_MUTATIONS_SEED", 1) * 2 + 1);
        // A hundred logins with all their codes take longer than a line of text.
        let rounds = if target == "logins" {
            rounds / 20
        } else {
            rounds
        };
        for _ in 0..rounds {
            let mut input = seeds[dice.roll(seeds.len())].clone();
            for _ in 0..=dice.roll(6) {
                dice.change(&mut input, &seeds);
            }
            let shown = Shown(target, &input);
            run(target, &input);
            drop(shown);
        }
    }
}
