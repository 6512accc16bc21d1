//! Simultaneous logins through sshd: one code opens one of them, and users do not disturb each other.
//!
//! The logins wait at a gate with the code in hand and pass together. What the peer makes of the same
//! races is printed, not judged.

use std::io::{self, Write};
use std::thread;
use tests::clients::gate::Gate;
use tests::clients::openssh::{Way, ssh};
use tests::clients::{ClientRun, Login};
use tests::clock::Clock;
use tests::module::{Device, Module};
use tests::otpgate::Otpgate;
use tests::sandbox::{self, Sandbox};
use tests::sshd::Sshd;
use tests::users::User;

const LOGINS: usize = 8;
const ROUNDS: usize = 5;

/// How many logins each round opened.
type Race = fn(&Sandbox, &Module) -> [usize; ROUNDS];

#[test]
fn one_recovery_code_opens_one_of_eight_logins() {
    let opened = sandbox::run(|sandbox| recovery_codes(sandbox, &product(sandbox)));
    assert_eq!(opened, [1; ROUNDS]);
}

#[test]
fn one_counter_code_opens_one_of_eight_logins() {
    let opened = sandbox::run(|sandbox| counter_codes(sandbox, &product(sandbox)));
    assert_eq!(opened, [1; ROUNDS]);
}

#[test]
fn one_time_code_opens_one_of_eight_logins() {
    let opened = sandbox::run(|sandbox| time_codes(sandbox, &product(sandbox)));
    assert_eq!(opened, [1; ROUNDS]);
}

#[test]
fn eight_users_log_in_at_once() {
    let opened = sandbox::run(|sandbox| eight_users(sandbox, &product(sandbox)));
    assert_eq!(opened, [LOGINS; ROUNDS]);
}

/// Printed: right would be 1 for each race of one code, and 8 of 8 for the users.
#[test]
fn peer_google_authenticator_in_the_same_races() {
    let races: [(&str, Race); 4] = [
        ("one recovery code", recovery_codes),
        ("one counter code", counter_codes),
        ("one time code", time_codes),
        ("eight users", eight_users),
    ];
    for (name, race) in races {
        let opened = sandbox::run(|sandbox| race(sandbox, &Module::GoogleAuthenticator));
        // Past libtest's capture: the comparison is for people.
        writeln!(
            io::stderr(),
            "pam_google_authenticator, {name}: {opened:?} of {LOGINS} logins"
        )
        .unwrap();
    }
}

fn product(sandbox: &Sandbox) -> Module<'_> {
    Module::Otpgate(Otpgate::install(sandbox, ""))
}

/// A user for every round: the losers of one round are failures that throttle the next.
fn recovery_codes(sandbox: &Sandbox, module: &Module) -> [usize; ROUNDS] {
    one_code_each_round(sandbox, module, |device| device.recovery_codes[0].clone())
}

fn counter_codes(sandbox: &Sandbox, module: &Module) -> [usize; ROUNDS] {
    one_code_each_round(sandbox, module, |device| device.code(0))
}

fn one_code_each_round(
    sandbox: &Sandbox,
    module: &Module,
    code: impl Fn(&Device) -> String,
) -> [usize; ROUNDS] {
    sandbox.sshd_stack_after_password(&module.auth_line());
    let sshd = Sshd::start(sandbox, "", Clock::Real);
    rounds(|round| {
        let user = sandbox.add_user(&format!("user{round}"));
        let code = code(&module.enrol_hotp(&user));
        together(sandbox, &sshd, vec![(&user, code); LOGINS])
    })
}

/// One user and an hour between the rounds: a new code, and no throttle waits that long.
fn time_codes(sandbox: &Sandbox, module: &Module) -> [usize; ROUNDS] {
    sandbox.sshd_stack_after_password(&module.auth_line());
    let user = sandbox.add_user("alice");
    let device = module.enrol_totp(&user);
    rounds(|round| {
        let now = 2_000_000_010 + 3600 * round as u64; // the first second of a step
        let sshd = Sshd::start(sandbox, "", Clock::StartingAt(now));
        together(sandbox, &sshd, vec![(&user, device.code_at(now)); LOGINS])
    })
}

fn eight_users(sandbox: &Sandbox, module: &Module) -> [usize; ROUNDS] {
    sandbox.sshd_stack_after_password(&module.auth_line());
    let sshd = Sshd::start(sandbox, "", Clock::Real);
    let users: [_; LOGINS] = std::array::from_fn(|n| sandbox.add_user(&format!("user{n}")));
    let devices = users.each_ref().map(|user| module.enrol_hotp(user));
    rounds(|round| {
        let codes = devices.iter().map(|device| device.code(round as u64));
        together(sandbox, &sshd, users.iter().zip(codes).collect())
    })
}

/// How many of the logins succeed when all their codes arrive at once.
fn together(sandbox: &Sandbox, sshd: &Sshd, logins: Vec<(&User, String)>) -> usize {
    let gate = &Gate::new(sandbox);
    thread::scope(|scope| {
        let waiting: Vec<_> = logins
            .into_iter()
            .map(|(user, code)| Login::new(sandbox, sshd, user, code).with_gate(gate))
            .map(|login| scope.spawn(move || ssh(&login, Way::Askpass, &[], "id -un")))
            .collect();
        let _open = gate.open_for(waiting.len());
        let runs: Vec<ClientRun> = waiting.into_iter().map(|run| run.join().unwrap()).collect();
        runs.iter().filter(|run| run.success).count()
    })
}

fn rounds(race: impl Fn(usize) -> usize) -> [usize; ROUNDS] {
    std::array::from_fn(race)
}
