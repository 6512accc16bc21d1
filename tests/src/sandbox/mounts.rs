//! The mounts of a sandbox: what of the machine a test sees, and what it may change.
//!
//! Nothing here makes an entry on a real disk, not even a mount point.

use super::{STAGE, directory};
use nix::mount::{MsFlags, mount};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Mounts made from now on do not reach the machine's namespace.
pub(super) fn keep_to_ourselves() {
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .unwrap();
}

/// An empty directory in memory instead of what was there.
pub(super) fn tmpfs(target: impl AsRef<Path>) {
    let target = target.as_ref();
    mount(
        Some("tmpfs"),
        target,
        Some("tmpfs"),
        MsFlags::MS_NOSUID,
        Some("mode=755"),
    )
    .unwrap_or_else(|error| panic!("mounting a tmpfs on {}: {error}", target.display()));
}

fn bind(source: impl AsRef<Path>, target: impl AsRef<Path>) {
    let (source, target) = (source.as_ref(), target.as_ref());
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(source), target, None::<&str>, flags, None::<&str>).unwrap_or_else(|error| {
        panic!(
            "binding {} on {}: {error}",
            source.display(),
            target.display()
        )
    });
}

/// A copy of `/etc` that the test may change at will: users, passwords, `pam.d`, `/etc/otpgate`.
pub(super) fn private_etc() {
    let copy = format!("{STAGE}/etc");
    let copied = Command::new("cp")
        .args(["-a", "/etc", &copy])
        .status()
        .unwrap();
    assert!(copied.success(), "cp -a /etc: {copied}");
    // The machine's own installation of the product is none of the test's business.
    let _ = fs::remove_dir_all(format!("{copy}/otpgate"));
    bind(&copy, "/etc");
    // Root's home: the clients run as root and must not find root's keys, known hosts or settings.
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let (roots, others): (Vec<_>, Vec<_>) = passwd.lines().partition(|l| l.starts_with("root:"));
    assert_eq!(roots.len(), 1, "one root in /etc/passwd");
    let root = format!("root:x:0:0:root:{STAGE}/root:/bin/sh");
    fs::write("/etc/passwd", format!("{root}\n{}\n", others.join("\n"))).unwrap();
}

/// The few devices a login needs, terminals of its own, and room for our `/dev/log`.
pub(super) fn private_dev() {
    let dev = PathBuf::from(format!("{STAGE}/dev"));
    directory(&dev, 0o755);
    tmpfs(&dev);
    for device in ["null", "zero", "full", "random", "urandom", "tty"] {
        fs::write(dev.join(device), "").unwrap();
        bind(Path::new("/dev").join(device), dev.join(device));
    }
    for (name, target) in [
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "fd/0"),
        ("stdout", "fd/1"),
        ("stderr", "fd/2"),
    ] {
        symlink(target, dev.join(name)).unwrap();
    }
    directory(dev.join("shm"), 0o1777);
    directory(dev.join("pts"), 0o755);
    let options = Some("newinstance,ptmxmode=0666,mode=620,gid=5");
    mount(
        Some("devpts"),
        &dev.join("pts"),
        Some("devpts"),
        MsFlags::MS_NOSUID,
        options,
    )
    .unwrap();
    bind(&dev, "/dev");
}

/// Makes `path` writable without touching the disk: what was there is bound in again, what is
/// made there later (`/var/lib/otpgate`) vanishes. A real `otpgate` beneath is hidden.
pub(super) fn room_for_new_entries(path: &str) {
    let real = PathBuf::from(format!("{STAGE}/real{}", path.replace('/', "-")));
    directory(&real, 0o755);
    bind(path, &real);
    tmpfs(path);
    for entry in fs::read_dir(&real).unwrap().map(Result::unwrap) {
        let target = Path::new(path).join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if entry.file_name().to_string_lossy().contains("otpgate") {
            continue;
        } else if kind.is_dir() {
            directory(&target, 0o755);
        } else if kind.is_file() {
            fs::write(&target, "").unwrap();
        } else {
            continue;
        }
        bind(entry.path(), &target);
    }
}
