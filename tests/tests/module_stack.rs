//! The module among others: what each entry says to libpam, and what the modules below are handed.
//!
//! What PAM_IGNORE is shows only in a stack: `ignore=1` jumps over a `pam_deny` that stops everything
//! else. Errors in the stack with `nullok` and `pam_permit` are in `module_damage`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use tests::application::Report;
use tests::installation::Installation;
use tests::oath;

const PASSWORD: &str = "correct horse 7";

#[test]
fn credentials_succeed_and_sessions_are_nobodys_business() {
    let host = Host::new("");
    let session = only_ignore("session", &host.installation);
    let auth = host.installation.auth_line("");
    host.installation
        .service("all", &format!("{auth}\n{session}"));
    let calls = "auth,setcred,open_session,close_session,delete_cred";
    let login = host.installation.login("alice").service("all").calls(calls);
    let report = login.answer(&host.code(0)).run();
    assert_eq!(report.codes(), ["PAM_SUCCESS"; 5], "{report:?}");
}

#[test]
fn a_deny_rule_denies_at_auth_and_at_account() {
    let host = Host::new("[[rule]]\nusers = [\"alice\"]\nthen = \"deny\"\n");
    let account = host.installation.line("account required", "");
    let auth = host.installation.auth_line("nullok");
    host.installation
        .service("all", &format!("{auth}\n{account}"));
    let both = |user| {
        host.installation
            .login(user)
            .service("all")
            .calls("auth,account")
    };
    let alice = both("alice").answer(&host.code(0)).run();
    assert_eq!(alice.codes(), ["PAM_AUTH_ERR", "PAM_PERM_DENIED"]);
    assert_eq!(
        alice.prompts(),
        ["echo_off: Verification code: "],
        "asked like everybody"
    );
    // Others: nothing to say.
    let ignored = only_ignore("account", &host.installation);
    host.installation.service("account", &ignored);
    let account = |user| {
        host.installation
            .login(user)
            .service("account")
            .calls("account")
    };
    assert!(account("bob").run().success());
    assert!(!account("alice").run().success());
}

#[test]
fn not_enrolled_is_ignored_with_nullok_only() {
    let host = Host::new("");
    let nullok =
        only_ignore("auth", &host.installation).replace("otpgate.toml ", "otpgate.toml nullok");
    assert!(nullok.contains("nullok"));
    host.installation.service("nullok", &nullok);
    host.installation
        .service("strict", &only_ignore("auth", &host.installation));
    let code = |user, service| {
        let report = host
            .installation
            .login(user)
            .service(service)
            .answer("000000")
            .run();
        (report.success(), report.prompts().len())
    };
    assert_eq!(code("bob", "nullok"), (true, 0));
    assert_eq!(code("bob", "strict"), (false, 1));
    assert_eq!(code("alice", "nullok"), (false, 1));
}

#[test]
fn a_bad_option_or_setting_refuses_without_a_prompt() {
    let host = Host::new("");
    for option in [
        "nulok",
        "nullok=yes",
        "grace=forever",
        "config=relative",
        "secret",
    ] {
        host.installation
            .service("bad", &host.installation.auth_line(option));
        let report = host
            .installation
            .login("alice")
            .service("bad")
            .answer(&host.code(0))
            .run();
        assert_eq!(report.code(), "PAM_SERVICE_ERR", "{option}: {report:?}");
        assert!(report.prompts().is_empty(), "{option}: {report:?}");
    }
    for setting in [
        "stat_dir = \"/x\"\n",
        "[throttle]\nmax_failures = 1000\n",
        "[totp\n",
    ] {
        host.installation.configure(setting);
        let report = host.installation.login("alice").answer(&host.code(0)).run();
        assert_eq!(report.code(), "PAM_SERVICE_ERR", "{setting}: {report:?}");
        assert!(report.prompts().is_empty(), "{setting}: {report:?}");
    }
}

#[test]
fn ask_password_asks_first_and_hands_the_password_on() {
    let host = Host::new("");
    host.with_witness("ask_password", Below);
    let report = host.answers(&[PASSWORD, &host.code(0)]);
    assert!(report.success(), "{report:?}");
    let prompts = ["echo_off: Password: ", "echo_off: Verification code: "];
    assert_eq!(report.prompts(), prompts);
    assert_eq!(host.witnessed(), PASSWORD);
}

#[test]
fn forward_pass_takes_both_in_one_answer_and_hands_the_password_on() {
    let host = Host::new("");
    host.with_witness("forward_pass", Below);
    for code in [host.code(0), host.recovery_code.clone()] {
        let report = host.answers(&[&format!("{PASSWORD}{code}")]);
        assert!(report.success(), "{report:?}");
        assert_eq!(
            report.prompts(),
            ["echo_off: Password & verification code: "]
        );
        assert_eq!(host.witnessed(), PASSWORD);
    }
    // Refused: the module below runs, as `required` says, and must ask for itself.
    let report = host.answers(&[&format!("{PASSWORD}000000"), "another"]);
    assert_eq!(report.code(), "PAM_AUTH_ERR", "{report:?}");
    assert_eq!(host.witnessed(), "another");
}

#[test]
fn use_first_pass_never_asks() {
    let host = Host::new("");
    host.with_witness("use_first_pass", Above);
    let with_code = host.answers(&[&format!("{PASSWORD}{}", host.code(0))]);
    assert!(with_code.success(), "{with_code:?}");
    let without = host.answers(&[PASSWORD, &host.code(1)]);
    assert_eq!(without.code(), "PAM_AUTH_ERR");
    // The witness above asked; we did not.
    assert_eq!((with_code.prompts().len(), without.prompts().len()), (1, 1));
    assert_eq!(
        host.installation.failures("alice"),
        0,
        "a password without a code is no guess"
    );
}

#[test]
fn try_first_pass_asks_when_there_is_no_code_in_the_password() {
    let host = Host::new("");
    host.with_witness("try_first_pass", Above);
    let with_code = host.answers(&[&format!("{PASSWORD}{}", host.code(0))]);
    assert!(
        with_code.success() && with_code.prompts().len() == 1,
        "{with_code:?}"
    );
    let without = host.answers(&[PASSWORD, &host.code(1)]);
    assert!(without.success(), "{without:?}");
    assert_eq!(without.prompts()[1], "echo_off: Verification code: ");
}

#[derive(PartialEq)]
enum Witness {
    Above,
    Below,
}
use Witness::{Above, Below};

struct Host {
    installation: Installation,
    secret: String,
    recovery_code: String,
}

impl Host {
    fn new(settings: &str) -> Self {
        let installation = Installation::with_settings(settings);
        let mut enrolment = installation.enroll("alice", &["--hotp"]);
        Self {
            installation,
            secret: enrolment.secret,
            recovery_code: enrolment.recovery_codes.pop().unwrap(),
        }
    }

    fn code(&self, counter: u64) -> String {
        oath::hotp(&self.secret, counter, 6)
    }

    /// A service with a module that writes down the password it is given, or asks for.
    fn with_witness(&self, options: &str, place: Witness) {
        let script = self.installation.path("witness.sh");
        let text = format!("#!/bin/sh\ncat > {}\n", self.witness().display());
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, Permissions::from_mode(0o700)).unwrap();
        let witness = format!(
            "auth required pam_exec.so expose_authtok quiet {}",
            script.display()
        );
        let ours = self.installation.auth_line(options);
        let stack = if place == Above {
            [witness, ours]
        } else {
            [ours, witness]
        };
        self.installation.service("witness", &stack.join("\n"));
    }

    fn witness(&self) -> PathBuf {
        self.installation.path("witnessed")
    }

    fn witnessed(&self) -> String {
        let bytes = fs::read(self.witness()).unwrap();
        // pam_exec passes C's end of the string on.
        String::from_utf8(bytes)
            .unwrap()
            .trim_end_matches('\0')
            .to_owned()
    }

    fn answers(&self, answers: &[&str]) -> Report {
        let login = self.installation.login("alice").service("witness");
        let answers = answers.iter().flat_map(|answer| ["--answer", *answer]);
        login.with(answers).run()
    }
}

/// A stack that lets in when the module says PAM_IGNORE, and only then.
fn only_ignore(facility: &str, installation: &Installation) -> String {
    let line = installation.line(&format!("{facility} [ignore=1 default=ignore]"), "");
    format!("{line}\n{facility} requisite pam_deny.so\n{facility} required pam_permit.so")
}
