//! `otpgate-askpass`, started as ssh starts it: once per question, by a process that lives on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use support::{RFC_SECRET, now, totp_at};

/// A home with an askpass.toml in it, and the program under its other name.
struct Home {
    root: tempfile::TempDir,
}

/// What became of a question.
#[derive(Debug)]
struct Answer {
    status: i32,
    stdout: String,
    stderr: String,
}

/// Stands in for ssh: a process that asks one question after the other. A shell is no ssh, but what counts
/// is only which process the questions come from.
struct Connection {
    shell: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    errors: PathBuf,
}

const LOGIN: &str = r#"
[[login]]
who = ["alice@server"]
password = { file = "password" }
secret = { file = "secret" }
fingerprints = ["SHA256:known"]
"#;
const PASSWORD: &str = "(alice@server) Password: ";
const CODE: &str = "(alice@server) Verification code: ";

impl Home {
    fn new(config: &str) -> Self {
        let home = Self {
            root: tempfile::tempdir().unwrap(),
        };
        symlink(env!("CARGO_BIN_EXE_otpgate"), home.path("otpgate-askpass")).unwrap();
        home.write("askpass.toml", config);
        home.write("password", "Correct Horse\n");
        home.write("secret", &format!("{RFC_SECRET}\n"));
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        self.mode(name, 0o600);
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("HOME", self.root.path())
            .env("OTPGATE_ASKPASS", self.path("askpass.toml"))
            .env("LC_ALL", "C.UTF-8");
        command
    }

    fn connect(&self) -> Connection {
        let errors = self.path("errors");
        // Questions and answers are lines; a line break in a question is written \n.
        let script = r#"while IFS= read -r q; do
            q=$(printf '%b.' "$q"); q=${q%.}
            a=$("$0" "$q" 2>"$1"); s=$?
            printf '%s %s\n' "$s" "$a"
        done"#;
        let mut shell = self
            .command("sh")
            .args(["-c", script])
            .arg(self.path("otpgate-askpass"))
            .arg(&errors)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Connection {
            questions: shell.stdin.take().unwrap(),
            answers: BufReader::new(shell.stdout.take().unwrap()),
            shell,
            errors,
        }
    }

    /// One question of a connection of its own.
    fn ask(&self, question: &str) -> Answer {
        self.connect().ask(question)
    }
}

impl Connection {
    fn ask(&mut self, question: &str) -> Answer {
        writeln!(self.questions, "{}", question.replace('\n', "\\n")).unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let (status, stdout) = line.trim_end_matches('\n').split_once(' ').unwrap();
        Answer {
            status: status.parse().unwrap(),
            stdout: stdout.to_owned(),
            stderr: fs::read_to_string(&self.errors).unwrap(),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

impl Answer {
    fn given(self) -> String {
        assert_eq!((self.status, self.stderr.as_str()), (0, ""), "{self:?}");
        self.stdout
    }

    fn refused(self, why: &str) {
        assert_eq!((self.status, self.stdout.as_str()), (1, ""), "{self:?}");
        assert!(self.stderr.starts_with("otpgate-askpass: "), "{self:?}");
        assert!(self.stderr.contains(why), "{why}: {self:?}");
        assert!(!self.stderr.contains("Correct Horse"), "{self:?}");
        assert!(!self.stderr.contains(RFC_SECRET), "{self:?}");
    }
}

#[test]
fn password_and_code_of_a_known_login() {
    let home = Home::new(LOGIN);
    let mut ssh = home.connect();
    assert_eq!(ssh.ask(PASSWORD).given(), "Correct Horse");
    let before = now();
    let code = ssh.ask(CODE).given();
    let codes = [before, now()].map(|time| totp_at(time, &[], RFC_SECRET));
    assert!(codes.contains(&code), "{code} is none of {codes:?}");
}

#[test]
fn a_connection_that_asks_twice_is_refused() {
    let home = Home::new(LOGIN);
    let mut ssh = home.connect();
    ssh.ask(CODE).given();
    ssh.ask(CODE).refused("a second time by one connection");
    ssh.ask(PASSWORD).given();
    ssh.ask(PASSWORD).refused("a second time by one connection");
}

#[test]
fn questions_of_nobody_known_are_refused() {
    let home = Home::new(LOGIN);
    let mut ssh = home.connect();
    let huge = format!("{CODE}{}", "x".repeat(100_000));
    for (question, why) in [
        (
            "(alice@evil) Verification code: ",
            "this login is not known",
        ),
        (
            "(alice@evil) (alice@server) Verification code: ",
            "this login is not known",
        ),
        ("Verification code: ", "allow_unprefixed"),
        (
            "(alice@server) What is your name? ",
            "this question is not known",
        ),
        ("alice@server's password: ", "this question is not known"),
        ("(alice@server) Password: \x1b[31m", "control characters"),
        ("--help", "this question is not known"),
        (&huge, "too long"),
    ] {
        let answer = ssh.ask(question);
        assert!(!answer.stderr.contains('\x1b'), "{answer:?}");
        assert!(answer.stderr.len() < 1000, "{answer:?}");
        answer.refused(why);
    }
}

#[test]
fn a_used_time_step_is_waited_for_and_not_replayed() {
    let home = Home::new(&format!("{LOGIN}period = 2\n"));
    let mut codes: Vec<String> = (0..3).map(|_| home.ask(CODE).given()).collect();
    codes.dedup();
    assert_eq!(codes.len(), 3, "{codes:?}");
}

#[test]
fn connections_at_once_get_a_code_of_their_own_each() {
    let home = Home::new(&format!("{LOGIN}kind = \"hotp\"\n"));
    let mut connections: Vec<Connection> = (0..8).map(|_| home.connect()).collect();
    for ssh in &mut connections {
        writeln!(ssh.questions, "{CODE}").unwrap();
    }
    let answer = |ssh: &mut Connection| {
        let mut line = String::new();
        ssh.answers.read_line(&mut line).unwrap();
        line.trim()
            .strip_prefix("0 ")
            .unwrap_or_else(|| panic!("{line}"))
            .to_owned()
    };
    let mut codes: Vec<String> = connections.iter_mut().map(answer).collect();
    codes.sort();
    // RFC 4226, appendix D.
    let mut vectors = [
        "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
    ];
    vectors.sort_unstable();
    assert_eq!(codes, vectors);
}

#[test]
fn a_counter_begins_where_the_configuration_says_and_outlives_it() {
    let home = Home::new(&format!("{LOGIN}kind = \"hotp\"\ncounter = 4\n"));
    assert_eq!(home.ask(CODE).given(), "338314");
    // An older counter reopens nothing.
    home.write("askpass.toml", &format!("{LOGIN}kind = \"hotp\"\n"));
    assert_eq!(home.ask(CODE).given(), "254676");
}

#[test]
fn no_code_without_a_place_to_remember_it() {
    let home = Home::new(&format!("state_dir = \"state\"\n{LOGIN}kind = \"hotp\"\n"));
    home.write("state", "in the way");
    home.ask(CODE).refused("cannot make");
    fs::remove_file(home.path("state")).unwrap();
    home.ask(CODE).given();
    home.write("state/used.json", "damaged");
    home.ask(CODE).refused("is damaged");
}

#[test]
fn a_wait_beyond_the_longest_is_refused_and_takes_no_code() {
    let home = Home::new(&format!("longest_wait = \"1s\"\n{LOGIN}period = 86400\n"));
    home.ask(CODE).given();
    home.ask(CODE).refused("longest_wait is 1 s");
    home.ask(CODE).refused("longest_wait is 1 s");
}

#[test]
fn files_that_others_may_read_or_have_planted_are_refused() {
    let home = Home::new(LOGIN);
    for name in ["askpass.toml", "password"] {
        for mode in [0o640, 0o604, 0o620] {
            home.mode(name, mode);
            home.ask(PASSWORD).refused("chmod 600");
        }
        home.mode(name, 0o600);
        fs::rename(home.path(name), home.path("elsewhere")).unwrap();
        symlink(home.path("elsewhere"), home.path(name)).unwrap();
        home.ask(PASSWORD).refused("is a symbolic link");
        fs::remove_file(home.path(name)).unwrap();
        home.ask(PASSWORD).refused("is not there");
        let fifo = Command::new("mkfifo")
            .arg("-m600")
            .arg(home.path(name))
            .status();
        assert!(fifo.unwrap().success());
        home.ask(PASSWORD).refused("is not a regular file");
        fs::remove_file(home.path(name)).unwrap();
        fs::rename(home.path("elsewhere"), home.path(name)).unwrap();
        home.ask(PASSWORD).given();
    }
}

#[test]
fn answers_from_commands() {
    let command = |words: &str| {
        let login = LOGIN.replace(
            "{ file = \"password\" }",
            &format!("{{ command = {words} }}"),
        );
        Home::new(&login).ask(PASSWORD)
    };
    assert_eq!(
        command(r#"["printf", "from elsewhere\nmore"]"#).given(),
        "from elsewhere"
    );
    command(r#"["false"]"#).refused("ended with exit status: 1");
    command(r#"["true"]"#).refused("is no answer");
    command(r#"["sh", "-c", "yes Correct Horse"]"#).refused("more than 512 bytes");
    command(r#"["/no/such/program"]"#).refused("cannot start");
    command("[]").refused("names no program");
}

#[test]
fn a_ready_code_from_a_command() {
    let code = "code = { command = [\"echo\", \"123456\"] }";
    let home = Home::new(&LOGIN.replace("secret = { file = \"secret\" }", code));
    assert_eq!(home.ask(CODE).given(), "123456");
}

#[test]
fn answers_from_the_kernels_keyring() {
    let home =
        Home::new(&LOGIN.replace("{ file = \"password\" }", "{ keyring = \"otpgate-test\" }"));
    home.ask(PASSWORD).refused("keyctl padd user otpgate-test");
    // keyctl has a session keyring of its own made, which ends with it.
    let script = "printf %s 'in the kernel' | keyctl padd user otpgate-test @s >/dev/null && \"$0\" \"$1\"; exit $?";
    let output = home
        .command("keyctl")
        .args(["session", "-", "sh", "-c", script])
        .arg(home.path("otpgate-askpass"))
        .arg(PASSWORD)
        .output()
        .expect("keyutils is missing");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "in the kernel\n",
        "{output:?}"
    );
}

#[test]
fn a_host_key_is_answered_with_its_known_fingerprint_alone() {
    let home = Home::new(LOGIN);
    let about = |fingerprint: &str| {
        format!(
            "The authenticity of host 'server (192.0.2.1)' can't be established.\n\
             ED25519 key fingerprint is {fingerprint}.\n\
             Are you sure you want to continue connecting (yes/no/[fingerprint])? "
        )
    };
    assert_eq!(home.ask(&about("SHA256:known")).given(), "SHA256:known");
    home.ask(&about("SHA256:other"))
        .refused("this host key is in no login's fingerprints");
}

#[test]
fn the_command_and_the_link_are_the_same_and_the_rest_is_told() {
    let home = Home::new(LOGIN);
    let otpgate = |arguments: &[&str]| {
        let mut command = home.command(env!("CARGO_BIN_EXE_otpgate"));
        support::feed(command.args(arguments), "")
    };
    let shell = "\"$0\" askpass \"$1\"; exit $?";
    let ran = support::feed(
        home.command("sh")
            .args(["-c", shell, env!("CARGO_BIN_EXE_otpgate"), PASSWORD]),
        "",
    );
    assert_eq!(
        (ran.status, ran.stdout.as_str()),
        (0, "Correct Horse\n"),
        "{ran:?}"
    );

    let tested = otpgate(&["askpass", "--test"]);
    assert_eq!(
        tested.stdout, "alice@server: can be answered\n",
        "{tested:?}"
    );
    home.mode("secret", 0o644);
    let tested = otpgate(&["askpass", "--test", "--json"]);
    assert_eq!(tested.status, 1, "{tested:?}");
    assert!(tested.stdout.contains("chmod 600"), "{tested:?}");
    assert_eq!(otpgate(&["askpass"]).status, 2);
}

#[test]
fn run_sets_what_ssh_needs_for_one_command() {
    let home = Home::new(LOGIN);
    let own = home.path("otpgate");
    support::copy_command(&own);
    let run = |script: &str| {
        let mut command = home.command(own.to_str().unwrap());
        support::feed(command.args(["askpass", "--run", "sh", "-c", script]), "")
    };
    let ran = run("echo $SSH_ASKPASS_REQUIRE; $SSH_ASKPASS '(alice@server) Password: '; exit 7");
    assert_eq!(
        (ran.status, ran.stdout.as_str()),
        (7, "force\nCorrect Horse\n"),
        "{ran:?}"
    );
    fs::remove_file(home.path("otpgate-askpass")).unwrap();
    let ran = run("true");
    assert_eq!(ran.status, 2, "{ran:?}");
    assert!(ran.stderr.contains("ln -s"), "{ran:?}");
}

#[test]
fn a_home_of_somebody_else_is_not_written_to() {
    let home = Home::new(LOGIN);
    // Of root's, or of nobody's for root.
    let elsewhere = if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(home.root.path(), Some(12_345), None).unwrap();
        home.root.path()
    } else {
        std::path::Path::new("/")
    };
    let mut command = home.command("sh");
    let shell = "\"$0\" \"$1\"; exit $?";
    command
        .args(["-c", shell])
        .arg(home.path("otpgate-askpass"))
        .arg(PASSWORD)
        .env("HOME", elsewhere);
    let ran = support::feed(&mut command, "");
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(
        ran.stderr.contains("HOME is no directory of this user's"),
        "{ran:?}"
    );
    assert!(!elsewhere.join(".local/state/otpgate").exists());
}
