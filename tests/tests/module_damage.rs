//! Promise 4: fail closed, never hang. Whatever stands in the place of a file that a login opens, the
//! login is refused quickly, and the log names the file. Nobody else notices.
//!
//! Fails when a file is opened without O_NONBLOCK or O_NOFOLLOW, unchecked, or when an error is
//! answered with PAM_IGNORE (CVE-2025-23013 in pam-u2f).

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tests::application::Report;
use tests::figures;
use tests::installation::Installation;
use tests::oath;
use tests::sandbox::{self, Sandbox};

/// For a line to arrive.
const LOGGED: Duration = Duration::from_secs(10);
/// The margin is wide: what is measured is "does not wait", not speed.
const DEADLINE_MICROS: u64 = 2_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    Missing,
    Garbage,
    Truncated,
    Empty,
    Huge,
    Fifo,
    Symlink,
    CharacterDevice,
    BlockDevice,
    Directory,
    RegularFile,
    Socket,
    WrongOwner,
    WrongMode,
    HardLink,
}

use Damage::*;

const OF_FILES: &[Damage] = &[
    Missing,
    Garbage,
    Truncated,
    Empty,
    Huge,
    Fifo,
    Symlink,
    CharacterDevice,
    BlockDevice,
    Directory,
    Socket,
    WrongOwner,
    WrongMode,
    HardLink,
];
const OF_DIRECTORIES: &[Damage] = &[
    Missing,
    RegularFile,
    Fifo,
    Symlink,
    CharacterDevice,
    Socket,
    WrongOwner,
    WrongMode,
];

#[test]
fn a_damaged_file_refuses_its_users_and_nobody_else() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        let decoy = host.decoy_of("mallory");
        let decoy_account = format!("{decoy}.toml");
        // Each file with a user whose logins open it, and whether others' do.
        for (name, user, shared) in [
            ("accounts/alice.toml", "alice", false),
            ("state/alice", "alice", false),
            ("decoys/key", "alice", true),
            (&*decoy, "mallory", false),
            (&*decoy_account, "mallory", false),
        ] {
            let path = host.installation.state(name);
            for damage in OF_FILES {
                let what = format!("{name} {damage:?}");
                host.damaged(&path, *damage, || {
                    host.refuses(user, &path, &what);
                    if !shared {
                        host.lets_bob_in(&what);
                    }
                });
                host.lets_bob_in("after it");
            }
        }
        host.print_slowest("files");
    });
}

#[test]
fn a_damaged_directory_refuses_everybody() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        for name in ["", "accounts", "state", "decoys"] {
            // Without the slash that joining nothing leaves: it would make a link be followed.
            let path: PathBuf = host.installation.state(name).components().collect();
            for damage in OF_DIRECTORIES {
                let what = format!("directory {name:?} {damage:?}");
                host.damaged(&path, *damage, || {
                    host.refuses("alice", &path, &what);
                    host.refuses("mallory", &path, &what);
                });
            }
            host.lets_bob_in("after it");
        }
        host.print_slowest("directories");
    });
}

#[test]
fn a_damaged_configuration_refuses_everybody() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        let path = host.installation.config();
        for damage in OF_FILES {
            // An empty one means the defaults; nothing is at the default state directory. One that is
            // missing though the line names it is an error of its own.
            let named = match damage {
                Empty => PathBuf::from("/var/lib/otpgate"),
                _ => path.clone(),
            };
            let what = format!("configuration {damage:?}");
            host.damaged(&path, *damage, || {
                host.refuses("alice", &named, &what);
                host.refuses("mallory", &named, &what);
            });
            host.lets_bob_in("after it");
        }
        host.print_slowest("configuration");
    });
}

#[test]
fn without_a_store_the_log_says_otpgate_init() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        let path = host.installation.state_dir();
        host.damaged(&path, Missing, || {
            let lines = host.refuses("alice", &path, "no store");
            let cure = |line: &String| line.contains("otpgate init");
            assert!(lines.iter().all(cure), "{lines:?}");
        });
    });
}

struct Host<'a> {
    sandbox: &'a Sandbox,
    installation: Installation,
    bob: String,
    slowest: std::cell::Cell<u64>,
}

impl<'a> Host<'a> {
    fn new(sandbox: &'a Sandbox) -> Self {
        let installation = Installation::prepared(&sandbox.path(""), "");
        installation.must(&["init"]);
        let below = "\nauth required pam_permit.so";
        installation.service("nullok", &(installation.auth_line("nullok") + below));
        installation.enroll("alice", &["--hotp"]);
        let bob = installation.enroll("bob", &["--hotp"]).secret;
        let slowest = 0.into();
        Self {
            sandbox,
            installation,
            bob,
            slowest,
        }
    }

    /// The decoy that stands in for somebody: the file that a login of theirs changes.
    fn decoy_of(&self, user: &str) -> String {
        let read = |name: &String| fs::read(self.installation.state(name)).unwrap();
        let names: Vec<_> = (0..64).map(|n| format!("decoys/{n:02}")).collect();
        let before: Vec<_> = names.iter().map(read).collect();
        let login = self.installation.login(user).answer("000000").run();
        assert_eq!(login.code(), "PAM_AUTH_ERR");
        let after = names.iter().map(read);
        let mut changed = after.zip(before).zip(&names).filter(|((a, b), _)| a != b);
        changed.next().expect("a decoy was committed").1.clone()
    }

    /// With the damage done, runs the checks; then puts everything back.
    fn damaged(&self, path: &Path, damage: Damage, checks: impl FnOnce()) {
        let aside = self.installation.path("aside");
        fs::rename(path, &aside).unwrap();
        make(path, damage, &aside);
        checks();
        let made = path.symlink_metadata();
        if made.as_ref().is_ok_and(|made| made.is_dir()) {
            fs::remove_dir_all(path).unwrap();
        } else if made.is_ok() {
            fs::remove_file(path).unwrap();
        }
        fs::rename(&aside, path).unwrap();
    }

    /// A login of this user fails by both stacks, and the log names the file. Returns those lines.
    fn refuses(&self, user: &str, file: &Path, what: &str) -> Vec<String> {
        let mut lines = Vec::new();
        // With `nullok` somebody who is not enrolled is let through without touching a decoy.
        let about_decoys = file
            .parent()
            .is_some_and(|parent| parent.ends_with("decoys"));
        let stacks: &[&str] = match (user, about_decoys) {
            ("mallory", true) => &["login-test"],
            _ => &["login-test", "nullok"],
        };
        for stack in stacks {
            // An address of its own finds the login's line in the log.
            let number = self.sandbox.number();
            let source = format!("10.0.{}.{}", number / 256, number % 256);
            let login = self.installation.login(user).service(stack).from(&source);
            // Even a right code: counters stand at 0 all the time.
            let report = login.answer("000000").run();
            let expected: &[&str] = match *stack {
                "nullok" => &["PAM_AUTHINFO_UNAVAIL", "PAM_SERVICE_ERR"],
                _ if file == self.installation.config() => &["PAM_SERVICE_ERR"],
                _ => &["PAM_AUTHINFO_UNAVAIL"],
            };
            // A user whose two files are both gone could not be told from a stranger; one is left.
            assert!(
                expected.contains(&report.code()),
                "{what}, {stack}: {report:?}"
            );
            self.in_time(&report, what);
            let path = file.to_str().unwrap();
            let parts = ["result=error", &format!("source={source} "), path];
            let named = |line: &str| parts.iter().all(|part| line.contains(part));
            lines.push(self.sandbox.syslog().wait_for(LOGGED, named));
        }
        lines
    }

    fn lets_bob_in(&self, what: &str) {
        let counter = self.installation.next("bob");
        let login = self.installation.login("bob");
        let report = login.answer(&oath::hotp(&self.bob, counter, 6)).run();
        assert!(report.success(), "{what}: {report:?}");
    }

    fn in_time(&self, report: &Report, what: &str) {
        assert!(report.micros() < DEADLINE_MICROS, "{what}: {report:?}");
        self.slowest.set(self.slowest.get().max(report.micros()));
    }

    fn print_slowest(&self, what: &str) {
        let slowest = self.slowest.get();
        figures::print(&format!(
            "slowest refusal over damaged {what}: {slowest} us"
        ));
    }
}

/// Puts the damage where `path` was; `original` is what was there.
fn make(path: &Path, damage: Damage, original: &Path) {
    let private = Mode::S_IRUSR | Mode::S_IWUSR;
    let node = |kind, device| mknod(path, kind, private, device).unwrap();
    match damage {
        Missing => {}
        Garbage => write(path, &b"\x00\xff{garbage]\n".repeat(20)),
        Truncated => {
            let bytes = fs::read(original).unwrap();
            write(path, &bytes[..bytes.len() / 2]);
        }
        Empty | RegularFile => write(path, b""),
        Huge => {
            write(path, b"");
            // Sparse: what must not be read needs no room.
            let file = File::options().write(true).open(path).unwrap();
            file.set_len(100 << 20).unwrap();
        }
        Fifo => node(SFlag::S_IFIFO, 0),
        Symlink => symlink(original, path).unwrap(),
        // /dev/zero, which never ends; and a disk that is not there.
        CharacterDevice => node(SFlag::S_IFCHR, makedev(1, 5)),
        BlockDevice => node(SFlag::S_IFBLK, makedev(240, 0)),
        Directory => {
            fs::create_dir(path).unwrap();
            fs::set_permissions(path, Permissions::from_mode(0o700)).unwrap();
        }
        Socket => drop(UnixListener::bind(path).unwrap()),
        WrongOwner => {
            copy(original, path);
            chown(path, Some(65534), None).unwrap();
        }
        WrongMode => {
            copy(original, path);
            let mode = if path.is_dir() { 0o755 } else { 0o666 };
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        HardLink => fs::hard_link(original, path).unwrap(),
    }
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status();
    assert!(copied.unwrap().success());
}
