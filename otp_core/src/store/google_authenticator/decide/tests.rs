use super::*;
use zeroize::Zeroizing;

/// RFC 4226 appendix D's secret in base32, and its codes.
const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const CODES: [&str; 10] = [
    "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
    "520489",
];

fn file(options: &str) -> SecretFile {
    SecretFile::new(Zeroizing::new(format!("{SECRET}\n{options}").into())).unwrap()
}

fn attempt(candidates: &[Candidate]) -> Attempt<'_> {
    Attempt {
        candidates,
        counted: false,
        known: false,
        remember: None,
    }
}

/// The verdict, and the lines behind the secret when they changed.
fn decide_over(options: &str, typed: &str, now: u64) -> (Verdict, Option<String>) {
    let candidates = candidates(typed.as_bytes(), InFront::Nothing);
    let (verdict, new) = decide(&file(options), &attempt(&candidates), UnixTime(now));
    let behind = |file: SecretFile| {
        let text = String::from_utf8(file.bytes().to_vec()).unwrap();
        text.strip_prefix(&format!("{SECRET}\n"))
            .unwrap()
            .to_owned()
    };
    (verdict, new.map(behind))
}

const fn accepted(proof: Proof, length: usize) -> Verdict {
    Verdict::Accepted { proof, length }
}
const WRONG: Verdict = Verdict::Refused(Refusal::Wrong);

#[test]
fn a_code_by_time_is_used_up_with_its_step() {
    let options = "\" DISALLOW_REUSE 1 4 9\n\" TOTP_AUTH\n";
    let (verdict, new) = decide_over(options, CODES[5], 150);
    assert_eq!(verdict, accepted(Proof::Totp, 6));
    let new = new.unwrap();
    assert_eq!(
        new, "\" DISALLOW_REUSE 4  5\n\" TOTP_AUTH\n",
        "as the peer spaces it"
    );
    let (verdict, unchanged) = decide_over(&new, CODES[5], 150);
    assert_eq!(
        (verdict, unchanged),
        (Verdict::Refused(Refusal::Replayed), None)
    );
}

#[test]
fn the_last_counter_lets_nobody_in_for_it_could_not_be_used_up() {
    let code = |counter| {
        let secret = file("").secret().unwrap();
        Generator::new(&secret, Algorithm::Sha1, Digits::SIX).code(counter)
    };
    let last = i64::MAX.unsigned_abs();
    for (counter, lets_in) in [(last - 1, true), (last, false), (last + 1, false)] {
        let options = format!("\" HOTP_COUNTER {}\n", last - 1);
        let (verdict, _) = decide_over(&options, &code(counter).expose(), 150);
        assert_eq!(verdict == accepted(Proof::Hotp, 6), lets_in, "{counter}");
    }
    let options = format!("\" HOTP_COUNTER {last}\n");
    let (verdict, _) = decide_over(&options, &code(last).expose(), 150);
    assert_eq!(verdict, WRONG);
}

#[test]
fn a_step_that_outgrew_an_int_is_used_up_too() {
    // Steps of one second, from 2038 on.
    for now in [1 << 31, (1 << 32) + 5, 1_700_000_007_000] {
        let options = "\" STEP_SIZE 1\n\" TOTP_AUTH\n\" DISALLOW_REUSE 7\n";
        let secret = file(options).secret().unwrap();
        let code = Generator::new(&secret, Algorithm::Sha1, Digits::SIX).code(now);
        let (verdict, new) = decide_over(options, &code.expose(), now);
        assert_eq!(verdict, accepted(Proof::Totp, 6), "{now}");
        let (verdict, _) = decide_over(&new.unwrap(), &code.expose(), now);
        assert_eq!(verdict, Verdict::Refused(Refusal::Replayed), "{now}");
    }
}

#[test]
fn the_end_of_time_is_no_overflow() {
    let options = "\" STEP_SIZE 1\n\" WINDOW_SIZE 100\n\" TOTP_AUTH\n";
    let (verdict, new) = decide_over(options, "000000", u64::MAX);
    assert_eq!((verdict, new), (WRONG, None));
}

#[test]
fn windows_reach_as_far_as_they_say() {
    for (window, first, last) in [(1, 5, 5), (2, 5, 6), (3, 4, 6), (6, 3, 8)] {
        let options = format!("\" WINDOW_SIZE {window}\n\" TOTP_AUTH\n");
        for (step, code) in CODES.iter().enumerate() {
            let (verdict, _) = decide_over(&options, code, 150);
            let right = (first..=last).contains(&step);
            assert_eq!(verdict != WRONG, right, "window {window}, step {step}");
        }
    }
}

#[test]
fn a_stored_skew_is_honoured_and_none_is_learned() {
    let (verdict, _) = decide_over("\" TIME_SKEW -4\n\" TOTP_AUTH\n", CODES[1], 150);
    assert_eq!(verdict, accepted(Proof::Totp, 6));
    let resetting = "\" RESETTING_TIME_SKEW 5+4 6+4\n\" TOTP_AUTH\n";
    assert_eq!(decide_over(resetting, CODES[9], 150), (WRONG, None));
}

#[test]
fn a_counter_goes_behind_the_match_and_a_wrong_code_leaves_it() {
    let (verdict, new) = decide_over("\" HOTP_COUNTER 1\n", CODES[3], 0);
    assert_eq!(verdict, accepted(Proof::Hotp, 6));
    assert_eq!(new.unwrap(), "\" HOTP_COUNTER 4\n");
    for code in [CODES[4], CODES[5], "000000"] {
        assert_eq!(decide_over("\" HOTP_COUNTER 1\n", code, 0), (WRONG, None));
    }
}

#[test]
fn a_single_use_code_works_once_whatever_the_device() {
    let (verdict, new) = decide_over("\" TOTP_AUTH\n12345678\n", "12345678", 0);
    assert_eq!(verdict, accepted(Proof::Scratch, 8));
    assert_eq!(decide_over(&new.unwrap(), "12345678", 0), (WRONG, None));
}

#[test]
fn what_is_typed_offers_codes_of_six_and_of_eight_digits() {
    let lengths = |typed: &str, in_front| {
        let found = candidates(typed.as_bytes(), in_front);
        found.iter().map(|found| found.length).collect::<Vec<_>>()
    };
    assert_eq!(lengths("pw12345678", InFront::Anything), [6, 8]);
    assert_eq!(lengths("pw02345678", InFront::Anything), [6]);
    assert_eq!(lengths("12345678", InFront::Nothing), [8]);
    assert_eq!(lengths("123456", InFront::Nothing), [6]);
    for odd in [
        "", "12345", " 123456", "123456 ", "123 456", "+12345", "x123456",
    ] {
        assert!(lengths(odd, InFront::Nothing).is_empty(), "{odd:?}");
    }
}

#[test]
fn the_rate_limit_counts_every_attempt_and_refuses_a_right_code_too() {
    let options = "\" RATE_LIMIT 1 30\n\" TOTP_AUTH\n";
    let (verdict, new) = decide_over(options, "", 150);
    assert_eq!(verdict, WRONG);
    let new = new.unwrap();
    assert_eq!(new, "\" RATE_LIMIT 1 30 150\n\" TOTP_AUTH\n");
    let (verdict, new) = decide_over(&new, CODES[5], 151);
    assert_eq!(verdict, Verdict::Refused(Refusal::RateLimited));
    assert_eq!(new.unwrap(), "\" RATE_LIMIT 1 30 151\n\" TOTP_AUTH\n");
}

#[test]
fn grace_comes_after_the_rate_limit() {
    let host = Some((&b"h"[..], 60));
    let options = "\" LAST0 h 100\n\" TOTP_AUTH\n";
    assert_eq!(glance(&file(options), host, UnixTime(110)), Glance::Grace);
    assert_eq!(glance(&file(options), None, UnixTime(110)), Glance::Ask);
    let over = format!("\" RATE_LIMIT 1 30 109\n{options}");
    assert_eq!(glance(&file(&over), host, UnixTime(110)), Glance::OverLimit);
    let bad = format!("\" RATE_LIMIT 1 30 \n{options}");
    assert_eq!(glance(&file(&bad), host, UnixTime(110)), Glance::Malformed);
}

#[test]
fn a_success_is_remembered_for_grace_and_a_failure_is_not() {
    let remember = |typed: &str, host| {
        let candidates = candidates(typed.as_bytes(), InFront::Nothing);
        let attempt = Attempt {
            remember: Some(host),
            ..attempt(&candidates)
        };
        decide(&file("\" TOTP_AUTH\n"), &attempt, UnixTime(150)).1
    };
    let new = remember(CODES[5], b"192.0.2.7").unwrap();
    assert_eq!(new.option("LAST0"), Some(&b"192.0.2.7 150"[..]));
    assert!(remember("000000", b"192.0.2.7").is_none());
    assert!(remember(CODES[5], b"two words").is_none());
}

#[test]
fn lines_that_cannot_be_read_refuse() {
    for (options, key) in [
        ("\" DISALLOW_REUSE 4 x\n\" TOTP_AUTH\n", "DISALLOW_REUSE"),
        ("\" WINDOW_SIZE 101\n\" TOTP_AUTH\n", "WINDOW_SIZE"),
        ("\" WINDOW_SIZE\n\" TOTP_AUTH\n", "WINDOW_SIZE"),
        ("\" STEP_SIZE 61\n\" TOTP_AUTH\n", "STEP_SIZE"),
        ("\" STEP_SIZE 3x\n\" TOTP_AUTH\n", "STEP_SIZE"),
    ] {
        let (verdict, new) = decide_over(options, CODES[5], 150);
        assert_eq!(
            verdict,
            Verdict::Refused(Refusal::BadOption(key)),
            "{options}"
        );
        assert_eq!(new, None);
    }
}

#[test]
fn without_a_kind_no_device_code_is_right() {
    for options in [
        "",
        "\" HOTP_COUNTER 0\n",
        "\" HOTP_COUNTER soon\n",
        "\" HOTP_COUNTER -1\n",
    ] {
        for code in CODES {
            assert_eq!(decide_over(options, code, 150), (WRONG, None), "{options}");
        }
    }
    let (verdict, _) = decide_over("\" HOTP_COUNTER 0\n\" TOTP_AUTH\n", CODES[5], 150);
    assert_eq!(verdict, accepted(Proof::Totp, 6), "0 is no counter");
}

#[test]
fn the_code_that_the_counter_stands_behind_is_no_guess_and_changes_nothing() {
    let options = "\" HOTP_COUNTER 5\n";
    let last = (Verdict::Refused(Refusal::LastCode), None);
    assert_eq!(decide_over(options, CODES[4], 0), last);
    assert_eq!(decide_over(options, CODES[3], 0), (WRONG, None));
    assert!(
        !Refusal::LastCode.is_final(),
        "asked again, as after a wrong one"
    );
    let two = candidates(format!("99{}", CODES[4]).as_bytes(), InFront::Anything);
    let (verdict, _) = decide(&file(options), &attempt(&two), UnixTime(0));
    assert_eq!(verdict, WRONG, "not beside a guess");
}

#[test]
fn others_cannot_fill_the_rate_limit_of_a_known_source() {
    let options = "\" RATE_LIMIT 1 30 149\n\" TOTP_AUTH\n";
    let code = candidates(CODES[5].as_bytes(), InFront::Nothing);
    for (known, expected) in [
        (false, Verdict::Refused(Refusal::RateLimited)),
        (true, accepted(Proof::Totp, 6)),
    ] {
        let attempt = Attempt {
            known,
            ..attempt(&code)
        };
        let (verdict, new) = decide(&file(options), &attempt, UnixTime(150));
        assert_eq!(verdict, expected);
        let new = new.unwrap();
        assert_eq!(
            new.option("RATE_LIMIT"),
            Some(&b"1 30 150"[..]),
            "counted all the same"
        );
    }
}
