//! What a client tries that does not keep to the rules: none of it is a login, and none of it lasts.

use serde_json::{Value, json};
use std::fs;
use std::net::TcpStream;
use tests::alice::Alice;
use tests::clients::Login;
use tests::clients::openssh::{Way, script, ssh, start};
use tests::clients::python::Python;
use tests::frontend::Frontend;
use tests::host::Host;
use tests::oath;
use tests::processes::{DEADLINE, wait_until};
use tests::sandbox::{self, Sandbox};
use tests::users::KeyPair;
use tests::wire;

const KEY_AND_CODE: &str = "authentication_methods = [\"publickey,keyboard-interactive\"]";
const ENDED: &str = "ended";

/// Alice with a password, a device, a key that is allowed, and a server that asks for all of them.
fn with_key(sandbox: &Sandbox) -> (Alice<'_>, KeyPair, Frontend) {
    let alice = Alice::new(sandbox).stack_after_password();
    let key = sandbox.key_pair();
    alice.user.authorize(&key);
    (alice, key, Frontend::start(sandbox, KEY_AND_CODE))
}

fn path(key: &KeyPair) -> &str {
    key.private.to_str().unwrap()
}

/// What a refusal says.
fn refusal(methods: &[&str], partial: bool) -> Value {
    json!({"methods": methods, "partial": partial})
}

fn prompt(message: &Value) -> Option<&str> {
    message["prompts"][0][0].as_str()
}

#[test]
fn no_method_alone_is_enough_where_two_are_required() {
    let python = Python::ready();
    sandbox::run(|sandbox| {
        let (alice, key, server) = with_key(sandbox);
        let login = alice.login(&server, alice.code(0));
        let said = python.attack(&login, &["methods", path(&key)]);
        for method in ["none", "password", "hostbased", "gssapi-with-mic"] {
            assert_eq!(
                said[method],
                refusal(&["publickey"], false),
                "{method}: {said}"
            );
        }
        assert_eq!(
            said["publickey"],
            refusal(&["keyboard-interactive"], true),
            "{said}"
        );
        let dialogue = said["keyboard-interactive"].as_array().unwrap();
        assert_eq!(
            dialogue.last(),
            Some(&refusal(&["publickey"], false)),
            "{said}"
        );
        // The control: both, one after the other.
        let said = python.attack(&login, &["key_then_dialogue", path(&key)]);
        assert_eq!(
            said.as_array().unwrap().last(),
            Some(&json!("success")),
            "{said}"
        );
    });
}

#[test]
fn only_the_dialogue_is_offered_where_it_alone_is_required() {
    let python = Python::ready();
    sandbox::run(|sandbox| {
        let alice = Alice::new(sandbox).stack_after_password();
        let key = sandbox.key_pair();
        alice.user.authorize(&key);
        let server = Frontend::start(sandbox, "");
        let said = python.attack(
            &alice.login(&server, alice.code(0)),
            &["methods", path(&key)],
        );
        for method in [
            "none",
            "password",
            "hostbased",
            "gssapi-with-mic",
            "publickey",
        ] {
            assert_eq!(
                said[method],
                refusal(&["keyboard-interactive"], false),
                "{method}: {said}"
            );
        }
        let dialogue = said["keyboard-interactive"].as_array().unwrap();
        assert_eq!(dialogue.last(), Some(&json!("success")), "{said}");
    });
}

#[test]
fn a_key_that_is_not_the_users_is_not_enough_before_the_right_dialogue() {
    let python = Python::ready();
    sandbox::run(|sandbox| {
        let (alice, _, server) = with_key(sandbox);
        let other = sandbox.key_pair();
        let login = alice.login(&server, alice.code(0));
        let said = python.attack(&login, &["key_then_dialogue", path(&other)]);
        assert_eq!(said[0], refusal(&["publickey"], false), "{said}");
        assert!(
            !said.as_array().unwrap().contains(&json!("success")),
            "{said}"
        );
    });
}

#[test]
fn another_users_key_does_not_count_after_a_change_of_name() {
    let python = Python::ready();
    sandbox::run(|sandbox| {
        let (alice, key, server) = with_key(sandbox);
        let bob = sandbox.add_user("bob");
        let secret = alice.otpgate.enroll("bob", &["--hotp"]).secret;
        // Alice's key, then a dialogue of Bob's that is right in every answer.
        let login = alice.login(&server, oath::hotp(&secret, 0, 6));
        let said = python.attack(&login, &["key_then_dialogue", path(&key), &bob.name]);
        assert_eq!(said[0], refusal(&["keyboard-interactive"], true), "{said}");
        assert!(
            !said.as_array().unwrap().contains(&json!("success")),
            "{said}"
        );
    });
}

#[test]
fn answers_meant_for_one_user_do_not_reach_anothers_dialogue() {
    let python = Python::ready();
    sandbox::run(|sandbox| {
        let alice = Alice::new(sandbox).stack_after_password();
        // Bob has another password, and a right code of Alice's is none of his.
        sandbox.add_user_with_password("bob", "another password");
        alice.otpgate.enroll("bob", &["--hotp"]);
        let server = Frontend::start(sandbox, "");
        let login = alice.login(&server, alice.code(0));
        for attack in ["answers_for_another", "back_to_the_first"] {
            let said = python.attack(&login, &[attack, "bob"]);
            let said = said.as_array().unwrap();
            let prompts: Vec<_> = said.iter().filter_map(prompt).collect();
            assert_eq!(
                prompts[..3],
                ["Password: ", "Verification code: ", "Password: "],
                "{said:?}"
            );
            assert!(!said.contains(&json!("success")), "{said:?}");
            assert_ne!(prompts.last(), Some(&"Verification code: "), "{said:?}");
        }
        assert!(
            alice.log_in(&server, alice.code(0)).success,
            "the code was used up"
        );
    });
}

/// Whoever asks for something else meanwhile has given the dialogue up; its answer is an answer to nothing.
#[test]
fn a_request_in_mid_dialogue_takes_the_question_away() {
    let python = Python::ready();
    sandbox::run(|sandbox| {
        let alice = Alice::new(sandbox).stack_after_password();
        sandbox.add_user("bob");
        let server = Frontend::start(sandbox, "");
        let login = alice.login(&server, alice.code(0));
        let said = python.attack(&login, &["interrupted", "bob"]);
        let refused = refusal(&["keyboard-interactive"], false);
        assert_eq!(said, json!([refused, refused, refused, refused]));
    });
}

#[test]
fn malformed_answers_are_refused_and_harm_nobody_else() {
    let python = Python::ready();
    sandbox::run(|sandbox| {
        let host = Host::start(sandbox, "");
        let login = host.login();
        let mut witness = start(
            &login,
            "exec ssh -F $CONFIG server 'echo up; exec sleep 1000'",
        );
        witness.wait_for("up");
        let said = python.attack(&host.login(), &["malformed"]);
        let refused = refusal(&["keyboard-interactive"], false);
        for (name, said) in said.as_object().unwrap() {
            assert!(*said == refused || *said == json!(ENDED), "{name}: {said}");
        }
        assert_eq!(said.as_object().unwrap().len(), 11);
        assert!(witness.lives());
        let log = host.server.log();
        assert!(!log.contains("panicked"), "{log}");
    });
}

#[test]
fn answers_that_nobody_asked_for_are_no_login() {
    let python = Python::ready();
    sandbox::run(|sandbox| {
        let alice = Alice::new(sandbox).stack_after_password();
        let server = Frontend::start(sandbox, "");
        let said = python.attack(&alice.login(&server, alice.code(0)), &["unasked"]);
        for case in ["answer before a question", "another service"] {
            assert_ne!(said[case], json!("success"), "{said}");
        }
        // The right code was accepted or the connection ended; either is no second login.
        let last = said["an answer too many"].as_array().unwrap();
        assert!(
            last.iter().filter(|said| **said == "success").count() <= 1,
            "{said}"
        );
    });
}

#[test]
fn nothing_runs_before_the_login() {
    let python = Python::ready();
    sandbox::run(|sandbox| {
        let host = Host::start(sandbox, "");
        let ran = sandbox.path("ran");
        let command = format!("touch {}", ran.display());
        python.attack(&host.login(), &["early_channel", &command]);
        assert!(!ran.exists());
    });
}

#[test]
fn restarts_and_guesses_are_bounded_on_one_connection() {
    let python = Python::ready();
    sandbox::run(|sandbox| {
        // The delay would bound it too.
        sandbox.password_check_without_delay();
        let host = Host::start(sandbox, "max_auth_tries = 3");
        let restarts = python.attack(&host.login(), &["restarts", "500"]);
        assert!(restarts.as_u64().unwrap() < 50, "{restarts}");
        let guesses = python.attack(&host.login(), &["guesses", "20"]);
        assert!((1..=3).contains(&guesses.as_u64().unwrap()), "{guesses}");
    });
}

#[test]
fn a_dialogue_without_an_answer_ends_with_the_grace_time() {
    let python = Python::ready();
    sandbox::run(|sandbox| {
        let host = Host::start(sandbox, "login_grace_time = \"3s\"");
        let seconds = python.attack(&host.login(), &["slow"]);
        let seconds = seconds.as_f64().unwrap();
        assert!((1.0..30.0).contains(&seconds), "{seconds}");
        wait_until("the end of its processes", || {
            host.server.processes().is_empty()
        });
    });
}

#[test]
fn two_hundred_silent_connections_do_not_keep_a_user_out() {
    sandbox::run(|sandbox| {
        let host = Host::start(sandbox, "max_startups = \"50:30:100\"");
        let silent: Vec<_> = (0..200)
            .map(|_| TcpStream::connect(("127.0.0.1", host.server.port)))
            .collect();
        // At most a hundred are kept: the user may meet a full house, and a freed place soon after.
        drop(silent.into_iter().skip(80).collect::<Vec<_>>());
        wait_until("a login", || {
            ssh(&host.login(), Way::Askpass, &[], "true").success
        });
    });
}

#[test]
fn connections_of_one_source_are_bounded_and_leave_room_for_others() {
    sandbox::run(|sandbox| {
        let host = Host::start(sandbox, "per_source_max_startups = 5");
        let silent: Vec<_> = (0..20)
            .map(|_| TcpStream::connect(("127.0.0.1", host.server.port)).unwrap())
            .collect();
        let living = silent.iter().filter(|stream| {
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            wire::identification(stream).is_ok()
        });
        assert_eq!(living.count(), 5);
        let from_there = ["-oBindAddress=127.0.0.2"];
        let run = ssh(&host.login(), Way::Askpass, &from_there, "true");
        assert!(run.success, "{run:?}");
    });
}

/// The network process is where a break-in would be: its end is the end of its connection alone.
#[test]
fn a_killed_network_process_ends_its_connection_and_no_other() {
    sandbox::run(|sandbox| {
        let host = Host::start(sandbox, "");
        let idle = "exec ssh -F $CONFIG -tt server 'echo up; exec sleep 1000'";
        let logins = [host.login(), host.login()];
        let mut first = start(&logins[0], idle);
        first.wait_for("up");
        let of_first = host.server.processes();
        let network = host.server.network_processes();
        assert_eq!(network.len(), 1);
        let mut second = start(&logins[1], idle);
        second.wait_for("up");
        rustix::process::kill_process(network[0], rustix::process::Signal::KILL).unwrap();
        wait_until("the end of the first session", || {
            let left = host.server.processes();
            !first.lives() && of_first.iter().all(|pid| !left.contains(pid))
        });
        assert!(second.lives());
        assert_eq!(host.server.network_processes().len(), 1);
    });
}

/// As ssh-audit would have them: nothing with SHA-1, CBC or small groups, and Terrapin's cure.
#[test]
fn only_sound_algorithms_are_offered() {
    sandbox::run(|sandbox| {
        let host = Host::start(sandbox, "");
        let offered = wire::algorithms(host.server.port);
        assert_eq!(
            offered.key_exchange[0], "mlkem768x25519-sha256",
            "{offered:?}"
        );
        let strict = "kex-strict-s-v00@openssh.com";
        assert!(
            offered.key_exchange.iter().any(|name| name == strict),
            "{offered:?}"
        );
        assert_eq!(offered.host_key, ["ssh-ed25519"]);
        let all = offered
            .key_exchange
            .iter()
            .chain(offered.ciphers.iter().flatten());
        for name in all.chain(offered.macs.iter().flatten()) {
            let bad = [
                "sha1",
                "md5",
                "cbc",
                "arcfour",
                "3des",
                "group1-",
                "group14-sha1",
                "nistp",
                "none",
            ];
            assert!(!bad.iter().any(|bad| name.contains(bad)), "{name}");
            assert_ne!(
                name, "diffie-hellman-group-exchange-sha256",
                "its groups are the server's choice"
            );
        }
        let etm = offered
            .macs
            .iter()
            .flatten()
            .all(|name| name.contains("-etm@"));
        assert!(etm, "MAC before encryption: {offered:?}");
        for compression in &offered.compression {
            assert_eq!(*compression, ["none"]);
        }
    });
}

/// RFC 4256, section 3.1: nobody learns from the dialogue who exists, who may log in, who is enrolled.
#[test]
fn unknown_denied_and_enrolled_users_are_asked_the_same() {
    let python = Python::ready();
    for code_only in [false, true] {
        sandbox::run(|sandbox| {
            let alice = Alice::new(sandbox);
            let alice = if code_only {
                alice.stack_code_only()
            } else {
                alice.stack_after_password()
            };
            sandbox.password_check_without_delay();
            sandbox.add_user("dave");
            sandbox.add_user("eve");
            alice.otpgate.enroll("dave", &["--hotp"]);
            let settings = "deny_users = [\"dave\"]\nmax_auth_tries = 20";
            let server = Frontend::start(sandbox, settings);
            let names = [
                "alice",
                "dave",
                "eve",
                "root",
                "daemon",
                "nobody-there",
                "ALICE",
                "a b\u{e9}",
            ];
            let attack = [&["users"], &names[..]].concat();
            let said = python.attack(&alice.login(&server, alice.code(0)), &attack);
            for name in names {
                assert_eq!(said[name], said["alice"], "{name}: {said}");
            }
            let asked = said["alice"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(prompt)
                .count();
            assert_eq!(asked, 1, "{said}");
        });
    }
}

#[test]
fn a_denied_user_is_refused_with_every_answer_right() {
    sandbox::run(|sandbox| {
        let alice = Alice::new(sandbox).stack_after_password();
        for settings in [
            "deny_users = [\"a*\"]",
            "allow_users = [\"bob\"]",
            "deny_groups = [\"alice\"]",
        ] {
            let server = Frontend::start(sandbox, settings);
            let run = alice.log_in(&server, alice.code(0));
            assert!(!run.success, "{settings}: {run:?}");
        }
        assert_eq!(alice.failures(), 0);
        let server = Frontend::start(sandbox, "allow_groups = [\"al?ce\"]");
        assert!(
            alice.log_in(&server, alice.code(0)).success,
            "the code was used up"
        );
    });
}

#[test]
fn root_is_refused_unless_permit_root_login() {
    sandbox::run(|sandbox| {
        let mut root = Alice::new(sandbox).stack_code_only();
        root.user.name = "root".to_owned();
        root.secret = root.otpgate.enroll("root", &["--hotp"]).secret;
        let server = Frontend::start(sandbox, "");
        assert!(!root.log_in(&server, root.code(0)).success);
        let server = Frontend::start(sandbox, "permit_root_login = true");
        let run = ssh(
            &root.login(&server, root.code(0)),
            Way::Askpass,
            &[],
            "id -u",
        );
        assert_eq!(run.stdout, "0\n", "{run:?}");
    });
}

/// OpenSSH's StrictModes: who may write to the file or a directory above it may let themselves in.
#[test]
fn keys_count_only_when_nobody_else_may_write_them() {
    sandbox::run(|sandbox| {
        let (alice, key, server) = with_key(sandbox);
        let identity = ["-i", path(&key)];
        let home = &alice.user.home;
        let enters = |code| {
            let login = alice.login(&server, alice.code(code));
            ssh(&login, Way::Askpass, &identity, "true").success
        };
        let chmod = |path: &std::path::Path, mode| {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        assert!(enters(0));
        for (name, right) in [
            ("", 0o700),
            (".ssh", 0o700),
            (".ssh/authorized_keys", 0o600),
        ] {
            chmod(&home.join(name), 0o777);
            assert!(!enters(1), "{name} is everybody's");
            chmod(&home.join(name), right);
        }
        // Root's files are not read in a user's name.
        let stolen = home.join(".ssh/authorized_keys");
        fs::write("/etc/roots_keys", &key.public).unwrap();
        chmod("/etc/roots_keys".as_ref(), 0o600);
        fs::remove_file(&stolen).unwrap();
        std::os::unix::fs::symlink("/etc/roots_keys", &stolen).unwrap();
        assert!(!enters(1), "a file that the user cannot read");
    });
}

#[test]
fn options_of_a_key_hold() {
    sandbox::run(|sandbox| {
        let (alice, key, server) = with_key(sandbox);
        let identity = ["-i", path(&key)];
        let enters = |line: String, code| {
            alice.user.write(".ssh/authorized_keys", line, 0o600);
            let login = alice.login(&server, alice.code(code));
            ssh(&login, Way::Askpass, &identity, "echo asked")
        };
        let public = &key.public;
        let run = enters(format!("from=\"192.0.2.0/24\" {public}\n"), 0);
        assert!(!run.success, "{run:?}");
        let run = enters(format!("no-such-option {public}\n"), 0);
        assert!(!run.success, "{run:?}");
        let run = enters(
            format!(
                "from=\"127.0.0.0/8\",command=\"echo forced $SSH_ORIGINAL_COMMAND\" {public}\n"
            ),
            0,
        );
        assert_eq!(run.stdout, "forced echo asked\n", "{run:?}");
        let run = enters(format!("restrict {public}\n"), 1);
        assert_eq!(run.stdout, "asked\n", "{run:?}");
    });
}

/// Cut by a reset at every stage: what was begun is ended, and what was opened is closed.
#[test]
fn a_connection_that_is_cut_leaves_nothing_behind() {
    let python = Python::ready();
    sandbox::run(|sandbox| {
        let record = sandbox.path("sessions");
        let hook = sandbox.path("hook");
        fs::write(
            &hook,
            format!("#!/bin/sh\necho $PAM_TYPE >> {}\n", record.display()),
        )
        .unwrap();
        assert!(
            std::process::Command::new("chmod")
                .arg("755")
                .arg(&hook)
                .status()
                .unwrap()
                .success()
        );
        fs::write(&record, "").unwrap();
        let lines = format!("session required pam_exec.so {}", hook.display());
        let host = Host::with_stack(sandbox, &lines, "");
        let descriptors = host.server.descriptors();
        let stages = [
            "connected",
            "identification",
            "key exchange",
            "service",
            "password",
            "channel",
            "shell",
            "command",
            "sftp",
        ];
        for stage in stages {
            let login = host.login();
            python.cut(&login, stage);
            wait_until(&format!("the end of what was cut: {stage}"), || {
                host.server.processes().is_empty()
            });
            wait_until("the terminals' end", || terminals() == 0);
            let record = fs::read_to_string(&record).unwrap();
            let count = |word: &str| record.lines().filter(|line| *line == word).count();
            assert_eq!(
                count("open_session"),
                count("close_session"),
                "{stage}: {record}"
            );
        }
        let record = fs::read_to_string(&record).unwrap();
        assert_eq!(
            record.lines().count(),
            8,
            "four of the stages have a session: {record}"
        );
        wait_until("the listener's descriptors", || {
            host.server.descriptors() == descriptors
        });
        let run = script(&host.login(), "ssh -F $CONFIG server true");
        assert!(run.success, "{run:?}");
    });
}

#[test]
fn a_connection_that_is_cut_at_the_code_leaves_nothing_behind() {
    let python = Python::ready();
    sandbox::run(|sandbox| {
        let alice = Alice::new(sandbox).stack_after_password();
        let server = Frontend::start(sandbox, "");
        python.cut(&alice.login(&server, alice.code(0)), "code");
        wait_until("the end of what was cut", || server.processes().is_empty());
        assert_eq!(alice.failures(), 0);
        let login = Login::new(sandbox, &server, &alice.user, alice.code(0));
        let run = ssh(&login, Way::Askpass, &[], "true");
        assert!(run.success, "{run:?}");
    });
}

/// The pseudo-terminals of the sandbox, which has its own.
fn terminals() -> usize {
    let entries = fs::read_dir("/dev/pts").unwrap().map(Result::unwrap);
    entries.filter(|entry| entry.file_name() != "ptmx").count()
}
