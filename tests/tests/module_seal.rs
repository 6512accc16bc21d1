//! Secrets at rest: logins with sealed accounts; while they are sealed, sealed anew and unsealed; after an
//! administrator was killed at it; and without the right key.
//!
//! Fails when an account is written before its key is on the disk, when the old key goes before the last
//! account, or when a key file is taken that somebody else could have read. That a login looks for a key which
//! a rotation has just made is shown in `otp_core/tests/sealed_store.rs`: the moment is too short for a race.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use nix::sys::stat::Mode;
use tests::application::{Barrier, Report, Running};
use tests::figures;
use tests::installation::{Installation, finish};
use tests::oath;
use tests::sandbox;
use tests::strace::{self, Call};

const HOME: &str = "192.0.2.7";

/// People with counters, so that nobody has to wait for the next code.
struct People {
    installation: Installation,
    secrets: Vec<String>,
    counter: Cell<u64>,
}

impl People {
    fn new(count: usize) -> Self {
        let installation = Installation::new();
        let enroll = |number| installation.enroll(&name(number), &["--hotp"]).secret;
        let secrets = (0..count).map(enroll).collect();
        Self {
            installation,
            secrets,
            counter: Cell::new(0),
        }
    }

    fn key(&self) -> PathBuf {
        self.installation.path("seal.key")
    }

    fn init(&self) {
        let key = self.key();
        self.installation
            .must(&["seal", "init", "--key-file", key.to_str().unwrap()]);
    }

    /// Everybody logs in, at once, with a code that is used up then.
    fn log_in(&self) -> Vec<Report> {
        let barrier = Barrier::new();
        let counter = self.counter.replace(self.counter.get() + 1);
        let start = |(number, secret): (usize, &String)| {
            let code = oath::hotp(secret, counter, 6);
            let login = self.installation.login(&name(number)).from(HOME);
            login.answer(&code).start_at(&barrier)
        };
        let mut running: Vec<Running> = self.secrets.iter().enumerate().map(start).collect();
        barrier.open_for(&mut running);
        running.into_iter().map(Running::finish).collect()
    }

    fn all_log_in(&self, when: &str) {
        let reports = self.log_in();
        assert!(reports.iter().all(Report::success), "{when}: {reports:?}");
    }

    fn status(&self) -> (bool, String) {
        let ran = self.installation.run(&["--json", "seal", "status"]);
        (ran.success(), ran.stdout)
    }

    fn keys(&self) -> usize {
        let text = fs::read_to_string(self.key()).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).count()
    }
}

fn name(number: usize) -> String {
    format!("user{number}")
}

#[test]
fn everybody_logs_in_sealed_and_rotated_and_unsealed() {
    let people = People::new(4);
    people.all_log_in("in clear");
    people.init();
    people.all_log_in("sealed");
    people.installation.must(&["seal", "rotate"]);
    people.all_log_in("rotated");
    people.installation.must(&["seal", "off"]);
    people.all_log_in("unsealed");
}

#[test]
fn nobody_is_refused_while_secrets_are_sealed_rotated_and_unsealed() {
    let people = People::new(16);
    people.init();
    let done = AtomicBool::new(false);
    let (mut rounds, mut rotations) = (0, 0);
    thread::scope(|scope| {
        let installation = &people.installation;
        let key = people.key();
        let done = &done;
        let rotating = scope.spawn(move || {
            let mut rotations = 0;
            while !done.load(Ordering::Relaxed) {
                installation.must(&["seal", "rotate"]);
                rotations += 1;
                if rotations % 4 == 0 {
                    installation.must(&["seal", "off"]);
                    installation.must(&["seal", "init", "--key-file", key.to_str().unwrap()]);
                }
            }
            rotations
        });
        // To the end even when a round fails: the thread would rotate for ever.
        let mut refused = Vec::new();
        while rounds < 40 && refused.is_empty() {
            let reports = people.log_in();
            refused.extend(reports.into_iter().filter(|report| !report.success()));
            rounds += 1;
        }
        done.store(true, Ordering::Relaxed);
        rotations = rotating.join().unwrap();
        assert!(refused.is_empty(), "round {rounds}: {refused:?}");
    });
    assert!(rotations > 1, "the two met");
    figures::print(&format!(
        "{} logins during {rotations} rotations of the seal key, none refused",
        rounds * 16
    ));
}

/// What is interrupted: the command, the state that it begins with, and whether it ends with sealed secrets.
struct Operation {
    name: &'static str,
    arguments: &'static [&'static str],
    sealed_before: bool,
    sealed_after: bool,
}

const OPERATIONS: [Operation; 3] = [
    Operation {
        name: "init",
        arguments: &["seal", "init", "--key-file", "KEY"],
        sealed_before: false,
        sealed_after: true,
    },
    Operation {
        name: "rotate",
        arguments: &["seal", "rotate"],
        sealed_before: true,
        sealed_after: true,
    },
    Operation {
        name: "off",
        arguments: &["seal", "off"],
        sealed_before: true,
        sealed_after: false,
    },
];

impl Operation {
    fn prepare(&self, people: &People) {
        people.installation.run(&["seal", "off"]);
        // Without a key file, so that `init` makes one.
        let _ = fs::remove_file(people.key());
        if self.sealed_before {
            people.init();
        }
    }

    fn command(&self, people: &People) -> std::process::Command {
        let key = people.key();
        let key = key.to_str().unwrap();
        let arguments: Vec<&str> = self
            .arguments
            .iter()
            .map(|argument| if *argument == "KEY" { key } else { argument })
            .collect();
        people.installation.otpgate(&arguments)
    }

    /// Everybody logs in, and the same command once more does the rest.
    fn check(&self, people: &People, when: &str) {
        let when = format!("{} killed {when}", self.name);
        people.all_log_in(&when);
        let again = finish(&mut self.command(people), "");
        assert!(again.success(), "{when}: {again:?}");
        let (as_wanted, status) = people.status();
        assert!(as_wanted, "{when}: {status}");
        assert_eq!(status.contains("\"on\": true"), self.sealed_after, "{when}");
        if self.sealed_after {
            assert_eq!(people.keys(), 1, "{when}");
        }
        let left = people.installation.temporaries();
        assert!(left.is_empty(), "{when}: {left:?}");
        assert!(!people.installation.state("staging").exists(), "{when}");
        assert!(
            !people.installation.path(".new").exists(),
            "{when}: a key is left over"
        );
        people.all_log_in(&format!("{when}, and then done"));
    }
}

#[test]
fn sealing_survives_sigkill_at_every_kind_of_system_call() {
    let people = People::new(3);
    let mut killed = 0;
    for operation in OPERATIONS {
        operation.prepare(&people);
        let trace = people.installation.path("trace");
        let mut traced = strace::traced(&operation.command(&people), &trace, &[]);
        let observed = finish(&mut traced, "");
        assert!(observed.success(), "{}: {observed:?}", operation.name);
        for call in chosen(&strace::read(&trace)) {
            operation.prepare(&people);
            let run = finish(
                &mut strace::killed_at(&operation.command(&people), call),
                "",
            );
            assert!(!run.success(), "not killed: {call:?}");
            operation.check(&people, &format!("before {}", call.line));
            killed += 1;
        }
    }
    figures::print(&format!(
        "{killed} kills of `otpgate seal`, at system calls"
    ));
}

#[test]
fn sealing_survives_sigkill_at_random_moments() {
    let people = People::new(16);
    for operation in OPERATIONS {
        for kill in 0..12 {
            operation.prepare(&people);
            let mut command = operation.command(&people);
            let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = quiet.spawn().unwrap();
            // From nothing done to everything done.
            sleep(Duration::from_millis(3 * (kill + 1)));
            child.kill().unwrap();
            child.wait().unwrap();
            operation.check(&people, &format!("after {} ms", 3 * (kill + 1)));
        }
    }
    figures::print("36 kills of `otpgate seal`, by time");
}

/// The calls that may change something: of those that differ in a number or a name alone, as of one account
/// after the other, the first, the second and the last.
fn chosen(calls: &[Call]) -> Vec<&Call> {
    const CHANGING: [&str; 13] = [
        "openat",
        "flock",
        "write",
        "pwrite64",
        "fsync",
        "fdatasync",
        "syncfs",
        "mkdirat",
        "renameat",
        "renameat2",
        "unlinkat",
        "close",
        "exit_group",
    ];
    let locked = calls
        .iter()
        .position(|call| call.line.contains("administration.lock"));
    let calls = &calls[locked.expect("the administrator's lock was taken") + 1..];
    let calls = calls.iter().filter(|call| CHANGING.contains(&&*call.name));
    let mut alike: HashMap<String, Vec<&Call>> = HashMap::new();
    for call in calls {
        let shape: String = call.line.chars().filter(|c| !c.is_ascii_digit()).collect();
        // What is written has nothing of its kind: only where it goes.
        let shape = match call.name.as_str() {
            "write" | "pwrite64" => call.name.clone(),
            _ => shape,
        };
        alike.entry(shape).or_default().push(call);
    }
    let mut chosen: Vec<&Call> = alike
        .values()
        .flat_map(|calls| {
            let (first, last) = (calls.iter().take(2), calls.iter().skip(2).next_back());
            first.chain(last).copied().collect::<Vec<_>>()
        })
        .collect();
    chosen.sort_by_key(|call| (call.name.clone(), call.occurrence));
    chosen
}

#[test]
fn the_unit_puts_a_credential_where_a_login_takes_it() {
    sandbox::run(|sandbox| {
        let installation = Installation::prepared(&sandbox.path(""), "");
        installation.must(&["init"]);
        let secret = installation.enroll("alice", &["--hotp"]).secret;
        // systemd's part: the decrypted credential, and RuntimeDirectory=.
        let credentials = sandbox.scratch();
        fs::write(credentials.join("otpgate-seal.key"), "ab".repeat(32)).unwrap();
        fs::create_dir("/run/otpgate").unwrap();
        fs::set_permissions("/run/otpgate", Permissions::from_mode(0o700)).unwrap();
        let start = || {
            for line in unit_lines("ExecStart=") {
                let line = line.replace("%d", credentials.to_str().unwrap());
                let mut words = line.split(' ');
                let mut command = std::process::Command::new(words.next().unwrap());
                let ran = finish(command.args(words), "");
                assert!(ran.success(), "{line}: {ran:?}");
            }
        };
        start();
        installation.must(&["seal", "init", "--key-file", "/run/otpgate/seal.key"]);
        let log_in = |counter| {
            let code = oath::hotp(&secret, counter, 6);
            installation.login("alice").answer(&code).run()
        };
        assert!(log_in(0).success());
        // A restart of the machine: nothing of /run is left.
        fs::remove_file("/run/otpgate/seal.key").unwrap();
        assert_eq!(log_in(1).code(), "PAM_AUTHINFO_UNAVAIL");
        start();
        assert!(log_in(1).success());
    });
}

/// The values of a setting of the unit.
fn unit_lines(setting: &str) -> Vec<String> {
    let unit = "../packaging/systemd/otpgate-seal-key.service";
    let unit = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(unit)).unwrap();
    let lines: Vec<String> = unit
        .lines()
        .filter_map(|line| line.strip_prefix(setting))
        .map(str::to_owned)
        .collect();
    assert!(!lines.is_empty(), "{setting}");
    lines
}

/// What may stand in the place of the key file, and what the log says of it.
type Damage = (&'static str, fn(&Path), &'static str);

const DAMAGES: &[Damage] = &[
    (
        "missing",
        |key| fs::remove_file(key).unwrap(),
        "seal key is missing",
    ),
    (
        "mode",
        |key| fs::set_permissions(key, Permissions::from_mode(0o640)).unwrap(),
        "mode 0640",
    ),
    (
        "owner",
        |key| chown(key, Some(61000), None).unwrap(),
        "uid 61000",
    ),
    (
        "garbage",
        |key| fs::write(key, "garbage").unwrap(),
        "no file of seal keys",
    ),
    (
        "empty",
        |key| fs::write(key, "").unwrap(),
        "no file of seal keys",
    ),
    (
        "huge",
        |key| fs::write(key, "#".repeat(100_000)).unwrap(),
        "100000 bytes",
    ),
    (
        "another key",
        |key| fs::write(key, "ab".repeat(32)).unwrap(),
        "other seal keys",
    ),
    ("link", link, "symbolic link"),
    (
        "hard link",
        |key| fs::hard_link(key, key.with_extension("two")).unwrap(),
        "2 names",
    ),
    ("FIFO", fifo, "not a regular file"),
    ("directory", directory, "not a regular file"),
];

fn link(key: &Path) {
    fs::rename(key, key.with_extension("real")).unwrap();
    symlink(key.with_extension("real"), key).unwrap();
}

fn fifo(key: &Path) {
    fs::remove_file(key).unwrap();
    nix::unistd::mkfifo(key, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
}

fn directory(key: &Path) {
    fs::remove_file(key).unwrap();
    fs::create_dir(key).unwrap();
}

#[test]
fn a_login_without_the_right_key_is_refused_and_the_log_names_file_and_cure() {
    sandbox::run(|sandbox| {
        let installation = Installation::prepared(&sandbox.path(""), "");
        installation.must(&["init"]);
        let secret = installation.enroll("alice", &["--hotp"]).secret;
        installation.service("nullok", &installation.auth_line("nullok"));
        let key = installation.path("seal.key");
        installation.must(&["seal", "init", "--key-file", key.to_str().unwrap()]);
        let text = fs::read(&key).unwrap();
        for (name, damage, what) in DAMAGES {
            damage(&key);
            let code = oath::hotp(&secret, 0, 6);
            for user in ["alice", "nobody-there"] {
                let report = installation.login(user).answer(&code).run();
                assert_eq!(
                    report.code(),
                    "PAM_AUTHINFO_UNAVAIL",
                    "{name}: {user}: {report:?}"
                );
            }
            // Who is not enrolled needs no key where that is allowed, unless the file cannot be trusted.
            let allowed = installation.login("nobody-there").service("nullok").run();
            assert_ne!(allowed.code(), "PAM_SUCCESS", "{name}");
            let log = sandbox.syslog().lines().join("\n");
            let line = log.lines().rfind(|line| line.contains(what));
            let line = line.unwrap_or_else(|| panic!("{name}: {what} in {log}"));
            assert!(line.contains(key.to_str().unwrap()), "{name}: {line}");
            assert!(line.contains("reason=store"), "{name}: {line}");
            assert!(line.contains("; "), "{name}: a cure: {line}");
            for path in [key.with_extension("real"), key.with_extension("two")] {
                let _ = fs::remove_file(path);
            }
            let _ = fs::remove_file(&key).or_else(|_| fs::remove_dir(&key));
            fs::write(&key, &text).unwrap();
            fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        }
        let code = oath::hotp(&secret, 0, 6);
        let report = installation.login("alice").answer(&code).run();
        assert!(report.success(), "nothing was used up: {report:?}");
    });
}
