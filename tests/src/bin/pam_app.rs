//! `pam_app`: a PAM application for the end-to-end tests. It does what its arguments say, answers
//! prompts from a list, and prints one JSON object that says what happened.
//!
//! It runs every call it is told to, whatever the one before answered, and never sleeps a fail
//! delay. Exit status: 0 when the JSON was printed, whatever PAM said; 2 for wrong arguments.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use pam_ffi::{
    Conversation, ConversationFailed, Item, MessageStyle, PamError, ReturnCode, Transaction, flags,
};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

const USAGE: &str = "\
pam_app --confdir DIR --service NAME --user NAME [options]
  --rhost R  --tty T  --ruser R  --env NAME=VALUE   items and PAM environment of the handle
  --calls LIST       of auth,account,setcred,delete_cred,open_session,close_session,chauthtok,
                     chauthtok_expired; default auth
  --silent           PAM_SILENT with every call
  --repeat N         each `auth` N times on the same handle
  --warm             one `auth` before that is not reported
  --answer TEXT  --answer-hex HEX  --answer-null  --answer-fail
                     what the prompts get, in this order; afterwards the conversation fails
  --answers-file F   one answer a line, after those
  --continue         repeated calls go on in the list; otherwise each `auth` begins it anew
  --interactive      prints each message as a line of JSON; answers are lines of standard input
  --barrier          before the last answer: prints `ready`, waits for a line or the end of input
  --announce         each answer of PAM at once, as a line `called CALL CODE`
  --introspect       what the modules did to the process: before, after the calls, after pam_end";

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(complaint) => {
            eprintln!("pam_app: {complaint}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    println!("{}", report(&options));
    ExitCode::SUCCESS
}

/// Runs the transaction, and says what happened.
fn report(options: &Options) -> Value {
    let before = options.introspect.then(snapshot);
    let mut calls = Vec::new();
    let mut report = match start(options) {
        Ok(mut pam) => {
            for call in &options.calls {
                run(&mut pam, call, options, &mut calls);
            }
            let mut report = json!({
                "user": pam.item(Item::User).ok().flatten().map(|user| text(&user)),
                "env": pam.environment().iter().map(|entry| text(entry)).collect::<Vec<_>>(),
                "fail_delay": pam.requested_delay().map(|delay| delay.as_micros()),
                "prompts": pam.conversation().heard,
            });
            if options.introspect {
                report["after"] = snapshot();
            }
            report
        }
        Err(error) => {
            calls.push(outcome("start", Instant::now(), Err(error)));
            json!({ "user": null, "env": [], "fail_delay": null, "prompts": [] })
        }
    };
    report["calls"] = calls.into();
    if let Some(before) = before {
        report["before"] = before;
        report["ended"] = snapshot();
    }
    report
}

fn start(options: &Options) -> Result<Transaction<Script>, PamError> {
    let script = Script::new(options);
    let user = options.user.as_deref();
    let confdir = options.confdir.as_deref();
    let mut pam = Transaction::start(&options.service, user, confdir, script)?;
    pam.ignore_fail_delay()?;
    for (item, value) in &options.items {
        pam.set_item(*item, value)?;
    }
    for assignment in &options.environment {
        pam.put_env(assignment)?;
    }
    Ok(pam)
}

/// One call of the list, repeated if it is `auth`.
fn run(pam: &mut Transaction<Script>, call: &str, options: &Options, calls: &mut Vec<Value>) {
    let (warmups, repeats) = match call {
        "auth" => (usize::from(options.warm), options.repeat),
        _ => (0, 1),
    };
    for round in 0..warmups + repeats {
        if call == "auth" && !options.go_on {
            pam.conversation().answers.clone_from(&options.answers);
        }
        pam.conversation().answered = None;
        let began = Instant::now();
        let result = step(pam, call, if options.silent { flags::SILENT } else { 0 });
        let mut outcome = outcome(call, began, result);
        if options.announce {
            let code = outcome["code"].as_str().unwrap_or_default();
            say(&format!("called {call} {code}"));
        }
        let answered = pam.conversation().answered;
        outcome["micros_after_answer"] = json!(answered.map(micros_since));
        if round >= warmups {
            calls.push(outcome);
        }
    }
}

/// The calls that `--calls` may name.
fn step(pam: &mut Transaction<Script>, call: &str, silent: u32) -> Result<(), PamError> {
    match call {
        "auth" => pam.authenticate(silent),
        "account" => pam.account(silent),
        "setcred" => pam.set_credentials(silent | flags::ESTABLISH_CRED),
        "delete_cred" => pam.set_credentials(silent | flags::DELETE_CRED),
        "open_session" => pam.open_session(silent),
        "close_session" => pam.close_session(silent),
        "chauthtok" => pam.change_authtok(silent),
        "chauthtok_expired" => pam.change_authtok(silent | flags::CHANGE_EXPIRED_AUTHTOK),
        _ => unreachable!("checked when the arguments were read"),
    }
}

const CALLS: &[&str] = &[
    "auth",
    "account",
    "setcred",
    "delete_cred",
    "open_session",
    "close_session",
    "chauthtok",
    "chauthtok_expired",
];

fn outcome(call: &str, began: Instant, result: Result<(), PamError>) -> Value {
    let micros = micros_since(began);
    let (code, error) = match result {
        Ok(()) => (ReturnCode::SUCCESS, None),
        Err(error) => (error.code, Some(error.to_string())),
    };
    json!({ "call": call, "code": code.to_string(), "micros": micros, "error": error })
}

fn micros_since(instant: Instant) -> u64 {
    u64::try_from(instant.elapsed().as_micros()).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a prompt gets.
#[derive(Clone)]
enum Answer {
    Bytes(Vec<u8>),
    Null,
    Fail,
}

/// The conversation: a list of answers, and everything that was shown.
struct Script {
    answers: VecDeque<Answer>,
    heard: Vec<Value>,
    /// When the last answer was given.
    answered: Option<Instant>,
    barrier: bool,
    interactive: bool,
}

impl Script {
    fn new(options: &Options) -> Self {
        Self {
            answers: options.answers.clone(),
            heard: Vec::new(),
            answered: None,
            barrier: options.barrier,
            interactive: options.interactive,
        }
    }

    fn next_answer(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, ConversationFailed> {
        if self.interactive && self.answers.is_empty() {
            let line = read_line().ok_or_else(|| ConversationFailed::new("end of input"))?;
            return Ok(Some(line));
        }
        let next = self.answers.pop_front();
        if self.barrier && self.answers.is_empty() && next.is_some() {
            say("ready");
            let _ = read_line();
        }
        match next {
            Some(Answer::Bytes(answer)) => Ok(Some(Zeroizing::new(answer))),
            Some(Answer::Null) => Ok(None),
            Some(Answer::Fail) => Err(ConversationFailed::new("--answer-fail")),
            None => Err(ConversationFailed::new("no more answers")),
        }
    }
}

impl Conversation for Script {
    fn respond(
        &mut self,
        style: MessageStyle,
        message: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, ConversationFailed> {
        let name = match style {
            MessageStyle::PromptEchoOff => "echo_off",
            MessageStyle::PromptEchoOn => "echo_on",
            MessageStyle::ErrorMsg => "error",
            MessageStyle::TextInfo => "info",
        };
        let message = json!({ "style": name, "text": text(message) });
        if self.interactive {
            say(&message.to_string());
        }
        self.heard.push(message);
        if !style.wants_answer() {
            return Ok(None);
        }
        let answer = self.next_answer();
        self.answered = Some(Instant::now());
        answer
    }
}

fn say(line: &str) {
    println!("{line}");
    io::stdout().flush().unwrap();
}

/// A line of standard input without its end; none at the end of input.
fn read_line() -> Option<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::new());
    if io::stdin().lock().read_until(b'\n', &mut line).unwrap() == 0 {
        return None;
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Some(line)
}

/// What a module could change in the process that it is a guest in.
fn snapshot() -> Value {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let field = |name: &str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(|value| value.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let variables = std::env::vars_os()
        .map(|(name, value)| (text(&name.into_vec()), text(&value.into_vec()).into()));
    json!({
        "threads": fs::read_dir("/proc/self/task").unwrap().count(),
        "SigCgt": field("SigCgt"),
        "SigIgn": field("SigIgn"),
        "SigBlk": field("SigBlk"),
        "SigPnd": field("SigPnd"),
        "ShdPnd": field("ShdPnd"),
        "children": children(),
        "Umask": field("Umask"),
        "Uid": field("Uid"),
        "Gid": field("Gid"),
        "Groups": field("Groups"),
        "cwd": std::env::current_dir().unwrap(),
        "environment": variables.collect::<Map<String, Value>>(),
        "descriptors": descriptors(),
    })
}

/// The children of every thread, those that have ended and are not waited for among them.
fn children() -> String {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let of = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("children"));
    threads.map(|thread| of(thread.unwrap()).unwrap()).collect()
}

/// Every open descriptor with what it leads to, except the one that reads the list.
fn descriptors() -> Map<String, Value> {
    let list = format!("/proc/{}/fd", std::process::id());
    let entries = fs::read_dir(&list).unwrap().filter_map(Result::ok);
    let targets = entries.filter_map(|entry| {
        let target = fs::read_link(entry.path()).ok()?;
        let name = entry.file_name().into_string().ok()?;
        (target.as_os_str() != list.as_str()).then(|| (name, json!(target)))
    });
    targets.collect()
}

/// The arguments.
struct Options {
    confdir: Option<PathBuf>,
    service: String,
    user: Option<Vec<u8>>,
    items: Vec<(Item, Vec<u8>)>,
    environment: Vec<String>,
    calls: Vec<String>,
    answers: VecDeque<Answer>,
    repeat: usize,
    warm: bool,
    go_on: bool,
    silent: bool,
    barrier: bool,
    interactive: bool,
    announce: bool,
    introspect: bool,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let mut options = Self {
            confdir: None,
            service: String::new(),
            user: None,
            items: Vec::new(),
            environment: Vec::new(),
            calls: vec!["auth".into()],
            answers: VecDeque::new(),
            repeat: 1,
            warm: false,
            go_on: false,
            silent: false,
            barrier: false,
            interactive: false,
            announce: false,
            introspect: false,
        };
        while let Some(name) = args.next() {
            let name = utf8(name)?;
            let mut value = || args.next().ok_or_else(|| format!("{name} wants a value"));
            match name.as_str() {
                "--confdir" => options.confdir = Some(value()?.into()),
                "--service" => options.service = utf8(value()?)?,
                "--user" => options.user = Some(value()?.into_vec()),
                "--rhost" => options.items.push((Item::Rhost, value()?.into_vec())),
                "--tty" => options.items.push((Item::Tty, value()?.into_vec())),
                "--ruser" => options.items.push((Item::Ruser, value()?.into_vec())),
                "--env" => options.environment.push(utf8(value()?)?),
                "--calls" => options.calls = calls(&utf8(value()?)?)?,
                "--repeat" => options.repeat = number(&utf8(value()?)?)?,
                "--answer" => options
                    .answers
                    .push_back(Answer::Bytes(value()?.into_vec())),
                "--answer-hex" => options
                    .answers
                    .push_back(Answer::Bytes(hex(&utf8(value()?)?)?)),
                "--answer-null" => options.answers.push_back(Answer::Null),
                "--answer-fail" => options.answers.push_back(Answer::Fail),
                "--answers-file" => options.answers.extend(lines(value()?)?),
                "--warm" => options.warm = true,
                "--continue" => options.go_on = true,
                "--silent" => options.silent = true,
                "--barrier" => options.barrier = true,
                "--interactive" => options.interactive = true,
                "--announce" => options.announce = true,
                "--introspect" => options.introspect = true,
                _ => return Err(format!("unknown argument {name}")),
            }
        }
        if options.service.is_empty() {
            return Err("--service is missing".into());
        }
        Ok(options)
    }
}

fn utf8(value: OsString) -> Result<String, String> {
    value
        .into_string()
        .map_err(|value| format!("not UTF-8: {value:?}"))
}

fn number(value: &str) -> Result<usize, String> {
    value.parse().map_err(|_| format!("not a number: {value}"))
}

fn calls(list: &str) -> Result<Vec<String>, String> {
    let known = |call: &str| match CALLS.contains(&call) {
        true => Ok(call.to_owned()),
        false => Err(format!("unknown call {call}; known: {}", CALLS.join(", "))),
    };
    list.split(',').map(known).collect()
}

fn hex(digits: &str) -> Result<Vec<u8>, String> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair)
            .ok()
            .filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    });
    pairs
        .collect::<Option<_>>()
        .ok_or_else(|| format!("not hexadecimal: {digits}"))
}

fn lines(path: OsString) -> Result<Vec<Answer>, String> {
    let content = fs::read(&path).map_err(|error| format!("{path:?}: {error}"))?;
    let content = content.strip_suffix(b"\n").unwrap_or(&content);
    Ok(content
        .split(|byte| *byte == b'\n')
        .map(|line| Answer::Bytes(line.to_vec()))
        .collect())
}
