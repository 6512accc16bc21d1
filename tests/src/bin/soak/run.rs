//! Rounds of everybody at once, then the verdict.

use crate::check::{self, Findings};
use crate::crew;
use crate::figures;
use crate::journal::{History, Journal};
use crate::plan::Plan;
use crate::world::World;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;
use tests::disk::Disk;
use tests::sandbox::{self, Sandbox};

/// Room for the users, the decoys, and little else.
const DISK: u64 = 8 << 20;
const LOG: &str = "syslog";

/// The whole soak. The journals stay if it fails.
pub fn soak(plan: &Plan) -> ExitCode {
    let journals = tempfile::Builder::new()
        .prefix("otpgate-soak-")
        .tempdir_in("/var/tmp")
        .unwrap();
    eprintln!(
        "soak: OTPGATE_SOAK_SEED={}, journals in {}",
        plan.seed,
        journals.path().display()
    );
    let disk = Disk::ext4(DISK);
    let lived = sandbox::run(|sandbox| live(sandbox, &disk, plan, journals.path()));
    let verdict = judge(journals.path());
    if lived && verdict == ExitCode::SUCCESS {
        return verdict;
    }
    eprintln!(
        "soak: failed; the journals stay in {}",
        journals.keep().display()
    );
    ExitCode::FAILURE
}

/// Everybody at once, round after round. Says whether nobody gave up; the log is kept in any case.
fn live(sandbox: &Sandbox, disk: &Disk, plan: &Plan, journals: &Path) -> bool {
    let volume = disk.mount(sandbox);
    let world = World::new(sandbox, &volume, journals.to_owned());
    let lived = catch_unwind(AssertUnwindSafe(|| rounds(&world, plan)));
    fs::write(journals.join(LOG), sandbox.syslog().lines().join("\n")).unwrap();
    lived.is_ok()
}

fn rounds(world: &World, plan: &Plan) {
    let mut inventory = Journal::create(&world.journals, "inventory", world.epoch);
    let mut cast = crew::cast(world);
    let began = Instant::now();
    let mut rounds = 0;
    while plan.goes_on(rounds) {
        crew::round(world, &mut cast, plan.seed, rounds);
        inventory.seen(world.files());
        rounds += 1;
    }
    eprintln!("soak: {rounds} rounds in {} s", began.elapsed().as_secs());
}

/// What the journals of a directory say.
pub fn judge(directory: &Path) -> ExitCode {
    let history = match History::read(directory) {
        Ok(history) => history,
        Err(error) => {
            eprintln!("soak: {}: {error}", directory.display());
            return ExitCode::FAILURE;
        }
    };
    let Ok(log) = fs::read_to_string(directory.join(LOG)) else {
        // An actor has given up, and said why; what the others did half can be read all the same.
        eprintln!("soak: without its log this run cannot be judged");
        return ExitCode::FAILURE;
    };
    let log: Vec<String> = log.lines().map(str::to_owned).collect();
    for line in figures::of(&history) {
        eprintln!("{line}");
    }
    let Findings {
        violations,
        expected: [must_in, must_out, either],
    } = check::check(&history, &log);
    for violation in &violations {
        eprintln!("soak: BROKEN PROMISE: {violation}");
    }
    eprintln!(
        "soak: {} deeds and {} lines of the log were checked: {} broken promises",
        history.entries.len(),
        log.len(),
        violations.len()
    );
    eprintln!(
        "soak: {must_in} logins had to be let in, {must_out} refused; of {either} nobody could know"
    );
    // A checker that expects nothing finds nothing.
    match violations.is_empty() && must_in + must_out > either {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
