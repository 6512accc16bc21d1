//! The samples in `examples/` do what they say, on real servers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::clients::Login;
use tests::clients::openssh::{self, Way};
use tests::clients::python::Python;
use tests::clock::Clock;
use tests::oath;
use tests::otpgate::Otpgate;
use tests::processes;
use tests::promises::Program;
use tests::sandbox::{self, Sandbox};
use tests::server::Endpoint;
use tests::sshd::Sshd;
use tests::unattended::{Robot, Secret};
use tests::users::User;

const PASSWORD: &str = "(alice@127.0.0.1) Password: ";
const CODE: &str = "(alice@127.0.0.1) Verification code: ";
const ELSEWHERE: &str = "-oBindAddress=127.0.0.2";

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples")
        .join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(sample(name)).unwrap()
}

/// A machine that was set up with the samples.
struct Host<'a> {
    sandbox: &'a Sandbox,
    otpgate: Otpgate<'a>,
    alice: User,
    secret: String,
}

impl<'a> Host<'a> {
    /// With these rules, and the samples' PAM lines.
    fn new(sandbox: &'a Sandbox, rules: &str) -> Self {
        let otpgate = Otpgate::install(sandbox, rules);
        otpgate.install_module();
        for service in ["sshd", "sudo"] {
            sandbox.pam_service(service, &text(&format!("pam.d/{service}")));
        }
        let alice = sandbox.add_user("alice");
        let secret = otpgate.enroll("alice", &["--hotp"]).secret;
        Self {
            sandbox,
            otpgate,
            alice,
            secret,
        }
    }

    fn code(&self, n: u64) -> String {
        oath::hotp(&self.secret, n, 6)
    }

    /// Starts sshd with a sample of sshd_config, which may end in a Match block.
    fn sshd(&self, sample: &str) -> Sshd {
        let file = self.sandbox.scratch().join("sample.conf");
        fs::write(&file, sample).unwrap();
        Sshd::start(
            self.sandbox,
            &format!("Include {}", file.display()),
            Clock::Real,
        )
    }

    /// Whether `id -un` works as this user, and what was asked.
    fn asked(
        &self,
        user: &User,
        server: &Endpoint,
        code: &str,
        options: &[&str],
    ) -> (bool, Vec<String>) {
        let login = Login::new(self.sandbox, server, user, code);
        let run = openssh::ssh(&login, Way::Askpass, options, "id -un");
        (run.success, run.prompts)
    }
}

fn both() -> Vec<String> {
    vec![PASSWORD.to_owned(), CODE.to_owned()]
}

#[test]
fn everybody() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox, &text("policies/everybody/otpgate.toml"));
        let sshd = host
            .sshd(&text("sshd_config.d/otpgate.conf").replace("publickey,keyboard", "keyboard"));
        assert_eq!(
            host.asked(&host.alice, &sshd, &host.code(0), &[]),
            (true, both())
        );
        let bob = sandbox.add_user("bob");
        let (let_in, prompts) = host.asked(&bob, &sshd, "123456", &[]);
        assert!(!let_in && prompts.len() == 2, "{prompts:?}");
    });
}

#[test]
fn only_wheel() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox, &text("policies/only-wheel/otpgate.toml"));
        let sshd = host.sshd("");
        let password_alone = (true, vec![PASSWORD.to_owned()]);
        assert_eq!(host.asked(&host.alice, &sshd, "", &[]), password_alone);
        let groups = fs::read_to_string("/etc/group").unwrap();
        fs::write("/etc/group", format!("{groups}wheel:x:60900:alice\n")).unwrap();
        assert_eq!(
            host.asked(&host.alice, &sshd, &host.code(0), &[]),
            (true, both())
        );
    });
}

#[test]
fn outside_the_office() {
    sandbox::run(|sandbox| {
        let rules = text("policies/outside-the-office/otpgate.toml");
        assert!(rules.contains("192.0.2.0/24"));
        let host = Host::new(sandbox, &rules.replace("192.0.2.0/24", "127.0.0.2/32"));
        let sshd = host.sshd("");
        let (let_in, prompts) = host.asked(&host.alice, &sshd, "", &[ELSEWHERE]);
        assert_eq!(
            (let_in, prompts),
            (true, vec![PASSWORD.to_owned()]),
            "in the office"
        );
        assert_eq!(
            host.asked(&host.alice, &sshd, &host.code(0), &[]),
            (true, both())
        );
        assert!(
            !host.asked(&host.alice, &sshd, &host.code(0), &[]).0,
            "used up"
        );
    });
}

#[test]
fn key_or_password_and_code() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox, "");
        let sshd = host.sshd(&text("policies/key-or-password-and-code/sshd_config"));
        let key = sandbox.key_pair();
        host.alice.authorize(&key);
        let identity = format!("-oIdentityFile={}", key.private.display());
        assert_eq!(
            host.asked(&host.alice, &sshd, "", &[&identity]),
            (true, vec![])
        );
        assert_eq!(
            host.asked(&host.alice, &sshd, &host.code(0), &[]),
            (true, both())
        );
        assert!(!host.asked(&host.alice, &sshd, "", &[]).0);
    });
}

#[test]
fn sftp_only() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox, "");
        let groups = fs::read_to_string("/etc/group").unwrap();
        fs::write("/etc/group", format!("{groups}sftponly:x:60900:alice\n")).unwrap();
        let config = text("policies/sftp-only/sshd_config");
        assert!(config.contains("/srv/sftp"));
        let place = sandbox.path("sftp");
        let files = place.join("alice/files");
        fs::create_dir_all(&files).unwrap();
        std::os::unix::fs::chown(&files, Some(host.alice.uid), Some(host.alice.uid)).unwrap();
        let sshd = host.sshd(&config.replace("/srv/sftp", place.to_str().unwrap()));
        let work = sandbox.path("work");
        fs::write(&work, "work").unwrap();
        let login = Login::new(sandbox, &sshd, &host.alice, host.code(0));
        let put = openssh::sftp(
            &login,
            Way::Askpass,
            &format!("put {} there\n", work.display()),
        );
        assert!(put.success, "{put:?}");
        assert_eq!(put.prompts, both());
        assert_eq!(fs::read_to_string(files.join("there")).unwrap(), "work");
        let shell = Login::new(sandbox, &sshd, &host.alice, host.code(1));
        let shell = openssh::ssh(&shell, Way::Askpass, &[], "id -un");
        assert!(!shell.stdout.contains("alice"), "{shell:?}");
        let without = Login::new(sandbox, &sshd, &host.alice, "");
        assert!(!openssh::sftp(&without, Way::Askpass, "pwd\n").success);
    });
}

#[test]
fn sudo() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox, &text("policies/sudo/otpgate.toml"));
        let sshd = host.sshd("");
        let password_alone = (true, vec![PASSWORD.to_owned()]);
        assert_eq!(host.asked(&host.alice, &sshd, "", &[]), password_alone);
        let become_root = |answers: &str| {
            let input = sandbox.scratch().join("answers");
            fs::write(&input, answers).unwrap();
            let mut command = host.otpgate.command();
            command.args(["test-login", "sudo", "alice"]);
            let mut shell = Command::new("sh");
            shell
                .args(["-c", "exec \"$@\" <\"$0\""])
                .arg(input)
                .arg(command.get_program())
                .args(command.get_args());
            processes::run(&mut shell, &sandbox.scratch())
        };
        let password = &host.alice.password;
        let with_code = become_root(&format!("{password}\n{}\n", host.code(0)));
        assert!(with_code.success(), "{with_code:?}");
        let without = become_root(&format!("{password}\n{}\n", host.code(0)));
        assert!(!without.success(), "{without:?}");
    });
}

/// Runs a sample client as somebody who has nothing but the server's host key, a password and a secret.
/// A second login within the time step must be refused: the code is used up.
fn client_logs_in(program: Program, client: impl FnOnce(&Endpoint) -> Command + Send) {
    sandbox::run(move |sandbox| {
        let otpgate = Otpgate::install(sandbox, "");
        let alice = sandbox.add_user("alice");
        let secret = otpgate.enroll("alice", &[]).secret;
        sandbox.sshd_stack_after_password(&otpgate.auth_line(""));
        let server = program.start(sandbox);
        let home = sandbox.path("root");
        let file = |name: &str, text: &str| {
            let path = home.join(name);
            fs::write(&path, format!("{text}\n")).unwrap();
            path
        };
        fs::create_dir(home.join(".ssh")).unwrap();
        let known = format!("[127.0.0.1]:{} {}", server.port, server.host_key);
        file(".ssh/known_hosts", &known);
        let mut command = client(&server);
        command
            .env_clear()
            .env("HOME", &home)
            .env("PATH", "/usr/bin:/bin")
            .env("PASSWORD_FILE", file("password", &alice.password))
            .env("SECRET_FILE", file("secret", &secret));
        let run = processes::run(&mut command, &sandbox.scratch());
        assert!(run.success(), "{run:?}");
        assert_eq!(run.stdout, "alice\n");
        assert_eq!(otpgate.failures("alice"), 0);

        command.env(
            "SECRET_FILE",
            file("other", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"),
        );
        let refused = processes::run(&mut command, &sandbox.scratch());
        assert!(!refused.success(), "{refused:?}");
        assert_eq!(otpgate.failures("alice"), 1, "{refused:?}");

        file(
            ".ssh/known_hosts",
            &format!("[127.0.0.1]:{} {}", server.port, sandbox.key_pair().public),
        );
        let foreign = processes::run(&mut command, &sandbox.scratch());
        assert!(!foreign.success(), "{foreign:?}");
        assert_eq!(otpgate.failures("alice"), 1, "asked nothing: {foreign:?}");
    });
}

fn python(program: Program, script: &str) {
    let python = Python::ready().program("python");
    client_logs_in(program, |server| {
        let mut command = Command::new(python);
        command
            .arg("-B")
            .arg(sample("clients").join(script))
            .arg(format!("alice@127.0.0.1:{}", server.port))
            .arg("id -un");
        command
    });
}

fn russh(program: Program) {
    client_logs_in(program, |server| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_log_in_with_russh"));
        let port = server.port.to_string();
        command.args(["alice", "127.0.0.1", &port, "id -un"]);
        command
    });
}

fn shell(program: Program) {
    sandbox::run(move |sandbox| {
        let otpgate = Otpgate::install(sandbox, "");
        let alice = sandbox.add_user("alice");
        let secret = Secret::hotp(&otpgate, "alice");
        sandbox.sshd_stack_after_password(&otpgate.auth_line(""));
        let server = program.start(sandbox);
        let robot = Robot::new(sandbox);
        robot.answer_for("alice@127.0.0.1", &alice, &secret, "");
        robot.know(&server, &alice, "");
        robot
            .user
            .write("job.sh", text("clients/nightly_backup.sh"), 0o700);
        robot.must("unset SSH_ASKPASS SSH_ASKPASS_REQUIRE; mkdir work; echo 1 >work/one; ./job.sh work server; ! ls *.tar.gz");
        let there = fs::read_dir(&alice.home).unwrap();
        let names = there.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert!(names.into_iter().any(|name| name.ends_with(".tar.gz")));
    });
}

macro_rules! on_both_servers {
    ($($name:ident: $run:expr;)*) => { $(
        mod $name {
            use super::*;

            #[test]
            fn on_sshd() {
                $run(Program::Sshd);
            }

            #[test]
            fn on_otpgate_sshd() {
                $run(Program::Frontend);
            }
        }
    )* };
}

on_both_servers! {
    paramiko: |program| python(program, "log_in_with_paramiko.py");
    asyncssh: |program| python(program, "log_in_with_asyncssh.py");
    log_in_with_russh: russh;
    nightly_backup: shell;
}
