//! Guesses from everywhere: for one user who is enrolled, and for names that nobody has.

use super::Actor;
use super::door::answer;
use crate::journal::{Answer, Change, Deed, Journal, Login, Typed};
use crate::random::Random;
use crate::world::{World, now};

/// Whom it is about. They log in at their usual address all the while.
pub const TARGET: &str = "flooded";

/// Logins of a round.
const GUESSES: u64 = 20;

/// The guesser.
pub struct Flood {
    journal: Journal,
}

impl Flood {
    /// With this journal.
    pub fn new(journal: Journal) -> Self {
        Self { journal }
    }

    fn guess(&mut self, world: &World, user: &str, random: &mut Random) {
        let login = Login {
            user: user.to_owned(),
            typed: Typed::Wrong,
            by_owner: false,
            clock: now(),
        };
        // Seven digits: evaluated and counted like any code, and never one of the target's.
        let code = format!("{:07}", random.below(10_000_000));
        let from = format!("198.51.100.{}", random.between(1, 250));
        let begun = self.journal.doing(Deed::Login(login));
        let report = world.installation.login(user).from(&from).answer(&code);
        self.journal.told(begun, answer(report.run().code()));
    }
}

impl Actor for Flood {
    fn name(&self) -> &str {
        "flood"
    }

    fn round(&mut self, world: &World, random: &mut Random) {
        for _ in 0..GUESSES {
            let user = match random.below(3) {
                0 => format!("nobody{}", random.below(1000)),
                _ => TARGET.to_owned(),
            };
            self.guess(world, &user, random);
        }
        // Foreign addresses stay locked out after ninety guesses; from time to time they may begin anew.
        if random.below(8) == 0 {
            let (user, change) = (TARGET.to_owned(), Change::Unlock);
            let begun = self.journal.doing(Deed::Change { user, change });
            world.installation.must(&["unlock", TARGET]);
            self.journal.told(begun, Answer::Done);
        }
    }
}
