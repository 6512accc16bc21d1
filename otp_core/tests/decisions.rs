//! The edges of what a decision rests on: words, bounds, and what is remembered of whom.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use otp_core::account::{Account, Kind};
use otp_core::answer::{Answer, NotEvaluated};
use otp_core::policy::{Attempt, Parameters, Refusal, Verdict, decide, in_grace};
use otp_core::recovery::RecoveryId;
use otp_core::source::Source;
use otp_core::state::{
    GraceEntry, MAX_GRACE, MAX_TOKEN_STATES, MAX_USED_RECOVERY, State, service_key,
};
use otp_core::throttle::{Admission, Bucket, KNOWN_FOR, Limits, MAX_KNOWN_SOURCES, Throttle};
use otp_core::totp::UnixTime;

const NOW: UnixTime = UnixTime(1_700_000_000);
const HOME: Source = Source::V4(1);
const AWAY: Source = Source::V4(2);

/// A phone with 6 digits, a tablet with 8 for sudo alone, two scratch codes that nobody knows.
fn account(scratch: bool) -> Account {
    let scratch = if scratch {
        "[scratch]\nsalt = \"000102030405060708090a0b0c0d0e0f\"\nhashes = [\
         \"1111111111111111111111111111111111111111111111111111111111111111\",\
         \"2222222222222222222222222222222222222222222222222222222222222222\"]\n"
    } else {
        ""
    };
    let device = |id: &str, serial: u8, rest: &str| {
        format!(
            "[[token]]\nid = \"{id}\"\nserial = \"{serial:016x}\"\nkind = \"totp\"\nperiod = 30\n\
             secret = \"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\"\n{rest}\n"
        )
    };
    let text = [
        "version = 1\nuser = \"alice\"\ngeneration = 3\n",
        scratch,
        &device("phone", 1, "digits = 6"),
        &device("tablet", 2, "digits = 8\nservices = [\"sudo\"]"),
    ];
    Account::from_toml(&text.concat()).unwrap()
}

fn attempt<'a>(answer: Answer, service: &'a str) -> Attempt<'a> {
    Attempt {
        answer,
        source: HOME,
        service,
        remember: true,
        invites: false,
    }
}

/// The phone's code, accepted.
fn logged_in(account: &Account) -> State {
    let step = NOW.0 / 30;
    let code = account.token("phone").unwrap().generator().code(step);
    let answer = Answer::parse(Some(code.expose().as_bytes()), None);
    let state = State::new(account);
    let attempt = attempt(answer, "sshd");
    let (verdict, state) = decide(account, &state, &attempt, NOW, &Parameters::default());
    assert!(matches!(verdict, Verdict::Accepted(_)));
    state
}

#[test]
fn each_refusal_has_a_word_of_its_own_in_the_log() {
    let token = || "phone".to_owned();
    for (refusal, word) in [
        (Refusal::Wrong, "wrong"),
        (Refusal::OutOfWindow { token: token() }, "out_of_window"),
        (Refusal::Replayed, "replayed"),
        (
            Refusal::WatermarkAhead { token: token() },
            "watermark_ahead",
        ),
        (Refusal::Throttled { until: NOW }, "throttled"),
        (Refusal::Locked, "locked"),
        (Refusal::Disabled, "disabled"),
        (Refusal::NotEvaluated(NotEvaluated::Empty), "empty_answer"),
        (Refusal::NotEnrolled, "not_enrolled"),
    ] {
        assert_eq!(refusal.reason(), word, "{refusal:?}");
    }
}

#[test]
fn the_maxima_are_what_the_documents_say() {
    assert_eq!(KNOWN_FOR, 2_592_000, "30 days");
    assert_eq!(MAX_TOKEN_STATES, 32, "two accounts of 16 devices");
    assert_eq!(MAX_USED_RECOVERY, 40, "two sets of 20 codes");
}

#[test]
fn grace_ends_with_the_service_the_account_and_every_change() {
    let account = account(false);
    let state = logged_in(&account);
    let granted = |account: &Account, state: &State, service| {
        in_grace(account, state, (HOME, service), NOW, 60)
    };
    assert!(granted(&account, &state, "sshd"));
    assert!(!granted(&account, &state, "sudo"));
    let mut disabled = account.clone();
    disabled.enabled = false;
    assert!(!granted(&disabled, &state, "sshd"));
    // A change under way, and one that is done.
    let mut ahead = state.clone();
    ahead.generation += 1;
    assert!(!granted(&account, &ahead, "sshd"));
    let mut changed = account.clone();
    changed.generation += 1;
    assert!(!granted(&changed, &ahead, "sshd"));
    assert!(!granted(&changed, &state, "sshd"));
}

#[test]
fn one_success_is_remembered_for_each_place_and_service_the_newest_of_them() {
    let entry = |number, service, at| GraceEntry {
        source: Source::V4(number),
        service: service_key(service),
        at: UnixTime(at),
        generation: 1,
    };
    let mut state = State::default();
    state.remember_grace(entry(1, "sshd", 10));
    state.remember_grace(entry(1, "sudo", 11));
    state.remember_grace(entry(2, "sshd", 12));
    state.remember_grace(entry(1, "sshd", 13));
    let remembered = [
        entry(1, "sudo", 11),
        entry(2, "sshd", 12),
        entry(1, "sshd", 13),
    ];
    assert_eq!(state.grace, remembered);
    for number in 100..100 + u32::try_from(MAX_GRACE).unwrap() {
        state.remember_grace(entry(number, "sshd", 20));
        assert!(state.grace.len() <= MAX_GRACE);
    }
    assert_eq!(state.grace.len(), MAX_GRACE);
    assert!(state.grace.iter().all(|entry| entry.at == UnixTime(20)));
    for source in [Source::Local, Source::Opaque] {
        state.remember_grace(GraceEntry {
            source,
            ..entry(1, "sshd", 30)
        });
    }
    assert!(state.grace.iter().all(|entry| entry.at == UnixTime(20)));
    // Of another generation of the account nothing is left.
    state.remember_grace(GraceEntry {
        generation: 2,
        ..entry(7, "sshd", 40)
    });
    assert_eq!(state.grace.len(), 1);
}

/// Two counters of the key, 11 to 100 apart, that have the same code.
fn same_code_nearby(account: &Account) -> (u64, u64) {
    let generator = account.token("key").unwrap().generator();
    let mut seen = std::collections::HashMap::new();
    for counter in 0..200_000 {
        let code = generator.code(counter).expose().to_string();
        if let Some(earlier) = seen.insert(code, counter)
            && (11..=100).contains(&(counter - earlier))
        {
            return (earlier, counter);
        }
    }
    panic!("no two of 200 000 codes are the same and near")
}

#[test]
fn a_right_code_is_no_candidate_for_where_the_same_digits_stand_again() {
    let mut account = account(false);
    account.tokens.truncate(1);
    let key = account.tokens.first_mut().unwrap();
    key.id = "key".to_owned();
    key.kind = Kind::Hotp { counter: 0 };
    let (counter, again) = same_code_nearby(&account);
    let mut state = State::new(&account);
    let mut key = state.tokens.first().unwrap().clone();
    key.next = counter;
    state.set_token(key);
    let code = account.token("key").unwrap().generator().code(counter);
    let answer = Answer::parse(Some(code.expose().as_bytes()), None);
    let attempt = attempt(answer, "sshd");
    let (verdict, state) = decide(&account, &state, &attempt, NOW, &Parameters::default());
    assert!(matches!(verdict, Verdict::Accepted(_)));
    let key = state.tokens.first().unwrap();
    assert_eq!((key.next, key.candidate), (counter + 1, None));
    assert!(key.is_fresh(again));
}

/// Wrong guesses that one answer counts for.
fn counted(account: &Account, typed: &str, service: &str) -> u16 {
    let answer = Answer::parse_combined(Some(typed.as_bytes()));
    let attempt = attempt(answer, service);
    let state = State::new(account);
    let (verdict, state) = decide(account, &state, &attempt, NOW, &Parameters::default());
    assert!(matches!(verdict, Verdict::Refused(_)), "{verdict:?}");
    state.throttle.failures()
}

#[test]
fn behind_a_password_stand_as_many_guesses_as_devices_could_have_meant() {
    let (plain, with_scratch) = (account(false), account(true));
    for (account, typed, service, guesses) in [
        (&plain, "hunter000000", "sshd", 1),
        (&plain, "hunter0000000", "sshd", 1),
        (&plain, "hunter00000000", "sshd", 1),
        (&plain, "hunter00000000", "sudo", 2),
        (&with_scratch, "hunter0000000", "sshd", 1),
        (&with_scratch, "hunter00000000", "sshd", 2),
        (&plain, "hunter2", "sshd", 0),
    ] {
        assert_eq!(
            counted(account, typed, service),
            guesses,
            "{typed} {service}"
        );
    }
    // No device of this length: nothing that could be a guess.
    let mut eight = plain.clone();
    eight.tokens.retain(|token| token.id == "tablet");
    assert_eq!(counted(&eight, "hunter000000", "sudo"), 0);
}

#[test]
fn used_codes_are_counted_off() {
    let account = account(true);
    let mut state = State::new(&account);
    assert_eq!(state.recovery_left(&account), 2);
    state.used_recovery.extend(account.recovery_ids().take(1));
    assert_eq!(state.recovery_left(&account), 1);
    state.used_recovery.extend(account.recovery_ids().skip(1));
    assert_eq!(state.recovery_left(&account), 0);
}

#[test]
fn a_change_takes_nothing_from_codes_that_both_accounts_have() {
    let account = account(true);
    let mut state = State::new(&account);
    let ids: Vec<_> = account.recovery_ids().collect();
    // One that neither account has goes.
    state.used_recovery = [&ids[..], &[RecoveryId(99)]].concat();
    state.follow(&account, &account);
    assert_eq!(state.used_recovery, ids);
    let mut without = account.clone();
    without.scratch = None;
    state.follow(&without, &account);
    assert_eq!(state.used_recovery, ids);
    state.follow(&without, &without);
    assert_eq!(state.used_recovery, []);
}

#[test]
fn strangers_have_the_share_that_is_not_kept_for_known_places() {
    let limits = Limits {
        max_failures: 5,
        known_source_allowance: 2,
        ..Limits::default()
    };
    let mut throttle = Throttle::default();
    throttle.succeed(HOME, NOW);
    let late = NOW.plus(100_000);
    for (failures, left) in [(0, 3), (1, 2), (2, 1), (3, 0)] {
        throttle.foreign.failures = failures;
        assert_eq!(throttle.guesses_left(AWAY, late, &limits), left);
        assert_eq!(throttle.guesses_left(HOME, late, &limits), 5 - failures);
    }
    assert_eq!(throttle.admit(AWAY, late, &limits), Admission::Locked);
    assert_eq!(throttle.admit(HOME, late, &limits), Admission::Open);
    throttle.fail(HOME, 2, late, &limits);
    assert_eq!(throttle.admit(HOME, late, &limits), Admission::Locked);
}

#[test]
fn a_place_is_known_to_the_last_second_and_a_wait_is_over_with_its_last() {
    let limits = Limits::default();
    let mut throttle = Throttle::default();
    throttle.succeed(HOME, NOW);
    throttle.foreign.failures = 90;
    let last = NOW.plus(KNOWN_FOR);
    assert_eq!(throttle.admit(HOME, last, &limits), Admission::Open);
    assert_eq!(
        throttle.admit(HOME, last.plus(1), &limits),
        Admission::Locked
    );
    throttle.foreign = Bucket {
        failures: 4,
        blocked_until: NOW.plus(5),
    };
    let wait = Admission::Wait(NOW.plus(5));
    assert_eq!(throttle.admit(AWAY, NOW.plus(4), &limits), wait);
    assert_eq!(throttle.admit(AWAY, NOW.plus(5), &limits), Admission::Open);
}

#[test]
fn the_place_whose_success_is_oldest_makes_room_and_leaves_its_failures() {
    let limits = Limits::default();
    let mut throttle = Throttle::default();
    for number in 0..MAX_KNOWN_SOURCES {
        let source = Source::V4(u32::try_from(number).unwrap());
        throttle.succeed(source, NOW.plus(number as u64));
    }
    assert_eq!(throttle.known.len(), MAX_KNOWN_SOURCES);
    throttle.fail(Source::V4(0), 7, NOW.plus(100), &limits);
    throttle.succeed(Source::V4(99), NOW.plus(200));
    assert_eq!(throttle.known.len(), MAX_KNOWN_SOURCES);
    let known = |number| {
        throttle
            .known
            .iter()
            .any(|known| known.source == Source::V4(number))
    };
    assert!(!known(0) && known(1) && known(99));
    assert_eq!(throttle.foreign.failures, 7);
    // Known already: nobody has to make room.
    throttle.succeed(Source::V4(1), NOW.plus(300));
    assert_eq!(throttle.known.len(), MAX_KNOWN_SOURCES);
    assert_eq!(throttle.failures(), 7);
}
