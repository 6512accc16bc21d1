//! The host's clock goes wrong, and comes back.

use super::owner::Owner;
use crate::journal::{Change, Kind, Typed};
use crate::random::Random;
use crate::world::World;

const DAY: u64 = 86_400;
const STEP: u64 = 30;

impl Owner {
    /// One login years ahead. Back again, time-based codes lie behind the watermark until an administrator
    /// says where the device stands.
    pub(super) fn clock_ahead(&mut self, world: &World, random: &mut Random) {
        self.right(world, random);
        let before = self.clock;
        self.tick(random.between(100 * DAY, 4000 * DAY) / STEP);
        self.right(world, random);
        self.clock = before;
        self.right(world, random);
        if self.kind == Kind::Totp {
            self.resync(world, random);
        }
        self.right(world, random);
    }

    /// Back for a while: what was used is used, and so is what was never shown and lies below.
    pub(super) fn clock_back(&mut self, world: &World, random: &mut Random) {
        let used = self.fresh(random);
        self.show(world, used);
        let before = self.clock;
        let back = random.between(2, 2 * DAY / STEP);
        self.clock = before.map(|clock| clock - back * STEP);
        self.show(world, used);
        match self.kind {
            Kind::Totp => self.show(world, used - back),
            // A counter does not mind.
            Kind::Hotp | Kind::File => {
                self.right(world, random);
                self.show(world, used)
            }
        };
        self.clock = before;
        self.calm();
        self.right(world, random);
    }

    /// So many wrong codes in the future that there is a wait; back again, it ends when the longest one does. Less
    /// than a month ahead: the address must stay the usual one.
    pub(super) fn wait_ahead(&mut self, world: &World, random: &mut Random) {
        let before = self.clock;
        self.tick(random.between(1, 25) * DAY / STEP);
        for _ in 0..random.between(4, 7) {
            let code = self.wrong_code(random);
            self.enter(world, Typed::Wrong, &code);
            self.tick(random.between(0, 2));
        }
        self.clock = before;
        self.right(world, random);
        self.calm();
        self.right(world, random);
    }

    /// Two codes in a row, told to an administrator.
    pub(super) fn resync(&mut self, world: &World, random: &mut Random) {
        let first = loop {
            let first = self.fresh(random);
            if self.device.is_plain(first + 1) {
                break first;
            }
        };
        let codes = [first, first + 1].map(|factor| self.device.code(factor).to_owned());
        let input = codes.join("\n") + "\n";
        let change = Change::Resync { factor: first + 1 };
        self.change(world, change, &["resync", &self.name.clone()], &input);
        self.next = self.next.max(first + 2);
        // A time-based one has shown the next step's code.
        self.tick(1);
    }
}
