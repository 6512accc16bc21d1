//! A real sshd, a file made by the peer's own command, and the one word in pam.d: before, after, and back.

use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tests::clients::Login;
use tests::clients::openssh::{Way, ssh};
use tests::clock::Clock;
use tests::installation::finish;
use tests::oath;
use tests::parity::{Host, Which};
use tests::sandbox;
use tests::sshd::Sshd;

#[test]
fn people_log_in_before_and_after_the_one_word_change_and_after_the_way_back() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=alice", "--regid=alice", "--clear-groups", "--"])
            .args([
                "google-authenticator",
                "-t",
                "-d",
                "-f",
                "-r",
                "3",
                "-R",
                "30",
                "-w",
                "3",
                "-C",
                "-q",
            ])
            .env("HOME", &host.alice.home)
            .current_dir("/");
        let made = finish(&mut command, "");
        assert!(made.success(), "{made:?}");
        let secret = host.text().lines().next().unwrap().to_owned();
        let now = early_in_a_step();
        let sshd = Sshd::start(sandbox, "", Clock::Real);
        // Three codes are right at any moment, each once.
        for (which, at) in [
            (Which::Peer, now - 30),
            (Which::Ours, now),
            (Which::Peer, now + 30),
        ] {
            sandbox.sshd_stack_after_password(&host.line(which, "nullok"));
            let code = oath::totp(&secret, Some(at), "sha1", 6);
            let login = Login::new(sandbox, &sshd, &host.alice, code);
            let run = ssh(&login, Way::Askpass, &[], "id -un");
            assert_eq!(
                run.stdout.trim(),
                "alice",
                "{which:?}: {run:?}\n{}",
                sshd.log()
            );
        }
    });
}

/// The time, with room for three logins before the step ends: then the first code would be too old.
fn early_in_a_step() -> u64 {
    loop {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        if now.as_secs() % 30 < 15 {
            return now.as_secs();
        }
        thread::sleep(Duration::from_millis(200));
    }
}
