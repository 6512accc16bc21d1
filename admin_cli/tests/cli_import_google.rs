//! `otpgate import google`: what was on the phone and on paper goes on working, and what was used does not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::PathBuf;
use std::process::Command;

use otp_core::policy::{Accepted, Proof, Refusal, Verdict};
use serde_json::Value;
use support::{Desk, RFC_SECRET, Ran, at, feed, hotp, tool, totp_at};

/// The middle of a time step.
const NOW: u64 = 1_700_000_025;
const STEP: u64 = NOW / 30;

/// A store, and a directory with a file per user, as `secret=/var/lib/ga/${USER}` in pam.d has them.
struct Host {
    desk: Desk,
    template: String,
}

impl Host {
    fn new() -> Self {
        let desk = Desk::new();
        fs::create_dir(desk.path("ga")).unwrap();
        let template = format!("{}/${{USER}}", desk.path("ga").display());
        Self { desk, template }
    }

    fn file(&self, user: &str, text: &str) -> PathBuf {
        let path = self.desk.path("ga").join(user);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        path
    }

    fn import(&self, arguments: &[&str]) -> Ran {
        let pam = self.desk.path("pam.d");
        let from = ["--from", &self.template, "--pam-dir", pam.to_str().unwrap()];
        self.desk
            .run(&[&["import", "google"], arguments, &from].concat())
    }

    fn report(&self, arguments: &[&str]) -> Vec<Value> {
        let ran = self.import(&[arguments, &["--json"]].concat());
        let lines = ran.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{ran:?}")))
            .collect()
    }
}

fn totp_file(rest: &str) -> String {
    format!("{RFC_SECRET}\n{rest}\" TOTP_AUTH\n12345678\n87654321\n")
}

fn reason(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted(_) => "accepted",
        Verdict::Refused(refusal) => refusal.reason(),
    }
}

#[test]
fn codes_and_scratch_codes_go_on_working_once_each() {
    let host = Host::new();
    host.file("alice", &totp_file(""));
    let ran = host.import(&["alice"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(
        ran.stdout
            .contains("alice: imported: phone (totp), 2 scratch codes"),
        "{ran:?}"
    );
    assert_eq!(host.desk.show("alice")["recovery_codes_left"], 2);
    let now = at(NOW);
    let code = totp_at(NOW, &[], RFC_SECRET);
    assert_eq!(reason(&host.desk.log_in("alice", &code, &now)), "accepted");
    assert_eq!(reason(&host.desk.log_in("alice", &code, &now)), "replayed");
    let verdict = host.desk.log_in("alice", "8765 4321", &now);
    let Verdict::Accepted(Accepted { proof, .. }) = verdict else {
        panic!("{verdict:?}");
    };
    assert_eq!(proof, Proof::Recovery { left: 1 });
    assert_eq!(
        reason(&host.desk.log_in("alice", "87654321", &now)),
        "replayed"
    );
    let account = fs::read_to_string(host.desk.account_file("alice")).unwrap();
    assert!(
        !account.contains("12345678\"") && !account.contains("87654321"),
        "{account}"
    );
}

#[test]
fn used_steps_skew_and_counters_are_kept() {
    let host = Host::new();
    let used = format!("\" DISALLOW_REUSE {} {}\n", STEP + 1, STEP - 4);
    host.file("used", &totp_file(&used));
    host.file("skewed", &totp_file("\" TIME_SKEW -7\n"));
    host.file("slow", &totp_file("\" STEP_SIZE 60\n"));
    host.file("counter", &format!("{RFC_SECRET}\n\" HOTP_COUNTER 42\n"));
    for user in ["used", "skewed", "slow", "counter"] {
        assert_eq!(host.import(&[user]).status, 0, "{user}");
    }
    let try_code = |user, code: String| reason(&host.desk.log_in(user, &code, &at(NOW)));
    let totp = |step: u64| totp_at(step * 30, &[], RFC_SECRET);
    for step in [STEP - 1, STEP, STEP + 1] {
        assert_eq!(try_code("used", totp(step)), "replayed", "{}", step - STEP);
    }
    let later = host.desk.log_in("used", &totp(STEP + 2), &at(NOW + 60));
    assert_eq!(reason(&later), "accepted");
    assert_eq!(try_code("skewed", totp(STEP)), "out_of_window");
    assert_eq!(try_code("skewed", totp(STEP - 7)), "accepted");
    let slow = totp_at(NOW, &["--totp", "--time-step-size=60s"], RFC_SECRET);
    assert_eq!(try_code("slow", slow), "accepted");
    assert_eq!(try_code("counter", hotp(41, RFC_SECRET)), "replayed");
    assert_eq!(try_code("counter", hotp(42, RFC_SECRET)), "accepted");
}

#[test]
fn a_second_run_changes_nothing() {
    let host = Host::new();
    let file = host.file("alice", &totp_file(""));
    let source = fs::metadata(&file).unwrap().modified().unwrap();
    assert_eq!(host.import(&["alice"]).status, 0);
    let files = ["alice"].map(|user| [host.desk.account_file(user), host.desk.state_file(user)]);
    let before: Vec<_> = files
        .iter()
        .flatten()
        .map(|file| fs::read(file).unwrap())
        .collect();
    let ran = host.import(&["alice"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.stdout.contains("alice: already imported"), "{ran:?}");
    let after: Vec<_> = files
        .iter()
        .flatten()
        .map(|file| fs::read(file).unwrap())
        .collect();
    assert!(before == after);
    assert_eq!(
        fs::metadata(&file).unwrap().modified().unwrap(),
        source,
        "the source is untouched"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), totp_file(""));
}

#[test]
fn a_dry_run_says_it_and_does_nothing() {
    let host = Host::new();
    host.file("alice", &totp_file(""));
    let ran = host.import(&["alice", "--dry-run"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.stdout.contains("alice: would be imported"), "{ran:?}");
    assert!(!host.desk.account_file("alice").exists() && !host.desk.state_file("alice").exists());
}

#[test]
fn force_replaces_and_reopens_nothing() {
    let host = Host::new();
    host.desk.enroll("alice", &[]);
    let file = host.file("alice", &totp_file(""));
    let refused = host.import(&["alice"]);
    assert_eq!(refused.status, 1, "{refused:?}");
    assert!(
        refused.stdout.contains("REFUSED") && refused.stdout.contains("--force"),
        "{refused:?}"
    );
    let forced = host.import(&["alice", "--force"]);
    assert!(forced.stdout.contains("alice: replaced"), "{forced:?}");
    let code = totp_at(NOW, &[], RFC_SECRET);
    assert_eq!(
        reason(&host.desk.log_in("alice", &code, &at(NOW))),
        "accepted"
    );
    assert_eq!(
        reason(&host.desk.log_in("alice", "12345678", &at(NOW))),
        "accepted"
    );
    // The old file still lists both; they were used here.
    fs::remove_file(&file).unwrap();
    host.file(
        "alice",
        &totp_file(&format!("\" DISALLOW_REUSE {}\n", STEP - 50)),
    );
    for _ in 0..2 {
        assert_eq!(host.import(&["alice", "--force"]).status, 0);
    }
    assert_eq!(
        reason(&host.desk.log_in("alice", &code, &at(NOW))),
        "replayed"
    );
    assert_ne!(
        reason(&host.desk.log_in("alice", "12345678", &at(NOW))),
        "accepted"
    );
    assert_eq!(
        reason(&host.desk.log_in("alice", "87654321", &at(NOW))),
        "accepted"
    );
}

#[test]
fn force_leaves_a_device_disabled_and_bound_to_its_services() {
    let host = Host::new();
    host.file("alice", &totp_file(""));
    assert_eq!(host.import(&["alice"]).status, 0);
    let account = host.desk.account_file("alice");
    let bound = fs::read_to_string(&account).unwrap();
    let bound = bound.replace("issuer = ", "services = [\"vpn\"]\nissuer = ");
    fs::write(&account, bound).unwrap();
    host.desk.must(&["disable", "alice", "--device", "phone"]);
    assert_eq!(host.import(&["alice", "--force"]).status, 0);
    let text = fs::read_to_string(&account).unwrap();
    assert!(text.contains("services = [\"vpn\"]"), "{text}");
    let code = totp_at(NOW, &[], RFC_SECRET);
    assert_eq!(reason(&host.desk.log_in("alice", &code, &at(NOW))), "wrong");
}

#[test]
fn new_recovery_codes_take_the_place_of_scratch_codes() {
    let host = Host::new();
    host.file("alice", &totp_file(""));
    assert_eq!(host.import(&["alice"]).status, 0);
    host.desk.must(&["recovery", "alice"]);
    let verdict = host.desk.log_in("alice", "12345678", &at(NOW));
    assert_eq!(verdict, Verdict::Refused(Refusal::Replayed));
    // The file still lists them.
    for _ in 0..2 {
        let forced = host.import(&["alice", "--force"]);
        assert_eq!(forced.status, 0, "{forced:?}");
        for code in ["12345678", "87654321"] {
            let verdict = host.desk.log_in("alice", code, &at(NOW));
            assert_eq!(verdict, Verdict::Refused(Refusal::Replayed), "{code}");
        }
    }
    assert_eq!(host.desk.show("alice")["recovery_codes_left"], 10);
}

#[test]
fn what_cannot_be_carried_over_is_said() {
    let host = Host::new();
    let text = "\" RATE_LIMIT 3 30 1 2\n\" WINDOW_SIZE 17\n\" LAST0 192.0.2.1 1700000000\n";
    host.file("alice", &totp_file(text));
    let report = host.report(&["alice"]);
    let notes = report[0]["notes"].as_array().unwrap();
    let said = |what: &str| {
        notes
            .iter()
            .any(|note| note.as_str().unwrap().contains(what))
    };
    for what in [
        "RATE_LIMIT 3 per 30",
        "WINDOW_SIZE 17",
        "LAST0",
        "codes could be used twice",
    ] {
        assert!(said(what), "{what}: {notes:?}");
    }
}

#[test]
fn files_that_must_not_be_trusted_are_refused_with_the_reason() {
    let host = Host::new();
    let ga = host.desk.path("ga");
    let readable = host.file("readable", &totp_file(""));
    fs::set_permissions(&readable, fs::Permissions::from_mode(0o644)).unwrap();
    let foreign = host.file("foreign", &totp_file(""));
    chown(&foreign, Some(12_345), None).unwrap();
    symlink(host.file("target", &totp_file("")), ga.join("link")).unwrap();
    fs::hard_link(host.file("first", &totp_file("")), ga.join("second")).unwrap();
    fs::create_dir(ga.join("directory")).unwrap();
    assert!(
        tool("mkfifo", "coreutils")
            .arg(ga.join("fifo"))
            .status()
            .unwrap()
            .success()
    );
    host.file("large", &"A".repeat(65_537));
    host.file("weak", "MFRGGZDFMZTWQ2LK\n\" TOTP_AUTH\n");
    host.file("skewed", &totp_file("\" TIME_SKEW 21\n"));
    host.file("odd", &totp_file("\" DISALLOW_REUSE x\n"));
    for (user, expected) in [
        ("readable", "has the mode 0644"),
        ("foreign", "belongs to the uid 12345"),
        ("link", "is a symbolic link"),
        ("second", "is no regular file with one name"),
        ("directory", "is no regular file with one name"),
        ("fifo", "is no regular file with one name"),
        ("large", "has more than 65536 bytes"),
        ("weak", "the secret has 80 bits"),
        ("skewed", "the phone's clock is 21 steps off"),
        ("odd", "the line DISALLOW_REUSE"),
        ("nobody-has-this", "there is no such file"),
    ] {
        let ran = host.import(&[user]);
        assert_eq!(ran.status, 1, "{user}: {ran:?}");
        assert!(ran.stdout.contains(expected), "{user}: {ran:?}");
        assert!(!ran.stdout.contains("GEZDGNBV"), "{user}: {ran:?}");
        assert!(!host.desk.account_file(user).exists(), "{user}");
    }
    let ran = host.import(&["weak", "--allow-weak"]);
    assert_eq!(ran.status, 0, "{ran:?}");
}

#[test]
fn one_file_cannot_be_meant_for_everybody() {
    let host = Host::new();
    let ran = host
        .desk
        .run(&["import", "google", "--all", "--from", "/var/lib/one"]);
    assert_eq!(ran.status, 2);
    assert!(ran.error().contains("${USER}"), "{ran:?}");
}

#[test]
fn the_pam_line_to_change_is_shown() {
    let host = Host::new();
    fs::create_dir(host.desk.path("pam.d")).unwrap();
    let line =
        "auth required pam_google_authenticator.so nullok secret=/var/lib/ga/${USER} user=root";
    fs::write(
        host.desk.path("pam.d/sshd"),
        format!("@include common-auth\n{line}\n"),
    )
    .unwrap();
    host.file("alice", &totp_file(""));
    let report = host.report(&["alice"]);
    let change = &report.last().unwrap()["pam_lines"][0];
    assert_eq!(change["before"], line);
    assert_eq!(change["after"], "auth required pam_otpgate.so nullok");
    assert!(
        change["place"]
            .as_str()
            .unwrap()
            .ends_with("pam.d/sshd, line 2:")
    );
}

/// A host with a passwd of its own, in a mount namespace.
fn with_passwd(desk: &Desk, passwd: &str, arguments: &[&str]) -> Ran {
    let file = desk.path("passwd");
    fs::write(&file, passwd).unwrap();
    let script = "mount --bind \"$1\" /etc/passwd && shift && exec \"$@\"";
    let command = desk.command(arguments);
    let mut unshare: Command = tool("unshare", "util-linux");
    unshare
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(&file)
        .arg(command.get_program())
        .args(command.get_args());
    feed(&mut unshare, "")
}

#[test]
fn all_homes_are_read_as_the_old_command_left_them() {
    let desk = Desk::new();
    let mut passwd = String::from("root:x:0:0::/nonexistent:/bin/sh\n");
    for (uid, user) in [
        (2001, "alice"),
        (2002, "bob"),
        (2003, "carol"),
        (2004, "mallory"),
    ] {
        let home = desk.path(user);
        fs::create_dir(&home).unwrap();
        chown(&home, Some(uid), Some(uid)).unwrap();
        passwd.push_str(&format!(
            "{user}:x:{uid}:{uid}::{}:/bin/sh\n",
            home.display()
        ));
    }
    // Debian's own command makes alice's file; bob's is counter based; carol has none.
    let kinds: [(u32, &str, &[&str]); 2] = [(2001, "alice", &["-t", "-d"]), (2002, "bob", &["-c"])];
    for (uid, user, kind) in kinds {
        let file = desk.path(user).join(".google_authenticator");
        let made = tool("google-authenticator", "libpam-google-authenticator")
            .args(kind)
            .args([
                "-f", "-q", "-Q", "NONE", "-r", "3", "-R", "30", "-w", "3", "-s",
            ])
            .arg(&file)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        chown(&file, Some(uid), Some(uid)).unwrap();
    }
    // A link to somebody else's secret.
    symlink(
        desk.path("alice/.google_authenticator"),
        desk.path("mallory/.google_authenticator"),
    )
    .unwrap();
    let ran = with_passwd(&desk, &passwd, &["import", "google", "--all"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(
        ran.stdout
            .contains("Users: 2 imported, 0 replaced, 0 already imported, 1 refused."),
        "{ran:?}"
    );
    assert!(
        ran.stdout.contains("mallory: REFUSED") && !ran.stdout.contains("carol"),
        "{ran:?}"
    );
    let text = fs::read_to_string(desk.path("alice/.google_authenticator")).unwrap();
    let (secret, scratch) = (text.lines().next().unwrap(), text.lines().last().unwrap());
    assert_eq!(
        desk.verify("alice", &totp_at(support::now(), &[], secret)),
        "accepted"
    );
    assert_eq!(desk.verify("alice", scratch), "accepted");
    let text = fs::read_to_string(desk.path("bob/.google_authenticator")).unwrap();
    let secret = text.lines().next().unwrap();
    assert_eq!(desk.verify("bob", &hotp(1, secret)), "accepted");
    assert_eq!(desk.show("bob")["devices"][0]["kind"], "hotp");
}

#[test]
fn listed_users_are_read_whoever_lists_them() {
    let desk = Desk::new();
    let mut passwd = String::from("root:x:0:0::/nonexistent:/bin/sh\n");
    for (uid, user) in [(2001, "alice"), (2002, "bob")] {
        let home = desk.path(user);
        fs::create_dir(&home).unwrap();
        let file = home.join(".google_authenticator");
        fs::write(&file, totp_file("")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        for path in [&home, &file] {
            chown(path, Some(uid), Some(uid)).unwrap();
        }
        passwd.push_str(&format!(
            "{user}:x:{uid}:{uid}::{}:/bin/sh\n",
            home.display()
        ));
    }
    let list = desk.path("names");
    fs::write(&list, "# who has a phone\n\nmallory\nalice\n").unwrap();
    let list = list.to_str().unwrap();
    let arguments = ["import", "google", "--all", "--users-from", list];
    let ran = with_passwd(&desk, &passwd, &arguments);
    assert_eq!(ran.status, 1, "{ran:?}");
    let summary = "Users: 1 imported, 0 replaced, 0 already imported, 1 refused.";
    assert!(ran.stdout.contains(summary), "{ran:?}");
    assert!(ran.stdout.contains("mallory: REFUSED"), "{ran:?}");
    assert!(!desk.account_file("bob").exists());
    fs::write(list, b"al\xffce\n").unwrap();
    let ran = with_passwd(&desk, &passwd, &arguments);
    assert!(
        ran.status == 2 && ran.stderr.contains("line 1 is no user name"),
        "{ran:?}"
    );
}
