//! What the module costs, beside pam_google_authenticator, on one file system.
//!
//! Each row is the median over logins on a warm PAM handle. Syslog is drained by the sandbox.

use std::fs;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::Value;
use tests::built;

use crate::figures::median;

/// Logins per round.
const LOGINS: usize = 300;
/// Rounds; the sides take turns.
const ROUNDS: usize = 5;
const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const CONFDIR: &str = "pam.d";

pub fn bench() {
    let directory = tempfile::tempdir_in(built::target_directory()).unwrap();
    let place = Place::prepare(directory.path());
    let mut rows: Vec<(&str, Vec<f64>)> = Vec::new();
    let mut next = 1;
    for _ in 0..ROUNDS {
        let codes = place.codes(next);
        let measured = [
            ("floor: 4 KiB overwritten and fdatasync", place.floor()),
            (
                "otpgate, right code, committed",
                place.logins("ours", "alice", Answers::File(&codes)),
            ),
            (
                "google-authenticator, right code",
                place.logins("theirs", "root", Answers::File(&codes)),
            ),
            (
                "otpgate, right code, sealed",
                place.logins("sealed", "alice", Answers::File(&codes)),
            ),
            (
                "otpgate, wrong code, enrolled",
                place.logins("ours", "bob", Answers::Same("000000")),
            ),
            (
                "otpgate, wrong code, nobody",
                place.logins("ours", "nobody-there", Answers::Same("000000")),
            ),
            ("otpgate, in grace, nothing committed", place.in_grace()),
        ];
        next += LOGINS as u64 + 1;
        for (name, median) in measured {
            match rows.iter_mut().find(|(known, _)| *known == name) {
                Some((_, medians)) => medians.push(median),
                None => rows.push((name, vec![median])),
            }
        }
    }
    print(&rows);
}

fn print(rows: &[(&str, Vec<f64>)]) {
    let figure = |wanted: &str| {
        let (_, medians) = rows.iter().find(|(name, _)| *name == wanted).unwrap();
        median(medians.clone())
    };
    println!("| login on a warm handle | median us | per second |\n| --- | --- | --- |");
    for (name, medians) in rows {
        let micros = median(medians.clone());
        println!("| {name} | {micros:.0} | {:.0} |", 1e6 / micros);
    }
    let ratio = |a: &str, b: &str| figure(a) / figure(b);
    println!("\n| ratio | goal | measured |\n| --- | --- | --- |");
    println!(
        "| google-authenticator / otpgate, right code | at least 3 | {:.2} |",
        ratio(
            "google-authenticator, right code",
            "otpgate, right code, committed"
        )
    );
    println!(
        "| otpgate wrong code, enrolled / nobody | 0.9 to 1.1 | {:.2} |",
        ratio(
            "otpgate, wrong code, enrolled",
            "otpgate, wrong code, nobody"
        )
    );
    println!(
        "| otpgate right code, sealed / in clear | | {:.2} |",
        ratio(
            "otpgate, right code, sealed",
            "otpgate, right code, committed"
        )
    );
    println!(
        "| otpgate right code / floor | | {:.2} |",
        ratio(
            "otpgate, right code, committed",
            "floor: 4 KiB overwritten and fdatasync"
        )
    );
}

enum Answers<'a> {
    File(&'a Path),
    Same(&'a str),
}

/// State, PAM services and files of both sides, on the disk that cargo builds on.
struct Place {
    directory: PathBuf,
}

impl Place {
    fn prepare(directory: &Path) -> Self {
        let place = Self {
            directory: directory.to_owned(),
        };
        fs::create_dir(place.path(CONFDIR)).unwrap();
        fs::write(place.path("secret"), SECRET).unwrap();
        let line = place.store("ours");
        fs::write(place.path("pam.d/grace"), format!("{line} grace=1d\n")).unwrap();
        place.store("sealed");
        let key = place.path("seal.key");
        place.otpgate(
            "sealed",
            &["seal", "init", "--key-file", key.to_str().unwrap()],
        );
        let theirs = place.path("google_authenticator");
        fs::write(
            &theirs,
            format!("{SECRET}\n\" HOTP_COUNTER 1\n\" WINDOW_SIZE 3\n"),
        )
        .unwrap();
        fs::set_permissions(&theirs, fs::Permissions::from_mode(0o600)).unwrap();
        let line = format!(
            "auth required pam_google_authenticator.so secret={} user=root",
            theirs.display()
        );
        fs::write(place.path("pam.d/theirs"), format!("{line}\n")).unwrap();
        place
    }

    /// A store with three users, and a service that asks for their codes. Returns the line in pam.d.
    fn store(&self, service: &str) -> String {
        let (module, config) = (
            built::release("OTPGATE_MODULE", "libpam_otpgate.so"),
            self.config(service),
        );
        let state = self.path(&format!("{service}.state"));
        fs::write(&config, format!("state_dir = \"{}\"\n", state.display())).unwrap();
        self.otpgate(service, &["init"]);
        let secret = self.path("secret");
        let from = ["--secret-from", secret.to_str().unwrap()];
        for user in ["alice", "bob", "grace"] {
            let enroll = [
                "enroll",
                user,
                "--hotp",
                "--counter",
                "1",
                "--no-confirm",
                "--json",
            ];
            self.otpgate(service, &[&enroll[..], &from].concat());
        }
        let line = format!(
            "auth required {} config={} no_delay",
            module.display(),
            config.display()
        );
        fs::write(self.path(CONFDIR).join(service), format!("{line}\n")).unwrap();
        line
    }

    fn config(&self, service: &str) -> PathBuf {
        self.path(&format!("{service}.toml"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn otpgate(&self, service: &str, arguments: &[&str]) {
        let mut command = Command::new(built::release("OTPGATE_COMMAND", "otpgate"));
        let output = command
            .arg("--config")
            .arg(self.config(service))
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// The codes from `first` on, one more than a round needs: the handle is warmed with one.
    fn codes(&self, first: u64) -> PathBuf {
        let output = Command::new("oathtool")
            .args([
                "--hotp",
                "--base32",
                &format!("--counter={first}"),
                &format!("--window={LOGINS}"),
                SECRET,
            ])
            .output()
            .unwrap();
        let path = self.path("codes");
        fs::write(&path, output.stdout).unwrap();
        path
    }

    fn logins(&self, service: &str, user: &str, answers: Answers<'_>) -> f64 {
        let expected = if matches!(answers, Answers::File(_)) {
            "PAM_SUCCESS"
        } else {
            "PAM_AUTH_ERR"
        };
        let mut app = self.application(service, user);
        match answers {
            Answers::File(path) => app.arg("--continue").arg("--answers-file").arg(path),
            Answers::Same(code) => app.args(["--answer", code]),
        };
        median(run(&mut app, expected))
    }

    fn in_grace(&self) -> f64 {
        // The first login of all answers with a code, and is remembered.
        let mut first = self.application("grace", "grace");
        let code = Command::new("oathtool")
            .args(["--hotp", "--base32", "--counter=1", SECRET])
            .output()
            .unwrap();
        first.args(["--answer", String::from_utf8(code.stdout).unwrap().trim()]);
        median(run(&mut first, "PAM_SUCCESS"))
    }

    fn application(&self, service: &str, user: &str) -> Command {
        let mut app = Command::new(std::env::current_exe().unwrap().with_file_name("pam_app"));
        app.arg("--confdir")
            .arg(self.path(CONFDIR))
            .args(["--service", service, "--user", user]);
        app.args([
            "--rhost",
            "192.0.2.7",
            "--warm",
            "--repeat",
            &LOGINS.to_string(),
        ]);
        app
    }

    /// What the disk alone takes for a durable write of one page.
    fn floor(&self) -> f64 {
        let file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(self.path("floor"));
        let file = file.unwrap();
        file.write_all_at(&[1; 8192], 0).unwrap();
        file.sync_all().unwrap();
        let once = |number: usize| {
            let start = Instant::now();
            file.write_all_at(&[2; 4096], 4096 * (number as u64 % 2))
                .unwrap();
            file.sync_data().unwrap();
            start.elapsed().as_secs_f64() * 1e6
        };
        median((0..LOGINS).map(once).collect())
    }
}

fn run(app: &mut Command, expected: &str) -> Vec<f64> {
    let output = app.output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let calls = report["calls"].as_array().unwrap();
    for call in calls {
        assert_eq!(call["code"], expected, "{call}");
    }
    calls
        .iter()
        .map(|call| call["micros"].as_f64().unwrap())
        .collect()
}
