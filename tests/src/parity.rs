//! The same login by pam_google_authenticator.so and by ours, with the same file at the same moment.
//!
//! What is compared is all that anybody can see: the PAM code, every message with its style, the
//! password that the modules below find, and the user's file and what lies beside it.

use crate::application::{Login, Report};
use crate::clock::Clock;
use crate::installation::finish;
use crate::otpgate::Otpgate;
use crate::processes::Finished;
use crate::sandbox::Sandbox;
use crate::users::User;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

/// RFC 4226's secret in base32.
pub const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
/// The moment of every login: the first second of a step. The clock stands still.
pub const NOW: i64 = 2_000_000_010;
const FROZEN: &str = "2033-05-18 03:33:30";
const STEP: i64 = NOW / 30;
const SERVICE: &str = "parity";

/// One login.
#[derive(Clone, Copy)]
pub struct Case {
    /// What it is about.
    pub name: &'static str,
    /// Behind the module's name in pam.d.
    pub options: &'static str,
    /// The file; see [`Host::fill`]. Empty: there is none.
    pub file: &'static str,
    /// Its mode.
    pub mode: u32,
    /// What PAM_AUTHTOK is before.
    pub password: Option<&'static str>,
    /// What the prompts get; `!null` for no answer, `!fail` for a conversation that fails.
    pub answers: &'static [&'static str],
    /// PAM_RHOST.
    pub rhost: Option<&'static str>,
    /// Who logs in.
    pub user: &'static str,
    /// What else there is, with the file at this path.
    pub prepare: fn(&Path),
}

/// A login of alice's with this file.
pub const fn case(
    name: &'static str,
    options: &'static str,
    file: &'static str,
    answers: &'static [&'static str],
) -> Case {
    Case {
        name,
        options,
        file,
        mode: 0o600,
        password: None,
        answers,
        rhost: Some("192.0.2.7"),
        user: "alice",
        prepare: |_| (),
    }
}

impl Case {
    /// With this password typed before.
    pub const fn password(self, password: &'static str) -> Self {
        let password = Some(password);
        Self { password, ..self }
    }

    /// With this mode of the file.
    pub const fn mode(self, mode: u32) -> Self {
        Self { mode, ..self }
    }

    /// From this host.
    pub const fn rhost(self, rhost: Option<&'static str>) -> Self {
        Self { rhost, ..self }
    }

    /// By this user.
    pub const fn user(self, user: &'static str) -> Self {
        Self { user, ..self }
    }

    /// With something done to the file before.
    pub const fn prepare(self, prepare: fn(&Path)) -> Self {
        Self { prepare, ..self }
    }
}

/// All that can be seen of a login.
#[derive(PartialEq, Eq, Clone)]
pub struct Seen {
    /// What `pam_authenticate` answered; libpam answers PAM_PERM_DENIED when the module says PAM_IGNORE.
    pub code: String,
    /// Style and text of each message. A `Password: ` at the end says that PAM_AUTHTOK is not set.
    pub prompts: Vec<String>,
    /// PAM_AUTHTOK afterwards.
    pub authtok: Option<String>,
    /// The file.
    pub text: Option<String>,
    /// Mode and owner of the file.
    pub mode: Option<(u32, u32)>,
    /// Everything in the home.
    pub names: Vec<String>,
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} prompts={:?} authtok={:?}",
            self.code, self.prompts, self.authtok
        )?;
        writeln!(f, "      mode={:?} names={:?}", self.mode, self.names)?;
        write!(f, "      text={:?}", self.text)
    }
}

/// Which module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Debian's pam_google_authenticator.so.
    Peer,
    /// Ours.
    Ours,
}

/// A host with both modules, and alice; and `homeless`, whose home is not there.
pub struct Host<'a> {
    otpgate: Otpgate<'a>,
    confdir: PathBuf,
    authtok: PathBuf,
    /// Whose file it is.
    pub alice: User,
    codes: RefCell<BTreeMap<i64, String>>,
}

impl<'a> Host<'a> {
    /// Installs ours, with users' files as fallback.
    pub fn new(sandbox: &'a Sandbox) -> Self {
        let otpgate = Otpgate::install(sandbox, "google_authenticator_files = \"fallback\"\n");
        let confdir = sandbox.scratch();
        let authtok = confdir.join("authtok");
        fs::remove_dir(sandbox.add_user("homeless").home).unwrap();
        Self {
            otpgate,
            confdir,
            authtok,
            alice: sandbox.add_user("alice"),
            codes: RefCell::default(),
        }
    }

    /// The line of a module in pam.d.
    pub fn line(&self, which: Which, options: &str) -> String {
        match which {
            Which::Ours => self.otpgate.auth_line(options),
            Which::Peer => format!("auth required pam_google_authenticator.so {options}"),
        }
    }

    /// Alice's file.
    pub fn path(&self) -> PathBuf {
        self.alice.home.join(".google_authenticator")
    }

    /// Replaces `{S}` by the secret, `{N+k}` by the time, `{T+k}` by the step and `{C+k}` by its code,
    /// `{Hn}` by the code at a counter, `{W}` by a wrong code.
    pub fn fill(&self, text: &str) -> String {
        let mut pieces = text.split('{');
        let mut filled = pieces.next().unwrap().to_owned();
        for piece in pieces {
            let Some((word, rest)) = piece.split_once('}').filter(|(word, _)| is_word(word)) else {
                filled += &format!("{{{piece}");
                continue;
            };
            let (kind, offset) = word.split_at(1);
            let offset: i64 = if offset.is_empty() {
                0
            } else {
                offset.parse().unwrap()
            };
            filled += &match kind {
                "S" => SECRET.to_owned(),
                "N" => (NOW + offset).to_string(),
                "T" => (STEP + offset).to_string(),
                "C" => self.code(STEP + offset),
                "H" => self.code(offset),
                _ => "000000".to_owned(),
            };
            filled += rest;
        }
        filled
    }

    fn code(&self, counter: i64) -> String {
        let mut codes = self.codes.borrow_mut();
        let make = || crate::oath::hotp(SECRET, counter.try_into().unwrap(), 6);
        codes.entry(counter).or_insert_with(make).clone()
    }

    /// Runs one login.
    pub fn run(&self, which: Which, case: &Case) -> Seen {
        self.set_up(case);
        let line = self.line(which, case.options);
        self.write_stack(&line, case.password.is_some());
        self.look(&run_frozen(self.login_of(case)))
    }

    /// A clean home with the case's file.
    fn set_up(&self, case: &Case) {
        self.clear();
        self.forget_failures();
        let path = self.path();
        if !case.file.is_empty() {
            self.alice
                .write(".google_authenticator", self.fill(case.file), case.mode);
        }
        (case.prepare)(&path);
        let _ = fs::remove_file(&self.authtok);
    }

    /// Each case is a login of its own: failures of the one before must not make it wait.
    pub fn forget_failures(&self) {
        let counts = Path::new("/var/lib/otpgate/own_files");
        if counts.exists() {
            fs::remove_dir_all(counts).unwrap();
        }
    }

    fn clear(&self) {
        let home = &self.alice.home;
        for entry in fs::read_dir(home).unwrap().map(Result::unwrap) {
            let path = entry.path();
            match entry.file_type().unwrap().is_dir() {
                true => fs::remove_dir_all(path).unwrap(),
                false => fs::remove_file(path).unwrap(),
            }
        }
        fs::set_permissions(home, Permissions::from_mode(0o700)).unwrap();
    }

    /// pam_exec asks for a password that is not there and keeps it as PAM_AUTHTOK; it has no say in the end.
    fn write_stack(&self, line: &str, password: bool) {
        let exec = "auth [default=ignore] pam_exec.so expose_authtok quiet";
        let before = match password {
            true => format!("{exec} /bin/true\n"),
            false => String::new(),
        };
        let after = format!("{exec} /usr/bin/tee {}", self.authtok.display());
        let stack = format!("{before}{line}\n{after}\n");
        fs::write(self.confdir.join(SERVICE), stack).unwrap();
    }

    /// Alice's file, filled in.
    pub fn write(&self, text: &str, mode: u32) {
        self.alice
            .write(".google_authenticator", self.fill(text), mode);
    }

    /// The text of alice's file.
    pub fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    /// Everything in alice's home.
    pub fn names(&self) -> Vec<String> {
        let names = fs::read_dir(&self.alice.home).unwrap();
        let mut names: Vec<String> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// A login of alice's by a stack of this one line.
    pub fn login(&self, which: Which, options: &str, answer: &str) -> Login {
        let line = self.line(which, options);
        // Not while another login that was started before reads it.
        let (path, stack) = (self.confdir.join(SERVICE), format!("{line}\n"));
        if fs::read_to_string(&path).ok().as_ref() != Some(&stack) {
            fs::write(path, stack).unwrap();
        }
        Login::new(&self.confdir, SERVICE, "alice").answer(answer)
    }

    /// The same by our module.
    pub fn ours(&self, options: &str, answer: &str) -> Login {
        self.login(Which::Ours, options, answer)
    }

    /// Runs our command.
    pub fn otpgate(&self, arguments: &[&str]) -> Finished {
        self.otpgate.run(arguments)
    }

    /// Our command, for a test that runs it in its own way.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.otpgate.command();
        command.args(arguments);
        command
    }

    /// Writes our configuration anew.
    pub fn configure(&self, settings: &str) {
        let text = format!("state_dir = \"/var/lib/otpgate\"\n{settings}");
        fs::write("/etc/otpgate/otpgate.toml", text).unwrap();
    }

    fn login_of(&self, case: &Case) -> Login {
        let mut login = Login::new(&self.confdir, SERVICE, case.user);
        if let Some(rhost) = case.rhost {
            login = login.from(rhost);
        }
        for answer in case.password.iter().chain(case.answers) {
            login = match *answer {
                "!null" => login.with(["--answer-null"]),
                "!fail" => login.with(["--answer-fail"]),
                text => login.answer(&self.fill(text)),
            };
        }
        login
    }

    fn look(&self, report: &Report) -> Seen {
        let path = self.path();
        let metadata = fs::symlink_metadata(&path).ok();
        let regular = metadata.as_ref().is_some_and(|metadata| metadata.is_file());
        let text = regular.then(|| String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned());
        let names = self.names();
        let authtok = fs::read(&self.authtok).ok();
        Seen {
            code: report.code().to_owned(),
            prompts: report.prompts(),
            authtok: authtok.map(|authtok| String::from_utf8_lossy(&authtok).into_owned()),
            text,
            mode: metadata.map(|metadata| (metadata.mode() & 0o7777, metadata.uid())),
            names,
        }
    }
}

/// Runs a login at [`NOW`], which does not pass. The monotonic clock does, for deadlines.
pub fn run_frozen(login: Login) -> Report {
    let mut command = login.at(Clock::StartingAt(0)).into_command();
    command.env("FAKETIME", FROZEN);
    let finished = finish(&mut command, "");
    let last = finished.stdout.lines().last().unwrap_or_default();
    let json = serde_json::from_str(last);
    Report(json.unwrap_or_else(|error| panic!("{error}: {finished:?}")))
}

fn is_word(word: &str) -> bool {
    word.starts_with(['S', 'N', 'T', 'C', 'H', 'W'])
        && !word.contains(char::is_lowercase)
        && word != "USER"
        && word != "HOME"
}

/// Gives something to root.
pub fn to_root(path: &Path) {
    chown(path, Some(0), Some(0)).unwrap();
}

/// Runs a command that has to succeed.
pub fn must(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}: {status}");
}
