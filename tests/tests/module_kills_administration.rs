//! Promise 2 for administrators: a SIGKILL at any moment of `otpgate` leaves the user in the old state
//! or in the new one, never damaged. What it leaves beside (`.new`), the next administration clears.

use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use tests::figures;
use tests::installation::{Installation, finish};
use tests::oath;
use tests::strace::{self, Call};

/// What is interrupted, and what an interrupted run may leave a login of the user with.
struct Operation {
    name: &'static str,
    prepare: fn(&Installation, &str),
    arguments: &'static [&'static str],
    /// The PAM codes for a right code of the phone: before, and after.
    outcomes: [&'static str; 2],
}

const IN: &str = "PAM_SUCCESS";
const OUT: &str = "PAM_AUTH_ERR";
const DAMAGED: &str = "PAM_AUTHINFO_UNAVAIL";

const OPERATIONS: &[Operation] = &[
    Operation {
        name: "enroll",
        prepare: |installation, user| drop(installation.must(&["remove", user])),
        arguments: &[
            "enroll",
            "USER",
            "--hotp",
            "--no-confirm",
            "--secret-from",
            "PHONE",
        ],
        outcomes: [OUT, IN],
    },
    Operation {
        name: "replace a device",
        prepare: |_, _| (),
        arguments: &[
            "enroll",
            "USER",
            "--hotp",
            "--no-confirm",
            "--secret-from",
            "TABLET",
            "--device",
            "tablet",
            "--force",
        ],
        outcomes: [IN, IN],
    },
    Operation {
        name: "recovery",
        prepare: |_, _| (),
        arguments: &["recovery", "USER"],
        outcomes: [IN, IN],
    },
    Operation {
        name: "disable",
        prepare: |_, _| (),
        arguments: &["disable", "USER"],
        outcomes: [IN, OUT],
    },
    Operation {
        name: "enable",
        prepare: |installation, user| drop(installation.must(&["disable", user])),
        arguments: &["enable", "USER"],
        outcomes: [OUT, IN],
    },
    Operation {
        name: "remove",
        prepare: |_, _| (),
        arguments: &["remove", "USER"],
        outcomes: [IN, OUT],
    },
    Operation {
        name: "repair",
        // A rebuilt state takes all counters to be used: refused until `otpgate resync`.
        prepare: |installation, user| {
            fs::write(installation.state("state").join(user), "x").unwrap()
        },
        arguments: &["repair", "USER"],
        outcomes: [DAMAGED, OUT],
    },
];

#[test]
fn administration_survives_sigkill_at_every_system_call() {
    let host = Host::new();
    let mut killed = 0;
    for operation in OPERATIONS {
        let trace = host.installation.path("trace");
        let command = host.prepared(operation);
        let observed = finish(&mut strace::traced(&command, &trace, &[]), "");
        assert!(observed.success(), "{}: {observed:?}", operation.name);
        for call in changing(&strace::read(&trace)) {
            let command = host.prepared(operation);
            let run = finish(&mut strace::killed_at(&command, call), "");
            assert!(!run.success(), "not killed: {call:?}");
            host.check(operation, &format!("before {}", call.line));
            killed += 1;
        }
    }
    figures::print(&format!(
        "{killed} kills of administrators, at system calls"
    ));
}

#[test]
fn administration_survives_sigkill_at_random_moments() {
    let host = Host::new();
    for operation in OPERATIONS {
        for kill in 0..12 {
            let mut command = host.prepared(operation);
            let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = quiet.spawn().unwrap();
            // From nothing done to everything done.
            sleep(Duration::from_micros(500 * (kill + 1)));
            child.kill().unwrap();
            child.wait().unwrap();
            host.check(operation, &format!("after {} x 500 us", kill + 1));
        }
    }
    figures::print(&format!(
        "{} kills of administrators, by time",
        12 * OPERATIONS.len()
    ));
}

/// The calls that may change something, from the administrator's lock to the end.
fn changing(calls: &[Call]) -> impl Iterator<Item = &Call> {
    let locked = calls
        .iter()
        .position(|call| call.line.contains("administration.lock"))
        .expect("the administrator's lock was taken");
    let changing = [
        "openat",
        "flock",
        "pwrite64",
        "write",
        "fsync",
        "fdatasync",
        "renameat",
        "renameat2",
        "unlinkat",
        "fchmod",
        "fchownat",
        "close",
        "exit_group",
    ];
    let chosen = move |call: &&Call| changing.contains(&call.name.as_str());
    calls[locked + 1..].iter().filter(chosen)
}

struct Host {
    installation: Installation,
    phone: String,
}

/// Every time the same user, so that each kill meets what the one before left.
const USER: &str = "alice";

impl Host {
    fn new() -> Self {
        let installation = Installation::new();
        installation.service("nullok", &installation.auth_line("nullok"));
        let phone = installation.enroll("somebody", &["--hotp"]).secret;
        let tablet = installation.enroll("somebody-else", &["--hotp"]).secret;
        fs::write(installation.path("phone"), &phone).unwrap();
        fs::write(installation.path("tablet"), tablet).unwrap();
        Self {
            installation,
            phone,
        }
    }

    /// The user, enrolled anew with phone and tablet, and the command that is to be interrupted.
    fn prepared(&self, operation: &Operation) -> Command {
        let phone = self.installation.path("phone");
        let from = ["--hotp", "--secret-from", phone.to_str().unwrap()];
        self.installation.run(&["remove", USER, "--force"]);
        self.installation.enroll(USER, &from);
        self.installation
            .enroll(USER, &["--hotp", "--device", "tablet"]);
        (operation.prepare)(&self.installation, USER);
        let path = |name: &str| self.installation.path(name).to_str().unwrap().to_owned();
        let arguments: Vec<String> = operation
            .arguments
            .iter()
            .map(|argument| match *argument {
                "USER" => USER.to_owned(),
                "PHONE" => path("phone"),
                "TABLET" => path("tablet"),
                other => other.to_owned(),
            })
            .collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.installation.otpgate(&arguments)
    }

    /// Old or new, and never in between.
    fn check(&self, operation: &Operation, when: &str) {
        let when = format!("{} killed {when}", operation.name);
        let left = self.installation.temporaries();
        // They are not in the way of a login ...
        let code = oath::hotp(&self.phone, 0, 6);
        let login = self.installation.login(USER).answer(&code).run();
        assert!(
            operation.outcomes.contains(&login.code()),
            "{when}: {login:?}"
        );
        let shown = self.installation.run(&["show", USER]);
        let enrolled = shown.success();
        let not_enrolled = shown.stderr.contains("is not enrolled");
        let damaged = operation.outcomes.contains(&DAMAGED) && login.code() == DAMAGED;
        assert!(enrolled || not_enrolled || damaged, "{when}: {shown:?}");
        // ... and gone after the next administration, which finds nothing that it could not finish.
        let next: &[&str] = match operation.name {
            "repair" => &["repair", USER],
            _ if enrolled => &["unlock", USER],
            _ => &["init"],
        };
        self.installation.must(next);
        let remain = self.installation.temporaries();
        assert!(remain.is_empty(), "{when}: {left:?}, then {remain:?}");
        if not_enrolled {
            let nullok = self.installation.login(USER).service("nullok").run();
            // PAM_IGNORE from every module is PAM_PERM_DENIED of libpam, without a prompt.
            assert_eq!(nullok.code(), "PAM_PERM_DENIED", "{when}: cleanly gone");
            assert!(nullok.prompts().is_empty(), "{when}: {nullok:?}");
        } else {
            self.installation.show(USER);
        }
    }
}
