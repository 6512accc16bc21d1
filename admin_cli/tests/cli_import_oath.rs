//! `otpgate import oath`: every form of a line, in any number and order, and through kills.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::fmt::Write as _;
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use otp_core::policy::Verdict;
use otp_core::store::{FilesStore, Record as _};
use otp_core::user_name::UserName;
use serde_json::Value;
use support::{Desk, RFC_SECRET, Ran, at, hotp, now, oathtool, totp_at};

const HEX: &str = "3132333435363738393031323334353637383930";
/// Another secret: "abcdefghijklmnopqrst".
const HEX_2: &str = "6162636465666768696a6b6c6d6e6f7071727374";

fn import(desk: &Desk, text: &str, arguments: &[&str]) -> Ran {
    fs::write(desk.path("users.oath"), text).unwrap();
    let path = desk.path("users.oath");
    let pam = desk.path("pam.d");
    let fixed = [
        "import",
        "oath",
        path.to_str().unwrap(),
        "--pam-dir",
        pam.to_str().unwrap(),
    ];
    desk.run(&[&fixed, arguments].concat())
}

fn summary(ran: &Ran) -> Value {
    let last = ran.stdout.lines().next_back().unwrap();
    let json: Value = serde_json::from_str(last).unwrap_or_else(|_| panic!("{ran:?}"));
    json["summary"].clone()
}

fn reason(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted(_) => "accepted",
        Verdict::Refused(refusal) => refusal.reason(),
    }
}

#[test]
fn every_type_makes_the_codes_that_oathtool_makes() {
    let desk = Desk::new();
    let mut text = String::from("# users.oath\n\n");
    let shapes = [
        ("HOTP", None, 6),
        ("HOTP/E", None, 6),
        ("HOTP/E/6", None, 6),
        ("HOTP/E/7", None, 7),
        ("HOTP/E/8", None, 8),
        ("HOTP/T30", Some(30), 6),
        ("HOTP/T30/6", Some(30), 6),
        ("HOTP/T30/7", Some(30), 7),
        ("HOTP/T30/8", Some(30), 8),
        ("HOTP/T60", Some(60), 6),
        ("HOTP/T60/6", Some(60), 6),
        ("HOTP/T60/7", Some(60), 7),
        ("HOTP/T60/8", Some(60), 8),
    ];
    for (number, (kind, ..)) in shapes.iter().enumerate() {
        let password = if number % 2 == 0 { "-" } else { "+" };
        writeln!(text, "{kind}\tuser{number} {password} {HEX}").unwrap();
    }
    let ran = import(&desk, &text, &["--json"]);
    assert_eq!(
        (ran.status, summary(&ran)["imported"].as_u64()),
        (0, Some(13)),
        "{ran:?}"
    );
    let time = now();
    for (number, (kind, period, digits)) in shapes.iter().enumerate() {
        let digits = format!("--digits={digits}");
        let now = format!("--now=@{time}");
        let code = match period {
            None => oathtool(&["--hotp", &digits], HEX),
            Some(seconds) => {
                let step = format!("--time-step-size={seconds}s");
                oathtool(&["--totp", &digits, &now, &step], HEX)
            }
        };
        let verdict = desk.log_in(&format!("user{number}"), &code, &at(time));
        assert_eq!(reason(&verdict), "accepted", "{kind}");
    }
}

#[test]
fn what_was_used_stays_used() {
    let desk = Desk::new();
    let time = now() / 30 * 30 + 5;
    let local = |time: u64| {
        let date = support::tool("date", "coreutils")
            .env("TZ", "JST-9")
            .args([&format!("--date=@{time}"), "+%Y-%m-%dT%H:%M:%SL"])
            .output()
            .unwrap();
        String::from_utf8(date.stdout).unwrap().trim().to_owned()
    };
    let code = |time: u64| totp_at(time, &[], RFC_SECRET);
    let text = format!(
        "HOTP fresh - {HEX} 5\nHOTP used - {HEX} 5 {}\nHOTP/T30 now - {HEX} 0 {} {}\n\
         HOTP/T30 elsewhere - {HEX} 0 {} {}\nHOTP/T30 timeless - {HEX} 0 {}\n",
        hotp(5, RFC_SECRET),
        code(time),
        local(time),
        code(time),
        local(time - 9 * 3600),
        code(time),
    );
    fs::write(desk.path("users.oath"), text).unwrap();
    let mut command = desk.command(&["import", "oath"]);
    command.arg(desk.path("users.oath")).env("TZ", "JST-9");
    let ran = support::feed(&mut command, "");
    assert_eq!(ran.status, 0, "{ran:?}");
    let notes = ran
        .stdout
        .lines()
        .filter(|line| line.contains("LAST_OTP is no code of the time"));
    assert_eq!(notes.count(), 2, "{ran:?}");
    let counter = |user, counter| reason(&desk.log_in(user, &hotp(counter, RFC_SECRET), &at(time)));
    assert_eq!(counter("fresh", 5), "accepted");
    assert_eq!(counter("used", 5), "replayed");
    assert_eq!(counter("used", 6), "accepted");
    for user in ["now", "elsewhere", "timeless"] {
        let verdict = |code: &str, time| reason(&desk.log_in(user, code, &at(time)));
        assert_eq!(verdict(&code(time), time), "replayed", "{user}");
        assert_eq!(verdict(&code(time + 30), time + 30), "accepted", "{user}");
    }
}

#[test]
fn the_lines_of_a_user_are_their_devices_wherever_they_stand() {
    let desk = Desk::new();
    let mut text = format!("HOTP/T30 alice - {HEX}\n");
    for number in 0..50 {
        writeln!(text, "HOTP user{number} - {HEX}").unwrap();
    }
    writeln!(text, "HOTP alice - {HEX_2} 3").unwrap();
    // The same key again is the same device, and what either line has used is used.
    writeln!(text, "HOTP alice - {HEX_2} 8").unwrap();
    writeln!(text, "HOTP/E/8 alice - {HEX_2}").unwrap();
    let ran = import(&desk, &text, &["--json"]);
    assert_eq!(
        (ran.status, summary(&ran)["imported"].as_u64()),
        (0, Some(51)),
        "{ran:?}"
    );
    let devices = desk.show("alice")["devices"].as_array().unwrap().clone();
    let found: Vec<_> = devices
        .iter()
        .map(|device| {
            (
                device["id"].as_str().unwrap(),
                device["next"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(found, [("phone", 0), ("token", 8), ("token-2", 0)]);
    let again = import(&desk, &text, &["--json"]);
    assert_eq!(summary(&again)["already_imported"], 51, "{again:?}");
}

#[test]
fn a_pin_refuses_the_user_and_bad_lines_are_skipped_by_number() {
    let desk = Desk::new();
    let text = format!(
        "HOTP alice - {HEX}\nHOTP bob 1234 {HEX}\n# note\nTOTP carol - {HEX}\nHOTP dave - 31xx\n\
         HOTP alice geheim {HEX_2}\nHOTP eve - 3132\n{}\n",
        "x".repeat(5_000)
    );
    let ran = import(&desk, &text, &[]);
    assert_eq!(ran.status, 1, "{ran:?}");
    for expected in [
        "alice: REFUSED",
        "bob: REFUSED",
        "users.oath:4: SKIPPED: the first word",
        "users.oath:5: SKIPPED: HEXSECRET",
        "eve: REFUSED",
        "the secret has 16 bits",
        "users.oath:8: SKIPPED: the line is too long",
        "0 imported, 0 replaced, 0 already imported, 3 refused. Lines skipped: 3.",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}: {ran:?}");
    }
    assert!(
        ran.stdout.matches("a PIN has to be typed").count() == 2,
        "{ran:?}"
    );
    for secret in ["1234 ", "geheim", "31xx", "313233"] {
        assert!(
            !ran.stdout.contains(secret),
            "{secret} is repeated: {ran:?}"
        );
    }
    for user in ["alice", "bob"] {
        assert!(!desk.account_file(user).exists(), "{user}");
    }
}

#[test]
fn dry_run_and_what_is_no_file() {
    let desk = Desk::new();
    let ran = import(&desk, &format!("HOTP alice - {HEX}\n"), &["--dry-run"]);
    assert!(
        ran.stdout.contains("1 imported") && ran.stdout.contains("dry run"),
        "{ran:?}"
    );
    assert!(!desk.account_file("alice").exists());
    for path in ["/no/such/file", "/dev/null", "/"] {
        let ran = desk.run(&["import", "oath", path]);
        assert_eq!(ran.status, 2, "{path}");
        assert!(ran.error().starts_with(path), "{ran:?}");
    }
}

fn many(users: usize) -> String {
    let mut text = String::new();
    for number in 0..users {
        writeln!(text, "HOTP/T30 user{number} - {number:032x}{HEX} 0").unwrap();
    }
    text
}

#[test]
fn thousands_of_users_are_imported_listed_in_pages_and_found_again() {
    let desk = Desk::new();
    let text = many(2_500);
    let ran = import(&desk, &text, &["--json"]);
    assert_eq!(summary(&ran)["imported"], 2_500, "{ran:?}");
    assert_eq!(ran.stdout.lines().count(), 1, "plain users need no line");
    assert_eq!(ran.stderr, "", "no bar where there is no terminal");
    let mut seen = std::collections::BTreeSet::new();
    let mut last: Option<String> = None;
    loop {
        let mut arguments = vec!["list", "--limit", "999"];
        if let Some(last) = &last {
            arguments.extend(["--after", last]);
        }
        let page = desk.must(&arguments);
        let users: Vec<String> = page
            .lines()
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect();
        let Some(end) = users.last() else { break };
        last = Some(end.clone());
        seen.extend(users);
    }
    assert_eq!(seen.len(), 2_500);
    assert_eq!(desk.run(&["list", "--after", "nobody"]).status, 2);
    let secret = format!("{:032x}{HEX}", 2_321);
    let code = oathtool(&["--totp"], &secret);
    assert_eq!(desk.verify("user2321", &code), "accepted");
    let again = import(&desk, &text, &["--json"]);
    assert_eq!(summary(&again)["already_imported"], 2_500);
}

#[test]
fn a_kill_at_any_moment_leaves_each_user_whole_or_absent_and_the_next_run_goes_on() {
    let desk = Desk::new();
    let users = 2_200;
    fs::write(desk.path("users.oath"), many(users)).unwrap();
    let path = desk.path("users.oath");
    let start = Instant::now();
    let mut kills = 0;
    // Ever later, so that every stage of a batch is met.
    for wait in (0..20).map(|round| Duration::from_millis(20 + round * 60)) {
        let mut command = desk.command(&["import", "oath", path.to_str().unwrap()]);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(wait);
        if child.try_wait().unwrap().is_some() {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        let store = FilesStore::open(&desk.state_dir()).unwrap();
        for user in store.users().unwrap() {
            let record = store.lock_enrolled(&user).unwrap();
            assert_eq!(record.account().tokens.len(), 1, "{user}");
        }
    }
    assert!(kills > 3, "{kills} kills in {:?}", start.elapsed());
    let ran = desk.run(&["--json", "import", "oath", path.to_str().unwrap()]);
    let counts = summary(&ran);
    let whole = counts["imported"].as_u64().unwrap() + counts["already_imported"].as_u64().unwrap();
    assert_eq!((ran.status, whole), (0, users as u64), "{ran:?}");
    assert!(!desk.state_dir().join("staging").exists());
    let store = FilesStore::open(&desk.state_dir()).unwrap();
    for number in 0..users {
        let record = store
            .lock_enrolled(&UserName::from(&*format!("user{number}")))
            .unwrap();
        assert!(!record.state().pending, "user{number}");
    }
}
