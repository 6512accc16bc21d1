//! A user who owns a device, and what all of them can do.

use super::device::Device;
use super::door::Door;
use super::life::Life;
use crate::journal::{Answer, Deed, Journal, Kind, Login, Typed};
use crate::random::Random;
use crate::world::{HOME, World, now};
use tests::clock::Clock;

/// The first second of a time step, long after any clock that ran when this was written.
const FIRST: u64 = 2_000_000_010;
const STEP: u64 = 30;
/// Longer than the longest wait, in whole steps.
const CALM: u64 = 930;

/// The user.
pub struct Owner {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) door: Door,
    pub(super) life: Life,
    pub(super) journal: Journal,
    /// The user's time; `None` for the machine's.
    pub(super) clock: Option<u64>,
    pub(super) device: Device,
    /// Counter-based: the next position that was never shown.
    pub(super) next: u64,
    /// The number of the current set of recovery codes, the codes, and how many were tried.
    pub(super) set: u32,
    pub(super) codes: Vec<String>,
    pub(super) spent: usize,
}

impl Owner {
    /// A code that was never shown, at a moment at which it is right.
    pub(super) fn fresh(&mut self, random: &mut Random) -> u64 {
        match self.kind {
            Kind::Hotp => {
                let skipped = [(8, 0), (1, 1), (1, 3)];
                self.next += random.weighted(&skipped);
                self.tick(random.between(1, 3));
                while !self.device.is_plain(self.next) {
                    self.next += 1;
                }
                self.next += 1;
                self.next - 1
            }
            Kind::Totp | Kind::File => {
                self.tick(random.between(1, 3));
                while !self.device.is_plain(self.now() / STEP) {
                    self.tick(1);
                }
                self.now() / STEP
            }
        }
    }

    /// A right code. Whether it has to be let in is for the checker to say.
    pub(super) fn right(&mut self, world: &World, random: &mut Random) {
        let factor = self.fresh(random);
        self.show(world, factor);
    }

    /// A right code from an address where the user seldom or never was: nobody guesses for them, so it counts
    /// as well. There are more of these than are remembered.
    pub(super) fn travel(&mut self, world: &World, random: &mut Random) {
        let factor = self.fresh(random);
        let code = self.device.code(factor).to_owned();
        let address = format!("203.0.113.{}", random.between(1, 20));
        self.enter_from(world, &address, self.typed(factor), &code);
        self.right(world, random);
    }

    /// Logs in with the code at this position.
    pub(super) fn show(&mut self, world: &World, factor: u64) -> Answer {
        let code = self.device.code(factor).to_owned();
        self.enter(world, self.typed(factor), &code)
    }

    pub(super) fn typed(&self, factor: u64) -> Typed {
        let device = self.device.number;
        Typed::Code { device, factor }
    }

    /// Logs in.
    pub(super) fn enter(&mut self, world: &World, typed: Typed, code: &str) -> Answer {
        self.enter_from(world, HOME, typed, code)
    }

    pub(super) fn enter_from(
        &mut self,
        world: &World,
        address: &str,
        typed: Typed,
        code: &str,
    ) -> Answer {
        let begun = self.journal.doing(self.login(typed));
        let answer = self
            .door
            .knock(world, &self.name, (address, self.clock()), code);
        self.journal.told(begun, answer.clone());
        answer
    }

    pub(super) fn login(&self, typed: Typed) -> Deed {
        Deed::Login(Login {
            user: self.name.clone(),
            typed,
            by_owner: true,
            clock: self.now(),
        })
    }

    /// A recovery code that was never tried.
    pub(super) fn recovery_code(&mut self, world: &World) -> (Typed, String) {
        if self.spent == self.codes.len() {
            self.make_recovery_codes(world);
        }
        let (set, number) = (self.set, self.spent);
        self.spent += 1;
        let typed = Typed::Recovery {
            set,
            number: u32::try_from(number).unwrap(),
        };
        (typed, self.codes[number].clone())
    }

    /// The user's time.
    pub(super) fn now(&self) -> u64 {
        self.clock.unwrap_or_else(now)
    }

    pub(super) fn clock(&self) -> Clock {
        self.clock.map_or(Clock::Real, Clock::StartingAt)
    }

    /// Steps pass. The machine's time does not care.
    pub(super) fn tick(&mut self, steps: u64) {
        if let Some(clock) = &mut self.clock {
            *clock += steps * STEP;
        }
    }

    /// Any wait that failures brought about is over.
    pub(super) fn calm(&mut self) {
        self.tick(CALM / STEP);
    }

    /// Six digits that are nobody's.
    pub(super) fn wrong_code(&mut self, random: &mut Random) -> String {
        let factor = match self.kind {
            Kind::Hotp => self.next,
            Kind::Totp | Kind::File => self.now() / STEP,
        };
        self.device.wrong(factor, random)
    }

    /// Whose clock is whose: only a process of one's own can be told another time.
    pub(super) fn first_clock(door: &Door, life: Life, kind: Kind) -> Option<u64> {
        match (door, life, kind) {
            (Door::Application, Life::Undisturbed, Kind::Hotp) => None,
            (Door::Application, ..) => Some(FIRST),
            _ => None,
        }
    }
}
