use super::*;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant};

use super::decide::{InFront, Proof, candidates};
use crate::source::Source;
use crate::throttle::Limits;
use crate::totp::UnixTime;
use crate::user_name::UserName;
use tempfile::TempDir;

/// Whoever runs the tests.
struct Caller;

impl AsUser for Caller {
    fn run<T>(&self, work: impl FnOnce() -> T) -> io::Result<T> {
        Ok(work())
    }
}

const FILE: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\n\" DISALLOW_REUSE\n\" TOTP_AUTH\n12345678\n";
/// The code of step 5, RFC 4226 appendix D.
pub(super) const CODE: &[u8] = b"254676";
const NOW: UnixTime = UnixTime(150);

pub(super) struct Scene {
    directory: TempDir,
    file: UsersFile,
}

impl Scene {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["state", "home"] {
            fs::create_dir(directory.path().join(name)).unwrap();
            let only_ours = Permissions::from_mode(0o700);
            fs::set_permissions(directory.path().join(name), only_ours).unwrap();
        }
        let path = directory.path().join("home/.google_authenticator");
        fs::write(&path, FILE).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let file = UsersFile {
            path,
            trust: Trust {
                owner: Some(rustix::process::geteuid().as_raw()),
                mode: 0o600,
            },
            allow_readonly: false,
        };
        Self { directory, file }
    }

    pub(super) fn settle(&self, typed: &[u8]) -> Result<Settled, StoreError> {
        let candidates = candidates(typed, InFront::Nothing);
        let attempt = Attempt {
            candidates: &candidates,
            counted: false,
            known: false,
            remember: None,
        };
        let guard = Guard {
            state_dir: &self.directory.path().join("state"),
            user: &UserName::from("alice"),
            source: Source::V4(2),
            limits: &Limits::default(),
        };
        self.file.settle(&Caller, &guard, &attempt, &|| true, &NOW)
    }

    fn home(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path().join("home")).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        entries
            .map(|entry| name(entry).into_string().unwrap())
            .collect()
    }
}

#[test]
fn a_code_is_used_up_on_the_disk_before_the_answer() {
    let scene = Scene::new();
    let settled = scene.settle(CODE).unwrap();
    let (proof, length) = (Proof::Totp, 6);
    assert_eq!(settled.verdict, Verdict::Accepted { proof, length });
    assert!(settled.replaced);
    let text = fs::read_to_string(&scene.file.path).unwrap();
    assert_eq!(text, FILE.replace("REUSE", "REUSE 5"));
    let mode = fs::metadata(&scene.file.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o400);
    assert_eq!(scene.home(), [".google_authenticator"]);
    let again = scene.settle(CODE).unwrap();
    assert_eq!(again.verdict, Verdict::Refused(Refusal::Replayed));
}

#[test]
fn what_a_killed_login_left_is_removed_whatever_it_is() {
    let scene = Scene::new();
    let temporary = scene
        .directory
        .path()
        .join("home/.google_authenticator~otpgate");
    symlink("/etc/passwd", &temporary).unwrap();
    scene.settle(b"000000").unwrap();
    assert_eq!(scene.home(), [".google_authenticator"]);
    fs::write(&temporary, "half").unwrap();
    assert!(scene.settle(CODE).unwrap().replaced);
    assert_eq!(scene.home(), [".google_authenticator"]);
}

#[test]
fn a_directory_in_the_way_keeps_its_owner_out_and_nobody_else() {
    let scene = Scene::new();
    let temporary = scene
        .directory
        .path()
        .join("home/.google_authenticator~otpgate");
    fs::create_dir(temporary).unwrap();
    let settled = scene.settle(CODE).unwrap();
    assert_eq!(settled.verdict, Verdict::Refused(Refusal::NotRecorded));
    assert_eq!(fs::read_to_string(&scene.file.path).unwrap(), FILE);
}

#[test]
fn links_fifos_and_directories_are_refused_at_once() {
    let scene = Scene::new();
    let path = &scene.file.path;
    let start = Instant::now();
    let elsewhere = scene.directory.path().join("elsewhere");
    fs::rename(path, &elsewhere).unwrap();
    symlink(&elsewhere, path).unwrap();
    assert!(scene.settle(CODE).is_err());
    fs::remove_file(path).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    assert!(scene.file.look(&Caller).is_err());
    fs::remove_file(path).unwrap();
    fs::create_dir(path).unwrap();
    assert!(scene.file.look(&Caller).is_err());
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn what_others_could_read_is_refused_and_what_is_not_there_is_none() {
    let scene = Scene::new();
    for mode in [0o604, 0o640, 0o700, 0o1600, 0o2600] {
        fs::set_permissions(&scene.file.path, Permissions::from_mode(mode)).unwrap();
        let problem = scene.file.look(&Caller).unwrap_err().problem;
        assert!(matches!(problem, Problem::OpenToOthers { .. }), "{mode:o}");
    }
    fs::remove_file(&scene.file.path).unwrap();
    assert!(scene.file.look(&Caller).unwrap().is_none());
    fs::remove_dir(scene.directory.path().join("home")).unwrap();
    assert!(scene.file.look(&Caller).unwrap().is_none());
    assert!(matches!(
        scene.settle(CODE).unwrap_err().problem,
        Problem::Removed
    ));
}

#[test]
fn a_file_that_changed_meanwhile_is_not_overwritten() {
    let scene = Scene::new();
    let place = Place::open(&scene.file.path).unwrap().unwrap();
    let (file, stamp) = place.read(&scene.file.trust).unwrap().unwrap();
    fs::remove_file(&scene.file.path).unwrap();
    fs::write(&scene.file.path, "another\n").unwrap();
    let problem = place.replace(&file, &stamp).unwrap_err().problem;
    assert!(matches!(problem, Problem::Changed));
    assert_eq!(fs::read_to_string(&scene.file.path).unwrap(), "another\n");
    assert_eq!(scene.home(), [".google_authenticator"]);
}

#[test]
fn each_file_has_a_lock_of_its_own_that_is_given_back() {
    let scene = Scene::new();
    let state_dir = scene.directory.path().join("state");
    let (one, other) = (
        Locks::open(&state_dir).unwrap(),
        Locks::open(&state_dir).unwrap(),
    );
    let held = one.lock(7).unwrap();
    drop(other.lock(8).unwrap());
    let start = Instant::now();
    assert!(matches!(
        other.lock(7).map(drop).unwrap_err().problem,
        Problem::Busy
    ));
    assert!(start.elapsed() >= Duration::from_secs(5));
    drop(held);
    drop(other.lock(7).unwrap());
}

#[test]
fn the_stand_in_changes_with_every_attempt_and_opens_nothing() {
    let scene = Scene::new();
    let state_dir = scene.directory.path().join("state");
    crate::store::administration::init(&state_dir).unwrap();
    let attempt = Attempt {
        candidates: &[],
        counted: false,
        known: false,
        remember: None,
    };
    let guard = Guard {
        state_dir: &state_dir,
        user: &UserName::from("nobody-of-this-name"),
        source: Source::V4(2),
        limits: &Limits::default(),
    };
    let read = || {
        let entries = fs::read_dir(state_dir.join("own_files")).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort_unstable();
        assert_eq!(files.len(), 2, "a count and a file: {files:?}");
        files
            .iter()
            .map(|file| fs::read(file).unwrap())
            .collect::<Vec<_>>()
    };
    let both = |now: &UnixTime| {
        stand_in::count(&guard, &attempt, now).unwrap();
        stand_in::replace(&guard, &attempt, now).unwrap();
        read()
    };
    let (first, second) = (both(&NOW), both(&UnixTime(151)));
    assert_ne!(first[0], second[0], "counted");
    assert_ne!(first[1], second[1], "replaced");
    let secret = |files: &[Vec<u8>]| {
        files[1]
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap()
            .to_vec()
    };
    assert_eq!(secret(&first), secret(&second));
    for number in 0..20 {
        let user = UserName::from(format!("name{number}").as_str());
        let guard = Guard {
            user: &user,
            ..guard
        };
        stand_in::replace(&guard, &attempt, &NOW).unwrap();
    }
    let several = fs::read_dir(state_dir.join("own_files")).unwrap().count();
    assert!(
        several > 4,
        "one for all keeps everybody waiting for everybody"
    );
}
