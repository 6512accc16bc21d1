//! The README's way into a protected sshd and back out, with the real files, sshd and ssh.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use tests::alice::Alice;
use tests::clients::openssh::{Way, ssh};
use tests::clients::{ClientRun, Login};
use tests::clock::Clock;
use tests::sandbox::{self, Sandbox};
use tests::sshd::Sshd;
use tests::users::User;

const PAM_FILE: &str = "/etc/pam.d/sshd";
const DROP_IN: &str = "/etc/ssh/sshd_config.d/00-otpgate.conf";

/// sshd with the drop-ins that it would read on any Debian machine, after a reload.
fn reloaded(sandbox: &Sandbox) -> Sshd {
    Sshd::start(
        sandbox,
        "Include /etc/ssh/sshd_config.d/*.conf",
        Clock::Real,
    )
}

fn log_in(sandbox: &Sandbox, sshd: &Sshd, user: &User, code: String) -> ClientRun {
    ssh(
        &Login::new(sandbox, sshd, user, code),
        Way::Askpass,
        &[],
        "id -un",
    )
}

fn prompts(run: &ClientRun) -> Vec<&str> {
    run.prompts
        .iter()
        .map(|prompt| prompt.rsplit(") ").next().unwrap().trim())
        .collect()
}

#[test]
fn the_documented_way_in_and_back_out() {
    sandbox::run(|sandbox| {
        let alice = Alice::new(sandbox);
        let bob = sandbox.add_user("bob");
        alice.otpgate.install_module();
        let before = fs::read(PAM_FILE).unwrap();

        let preview = alice.otpgate.run(&["setup", "sshd", "--dry-run"]);
        assert!(
            preview.success()
                && preview
                    .stdout
                    .contains("+auth required pam_otpgate.so nullok"),
            "{preview:?}"
        );
        assert_eq!(
            fs::read(PAM_FILE).unwrap(),
            before,
            "a dry run changes nothing"
        );

        let setup = alice.otpgate.run(&["setup", "sshd"]);
        assert!(
            setup.success() && setup.stdout.contains("session open"),
            "{setup:?}"
        );
        {
            let sshd = reloaded(sandbox);
            let run = log_in(sandbox, &sshd, &alice.user, alice.code(0));
            assert!(run.success, "{run:?}");
            assert_eq!(prompts(&run), ["Password:", "Verification code:"]);
            let run = log_in(sandbox, &sshd, &bob, "000000".into());
            assert!(run.success, "nullok lets in who is not enrolled: {run:?}");
            assert_eq!(prompts(&run), ["Password:"]);
        }
        tests_login_on_the_terminal(&alice);

        let check = alice.otpgate.run(&["check", "--json"]);
        assert_eq!(
            check.status.and_then(|status| status.code()),
            Some(1),
            "{check:?}"
        );
        assert!(check.stdout.contains("nullok"), "{check:?}");

        let required = alice.otpgate.run(&["setup", "sshd", "--require"]);
        assert!(required.success(), "{required:?}");
        {
            let sshd = reloaded(sandbox);
            let run = log_in(sandbox, &sshd, &bob, "000000".into());
            assert!(!run.success, "{run:?}");
            assert_eq!(prompts(&run)[..2], ["Password:", "Verification code:"]);
            let run = log_in(sandbox, &sshd, &alice.user, alice.code(2));
            assert!(run.success, "{run:?}");
        }

        let undone = alice.otpgate.run(&["setup", "sshd", "--undo"]);
        assert!(undone.success(), "{undone:?}");
        assert_eq!(fs::read(PAM_FILE).unwrap(), before, "byte for byte");
        assert!(!fs::exists(DROP_IN).unwrap());
        let sshd = reloaded(sandbox);
        let run = log_in(sandbox, &sshd, &alice.user, "000000".into());
        assert!(run.success, "{run:?}");
        assert_eq!(prompts(&run), ["Password:"]);
    });
}

/// `otpgate test-login`, its answers from a pipe.
fn tests_login_on_the_terminal(alice: &Alice<'_>) {
    for (code, accepted) in [(alice.code(1), true), (alice.code(1), false)] {
        let mut command = alice.otpgate.command();
        let mut child = command
            .args(["test-login", "sshd", "alice", "--json"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        write!(
            child.stdin.take().unwrap(),
            "{}\n{code}\n",
            alice.user.password
        )
        .unwrap();
        let output = child.wait_with_output().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["accepted"], accepted, "{report}");
        assert_eq!(output.status.code(), Some(i32::from(!accepted)), "{report}");
    }
}
