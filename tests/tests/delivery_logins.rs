//! Logins with codes that are sent: who gets in how often, how many are sent, and what a channel that fails
//! means for whom.

use tests::application::{Barrier, Login, Report, Running};
use tests::clock::Clock;
use tests::delivery::{Pager, section, write_program};
use tests::installation::Installation;
use tests::oath;
use tests::sandbox::{self, Sandbox};

const HOME: &str = "192.0.2.7";
const AWAY: &str = "192.0.2.8";
const PROMPT: &str = "echo_off: Verification code: ";

/// An installation with a channel `sms`, and alice, who has nothing else.
struct Scene {
    installation: Installation,
    pager: Pager,
}

impl Scene {
    fn new(delivery: &str) -> Self {
        Self::prepared(Installation::new(), delivery)
    }

    fn in_sandbox(sandbox: &Sandbox, delivery: &str) -> Self {
        let installation = Installation::prepared(&sandbox.path(""), "");
        installation.must(&["init"]);
        Self::prepared(installation, delivery)
    }

    fn prepared(installation: Installation, delivery: &str) -> Self {
        let pager = Pager::new(&installation.path(""));
        let scene = Self {
            installation,
            pager,
        };
        scene.configure(delivery, "");
        let enrol = ["enroll", "alice", "--no-confirm", "--delivered", "sms:+44"];
        scene.installation.must(&enrol);
        scene
    }

    fn configure(&self, delivery: &str, channel: &str) {
        let delivery = section(self.installation.command(), delivery);
        let channel = self.pager.channel("sms", channel);
        self.installation.configure(&format!("{delivery}{channel}"));
    }

    fn login(&self) -> Login {
        self.installation.login("alice").from(HOME)
    }

    /// A login that has a code sent, and hangs up.
    fn ask(&self) -> Report {
        let report = self.login().with(["--answer-fail"]).run();
        assert_eq!(report.code(), "PAM_AUTH_ERR", "{report:?}");
        report
    }

    fn settled(&self) -> usize {
        self.installation.wait_for_deliveries();
        self.pager.paged().len()
    }
}

fn together(logins: impl IntoIterator<Item = Login>) -> Vec<Report> {
    let barrier = Barrier::new();
    let start = |login: Login| login.start_at(&barrier);
    let mut running: Vec<Running> = logins.into_iter().map(start).collect();
    barrier.open_for(&mut running);
    running.into_iter().map(Running::finish).collect()
}

fn successes(reports: &[Report]) -> usize {
    reports.iter().filter(|report| report.success()).count()
}

#[test]
fn a_code_is_sent_before_the_prompt_and_lets_in_once() {
    let scene = Scene::new("");
    let report = scene.ask();
    assert_eq!(report.prompts(), [PROMPT]);
    let code = scene.pager.code(1);
    let report = scene.login().answer(&code).run();
    assert!(report.success(), "{report:?}");
    let report = scene.login().answer(&code).run();
    assert_eq!(report.code(), "PAM_AUTH_ERR");
}

#[test]
fn a_hundred_connections_in_one_lifetime_send_one_code() {
    let scene = Scene::new("lifetime = \"10m\"");
    for _ in 0..4 {
        // The barrier is behind the prompt: they meet at the lock as they come.
        let reports = together((0..25).map(|_| scene.login().answer("")));
        assert_eq!(successes(&reports), 0);
    }
    assert_eq!(scene.settled(), 1, "notifications");
}

#[test]
fn one_code_that_was_sent_opens_one_of_sixteen_logins() {
    let scene = Scene::new("lifetime = \"10m\"\nbudget = 100");
    for round in 1..=10 {
        scene.ask();
        let code = scene.pager.code(round);
        let source = |number| if number % 2 == 0 { HOME } else { AWAY };
        // Their own prompts find the code on its way, and send nothing.
        let logins = (0..16).map(|number| {
            let login = scene.installation.login("alice").from(source(number));
            login.answer(&code)
        });
        assert_eq!(successes(&together(logins)), 1, "round {round}");
        assert_eq!(scene.settled(), round);
    }
}

#[test]
fn eight_connections_of_one_client_share_a_code_where_that_is_allowed_and_nobody_else_does() {
    let scene = Scene::new("lifetime = \"10m\"\nreuse = \"same-source\"");
    scene.ask();
    let code = scene.pager.code(1);
    let elsewhere = || {
        let login = scene.installation.login("alice").from(AWAY);
        login.answer(&code)
    };
    assert_eq!(elsewhere().run().code(), "PAM_AUTH_ERR");
    let reports = together((0..8).map(|_| scene.login().answer(&code)));
    assert_eq!(successes(&reports), 8, "{reports:?}");
    let mixed = together((0..8).map(|_| elsewhere()));
    assert_eq!(successes(&mixed), 0, "from another address");
    assert_eq!(scene.settled(), 1);
    let report = scene.login().answer(&code).at(Clock::Shifted(601)).run();
    assert_eq!(report.code(), "PAM_AUTH_ERR", "too old");
}

#[test]
fn who_has_a_phone_asks_by_the_name_of_the_channel() {
    let scene = Scene::new("");
    let bob = scene.installation.enroll("bob", &["--hotp"]).secret;
    let add = ["enroll", "bob", "--no-confirm", "--delivered", "sms:+45"];
    scene.installation.must(&add);
    let login = || scene.installation.login("bob").from(HOME);
    let report = login().answer(&oath::hotp(&bob, 0, 6)).run();
    assert!(report.success(), "{report:?}");
    assert_eq!(scene.settled(), 0, "nobody asked");
    let report = login().answer("sms").answer("").run();
    assert_eq!(report.prompts(), [PROMPT, PROMPT]);
    let code = scene.pager.code(1);
    assert!(login().answer(&code).run().success());
    // Whoever asks too often is told "wrong", in the words of any other wrong answer.
    let report = login()
        .answer("sms")
        .answer("SMS")
        .answer(" sms ")
        .answer("sms")
        .run();
    assert_eq!(report.prompts(), [PROMPT; 4]);
    assert_eq!(report.code(), "PAM_AUTH_ERR");
    // What was used made room for one more.
    assert_eq!(scene.settled(), 2);
}

#[test]
fn an_hour_has_a_budget_and_the_log_says_when_it_is_spent() {
    sandbox::run(|sandbox| {
        // One of them is kept for addresses of earlier logins.
        let scene = Scene::in_sandbox(sandbox, "budget = 4");
        for round in 0..5 {
            let at = Clock::Shifted(70 * round);
            let report = scene.login().with(["--answer-fail"]).at(at).run();
            assert_eq!(report.prompts(), [PROMPT], "{report:?}");
            scene.settled();
        }
        assert_eq!(scene.pager.paged().len(), 3);
        let log = sandbox.syslog().lines();
        let lines = |text: &str| log.iter().filter(|line| line.contains(text)).count();
        let sent =
            "result=sent user=alice source=192.0.2.7 service=login-test token=sms channel=sms";
        assert_eq!(lines(sent), 3, "{log:#?}");
        assert_eq!(lines("channel=sms reason=over_budget"), 2, "{log:#?}");
        let later = scene
            .login()
            .with(["--answer-fail"])
            .at(Clock::Shifted(3700));
        later.run();
        assert_eq!(scene.settled(), 4);
    });
}

#[test]
fn strangers_keep_the_owner_from_no_code_at_home() {
    let scene = Scene::new("lifetime = \"10m\"\nreuse = \"same-source\"");
    scene.ask();
    let report = scene.login().answer(&scene.pager.code(1)).run();
    assert!(report.success(), "{report:?}");
    let stranger = |round: i64| {
        let login = scene.installation.login("alice").from(AWAY);
        let at = Clock::Shifted(700 * round);
        login.with(["--answer-fail"]).at(at).run();
        scene.settled()
    };
    // A lifetime apart, within the hour.
    for round in 1..=5 {
        stranger(round);
    }
    assert_eq!(scene.settled(), 6);
    // While a stranger's code waits.
    let at = Clock::Shifted(700 * 5 + 1);
    scene.login().with(["--answer-fail"]).at(at).run();
    let code = scene.pager.code(7);
    for round in [5, 5] {
        assert_eq!(stranger(round), 7, "theirs is spent");
    }
    let report = scene.login().answer(&code).at(at).run();
    assert!(report.success(), "{report:?}");
}

#[test]
fn a_channel_that_fails_keeps_out_only_those_who_have_nothing_else() {
    sandbox::run(|sandbox| {
        let scene = Scene::in_sandbox(sandbox, "");
        let bob = scene.installation.enroll("bob", &["--hotp"]).secret;
        let add = ["enroll", "bob", "--no-confirm", "--delivered", "sms:+45"];
        scene.installation.must(&add);
        let file = scene.pager.file();
        scene
            .pager
            .behave(&format!("cat >> {}; exit 7", file.display()));
        scene.ask();
        scene.installation.wait_for_deliveries();
        let code = scene.pager.code(1);
        let login = scene.installation.login("bob").answer("sms");
        let report = login.answer(&oath::hotp(&bob, 0, 6)).run();
        assert!(report.success(), "{report:?}");
        scene.installation.wait_for_deliveries();
        let log = sandbox.syslog().lines().join("\n");
        let expected = "result=not_sent user=alice source=192.0.2.7 service=login-test token=sms channel=sms \
                        reason=channel detail=\"";
        assert!(log.contains(expected), "{log}");
        assert!(log.contains("exit status: 7"), "{log}");
        assert!(!log.contains(&code) && !log.contains("+44"), "{log}");
    });
}

#[test]
fn a_program_that_cannot_be_started_is_told_and_the_phone_still_works() {
    sandbox::run(|sandbox| {
        let scene = Scene::in_sandbox(sandbox, "");
        let bob = scene.installation.enroll("bob", &["--hotp"]).secret;
        let channel = scene.pager.channel("sms", "");
        let program = scene.installation.path("program");
        write_program(&program, "exit 0");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o775);
        std::fs::set_permissions(&program, open).unwrap();
        for (counter, (path, why)) in [
            (scene.installation.path("nothing"), "No such file"),
            (program, "not a program of root's"),
        ]
        .into_iter()
        .enumerate()
        {
            let delivery = format!("[delivery]\nprogram = {path:?}\n");
            scene
                .installation
                .configure(&format!("{delivery}{channel}"));
            let code = oath::hotp(&bob, counter as u64, 6);
            let report = scene
                .installation
                .login("bob")
                .answer("sms")
                .answer(&code)
                .run();
            assert!(report.success(), "{report:?}");
            let log = sandbox.syslog().lines().join("\n");
            let line = format!("reason=delivery detail=\"{}: {why}", path.display());
            assert!(log.contains(&line), "{line} in {log}");
        }
    });
}
