//! `make demo`: a real login through a real sshd, password then code, for a stranger to watch.
//!
//! Everything happens in the end-to-end tests' sandbox: the user, the PAM stack and the state exist in
//! a private mount namespace only, and are gone with it.

use std::io::{self, BufRead as _};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{env, fs, thread};

use tests::clock::Clock;
use tests::oath;
use tests::otpgate::Otpgate;
use tests::processes::{self, Finished};
use tests::sandbox::{self, Sandbox};
use tests::sshd::Sshd;
use tests::users::User;

const USER: &str = "demo";

fn main() {
    let keep = env::var("KEEP").is_ok_and(|keep| keep == "1");
    sandbox::run(|sandbox| demo(sandbox, keep));
}

fn demo(sandbox: &Sandbox, keep: bool) {
    title("A private view of this machine");
    println!(
        "A mount namespace with its own users, PAM stacks and state. Nothing outside it is touched."
    );
    let user = sandbox.add_user_with_password(USER, "correct horse");
    println!("User: {USER}   Password: {}", user.password);

    title("otpgate init; otpgate enroll demo");
    let otpgate = Otpgate::install(sandbox, "issuer = \"otpgate demo\"\n");
    let enrolled = otpgate.run(&["enroll", USER, "--no-confirm", "--label", USER]);
    assert!(enrolled.success(), "{enrolled:?}");
    print!("{}", enrolled.stdout);
    let secret = secret_in(&enrolled.stdout);

    title("One line in /etc/pam.d/sshd, behind the password");
    sandbox.sshd_stack_after_password(&otpgate.auth_line(""));
    show_stack();
    let sshd = Sshd::start(sandbox, "PrintMotd no", Clock::Real);
    println!(
        "Debian's sshd listens on 127.0.0.1 port {}, with PasswordAuthentication no.",
        sshd.port
    );

    title("ssh asks for the password, then for the code");
    let code = oath::totp(&secret, None, "sha1", 6);
    let first = log_in(sandbox, &sshd, &user, &code);
    assert!(first.success(), "the login was refused: {first:?}");

    title("The same code again");
    let second = log_in(sandbox, &sshd, &user, &code);
    assert!(
        !second.success(),
        "the same code was accepted twice: {second:?}"
    );

    title("What the log says");
    sandbox.syslog().wait_for(Duration::from_secs(10), |line| {
        line.contains("reason=replayed")
    });
    for line in sandbox.syslog().lines() {
        print_log_line(&line);
    }

    title("Done: one code, one login");
    if keep {
        stay(sandbox, &sshd, &user, &secret);
    } else {
        println!(
            "Next: `make demo KEEP=1` leaves the server up and tells what to type. For your own server"
        );
        println!("see \"Protect your sshd\" in README.md.");
    }
}

fn title(text: &str) {
    println!("\n\x1b[1m== {text}\x1b[0m");
}

/// The key stands in the text as "key: XXXX XXXX ...".
fn secret_in(text: &str) -> String {
    let line = text
        .lines()
        .find_map(|line| line.split_once("type this key: "));
    line.expect("the key").1.replace(' ', "")
}

fn show_stack() {
    let stack = fs::read_to_string("/etc/pam.d/sshd").unwrap();
    let lines: Vec<&str> = stack.lines().collect();
    let ours = lines
        .iter()
        .position(|line| line.contains("pam_otpgate.so"))
        .unwrap();
    for line in &lines[ours - 1..=ours] {
        println!("    {line}");
    }
}

fn log_in(sandbox: &Sandbox, sshd: &Sshd, user: &User, code: &str) -> Finished {
    let scratch = sandbox.scratch();
    let known_hosts = scratch.join("known_hosts");
    fs::write(
        &known_hosts,
        format!("[127.0.0.1]:{} {}\n", sshd.port, sshd.host_key),
    )
    .unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/demo.exp");
    let mut ssh = Command::new("expect");
    ssh.arg("-f").arg(script).args([
        "ssh",
        "-tt",
        "-F",
        "/dev/null",
        "-p",
        &sshd.port.to_string(),
    ]);
    ssh.arg(format!("-oUserKnownHostsFile={}", known_hosts.display()));
    ssh.args(["-oPubkeyAuthentication=no", "-oNumberOfPasswordPrompts=1"]);
    ssh.arg(format!("{}@127.0.0.1", user.name))
        .arg("echo \"I am $(id -un), and I am in.\"");
    ssh.env("E2E_PASSWORD", &user.password)
        .env("E2E_CODE", code);
    println!("$ ssh -p {} {}@127.0.0.1", sshd.port, user.name);
    let finished = processes::run(&mut ssh, &scratch);
    let shown = finished.stdout.replace("\r\n", "\n");
    println!("{}", shown.trim());
    finished
}

fn stay(sandbox: &Sandbox, sshd: &Sshd, user: &User, secret: &str) {
    let options = "-o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR";
    println!("The server stays up. Scan the QR code above with a phone, then in another terminal:");
    println!("    ssh {options} -p {} {}@127.0.0.1", sshd.port, user.name);
    println!(
        "    sftp {options} -P {} {}@127.0.0.1",
        sshd.port, user.name
    );
    println!(
        "Password: {}   Codes without a phone: oathtool --totp -b {secret}",
        user.password
    );
    println!(
        "A recovery code from above works once. After a few wrong codes even a right one is refused"
    );
    println!("for a while; the log, which follows here, says reason=throttled.");
    println!("Enter ends the demo and removes everything.\n");
    let shown = sandbox.syslog().lines().len();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| follow(sandbox, shown, &done));
        let mut line = String::new();
        // The end of standard input ends the demo too.
        let _ = io::stdin().lock().read_line(&mut line);
        done.store(true, Ordering::Relaxed);
    });
}

/// Prints what the module logs, as it comes.
fn follow(sandbox: &Sandbox, mut shown: usize, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        let lines = sandbox.syslog().lines();
        for line in lines.iter().skip(shown) {
            print_log_line(line);
        }
        shown = lines.len();
        thread::sleep(Duration::from_millis(200));
    }
}

fn print_log_line(line: &str) {
    if line.contains("otpgate: result=") {
        println!("{}", line.split_once('>').map_or(line, |(_, line)| line));
    }
}
