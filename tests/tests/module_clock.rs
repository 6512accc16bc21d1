//! Clocks go wrong: one that is set back reopens nothing, one that jumped ahead locks nobody out for
//! good, and waits end when they say.
//!
//! Time is libfaketime's. All distances keep some seconds off each limit, for a process on a loaded
//! machine may need one to start. Fails when the watermark follows the clock back, or when stored
//! waits are believed.

use std::time::Duration;
use tests::application::Report;
use tests::clock::Clock;
use tests::installation::Installation;
use tests::oath;
use tests::sandbox;

/// The first second of a step, long after any clock that ran when this was written.
const NOW: u64 = 2_000_000_010;
const TEN_YEARS: u64 = 10 * 365 * 86_400;
const HOME: &str = "192.0.2.7";

#[test]
fn ten_years_ahead_for_one_login_and_back_locks_nobody_out() {
    sandbox::run(|sandbox| {
        let host = Host::enrolled(Installation::prepared(&sandbox.path(""), ""), "--totp");
        host.accepts(&host.totp(NOW), NOW);
        host.accepts(&host.totp(NOW + TEN_YEARS), NOW + TEN_YEARS);
        // Back again: codes of the present lie behind the watermark. The log names the cure.
        host.refuses(&host.totp(NOW + 60), NOW + 60);
        let cure =
            |line: &str| line.contains("reason=watermark_ahead") && line.contains("otpgate resync");
        sandbox.syslog().wait_for(Duration::from_secs(10), cure);
        host.accepts(&host.recovery_codes[0], NOW + 60);
        // Two codes in a row, by an administrator, bring the device back; both are used up.
        let then = NOW + 120;
        let codes = format!("{}\n{}\n", host.totp(then), host.totp(then + 30));
        let resync = ["resync", "alice"];
        let run = host
            .installation
            .answer(&resync, &codes, Clock::StartingAt(then));
        assert!(run.success(), "{run:?}");
        host.refuses(&host.totp(then), then);
        host.refuses(&host.totp(then + 30), then);
        host.accepts(&host.totp(then + 60), then + 60);
        // What was used in the future stays used when the future comes only by its own step.
        host.accepts(&host.totp(then + 90), then + 90);
    });
}

#[test]
fn a_clock_set_back_reopens_nothing() {
    let host = Host::enrolled(initialised(), "--totp");
    for seconds in [0, 30, 60, 600] {
        host.accepts(&host.totp(NOW + seconds), NOW + seconds);
    }
    for seconds in [0, 30, 60, 600] {
        // Used codes, and those in between that nobody used.
        for shown in [seconds, seconds + 30] {
            let moment = NOW + seconds;
            if shown <= 600 {
                host.refuses(&host.totp(NOW + shown), moment);
            }
        }
    }
    host.accepts(&host.totp(NOW + 630), NOW + 630);
}

#[test]
fn a_wait_from_the_future_ends_after_the_longest_wait() {
    let host = Host::enrolled(initialised(), "--hotp");
    let future = NOW + TEN_YEARS;
    for _ in 0..4 {
        host.refuses("000000", future);
    }
    // The wait is believed for no longer than 15 minutes, and the code is not used up meanwhile.
    host.refuses(&host.hotp(0), NOW + 10);
    host.refuses(&host.hotp(0), NOW + 600);
    host.accepts(&host.hotp(0), NOW + 10 + 900 + 5);
}

#[test]
fn a_right_code_is_refused_during_a_wait_and_not_used_up() {
    let host = Host::enrolled(initialised(), "--hotp");
    for _ in 0..4 {
        host.refuses("000000", NOW);
    }
    assert_eq!(host.installation.failures("alice"), 4, "three were free");
    // 5 s
    host.refuses(&host.hotp(0), NOW + 2);
    assert_eq!(host.installation.next("alice"), 0, "not used up");
    assert_eq!(host.installation.failures("alice"), 4, "not counted");
    // The fifth failure: 10 s.
    host.refuses("000000", NOW + 8);
    assert_eq!(host.installation.failures("alice"), 5);
    host.refuses(&host.hotp(0), NOW + 8 + 7);
    assert_eq!(host.installation.next("alice"), 0);
    host.accepts(&host.hotp(0), NOW + 8 + 13);
    assert_eq!(host.installation.failures("alice"), 0, "success forgets");
}

struct Host {
    installation: Installation,
    secret: String,
    recovery_codes: Vec<String>,
}

fn initialised() -> Installation {
    Installation::prepared(std::path::Path::new("/var/tmp"), "")
}

impl Host {
    fn enrolled(installation: Installation, kind: &str) -> Self {
        installation.must(&["init"]);
        let enrolment = installation.enroll("alice", &[kind]);
        Self {
            installation,
            secret: enrolment.secret,
            recovery_codes: enrolment.recovery_codes,
        }
    }

    fn totp(&self, at: u64) -> String {
        oath::totp(&self.secret, Some(at), "sha1", 6)
    }

    fn hotp(&self, counter: u64) -> String {
        oath::hotp(&self.secret, counter, 6)
    }

    fn login(&self, code: &str, at: u64) -> Report {
        let login = self.installation.login("alice").from(HOME).answer(code);
        login.at(Clock::StartingAt(at)).run()
    }

    fn accepts(&self, code: &str, at: u64) {
        let report = self.login(code, at);
        assert!(report.success(), "at {at}: {report:?}");
    }

    fn refuses(&self, code: &str, at: u64) {
        let report = self.login(code, at);
        assert_eq!(report.code(), "PAM_AUTH_ERR", "at {at}: {report:?}");
    }
}
