//! Promise 5: no oracle. Whoever guesses cannot tell known, unknown, locked, disabled and invited users apart.
//!
//! Compared for some wrong answers, with everything else equal: what is shown, style and text; the
//! PAM code; and under strace the system calls from the answer to the verdict, in order. Of each call
//! of the module's: name, descriptor, file, flags and result. The user's own files and the decoy's
//! count as the same (ACCOUNT, STATE, DIR). Left out are addresses, the content of what is read,
//! written and logged, the size of an account, which of the two slots a commit goes to, and whether
//! the two looks at the user's files find them. Of what libpam does after the module's log line (it
//! tells the kernel's audit), the names of the calls.
//!
//! Time is the benchmark's business. Fails when a decoy is not committed, or when somebody who has to
//! wait is refused before the store is read.

use tests::delivery::{Pager, section};
use tests::installation::{Installation, finish};
use tests::sandbox;
use tests::strace;

#[test]
fn all_kinds_of_users_see_and_cost_the_same() {
    compare_all(&[]);
}

#[test]
fn all_kinds_of_users_see_and_cost_the_same_when_secrets_are_sealed() {
    compare_all(&["seal", "init"]);
}

/// Enrols people of each kind, runs `otpgate` with these arguments, and compares what they see.
fn compare_all(and_then: &[&str]) {
    sandbox::run(|sandbox| {
        let installation = Installation::prepared(&sandbox.path(""), "");
        installation.must(&["init"]);
        // Names of one length: nothing else of a name may show.
        for name in [
            "enrolled", "unlisted", "barehand", "disabled", "throttle", "shut-out", "newcomer",
        ] {
            if name != "unlisted" {
                sandbox.add_user(name);
            }
            if name == "newcomer" {
                installation.must(&["invite", name]);
            } else if !["unlisted", "barehand"].contains(&name) {
                installation.enroll(name, &["--totp"]);
            }
        }
        installation.must(&["disable", "disabled"]);
        if !and_then.is_empty() {
            let key = installation.path("seal.key");
            let place = ["--key-file", key.to_str().unwrap()];
            installation.must(&[and_then, &place].concat());
        }
        // Five failures lock; without waits at first, so that it does not take hours.
        installation.configure(&format!("{LOCKING}\nfree_failures = 20"));
        fail(&installation, "shut-out", 5);
        installation.configure(&format!("{LOCKING}\nfirst_wait = \"10m\""));
        fail(&installation, "throttle", 4);

        for answer in ANSWERS {
            assert_same_for_all(&installation, answer);
        }
        let log = sandbox.syslog().lines().join("\n");
        for reason in [
            "wrong",
            "empty_answer",
            "not_enrolled",
            "disabled",
            "throttled",
            "locked",
        ] {
            // Otherwise the users would not be what their names say.
            assert!(
                log.contains(&format!("reason={reason}")),
                "{reason} in {log}"
            );
        }
    });
}

/// One channel that may send before the prompt, one that never does; `first` stands above them.
fn two_channels(installation: &Installation, first: &str) -> Pager {
    let pager = Pager::new(&installation.path(""));
    let delivery = section(installation.command(), "");
    let sms = pager.channel("sms", "");
    let mail = pager.channel("mail", "on_demand = true");
    installation.configure(&format!("{first}{delivery}{sms}{mail}"));
    pager
}

#[test]
fn asking_for_a_code_looks_and_costs_the_same_for_everybody() {
    sandbox::run(|sandbox| {
        let installation = Installation::prepared(&sandbox.path(""), "");
        installation.must(&["init"]);
        let pager = two_channels(&installation, "google_authenticator_files = \"off\"\n");
        let delivered = |user: &str, destination: &str| {
            installation.must(&["enroll", user, "--no-confirm", "--delivered", destination]);
        };
        for user in ["bothways", "textonly", "mailonly", "apponly_", "disabled"] {
            sandbox.add_user(user);
        }
        installation.enroll("bothways", &["--totp"]);
        installation.enroll("apponly_", &["--totp"]);
        delivered("bothways", "sms:+44");
        delivered("textonly", "sms:+44");
        delivered("mailonly", "mail:alice");
        delivered("disabled", "sms:+44");
        installation.must(&["disable", "disabled"]);
        for typed in ["sms", "mail"] {
            let model = asked(&installation, "bothways", typed);
            let count = |name: &str| model.calls.iter().filter(|call| *call == name).count();
            // Before the prompt, when the channel is named, and for the verdict.
            assert_eq!(count("fdatasync"), 3, "{:?}", model.calls);
            assert_eq!(count("wait4"), 2, "{:?}", model.calls);
            for user in ["textonly", "mailonly", "apponly_", "disabled", "unlisted"] {
                let other = asked(&installation, user, typed);
                assert_eq!(
                    other.prompts, ["echo_off: Verification code: "; 2],
                    "{user}"
                );
                assert_eq!(other.prompts, model.prompts, "{user}");
                assert_eq!(other.code, model.code, "{user}");
                assert_eq!(other.calls, model.calls, "{user} who types {typed}");
            }
        }
        installation.wait_for_deliveries();
        // Not because nobody was sent anything.
        assert!(pager.paged().len() >= 2, "{:?}", pager.paged());
    });
}

#[test]
fn the_name_of_a_channel_does_not_tell_who_has_a_file_of_their_own() {
    sandbox::run(|sandbox| {
        let installation = Installation::prepared(&sandbox.path(""), "");
        installation.must(&["init"]);
        let pager = two_channels(&installation, "");
        sandbox.add_user("textonly");
        let enrol = ["enroll", "textonly", "--no-confirm"];
        installation.must(&[&enrol[..], &["--delivered", "sms:+44"]].concat());
        let file = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\n\" HOTP_COUNTER 1\n12345678\n";
        sandbox
            .add_user("ownfile_")
            .write(".google_authenticator", file, 0o400);
        sandbox
            .add_user("badfile_")
            .write(".google_authenticator", "nothing\n", 0o400);
        for typed in ["sms", "mail"] {
            let model = asked(&installation, "textonly", typed);
            assert_eq!(model.prompts, ["echo_off: Verification code: "; 2]);
            let started = |seen: &Seen| seen.calls.iter().filter(|call| *call == "wait4").count();
            assert_eq!(started(&model), 2, "{:?}", model.calls);
            installation.wait_for_deliveries();
            let sent = pager.paged().len();
            for user in ["ownfile_", "badfile_", "unlisted"] {
                let other = asked(&installation, user, typed);
                assert_eq!(other.prompts, model.prompts, "{user}");
                assert_eq!(other.code, model.code, "{user}");
                assert_eq!(started(&other), 2, "{user}: {:?}", other.calls);
            }
            installation.wait_for_deliveries();
            assert_eq!(pager.paged().len(), sent, "nothing to send to them");
        }
        // The file counts, in any round.
        let login = installation.login("ownfile_").answer("sms");
        let report = login.answer("mail").answer("12345678").run();
        assert!(report.success(), "{report:?}");
        assert_eq!(report.prompts(), ["echo_off: Verification code: "; 3]);
        // After that the name is an answer like any other.
        let login = installation.login("ownfile_");
        let report = login.with(["sms"; 5].iter().flat_map(|it| ["--answer", it]));
        let report = report.run();
        assert_eq!(report.code(), "PAM_AUTH_ERR");
        assert_eq!(report.prompts(), ["echo_off: Verification code: "; 4]);
    });
}

/// What is seen of a login that names a channel: the module's system calls by name, those for memory aside.
fn asked(installation: &Installation, user: &str, typed: &str) -> Seen {
    let login = || {
        let login = installation.login(user).from("192.0.2.9");
        login.answer(typed).answer("000000")
    };
    let trace = installation.path("trace");
    let command = login().into_command();
    let traced = finish(&mut strace::traced(&command, &trace, &[]), "");
    assert!(traced.success(), "{traced:?}");
    let calls = strace::read_first(&trace);
    let module = installation.module().to_str().unwrap();
    let loaded = calls.iter().position(|call| call.line.contains(module));
    let verdict = |call: &strace::Call| call.line.starts_with("write(1, \"called ");
    let verdict = calls.iter().position(verdict).unwrap();
    let calls = calls[loaded.expect("the module was loaded")..verdict].iter();
    let calls = calls.filter(|call| !call.is_about_memory());
    let calls = calls.map(|call| call.name.clone()).collect();
    installation.run(&["unlock", user]);
    let report = login().run();
    installation.run(&["unlock", user]);
    Seen {
        code: report.code().to_owned(),
        prompts: report.prompts(),
        calls,
    }
}

/// A wrong code, a wrong recovery code, something else, and what is not evaluated.
const ANSWERS: [&str; 4] = ["000000", "ABCDE-FGHJK-MNPQR-STVWX-YZ234", "letmein", ""];

fn assert_same_for_all(installation: &Installation, answer: &str) {
    // So that she does not wait like the one who does.
    installation.must(&["unlock", "enrolled"]);
    installation.must(&["unlock", "newcomer"]);
    let model = observe(installation, "enrolled", answer);
    let commits = |call: &&String| call.starts_with("pwrite64(") || call.starts_with("fdatasync(");
    let commits = model.calls.iter().filter(commits).count();
    assert_eq!(commits, 2, "one write, made durable: {model:#?}");
    for user in [
        "unlisted", "barehand", "disabled", "throttle", "shut-out", "newcomer",
    ] {
        let who = format!("{user} against enrolled, answer {answer:?}");
        let other = observe(installation, user, answer);
        assert_eq!(other.code, "PAM_AUTH_ERR", "{who}");
        assert_eq!(other.code, model.code, "{who}");
        assert_eq!(other.prompts, ["echo_off: Verification code: "], "{who}");
        assert_eq!(other.prompts, model.prompts, "{who}");
        let pairs = model.calls.iter().zip(&other.calls);
        for (position, (enrolled, theirs)) in pairs.enumerate() {
            assert_eq!(theirs, enrolled, "call {position} of {who}");
        }
        assert_eq!(other.calls.len(), model.calls.len(), "{who}");
    }
}

const LOCKING: &str = "[throttle]\nmax_failures = 6\nknown_source_allowance = 1";

fn fail(installation: &Installation, user: &str, times: usize) {
    for _ in 0..times {
        let report = installation.login(user).answer("000000").run();
        assert_eq!(report.code(), "PAM_AUTH_ERR");
    }
}

/// What somebody who guesses could compare.
#[derive(Debug)]
struct Seen {
    code: String,
    prompts: Vec<String>,
    calls: Vec<String>,
}

fn observe(installation: &Installation, user: &str, answer: &str) -> Seen {
    let trace = installation.path("trace");
    let login = || installation.login(user).answer(answer).from("192.0.2.9");
    let command = login().with(["--barrier"]).into_command();
    let traced = finish(&mut strace::traced(&command, &trace, &[]), "");
    assert!(traced.success(), "{traced:?}");
    let calls = strace::read(&trace);
    let calls = strace::from_answer_to_verdict(&calls);
    let end = calls.iter().position(|call| call.name == "sendto").unwrap();
    let (module, libpam) = calls.split_at(end + 1);
    let ours = module.iter().map(|call| normal(&call.line, user));
    let names = libpam.iter().map(|call| call.name.clone());
    let calls = ours.chain(names).collect();
    let report = login().run();
    Seen {
        code: report.code().to_owned(),
        prompts: report.prompts(),
        calls,
    }
}

/// A line of strace without what may differ.
fn normal(line: &str, user: &str) -> String {
    let (name, arguments) = line.split_once('(').unwrap();
    let (descriptor, _) = arguments.split_once([',', ')']).unwrap();
    let result = arguments.rsplit_once("= ").unwrap().1;
    match name {
        "read" | "sendto" => format!("{name}({descriptor})"),
        "pread64" | "pwrite64" => format!("{name}({descriptor}) = {result}"),
        "newfstatat" => format!("{name}(DIR, {})", file(arguments, user)),
        "openat" => {
            let flags = arguments.rsplit_once(", ").unwrap().1;
            format!("{name}(DIR, {}, {flags}", file(arguments, user))
        }
        "fstat" => {
            let mode = arguments.split_once("st_size").unwrap().0;
            format!("{name}({mode}) = {result}")
        }
        _ => line.to_owned(),
    }
}

/// What the quoted name stands for.
fn file<'a>(arguments: &'a str, user: &str) -> &'a str {
    let name = arguments.split('"').nth(1).unwrap();
    let (stem, role) = match name.strip_suffix(".toml") {
        Some(stem) => (stem, "ACCOUNT"),
        None => (name, "STATE"),
    };
    let decoy = stem.len() == 2 && stem.bytes().all(|byte| byte.is_ascii_digit());
    if stem == user || decoy { role } else { name }
}
