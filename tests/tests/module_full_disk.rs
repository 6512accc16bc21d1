//! Promise 3: a full disk cannot destroy a secret, and a login needs no free space.
//!
//! The state lies on a small file system of its own that is filled to the last byte. Fails when a
//! login writes a temporary file, or when administration overwrites an account in place.

use nix::mount::{MsFlags, mount};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tests::disk::{self, Disk};
use tests::installation::Installation;
use tests::oath;
use tests::sandbox::{self, Sandbox};

/// For a line to arrive.
const LOGGED: Duration = Duration::from_secs(10);

#[test]
fn a_full_tmpfs_stops_no_login_and_loses_no_secret() {
    sandbox::run(|sandbox| {
        let volume = sandbox.scratch();
        let options = Some("size=1m,mode=755");
        mount(
            Some("tmpfs"),
            &volume,
            Some("tmpfs"),
            MsFlags::empty(),
            options,
        )
        .unwrap();
        Host::on(sandbox, &volume).promises_hold_when_full();
    });
}

#[test]
fn a_full_ext4_stops_no_login_and_loses_no_secret() {
    let disk = Disk::ext4(8 << 20);
    sandbox::run(|sandbox| {
        let volume = disk.mount(sandbox);
        Host::on(sandbox, &volume).promises_hold_when_full();
        nix::mount::umount(&volume).unwrap();
    });
}

#[test]
fn a_read_only_file_system_refuses_and_says_what_to_do() {
    sandbox::run(|sandbox| {
        let volume = sandbox.scratch();
        let none = None::<&str>;
        mount(
            Some("tmpfs"),
            &volume,
            Some("tmpfs"),
            MsFlags::empty(),
            Some("mode=755"),
        )
        .unwrap();
        let host = Host::on(sandbox, &volume);
        mount(
            none,
            &volume,
            none,
            MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY,
            none,
        )
        .unwrap();
        for (user, file) in [("alice", "state/alice"), ("nobody-known", "decoys/")] {
            let report = host.installation.login(user).answer(&host.code(0)).run();
            assert_eq!(report.code(), "PAM_AUTHINFO_UNAVAIL", "{report:?}");
            let tells =
                |line: &str| line.contains(file) && line.contains("make the file system writable");
            sandbox.syslog().wait_for(LOGGED, tells);
        }
        mount(none, &volume, none, MsFlags::MS_REMOUNT, none).unwrap();
        assert!(
            host.login(0),
            "the secret is unharmed, the code not used up"
        );
    });
}

struct Host {
    installation: Installation,
    secret: String,
    recovery_code: String,
}

impl Host {
    fn on(sandbox: &Sandbox, volume: &Path) -> Self {
        assert!(volume.starts_with(sandbox.path("")));
        let installation = Installation::prepared(volume, "");
        installation.must(&["init"]);
        let mut enrolment = installation.enroll("alice", &["--hotp"]);
        Self {
            installation,
            secret: enrolment.secret,
            recovery_code: enrolment.recovery_codes.pop().unwrap(),
        }
    }

    fn promises_hold_when_full(&self) {
        let filler = self.installation.path("filler");
        fill(&filler);
        let names = self.installation.names();
        // More than two slots' worth of commits.
        for counter in 0..5 {
            assert!(self.login(counter), "login {counter} on a full disk");
            assert!(!self.login(counter), "replay {counter} on a full disk");
        }
        assert!(self.accepts(&self.recovery_code));
        assert!(!self.accepts(&self.recovery_code), "recorded as used");
        let unknown = self
            .installation
            .login("nobody-known")
            .answer("000000")
            .run();
        assert_eq!(
            unknown.code(),
            "PAM_AUTH_ERR",
            "a decoy's commit needs no room"
        );
        for arguments in [
            &["recovery", "alice"][..],
            &["disable", "alice"],
            &["enroll", "bob", "--hotp", "--no-confirm", "--qr", "none"],
            &[
                "enroll",
                "alice",
                "--device",
                "b",
                "--hotp",
                "--no-confirm",
                "--qr",
                "none",
            ],
        ] {
            let run = self.installation.run(arguments);
            assert!(!run.success(), "{arguments:?} on a full disk");
            let clear =
                run.stderr.contains("No space left") && run.stderr.contains("free some space");
            assert!(clear, "{arguments:?}: {}", run.stderr);
            assert_eq!(self.installation.names(), names, "{arguments:?}");
        }
        assert!(self.login(5), "the old device still counts");
        fs::remove_file(filler).unwrap();
        assert!(self.login(6));
        self.installation.must(&["recovery", "alice"]);
        assert!(self.login(7), "and administration works again");
    }

    fn code(&self, counter: u64) -> String {
        oath::hotp(&self.secret, counter, 6)
    }

    fn login(&self, counter: u64) -> bool {
        self.accepts(&self.code(counter))
    }

    fn accepts(&self, answer: &str) -> bool {
        let report = self.installation.login("alice").answer(answer).run();
        assert!(
            report.success() || report.code() == "PAM_AUTH_ERR",
            "{report:?}"
        );
        report.success()
    }
}

/// Writes until not a single byte goes any more.
fn fill(path: &Path) {
    disk::fill(path);
    // And no name can be added where an empty file would still fit.
    let directory = path.parent().unwrap();
    let full = fs::write(directory.join("one-more"), "x").is_err();
    let _ = fs::remove_file(directory.join("one-more"));
    assert!(full, "{} is not full", directory.display());
}
