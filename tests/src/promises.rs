//! Three promises that hold for every client and for both servers, see `for_every_client!`.

use crate::clients::openssh::{self, Way};
use crate::clients::python::{self, Python};
use crate::clients::{ClientRun, Login, git, rsync};
use crate::clock::Clock;
use crate::files;
use crate::frontend::Frontend;
use crate::module::Module;
use crate::oath;
use crate::sandbox::{self, Sandbox};
use crate::server::Endpoint;
use crate::sshd::Sshd;
use crate::users::User;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Three tests for each client that people use, in a module of its name, against this [`Program`].
#[macro_export]
macro_rules! for_every_client {
    ($program:expr) => {
        $crate::for_these_clients! { $program;
            ssh_with_askpass: Shown::WithHost, runs_id(ssh(Way::Askpass));
            ssh_on_a_terminal: Shown::WithHost, runs_id(ssh(Way::Terminal));
            sftp_with_askpass: Shown::WithHost, transfers("", sftp(Way::Askpass));
            sftp_on_a_terminal: Shown::WithHost, transfers("", sftp(Way::Terminal));
            scp_with_askpass: Shown::WithHost, scp(Way::Askpass);
            scp_on_a_terminal: Shown::WithHost, scp(Way::Terminal);
            plink: Shown::WithBar, runs_id(|login| putty::plink(login, "id -un"));
            psftp: Shown::WithBar, transfers("", putty::psftp);
            dbclient: Shown::AsSent, runs_id(|login| dropbear::dbclient(login, "id -un"));
            lftp_with_askpass: Shown::WithHost, transfers("-o ", lftp::lftp);
            rsync_with_askpass: Shown::WithHost, rsync();
            git_with_askpass: Shown::WithHost, git();
            paramiko: Shown::InRounds, runs_python(Python::paramiko);
            asyncssh: Shown::InRounds, runs_python(Python::asyncssh);
        }
    };
}

/// `NAME: HOW IT SHOWS PROMPTS, JOB;` for each.
#[macro_export]
macro_rules! for_these_clients {
    ($program:expr; $($client:ident: $shown:expr, $job:expr;)*) => { $(
        mod $client {
            #[allow(unused_imports, reason = "each client uses some of it")]
            use $crate::{
                clients::{dropbear, lftp, openssh::Way, python::Python, putty},
                promises::*,
            };

            #[test]
            fn password_then_code_logs_in_and_does_the_job() {
                logs_in($program, $shown, $job);
            }

            #[test]
            fn a_wrong_code_is_refused() {
                is_refused_for_the_code($program, $shown, $job);
            }

            #[test]
            fn a_wrong_password_is_refused_before_the_code_is_asked_for() {
                is_refused_for_the_password($program, $shown, $job);
            }
        }
    )* };
}

/// Which server.
#[derive(Debug, Clone, Copy)]
pub enum Program {
    /// Debian's.
    Sshd,
    /// The product's.
    Frontend,
}

impl Program {
    /// Starts it.
    pub fn start(self, sandbox: &Sandbox) -> Box<dyn Deref<Target = Endpoint>> {
        match self {
            Self::Sshd => Box::new(Sshd::start(sandbox, "", Clock::Real)),
            Self::Frontend => Box::new(Frontend::start(sandbox, "")),
        }
    }
}

/// How a client shows a prompt.
#[derive(Clone, Copy)]
pub enum Shown {
    /// As it comes.
    AsSent,
    /// OpenSSH: `(user@host) ` before it.
    WithHost,
    /// PuTTY: a bar that tells the server's words from its own.
    WithBar,
    /// To a program: one list of prompts per request.
    InRounds,
}

/// A user and a server, and what the user is going to type.
pub struct Trial<'a> {
    sandbox: &'a Sandbox,
    server: &'a Endpoint,
    user: &'a User,
    password: &'a str,
    /// One for each login of the job.
    codes: [String; 2],
}

const USER: &str = "alice";
const PASSWORD: &str = "Password: ";
const CODE: &str = "Verification code: ";

/// The first promise.
pub fn logs_in(program: Program, shown: Shown, job: impl FnOnce(&Trial) -> ClientRun + Send) {
    let run = attempt(program, None, |code| code, job);
    assert!(run.success, "{run:?}");
    assert_eq!(
        run.prompts,
        [PASSWORD, CODE].map(|prompt| shown.prompt(prompt)),
        "{run:?}"
    );
    if let Shown::InRounds = shown {
        assert_eq!(run.rounds, [vec![PASSWORD], vec![CODE], vec![]], "{run:?}");
    }
}

/// The second promise.
pub fn is_refused_for_the_code(
    program: Program,
    shown: Shown,
    job: impl FnOnce(&Trial) -> ClientRun + Send,
) {
    let run = attempt(program, None, |code| oath::wrong(&code), job);
    assert!(!run.success, "{run:?}");
    let asked = [PASSWORD, CODE].map(|prompt| shown.prompt(prompt));
    assert!(run.prompts.starts_with(&asked), "{run:?}");
}

/// The third promise.
pub fn is_refused_for_the_password(
    program: Program,
    shown: Shown,
    job: impl FnOnce(&Trial) -> ClientRun + Send,
) {
    let run = attempt(program, Some("not the password"), |code| code, job);
    assert!(!run.success, "{run:?}");
    assert_eq!(
        run.prompts.first(),
        Some(&shown.prompt(PASSWORD)),
        "{run:?}"
    );
    let code_asked = run
        .prompts
        .iter()
        .any(|prompt| prompt.contains(CODE.trim()));
    assert!(!code_asked, "{run:?}");
}

/// The documented stack, one enrolled user, one job.
fn attempt(
    program: Program,
    password: Option<&str>,
    spoil: fn(String) -> String,
    job: impl FnOnce(&Trial) -> ClientRun + Send,
) -> ClientRun {
    sandbox::run(move |sandbox| {
        let user = &sandbox.add_user(USER);
        let module = Module::under_test(sandbox);
        let device = module.enrol_hotp(user);
        sandbox.sshd_stack_after_password(&module.auth_line());
        let server = program.start(sandbox);
        let codes = [device.code(0), device.code(1)].map(spoil);
        let password = password.unwrap_or(&user.password);
        job(&Trial {
            sandbox,
            server: &server,
            user,
            password,
            codes,
        })
    })
}

/// `id -un` by ssh.
pub fn ssh(way: Way) -> impl Fn(&Login) -> ClientRun {
    move |login| openssh::ssh(login, way, &[], "id -un")
}

/// A batch by sftp.
pub fn sftp(way: Way) -> impl Fn(&Login, &str) -> ClientRun {
    move |login, batch| openssh::sftp(login, way, batch)
}

/// The job of a client for commands: say who one is over there.
pub fn runs_id(client: impl Fn(&Login) -> ClientRun) -> impl Fn(&Trial) -> ClientRun {
    move |trial| {
        let run = client(&trial.login(0));
        assert!(
            !run.success || run.stdout.lines().any(|line| line.trim() == USER),
            "{run:?}"
        );
        run
    }
}

/// The job of a client for files: put one, get it back. `to` stands before a second name.
pub fn transfers(
    to: &'static str,
    client: impl Fn(&Login, &str) -> ClientRun,
) -> impl Fn(&Trial) -> ClientRun {
    move |trial| {
        let [sent, returned] = trial.files();
        let (sent, returned) = (sent.display(), returned.display());
        let batch = format!("put {sent} {to}remote\nget remote {to}{returned}\n");
        let run = client(&trial.login(0), &batch);
        trial.files_are_equal(&run);
        run
    }
}

/// The job of a client that does one thing per login: put a file, then get it.
fn copies(
    put: impl Fn(&Login, &Path) -> ClientRun,
    get: impl Fn(&Login, &Path) -> ClientRun,
) -> impl Fn(&Trial) -> ClientRun {
    move |trial| {
        let [sent, returned] = trial.files();
        let put = put(&trial.login(0), &sent);
        if !put.success {
            return put;
        }
        let get = get(&trial.login(1), &returned);
        assert_eq!(put.prompts, get.prompts);
        get
    }
}

/// A file by scp.
pub fn scp(way: Way) -> impl Fn(&Trial) -> ClientRun {
    let copies = copies(
        move |login, sent| openssh::scp_put(login, way, sent, "remote"),
        move |login, returned| openssh::scp_get(login, way, "remote", returned),
    );
    move |trial| {
        let run = copies(trial);
        trial.files_are_equal(&run);
        run
    }
}

/// A file by rsync.
pub fn rsync() -> impl Fn(&Trial) -> ClientRun {
    let copies = copies(
        |login, sent| rsync::rsync(login, &sent.to_string_lossy(), "server:remote"),
        |login, returned| rsync::rsync(login, "server:remote", &returned.to_string_lossy()),
    );
    move |trial| {
        let run = copies(trial);
        trial.files_are_equal(&run);
        run
    }
}

/// A commit by git: pushed, then cloned.
pub fn git() -> impl Fn(&Trial) -> ClientRun {
    let copies = copies(
        |login, sent| git::push(login, sent, "remote.git"),
        |login, returned| git::clone(login, "remote.git", returned),
    );
    move |trial| {
        let mut init = Command::new("git");
        init.args(["init", "-q", "--bare", "-b", "main", "remote.git"]);
        assert!(trial.user.command(&init).status().unwrap().success());
        let run = copies(trial);
        let branch = trial.user.home.join("remote.git/refs/heads/main");
        assert_eq!(branch.exists(), run.success, "{run:?}");
        let equal = files::are_equal(&[&trial.sent(), &trial.returned()]);
        assert_eq!(equal, run.success, "{run:?}");
        run
    }
}

/// A library does it all in one session. The environment is made before the sandbox is entered.
pub fn runs_python(
    client: impl Fn(&Python, &Login, &python::Job) -> ClientRun,
) -> impl Fn(&Trial) -> ClientRun {
    let python = Python::ready();
    move |trial| {
        let [sent, returned] = trial.files();
        let job = python::Job {
            put: &sent,
            remote: "remote",
            get: &returned,
        };
        let run = client(&python, &trial.login(0), &job);
        assert!(
            !run.success || run.stdout.lines().nth(1) == Some(USER),
            "{run:?}"
        );
        trial.files_are_equal(&run);
        run
    }
}

impl Shown {
    fn prompt(self, text: &str) -> String {
        match self {
            Self::AsSent | Self::InRounds => text.to_owned(),
            Self::WithHost => format!("({USER}@127.0.0.1) {text}"),
            Self::WithBar => format!("| {text}"),
        }
    }
}

impl Trial<'_> {
    fn login(&self, n: usize) -> Login<'_> {
        Login::new(self.sandbox, self.server, self.user, &self.codes[n])
            .with_password(self.password)
    }

    /// A file to send, and the name for what comes back.
    fn files(&self) -> [PathBuf; 2] {
        files::write_random(&self.sent(), 3_000_000);
        [self.sent(), self.returned()]
    }

    fn sent(&self) -> PathBuf {
        self.sandbox.path("sent")
    }

    fn returned(&self) -> PathBuf {
        self.sandbox.path("returned")
    }

    /// The file is there and here again, or the login was refused and it is not.
    fn files_are_equal(&self, run: &ClientRun) {
        let remote = self.user.home.join("remote");
        if run.success {
            let files = [&self.sent(), &remote, &self.returned()];
            assert!(files::are_equal(&files.map(PathBuf::as_path)), "{run:?}");
        } else {
            assert!(!remote.exists(), "refused, and yet there is a file");
        }
    }
}
