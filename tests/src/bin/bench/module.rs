//! What the module costs, beside pam_google_authenticator and pam_oath, on one file system.
//!
//! Each row is the median over logins on a warm PAM handle. Syslog is drained by the sandbox. The floor is
//! what is left when a module judges nothing and stores one page. A disk that was let alone for a moment takes
//! longer than one that is kept busy, so its floor has pauses, as long as a login without a code takes.

use tests::built;

use crate::figures::median;
use crate::place::{Answers, LOGINS, Place};
use crate::report::{Goal, Row};

/// Rounds; the sides take turns.
const ROUNDS: usize = 5;
const FLOOR_DISK: &str = "floor: 4 KiB overwritten and fdatasync, with a login's work in between";
const FLOOR_PAM: &str = "floor: libpam, pam_warn's line of syslog, pam_permit";
const RIGHT: &str = "otpgate, right code, committed";
const SEALED: &str = "otpgate, right code, committed, secrets sealed";
const THEIRS: &str = "google-authenticator, right code";
const OATH: &str = "pam_oath, right code, one user";
const ENROLLED: &str = "otpgate, wrong code, enrolled";
const NOBODY: &str = "otpgate, wrong code, nobody";
const THEIRS_WRONG: &str = "google-authenticator, wrong code, enrolled";
const THEIRS_NOBODY: &str = "google-authenticator, wrong code, nobody";
const GRACE: &str = "otpgate, in grace, nothing committed";

pub fn bench() -> Vec<Row> {
    let directory = tempfile::tempdir_in(built::target_directory()).unwrap();
    let place = Place::prepare(directory.path());
    let mut figures = Figures::default();
    let mut next = 1;
    for _ in 0..ROUNDS {
        let codes = place.codes(next);
        let right = || Answers::File(&codes);
        let wrong = || Answers::Same("000000");
        let in_grace = place.in_grace();
        figures.add(GRACE, in_grace);
        figures.add(FLOOR_DISK, place.floor(in_grace));
        figures.add(FLOOR_PAM, place.logins("floor", "alice", right()));
        figures.add(RIGHT, place.logins("ours", "alice", right()));
        figures.add(SEALED, place.logins("sealed", "alice", right()));
        figures.add(THEIRS, place.logins("theirs", "root", right()));
        figures.add(OATH, place.logins("oath", "alice", right()));
        figures.add(ENROLLED, place.logins("ours", "bob", wrong()));
        figures.add(NOBODY, place.logins("ours", "nobody-there", wrong()));
        figures.add(THEIRS_WRONG, place.logins("theirs-wrong", "root", wrong()));
        figures.add(
            THEIRS_NOBODY,
            place.logins("theirs-nobody", "root", wrong()),
        );
        next += LOGINS as u64 + 1;
    }
    figures.print();
    rows(&figures)
}

/// What the goals are about.
fn rows(figures: &Figures) -> Vec<Row> {
    let of = |name| figures.median(name);
    let floor = Some(("disk and libpam alone", of(FLOOR_DISK) + of(FLOOR_PAM)));
    let row = |work: &str, ours: f64, peer, theirs: f64, goal, floor| Row {
        work: work.to_owned(),
        unit: "us",
        ours,
        peer,
        theirs,
        goal,
        floor,
    };
    let (google, oath) = ("google-authenticator", "pam_oath");
    vec![
        row(
            "right code, durable, warm handle",
            of(RIGHT),
            google,
            of(THEIRS),
            Goal::AtMost(1.0 / 3.0),
            floor,
        ),
        row("the same", of(RIGHT), oath, of(OATH), Goal::Shown, floor),
        row(
            "the same, sealed",
            of(SEALED),
            "in clear",
            of(RIGHT),
            Goal::Shown,
            floor,
        ),
        row(
            "wrong code, enrolled beside nobody",
            of(ENROLLED),
            "nobody",
            of(NOBODY),
            Goal::Within(1.1),
            None,
        ),
        row(
            "google-authenticator's: wrong code, enrolled beside nobody",
            of(THEIRS_WRONG),
            "nobody",
            of(THEIRS_NOBODY),
            Goal::Shown,
            None,
        ),
    ]
}

/// Medians of rounds by what was measured, in the order of the first round.
#[derive(Default)]
struct Figures(Vec<(&'static str, Vec<f64>)>);

impl Figures {
    fn add(&mut self, name: &'static str, median: f64) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, medians)) => medians.push(median),
            None => self.0.push((name, vec![median])),
        }
    }

    fn median(&self, wanted: &str) -> f64 {
        let (_, medians) = self.0.iter().find(|(name, _)| *name == wanted).unwrap();
        median(medians.clone())
    }

    fn print(&self) {
        println!("| login on a warm handle | median us | per second |\n| --- | --- | --- |");
        for (name, _) in &self.0 {
            let micros = self.median(name);
            println!("| {name} | {micros:.0} | {:.0} |", 1e6 / micros);
        }
    }
}
