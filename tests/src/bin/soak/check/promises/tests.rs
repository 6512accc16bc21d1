//! A story for each promise: told rightly, and with the one answer that breaks it.

use super::super::stage::{NOW, Stage};
use super::*;
use crate::journal::{Change, Kind, Typed};
use Answer::{Accepted, Done, Killed, Refused};

const STEP: u64 = NOW / 30;

fn found(stage: &Stage) -> Vec<Violation> {
    check(&stage.history()).violations
}

#[test]
fn a_wrong_code_that_lets_in() {
    let mut stage = Stage::hotp();
    stage.typed(Typed::Wrong, Refused);
    assert_eq!(found(&stage), []);
    let entry = stage.typed(Typed::Wrong, Accepted);
    assert_eq!(
        found(&stage),
        [Violation::LetIn(entry, "the code was wrong")]
    );
}

#[test]
fn a_used_code_that_lets_in() {
    for kind in [Kind::Hotp, Kind::Totp, Kind::File] {
        let mut stage = Stage::enrolled(kind);
        stage.login(STEP, Accepted);
        stage.login(STEP, Refused);
        assert_eq!(found(&stage), []);
        let entry = stage.login(STEP, Accepted);
        assert_eq!(
            found(&stage),
            [Violation::LetIn(entry, "the code was used")]
        );
    }
}

#[test]
fn a_right_code_of_an_undisturbed_user_that_is_refused() {
    let mut stage = Stage::hotp();
    stage.login(0, Accepted);
    let entry = stage.login(1, Refused);
    assert_eq!(found(&stage), [Violation::RefusedUndisturbed(entry)]);
}

#[test]
fn what_cannot_be_known_is_counted_as_such() {
    let mut stage = Stage::hotp();
    stage.login(0, Accepted);
    stage.login(0, Refused);
    stage.login(1, Killed);
    stage.login(1, Accepted);
    assert_eq!(check(&stage.history()).expected, [2, 1, 1]);
}

#[test]
fn an_owner_who_has_waited_and_is_locked_out_all_the_same() {
    let mut stage = Stage::hotp();
    for _ in 0..4 {
        stage.typed(Typed::Wrong, Refused);
    }
    // 5 s.
    stage.clock += 4;
    stage.login(0, Refused);
    assert_eq!(found(&stage), []);
    stage.clock += 1;
    let entry = stage.login(1, Refused);
    assert_eq!(found(&stage), [Violation::LockedOut(entry)]);
}

#[test]
fn a_wait_from_the_future_that_does_not_end() {
    let mut stage = Stage::hotp();
    stage.clock += 1_000_000;
    for _ in 0..5 {
        stage.typed(Typed::Wrong, Refused);
        stage.clock += 40;
    }
    stage.clock = NOW;
    stage.login(0, Refused);
    stage.clock += 900;
    assert_eq!(found(&stage), []);
    let entry = stage.login(1, Refused);
    assert_eq!(found(&stage), [Violation::LockedOut(entry)]);
}

#[test]
fn a_flood_that_locks_the_owner_out() {
    let mut stage = Stage::hotp();
    stage.login(0, Accepted);
    stage.by_owner = false;
    for _ in 0..200 {
        stage.typed(Typed::Wrong, Refused);
    }
    stage.by_owner = true;
    let entry = stage.login(1, Refused);
    assert_eq!(found(&stage), [Violation::RefusedUndisturbed(entry)]);
}

#[test]
fn a_killed_login_may_count_or_not_and_the_next_one_does() {
    for (first, second) in [(Killed, Accepted), (Killed, Refused), (Accepted, Refused)] {
        let mut stage = Stage::hotp();
        stage.login(0, first);
        stage.login(0, second);
        stage.login(1, Accepted);
        assert_eq!(found(&stage), []);
        let entry = stage.login(2, Refused);
        assert_eq!(found(&stage), [Violation::LockedOut(entry)]);
    }
}

#[test]
fn a_killed_login_that_leaves_a_state_that_does_not_open() {
    let mut stage = Stage::hotp();
    stage.login(0, Killed);
    let entry = stage.login(1, Answer::Failed("PAM_AUTHINFO_UNAVAIL".into()));
    assert_eq!(found(&stage), [Violation::Broken(entry)]);
}

#[test]
fn a_race_that_nobody_wins() {
    let mut stage = Stage::hotp();
    stage.together(&[(0, Refused), (0, Accepted), (0, Refused)]);
    stage.login(1, Accepted);
    assert_eq!(found(&stage), []);
    stage.together(&[(2, Refused), (2, Refused)]);
    let found = found(&stage);
    assert!(matches!(found[..], [Violation::NobodyWon(_)]), "{found:?}");
}

#[test]
fn disabling_that_is_forgotten_and_enabling_that_is() {
    let mut stage = Stage::hotp();
    stage.change(Change::Disable, Done);
    stage.login(0, Refused);
    stage.change(Change::Enable, Done);
    assert_eq!(found(&stage), []);
    let mut forgotten = Stage::hotp();
    forgotten.change(Change::Disable, Done);
    let entry = forgotten.login(0, Accepted);
    let why = "the account was disabled";
    assert_eq!(found(&forgotten), [Violation::LetIn(entry, why)]);
    let entry = stage.login(1, Refused);
    assert_eq!(found(&stage), [Violation::LockedOut(entry)]);
}

#[test]
fn a_change_that_was_cut_short_may_stand_or_not_until_it_is_made_again() {
    for answer in [Accepted, Refused] {
        let mut stage = Stage::hotp();
        stage.change(Change::Disable, Killed);
        stage.login(0, answer);
        stage.change(Change::Disable, Done);
        assert_eq!(found(&stage), []);
        stage.login(1, Accepted);
        assert_eq!(found(&stage).len(), 1);
    }
}

#[test]
fn a_device_or_a_set_that_was_replaced_and_still_counts() {
    let mut stage = Stage::hotp();
    stage.change(Change::Recovery { set: 2 }, Done);
    let entry = stage.typed(Typed::Recovery { set: 1, number: 0 }, Accepted);
    let why = "the recovery codes had been replaced";
    assert_eq!(found(&stage), [Violation::LetIn(entry, why)]);
    let mut stage = Stage::hotp();
    stage.enrol(2);
    let old = Typed::Code {
        device: 1,
        factor: 0,
    };
    let entry = stage.typed(old, Accepted);
    let why = "the device had been replaced";
    assert_eq!(found(&stage), [Violation::LetIn(entry, why)]);
}

#[test]
fn a_user_who_was_removed_and_gets_in() {
    let mut stage = Stage::hotp();
    stage.change(Change::Remove, Done);
    let entry = stage.login(0, Accepted);
    assert_eq!(
        found(&stage),
        [Violation::LetIn(entry, "nobody is enrolled")]
    );
}

#[test]
fn a_repair_that_reopens_what_nobody_can_know() {
    let mut stage = Stage::hotp();
    stage.change(Change::Damage, Done);
    stage.login(0, Answer::Failed("PAM_AUTHINFO_UNAVAIL".into()));
    stage.change(Change::Repair, Done);
    assert_eq!(found(&stage), []);
    let mut reopened = Stage::hotp();
    reopened.change(Change::Damage, Done);
    reopened.change(Change::Repair, Done);
    let recovery = Typed::Recovery { set: 1, number: 0 };
    let [one, two] = [
        reopened.login(0, Accepted),
        reopened.typed(recovery, Accepted),
    ];
    assert_eq!(
        found(&reopened),
        [
            Violation::LetIn(one, "the state had been lost"),
            Violation::LetIn(two, "the recovery codes had been replaced")
        ]
    );
    stage.change(Change::Resync { factor: 2 }, Done);
    let entry = stage.login(3, Refused);
    assert_eq!(found(&stage), [Violation::LockedOut(entry)]);
}

#[test]
fn two_codes_in_a_row_that_bring_nobody_back() {
    let mut stage = Stage::hotp();
    stage.login(0, Accepted);
    stage.login(30, Refused);
    assert_eq!(found(&stage), []);
    let entry = stage.login(31, Refused);
    assert_eq!(found(&stage), [Violation::LockedOut(entry)]);
}

#[test]
fn a_clock_that_is_set_back_and_reopens_something() {
    let mut stage = Stage::enrolled(Kind::Totp);
    stage.login(STEP, Accepted);
    stage.clock -= 600;
    stage.login(STEP - 20, Refused);
    assert_eq!(found(&stage), []);
    let entry = stage.login(STEP - 20, Accepted);
    assert_eq!(
        found(&stage),
        [Violation::LetIn(entry, "the code was used")]
    );
}

#[test]
fn a_change_that_fails_for_no_reason_and_one_for_want_of_room() {
    let mut stage = Stage::hotp();
    let failed = || Answer::NotDone("No space left".into());
    let entry = stage.change(Change::Disable, failed());
    assert_eq!(found(&stage), [Violation::ChangeFailed(entry)]);
    let mut stage = Stage::hotp();
    stage.sight(Sight::Disk { full: true });
    stage.change(Change::Disable, failed());
    stage.login(0, Accepted);
    stage.sight(Sight::Disk { full: false });
    assert_eq!(found(&stage), []);
    // It was not made, and must not stand.
    let entry = stage.login(1, Refused);
    assert_eq!(found(&stage), [Violation::LockedOut(entry)]);
}
