//! What it costs that a million users are enrolled: a login beside one on a host with a single user, and beside
//! pam_oath with as many lines; the import of them all; `show`, `list`.
//!
//! The three take turns, a few logins at a time, so that whatever else the machine does slows all of them.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;
use tests::built;

use crate::figures::{quartiles, setting};

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const SECRET_HEX: &str = "3132333435363738393031323334353637383930";
/// Turns, and our logins in each; pam_oath, which takes its time, has one.
const TURNS: usize = 40;
const LOGINS: usize = 25;

pub fn bench() {
    let users = setting("OTPGATE_BENCH_USERS", 100_000);
    let directory = tempfile::tempdir_in(built::target_directory()).unwrap();
    let place = directory.path();
    println!("\n| with {users} users enrolled | median | quartiles |\n| --- | --- | --- |");
    let one = Host::new(place, "one", 1);
    let many = Host::new(place, "many", users);
    let user = format!("u{:07}", users / 2);
    let (mut alone, mut among_many, mut oath) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..TURNS {
        let first = turn * (LOGINS + 1);
        let codes = codes(place, first);
        // Each side goes first half of the time.
        let mut ours = [
            (&one, "u0000000", &mut alone),
            (&many, &user, &mut among_many),
        ];
        if turn % 2 == 1 {
            ours.reverse();
        }
        for (host, user, micros) in ours {
            micros.extend(host.logins("ours", user, &codes, LOGINS));
        }
        oath.extend(many.logins("oath", &user, &codes, 1));
    }
    row("login on a host with one user, us", &alone);
    row("login among them, us", &among_many);
    row("the same with pam_oath, us", &oath);
    let [show, first, list] = many.times_to_look(&user);
    println!("| `otpgate show`, ms | {:.1} | |", show * 1e3);
    println!(
        "| first line of `otpgate list`, ms | {:.1} | |",
        first * 1e3
    );
    println!(
        "| `otpgate list`, us a user | {:.1} | |",
        list * 1e6 / users as f64
    );
    println!(
        "| `otpgate import oath`, us a user | {:.1} | |",
        many.import * 1e6 / users as f64
    );
    let median = |micros: &[f64]| quartiles(micros)[1];
    println!("\n| ratio | goal | measured |\n| --- | --- | --- |");
    println!(
        "| login among {users} / with one | at most 1.2 | {:.2} |",
        median(&among_many) / median(&alone)
    );
    println!(
        "| pam_oath / otpgate among {users} | | {:.0} |",
        median(&oath) / median(&among_many)
    );
}

fn row(name: &str, micros: &[f64]) {
    let [low, median, high] = quartiles(micros);
    println!("| {name} | {median:.0} | {low:.0} to {high:.0} |");
}

/// The codes of a turn, one more than it needs: the handle is warmed with one.
fn codes(place: &Path, first: usize) -> PathBuf {
    let output = Command::new("oathtool")
        .args(["--hotp", "--base32", &format!("--counter={first}")])
        .args([&format!("--window={LOGINS}"), SECRET])
        .output()
        .unwrap();
    let path = place.join("codes");
    fs::write(&path, output.stdout).unwrap();
    path
}

/// A store, a users file with the same people for pam_oath, and the PAM services.
struct Host {
    directory: PathBuf,
    /// Seconds that the import took.
    import: f64,
}

impl Host {
    fn new(place: &Path, name: &str, users: u64) -> Self {
        let directory = place.join(name);
        fs::create_dir_all(directory.join("pam.d")).unwrap();
        let mut host = Self {
            directory,
            import: 0.0,
        };
        let (config, file) = (host.path("otpgate.toml"), host.path("users.oath"));
        let state = host.path("state");
        fs::write(&config, format!("state_dir = \"{}\"\n", state.display())).unwrap();
        write_users(&file, users);
        succeed(host.otpgate(&["init"]).stdout(Stdio::null()));
        let start = Instant::now();
        let import = ["import", "oath", file.to_str().unwrap()];
        succeed(host.otpgate(&import).stdout(Stdio::null()));
        host.import = start.elapsed().as_secs_f64();
        let module = built::release("OTPGATE_MODULE", "libpam_otpgate.so");
        let ours = format!(
            "auth required {} config={} no_delay\n",
            module.display(),
            config.display()
        );
        fs::write(host.path("pam.d/ours"), ours).unwrap();
        let theirs = format!(
            "auth required pam_oath.so usersfile={} window=60\n",
            file.display()
        );
        fs::write(host.path("pam.d/oath"), theirs).unwrap();
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn otpgate(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(built::release("OTPGATE_COMMAND", "otpgate"));
        command
            .arg("--config")
            .arg(self.path("otpgate.toml"))
            .args(arguments);
        command
    }

    fn logins(&self, service: &str, user: &str, codes: &Path, count: usize) -> Vec<f64> {
        let mut app = Command::new(std::env::current_exe().unwrap().with_file_name("pam_app"));
        app.arg("--confdir").arg(self.path("pam.d"));
        app.args(["--service", service, "--user", user, "--rhost", "192.0.2.7"]);
        app.args(["--warm", "--repeat", &count.to_string(), "--continue"]);
        let output = app.arg("--answers-file").arg(codes).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let calls = report["calls"].as_array().unwrap();
        let micros = |call: &Value| {
            assert_eq!(call["code"], "PAM_SUCCESS", "{service} {user}: {call}");
            call["micros"].as_f64().unwrap()
        };
        calls.iter().map(micros).collect()
    }

    /// Seconds for `show`, for the first line of `list`, and for all of it.
    fn times_to_look(&self, user: &str) -> [f64; 3] {
        let start = Instant::now();
        succeed(self.otpgate(&["show", user]).stdout(Stdio::null()));
        let show = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let mut list = self.otpgate(&["list"]);
        let mut list = list.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(list.stdout.take().unwrap()).lines();
        assert!(lines.next().is_some());
        let first = start.elapsed().as_secs_f64();
        assert!(lines.all(|line| line.is_ok()));
        assert!(list.wait().unwrap().success());
        [show, first, start.elapsed().as_secs_f64()]
    }
}

fn write_users(path: &Path, users: u64) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    for number in 0..users {
        writeln!(file, "HOTP u{number:07} - {SECRET_HEX} 0").unwrap();
    }
    file.flush().unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn succeed(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}
