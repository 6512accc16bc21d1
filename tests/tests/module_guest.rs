//! Promise 7: the host process is a guest room. The module leaves nothing in it and brings nothing
//! along but six symbols.
//!
//! Fails with a thread, a signal handler, a changed environment, a descriptor left open, one symbol
//! more, one library more.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use tests::application::{Login, Report};
use tests::delivery::{Pager, section, write_program};
use tests::installation::{Installation, finish};
use tests::processes::wait_until;
use tests::strace;
use tests::{oath, sandbox};

/// Debug builds are for debugging; what is shipped is stripped and smaller than this. The cipher that opens
/// sealed secrets is 50 KB of it; the picture of a key and writing an account, for enrolments, 160 KB; 200 KB read
/// the channels of the configuration, so strictly that a misspelt key is found before a login.
const LARGEST: u64 = 1_600_000;

#[test]
fn the_process_is_the_same_after_success_failure_and_error() {
    // In the sandbox, so that the log goes somewhere: libc keeps its socket, and we know that it does.
    sandbox::run(|sandbox| {
        let installation = Installation::prepared(&sandbox.path(""), "");
        installation.must(&["init"]);
        let secret = installation.enroll("alice", &["--hotp"]).secret;
        installation.service("bad-option", &installation.auth_line("nulok"));
        let login = || installation.login("alice").with(["--introspect"]);
        let run = |login: Login, expected: &[&str]| {
            let report = login.run();
            assert_eq!(report.codes(), expected, "{report:?}");
            assert_untouched(&report);
        };
        run(login().answer(&oath::hotp(&secret, 0, 6)), &["PAM_SUCCESS"]);
        run(login().answer("no code"), &["PAM_AUTH_ERR"]);
        run(login().with(["--answer-fail"]), &["PAM_AUTH_ERR"]);
        run(login().service("bad-option"), &["PAM_SERVICE_ERR"]);
        fs::rename(installation.state("decoys"), installation.state("gone")).unwrap();
        run(login().answer("000000"), &["PAM_AUTHINFO_UNAVAIL"]);
    });
}

#[test]
fn the_process_is_the_same_after_codes_were_sent() {
    sandbox::run(|sandbox| {
        let installation = Installation::prepared(&sandbox.path(""), "");
        installation.must(&["init"]);
        let pager = Pager::new(&installation.path(""));
        let channel = pager.channel("sms", "");
        let configure = |program: &Path, more: &str| {
            installation.configure(&format!("{}{channel}", section(program, more)));
        };
        configure(installation.command(), "");
        let enrol = ["enroll", "alice", "--no-confirm", "--delivered", "sms:+44"];
        installation.must(&enrol);
        let login = || installation.login("alice").with(["--introspect"]);
        let run = |login: Login, expected: &str| {
            let report = login.run();
            assert_eq!(report.codes(), [expected], "{report:?}");
            assert_untouched(&report);
        };
        run(login().with(["--answer-fail"]), "PAM_AUTH_ERR");
        let code = pager.code(1);
        run(login().answer("sms").answer(&code), "PAM_SUCCESS");
        // Signals that the host ignores, or whose default would end it, are none of ours.
        let ignoring = |signal: &str| {
            let command = login().answer("sms").answer("").into_command();
            let mut shell = Command::new("env");
            shell.arg(format!("--ignore-signal={signal}"));
            shell.arg(command.get_program()).args(command.get_args());
            let finished = finish(&mut shell, "");
            let last = finished.stdout.lines().last().unwrap().to_owned();
            assert_untouched(&Report(serde_json::from_str(&last).unwrap()));
        };
        ignoring("CHLD");
        ignoring("PIPE");
        // A program that hangs is ended, and nobody has waited for it.
        let hanging = installation.path("hanging");
        write_program(&hanging, "exec sleep 600");
        configure(&hanging, "timeout = \"1s\"");
        run(login().answer("sms").answer(""), "PAM_AUTH_ERR");
        configure(&installation.path("missing"), "");
        run(login().answer("sms").answer(""), "PAM_AUTH_ERR");
        let hangs = || processes_of(&["sleep", "600"]) > 0;
        wait_until("the end of what hangs", || !hangs());
    });
}

/// How many processes of this mount namespace have this command line.
fn processes_of(command: &[&str]) -> usize {
    let wanted: String = command.iter().map(|word| format!("{word}\0")).collect();
    let ours = fs::read_link("/proc/thread-self/ns/mnt").unwrap();
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let same = |path: &Path| {
        fs::read_link(path.join("ns/mnt")).is_ok_and(|other| other == ours)
            && fs::read_to_string(path.join("cmdline")).is_ok_and(|line| line == wanted)
    };
    processes.filter(|entry| same(&entry.path())).count()
}

#[test]
fn a_login_makes_none_of_the_calls_that_change_the_process() {
    let installation = Installation::new();
    let secret = installation.enroll("alice", &["--hotp"]).secret;
    for answer in [oath::hotp(&secret, 0, 6), "000000".to_owned()] {
        let trace = installation.path("trace");
        let command = installation.login("alice").answer(&answer).into_command();
        assert!(finish(&mut strace::traced(&command, &trace, &[]), "").success());
        let calls = strace::read(&trace);
        let module = installation.module().to_str().unwrap();
        let loaded = calls.iter().position(|call| call.line.contains(module));
        let loaded = loaded.expect("the module was loaded");
        let verdict = |call: &strace::Call| call.line.starts_with("write(1, \"called ");
        let verdict = calls.iter().position(verdict).unwrap();
        for call in &calls[loaded..verdict] {
            // To read a limit is not to set one.
            let reads_limit = call.name == "prlimit64" && call.line.contains("RLIMIT_FSIZE, NULL,");
            let forbidden = FORBIDDEN_CALLS.contains(&call.name.as_str()) && !reads_limit;
            assert!(!forbidden, "{}", call.line);
        }
    }
}

/// Processes, threads, signals, timers, identity, limits, directories, the network.
const FORBIDDEN_CALLS: &[&str] = &[
    "execve",
    "execveat",
    "fork",
    "vfork",
    "clone",
    "clone3",
    "kill",
    "tkill",
    "tgkill",
    "rt_sigaction",
    "rt_sigprocmask",
    "sigaltstack",
    "alarm",
    "setitimer",
    "timer_create",
    "pause",
    "setuid",
    "setgid",
    "setreuid",
    "setregid",
    "setresuid",
    "setresgid",
    "setgroups",
    "setfsuid",
    "setfsgid",
    "capset",
    "prctl",
    "setrlimit",
    "prlimit64",
    "chdir",
    "fchdir",
    "chroot",
    "umask",
    "setsid",
    "setpgid",
    "unshare",
    "setns",
    "bind",
    "listen",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "link",
    "linkat",
    "symlinkat",
    "mkdirat",
    "ftruncate",
    "fallocate",
    "fchmod",
    "fchown",
];

#[test]
fn it_exports_the_six_entries_and_nothing_else() {
    let mut symbols = names(&["nm", "-D", "--defined-only"]);
    symbols.sort();
    assert_eq!(
        symbols,
        [
            "pam_sm_acct_mgmt",
            "pam_sm_authenticate",
            "pam_sm_chauthtok",
            "pam_sm_close_session",
            "pam_sm_open_session",
            "pam_sm_setcred",
        ]
    );
}

#[test]
fn it_needs_libpam_libc_and_the_unwinder_and_nothing_else() {
    let text = run_on_module(&["readelf", "-d", "-W"]);
    let library = |line: &str| {
        Some(
            line.split_once("Shared library: [")?
                .1
                .trim_end_matches(']')
                .to_owned(),
        )
    };
    let needed: Vec<_> = text.lines().filter_map(library).collect();
    assert!(needed.contains(&"libpam.so.0".to_owned()), "{text}");
    for library in needed {
        let known = ["libpam.so.0", "libgcc_s.so.1", "libc.so.6"].contains(&library.as_str());
        assert!(known || library.starts_with("ld-linux"), "{library}");
    }
}

#[test]
fn it_imports_nothing_that_starts_ends_or_changes_a_process() {
    let imported = names(&["nm", "-D", "--undefined-only"]);
    assert!(
        imported.contains(&"pam_get_item".to_owned()),
        "{imported:?}"
    );
    // `getenv` is in the standard library's panic hook, which the module replaces before anything
    // else runs; `abort` in its last resort. `syscall` stands for getrandom, futex and statx, and, with a
    // channel in the configuration, for a child that the host does not see: which numbers it gets is
    // what strace shows above.
    for name in FORBIDDEN_IMPORTS {
        assert!(!imported.contains(&(*name).to_owned()), "{name}");
    }
}

const FORBIDDEN_IMPORTS: &[&str] = &[
    "fork",
    "vfork",
    "execve",
    "execvp",
    "posix_spawn",
    "posix_spawnp",
    "system",
    "popen",
    "waitpid",
    "pthread_create",
    "pthread_atfork",
    "signal",
    "sigaction",
    "sigaltstack",
    "sigprocmask",
    "pthread_sigmask",
    "raise",
    "kill",
    "exit",
    "_exit",
    "quick_exit",
    "atexit",
    "alarm",
    "setitimer",
    "secure_getenv",
    "setenv",
    "unsetenv",
    "putenv",
    "clearenv",
    "environ",
    "chdir",
    "fchdir",
    "umask",
    "setuid",
    "seteuid",
    "setgid",
    "setegid",
    "setgroups",
    "setrlimit",
    "prctl",
    "openlog",
    "setlogmask",
    "setlocale",
    "rename",
    "unlink",
    "socket",
    "getaddrinfo",
];

#[test]
fn it_is_small() {
    let size = fs::metadata(Installation::new().module()).unwrap().len();
    assert!(size < LARGEST, "{size} bytes");
}

/// Before the module is loaded, after the calls, and after `pam_end`: the same process.
fn assert_untouched(report: &Report) {
    let Report(report) = report;
    let before = report["before"].as_object().unwrap();
    for (moment, now) in [("after", &report["after"]), ("ended", &report["ended"])] {
        for (what, value) in before {
            if what == "descriptors" {
                assert_only_the_log(value, &now[what], moment);
            } else {
                assert_eq!(&now[what], value, "{what} {moment}");
            }
        }
    }
}

/// libc opens a socket for its first `syslog` and keeps it, whoever calls: libpam does itself.
fn assert_only_the_log(before: &Value, now: &Value, moment: &str) {
    let before = before.as_object().unwrap();
    let mut new = now.as_object().unwrap().clone();
    for (number, target) in before {
        assert_eq!(new.remove(number).as_ref(), Some(target), "{moment}");
    }
    let socket = |target: &Value| target.as_str().unwrap().starts_with("socket:");
    assert!(
        new.len() <= 1 && new.values().all(socket),
        "{moment}: {new:?}"
    );
}

/// The names in the last column, without versions.
fn names(command: &[&str]) -> Vec<String> {
    let text = run_on_module(command);
    let name = |line: &str| {
        let last = line.split_whitespace().last()?;
        Some(last.split('@').next()?.to_owned())
    };
    text.lines().filter_map(name).collect()
}

fn run_on_module(command: &[&str]) -> String {
    let installation = Installation::prepared(Path::new("/var/tmp"), "");
    let mut run = Command::new(command[0]);
    let finished = finish(run.args(&command[1..]).arg(installation.module()), "");
    assert!(
        finished.success(),
        "{command:?}: {finished:?}; install binutils"
    );
    finished.stdout
}
