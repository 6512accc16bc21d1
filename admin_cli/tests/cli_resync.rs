//! `otpgate resync`: two codes in a row, and the device is in step; anything else changes nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use otp_core::policy::Verdict;
use support::{Desk, Ran, at, hotp, now, now_within_a_step, totp_at};

const STEP: u64 = 30;

fn resync(desk: &Desk, codes: [&str; 2]) -> Ran {
    desk.run_with(
        &["resync", "alice"],
        &format!("{}\n{}\n", codes[0], codes[1]),
    )
}

#[test]
fn a_clock_that_is_off_is_learnt() {
    for steps in [-18_i64, -10, -2, 3, 17] {
        let desk = Desk::new();
        let secret = desk.enroll("alice", &[]).secret;
        let now = now_within_a_step();
        // What the device shows, `later` steps from now.
        let shown = |later: u64| {
            let there = now.checked_add_signed(steps * STEP as i64).unwrap();
            totp_at(there + later * STEP, &[], &secret)
        };
        assert_ne!(desk.verify("alice", &shown(0)), "accepted");
        let ran = resync(&desk, [&shown(0), &shown(1)]);
        assert_eq!(ran.status, 0, "{steps}: {ran:?}");
        assert!(
            ran.stdout
                .starts_with("The device phone of alice is in step again: its clock is "),
            "{ran:?}"
        );
        let skew = desk.show("alice")["devices"][0]["skew"].as_i64().unwrap();
        // The second code is one step later than the clock; a step may have begun meanwhile.
        assert!((steps..=steps + 1).contains(&skew), "{steps}: {skew}");
        assert_eq!(desk.verify("alice", &shown(2)), "accepted", "{steps}");
        assert_eq!(
            desk.verify("alice", &shown(1)),
            "replayed",
            "{steps}: both codes are used up"
        );
    }
}

#[test]
fn a_counter_that_ran_ahead_is_found() {
    for ahead in [0, 11, 101, 5_000, 99_000] {
        let desk = Desk::new();
        let secret = desk.enroll("alice", &["--hotp"]).secret;
        let codes = [ahead, ahead + 1, ahead + 2].map(|counter| hotp(counter, &secret));
        let ran = resync(&desk, [&codes[0], &codes[1]]);
        assert_eq!(
            ran.stdout,
            format!(
                "The device phone of alice is in step again: its next counter is {}.\n",
                ahead + 2
            )
        );
        assert_eq!(desk.show("alice")["devices"][0]["next"], ahead + 2);
        assert_eq!(desk.verify("alice", &codes[2]), "accepted");
        assert_eq!(desk.verify("alice", &codes[1]), "replayed");
        let used = resync(&desk, [&codes[0], &codes[1]]);
        assert_eq!(used.status, 1, "used codes move no counter: {used:?}");
    }
}

#[test]
fn a_watermark_of_the_future_comes_down() {
    let desk = Desk::new();
    let secret = desk.enroll("alice", &[]).secret;
    let tomorrow = now() + 86_400;
    let verdict = desk.log_in("alice", &totp_at(tomorrow, &[], &secret), &at(tomorrow));
    assert!(
        matches!(verdict, Verdict::Accepted(_)),
        "the host's clock was wrong"
    );
    let code = totp_at(now(), &[], &secret);
    assert_eq!(desk.verify("alice", &code), "watermark_ahead");
    let said = desk.run_with(&["verify", "alice"], &code).stdout;
    assert!(
        said.contains("run `otpgate resync alice --device phone`"),
        "{said}"
    );
    assert!(
        desk.must(&["show", "alice"])
            .contains("refuses every code (otpgate resync)")
    );
    let now = now_within_a_step();
    let shown = [now - STEP, now, now + STEP].map(|at| totp_at(at, &[], &secret));
    let ran = resync(&desk, [&shown[0], &shown[1]]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(desk.verify("alice", &shown[2]), "accepted");
}

#[test]
fn other_codes_change_nothing() {
    let desk = Desk::new();
    let secret = desk.enroll("alice", &[]).secret;
    let before = desk.show("alice");
    for steps in [
        [1, 0],
        [0, 0],
        [0, 2],
        [40, 41],
        // The second of these is one step too far to be learned.
        [21, 22],
        [-40, -39],
    ] {
        let now = now_within_a_step();
        let codes = steps.map(|later: i64| {
            let there = now.checked_add_signed(later * STEP as i64).unwrap();
            totp_at(there, &[], &secret)
        });
        let ran = resync(&desk, [&codes[0], &codes[1]]);
        assert_eq!(ran.status, 1, "{ran:?}");
        let expected = "these are not two unused codes in a row of this device within 20 steps either side of this \
                        host's clock; nothing was changed.";
        assert!(ran.stderr.contains(expected), "{ran:?}");
        assert_eq!(desk.show("alice"), before);
    }
    for (input, expected) in [
        ("", "no code was typed; nothing was changed"),
        ("hello\n", "that is no code; nothing was changed"),
        ("123456\n", "no code was typed; nothing was changed"),
    ] {
        let ran = desk.run_with(&["resync", "alice"], input);
        assert_eq!(ran.status, 1, "{ran:?}");
        assert!(ran.stderr.ends_with(&format!("{expected}\n")), "{ran:?}");
        assert_eq!(desk.show("alice"), before);
    }
}

#[test]
fn only_the_named_device_moves() {
    let desk = Desk::new();
    let keys =
        ["one", "two"].map(|device| desk.enroll("alice", &["--hotp", "--device", device]).secret);
    let input = format!("{}\n{}\n", hotp(300, &keys[1]), hotp(301, &keys[1]));
    let ran = desk.run_with(&["resync", "alice", "--device", "two"], &input);
    assert_eq!(ran.status, 0, "{ran:?}");
    let devices = &desk.show("alice")["devices"];
    assert_eq!(
        (&devices[0]["next"], &devices[1]["next"]),
        (&0.into(), &302.into())
    );
    let ran = desk.run_with(&["resync", "alice", "--device", "one"], &input);
    assert_eq!(ran.status, 1, "codes of the other device: {ran:?}");
}
