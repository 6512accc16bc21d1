//! Every administrative change leaves a line that says who did what to whom, and no secret.

use std::fs;
use std::time::Duration;

use tests::clients::Login;
use tests::clients::openssh;
use tests::clock::Clock;
use tests::oath;
use tests::otpgate::Otpgate;
use tests::processes;
use tests::sandbox::{self, Sandbox};
use tests::sshd::Sshd;

const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a command as root under bob's sudo; returns its one line, from `change=` on, without who did it.
fn line_of(sandbox: &Sandbox, otpgate: &Otpgate, arguments: &[&str]) -> String {
    let before = changes(sandbox).len();
    let mut command = otpgate.command();
    command.args(arguments).env("SUDO_USER", "bob smith");
    let run = processes::run(&mut command, &sandbox.scratch());
    assert!(run.status.is_some(), "{run:?}");
    processes::wait_until("a line in the log", || changes(sandbox).len() > before);
    let lines = changes(sandbox).split_off(before);
    let [line] = lines.as_slice() else {
        panic!("{arguments:?}: {lines:#?}")
    };
    let (what, who) = line.split_once(" by=").unwrap_or_else(|| panic!("{line}"));
    assert!(who.contains(" uid=0"), "{line}");
    assert!(who.ends_with(" sudo_user=bob_smith"), "{line}");
    what.to_owned()
}

fn changes(sandbox: &Sandbox) -> Vec<String> {
    let lines = sandbox.syslog().lines();
    let change = |line: &String| {
        let (_, change) = line.split_once("otpgate: change=")?;
        // authpriv (10), notice (5).
        assert!(line.starts_with("<85>"), "{line}");
        Some(change.to_owned())
    };
    lines.iter().filter_map(change).collect()
}

#[test]
fn every_command_that_changes_something_and_none_that_looks() {
    sandbox::run(|sandbox| {
        let otpgate = Otpgate::install(sandbox, "");
        sandbox.add_user("alice");
        otpgate.install_module();
        let secret = sandbox.scratch().join("secret");
        fs::write(&secret, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap();
        let secret = secret.to_str().unwrap();
        let uris = sandbox.scratch().join("uris");
        let uri =
            "otpauth://totp/Example:carol?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Example";
        fs::write(&uris, format!("{uri}\n")).unwrap();
        let uris = uris.to_str().unwrap();
        let enroll = [
            "enroll",
            "alice",
            "--hotp",
            "--no-confirm",
            "--qr",
            "none",
            "--secret-from",
            secret,
        ];
        assert_eq!(
            changes(sandbox)[0].split(" by=").next(),
            Some("init result=done")
        );
        for (arguments, expected) in [
            (&enroll[..], "enroll user=alice device=phone result=done"),
            (&enroll[..], "enroll user=alice device=phone result=error"),
            (&["disable", "alice"], "disable user=alice result=done"),
            (
                &["enable", "alice", "--device", "phone"],
                "enable user=alice device=phone result=done",
            ),
            (&["enable", "alice"], "enable user=alice result=done"),
            (&["recovery", "alice"], "recovery user=alice result=done"),
            (&["unlock", "alice"], "unlock user=alice result=done"),
            (&["resync", "alice"], "resync user=alice result=error"),
            (&["repair", "alice"], "repair user=alice result=done"),
            (&["export", "alice"], "export user=alice result=done"),
            (&["seal", "init"], "seal_init result=done"),
            (&["seal", "rotate"], "seal_rotate result=done"),
            (&["seal", "off"], "seal_off result=done"),
            (&["setup", "sshd"], "setup service=sshd result=done"),
            (
                &["setup", "sshd", "--undo"],
                "setup_undo service=sshd result=done",
            ),
            (
                &["remove", "alice", "--force"],
                "remove user=alice force=yes result=done",
            ),
            (&["remove", "alice"], "remove user=alice result=error"),
            // Nobody has this name: it may be a password.
            (&["unlock", "hunter2"], "unlock user=unknown result=error"),
            (&["init"], "init result=done"),
        ] {
            assert_eq!(
                line_of(sandbox, &otpgate, arguments),
                expected,
                "{arguments:?}"
            );
        }
        let before = changes(sandbox).len();
        for arguments in [
            &["import", "otpauth", uris, "--dry-run"][..],
            &["setup", "sshd", "--dry-run"],
            &["list"],
            &["seal", "status"],
            &["check"],
            &["show", "alice"],
        ] {
            let _ = otpgate.run(arguments);
        }
        let imported = otpgate.run(&["import", "otpauth", uris]);
        assert!(imported.success(), "{imported:?}");
        processes::wait_until("the import", || changes(sandbox).len() >= before + 2);
        let what: Vec<String> = changes(sandbox)[before..]
            .iter()
            .map(|line| line.split(" by=").next().unwrap().to_owned())
            .collect();
        assert_eq!(
            what,
            ["import user=carol result=imported", "import result=done"]
        );

        let log = sandbox.syslog().lines().join("\n");
        for secret in ["GEZDGNBV", "hunter2", "otpauth://"] {
            assert!(!log.contains(secret), "{secret}: {log}");
        }
    });
}

#[test]
fn a_login_on_a_terminal_shows_that_few_recovery_codes_are_left() {
    sandbox::run(|sandbox| {
        let otpgate = Otpgate::install(sandbox, "");
        let alice = sandbox.add_user("alice");
        let enrolment = otpgate.enroll("alice", &["--hotp"]);
        sandbox.sshd_stack_after_password(&otpgate.auth_line(""));
        let sshd = Sshd::start(sandbox, "", Clock::Real);
        for code in &enrolment.recovery_codes[..8] {
            let login = Login::new(sandbox, &sshd, &alice, code);
            assert!(openssh::ssh(&login, openssh::Way::Askpass, &[], "true").success);
        }
        let code = |n| oath::hotp(&enrolment.secret, n, 6);
        // A command's output is not touched.
        let login = Login::new(sandbox, &sshd, &alice, code(0));
        let command = openssh::ssh(&login, openssh::Way::Askpass, &[], "id -un");
        assert_eq!(
            (command.success, command.stdout.trim()),
            (true, "alice"),
            "{command:?}"
        );
        let login = Login::new(sandbox, &sshd, &alice, code(1));
        let shell = openssh::terminal(&login, &[], "");
        assert!(shell.success, "{shell:?}");
        let text = "Recovery codes left: 2. Ask your administrator for new ones.";
        assert!(shell.stdout.contains(text), "{shell:?}");
        let accepted = sandbox.syslog().wait_for(PATIENCE, |line| {
            line.contains("result=accepted user=alice") && line.contains("kind=hotp")
        });
        assert!(!accepted.contains(&code(0)), "{accepted}");
        otpgate.run(&["recovery", "alice"]);
        let login = Login::new(sandbox, &sshd, &alice, code(2));
        let shell = openssh::terminal(&login, &[], "");
        assert!(
            shell.success && !shell.stdout.contains("Recovery codes left"),
            "{shell:?}"
        );
    });
}
