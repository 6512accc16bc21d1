//! The actors. Each of them does one thing after the other and writes it down; all of them do so at once.

mod administration;
mod clocks;
mod device;
mod door;
mod filler;
mod flood;
mod kills;
mod life;
mod owner;
mod races;
mod stumbles;

use crate::journal::{Journal, Kind};
use crate::random::Random;
use crate::world::World;
use door::{Door, Which};
use life::Life;
use owner::Owner;
use std::thread;

/// Somebody with something to do.
pub trait Actor: Send {
    /// For the journal, and for the seed.
    fn name(&self) -> &str;

    /// One round's work.
    fn round(&mut self, world: &World, random: &mut Random);

    /// When everybody rests.
    fn rest(&mut self, _world: &World) {}
}

/// Everybody.
pub fn cast(world: &World) -> Vec<Box<dyn Actor>> {
    let owner = |name, kind, door, life| {
        let journal = Journal::create(&world.journals, name, world.epoch);
        Box::new(Owner::enrolled(world, name, kind, (door, life), journal))
    };
    let app = || Door::Application;
    let mut cast: Vec<Box<dyn Actor>> = vec![
        owner("hana", Kind::Hotp, app(), Life::Eventful),
        owner("hugo", Kind::Hotp, app(), Life::Eventful),
        owner("tove", Kind::Totp, app(), Life::Eventful),
        owner("tomas", Kind::Totp, app(), Life::Eventful),
        owner("file", Kind::File, app(), Life::WithFile),
        owner("quinn", Kind::Hotp, app(), Life::Undisturbed),
        owner("quito", Kind::Totp, app(), Life::Undisturbed),
        owner(flood::TARGET, Kind::Hotp, app(), Life::Undisturbed),
        owner("guest", Kind::Hotp, Door::host(world), Life::Ordinary),
        owner(
            "remote",
            Kind::Hotp,
            Door::Server(Which::Sshd),
            Life::Remote,
        ),
        owner(
            "front",
            Kind::Hotp,
            Door::Server(Which::Frontend),
            Life::Remote,
        ),
    ];
    let journal = |name| Journal::create(&world.journals, name, world.epoch);
    cast.push(Box::new(flood::Flood::new(journal("flood"))));
    cast.push(Box::new(filler::Filler::new(journal("filler"))));
    cast
}

/// One round of all of them.
pub fn round(world: &World, cast: &mut [Box<dyn Actor>], seed: u64, round: u64) {
    thread::scope(|scope| {
        for actor in &mut *cast {
            let mut random = Random::new(seed, actor.name(), round);
            let name = actor.name().to_owned();
            let work = move || actor.round(world, &mut random);
            let thread = thread::Builder::new().name(name);
            thread.spawn_scoped(scope, work).unwrap();
        }
    });
    for actor in cast {
        actor.rest(world);
    }
}
