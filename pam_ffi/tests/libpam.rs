//! Both sides against the real libpam, with pam.d directories of our own and without root.
//!
//! Miri cannot call libpam; it runs the unit tests, which do not.
#![cfg(not(miri))]
// clippy.toml allows these in test functions; this file is nothing but tests and their helpers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use pam_ffi::{
    Conversation, ConversationFailed, Item, MessageStyle, PamError, ReturnCode, Transaction, flags,
};
use zeroize::Zeroizing;

/// Answers from a list, and notes what it was asked and told.
#[derive(Default)]
struct Script {
    answers: Vec<Answer>,
    heard: Vec<(MessageStyle, String)>,
}

#[derive(Clone)]
enum Answer {
    Bytes(&'static [u8]),
    Null,
    Panic,
}

impl Conversation for Script {
    fn respond(
        &mut self,
        style: MessageStyle,
        text: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, ConversationFailed> {
        let text = String::from_utf8_lossy(text).into_owned();
        self.heard.push((style, text));
        if !style.wants_answer() {
            return Ok(None);
        }
        if self.answers.is_empty() {
            return Err(ConversationFailed::new("the script has no more answers"));
        }
        match self.answers.remove(0) {
            Answer::Bytes(answer) => Ok(Some(Zeroizing::new(answer.to_vec()))),
            Answer::Null => Ok(None),
            Answer::Panic => panic!("scripted"),
        }
    }
}

/// A pam.d directory with one service, `t`.
struct Stack {
    dir: tempfile::TempDir,
}

impl Stack {
    /// `DIR` in the lines stands for the directory, `PROBE` for the module of examples/probe.rs.
    fn new(lines: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lines = lines.replace("DIR", dir.path().to_str().unwrap());
        let lines = lines.replace("PROBE", probe().to_str().unwrap());
        fs::write(dir.path().join("t"), lines).unwrap();
        Self { dir }
    }

    fn file(&self, name: &str, content: &str, mode: u32) {
        let path = self.dir.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn start(&self, answers: &[Answer]) -> Transaction<Script> {
        let script = Script {
            answers: answers.to_vec(),
            heard: Vec::new(),
        };
        Transaction::start("t", Some(b"alice"), Some(self.dir.path()), script).unwrap()
    }
}

/// Cargo puts examples next to the directory that test programs are in.
fn probe() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let target = program.parent().and_then(|deps| deps.parent()).unwrap();
    target.join("examples/libprobe.so")
}

fn told(transaction: &mut Transaction<Script>) -> Vec<String> {
    let heard = &transaction.conversation().heard;
    heard.iter().map(|(_, text)| text.clone()).collect()
}

fn code(result: Result<(), PamError>) -> ReturnCode {
    result.map_or_else(|error| error.code, |()| ReturnCode::SUCCESS)
}

#[test]
fn permit_says_yes_in_every_stack() {
    let stack = Stack::new(
        "auth required pam_permit.so\naccount required pam_permit.so\n\
         session required pam_permit.so\npassword required pam_permit.so\n",
    );
    let mut pam = stack.start(&[]);
    pam.authenticate(flags::DISALLOW_NULL_AUTHTOK).unwrap();
    pam.account(flags::SILENT).unwrap();
    pam.set_credentials(flags::ESTABLISH_CRED).unwrap();
    pam.open_session(0).unwrap();
    pam.close_session(0).unwrap();
    pam.set_credentials(flags::DELETE_CRED).unwrap();
    pam.change_authtok(0).unwrap();
}

#[test]
fn deny_says_no_and_the_error_says_who_said_it() {
    let stack = Stack::new(
        "auth required pam_deny.so\naccount required pam_deny.so\n\
         session required pam_deny.so\npassword required pam_deny.so\n",
    );
    let mut pam = stack.start(&[]);
    let error = pam.authenticate(0).unwrap_err();
    assert_eq!(error.code, ReturnCode::AUTH_ERR);
    assert_eq!(
        error.to_string(),
        "pam_authenticate: Authentication failure (PAM_AUTH_ERR)"
    );
    assert_eq!(code(pam.account(0)), ReturnCode::AUTH_ERR);
    assert_eq!(
        code(pam.set_credentials(flags::ESTABLISH_CRED)),
        ReturnCode::CRED_ERR
    );
    assert_eq!(code(pam.open_session(0)), ReturnCode::SESSION_ERR);
    assert_eq!(code(pam.close_session(0)), ReturnCode::SESSION_ERR);
    assert_eq!(code(pam.change_authtok(0)), ReturnCode::AUTHTOK_ERR);
}

// libpam 1.5.2 leaks 96 bytes in a failed pam_start: leak checkers run with `--skip
// a_service_without_a_file`.
#[test]
fn a_service_without_a_file_is_an_error() {
    let stack = Stack::new("auth required pam_permit.so\n");
    let dir = Some(stack.dir.path());
    let started = Transaction::start("no-such-service", None, dir, Script::default());
    assert_eq!(code(started.map(drop)), ReturnCode::ABORT);
}

#[test]
fn values_with_a_nul_inside_are_refused() {
    let stack = Stack::new("auth required pam_permit.so\n");
    let dir = Some(stack.dir.path());
    let start = |service: &str, user: &[u8]| {
        code(Transaction::start(service, Some(user), dir, Script::default()).map(drop))
    };
    assert_eq!(start("t\0", b"alice"), ReturnCode::BUF_ERR);
    assert_eq!(start("t", b"al\0ice"), ReturnCode::BUF_ERR);
    let mut pam = stack.start(&[]);
    let rhost = pam.set_item(Item::Rhost, b"a\0b");
    assert_eq!(code(rhost), ReturnCode::BUF_ERR);
    assert_eq!(code(pam.put_env("A=\0")), ReturnCode::BUF_ERR);
}

#[test]
fn items_and_environment_are_kept_as_bytes() {
    let stack = Stack::new("auth required PROBE rhost env=SSH_CONNECTION env=ABSENT\n");
    let mut pam = stack.start(&[]);
    assert_eq!(pam.item(Item::Rhost).unwrap(), None);
    pam.set_item(Item::Rhost, b"\xff.example").unwrap();
    pam.put_env("SSH_CONNECTION=192.0.2.7 1 192.0.2.1 22")
        .unwrap();
    pam.put_env("GONE=1").unwrap();
    pam.put_env("GONE").unwrap();
    pam.authenticate(0).unwrap();
    let expected = [
        "rhost: \\xff.example",
        "env: 192.0.2.7 1 192.0.2.1 22",
        "env: none",
    ];
    assert_eq!(told(&mut pam), expected);
    assert_eq!(pam.item(Item::Rhost).unwrap().unwrap(), b"\xff.example");
    assert_eq!(pam.item(Item::User).unwrap().unwrap(), b"alice");
    assert_eq!(pam.item(Item::Service).unwrap().unwrap(), b"t");
    assert_eq!(
        pam.environment(),
        [b"SSH_CONNECTION=192.0.2.7 1 192.0.2.1 22"]
    );
}

#[test]
fn pam_env_and_pam_echo_reach_environment_and_conversation() {
    let stack = Stack::new(
        "auth required pam_echo.so file=DIR/text\nauth required pam_permit.so\n\
         session required pam_env.so readenv=0 conffile=DIR/env\n",
    );
    stack.file("text", "Hello %u", 0o600);
    stack.file("env", "COLOUR DEFAULT=blue\n", 0o600);
    let mut pam = stack.start(&[]);
    pam.authenticate(0).unwrap();
    let heard = &pam.conversation().heard;
    assert_eq!(
        heard,
        &[(MessageStyle::TextInfo, "Hello alice".to_string())]
    );
    assert!(pam.environment().is_empty());
    pam.open_session(0).unwrap();
    assert_eq!(pam.environment(), [b"COLOUR=blue"]);
}

#[test]
fn a_module_without_a_user_asks_for_one() {
    let stack = Stack::new("auth required PROBE user\n");
    let script = Script {
        answers: vec![Answer::Bytes(b"b\xf6b")],
        heard: Vec::new(),
    };
    let mut pam = Transaction::start("t", None, Some(stack.dir.path()), script).unwrap();
    pam.set_item(Item::UserPrompt, b"Who? ").unwrap();
    pam.authenticate(0).unwrap();
    assert_eq!(told(&mut pam), ["Who? ", "user: b\\xf6b"]);
    assert_eq!(pam.item(Item::User).unwrap().unwrap(), b"b\xf6b");
}

#[test]
fn a_password_is_handed_from_module_to_module_and_never_to_the_application() {
    let stack = Stack::new(
        "auth required PROBE authtok set_nul authtok set_authtok=open-sesame\n\
         auth required PROBE authtok clear_authtok authtok\n",
    );
    let mut pam = stack.start(&[]);
    pam.authenticate(0).unwrap();
    let expected = [
        "authtok: none",
        "set_nul failed: PAM_AUTHTOK_ERR",
        "authtok: none",
        "set_authtok: done",
        "authtok: open-sesame",
        "clear_authtok: done",
        "authtok: none",
    ];
    assert_eq!(told(&mut pam), expected);
}

#[test]
fn pam_exec_receives_the_answer_as_authtok() {
    let stack = Stack::new("auth required pam_exec.so quiet expose_authtok /bin/sh DIR/check\n");
    stack.file("check", "[ \"$(tr -d '\\0')\" = 'open sesame' ]\n", 0o700);
    let mut pam = stack.start(&[Answer::Bytes(b"open sesame"), Answer::Bytes(b"open barley")]);
    pam.authenticate(0).unwrap();
    let heard = pam.conversation().heard.clone();
    assert_eq!(
        heard,
        [(MessageStyle::PromptEchoOff, "Password: ".to_string())]
    );
    assert!(pam.authenticate(0).is_err());
}

#[test]
fn prompts_bring_back_raw_bytes_or_nothing() {
    let stack = Stack::new("auth required PROBE hidden shown hidden\n");
    let mut pam = stack.start(&[Answer::Bytes(b"\xff 1"), Answer::Null, Answer::Bytes(b"")]);
    pam.authenticate(0).unwrap();
    let heard = pam.conversation().heard.clone();
    assert_eq!(heard[0].0, MessageStyle::PromptEchoOff);
    assert_eq!(
        heard[1],
        (MessageStyle::TextInfo, "hidden: \\xff 1".to_string())
    );
    assert_eq!(heard[2].0, MessageStyle::PromptEchoOn);
    assert_eq!(heard[3].1, "shown: none");
    assert_eq!(heard[5].1, "hidden: ");
}

#[test]
fn what_is_kept_lasts_from_entry_to_entry_of_one_handle() {
    let stack = Stack::new(
        "auth required PROBE kept keep=once kept forget forget kept keep=once keep=twice\n\
         account required PROBE kept forget kept keep=left_to_pam_end\n",
    );
    let mut pam = stack.start(&[]);
    pam.account(0).unwrap();
    pam.authenticate(0).unwrap();
    pam.account(0).unwrap();
    let kept: Vec<String> = told(&mut pam)
        .into_iter()
        .filter(|t| t.starts_with("kept"))
        .collect();
    let expected = [
        "none",
        "none",
        "left_to_pam_end",
        "once",
        "none",
        "twice",
        "none",
    ];
    assert_eq!(kept, expected.map(|answer| format!("kept: {answer}")));
    let mut fresh = stack.start(&[]);
    fresh.account(0).unwrap();
    assert_eq!(told(&mut fresh)[0], "kept: none");
}

#[test]
fn google_authenticator_is_answered_and_its_verdict_is_ours() {
    let stack = Stack::new("");
    let uid = fs::metadata(stack.dir.path()).unwrap().uid();
    // RFC 4226 appendix D: secret, and the code for counter 1 (the module takes 0 for "no HOTP").
    stack.file(
        "ga",
        "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\n\" HOTP_COUNTER 1\n",
        0o600,
    );
    let file = stack.dir.path().join("ga");
    let line = format!(
        "auth required pam_google_authenticator.so secret={} user={uid} no_increment_hotp\n",
        file.display()
    );
    stack.file("t", &line, 0o600);
    let mut pam = stack.start(&[
        Answer::Bytes(b"287082"),
        Answer::Bytes(b"000000"),
        Answer::Null,
    ]);
    pam.ignore_fail_delay().unwrap();
    pam.authenticate(0).unwrap();
    let heard = pam.conversation().heard.clone();
    assert_eq!(
        heard,
        [(
            MessageStyle::PromptEchoOff,
            "Verification code: ".to_string()
        )]
    );
    assert_eq!(
        code(pam.authenticate(0)),
        ReturnCode::AUTH_ERR,
        "wrong code"
    );
    assert_eq!(
        code(pam.authenticate(0)),
        ReturnCode::AUTH_ERR,
        "null answer"
    );
}

#[test]
fn the_reason_of_a_failed_conversation_survives_libpam() {
    let stack = Stack::new("auth required pam_exec.so quiet expose_authtok /bin/true\n");
    let mut pam = stack.start(&[Answer::Bytes(b"nul \0 inside")]);
    let error = pam.authenticate(0).unwrap_err();
    assert!(error.conversation.unwrap().to_string().contains("NUL"));
    let error = pam.authenticate(0).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("the script has no more answers"),
        "{error}"
    );
}

#[test]
fn a_failure_that_the_stack_forgives_is_forgotten() {
    let stack = Stack::new(
        "auth optional PROBE hidden\nauth required pam_permit.so\naccount required pam_deny.so\n",
    );
    let mut pam = stack.start(&[]);
    pam.authenticate(0).unwrap();
    assert!(pam.account(0).unwrap_err().conversation.is_none());
}

#[test]
fn a_panic_in_the_conversation_arrives_behind_libpam() {
    let stack = Stack::new(
        "auth optional PROBE hidden shown\nauth required pam_permit.so\naccount required PROBE user\n",
    );
    let mut pam = stack.start(&[Answer::Panic, Answer::Bytes(b"never asked for")]);
    let panic = catch_unwind(AssertUnwindSafe(|| pam.authenticate(0))).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"scripted"));
    // The stack forgave the failed conversation, but a success must not be believed then.
    assert_eq!(pam.conversation().heard.len(), 1);
    pam.authenticate(0).unwrap();
    assert_eq!(pam.conversation().heard.len(), 1, "not called again");
    let error = pam.account(0).unwrap_err();
    assert!(
        error.to_string().ends_with("has panicked before"),
        "{error}"
    );
}

#[test]
fn a_fail_delay_is_noted_and_not_slept() {
    let stack = Stack::new(
        "auth required PROBE delay=20\nauth required pam_deny.so\naccount required pam_permit.so\n",
    );
    let mut pam = stack.start(&[]);
    pam.ignore_fail_delay().unwrap();
    let before = Instant::now();
    assert_eq!(code(pam.authenticate(0)), ReturnCode::AUTH_ERR);
    assert!(before.elapsed() < Duration::from_secs(5));
    let delay = pam.requested_delay().unwrap();
    assert!((10..=30).contains(&delay.as_secs()), "{delay:?}");
}

#[test]
fn a_delay_that_libpam_cannot_count_is_accepted() {
    let stack =
        Stack::new("auth required PROBE delay=18446744073709551615\nauth required pam_deny.so\n");
    let mut pam = stack.start(&[]);
    pam.ignore_fail_delay().unwrap();
    assert!(pam.authenticate(0).is_err());
    assert_eq!(told(&mut pam), ["delay: done"]);
}

#[test]
fn a_log_line_with_a_format_in_it_is_only_text() {
    let stack =
        Stack::new("auth required PROBE log=100%s%n%s%s%s%s deny\nauth required pam_warn.so\n");
    let mut pam = stack.start(&[]);
    // Every order is followed, and the module itself says success.
    pam.authenticate(0).unwrap();
    assert_eq!(
        told(&mut pam),
        ["log: done", "deny failed: PAM_PERM_DENIED"]
    );
}
