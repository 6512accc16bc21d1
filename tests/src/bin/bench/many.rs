//! What it costs that many users are enrolled: a login beside one on a host with a single user, and beside
//! pam_oath with as many lines; the import of them all; `show`, `list`.
//!
//! All take turns, a few logins at a time, so that whatever else the machine does slows all of them.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;
use tests::built;

use crate::figures::{quartiles, setting};
use crate::plot;
use crate::report::{Goal, Row};

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const SECRET_HEX: &str = "3132333435363738393031323334353637383930";
/// Turns, and our logins in each; pam_oath, which takes its time, has one.
const TURNS: usize = 40;
const LOGINS: usize = 25;

pub fn bench() -> Vec<Row> {
    let most = setting("OTPGATE_BENCH_USERS", 100_000);
    let directory = tempfile::tempdir_in(built::target_directory()).unwrap();
    let place = directory.path();
    println!("\n| with so many users enrolled | median | quartiles |\n| --- | --- | --- |");
    let mut sizes = vec![1, 1000, most / 10, most];
    sizes.dedup();
    let mut hosts: Vec<Measured> = sizes
        .into_iter()
        .map(|users| Measured::new(place, users))
        .collect();
    for turn in 0..TURNS {
        let codes = codes(place, turn * (LOGINS + 1));
        // Each goes first as often as last.
        hosts.reverse();
        for measured in &mut hosts {
            measured.take_a_turn(&codes);
        }
    }
    hosts.sort_by_key(|measured| measured.users);
    for measured in &hosts {
        measured.print();
    }
    plot(&hosts);
    rows(&hosts)
}

/// A host, and what logins cost there.
struct Measured {
    host: Host,
    users: u64,
    ours: Vec<f64>,
    oath: Vec<f64>,
}

impl Measured {
    fn new(place: &Path, users: u64) -> Self {
        Self {
            host: Host::new(place, &users.to_string(), users),
            users,
            ours: Vec::new(),
            oath: Vec::new(),
        }
    }

    /// One in the middle of the file that pam_oath reads from its beginning.
    fn user(&self) -> String {
        format!("u{:07}", self.users / 2)
    }

    fn take_a_turn(&mut self, codes: &Path) {
        let user = self.user();
        let logins = |service, count| self.host.logins(service, &user, codes, count);
        let (ours, oath) = (logins("ours", LOGINS), logins("oath", 1));
        self.ours.extend(ours);
        self.oath.extend(oath);
    }

    fn print(&self) {
        let users = self.users;
        row(&format!("login among {users}, us"), &self.ours);
        row("the same with pam_oath, us", &self.oath);
        if users < 10_000 {
            return;
        }
        let [show, first, list] = self.host.times_to_look(&self.user());
        let figure = |what: &str, figure: f64| println!("| {what} among {users} | {figure:.1} | |");
        figure("`otpgate show`, ms,", show * 1e3);
        figure("first line of `otpgate list`, ms,", first * 1e3);
        figure("`otpgate list`, us a user,", list * 1e6 / users as f64);
        let import = self.host.import * 1e6 / users as f64;
        figure("`otpgate import oath`, us a user,", import);
    }

    fn medians(&self) -> [f64; 2] {
        [&self.ours, &self.oath].map(|micros| quartiles(micros)[1])
    }
}

fn plot(hosts: &[Measured]) {
    let line = |side: usize| -> Vec<(f64, f64)> {
        let point = |measured: &Measured| (measured.users as f64, measured.medians()[side]);
        hosts.iter().map(point).collect()
    };
    plot::scale(&[("otpgate", line(0)), ("pam_oath", line(1))]);
}

fn rows(hosts: &[Measured]) -> Vec<Row> {
    let (Some(one), Some(many)) = (hosts.first(), hosts.last()) else {
        return Vec::new();
    };
    let ([alone, _], [among_many, oath]) = (one.medians(), many.medians());
    let row = |peer, theirs, goal| Row {
        work: format!("login on a host with {} users", many.users),
        unit: "us",
        ours: among_many,
        peer,
        theirs,
        goal,
        floor: None,
    };
    vec![
        row("with one user", alone, Goal::AtMost(1.2)),
        row("pam_oath", oath, Goal::Shown),
    ]
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
