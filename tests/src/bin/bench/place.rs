//! What the module and its peers are measured on: stores, files and PAM services in one directory.

use std::fs;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::built;

use crate::figures::median;

/// Logins per round.
pub const LOGINS: usize = 300;
/// Users `user0` and on, for races: all with the same key.
pub const USERS: usize = 16;
const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
/// The same for pam_oath.
const HEX: &str = "3132333435363738393031323334353637383930";
const CONFDIR: &str = "pam.d";

/// What the prompts get.
pub enum Answers<'a> {
    /// A line each, in turn.
    File(&'a Path),
    /// This, every time.
    Same(&'a str),
}

/// State, PAM services and files of both sides, on the disk that cargo builds on.
pub struct Place {
    directory: PathBuf,
}

impl Place {
    /// Everything in this directory.
    pub fn prepare(directory: &Path) -> Self {
        let place = Self {
            directory: directory.to_owned(),
        };
        fs::create_dir(place.path(CONFDIR)).unwrap();
        place.ours();
        place.google_authenticator();
        place.pam_oath();
        place.service(
            "floor",
            "auth optional pam_warn.so\nauth required pam_permit.so",
        );
        place
    }

    fn ours(&self) {
        fs::write(self.path("secret"), SECRET).unwrap();
        let line = self.store("ours");
        self.service("grace", &format!("{line} grace=1d"));
        self.store("sealed");
        let key = self.path("seal.key");
        let key = ["--key-file", key.to_str().unwrap()];
        self.otpgate("sealed", &[&["seal", "init"][..], &key].concat());
    }

    /// A store with its users, and a service that asks for their codes. Returns the line in pam.d.
    fn store(&self, service: &str) -> String {
        let (module, config) = (
            built::release("OTPGATE_MODULE", "libpam_otpgate.so"),
            self.config(service),
        );
        let state = self.path(&format!("{service}.state"));
        fs::write(&config, format!("state_dir = \"{}\"\n", state.display())).unwrap();
        self.otpgate(service, &["init"]);
        let from = self.path("secret");
        let from = from.to_str().unwrap();
        let many = racing_users();
        let few = ["alice", "bob", "grace"];
        for user in few.into_iter().chain(many.iter().map(String::as_str)) {
            let device = ["--hotp", "--counter", "1", "--secret-from", from];
            let rest = ["--no-confirm", "--json"];
            self.otpgate(service, &[&["enroll", user][..], &device, &rest].concat());
        }
        let line = format!(
            "auth required {} config={} no_delay",
            module.display(),
            config.display()
        );
        self.service(service, &line);
        line
    }

    fn config(&self, service: &str) -> PathBuf {
        self.path(&format!("{service}.toml"))
    }

    /// One file for right codes, one for wrong ones (each moves its counter on), none for nobody.
    fn google_authenticator(&self) {
        let text = format!("{SECRET}\n\" HOTP_COUNTER 1\n\" WINDOW_SIZE 3\n");
        fs::create_dir(self.path("theirs-users")).unwrap();
        for user in racing_users() {
            private_file(&self.path("theirs-users").join(user), &text);
        }
        for name in [
            "theirs",
            "theirs-wrong",
            "theirs-nobody",
            "theirs-users/${USER}",
        ] {
            let file = self.path(name);
            if matches!(name, "theirs" | "theirs-wrong") {
                private_file(&file, &text);
            }
            let name = name.split('/').next().unwrap_or(name);
            let file = file.display();
            let line = format!("auth required pam_google_authenticator.so secret={file} user=root");
            self.service(name, &line);
            // Without it the losers of a race move the counter past the codes of the next ones.
            self.service(
                &format!("{name}-still"),
                &format!("{line} no_increment_hotp"),
            );
        }
    }

    fn pam_oath(&self) {
        let file = self.path("users.oath");
        let line = |user: &str| format!("HOTP {user} - {HEX}\n");
        let many: String = racing_users().iter().map(|user| line(user)).collect();
        private_file(&file, &(line("alice") + &many));
        let file = file.display();
        self.service(
            "oath",
            &format!("auth required pam_oath.so usersfile={file} window=3"),
        );
    }

    fn service(&self, name: &str, lines: &str) {
        fs::write(self.path(CONFDIR).join(name), format!("{lines}\n")).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Runs the command on the store of this service.
    pub fn otpgate(&self, service: &str, arguments: &[&str]) {
        let mut command = Command::new(built::release("OTPGATE_COMMAND", "otpgate"));
        let output = command
            .arg("--config")
            .arg(self.config(service))
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// Where libpam finds the services.
    pub fn confdir(&self) -> PathBuf {
        self.path(CONFDIR)
    }

    /// The codes from `first` on, one more than a round needs: the handle is warmed with one.
    pub fn codes(&self, first: u64) -> PathBuf {
        let path = self.path("codes");
        fs::write(&path, self.list_of_codes(first, LOGINS + 1).join("\n")).unwrap();
        path
    }

    /// So many codes from the counter `first` on.
    pub fn list_of_codes(&self, first: u64, number: usize) -> Vec<String> {
        let (first, more) = (
            format!("--counter={first}"),
            format!("--window={}", number - 1),
        );
        let output = Command::new("oathtool")
            .args(["--hotp", "--base32", &first, &more, SECRET])
            .output()
            .unwrap();
        let codes = String::from_utf8(output.stdout).unwrap();
        codes.lines().map(str::to_owned).collect()
    }

    /// Microseconds of a login, the median.
    pub fn logins(&self, service: &str, user: &str, answers: Answers<'_>) -> f64 {
        let expected = match answers {
            Answers::Same(_) if service != "floor" => "PAM_AUTH_ERR",
            _ => "PAM_SUCCESS",
        };
        median(run(&mut self.warm(service, user, answers), expected))
    }

    /// The same without a code, after a first one with it.
    pub fn in_grace(&self) -> f64 {
        let code = self.list_of_codes(1, 1).concat();
        let mut app = self.warm("grace", "grace", Answers::Same(&code));
        median(run(&mut app, "PAM_SUCCESS"))
    }

    /// [`LOGINS`] logins on one handle that has seen one before.
    fn warm(&self, service: &str, user: &str, answers: Answers<'_>) -> Command {
        let mut app = self.process(service, user, "auth", answers);
        app.args(["--warm", "--repeat", &LOGINS.to_string()]);
        app
    }

    /// A process that makes these calls, see `pam_app`.
    pub fn process(&self, service: &str, user: &str, calls: &str, answers: Answers<'_>) -> Command {
        let mut app = Command::new(std::env::current_exe().unwrap().with_file_name("pam_app"));
        app.arg("--confdir").arg(self.confdir());
        app.args(["--service", service, "--user", user, "--calls", calls]);
        app.args(["--rhost", "192.0.2.7"]);
        match answers {
            Answers::File(path) => app.arg("--continue").arg("--answers-file").arg(path),
            Answers::Same(code) => app.args(["--answer", code]),
        };
        app
    }

    /// What the disk alone takes for a durable write of one page, with so many microseconds of other work before
    /// each.
    pub fn floor(&self, pause: f64) -> f64 {
        let file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(self.path("floor"));
        let file = file.unwrap();
        file.write_all_at(&[1; 8192], 0).unwrap();
        file.sync_all().unwrap();
        let pause = Duration::from_secs_f64(pause / 1e6);
        let once = |number: usize| {
            let begin = Instant::now();
            while begin.elapsed() < pause {}
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

/// Who races.
pub fn racing_users() -> Vec<String> {
    (0..USERS).map(|number| format!("user{number}")).collect()
}

fn private_file(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
