//! sshd's ways to ask, and what it answers in a user's name, with the module behind it.

use tests::alice::Alice;
use tests::clients::openssh::{Way, ssh};
use tests::clock::Clock;
use tests::oath;
use tests::sandbox;
use tests::sshd::Sshd;

const ALICE_CODE: &str = "(alice@127.0.0.1) Verification code: ";
const ALICE_PASSWORD: &str = "(alice@127.0.0.1) Password: ";

/// The documented way to replace the password by a key: the PAM stack holds the code alone.
const KEY_AND_CODE: &str = "AuthenticationMethods publickey,keyboard-interactive";

#[test]
fn publickey_then_code_logs_in() {
    sandbox::run(|sandbox| {
        let alice = Alice::new(sandbox).stack_code_only();
        let key = sandbox.key_pair();
        alice.user.authorize(&key);
        let sshd = Sshd::start(sandbox, KEY_AND_CODE, Clock::Real);
        let identity = ["-i", key.private.to_str().unwrap()];
        let run = ssh(
            &alice.login(&sshd, alice.code(0)),
            Way::Askpass,
            &identity,
            "id -un",
        );
        assert!(run.success && run.stdout == "alice\n", "{run:?}");
        assert_eq!(run.prompts, [ALICE_CODE]);
    });
}

#[test]
fn publickey_then_password_and_code_logs_in() {
    sandbox::run(|sandbox| {
        let alice = Alice::new(sandbox).stack_after_password();
        let key = sandbox.key_pair();
        alice.user.authorize(&key);
        let sshd = Sshd::start(sandbox, KEY_AND_CODE, Clock::Real);
        let identity = ["-i", key.private.to_str().unwrap()];
        let run = ssh(
            &alice.login(&sshd, alice.code(0)),
            Way::Askpass,
            &identity,
            "id -un",
        );
        assert!(run.success && run.stdout == "alice\n", "{run:?}");
        assert_eq!(run.prompts, [ALICE_PASSWORD, ALICE_CODE]);
    });
}

#[test]
fn neither_publickey_alone_nor_code_alone_is_enough() {
    sandbox::run(|sandbox| {
        let alice = Alice::new(sandbox).stack_code_only();
        let key = sandbox.key_pair();
        alice.user.authorize(&key);
        let sshd = Sshd::start(sandbox, KEY_AND_CODE, Clock::Real);
        let identity = ["-i", key.private.to_str().unwrap()];
        let login = |code: String| alice.login(&sshd, code);

        let only_key = [&identity[..], &["-oPreferredAuthentications=publickey"]].concat();
        let run = ssh(&login(alice.code(0)), Way::Askpass, &only_key, "id -un");
        assert!(!run.success && run.prompts.is_empty(), "{run:?}");

        let wrong_code = ssh(
            &login(oath::wrong(&alice.code(0))),
            Way::Askpass,
            &identity,
            "id",
        );
        assert!(
            !wrong_code.success && wrong_code.prompts == [ALICE_CODE],
            "{wrong_code:?}"
        );

        let run = ssh(&login(alice.code(0)), Way::Askpass, &[], "id -un");
        assert!(!run.success && run.prompts.is_empty(), "{run:?}");
    });
}

/// The control for the tests below: their counters could move.
#[test]
fn a_wrong_code_is_counted_and_a_right_one_clears_the_count() {
    sandbox::run(|sandbox| {
        let alice = Alice::new(sandbox).stack_after_password();
        let sshd = Sshd::start(sandbox, "", Clock::Real);
        assert!(!alice.log_in(&sshd, oath::wrong(&alice.code(0))).success);
        assert_eq!(alice.failures(), 1);
        assert!(alice.log_in(&sshd, alice.code(0)).success);
        assert_eq!(alice.failures(), 0);
    });
}

/// sshd's `password` method answers every hidden prompt with the password.
#[test]
fn the_password_method_is_refused_and_not_counted() {
    sandbox::run(|sandbox| {
        let alice = Alice::new(sandbox).stack_after_password();
        let sshd = Sshd::start(sandbox, "PasswordAuthentication yes", Clock::Real);
        // More often than failures are free.
        for _ in 0..4 {
            let login = alice.login(&sshd, alice.code(0));
            let password_only = ["-oPreferredAuthentications=password"];
            let run = ssh(&login, Way::Askpass, &password_only, "id -un");
            assert!(!run.success, "{run:?}");
            assert_eq!(run.prompts, ["alice@127.0.0.1's password: "]);
        }
        assert_eq!(alice.failures(), 0);
        assert!(alice.log_in(&sshd, alice.code(0)).success);
    });
}

/// For users it will not admit, sshd walks the same path with answers of its own making, in the
/// user's name: here they reach the module.
#[test]
fn a_user_whom_allowusers_leaves_out_is_refused_and_not_counted() {
    sandbox::run(|sandbox| {
        let alice = Alice::new(sandbox).stack_code_only();
        is_shut_out_uncounted(&alice, "AllowUsers bob", ALICE_CODE);
        let admitting = Sshd::start(sandbox, "", Clock::Real);
        assert!(
            alice.log_in(&admitting, alice.code(0)).success,
            "the code was used up"
        );
    });
}

#[test]
fn root_whom_permitrootlogin_shuts_out_is_refused_and_not_counted() {
    sandbox::run(|sandbox| {
        let mut root = Alice::new(sandbox).stack_code_only();
        root.user.name = "root".to_owned();
        root.secret = root.otpgate.enroll("root", &["--hotp"]).secret;
        let asked = "(root@127.0.0.1) Verification code: ";
        is_shut_out_uncounted(&root, "PermitRootLogin no", asked);
        let admitting = Sshd::start(sandbox, "PermitRootLogin yes", Clock::Real);
        assert!(
            root.log_in(&admitting, root.code(0)).success,
            "the code was used up"
        );
    });
}

fn is_shut_out_uncounted(user: &Alice, settings: &str, asked: &str) {
    let sshd = Sshd::start(user.sandbox, settings, Clock::Real);
    // More often than failures are free.
    for _ in 0..4 {
        let run = user.log_in(&sshd, user.code(0));
        assert!(!run.success && run.prompts == [asked], "{run:?}");
    }
    assert_eq!(user.failures(), 0);
    let log = user.sandbox.syslog().lines().join("\n");
    assert_eq!(
        log.matches("otpgate: result=").count(),
        4,
        "the module was asked: {log}"
    );
}

/// In the documented stack the made-up answer fails as a password, before it comes to the code.
#[test]
fn a_user_whom_allowusers_leaves_out_does_not_get_past_the_password() {
    sandbox::run(|sandbox| {
        let alice = Alice::new(sandbox).stack_after_password();
        let sshd = Sshd::start(sandbox, "AllowUsers bob", Clock::Real);
        let run = alice.log_in(&sshd, alice.code(0));
        assert!(!run.success && run.prompts == [ALICE_PASSWORD], "{run:?}");
        assert_eq!(alice.failures(), 0);
    });
}

#[test]
fn a_counter_code_opens_one_login_only() {
    sandbox::run(|sandbox| {
        let alice = Alice::new(sandbox).stack_after_password();
        let sshd = Sshd::start(sandbox, "", Clock::Real);
        assert!(alice.log_in(&sshd, alice.code(0)).success);
        assert!(!alice.log_in(&sshd, alice.code(0)).success);
        assert!(
            alice.log_in(&sshd, alice.code(1)).success,
            "the next one does"
        );
    });
}

/// Promised for a clock that stands still and for one that is set back.
#[test]
fn a_time_code_opens_one_login_only_even_if_the_clock_is_set_back() {
    sandbox::run(|sandbox| {
        let alice = Alice::new(sandbox).stack_after_password();
        let secret = alice.otpgate.enroll("alice", &["--totp", "--force"]).secret;
        let noon = 2_000_000_010; // the first second of a step
        let code = |at| oath::totp(&secret, Some(at), "sha1", 6);
        let log_in = |now, code| {
            let sshd = Sshd::start(sandbox, "", Clock::StartingAt(now));
            alice.log_in(&sshd, code).success
        };
        assert!(log_in(noon, code(noon)));
        assert!(!log_in(noon, code(noon)), "the same code again");
        assert!(
            !log_in(noon - 30, code(noon - 30)),
            "an older one, with the clock set back"
        );
        assert!(log_in(noon + 3600, code(noon + 3600)), "an hour later");
    });
}

#[test]
fn blanks_and_dashes_do_not_matter_in_a_fresh_code_and_do_not_refresh_a_used_one() {
    sandbox::run(|sandbox| {
        let alice = Alice::new(sandbox).stack_after_password();
        let sshd = Sshd::start(sandbox, "", Clock::Real);
        for (n, spell) in SPELLINGS.iter().enumerate() {
            let code = alice.code(n as u64);
            let fresh = alice.log_in(&sshd, spell(&code));
            assert!(fresh.success, "{:?}: {fresh:?}", spell(&code));
            // The next spelling of the used code; three failures in a row would be throttled.
            let other = SPELLINGS[(n + 1) % SPELLINGS.len()];
            let used = alice.log_in(&sshd, other(&code));
            assert!(!used.success, "{:?}: {used:?}", other(&code));
        }
    });
}

const SPELLINGS: [fn(&str) -> String; 5] = [
    |code| code.to_owned(),
    |code| format!("{} {}", &code[..3], &code[3..]),
    |code| format!("{}-{}", &code[..3], &code[3..]),
    |code| format!(" {code} "),
    |code| format!("\t{code}\t"),
];

#[test]
fn the_log_tells_what_was_decided_and_never_the_code() {
    sandbox::run(|sandbox| {
        let alice = Alice::new(sandbox).stack_after_password();
        let sshd = Sshd::start(sandbox, "", Clock::Real);
        let (right, wrong) = (alice.code(0), oath::wrong(&alice.code(0)));
        assert!(!alice.log_in(&sshd, wrong.clone()).success);
        assert!(alice.log_in(&sshd, right.clone()).success);
        let accepted = |line: &str| line.contains("otpgate: result=accepted user=alice");
        let line = sandbox
            .syslog()
            .wait_for(tests::processes::DEADLINE, accepted);
        assert!(line.contains("source=127.0.0.1 service=sshd"), "{line}");
        let lines = sandbox.syslog().lines().join("\n");
        assert_eq!(lines.matches("otpgate: result=").count(), 2, "{lines}");
        for secret in [&right, &wrong, &alice.secret, &alice.user.password] {
            assert!(!lines.contains(secret), "{secret} in:\n{lines}");
        }
    });
}
