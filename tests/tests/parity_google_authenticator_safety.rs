//! Users' own files where the peer is unsafe, or breaks: races, planted things, homes that root may not
//! enter, file systems that take nothing; and a file made by the peer's own command, used by both.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tests::application::{Barrier, Running};
use tests::clock::Clock;
use tests::figures;
use tests::installation::finish;
use tests::oath;
use tests::parity::{Host, NOW, SECRET, Which, case, must, run_frozen};
use tests::processes::Finished;
use tests::sandbox;
use tests::strace;

const FILE: &str = "{S}\n\" DISALLOW_REUSE\n\" TOTP_AUTH\n12345678\n23456789\n";

#[test]
fn sixteen_logins_with_one_code_are_one_success() {
    const ROUNDS: u64 = 20;
    const PROCESSES: usize = 16;
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        let logins = |round: u64, answer: &str, now: u64| {
            let barrier = Barrier::new();
            let login = || host.ours("", answer).at(Clock::StartingAt(now));
            let mut running: Vec<Running> =
                (0..PROCESSES).map(|_| login().start_at(&barrier)).collect();
            barrier.open_for(&mut running);
            let reports: Vec<_> = running.into_iter().map(Running::finish).collect();
            let successes = reports.iter().filter(|report| report.success()).count();
            assert_eq!(successes, 1, "round {round}: {reports:?}");
            successes
        };
        let mut successes = 0;
        host.write(FILE, 0o600);
        for round in 0..ROUNDS {
            let now = 2_000_000_010 + 30 * round;
            let code = oath::totp(SECRET, Some(now), "sha1", 6);
            successes += logins(round, &code, now);
        }
        figures::print(&format!(
            "~/.google_authenticator: {ROUNDS} rounds of {PROCESSES} processes, {successes} logins"
        ));
        assert_eq!(successes as u64, ROUNDS);
        logins(ROUNDS, "12345678", 2_000_000_010);
        let text = host.text();
        assert!(
            !text.contains("12345678") && text.contains("23456789"),
            "{text}"
        );
    });
}

#[test]
fn a_home_that_root_may_not_enter_works() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        host.write(FILE, 0o600);
        // As on NFS with root squash: root has no right over others' files.
        let squashed = |command: &Command| {
            let mut setpriv = Command::new("setpriv");
            setpriv
                .arg("--bounding-set=-dac_override,-dac_read_search,-fowner,-chown")
                .arg("--")
                .arg(command.get_program())
                .args(command.get_args());
            for (name, value) in command.get_envs() {
                setpriv.env(name, value.unwrap_or_default());
            }
            finish(&mut setpriv, "")
        };
        let mut cat = Command::new("cat");
        cat.arg(host.path());
        assert!(!squashed(&cat).success(), "root may enter");
        let login = host.ours("", &host.fill("{C}"));
        let login = login.at(Clock::StartingAt(u64::try_from(NOW).unwrap()));
        let run = squashed(&login.into_command());
        assert!(run.stdout.contains("called auth PAM_SUCCESS"), "{run:?}");
        assert!(host.text().contains("DISALLOW_REUSE 66666667\n"));
    });
}

#[test]
fn a_fifo_is_refused_at_once() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        for options in ["", "nullok", "secret=~/.google_authenticator nullok"] {
            let fifo = case("a FIFO", "", "", &["123456"])
                .prepare(|path| must("mkfifo", &["-m", "600", path.to_str().unwrap()]));
            let fifo = tests::parity::Case { options, ..fifo };
            let start = Instant::now();
            let seen = host.run(Which::Ours, &fifo);
            assert_eq!(seen.code, "PAM_AUTH_ERR", "{options}: {seen:?}");
            assert!(start.elapsed() < Duration::from_secs(3), "{options}");
        }
    });
}

#[test]
fn what_is_planted_at_the_temporary_name_is_not_written_through() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        let victim = sandbox.path("victim");
        fs::write(&victim, "precious").unwrap();
        let temporary = host.alice.home.join(".google_authenticator~otpgate");
        type Plant = fn(&Path, &Path);
        let plants: [(&str, bool, Plant); 4] = [
            ("symlink", true, |victim, at| {
                std::os::unix::fs::symlink(victim, at).unwrap()
            }),
            ("hard link", true, |victim, at| {
                fs::hard_link(victim, at).unwrap()
            }),
            ("FIFO", true, |_, at| {
                must("mkfifo", &[at.to_str().unwrap()])
            }),
            ("directory", false, |_, at| fs::create_dir(at).unwrap()),
        ];
        for (name, accepted, plant) in plants {
            host.write(FILE, 0o600);
            plant(&victim, &temporary);
            let report = run_frozen(host.ours("", &host.fill("{C}")));
            assert_eq!(report.success(), accepted, "{name}: {report:?}");
            assert_eq!(fs::read(&victim).unwrap(), b"precious", "{name}");
            assert_eq!(temporary.symlink_metadata().is_err(), accepted, "{name}");
        }
    });
}

#[test]
fn file_systems_that_take_nothing_refuse_unless_allowed_and_say_so() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        let home = host.alice.home.to_str().unwrap().to_owned();
        let on_small_disk = |fill: bool| {
            must(
                "mount",
                &["-t", "tmpfs", "-o", "size=16k,mode=700", "tmpfs", &home],
            );
            must("chown", &["alice", &home]);
            host.write(FILE, 0o600);
            if fill {
                let full = fs::write(host.alice.home.join("ballast"), vec![0; 1 << 20]);
                assert!(full.is_err());
            } else {
                must("mount", &["-o", "remount,ro", &home]);
            }
        };
        for (fill, text) in [
            (false, "Read-only file system"),
            (true, "No space left on device"),
        ] {
            on_small_disk(fill);
            let message = format!("error: Error \"{text}\" while writing config");
            let asked = "echo_off: Verification code: ".to_owned();
            for which in [Which::Peer, Which::Ours] {
                let report = run_frozen(host.login(which, "", &host.fill("{C}")));
                assert_eq!(report.code(), "PAM_AUTH_ERR", "{which:?}");
                if which == Which::Ours {
                    assert_eq!(report.prompts(), [asked.clone(), message.clone()]);
                } else if !fill {
                    assert_eq!(
                        report.prompts(),
                        [asked.clone(), message.clone()],
                        "the peer's own text"
                    );
                }
            }
            let report = run_frozen(host.ours("allow_readonly", &host.fill("{C}")));
            assert!(report.success(), "{report:?}");
            assert_eq!(host.text(), host.fill(FILE), "whole, whatever failed");
            must("umount", &[&home]);
        }
    });
}

#[test]
fn a_limit_on_file_sizes_refuses_before_a_code_is_judged() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        host.write(FILE, 0o600);
        let command = host.ours("", &host.fill("{C}")).into_command();
        let mut limited = Command::new("sh");
        limited
            .args(["-c", "ulimit -f 0; exec \"$0\" \"$@\" | cat"])
            .arg(command.get_program())
            .args(command.get_args());
        let run = finish(&mut limited, "");
        assert!(run.stdout.contains("called auth PAM_AUTH_ERR"), "{run:?}");
        assert_eq!(host.text(), host.fill(FILE));
    });
}

#[test]
fn an_odd_remote_host_is_neither_remembered_nor_believed() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        for rhost in ["%s", "%n%n", "two words", "", "192.0.2."] {
            let stored = "{S}\n\" LAST0 192.0.2.7 {N-9}\n\" TOTP_AUTH\n";
            host.write(stored, 0o600);
            let login = host.ours("grace_period=60", "000000").from(rhost);
            let report = run_frozen(login);
            assert_eq!(report.code(), "PAM_AUTH_ERR", "{rhost:?}: {report:?}");
        }
    });
}

/// `google-authenticator` as its user runs it.
#[test]
fn a_file_made_by_the_peers_command_goes_from_one_module_to_the_other_and_back() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        let made = google_authenticator(&host);
        assert!(made.success(), "{made:?}");
        let text = host.text();
        let secret = text.lines().next().unwrap().to_owned();
        let scratch = text.lines().last().unwrap().to_owned();
        let now = u64::try_from(NOW).unwrap();
        let log_in = |which, answer: &str, now| {
            let login = host.login(which, "", answer).at(Clock::StartingAt(now));
            let report = login.run();
            assert!(
                report.success(),
                "{which:?} at {now}: {report:?}\n{}",
                host.text()
            );
        };
        let code = |at| oath::totp(&secret, Some(at), "sha1", 6);
        log_in(Which::Peer, &code(now), now);
        log_in(Which::Ours, &code(now + 60), now + 60);
        log_in(Which::Ours, &scratch, now + 120);
        log_in(Which::Peer, &code(now + 180), now + 180);
        let reused = host.login(Which::Peer, "", &code(now + 180));
        let reused = reused.at(Clock::StartingAt(now + 185)).run();
        assert!(!reused.success(), "the peer reads what both wrote");
        assert!(!host.text().contains(&scratch));
    });
}

fn google_authenticator(host: &Host<'_>) -> Finished {
    let mut command = Command::new("setpriv");
    command
        .args([
            "--reuid=alice",
            "--regid=alice",
            "--clear-groups",
            "--",
            "google-authenticator",
        ])
        .args([
            "-t", "-d", "-f", "-r", "3", "-R", "30", "-w", "3", "-C", "-q",
        ])
        .env("HOME", &host.alice.home)
        .current_dir("/");
    finish(&mut command, "")
}

#[test]
fn the_one_word_change_still_asks_everybody_who_has_a_file() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        let asks = |name: &str, text: &str| {
            let report = run_frozen(host.ours("nullok", &host.fill(text)));
            assert_eq!(
                report.prompts(),
                ["echo_off: Verification code: "],
                "{name}"
            );
            report.code().to_owned()
        };
        host.write(FILE, 0o600);
        assert_eq!(asks("wrong code", "{W}"), "PAM_AUTH_ERR");
        assert_eq!(asks("right code", "{C}"), "PAM_SUCCESS");
        for (name, mode) in [("open to others", 0o644), ("not readable", 0o000)] {
            host.write(FILE, mode);
            fs::set_permissions(host.path(), Permissions::from_mode(mode)).unwrap();
            assert_eq!(asks(name, "{C}"), "PAM_AUTH_ERR");
        }
        host.write("!\n", 0o600);
        assert_eq!(asks("no secret", "{C}"), "PAM_AUTH_ERR");
        fs::set_permissions(&host.alice.home, Permissions::from_mode(0o000)).unwrap();
        assert_eq!(asks("a home that cannot be entered", "{C}"), "PAM_AUTH_ERR");
        fs::set_permissions(&host.alice.home, Permissions::from_mode(0o700)).unwrap();
        // And nobody else; in a stack of this line alone libpam makes "denied" of PAM_IGNORE.
        fs::remove_file(host.path()).unwrap();
        let report = run_frozen(host.ours("nullok", "000000"));
        assert_eq!(
            (report.code(), report.prompts().len()),
            ("PAM_PERM_DENIED", 0)
        );
    });
}

#[test]
fn a_code_that_an_import_takes_over_counts_once() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        let now = Clock::StartingAt(u64::try_from(NOW).unwrap());
        for answer in [host.fill("{C}"), "12345678".to_owned()] {
            host.write(FILE, 0o600);
            let barrier = Barrier::new();
            let mut asked = host.ours("", &answer).at(now).start_at(&barrier);
            assert_eq!(asked.line(), "ready");
            let import = host.otpgate(&["import", "google", "alice"]);
            assert!(import.success(), "{import:?}");
            assert!(host.ours("", &answer).at(now).run().success());
            barrier.open_for([]);
            let late = asked.finish();
            assert_eq!(late.code(), "PAM_AUTH_ERR", "{answer}");
            assert_eq!(host.text(), host.fill(FILE), "{answer}");
            let removed = host.otpgate(&["remove", "alice"]);
            let warned = removed
                .stdout
                .contains(".google_authenticator counts again");
            assert!(removed.success() && warned, "{removed:?}");
        }
    });
}

#[test]
fn a_name_that_nobody_has_is_not_logged() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        let line = "user=alice secret=/run/otpgate-e2e/runs/${USER}";
        let login = host.ours(line, "000000").with(["--user", "hunter2"]);
        assert!(!run_frozen(login).success());
        let log = sandbox.syslog().lines().join("\n");
        assert!(
            log.contains("reason=no_file") && !log.contains("hunter2"),
            "{log}"
        );
    });
}

#[test]
fn a_password_that_was_typed_is_not_asked_for_again() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        let typed = case("ask_password", "ask_password", FILE, &["{C}"]).password("pw");
        let seen = host.run(Which::Ours, &typed);
        let asked = ["echo_off: Password: ", "echo_off: Verification code: "];
        assert_eq!(seen.prompts, asked, "the first one is pam_exec's");
        let (code, password) = (seen.code.as_str(), seen.authtok.as_deref());
        assert_eq!(code, "PAM_SUCCESS", "{seen:?}");
        assert!(
            password.is_some_and(|password| password.starts_with("pw")),
            "{seen:?}"
        );
    });
}

#[test]
fn a_name_service_that_is_down_lets_nobody_pass_as_unknown() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        host.write(FILE, 0o600);
        fs::write("/etc/nsswitch.conf", "passwd: files\ngroup: files\n").unwrap();
        fs::rename("/etc/passwd", "/etc/passwd.away").unwrap();
        let report = run_frozen(host.ours("nullok", "000000"));
        fs::rename("/etc/passwd.away", "/etc/passwd").unwrap();
        assert_eq!(report.code(), "PAM_AUTH_ERR", "{report:?}");
        assert_eq!(report.prompts(), ["echo_off: Verification code: "]);
    });
}

#[test]
fn switched_off_the_files_are_not_looked_at() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        host.configure("google_authenticator_files = \"off\"\n");
        host.write(FILE, 0o600);
        let report = run_frozen(host.ours("nullok", &host.fill("{C}")));
        assert_eq!(
            (report.code(), report.prompts().len()),
            ("PAM_PERM_DENIED", 0)
        );
        // A line that names the files means them.
        let named = "secret=~/.google_authenticator nullok";
        assert!(run_frozen(host.ours(named, &host.fill("{C}"))).success());
    });
}

/// strace's list of what a login does from the answer to the verdict.
fn calls_of(host: &Host<'_>, command: &Command) -> Vec<strace::Call> {
    let trace = host.alice.home.with_file_name("trace");
    let traced = finish(&mut strace::traced(command, &trace, &[]), "");
    assert!(traced.success(), "{traced:?}");
    strace::from_answer_to_verdict(&strace::read(&trace)).to_vec()
}

#[test]
fn a_kill_at_any_call_leaves_a_whole_file_and_blocks_nobody() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        let command = || host.ours("", "12345678").with(["--barrier"]).into_command();
        host.write(FILE, 0o600);
        let mut calls = calls_of(&host, &command());
        calls.retain(|call| !call.is_about_memory());
        let after = host.text();
        assert!(!after.contains("12345678"));
        let mut leftovers = 0;
        for call in &calls {
            host.forget_failures();
            host.write(FILE, 0o600);
            let killed = finish(&mut strace::killed_at(&command(), call), "");
            assert!(
                !killed.stdout.contains("called auth"),
                "{call:?}: {killed:?}"
            );
            let text = host.text();
            assert!(text == host.fill(FILE) || text == after, "{call:?}: {text}");
            leftovers += host.names().len() - 1;
            let next = run_frozen(host.ours("", "23456789"));
            assert!(next.success(), "{call:?}: {next:?}");
            assert_eq!(host.names(), [".google_authenticator"], "{call:?}");
            let counts = fs::read_dir("/var/lib/otpgate/own_files").unwrap();
            assert_eq!(counts.count(), 1, "{call:?}");
        }
        assert!(leftovers > 0, "no kill hit the moment that matters");
        figures::print(&format!(
            "~/.google_authenticator: {} kills, {leftovers} leftovers, all removed by the next login",
            calls.len()
        ));
    });
}

#[test]
fn every_refusal_costs_one_counted_failure_and_one_replaced_file_whoever_it_is_about() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        let cost = |user: &str, text: &str| {
            let _ = fs::remove_file(host.path());
            if !text.is_empty() {
                host.write(text, 0o600);
            }
            let login = host.ours("noskewadj", "000000");
            let command = login.with(["--user", user, "--barrier"]).into_command();
            let calls = calls_of(&host, &command);
            let count = |name: &str| calls.iter().filter(|call| call.name == name).count();
            [
                count("fdatasync"),
                count("fsync"),
                count("renameat"),
                count("renameat2"),
            ]
        };
        let limited = "{S}\n\" RATE_LIMIT 9 30\n\" TOTP_AUTH\n";
        // What is counted is made by the first attempt.
        for (user, text) in [
            ("alice", limited),
            ("alice", ""),
            ("nobody-of-this-name", ""),
        ] {
            cost(user, text);
        }
        let expected = cost("alice", limited);
        assert_eq!(expected, [1, 2, 1, 0]);
        assert_eq!(cost("alice", FILE), expected, "no rate limit");
        assert_eq!(cost("alice", "!\n"), expected, "no secret");
        assert_eq!(cost("alice", ""), expected, "no file");
        assert_eq!(cost("nobody-of-this-name", ""), expected, "no user");
        for _ in 0..3 {
            cost("alice", FILE);
        }
        assert_eq!(cost("alice", FILE), expected, "throttled");
        let throttled = |line: &str| line.contains("reason=throttled");
        sandbox
            .syslog()
            .wait_for(Duration::from_secs(60), throttled);
    });
}

#[test]
fn the_host_process_is_left_as_it_was() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        host.write(FILE, 0o600);
        let report = run_frozen(host.ours("", &host.fill("{C}")).with(["--introspect"])).0;
        assert_eq!(report["calls"][0]["code"], "PAM_SUCCESS");
        let fields = [
            "Uid", "Gid", "Groups", "Umask", "cwd", "threads", "SigCgt", "SigBlk",
        ];
        for field in fields {
            assert!(!report["before"][field].is_null(), "{field}");
            assert_eq!(report["before"][field], report["after"][field], "{field}");
        }
        // libpam keeps its connection to syslog.
        let descriptors = |when: &str| {
            let all = report[when]["descriptors"].as_object().unwrap().values();
            let targets = all.map(|target| target.as_str().unwrap().to_owned());
            targets
                .filter(|target| !target.starts_with("socket:"))
                .collect::<Vec<_>>()
        };
        assert_eq!(descriptors("before"), descriptors("after"));
    });
}
