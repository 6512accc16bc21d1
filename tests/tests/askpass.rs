//! Scripts without anybody to type: `otpgate-askpass` answers the clients that start ssh, and no other
//! server than the one that it was told of.

use std::fs::{self, File};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tests::clients::openssh::Way;
use tests::clients::python::Python;
use tests::clients::{Login, openssh};
use tests::clock::Clock;
use tests::frontend::Frontend;
use tests::oath;
use tests::otpgate::Otpgate;
use tests::processes;
use tests::sandbox::{self, Sandbox};
use tests::server::Endpoint;
use tests::sshd::Sshd;
use tests::unattended::{Robot, Secret};
use tests::users::User;

const ALICE: &str = "alice@127.0.0.1";

/// Alice's account on a server, and the robot that works there for her.
struct Scene<'a> {
    otpgate: Otpgate<'a>,
    alice: User,
    secret: Secret,
    robot: Robot<'a>,
}

impl<'a> Scene<'a> {
    fn new(sandbox: &'a Sandbox, enrol: fn(&Otpgate, &str) -> Secret) -> Self {
        Self::with_robot(sandbox, Robot::new(sandbox), enrol)
    }

    fn with_robot(
        sandbox: &'a Sandbox,
        robot: Robot<'a>,
        enrol: fn(&Otpgate, &str) -> Secret,
    ) -> Self {
        let otpgate = Otpgate::install(sandbox, "");
        let alice = sandbox.add_user("alice");
        let secret = enrol(&otpgate, "alice");
        sandbox.sshd_stack_after_password(&otpgate.auth_line(""));
        robot.answer_for(ALICE, &alice, &secret, "");
        Self {
            otpgate,
            alice,
            secret,
            robot,
        }
    }

    fn know(&self, server: &Endpoint) {
        self.robot.know(server, &self.alice, "");
    }

    /// What was put there came back.
    fn is_there_and_back(&self, remote: &str) {
        let there = fs::read_to_string(self.alice.home.join(remote)).unwrap();
        let back = fs::read_to_string(self.robot.user.home.join(format!("{remote}.back"))).unwrap();
        assert_eq!(
            (there.as_str(), back.as_str()),
            ("work", "work"),
            "{remote}"
        );
    }
}

fn everything_that_starts_ssh(
    sandbox: &Sandbox,
    start: fn(&Sandbox) -> Box<dyn Deref<Target = Endpoint>>,
) {
    let scene = Scene::new(sandbox, Secret::hotp);
    let server = start(sandbox);
    scene.know(&server);
    let robot = &scene.robot;
    robot.user.write("work", "work", 0o600);
    assert_eq!(robot.must("ssh server id -un"), "alice\n");
    robot.must("printf 'put work by-sftp\\nget by-sftp by-sftp.back\\n' >batch; sftp -oBatchMode=no -b batch server");
    scene.is_there_and_back("by-sftp");
    robot.must("scp -q work server:by-scp; scp -q server:by-scp by-scp.back");
    scene.is_there_and_back("by-scp");
    robot.must(
        "rsync --checksum work server:by-rsync; rsync --checksum server:by-rsync by-rsync.back",
    );
    scene.is_there_and_back("by-rsync");
    assert_eq!(scene.otpgate.failures("alice"), 0);
    let next = scene.otpgate.show("alice")["devices"][0]["next"].as_u64();
    assert_eq!(next, Some(6), "one code for each of six logins");
}

#[test]
fn ssh_sftp_scp_and_rsync_through_sshd() {
    sandbox::run(|sandbox| {
        everything_that_starts_ssh(sandbox, |sandbox| {
            Box::new(Sshd::start(sandbox, "", Clock::Real))
        });
    });
}

#[test]
fn ssh_sftp_scp_and_rsync_through_otpgate_sshd() {
    sandbox::run(|sandbox| {
        everything_that_starts_ssh(sandbox, |sandbox| Box::new(Frontend::start(sandbox, "")));
    });
}

#[test]
fn parallel_sftp_processes_get_a_code_of_their_own_each() {
    sandbox::run(|sandbox| {
        let scene = Scene::new(sandbox, Secret::totp);
        let sshd = Sshd::start(sandbox, "", Clock::Real);
        scene.know(&sshd);
        // The first code is used up before the next step begins: one that is typed after its successor is replayed.
        scene.robot.must(
            "while [ $(($(date +%s) % 15)) -gt 7 ]; do sleep 0.5; done
             for n in 1 2 3; do
                 printf 'pwd\\n' >batch$n
                 sftp -oBatchMode=no -b batch$n server & pids=\"${pids-} $!\"
             done
             for pid in $pids; do wait $pid; done",
        );
        assert_eq!(scene.otpgate.failures("alice"), 0);
    });
}

#[test]
fn one_word_in_front_of_a_command_is_enough_too() {
    sandbox::run(|sandbox| {
        let scene = Scene::new(sandbox, Secret::hotp);
        let sshd = Sshd::start(sandbox, "", Clock::Real);
        scene.know(&sshd);
        let said = scene
            .robot
            .must("unset SSH_ASKPASS SSH_ASKPASS_REQUIRE; otpgate askpass --run ssh server id -un");
        assert_eq!(said, "alice\n");
    });
}

#[test]
fn ansible_logs_in_once_and_works() {
    let python = Python::ready();
    sandbox::run(|sandbox| {
        let scene = Scene::with_robot(sandbox, Robot::root(sandbox), Secret::hotp);
        let sshd = Sshd::start(sandbox, "", Clock::Real);
        scene.know(&sshd);
        let sample = include_str!("../../examples/ansible.cfg");
        scene.robot.user.write("ansible.cfg", sample, 0o600);
        let said = scene.robot.must(&format!(
            "trap 'ssh -oControlPath=~/.ansible/cp/%C -O exit server 2>/dev/null || :' EXIT
             ansible() {{
                 {} -i server, -e ansible_python_interpreter=/usr/bin/python3 \"$@\" server
             }}
             ansible -m ping
             ansible -m command -a 'id -un'",
            python.program("ansible").display(),
        ));
        assert!(
            said.contains("\"pong\"") && said.contains("alice"),
            "{said}"
        );
        let next = scene.otpgate.show("alice")["devices"][0]["next"].as_u64();
        assert_eq!(next, Some(1), "one code for all of it: {said}");
    });
}

#[test]
fn a_refused_code_is_not_followed_by_another() {
    sandbox::run(|sandbox| {
        let scene = Scene::new(sandbox, Secret::hotp);
        let sshd = Sshd::start(sandbox, "", Clock::Real);
        // ssh would try three times.
        scene
            .robot
            .know(&sshd, &scene.alice, "NumberOfPasswordPrompts 3");
        scene.robot.user.write(
            ".config/otpgate/secret",
            "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
            0o600,
        );
        let refused = scene.robot.run("ssh server id -un");
        assert!(!refused.success(), "{refused:?}");
        assert!(
            refused.stderr.contains("a second time by one connection"),
            "{refused:?}"
        );
        assert_eq!(scene.otpgate.failures("alice"), 1, "{refused:?}");
    });
}

#[test]
fn an_unknown_host_is_let_in_by_its_known_fingerprint_only() {
    sandbox::run(|sandbox| {
        let scene = Scene::new(sandbox, Secret::hotp);
        let sshd = Sshd::start(sandbox, "", Clock::Real);
        let ask = "StrictHostKeyChecking ask\nUserKnownHostsFile ~/.ssh/seen";
        scene.robot.know(&sshd, &scene.alice, ask);
        let refused = scene.robot.run("ssh server id -un");
        assert!(!refused.success(), "{refused:?}");
        assert!(
            refused
                .stderr
                .contains("this host key is in no login's fingerprints"),
            "{refused:?}"
        );

        let known = |fingerprint: &str| {
            let more = format!("fingerprints = [\"{fingerprint}\"]");
            scene
                .robot
                .answer_for(ALICE, &scene.alice, &scene.secret, &more);
        };
        known("SHA256:0000000000000000000000000000000000000000000");
        let refused = scene.robot.run("ssh server id -un");
        assert!(!refused.success(), "{refused:?}");
        known(&sshd.fingerprint);
        assert_eq!(scene.robot.must("ssh server id -un"), "alice\n");
    });
}

#[test]
fn a_code_of_the_askpass_is_used_up_for_people_too() {
    sandbox::run(|sandbox| {
        let scene = Scene::new(sandbox, Secret::hotp);
        let sshd = Sshd::start(sandbox, "", Clock::Real);
        scene.know(&sshd);
        scene.robot.must("ssh server true");
        let by_hand = |code| {
            let login = Login::new(sandbox, &sshd, &scene.alice, code);
            openssh::ssh(&login, Way::Askpass, &[], "true").success
        };
        assert!(!by_hand(scene.secret.code(0)));
        assert!(!by_hand(oath::wrong(&scene.secret.code(1))));
        assert!(by_hand(scene.secret.code(1)));
    });
}

#[test]
fn a_hostile_server_gets_nothing_but_what_its_own_login_takes() {
    let python = Python::ready();
    sandbox::run(|sandbox| {
        let scene = Scene::new(sandbox, Secret::hotp);
        let password = scene.alice.password.as_str();
        let code = scene.secret.code(0);
        let huge = format!("{}Verification code: ", "x".repeat(60_000));
        let elsewhere = "HostKeyAlias evil";
        let cases: [(&str, &[&str], &[&str]); 8] = [
            (
                "",
                &["Password: ", "Verification code: ", "Verification code: "],
                &[password, &code, ""],
            ),
            ("", &["Password: ", "Password: "], &[password, ""]),
            (elsewhere, &["Password: ", "Verification code: "], &["", ""]),
            (elsewhere, &["(alice@127.0.0.1) Password: "], &[""]),
            ("", &["(alice@127.0.0.1) Verification code: "], &[""]),
            (
                "",
                &[
                    "\u{1b}[2JPassword: ",
                    "Password: \r",
                    "Password: \u{7}",
                    "\u{202e}Password: ",
                ],
                &["", "", "", ""],
            ),
            ("", &["Current password: ", "PIN: ", ""], &["", "", ""]),
            ("", &[&huge], &[""]),
        ];
        for (settings, questions, expected) in cases {
            let server = Hostile::start(&python, sandbox, questions);
            let trusting =
                format!("{settings}\nStrictHostKeyChecking no\nUserKnownHostsFile /dev/null");
            scene.robot.know(&server.endpoint, &scene.alice, &trusting);
            let run = scene.robot.run("ssh server id -un");
            assert!(!run.success(), "{questions:?}: {run:?}");
            assert_eq!(server.answers(), expected, "{questions:?}: {run:?}");
            assert!(!run.stderr.contains('\u{1b}'), "{run:?}");
        }
    });
}

/// A server that asks these questions, in turn.
struct Hostile {
    child: Child,
    out: PathBuf,
    endpoint: Endpoint,
}

impl Hostile {
    fn start(python: &Python, sandbox: &Sandbox, questions: &[&str]) -> Self {
        let key = sandbox.key_pair();
        let out = sandbox.scratch().join("out");
        let child = Command::new(python.program("python"))
            .arg("-B")
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/clients/hostile_server.py"
            ))
            .arg(&key.private)
            .arg(serde_json::to_string(questions).unwrap())
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .spawn()
            .unwrap();
        processes::wait_until("the hostile server", || line(&out, 0).is_some());
        let port = line(&out, 0).unwrap().parse().unwrap();
        Self {
            child,
            out,
            endpoint: Endpoint::new(port, &key),
        }
    }

    /// What it got out of a client.
    fn answers(mut self) -> Vec<String> {
        let status = processes::wait(&mut self.child, processes::DEADLINE);
        assert!(status.is_some_and(|status| status.success()));
        serde_json::from_str(&line(&self.out, 1).unwrap()).unwrap()
    }
}

/// A line that is there to its end.
fn line(path: &Path, n: usize) -> Option<String> {
    let text = fs::read_to_string(path).unwrap();
    let complete = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    complete.map(|line| line.trim_end().to_owned()).nth(n)
}
