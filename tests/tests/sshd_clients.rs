//! Every client that people use logs in with password and code, and only so.

use std::path::Path;
use std::{fs, process};
use tests::clients::openssh::{self, Way};
use tests::clients::python::{self, Python};
use tests::clients::{ClientRun, Login, dropbear, lftp, putty};
use tests::clock::Clock;
use tests::module::Module;
use tests::oath;
use tests::processes;
use tests::sandbox::{self, Sandbox};
use tests::sshd::Sshd;
use tests::users::User;

/// Three promises for each client, in a module of its name.
macro_rules! clients {
    ($($client:ident: $shown:expr, $job:expr;)*) => { $(
        mod $client {
            use super::*;

            #[test]
            fn password_then_code_logs_in_and_does_the_job() {
                logs_in($shown, $job);
            }

            #[test]
            fn a_wrong_code_is_refused() {
                is_refused_for_the_code($shown, $job);
            }

            #[test]
            fn a_wrong_password_is_refused_before_the_code_is_asked_for() {
                is_refused_for_the_password($shown, $job);
            }
        }
    )* };
}

clients! {
    ssh_with_askpass: Shown::WithHost, runs_id(ssh(Way::Askpass));
    ssh_on_a_terminal: Shown::WithHost, runs_id(ssh(Way::Terminal));
    sftp_with_askpass: Shown::WithHost, transfers("", sftp(Way::Askpass));
    sftp_on_a_terminal: Shown::WithHost, transfers("", sftp(Way::Terminal));
    scp_with_askpass: Shown::WithHost, copies(Way::Askpass);
    scp_on_a_terminal: Shown::WithHost, copies(Way::Terminal);
    plink: Shown::WithBar, runs_id(|login| putty::plink(login, "id -un"));
    psftp: Shown::WithBar, transfers("", putty::psftp);
    dbclient: Shown::AsSent, runs_id(|login| dropbear::dbclient(login, "id -un"));
    lftp_with_askpass: Shown::WithHost, transfers("-o ", lftp::lftp);
    paramiko: Shown::InRounds, runs_python(Python::paramiko);
    asyncssh: Shown::InRounds, runs_python(Python::asyncssh);
}

/// How a client shows a prompt.
#[derive(Clone, Copy)]
enum Shown {
    AsSent,
    /// OpenSSH: `(user@host) ` before it.
    WithHost,
    /// PuTTY: a bar that tells the server's words from its own.
    WithBar,
    /// To a program: one list of prompts per request.
    InRounds,
}

/// A user and a server, and what the user is going to type.
struct Trial<'a> {
    sandbox: &'a Sandbox,
    sshd: &'a Sshd,
    user: &'a User,
    password: &'a str,
    /// One for each login of the job.
    codes: [String; 2],
}

const USER: &str = "alice";
const PASSWORD: &str = "Password: ";
const CODE: &str = "Verification code: ";

fn logs_in(shown: Shown, job: impl FnOnce(&Trial) -> ClientRun + Send) {
    let run = attempt(None, |code| code, job);
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

fn is_refused_for_the_code(shown: Shown, job: impl FnOnce(&Trial) -> ClientRun + Send) {
    let run = attempt(None, |code| oath::wrong(&code), job);
    assert!(!run.success, "{run:?}");
    let asked = [PASSWORD, CODE].map(|prompt| shown.prompt(prompt));
    assert!(run.prompts.starts_with(&asked), "{run:?}");
}

fn is_refused_for_the_password(shown: Shown, job: impl FnOnce(&Trial) -> ClientRun + Send) {
    let run = attempt(Some("not the password"), |code| code, job);
    assert!(!run.success, "{run:?}");
    assert_eq!(
        run.prompts.first(),
        Some(&shown.prompt(PASSWORD)),
        "{run:?}"
    );
    assert!(
        !run.prompts
            .iter()
            .any(|prompt| prompt.contains(CODE.trim())),
        "{run:?}"
    );
}

/// The documented stack, one enrolled user, one job.
fn attempt(
    password: Option<&str>,
    spoil: fn(String) -> String,
    job: impl FnOnce(&Trial) -> ClientRun + Send,
) -> ClientRun {
    sandbox::run(move |sandbox| {
        let user = &sandbox.add_user(USER);
        let module = Module::under_test(sandbox);
        let device = module.enrol_hotp(user);
        sandbox.sshd_stack_after_password(&module.auth_line());
        let sshd = &Sshd::start(sandbox, "", Clock::Real);
        let codes = [device.code(0), device.code(1)].map(spoil);
        let password = password.unwrap_or(&user.password);
        job(&Trial {
            sandbox,
            sshd,
            user,
            password,
            codes,
        })
    })
}

fn ssh(way: Way) -> impl Fn(&Login) -> ClientRun {
    move |login| openssh::ssh(login, way, &[], "id -un")
}

fn sftp(way: Way) -> impl Fn(&Login, &str) -> ClientRun {
    move |login, batch| openssh::sftp(login, way, batch)
}

/// The job of a client for commands: say who one is over there.
fn runs_id(client: impl Fn(&Login) -> ClientRun) -> impl Fn(&Trial) -> ClientRun {
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
fn transfers(
    to: &'static str,
    client: impl Fn(&Login, &str) -> ClientRun,
) -> impl Fn(&Trial) -> ClientRun {
    move |trial| {
        let [sent, returned] = trial.files();
        let batch = format!("put {sent} {to}remote\nget remote {to}{returned}\n");
        let run = client(&trial.login(0), &batch);
        trial.files_are_equal(&run);
        run
    }
}

/// scp does one thing per login.
fn copies(way: Way) -> impl Fn(&Trial) -> ClientRun {
    move |trial| {
        let [sent, returned] = trial.files();
        let put = openssh::scp_put(&trial.login(0), way, Path::new(&sent), "remote");
        if !put.success {
            return put;
        }
        let get = openssh::scp_get(&trial.login(1), way, "remote", Path::new(&returned));
        trial.files_are_equal(&get);
        assert_eq!(put.prompts, get.prompts);
        get
    }
}

/// A library does it all in one session. The environment is made before the sandbox is entered.
fn runs_python(
    client: impl Fn(&Python, &Login, &python::Job) -> ClientRun,
) -> impl Fn(&Trial) -> ClientRun {
    let python = Python::ready();
    move |trial| {
        let [sent, returned] = trial.files();
        let job = python::Job {
            put: sent.as_ref(),
            remote: "remote",
            get: returned.as_ref(),
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
        Login::new(self.sandbox, self.sshd, self.user, &self.codes[n]).with_password(self.password)
    }

    /// A file of 3 MB that compresses badly, and the name for what comes back.
    fn files(&self) -> [String; 2] {
        let [sent, returned] = ["sent", "returned"].map(|name| self.sandbox.path(name));
        let mut random = vec![0; 3_000_000];
        let source = fs::File::open("/dev/urandom").unwrap();
        std::io::Read::read_exact(&mut &source, &mut random).unwrap();
        fs::write(&sent, random).unwrap();
        [sent, returned].map(|path| path.to_str().unwrap().to_owned())
    }

    fn files_are_equal(&self, run: &ClientRun) {
        let hash = |path: &Path| {
            let scratch = self.sandbox.scratch();
            let sum = processes::run(process::Command::new("sha256sum").arg(path), &scratch);
            sum.stdout.split(' ').next().unwrap().to_owned()
        };
        let files = [
            self.sandbox.path("sent"),
            self.user.home.join("remote"),
            self.sandbox.path("returned"),
        ];
        if run.success {
            let [sent, remote, returned] = files.each_ref().map(|path| hash(path));
            assert!(
                sent.len() == 64 && sent == remote && sent == returned,
                "{run:?}"
            );
        } else {
            assert!(!files[1].exists(), "refused, and yet there is a file");
        }
    }
}
