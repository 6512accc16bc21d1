//! What an administrator does for a user, and whether it stands.

use super::device::Device;
use super::door::Door;
use super::life::Life;
use super::owner::Owner;
use crate::journal::{Answer, Change, Deed, Journal, Kind};
use crate::random::Random;
use crate::world::World;
use serde_json::Value;
use std::fs;
use std::thread::sleep;
use std::time::Duration;
use tests::google_authenticator;

/// Tries on a disk that is full, some milliseconds apart.
const TRIES: usize = 3_000;

impl Owner {
    /// Somebody new, who has logged in once.
    pub(super) fn enrolled(
        world: &World,
        name: &str,
        kind: Kind,
        (door, life): (Door, Life),
        journal: Journal,
    ) -> Self {
        let mut owner = Self {
            name: name.to_owned(),
            kind,
            clock: Self::first_clock(&door, life, kind),
            door,
            life,
            journal,
            device: Device::new(0, String::new()),
            next: 0,
            set: 0,
            codes: Vec::new(),
            spent: 0,
        };
        owner.enrol(world, &[]);
        let mut random = Random::new(0, name, 0);
        owner.right(world, &mut random);
        owner
    }

    fn enrol(&mut self, world: &World, more: &[&str]) {
        let device = self.device.number + 1;
        let set = if more.is_empty() {
            self.set + 1
        } else {
            self.set
        };
        let kind = self.kind;
        let change = Change::Enrol { device, kind, set };
        let flag = match kind {
            Kind::File => return self.write_file(world, change, device),
            Kind::Totp => "--totp",
            Kind::Hotp => "--hotp",
        };
        let name = self.name.clone();
        let fixed = [
            "enroll",
            &name,
            "--no-confirm",
            "--qr",
            "none",
            "--json",
            flag,
        ];
        let told = self.change(world, change, &[&fixed[..], more].concat(), "");
        let secret = told["secret"].as_str().unwrap().to_owned();
        self.device = Device::new(device, secret);
        self.next = 0;
        if more.is_empty() {
            self.take_codes(&told, set);
        }
    }

    fn write_file(&mut self, world: &World, change: Change, device: u32) {
        let user = self.name.clone();
        let begun = self.journal.doing(Deed::Change { user, change });
        let kind = google_authenticator::Kind::Totp;
        let secret = google_authenticator::enrol(&world.with_file, kind);
        self.journal.told(begun, Answer::Done);
        self.device = Device::new(device, secret);
    }

    fn take_codes(&mut self, told: &Value, set: u32) {
        let codes = told["recovery_codes"].as_array().unwrap().iter();
        self.codes = codes
            .map(|code| code.as_str().unwrap().to_owned())
            .collect();
        (self.set, self.spent) = (set, 0);
    }

    /// Has something changed, again and again while the disk is full, and returns what was printed.
    pub(super) fn change(
        &mut self,
        world: &World,
        change: Change,
        arguments: &[&str],
        input: &str,
    ) -> Value {
        let user = self.name.clone();
        for _ in 0..TRIES {
            let user = user.clone();
            let begun = self.journal.doing(Deed::Change { user, change });
            let run = world.installation.answer(arguments, input, self.clock());
            if run.success() {
                self.journal.told(begun, Answer::Done);
                return serde_json::from_str(&run.stdout).unwrap_or_default();
            }
            let no_room = run.stderr.contains("No space left");
            let why = format!("{:?} {}", run.status, run.stderr.trim());
            self.journal.told(begun, Answer::NotDone(why.clone()));
            assert!(no_room, "otpgate {arguments:?}: {why}");
            sleep(Duration::from_millis(10));
        }
        panic!("otpgate {arguments:?}: the disk stays full");
    }

    fn simply(&mut self, world: &World, change: Change, command: &str) {
        self.change(world, change, &[command, &self.name.clone()], "");
    }

    /// Whatever is typed is refused until the account is enabled again.
    pub(super) fn disable(&mut self, world: &World, random: &mut Random) {
        self.simply(world, Change::Disable, "disable");
        self.right(world, random);
        self.enable(world);
        self.right(world, random);
    }

    pub(super) fn enable(&mut self, world: &World) {
        self.simply(world, Change::Enable, "enable");
    }

    /// After more failures than are free, the next code counts at once.
    pub(super) fn unlock(&mut self, world: &World, random: &mut Random) {
        for _ in 0..5 {
            let code = self.wrong_code(random);
            self.enter(world, crate::journal::Typed::Wrong, &code);
        }
        self.simply(world, Change::Unlock, "unlock");
        self.right(world, random);
    }

    /// New recovery codes: an old one is worth nothing any more, a new one is.
    pub(super) fn new_recovery(&mut self, world: &World, random: &mut Random) {
        let (typed, code) = self.recovery_code(world);
        self.make_recovery_codes(world);
        self.enter(world, typed, &code);
        let (typed, code) = self.recovery_code(world);
        self.calm();
        self.enter(world, typed, &code);
        self.right(world, random);
    }

    pub(super) fn make_recovery_codes(&mut self, world: &World) {
        let set = self.set + 1;
        let name = self.name.clone();
        let arguments = ["recovery", &name, "--json"];
        let told = self.change(world, Change::Recovery { set }, &arguments, "");
        self.take_codes(&told, set);
    }

    /// Removed, then enrolled again: in between nobody, afterwards somebody new.
    pub(super) fn anew(&mut self, world: &World, random: &mut Random) {
        self.simply(world, Change::Remove, "remove");
        self.right(world, random);
        self.enrol(world, &[]);
        self.right(world, random);
    }

    /// A new phone: the old one's codes are worth nothing.
    pub(super) fn replace(&mut self, world: &World, random: &mut Random) {
        let factor = self.fresh(random);
        let (typed, code) = (self.typed(factor), self.device.code(factor).to_owned());
        self.enrol(world, &["--force"]);
        self.enter(world, typed, &code);
        self.calm();
        self.right(world, random);
    }

    /// Something overwrites the state: nothing counts, until an administrator has repaired it and asked where
    /// the device stands; the recovery codes never count again.
    pub(super) fn repair(&mut self, world: &World, random: &mut Random) {
        let (old, code) = self.recovery_code(world);
        let user = self.name.clone();
        let change = Change::Damage;
        let begun = self.journal.doing(Deed::Change { user, change });
        let state = world.installation.state("state").join(&self.name);
        fs::write(state, "x").unwrap();
        self.journal.told(begun, Answer::Done);
        self.right(world, random);
        self.simply(world, Change::Repair, "repair");
        self.right(world, random);
        self.enter(world, old, &code);
        self.resync(world, random);
        self.make_recovery_codes(world);
        self.calm();
        self.right(world, random);
    }
}
