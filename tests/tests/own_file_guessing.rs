//! Guessing at a user's own file: hopeless, and no weapon against its owner, as with those who are enrolled.
//!
//! The peer counts nothing without a `RATE_LIMIT` line, and with one whoever guesses keeps the owner out.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::Value;
use tests::application::Report;
use tests::clock::Clock;
use tests::figures;
use tests::oath;
use tests::parity::{Host, NOW, SECRET, Which};
use tests::sandbox::{self, Sandbox};

const HOME: &str = "192.0.2.7";
const AWAY: &str = "203.0.113.9";
const ASKED: [&str; 1] = ["echo_off: Verification code: "];
const FILE: &str = "{S}\n\" DISALLOW_REUSE\n\" TOTP_AUTH\n12345678\n";

/// A login by our module, so many seconds later.
fn log_in(host: &Host<'_>, from: &str, answer: &str, later: u64) -> Report {
    let at = u64::try_from(NOW).unwrap() + later;
    let login = host.ours("noskewadj", answer).from(from);
    login.at(Clock::StartingAt(at)).run()
}

/// Waits for a line of the log with all of these in it.
fn logged(sandbox: &Sandbox, words: &[&str]) {
    let all = |line: &str| words.iter().all(|word| line.contains(word));
    sandbox.syslog().wait_for(Duration::from_secs(60), all);
}

fn code(later: u64) -> String {
    oath::totp(SECRET, Some(u64::try_from(NOW).unwrap() + later), "sha1", 6)
}

fn show(host: &Host<'_>) -> Value {
    let shown = host.otpgate(&["show", "alice", "--json"]);
    assert!(shown.success(), "{shown:?}");
    serde_json::from_str(&shown.stdout).unwrap()
}

fn failures(host: &Host<'_>) -> u64 {
    show(host)["own_file"]["throttle"]["failures"]
        .as_u64()
        .unwrap()
}

#[test]
fn without_a_rate_limit_guesses_wait_and_the_owner_does_not() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        host.write(FILE, 0o600);
        assert!(log_in(&host, HOME, &code(0), 0).success());
        for guess in 0..60 {
            let report = log_in(&host, AWAY, "000000", 30);
            assert_eq!(
                (report.code(), &report.prompts()[..]),
                ("PAM_AUTH_ERR", &ASKED.map(str::to_owned)[..]),
                "{guess}"
            );
        }
        let evaluated = failures(&host);
        figures::print(&format!(
            "~/.google_authenticator: of 60 guesses {evaluated} were looked at"
        ));
        assert_eq!(evaluated, 4, "three are free, and the fourth begins a wait");
        let right = log_in(&host, AWAY, &code(30), 30);
        assert_eq!(
            (right.code(), &right.prompts()[..]),
            ("PAM_AUTH_ERR", &ASKED.map(str::to_owned)[..])
        );
        logged(
            sandbox,
            &["user=alice source=203.0.113.9", "reason=throttled until="],
        );
        assert!(
            log_in(&host, HOME, &code(30), 30).success(),
            "not used up, and the owner does not wait"
        );
    });
}

#[test]
fn ninety_guesses_lock_strangers_out_until_unlock_and_not_the_owner() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        host.write(FILE, 0o600);
        assert!(log_in(&host, HOME, &code(0), 0).success());
        for guess in 1..=95 {
            let _ = log_in(&host, AWAY, "000000", guess * 1_000);
        }
        assert_eq!(failures(&host), 90);
        assert_eq!(
            show(&host)["own_file"]["throttle"]["locked"],
            "unknown addresses"
        );
        let later = 100_000;
        assert!(!log_in(&host, AWAY, &code(later), later).success());
        assert!(log_in(&host, HOME, &code(later), later).success());
        let text = host.otpgate(&["show", "alice"]).stdout;
        assert!(
            text.contains("not enrolled") && text.contains("LOCKED for unknown"),
            "{text}"
        );
        let unlocked = host.otpgate(&["unlock", "alice"]);
        assert!(
            unlocked
                .stdout
                .contains("90 failures of alice are forgotten"),
            "{unlocked:?}"
        );
        assert!(log_in(&host, AWAY, &code(later + 60), later + 60).success());
    });
}

#[test]
fn who_fills_the_rate_limit_keeps_the_owner_out_with_the_peer_and_not_with_ours() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        host.write(
            "{S}\n\" RATE_LIMIT 3 30\n\" DISALLOW_REUSE\n\" TOTP_AUTH\n",
            0o600,
        );
        assert!(log_in(&host, HOME, &code(0), 0).success());
        for _ in 0..5 {
            let _ = log_in(&host, AWAY, "000000", 60);
        }
        let text = host.text();
        assert_eq!(
            log_in(&host, AWAY, "000000", 60).prompts().len(),
            0,
            "over the limit"
        );
        let at = Clock::StartingAt(u64::try_from(NOW).unwrap() + 60);
        let peer = host
            .login(Which::Peer, "", &code(60))
            .from(HOME)
            .at(at)
            .run();
        assert_eq!((peer.code(), peer.prompts().len()), ("PAM_AUTH_ERR", 0));
        host.write(&text, 0o600);
        let ours = log_in(&host, HOME, &code(60), 60);
        assert!(ours.success(), "{ours:?}\n{}", host.text());
        assert!(
            host.text().contains("\" RATE_LIMIT 3 30 "),
            "and counted all the same"
        );
    });
}

#[test]
fn a_count_that_is_damaged_refuses_and_unlock_makes_it_anew() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        host.write(FILE, 0o600);
        assert!(!log_in(&host, HOME, "000000", 0).success());
        fs::write("/var/lib/otpgate/own_files/alice", "no state").unwrap();
        let refused = log_in(&host, HOME, &code(0), 0);
        assert_eq!(
            (refused.code(), &refused.prompts()[..]),
            ("PAM_AUTH_ERR", &ASKED.map(str::to_owned)[..])
        );
        assert_eq!(host.text(), host.fill(FILE), "the code is not used up");
        logged(sandbox, &["own_files/alice: ", "otpgate unlock USER"]);
        let checked = host.otpgate(&["check"]).stdout;
        assert!(checked.contains("otpgate unlock alice"), "{checked}");
        assert!(host.otpgate(&["unlock", "alice"]).success());
        assert!(log_in(&host, HOME, &code(0), 0).success());
    });
}

/// Where failures cannot be counted nobody is let in.
#[test]
fn without_a_state_directory_nobody_is_let_in() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        host.write(FILE, 0o600);
        fs::rename("/var/lib/otpgate", "/var/lib/otpgate.away").unwrap();
        let refused = log_in(&host, HOME, &code(0), 0);
        fs::rename("/var/lib/otpgate.away", "/var/lib/otpgate").unwrap();
        assert_eq!(
            (refused.code(), &refused.prompts()[..]),
            ("PAM_AUTH_ERR", &ASKED.map(str::to_owned)[..])
        );
        assert_eq!(host.text(), host.fill(FILE));
        logged(sandbox, &["run `otpgate init`"]);
    });
}

/// The peer takes a home that is not mounted for one without a file, and lets in.
#[test]
fn a_home_that_is_not_mounted_lets_nobody_pass_as_one_without_a_file() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        let home = &host.alice.home;
        let away = home.with_extension("away");
        let passes = |which, options: &str| {
            let report = host.login(which, options, "000000").run();
            // In a stack of this line alone libpam makes "denied" of PAM_IGNORE.
            (
                report.code() == "PAM_PERM_DENIED" && report.prompts().is_empty(),
                report,
            )
        };
        let own = "nullok secret=~/.google_authenticator";
        assert!(
            passes(Which::Ours, own).0 && passes(Which::Ours, "nullok").0,
            "a home without a file"
        );
        fs::rename(home, &away).unwrap();
        assert!(passes(Which::Peer, "nullok").0, "no difference any more");
        for options in ["nullok", own] {
            let (passed, report) = passes(Which::Ours, options);
            assert!(
                !passed && report.code() == "PAM_AUTH_ERR",
                "{options}: {report:?}"
            );
            assert_eq!(report.prompts(), ASKED, "{options}");
        }
        logged(
            sandbox,
            &["reason=file", "is not there, or is an empty directory"],
        );
        // What a file system is mounted on: empty, and root's.
        fs::create_dir(home).unwrap();
        fs::set_permissions(home, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(!passes(Which::Ours, "nullok").0);
        // A home that is root's for good, as sshd's ChrootDirectory wants it, has something in it.
        fs::create_dir(home.join("upload")).unwrap();
        assert!(passes(Which::Ours, "nullok").0);
        fs::remove_dir_all(home).unwrap();
        let passwd = fs::read_to_string("/etc/passwd").unwrap();
        let homeless = passwd.replace(home.to_str().unwrap(), "/nonexistent");
        fs::write("/etc/passwd", &homeless).unwrap();
        assert!(passes(Which::Ours, "nullok").0, "never had a home");
        fs::write("/etc/passwd", passwd).unwrap();
        // A directory for everybody's files is there, or nothing is known.
        let shared = "nullok user=root secret=/var/lib/ga/${USER}";
        assert!(!passes(Which::Ours, shared).0);
        fs::create_dir("/var/lib/ga").unwrap();
        assert!(passes(Which::Ours, shared).0);
        fs::rename(away, home).unwrap();
    });
}

/// What refuses people has to be told before.
#[test]
fn check_tells_who_is_judged_by_a_file_and_whose_home_is_not_there() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        let codes = || {
            let checked = host.otpgate(&["check", "--json"]).stdout;
            let findings: Value = serde_json::from_str(&checked).unwrap();
            let own = |finding: &&Value| finding["code"].as_str().unwrap().starts_with("own-files");
            let findings = findings.as_array().unwrap().iter().filter(own);
            let told =
                findings.map(|finding| format!("{} {}", finding["code"], finding["meaning"]));
            told.collect::<Vec<_>>().join("\n")
        };
        // The check knows our lines by the module's name.
        let stack = |options: &str| {
            sandbox.sshd_stack_after_password(&format!("auth required pam_otpgate.so {options}"));
        };
        stack("");
        assert_eq!(codes(), "", "nobody has a file, and nobody passes");
        host.write(FILE, 0o600);
        assert!(
            codes().contains("own-files\" \"alice is not enrolled"),
            "{}",
            codes()
        );
        assert!(host.otpgate(&["import", "google", "alice"]).success());
        assert_eq!(codes(), "");
        stack("nullok");
        assert!(
            codes().contains("own-files-home\" \"homeless is without"),
            "{}",
            codes()
        );
        let shared = "nullok user=root secret=/var/lib/ga/${USER}";
        stack(shared);
        assert!(codes().contains("own-files-directory"), "{}", codes());
        host.configure("google_authenticator_files = \"off\"\n");
        stack("nullok");
        assert_eq!(codes(), "");
    });
}
