//! Fills the disk, and empties it again.

use super::Actor;
use crate::journal::{Journal, Sight};
use crate::random::Random;
use crate::world::World;
use std::fs;
use std::thread::sleep;
use std::time::Duration;
use tests::disk;

/// Whoever runs the log rotation.
pub struct Filler {
    journal: Journal,
}

impl Filler {
    /// With this journal.
    pub fn new(journal: Journal) -> Self {
        Self { journal }
    }
}

impl Actor for Filler {
    fn name(&self) -> &str {
        "filler"
    }

    fn round(&mut self, world: &World, random: &mut Random) {
        let file = world.installation.path("filler");
        for _ in 0..3 {
            sleep(Duration::from_millis(random.between(50, 800)));
            self.journal.seen(Sight::Disk { full: true });
            disk::fill(&file);
            sleep(Duration::from_millis(random.between(50, 600)));
            fs::remove_file(&file).unwrap();
            self.journal.seen(Sight::Disk { full: false });
        }
    }
}
