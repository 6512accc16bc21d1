//! Promise 1: one code, one login; and nobody is disturbed by anybody.
//!
//! Sixteen processes hold their answers in hand and are let go at one instant, fifty times. The
//! first three tests fail when flock is taken out of the product; the others would fail with a lock
//! that all users share and nobody waits for (pam_oath).

use std::env;
use std::sync::LazyLock;
use tests::application::{Barrier, Login, Report, Running};
use tests::clock::Clock;
use tests::figures;
use tests::installation::Installation;
use tests::oath;

const PROCESSES: usize = 16;
/// Rounds of each race: `OTPGATE_ROUNDS`, or 50.
static ROUNDS: LazyLock<u64> =
    LazyLock::new(|| env::var("OTPGATE_ROUNDS").map_or(50, |count| count.parse().unwrap()));
const HOME: &str = "192.0.2.7";

#[test]
fn one_totp_code_opens_one_of_sixteen_logins() {
    let installation = Installation::new();
    let secret = installation.enroll("alice", &["--totp"]).secret;
    let opened = rounds("TOTP", |round| {
        // Far in the future, so that no confirmation or real login lies behind it; a step per round.
        let now = 2_000_000_010 + 30 * round;
        let code = oath::totp(&secret, Some(now), "sha1", 6);
        let login = || installation.login("alice").from(HOME).answer(&code);
        one_of_all(|| login().at(Clock::StartingAt(now)))
    });
    assert_eq!(opened, *ROUNDS);
}

#[test]
fn one_hotp_code_opens_one_of_sixteen_logins() {
    let installation = Installation::new();
    let secret = installation.enroll("alice", &["--hotp"]).secret;
    let opened = rounds("HOTP", |round| {
        let code = oath::hotp(&secret, round, 6);
        // The losers' code lies behind the counter, where it looks like any wrong one: it is counted.
        installation.must(&["unlock", "alice"]);
        one_of_all(|| installation.login("alice").from(HOME).answer(&code))
    });
    assert_eq!(opened, *ROUNDS);
    assert_eq!(installation.next("alice"), *ROUNDS, "one code per login");
}

#[test]
fn one_recovery_code_opens_one_of_sixteen_logins() {
    let installation = Installation::new();
    let mut codes = installation.enroll("alice", &["--hotp"]).recovery_codes;
    let opened = rounds("recovery codes", |_| {
        if codes.is_empty() {
            codes = installation.recovery("alice");
        }
        let code = codes.pop().unwrap();
        one_of_all(|| installation.login("alice").from(HOME).answer(&code))
    });
    assert_eq!(opened, *ROUNDS);
}

#[test]
fn sixteen_users_log_in_at_once() {
    let installation = Installation::new();
    let users: Vec<_> = (0..PROCESSES).map(|n| format!("user{n}")).collect();
    let enroll = |user: &String| installation.enroll(user, &["--hotp"]).secret;
    let secrets: Vec<_> = users.iter().map(enroll).collect();
    let opened = rounds("sixteen users", |round| {
        let logins = users.iter().zip(&secrets).map(|(user, secret)| {
            let code = oath::hotp(secret, round, 6);
            installation.login(user).from(HOME).answer(&code)
        });
        let reports = together(logins);
        assert!(reports.iter().all(Report::success), "{reports:?}");
        reports.len() as u64
    });
    assert_eq!(opened, *ROUNDS * PROCESSES as u64);
}

#[test]
fn a_flood_for_others_disturbs_nobody() {
    let installation = Installation::new();
    let secret = installation.enroll("alice", &["--hotp"]).secret;
    installation.enroll("bob", &["--hotp"]);
    let opened = rounds("one user among floods", |round| {
        let code = oath::hotp(&secret, round, 6);
        let alice = installation.login("alice").from(HOME).answer(&code);
        // Eight guess for somebody enrolled, seven for nobody: those meet on the decoys.
        let flood = (1..PROCESSES).map(|n| match n {
            1..=8 => installation.login("bob").answer("000000"),
            _ => installation.login(&format!("nobody{n}")).answer("000000"),
        });
        let reports = together([alice].into_iter().chain(flood));
        let (alice, flood) = reports.split_first().unwrap();
        assert!(alice.success(), "round {round}: {alice:?}");
        let refused = |report: &Report| report.code() == "PAM_AUTH_ERR";
        assert!(flood.iter().all(refused), "{flood:?}");
        1
    });
    assert_eq!(opened, *ROUNDS);
}

/// Sums up what all rounds opened, and prints it past libtest's capture.
fn rounds(name: &str, race: impl FnMut(u64) -> u64) -> u64 {
    let opened: u64 = (0..*ROUNDS).map(race).sum();
    figures::print(&format!(
        "{name}: {} rounds of {PROCESSES} processes, {opened} logins",
        *ROUNDS
    ));
    opened
}

/// How many of sixteen identical logins succeed. The others are refused like any used code, and
/// never for want of a lock.
fn one_of_all(login: impl Fn() -> Login) -> u64 {
    let reports = together((0..PROCESSES).map(|_| login()));
    let opened = reports.iter().filter(|report| report.success()).count();
    for report in reports.iter().filter(|report| !report.success()) {
        assert_eq!(report.code(), "PAM_AUTH_ERR", "{report:?}");
    }
    assert_eq!(opened, 1, "logins with one code");
    1
}

fn together(logins: impl IntoIterator<Item = Login>) -> Vec<Report> {
    let barrier = Barrier::new();
    let start = |login: Login| login.start_at(&barrier);
    let mut running: Vec<Running> = logins.into_iter().map(start).collect();
    barrier.open_for(&mut running);
    running.into_iter().map(Running::finish).collect()
}
