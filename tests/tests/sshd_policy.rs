//! What the rules promise to people, seen from the other end of an SSH connection.

use tests::alice::Alice;
use tests::clients::Login;
use tests::clients::openssh::{Way, ssh};
use tests::clock::Clock;
use tests::oath;
use tests::sandbox;
use tests::sshd::Sshd;

const HOME: &str = "127.0.0.1";
const ELSEWHERE: &str = "127.0.0.2";
const PASSWORD_THEN_CODE: [&str; 2] = [
    "(alice@127.0.0.1) Password: ",
    "(alice@127.0.0.1) Verification code: ",
];

#[test]
fn guessing_from_elsewhere_is_throttled_and_does_not_keep_the_owner_out() {
    sandbox::run(|sandbox| {
        // A wait that outlasts the test on any machine.
        let settings = "[throttle]\nfirst_wait = \"10m\"\n";
        let alice = Alice::with_settings(sandbox, settings).stack_after_password();
        let sshd = Sshd::start(sandbox, "", Clock::Real);
        assert!(alice.log_in_from(HOME, &sshd, alice.code(0)).success);
        let wrong = oath::wrong(&alice.code(1));
        // Three failures are free.
        for _ in 0..4 {
            assert!(!alice.log_in_from(ELSEWHERE, &sshd, wrong.clone()).success);
        }
        let throttled = alice.log_in_from(ELSEWHERE, &sshd, alice.code(1));
        assert!(!throttled.success, "{throttled:?}");
        assert_eq!(
            throttled.prompts, PASSWORD_THEN_CODE,
            "nothing betrays the wait"
        );
        let at_home = alice.log_in_from(HOME, &sshd, alice.code(1));
        assert!(
            at_home.success,
            "a code refused unseen is not used up: {at_home:?}"
        );
    });
}

#[test]
fn grace_spares_the_next_login_from_the_same_address_only() {
    sandbox::run(|sandbox| {
        let alice = Alice::new(sandbox).stack_after_password_with("grace=1h");
        let sshd = Sshd::start(sandbox, "", Clock::Real);
        assert!(alice.log_in_from(HOME, &sshd, alice.code(0)).success);
        let again = alice.log_in_from(HOME, &sshd, String::new());
        assert!(again.success, "{again:?}");
        assert_eq!(again.prompts, PASSWORD_THEN_CODE[..1]);
        let elsewhere = alice.log_in_from(ELSEWHERE, &sshd, alice.code(1));
        assert!(elsewhere.success, "{elsewhere:?}");
        assert_eq!(elsewhere.prompts, PASSWORD_THEN_CODE);
    });
}

#[test]
fn somebody_not_enrolled_is_asked_like_everybody_and_refused() {
    sandbox::run(|sandbox| {
        let alice = Alice::new(sandbox).stack_after_password();
        let bob = sandbox.add_user("bob");
        let sshd = Sshd::start(sandbox, "", Clock::Real);
        let run = ssh(
            &Login::new(sandbox, &sshd, &bob, alice.code(0)),
            Way::Askpass,
            &[],
            "id",
        );
        assert!(!run.success, "{run:?}");
        let asked = PASSWORD_THEN_CODE.map(|prompt| prompt.replace("alice", "bob"));
        assert_eq!(run.prompts, asked);
    });
}

#[test]
fn nullok_lets_somebody_not_enrolled_in_with_the_password() {
    sandbox::run(|sandbox| {
        let alice = Alice::new(sandbox).stack_after_password_with("nullok");
        let bob = sandbox.add_user("bob");
        let sshd = Sshd::start(sandbox, "", Clock::Real);
        let run = ssh(
            &Login::new(sandbox, &sshd, &bob, ""),
            Way::Askpass,
            &[],
            "id -un",
        );
        assert!(run.success && run.stdout == "bob\n", "{run:?}");
        assert_eq!(run.prompts, ["(bob@127.0.0.1) Password: "]);
        let asked = alice.log_in(&sshd, alice.code(0));
        assert!(
            asked.success && asked.prompts == PASSWORD_THEN_CODE,
            "{asked:?}"
        );
    });
}
