//! The harness keeps its own promise: nothing of a test reaches the machine.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, SystemTime};
use tests::clock::Clock;
use tests::google_authenticator;
use tests::module::Module;
use tests::processes::{self, DEADLINE};
use tests::sandbox;
use tests::sshd::Sshd;

#[test]
fn users_services_logs_and_state_vanish_with_the_sandbox() {
    let before = machine();
    sandbox::run(|sandbox| {
        let user = sandbox.add_user("alice");
        Module::GoogleAuthenticator.enrol_hotp(&user);
        sandbox.sshd_stack_after_password(google_authenticator::AUTH_LINE);
        fs::create_dir_all("/etc/otpgate").unwrap();
        fs::create_dir("/var/lib/otpgate").unwrap();
        fs::write("/var/log/wtmp", "somebody").unwrap();
        let _sshd = Sshd::start(sandbox, "", Clock::Real);
        assert_ne!(machine(), before);
    });
    assert_eq!(machine(), before);
}

#[test]
fn a_process_that_a_test_forgot_ends_with_the_sandbox() {
    let mut forgotten: Child = sandbox::run(|_| {
        Command::new("setsid")
            .args(["sleep", "1000"])
            .spawn()
            .unwrap()
    });
    let status = processes::wait(&mut forgotten, DEADLINE);
    assert!(status.is_some_and(|status| !status.success()), "{status:?}");
}

#[test]
fn what_modules_log_is_received() {
    sandbox::run(|sandbox| {
        let logged = Command::new("logger")
            .args(["-p", "authpriv.info", "hello"])
            .status();
        assert!(logged.unwrap().success());
        let line = sandbox
            .syslog()
            .wait_for(DEADLINE, |line| line.contains("hello"));
        assert!(line.starts_with("<86>"), "{line}");
    });
}

#[test]
fn a_fake_clock_reaches_the_processes_started_with_it() {
    sandbox::run(|sandbox| {
        let mut date = Command::new("date");
        date.arg("+%s");
        Clock::StartingAt(2_000_000_000).set(&mut date);
        let shown = processes::run(&mut date, &sandbox.scratch());
        let seconds: u64 = shown.stdout.trim().parse().unwrap();
        assert!(
            (2_000_000_000..2_000_000_100).contains(&seconds),
            "{seconds}"
        );

        let mut date = Command::new("date");
        date.arg("+%s");
        Clock::Shifted(-86_400).set(&mut date);
        let shown = processes::run(&mut date, &sandbox.scratch());
        let shifted = Duration::from_secs(shown.stdout.trim().parse().unwrap());
        let behind = SystemTime::UNIX_EPOCH.elapsed().unwrap() - shifted;
        assert!((86_390..87_000).contains(&behind.as_secs()), "{behind:?}");
    });
}

/// Size and time of change of everything that the sandbox covers and a login could touch.
fn machine() -> BTreeMap<&'static str, Option<(u64, i64, i64)>> {
    let paths = [
        "/dev/log",
        "/etc/group",
        "/etc/otpgate",
        "/etc/pam.d",
        "/etc/pam.d/sshd",
        "/etc/passwd",
        "/etc/shadow",
        "/run/otpgate-e2e",
        "/run/sshd",
        "/run/utmp",
        "/var/lib/otpgate",
        "/var/log/btmp",
        "/var/log/lastlog",
        "/var/log/wtmp",
    ];
    let facts = |path: &str| {
        let metadata = Path::new(path).symlink_metadata().ok()?;
        Some((metadata.size(), metadata.ctime(), metadata.ctime_nsec()))
    };
    paths.into_iter().map(|path| (path, facts(path))).collect()
}
