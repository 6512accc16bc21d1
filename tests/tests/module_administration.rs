//! Administration while people log in: a login sees either the old pair of files or the new one.
//!
//! Sixteen processes log in ten times each, half of them as the user who is changed, half as others,
//! while `otpgate` runs. Fails when administration does not take the lock of the user's state, or
//! when a login trusts a file that was replaced while it waited.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tests::application::{Barrier, Login, Report, Running};
use tests::installation::{Installation, finish};
use tests::oath;
use tests::processes::{DEADLINE, wait};
use tests::strace::{self, Call};

const ROUNDS: usize = 6;
/// Logins of the user who is changed, and of others, at once.
const EACH: usize = 8;
/// Logins of each process, one after the other.
const REPEATS: &str = "10";

#[test]
fn replacing_a_device_races_logins() {
    let host = Host::new();
    let [old, new] = ["old", "new"].map(|name| host.secret(name));
    for round in 0..ROUNDS {
        host.enroll(USER, "old");
        let codes = [host.code(&old), host.code(&new)];
        let command = host.enrolling(USER, "new");
        let reports = host.race(round, &codes, vec![command]);
        // Each code once at most, whichever device was valid when it came.
        for (reports, code) in reports.iter().zip(&codes) {
            assert!(
                successes(reports) <= 1,
                "round {round}, {code}: {reports:?}"
            );
        }
        // And now the new one only: used up in the race, or still fresh.
        let after = host.installation.login(USER).answer(&codes[1]).run();
        assert_eq!(
            usize::from(after.success()) + successes(&reports[1]),
            1,
            "round {round}"
        );
        let after = host.installation.login(USER).answer(&codes[0]).run();
        assert_eq!(
            after.code(),
            "PAM_AUTH_ERR",
            "round {round}: the old device"
        );
    }
}

#[test]
fn removing_a_user_races_logins() {
    let host = Host::new();
    let old = host.secret("old");
    for round in 0..ROUNDS {
        host.enroll(USER, "old");
        let code = host.code(&old);
        let remove = host.installation.otpgate(&["remove", USER]);
        let reports = host.race(round, &[code.clone(), code.clone()], vec![remove]);
        assert!(
            reports
                .iter()
                .map(|reports| successes(reports))
                .sum::<usize>()
                <= 1
        );
        let after = host.installation.login(USER).answer(&code).run();
        assert_eq!(after.code(), "PAM_AUTH_ERR");
        let shown = host.installation.run(&["show", USER]);
        assert!(shown.stderr.contains("is not enrolled"), "{shown:?}");
    }
}

#[test]
fn enrolling_anew_races_logins() {
    let host = Host::new();
    let [old, new] = ["old", "new"].map(|name| host.secret(name));
    for round in 0..ROUNDS {
        host.enroll(USER, "old");
        let codes = [host.code(&old), host.code(&new)];
        let remove = host.installation.otpgate(&["remove", USER]);
        let reports = host.race(round, &codes, vec![remove, host.enrolling(USER, "new")]);
        let after = host.installation.login(USER).answer(&codes[1]).run();
        assert_eq!(
            usize::from(after.success()) + successes(&reports[1]),
            1,
            "round {round}"
        );
    }
}

#[test]
fn repair_unlock_and_recovery_race_logins() {
    let host = Host::new();
    let old = host.secret("old");
    for round in 0..ROUNDS {
        host.enroll(USER, "old");
        let code = host.code(&old);
        let commands = ["repair", "unlock", "recovery", "repair"];
        let commands = commands.map(|name| host.installation.otpgate(&[name, USER]));
        let reports = host.race(round, &[code.clone(), code], commands.into());
        let all = reports
            .iter()
            .map(|reports| successes(reports))
            .sum::<usize>();
        assert_eq!(
            all, 1,
            "round {round}: one code, one login, whatever root does"
        );
    }
}

/// It has seen an account, then no state, and sees an account again: that is no damage.
#[test]
fn a_login_held_up_between_its_looks_is_not_misled_by_a_new_enrolment() {
    let host = Host::new();
    host.enroll(USER, "old");
    let code = host.code(&host.secret("new"));
    // Before the look at the state, and before the next look at the account.
    let look = |call: &Call| call.name == "newfstatat" && call.line.contains("\"alice\"");
    let held = host.held_up(&code, look, 2);
    thread::sleep(HOLD / 4);
    host.installation.must(&["remove", USER]);
    thread::sleep(HOLD);
    host.enroll(USER, "new");
    assert_eq!(held.finish().code(), "PAM_SUCCESS");
}

/// What it then locks is a file that nobody finds again; a code recorded there would work twice.
#[test]
fn a_login_held_up_before_its_lock_records_the_code_where_others_look() {
    let host = Host::new();
    host.enroll(USER, "old");
    let code = host.code(&host.secret("new"));
    let held = host.held_up(&code, |call| call.name == "flock", 1);
    thread::sleep(HOLD / 4);
    host.installation.must(&["remove", USER]);
    host.enroll(USER, "new");
    assert_eq!(held.finish().code(), "PAM_SUCCESS");
    let again = host.installation.login(USER).answer(&code).run();
    assert_eq!(again.code(), "PAM_AUTH_ERR", "one code, one login");
}

const USER: &str = "alice";
/// How long a login is held up: a quarter of it is enough to get there, and three quarters for two commands.
const HOLD: Duration = Duration::from_secs(2);

struct Host {
    installation: Installation,
    others: Vec<String>,
}

impl Host {
    fn new() -> Self {
        // Codes of a device that is not valid yet are wrong ones: they shall not end the race.
        let installation = Installation::with_settings("[throttle]\nfree_failures = 20\n");
        for name in ["old", "new", "other"] {
            let secret = installation.enroll(name, &[]).secret;
            fs::write(installation.path(name), secret).unwrap();
        }
        let others = (0..EACH).map(|n| format!("other{n}")).collect();
        Self {
            installation,
            others,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.installation.path(name)
    }

    fn secret(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap()
    }

    /// Time-based: a used code is refused, and not counted as a failure.
    fn code(&self, secret: &str) -> String {
        oath::totp(secret, None, "sha1", 6)
    }

    /// Gives the user one device with this secret, of which nothing is used up.
    fn enroll(&self, user: &str, secret: &str) {
        let finished = finish(&mut self.enrolling(user, secret), "");
        assert!(finished.success(), "{finished:?}");
    }

    fn enrolling(&self, user: &str, secret: &str) -> Command {
        let from = self.file(secret);
        let from = from.to_str().unwrap();
        let fixed = ["enroll", user, "--no-confirm", "--qr", "none", "--force"];
        let arguments = [&fixed[..], &["--secret-from", from]].concat();
        self.installation.otpgate(&arguments)
    }

    /// A login that has just had its answer, and waits for [`HOLD`] before the first such call, and before the
    /// calls of that name that follow, `times` in all.
    fn held_up(&self, code: &str, at: impl Fn(&Call) -> bool, times: usize) -> Running {
        let login = || self.installation.login(USER).with(["--barrier"]);
        let trace = self.installation.path("trace");
        let command = login().answer("no code").into_command();
        assert!(finish(&mut strace::traced(&command, &trace, &[]), "").success());
        let calls = strace::read(&trace);
        let mut calls = strace::from_answer_to_verdict(&calls).iter();
        let call = calls.find(|call| at(call)).expect("a call to wait before");
        let (name, first, last) = (&call.name, call.occurrence, call.occurrence + times - 1);
        let trace_only = format!("trace={name}");
        let delay = format!(
            "inject={name}:delay_enter={}:when={first}..{last}",
            HOLD.as_micros()
        );
        let command = login().answer(code).into_command();
        let held = strace::traced(&command, &trace, &["-e", &trace_only, "-e", &delay]);
        let barrier = Barrier::new();
        let mut held = Running::start_at(held, &barrier);
        barrier.open_for([&mut held]);
        held
    }

    /// Half of the user's processes try one code, half the other, while the commands run one after
    /// the other. Returns the two halves' reports; all the others have logged in.
    fn race(&self, round: usize, codes: &[String; 2], commands: Vec<Command>) -> [Vec<Report>; 2] {
        let start = Instant::now();
        for other in &self.others {
            self.enroll(other, "other");
        }
        let other_code = self.code(&self.secret("other"));
        let barrier = Barrier::new();
        let start_one = |user: &str, code: &str| {
            let login: Login = self.installation.login(user).answer(code);
            login.with(["--repeat", REPEATS]).start_at(&barrier)
        };
        let ours = (0..EACH).map(|n| start_one(USER, &codes[n % 2]));
        let others = self.others.iter().map(|user| start_one(user, &other_code));
        let mut running: Vec<Running> = ours.chain(others).collect();
        let mut commands = commands.into_iter();
        // The first one is on its way when the logins are let go: starting takes it some milliseconds.
        let first = begin(commands.next().unwrap());
        thread::sleep(Duration::from_micros(700 * round as u64));
        barrier.open_for(&mut running);
        end(first);
        commands.for_each(|command| end(begin(command)));
        let mut reports = running.into_iter().map(Running::finish);
        let mut halves = [Vec::new(), Vec::new()];
        for n in 0..EACH {
            let report = reports.next().unwrap();
            assert_orderly(&report);
            halves[n % 2].push(report);
        }
        for report in reports {
            assert_orderly(&report);
            assert_eq!(successes(&[report]), 1, "others are not disturbed");
        }
        assert!(start.elapsed() < DEADLINE);
        assert!(self.installation.temporaries().is_empty());
        // What follows is about the code; those who are not enrolled have nothing to unlock.
        self.installation.run(&["unlock", USER]);
        halves
    }
}

/// Each login ended with a yes or a no, none with a trouble of the store.
fn assert_orderly(report: &Report) {
    for code in report.codes() {
        assert!(
            ["PAM_SUCCESS", "PAM_AUTH_ERR"].contains(&code),
            "{report:?}"
        );
    }
}

fn successes(reports: &[Report]) -> usize {
    let codes = reports.iter().flat_map(Report::codes);
    codes.filter(|code| *code == "PAM_SUCCESS").count()
}

fn begin(mut command: Command) -> Child {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null());
    quiet.stderr(Stdio::null()).spawn().unwrap()
}

fn end(mut child: Child) {
    let status = wait(&mut child, DEADLINE);
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
}
