//! Several processes with one code at once.

use super::door::{Door, Which, answer, client_answer};
use super::owner::Owner;
use crate::journal::{Answer, Typed};
use crate::random::Random;
use crate::world::{HOME, World};
use std::thread;
use tests::application::{Barrier, Running};
use tests::clients::gate::Gate;
use tests::clients::openssh::{Way, ssh};

impl Owner {
    /// With the device's code, then the next one.
    pub(super) fn race(&mut self, world: &World, random: &mut Random) {
        let factor = self.fresh(random);
        let code = self.device.code(factor).to_owned();
        let (typed, count) = (self.typed(factor), random.between(3, 6));
        match self.door {
            Door::Server(which) => self.race_of_clients(world, which, typed, &code),
            _ => self.race_of_processes(world, typed, &code, count),
        }
        self.calm();
        self.right(world, random);
    }

    /// With a recovery code, then the device again.
    pub(super) fn race_recovery(&mut self, world: &World, random: &mut Random) {
        let (typed, code) = self.recovery_code(world);
        self.race_of_processes(world, typed, &code, random.between(3, 6));
        self.calm();
        self.right(world, random);
    }

    fn race_of_processes(&mut self, world: &World, typed: Typed, code: &str, count: u64) {
        let barrier = Barrier::new();
        let login = || world.installation.login(&self.name).from(HOME).answer(code);
        let start = |_| login().at(self.clock()).start_at(&barrier);
        let mut running: Vec<Running> = (0..count).map(start).collect();
        let begun: Vec<_> = running
            .iter()
            .map(|_| self.journal.doing(self.login(typed)))
            .collect();
        barrier.open_for(&mut running);
        let finish = |running: Running| answer(running.finish().code());
        let answers: Vec<Answer> = running.into_iter().map(finish).collect();
        for (begun, answer) in begun.into_iter().zip(answers) {
            self.journal.told(begun, answer);
        }
    }

    fn race_of_clients(&mut self, world: &World, which: Which, typed: Typed, code: &str) {
        const CLIENTS: usize = 3;
        let begun = [(); CLIENTS].map(|()| self.journal.doing(self.login(typed)));
        let gate = &Gate::new(world.sandbox);
        let answers: Vec<Answer> = thread::scope(|scope| {
            let client = |_| {
                let login = which.of(world).login(world, code).with_gate(gate);
                scope.spawn(move || client_answer(&ssh(&login, Way::Askpass, &[], "id -un")))
            };
            let clients: Vec<_> = (0..CLIENTS).map(client).collect();
            let _open = gate.open_for(CLIENTS);
            let join = |client: thread::ScopedJoinHandle<Answer>| client.join().unwrap();
            clients.into_iter().map(join).collect()
        });
        for (begun, answer) in begun.into_iter().zip(answers) {
            self.journal.told(begun, answer);
        }
    }
}
