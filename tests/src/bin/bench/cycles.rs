//! What a login costs a process that begins with nothing: the module is loaded, used once, and unloaded.

use std::time::Instant;

use tests::built;

use crate::figures::median;
use crate::place::{Answers, Place};
use crate::report::{Goal, Row};

/// Processes of each kind per round.
const PROCESSES: usize = 30;
/// Rounds; the sides take turns.
const ROUNDS: u64 = 5;
const SERVICES: [(&str, &str); 4] = [
    ("floor", "alice"),
    ("ours", "alice"),
    ("theirs", "root"),
    ("oath", "alice"),
];

pub fn bench() -> Vec<Row> {
    let directory = tempfile::tempdir_in(built::target_directory()).unwrap();
    let place = Place::prepare(directory.path());
    let mut loads = [const { Vec::new() }; SERVICES.len()];
    let mut cycles = loads.clone();
    for round in 0..ROUNDS {
        let codes = place.list_of_codes(1 + round * PROCESSES as u64, PROCESSES);
        for (index, (service, user)) in SERVICES.into_iter().enumerate() {
            let load = |_: &String| timed(&place, service, user, "setcred", Answers::Same("none"));
            let cycle =
                |code: &String| timed(&place, service, user, "auth,setcred", Answers::Same(code));
            loads[index].push(median(codes.iter().map(load).collect()));
            cycles[index].push(median(codes.iter().map(cycle).collect()));
        }
    }
    let (loads, cycles) = (loads.map(median), cycles.map(median));
    println!(
        "\n| a process of its own | module loaded, us | a whole login, us |\n| --- | --- | --- |"
    );
    for ((service, _), (load, cycle)) in SERVICES.iter().zip(loads.iter().zip(&cycles)) {
        println!("| {} | {load:.0} | {cycle:.0} |", name(service));
    }
    rows("module loaded and unloaded, in a process of its own", loads)
        .into_iter()
        .chain(rows("a whole login, in a process of its own", cycles))
        .collect()
}

fn name(service: &str) -> &'static str {
    match service {
        "ours" => "otpgate",
        "theirs" => "google-authenticator",
        "oath" => "pam_oath",
        _ => "pam_permit",
    }
}

fn rows(work: &str, [floor, ours, google, oath]: [f64; SERVICES.len()]) -> [Row; 2] {
    [("theirs", google), ("oath", oath)].map(|(service, theirs)| Row {
        work: work.to_owned(),
        unit: "us",
        ours,
        peer: name(service),
        theirs,
        goal: Goal::Shown,
        floor: Some(("the same with pam_permit", floor)),
    })
}

/// Microseconds from the start of a process to its end.
fn timed(place: &Place, service: &str, user: &str, calls: &str, answer: Answers<'_>) -> f64 {
    let mut app = place.process(service, user, calls, answer);
    let start = Instant::now();
    let output = app.output().unwrap();
    let micros = start.elapsed().as_secs_f64() * 1e6;
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(!report.contains("PAM_AUTH_ERR"), "{service}: {report}");
    micros
}
