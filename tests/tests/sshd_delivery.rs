//! Codes that are sent, through Debian's sshd and OpenSSH's own clients: behind the password, once or shared, and
//! asked for by the name of a channel.

use std::thread;
use tests::built;
use tests::clients::gate::Gate;
use tests::clients::openssh::{Way, sftp, ssh};
use tests::clients::{ClientRun, Login, Sent};
use tests::clock::Clock;
use tests::delivery::{Pager, section};
use tests::files;
use tests::oath;
use tests::otpgate::Otpgate;
use tests::sandbox::{self, Sandbox};
use tests::sshd::Sshd;
use tests::users::User;

const CONNECTIONS: usize = 8;

/// The documented stack, a channel `sms`, and alice.
struct Scene<'a> {
    sandbox: &'a Sandbox,
    otpgate: Otpgate<'a>,
    pager: Pager,
    alice: User,
    sshd: Sshd,
}

impl<'a> Scene<'a> {
    fn new(sandbox: &'a Sandbox, delivery: &str) -> Self {
        let pager = Pager::new(&sandbox.path(""));
        let command = built::release("OTPGATE_COMMAND", "otpgate");
        let settings = section(&command, delivery) + &pager.channel("sms", "");
        let otpgate = Otpgate::install(sandbox, &settings);
        sandbox.sshd_stack_after_password(&otpgate.auth_line(""));
        let alice = sandbox.add_user("alice");
        Self {
            sandbox,
            otpgate,
            pager,
            alice,
            sshd: Sshd::start(sandbox, "", Clock::Real),
        }
    }

    fn enroll_sms(&self) {
        let arguments = ["enroll", "alice", "--no-confirm", "--delivered", "sms:+44"];
        let finished = self.otpgate.run(&arguments);
        assert!(finished.success(), "{finished:?}");
    }

    /// A login with the code that arrives as the `count`th.
    fn login(&self, count: usize, ask: Option<&'static str>) -> Login<'_> {
        let sent = Sent {
            file: self.pager.file(),
            lines: count,
            ask,
        };
        Login::new(self.sandbox, &self.sshd, &self.alice, "").with_sent(sent)
    }
}

fn id(login: &Login, from: &str) -> ClientRun {
    let bind = format!("-oBindAddress={from}");
    ssh(login, Way::Askpass, &[&bind], "id -un")
}

/// Eight connections that hold their code in hand and go on together; from two addresses in turn.
fn together(scene: &Scene, addresses: [&str; 2]) -> Vec<bool> {
    let gate = &Gate::new(scene.sandbox);
    thread::scope(|scope| {
        let start = |number: usize| {
            let login = scene.login(1, None).with_gate(gate);
            let address = addresses[number % 2].to_owned();
            scope.spawn(move || id(&login, &address).success)
        };
        let waiting: Vec<_> = (0..CONNECTIONS).map(start).collect();
        let _open = gate.open_for(CONNECTIONS);
        waiting.into_iter().map(|run| run.join().unwrap()).collect()
    })
}

#[test]
fn a_code_comes_behind_the_password_and_lets_a_client_in() {
    sandbox::run(|sandbox| {
        let scene = Scene::new(sandbox, "");
        scene.enroll_sms();
        let wrong = scene.login(1, None).with_password("not the password");
        let run = id(&wrong, "127.0.0.1");
        assert!(!run.success, "{run:?}");
        assert_eq!(scene.pager.paged().len(), 0, "a name alone sends nothing");
        let run = id(&scene.login(1, None), "127.0.0.1");
        assert!(run.success, "{run:?}");
        assert_eq!(run.stdout.trim(), "alice");
        // Used, it makes room for the next.
        let [sent, returned] = ["sent", "returned"].map(|name| sandbox.path(name));
        files::write_random(&sent, 100_000);
        let batch = format!("put {} r\nget r {}\n", sent.display(), returned.display());
        let run = sftp(&scene.login(2, None), Way::Askpass, &batch);
        assert!(
            run.success && files::are_equal(&[&sent, &returned]),
            "{run:?}"
        );
        let log = sandbox.syslog().lines().join("\n");
        let line =
            "result=accepted user=alice source=127.0.0.1 service=sshd token=sms kind=delivered";
        assert!(log.contains(line), "{log}");
        for line in scene.pager.paged() {
            let code = line.split(' ').next().unwrap();
            assert!(!log.contains(code), "{code} in {log}");
        }
    });
}

#[test]
fn the_channels_name_asks_for_a_code_and_the_phone_needs_none() {
    sandbox::run(|sandbox| {
        let scene = Scene::new(sandbox, "");
        let secret = scene.otpgate.enroll("alice", &["--hotp"]).secret;
        scene.enroll_sms();
        let run = id(&scene.login(1, Some("sms")), "127.0.0.1");
        assert!(run.success, "{run:?}");
        let code = "(alice@127.0.0.1) Verification code: ";
        assert_eq!(run.prompts, ["(alice@127.0.0.1) Password: ", code, code]);
        let phone = oath::hotp(&secret, 0, 6);
        let login = Login::new(sandbox, &scene.sshd, &scene.alice, phone);
        assert!(id(&login, "127.0.0.1").success);
        assert_eq!(scene.pager.paged().len(), 1);
    });
}

#[test]
fn one_of_eight_connections_gets_in_with_one_code() {
    sandbox::run(|sandbox| {
        let scene = Scene::new(sandbox, "lifetime = \"10m\"");
        scene.enroll_sms();
        let opened = together(&scene, ["127.0.0.1", "127.0.0.2"]);
        assert_eq!(opened.iter().filter(|opened| **opened).count(), 1);
        assert_eq!(scene.pager.paged().len(), 1, "notifications");
    });
}

#[test]
fn all_connections_of_one_client_share_a_code_where_that_is_allowed() {
    sandbox::run(|sandbox| {
        let scene = Scene::new(sandbox, "lifetime = \"10m\"\nreuse = \"same-source\"");
        scene.enroll_sms();
        let opened = together(&scene, ["127.0.0.1", "127.0.0.1"]);
        assert_eq!(opened, [true; CONNECTIONS]);
        let run = id(&scene.login(1, None), "127.0.0.2");
        assert!(!run.success, "from another address");
        assert_eq!(scene.pager.paged().len(), 1, "notifications");
    });
}
