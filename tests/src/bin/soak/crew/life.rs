//! Which things happen to whom, and how often.

use super::Actor;
use super::owner::Owner;
use crate::random::Random;
use crate::world::World;

/// What happens to somebody.
#[derive(Clone, Copy)]
pub enum Life {
    /// Everything.
    Eventful,
    /// Nothing but right codes, whatever happens to others.
    Undisturbed,
    /// Right, wrong and used codes, at a process that lives long.
    Ordinary,
    /// The same through a server, with races and kills.
    Remote,
    /// The same with a file of one's own.
    WithFile,
}

/// A single thing to do.
#[derive(Clone, Copy)]
pub enum Act {
    Right,
    Travel,
    Wrong,
    Replay,
    Race,
    RaceRecovery,
    Kill,
    KillWrong,
    KillRecovery,
    Recovery,
    Wait,
    Skip,
    ClockAhead,
    ClockBack,
    WaitAhead,
    Disable,
    Unlock,
    NewRecovery,
    Anew,
    Replace,
    Repair,
    KillAdministrator,
}

impl Actor for Owner {
    fn name(&self) -> &str {
        &self.name
    }

    fn round(&mut self, world: &World, random: &mut Random) {
        let acts = match self.life {
            Life::Remote => 3,
            Life::Eventful => 10,
            _ => 15,
        };
        for _ in 0..acts {
            let act = random.weighted(self.acts());
            self.act(act, world, random);
        }
        if let Life::WithFile = self.life {
            // A refusal replaces a file in the state directory, and a killed one may leave that half done. It
            // is gone after the next.
            self.wrong_then_right(world, random);
        }
    }

    fn rest(&mut self, world: &World) {
        if let Some(sight) = self.door.sight(world) {
            self.journal.seen(sight);
        }
    }
}

impl Owner {
    fn acts(&self) -> &'static [(u64, Act)] {
        match self.life {
            Life::Undisturbed => &[(1, Act::Right)],
            Life::Ordinary => &[
                (6, Act::Right),
                (2, Act::Wrong),
                (2, Act::Replay),
                (1, Act::Recovery),
            ],
            Life::Remote => &[
                (2, Act::Right),
                (1, Act::Wrong),
                (1, Act::Replay),
                (2, Act::Race),
                (2, Act::Kill),
            ],
            Life::WithFile => &[
                (4, Act::Right),
                (1, Act::Wrong),
                (2, Act::Replay),
                (2, Act::Race),
                (3, Act::Kill),
                (1, Act::KillWrong),
            ],
            Life::Eventful => &[
                (20, Act::Right),
                (6, Act::Travel),
                (6, Act::Wrong),
                (10, Act::Replay),
                (10, Act::Race),
                (3, Act::RaceRecovery),
                (20, Act::Kill),
                (6, Act::KillWrong),
                (3, Act::KillRecovery),
                (4, Act::Recovery),
                (4, Act::Wait),
                (3, Act::Skip),
                (3, Act::ClockAhead),
                (4, Act::ClockBack),
                (3, Act::WaitAhead),
                (3, Act::Disable),
                (2, Act::Unlock),
                (2, Act::NewRecovery),
                (2, Act::Anew),
                (2, Act::Replace),
                (2, Act::Repair),
                (5, Act::KillAdministrator),
            ],
        }
    }

    fn act(&mut self, act: Act, world: &World, random: &mut Random) {
        match act {
            Act::Right => self.right(world, random),
            Act::Travel => self.travel(world, random),
            Act::Wrong => self.wrong_then_right(world, random),
            Act::Replay => self.replay(world, random),
            Act::Race => self.race(world, random),
            Act::RaceRecovery => self.race_recovery(world, random),
            Act::Kill => self.kill(world, random),
            Act::KillWrong => self.kill_wrong(world, random),
            Act::KillRecovery => self.kill_recovery(world, random),
            Act::Recovery => self.recovery(world, random),
            Act::Wait => self.wait(world, random),
            Act::Skip => self.skip(world, random),
            Act::ClockAhead => self.clock_ahead(world, random),
            Act::ClockBack => self.clock_back(world, random),
            Act::WaitAhead => self.wait_ahead(world, random),
            Act::Disable => self.disable(world, random),
            Act::Unlock => self.unlock(world, random),
            Act::NewRecovery => self.new_recovery(world, random),
            Act::Anew => self.anew(world, random),
            Act::Replace => self.replace(world, random),
            Act::Repair => self.repair(world, random),
            Act::KillAdministrator => self.kill_administrator(world, random),
        }
    }
}
