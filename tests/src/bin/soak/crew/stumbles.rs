//! Codes that are wrong, used, early or lost, and what the owner does next.

use super::owner::Owner;
use crate::journal::{Kind, Typed};
use crate::random::Random;
use crate::world::World;

impl Owner {
    /// A few wrong codes, as many as are free, then a right one.
    pub(super) fn wrong_then_right(&mut self, world: &World, random: &mut Random) {
        for _ in 0..random.between(1, 2) {
            self.wrong(world, random);
        }
        self.calm();
        self.right(world, random);
    }

    fn wrong(&mut self, world: &World, random: &mut Random) {
        let code = self.wrong_code(random);
        self.enter(world, Typed::Wrong, &code);
    }

    /// A right code twice, then the next one.
    pub(super) fn replay(&mut self, world: &World, random: &mut Random) {
        let factor = self.fresh(random);
        self.show(world, factor);
        for _ in 0..random.between(1, 2) {
            self.show(world, factor);
        }
        self.right(world, random);
    }

    /// A recovery code twice, then the device again.
    pub(super) fn recovery(&mut self, world: &World, random: &mut Random) {
        let (typed, code) = self.recovery_code(world);
        self.enter(world, typed, &code);
        self.enter(world, typed, &code);
        self.right(world, random);
    }

    /// So many wrong codes that there is a wait; a right one in it; a right one when it is over.
    pub(super) fn wait(&mut self, world: &World, random: &mut Random) {
        for _ in 0..random.between(4, 7) {
            self.wrong(world, random);
            // Some of the waits are over by then, some are not.
            self.tick(random.between(0, 2));
        }
        self.right(world, random);
        self.calm();
        self.right(world, random);
    }

    /// Counter-based: the button was pressed too often, and two codes in a row say so.
    pub(super) fn skip(&mut self, world: &World, random: &mut Random) {
        if self.kind != Kind::Hotp {
            return self.right(world, random);
        }
        self.right(world, random);
        self.next += random.between(11, 60);
        while !(self.device.is_plain(self.next) && self.device.is_plain(self.next + 1)) {
            self.next += 1;
        }
        let first = self.next;
        self.next += 2;
        self.show(world, first);
        self.tick(1);
        self.show(world, first + 1);
        self.right(world, random);
    }
}
