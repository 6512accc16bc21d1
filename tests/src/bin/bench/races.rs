//! How many of sixteen logins one code opens, and how many of sixteen users get in who log in at once. Right
//! would be one, and sixteen.

use tests::application::{Barrier, Login, Report, Running};
use tests::built;

use crate::place::{Place, USERS, racing_users};
use crate::plot;
use crate::report::{Goal, Row};

/// Races of each kind and module.
const ROUNDS: usize = 25;

/// What is raced.
struct Module {
    name: &'static str,
    /// With one user.
    alone: (&'static str, &'static str),
    /// The service that knows all of [`racing_users`].
    together: &'static str,
}

const MODULES: [Module; 3] = [
    Module {
        name: "otpgate",
        alone: ("ours", "alice"),
        together: "ours",
    },
    Module {
        name: "google-authenticator",
        alone: ("theirs-still", "root"),
        together: "theirs-users-still",
    },
    Module {
        name: "pam_oath",
        alone: ("oath", "alice"),
        together: "oath",
    },
];

pub fn bench() -> Vec<Row> {
    let directory = tempfile::tempdir_in(built::target_directory()).unwrap();
    let place = Place::prepare(directory.path());
    let one_code = MODULES.map(|module| (module.name, of_one_code(&place, &module)));
    let all_users = MODULES.map(|module| (module.name, of_all_users(&place, &module)));
    for (what, raced) in [("one code", &one_code), ("sixteen users", &all_users)] {
        println!(
            "\n| {ROUNDS} races of {USERS} logins, {what} | logins let in | fewest, most |\n| --- | --- | --- |"
        );
        for (name, opened) in raced {
            let (sum, few, most) = (total(opened), opened.iter().min(), opened.iter().max());
            println!("| {name} | {sum} | {}, {} |", few.unwrap(), most.unwrap());
        }
    }
    let caption = "Of sixteen simultaneous logins, one code lets in";
    plot::races("races-code.svg", caption, USERS, &one_code);
    let caption = "Of sixteen users who log in at once, are let in";
    plot::races("races-users.svg", caption, USERS, &all_users);
    let row = |work: &str, raced: &[(&'static str, Vec<usize>)], right: f64| -> Vec<Row> {
        let [(_, ours), peers @ ..] = raced else {
            return Vec::new();
        };
        let each = |(name, theirs): &(&'static str, Vec<usize>)| Row {
            work: work.to_owned(),
            unit: "logins",
            ours: total(ours),
            peer: name,
            theirs: total(theirs),
            goal: Goal::Exactly(right),
            floor: None,
        };
        peers.iter().map(each).collect()
    };
    let rounds = ROUNDS as f64;
    let mut rows = row("25 races of 16 logins with one code", &one_code, rounds);
    rows.extend(row(
        "25 races of 16 users",
        &all_users,
        rounds * USERS as f64,
    ));
    rows
}

fn total(opened: &[usize]) -> f64 {
    opened.iter().sum::<usize>() as f64
}

/// How many logins each code let in, one code a race.
fn of_one_code(place: &Place, module: &Module) -> Vec<usize> {
    let (service, user) = module.alone;
    let race = |code: &String| {
        if module.name == "otpgate" {
            // The losers' code lies behind the counter, where it looks like a wrong one and is counted.
            place.otpgate(service, &["unlock", user]);
        }
        race(place, service, vec![user.to_owned(); USERS], code)
    };
    place.list_of_codes(1, ROUNDS).iter().map(race).collect()
}

/// How many users got in, each with a key and a code of their own.
fn of_all_users(place: &Place, module: &Module) -> Vec<usize> {
    let race = |code: &String| race(place, module.together, racing_users(), code);
    place.list_of_codes(1, ROUNDS).iter().map(race).collect()
}

fn race(place: &Place, service: &str, users: Vec<String>, code: &str) -> usize {
    let barrier = Barrier::new();
    let confdir = place.confdir();
    let start = |user: String| {
        let login = Login::new(&confdir, service, &user);
        login.from("192.0.2.7").answer(code).start_at(&barrier)
    };
    let mut running: Vec<Running> = users.into_iter().map(start).collect();
    barrier.open_for(&mut running);
    let reports: Vec<Report> = running.into_iter().map(Running::finish).collect();
    reports.iter().filter(|report| report.success()).count()
}
