//! `make demo`: otpgate-sshd without root, for a stranger to watch: files by sftp, password then code.
//!
//! Everything lies in one temporary directory, runs as whoever calls, and is gone at the end: no file of
//! the system is touched, and none of the user's.

use std::io::{self, BufRead as _};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{env, fs, process, thread};

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{User, getuid};
use tempfile::TempDir;
use tests::files;
use tests::frontend::Frontend;
use tests::oath;
use tests::processes::{self, Finished};
use tests::rootless::{Artefacts, Rootless};

/// The port of the demo, if nobody has it.
const PORT: u16 = 2222;

fn main() {
    let keep = env::var("KEEP").is_ok_and(|keep| keep == "1");
    let directory = tempfile::Builder::new()
        .prefix("otpgate-demo-")
        .tempdir()
        .unwrap();
    tidy_up_on_signals(directory.path());
    let demo = Demo::prepare(&directory);
    demo.run(keep);
}

/// A server of the caller's own, with a password and a device that nobody else has.
struct Demo<'a> {
    directory: &'a Path,
    user: String,
    password: String,
    rootless: Rootless,
}

impl<'a> Demo<'a> {
    fn prepare(directory: &'a TempDir) -> Self {
        title("A server of your own, without root");
        let directory = directory.path();
        let user = User::from_uid(getuid())
            .unwrap()
            .expect("a user with a name")
            .name;
        let password = password();
        let port = port();
        let rootless = Rootless::prepare(directory, Artefacts::built(), &password, port);
        if getuid().is_root() {
            rootless.serve_root(port);
            println!("You are root, so it is root's; any other user can do the same.");
        }
        println!(
            "Its files are in {}, and are removed at the end.",
            directory.display()
        );
        println!("User: {user}   Password: {password}");
        Self {
            directory,
            user,
            password,
            rootless,
        }
    }

    fn run(&self, keep: bool) {
        title(&format!("otpgate init; otpgate enroll {}", self.user));
        self.otpgate(&["init"]);
        let enrolled = self.otpgate(&["enroll", &self.user, "--no-confirm", "--label", &self.user]);
        print!("{enrolled}");
        let secret = secret_in(&enrolled);

        title("The server's PAM stack: a password, then the code");
        show(&self.rootless.stack(), "auth");
        let server = Frontend::launch(
            self.rootless.server(),
            self.directory,
            &self.rootless.host_key,
        );
        println!("otpgate-sshd listens on 127.0.0.1 port {}.", server.port);

        title("sftp asks for the password, then for the code");
        let code = oath::totp(&secret, None, "sha1", 6);
        self.files_travel(&server, &code);

        title("The same code again");
        let again = self.sftp(&server, &code, "pwd\n");
        assert!(
            !again.success(),
            "the same code was accepted twice: {again:?}"
        );

        title("What the server's log says");
        print!("{}", server.log());

        title("Done: one code, one login");
        if keep {
            self.stay(&server, &secret);
        } else {
            println!(
                "Next: `make demo KEEP=1` leaves the server up and tells what to type. For a server of"
            );
            println!("yours see README.md.");
        }
    }

    /// A file there and back, and both compared with the first.
    fn files_travel(&self, server: &Frontend, code: &str) {
        let [letter, there, back] =
            ["letter", "there", "back"].map(|name| self.directory.join(name));
        files::write_random(&letter, 1_000_000);
        let (from, to, returned) = (letter.display(), there.display(), back.display());
        let run = self.sftp(
            server,
            code,
            &format!("put {from} {to}\nget {to} {returned}\n"),
        );
        assert!(run.success(), "the login was refused: {run:?}");
        assert!(
            files::are_equal(&[&letter, &there, &back]),
            "the files differ"
        );
        println!("1 MB there and back, and not a bit has changed.");
    }

    /// Runs sftp on a terminal, where both prompts are answered.
    fn sftp(&self, server: &Frontend, code: &str, commands: &str) -> Finished {
        let batch = self.directory.join("batch");
        fs::write(&batch, commands).unwrap();
        let known_hosts = self.directory.join("known_hosts");
        let (port, destination) = (server.port, format!("{}@127.0.0.1", self.user));
        let known = format!("[127.0.0.1]:{port} {}\n", server.host_key);
        fs::write(&known_hosts, known).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/demo.exp");
        let mut sftp = Command::new("expect");
        sftp.arg("-f")
            .arg(script)
            .args(["sftp", "-q", "-F", "/dev/null"]);
        sftp.arg(format!("-oUserKnownHostsFile={}", known_hosts.display()));
        sftp.args(["-oPubkeyAuthentication=no", "-oNumberOfPasswordPrompts=1"]);
        sftp.args(["-oBatchMode=no", "-P", &port.to_string(), "-b"])
            .arg(batch);
        sftp.arg(&destination);
        sftp.env("E2E_PASSWORD", &self.password)
            .env("E2E_CODE", code);
        println!("$ sftp -P {port} {destination}");
        let finished = processes::run(&mut sftp, self.directory);
        println!("{}", finished.stdout.replace("\r\n", "\n").trim());
        finished
    }

    fn otpgate(&self, arguments: &[&str]) -> String {
        let finished = processes::run(&mut self.rootless.otpgate(arguments), self.directory);
        assert!(finished.success(), "otpgate {arguments:?}: {finished:?}");
        finished.stdout
    }

    fn stay(&self, server: &Frontend, secret: &str) {
        let options =
            "-o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR";
        let (port, user) = (server.port, &self.user);
        println!(
            "The server stays up. Scan the QR code above with a phone, then in another terminal:"
        );
        println!("    sftp {options} -P {port} {user}@127.0.0.1");
        println!("    ssh {options} -p {port} {user}@127.0.0.1");
        println!(
            "Password: {}   Codes without a phone: oathtool --totp -b {secret}",
            self.password
        );
        println!(
            "A recovery code from above works once. After a few wrong codes even a right one is refused"
        );
        println!("for a while. The server's log follows here.");
        println!("Enter ends the demo and removes everything.\n");
        until_enter(|done| follow(server, done));
    }
}

fn title(text: &str) {
    println!("\n\x1b[1m== {text}\x1b[0m");
}

/// The lines of a stack that begin with this.
fn show(stack: &str, facility: &str) {
    for line in stack.lines().filter(|line| line.starts_with(facility)) {
        println!("    {line}");
    }
}

/// Of this demo only; a word that is easily typed.
fn password() -> String {
    let mut random = [0; 10];
    let mut source = fs::File::open("/dev/urandom").unwrap();
    io::Read::read_exact(&mut source, &mut random).unwrap();
    random
        .iter()
        .map(|byte| char::from(b'a' + byte % 26))
        .collect()
}

/// [`PORT`], or another one if that is taken.
fn port() -> u16 {
    let taken = std::net::TcpListener::bind(("127.0.0.1", PORT)).is_err();
    if taken {
        println!("Port {PORT} is taken by another program: a free one it is.");
        return 0;
    }
    PORT
}

/// The key stands in the text as "key: XXXX XXXX ...".
fn secret_in(text: &str) -> String {
    let line = text
        .lines()
        .find_map(|line| line.split_once("type this key: "));
    line.expect("the key").1.replace(' ', "")
}

/// Does something until Enter, or the end of standard input.
fn until_enter(meanwhile: impl FnOnce(&AtomicBool) + Send) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| meanwhile(&done));
        let _ = io::stdin().lock().read_line(&mut String::new());
        done.store(true, Ordering::Relaxed);
    });
}

/// A signal that ends the program ends its servers too, and removes what they had.
fn tidy_up_on_signals(directory: &Path) {
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]
        .into_iter()
        .collect();
    // Before there is another thread, which would not have them blocked.
    signals.thread_block().unwrap();
    let directory = directory.to_owned();
    thread::spawn(move || {
        let _ = signals.wait();
        processes::kill_descendants();
        let _ = fs::remove_dir_all(directory);
        process::exit(130);
    });
}

/// Prints what the server logs, as it comes.
fn follow(server: &Frontend, done: &AtomicBool) {
    let mut shown = server.log().lines().count();
    while !done.load(Ordering::Relaxed) {
        let log = server.log();
        for line in log.lines().skip(shown) {
            println!("{line}");
            shown += 1;
        }
        thread::sleep(Duration::from_millis(200));
    }
}
