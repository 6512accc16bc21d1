//! A process that serves one login after the other, as some PAM applications do for months.
//!
//! It is told `USER ADDRESS CODE` line by line, and answers each with PAM's code.

use pam_ffi::{
    Conversation, ConversationFailed, Item, MessageStyle, PamError, ReturnCode, Transaction,
};
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use tests::processes::{self, kill_tree};
use zeroize::Zeroizing;

use crate::journal::Sight;

/// The argument that makes this program such a process.
pub const ROLE: &str = "host";

/// Serves until the end of standard input.
pub fn serve(confdir: &Path, service: &str) -> ExitCode {
    for line in io::stdin().lock().lines() {
        let line = line.unwrap();
        let mut words = line.split(' ');
        let [user, address, code] = [(); 3].map(|()| words.next().unwrap());
        let code = match login(confdir, service, user, address, code) {
            Ok(()) => ReturnCode::SUCCESS,
            Err(error) => error.code,
        };
        println!("{code}");
        io::stdout().flush().unwrap();
    }
    ExitCode::SUCCESS
}

fn login(
    confdir: &Path,
    service: &str,
    user: &str,
    address: &str,
    code: &str,
) -> Result<(), PamError> {
    let script = OneAnswer(code.to_owned());
    let mut pam = Transaction::start(service, Some(user.as_bytes()), Some(confdir), script)?;
    pam.ignore_fail_delay()?;
    pam.set_item(Item::Rhost, address.as_bytes())?;
    pam.authenticate(0)
}

/// The same to every question.
struct OneAnswer(String);

impl Conversation for OneAnswer {
    fn respond(
        &mut self,
        style: MessageStyle,
        _message: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, ConversationFailed> {
        let answer = || Zeroizing::new(self.0.clone().into_bytes());
        Ok(style.wants_answer().then(answer))
    }
}

/// Such a process, seen from outside.
pub struct Host {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    logins: u64,
}

impl Host {
    /// Starts one for a service of this directory.
    pub fn start(confdir: &Path, service: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg(ROLE)
            .arg(confdir)
            .arg(service)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let questions = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            questions,
            answers,
            logins: 0,
        }
    }

    /// What PAM answers.
    pub fn login(&mut self, user: &str, address: &str, code: &str) -> String {
        self.logins += 1;
        writeln!(self.questions, "{user} {address} {code}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// What the process holds now.
    pub fn sight(&self) -> Sight {
        sight("host", self.child.id(), self.logins)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        kill_tree(&mut self.child);
    }
}

/// What a process holds now.
pub fn sight(name: &str, pid: u32, logins: u64) -> Sight {
    let count = |what| {
        let entries = fs::read_dir(format!("/proc/{pid}/{what}")).unwrap();
        entries.count() as u64
    };
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = resident.and_then(|text| text.split_whitespace().next()?.parse().ok());
    let parent = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
    Sight::Process {
        name: name.to_owned(),
        logins,
        descriptors: count("fd"),
        threads: count("task"),
        children: processes::descendants(parent).len() as u64,
        kib: kib.unwrap(),
    }
}
