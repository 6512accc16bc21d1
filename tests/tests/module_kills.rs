//! Promise 2: commit before answer. A SIGKILL at any moment of a login leaves a state that opens,
//! reopens no used code, locks nobody out, and leaves no temporary file behind.
//!
//! `OTPGATE_KILLS` says how many random kills there are (300 without it). A product that truncates
//! the state file before it writes it fails both tests.

use std::collections::BTreeSet;
use std::env;
use std::time::{Duration, Instant};
use tests::application::{Barrier, Login, Report};
use tests::installation::{Installation, finish};
use tests::{figures, oath, strace};

const ACKNOWLEDGED: &str = "called auth PAM_SUCCESS";
const HOME: &str = "192.0.2.7";

#[test]
fn logins_survive_sigkill_at_random_moments() {
    let kills = env::var("OTPGATE_KILLS").map_or(300, |count| count.parse().unwrap());
    let alice = Alice::enrolled();
    let span = alice.usual_time_of_a_verdict() * 2;
    let (mut recorded, mut acknowledged) = (0, 0);
    for kill in 0..kills {
        let next = alice.next();
        // Every fifth victim tries a code that is used up: it must not become fresh by that.
        let spent = kill % 5 == 4;
        let code = alice.code(if spent { next - 1 } else { next });
        let moment = span * random_per_mille() / 1000;
        let printed = killed_after(alice.login(&code), moment);
        let acknowledgement = printed.contains(ACKNOWLEDGED);
        assert!(!(spent && acknowledgement), "a used code let in: {printed}");
        let taken = alice.check_after_kill(next, acknowledgement, &format!("after {moment:?}"));
        assert!(!(spent && taken));
        recorded += usize::from(taken);
        acknowledged += usize::from(acknowledgement);
    }
    figures::print(&format!(
        "{kills} kills within {span:?} of the answer: {recorded} logins recorded, {acknowledged} acknowledged"
    ));
}

/// The same at every system call between the answer and the verdict, each once.
#[test]
fn logins_survive_sigkill_at_every_system_call() {
    let alice = Alice::enrolled();
    let trace = alice.installation.path("trace");
    let login = alice.login(&alice.code(alice.next())).with(["--barrier"]);
    let observed = strace::traced(&login.into_command(), &trace, &[]);
    assert!(finish(&mut { observed }, "").success());
    let calls = strace::read(&trace);
    let calls = strace::from_answer_to_verdict(&calls);
    let writes = calls.iter().filter(|call| call.name == "pwrite64").count();
    assert_eq!(writes, 1, "one commit: {calls:#?}");
    let mut killed = 0;
    for call in calls.iter().filter(|call| !call.is_about_memory()) {
        let next = alice.next();
        let login = alice.login(&alice.code(next)).with(["--barrier"]);
        let run = finish(&mut strace::killed_at(&login.into_command(), call), "");
        assert!(!run.stdout.contains(ACKNOWLEDGED), "not killed: {call:?}");
        alice.check_after_kill(next, false, &format!("before {}", call.line));
        killed += 1;
    }
    figures::print(&format!(
        "killed at each of {killed} system calls of a login"
    ));
}

/// Somebody with a counter-based device and a few successes behind her.
struct Alice {
    installation: Installation,
    secret: String,
    names: BTreeSet<String>,
}

impl Alice {
    fn enrolled() -> Self {
        let installation = Installation::new();
        let secret = installation.enroll("alice", &["--hotp"]).secret;
        let names = installation.names();
        let alice = Self {
            installation,
            secret,
            names,
        };
        assert!(alice.login(&alice.code(0)).run().success());
        alice
    }

    fn next(&self) -> u64 {
        self.installation.next("alice")
    }

    fn code(&self, counter: u64) -> String {
        oath::hotp(&self.secret, counter, 6)
    }

    fn login(&self, code: &str) -> Login {
        self.installation.login("alice").from(HOME).answer(code)
    }

    /// From the answer to the verdict: where kills hurt. The median of some logins.
    fn usual_time_of_a_verdict(&self) -> Duration {
        let measure = |counter| {
            let report = self.login(&self.code(counter)).run();
            assert!(report.success(), "{report:?}");
            report.micros_after_answer()
        };
        let mut micros: Vec<u64> = (1..20).map(measure).collect();
        micros.sort_unstable();
        Duration::from_micros(micros[micros.len() / 2])
    }

    /// All that is promised after a kill of a login with the code at `counter`. Says whether the
    /// login was recorded.
    fn check_after_kill(&self, counter: u64, acknowledged: bool, when: &str) -> bool {
        // `show` fails on a state that does not open.
        let next = self.next();
        assert!((counter..=counter + 1).contains(&next), "{when}: {next}");
        let recorded = next > counter;
        assert!(recorded || !acknowledged, "{when}: success, not recorded");
        // A used code first, then the owner's next one, on one handle.
        let answers = [self.code(next - 1), self.code(next)];
        let after: Report = self
            .login(&answers[0])
            .answer(&answers[1])
            .with(["--continue", "--repeat", "2"])
            .run();
        assert_eq!(after.codes(), ["PAM_AUTH_ERR", "PAM_SUCCESS"], "{when}");
        assert_eq!(self.installation.names(), self.names, "{when}");
        recorded
    }
}

/// Lets the login go with its answer, kills it that much later, and returns what it had printed.
fn killed_after(login: Login, moment: Duration) -> String {
    let barrier = Barrier::new();
    let mut running = login.start_at(&barrier);
    barrier.open_for([&mut running]);
    let start = Instant::now();
    // Sleeping would be too coarse.
    while start.elapsed() < moment {
        std::hint::spin_loop();
    }
    running.kill()
}

/// 0 to 1000: a moment, not a secret.
fn random_per_mille() -> u32 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let random = RandomState::new().build_hasher().finish() % 1001;
    u32::try_from(random).unwrap()
}
