//! Small disks of their own, to be filled to the last byte.

use crate::installation::finish;
use crate::sandbox::Sandbox;
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, SFlag, mknod};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::NamedTempFile;

/// An ext4 file system in a file. Made outside of the sandbox that mounts it, so that it outlives the mount.
pub struct Disk {
    // Given back before the file goes.
    device: Loop,
    _image: NamedTempFile,
}

impl Disk {
    /// Of so many bytes. Small blocks and no reserve for root: full means full for the module as well.
    pub fn ext4(bytes: u64) -> Self {
        let image = tempfile::Builder::new().tempfile_in("/var/tmp").unwrap();
        image.as_file().set_len(bytes).unwrap();
        let format = ["-q", "-F", "-m", "0", "-b", "1024"];
        run(Command::new("mkfs.ext4").args(format).arg(image.path()));
        let device = Loop::attach(image.path());
        Self {
            device,
            _image: image,
        }
    }

    /// Mounts it in this sandbox, which unmounts it when it ends.
    pub fn mount(&self, sandbox: &Sandbox) -> PathBuf {
        let volume = sandbox.scratch();
        // The sandbox has no loop devices, but a name of our own leads to the same one.
        let name = sandbox.path(&format!("disk{}", sandbox.number()));
        let private = Mode::S_IRUSR | Mode::S_IWUSR;
        mknod(&name, SFlag::S_IFBLK, private, self.device.number).unwrap();
        let none = None::<&str>;
        mount(Some(&name), &volume, Some("ext4"), MsFlags::empty(), none).unwrap();
        volume
    }
}

/// Writes this file until nothing more fits beside it.
pub fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for chunk in [65536, 1024, 1] {
        while file.write_all(&vec![b'x'; chunk]).is_ok() {}
    }
    // ext4 promises room before it gives it; afterwards as much as that went to others may be left.
    let _ = file.sync_all();
    while file.write_all(b"x").is_ok() {}
}

/// A loop device, given back when dropped.
struct Loop {
    path: String,
    number: u64,
}

impl Loop {
    fn attach(image: &Path) -> Self {
        let find = ["--find", "--show"];
        let device = run(Command::new("losetup").args(find).arg(image));
        let path = device.trim().to_owned();
        let number = fs::metadata(&path).unwrap().rdev();
        Self { path, number }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup")
            .args(["--detach", &self.path])
            .status();
    }
}

/// What it printed.
fn run(command: &mut Command) -> String {
    let finished = finish(command, "");
    assert!(finished.success(), "{command:?}: {finished:?}");
    finished.stdout
}
