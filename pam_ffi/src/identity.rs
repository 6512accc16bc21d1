//! Touching a user's files as that user, on the calling thread alone.
//!
//! Root may not enter a home that NFS exports with root squash, and must not follow what users plant
//! (CVE-2024-47191). Linux keeps an identity per thread for file access, which is changed here with raw
//! system calls: glibc's `setgroups` would change every thread of the host process, and what the others
//! do meanwhile would be done as somebody else.
//!
//! The kernel drops root's rights over files with the file system user id and gives them back with it.
//! It also makes the process unreadable to others of the same user (`PR_SET_DUMPABLE`), which stays.

use std::io;
use std::process;
use std::ptr;

use libc::{c_long, gid_t, uid_t};

/// The ids that file access goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub uid: uid_t,
    /// The primary group.
    pub gid: gid_t,
    /// The supplementary groups.
    pub groups: Vec<gid_t>,
}

// The plain numbers are for 16-bit ids on these.
#[cfg(any(target_arch = "x86", target_arch = "arm"))]
mod number {
    pub(super) use libc::{
        SYS_getgroups32 as GETGROUPS, SYS_setfsgid32 as SETFSGID, SYS_setfsuid32 as SETFSUID,
        SYS_setgroups32 as SETGROUPS,
    };
}
#[cfg(not(any(target_arch = "x86", target_arch = "arm")))]
mod number {
    pub(super) use libc::{
        SYS_getgroups as GETGROUPS, SYS_setfsgid as SETFSGID, SYS_setfsuid as SETFSUID,
        SYS_setgroups as SETGROUPS,
    };
}

/// Runs `work` with this identity towards files. The old one is back when this returns, also when
/// `work` panics.
///
/// A process without root's rights already is one user; for that user `work` runs as it is.
///
/// # Errors
///
/// `PermissionDenied` when the process may not take this identity, and what the kernel answers; then
/// `work` did not run.
pub fn acting_as<T>(identity: &Identity, work: impl FnOnce() -> T) -> io::Result<T> {
    // SAFETY: always succeeds and touches no memory.
    let caller = unsafe { libc::geteuid() };
    if caller != 0 && caller == identity.uid && fs_uid() == caller {
        return Ok(work());
    }
    let _back = Back::remember()?;
    set(identity)?;
    Ok(work())
}

/// The identity to return to, when dropped.
struct Back(Identity);

impl Back {
    fn remember() -> io::Result<Self> {
        Ok(Self(Identity {
            uid: fs_uid(),
            gid: fs_gid(),
            groups: groups()?,
        }))
    }
}

impl Drop for Back {
    fn drop(&mut self) {
        // The one exception to "a module never ends its host": with a user's identity on a thread that
        // thinks it is root's, or the reverse, every later file access of the host would be judged wrongly,
        // and nobody above could notice. A dead login process is the safe end.
        if set_back(&self.0).is_err() {
            process::abort();
        }
    }
}

/// Groups and group first: without root's user id they can no longer be set.
fn set(identity: &Identity) -> io::Result<()> {
    set_groups(&identity.groups)?;
    set_fs_gid(identity.gid)?;
    set_fs_uid(identity.uid)
}

/// The other way round: with the user id root's rights come back.
fn set_back(identity: &Identity) -> io::Result<()> {
    set_fs_uid(identity.uid)?;
    set_fs_gid(identity.gid)?;
    set_groups(&identity.groups)
}

fn set_fs_uid(uid: uid_t) -> io::Result<()> {
    // SAFETY: takes a number and touches no memory.
    unsafe { libc::syscall(number::SETFSUID, uid) };
    // It never says whether it worked.
    read_back(fs_uid() == uid)
}

fn set_fs_gid(gid: gid_t) -> io::Result<()> {
    // SAFETY: takes a number and touches no memory.
    unsafe { libc::syscall(number::SETFSGID, gid) };
    read_back(fs_gid() == gid)
}

fn read_back(right: bool) -> io::Result<()> {
    if right {
        return Ok(());
    }
    Err(io::ErrorKind::PermissionDenied.into())
}

/// An id that nobody can have changes nothing, and the answer is always the current one.
fn fs_uid() -> uid_t {
    // SAFETY: takes a number and touches no memory.
    id(unsafe { libc::syscall(number::SETFSUID, uid_t::MAX) })
}

fn fs_gid() -> gid_t {
    // SAFETY: takes a number and touches no memory.
    id(unsafe { libc::syscall(number::SETFSGID, gid_t::MAX) })
}

/// Ids have 32 bits, and a system call's answer that is one may look negative where `long` has as many.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn id(answer: c_long) -> u32 {
    answer as u32
}

fn set_groups(groups: &[gid_t]) -> io::Result<()> {
    if groups_are(groups)? {
        // Also spares those the right to set groups who need not: a container may not have it.
        return Ok(());
    }
    // SAFETY: the kernel reads as many ids as the slice has.
    let answer = unsafe { libc::syscall(number::SETGROUPS, groups.len(), groups.as_ptr()) };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    read_back(groups_are(groups)?)
}

/// The kernel sorts them, and keeps double ones.
fn groups_are(wanted: &[gid_t]) -> io::Result<bool> {
    let (mut wanted, mut have) = (wanted.to_vec(), groups()?);
    wanted.sort_unstable();
    have.sort_unstable();
    Ok(wanted == have)
}

fn groups() -> io::Result<Vec<gid_t>> {
    // SAFETY: with no room asked for, the kernel only counts.
    let count = unsafe { libc::syscall(number::GETGROUPS, 0, ptr::null_mut::<gid_t>()) };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    let mut groups: Vec<gid_t> = vec![0; count];
    // SAFETY: room for `count` ids; only this thread changes its groups.
    let answer = unsafe { libc::syscall(number::GETGROUPS, count, groups.as_mut_ptr()) };
    let answer = usize::try_from(answer).map_err(|_| io::Error::last_os_error())?;
    groups.truncate(answer);
    Ok(groups)
}

// Neither these system calls nor other threads' identities are known to Miri.
#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::mpsc;
    use std::{fs, panic, thread};

    fn alice() -> Identity {
        Identity {
            uid: 61_234,
            gid: 61_235,
            groups: vec![61_236, 61_235],
        }
    }

    #[allow(clippy::unwrap_used)] // clippy.toml allows it in test functions, but not in what they call.
    /// The fourth number of each line is the file system's; `thread-self` is this thread alone.
    fn of_this_thread() -> [String; 3] {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        ["Uid:", "Gid:", "Groups:"].map(|name| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        })
    }

    /// Whether the test can go on; where it cannot, CI must hear of it.
    fn has_root() -> bool {
        // SAFETY: always succeeds.
        let is_root = unsafe { libc::geteuid() == 0 };
        let demanded = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(is_root || !demanded, "this test needs root");
        is_root
    }

    #[test]
    fn the_identity_is_the_users_inside_and_the_old_one_after() {
        if !has_root() {
            return;
        }
        let before = of_this_thread();
        let inside = acting_as(&alice(), of_this_thread).unwrap();
        assert!(inside[0].ends_with(" 61234"), "{inside:?}");
        assert!(inside[1].ends_with(" 61235"), "{inside:?}");
        assert_eq!(inside[2], "Groups: 61235 61236");
        assert_eq!(of_this_thread(), before);
    }

    #[test]
    fn root_cannot_read_inside_what_the_user_cannot() {
        if !has_root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("of-root");
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let inside = acting_as(&alice(), || fs::read(&path)).unwrap();
        assert_eq!(
            inside.unwrap_err().kind(),
            io::ErrorKind::PermissionDenied,
            "root's rights are off"
        );
        fs::read(&path).unwrap();
    }

    #[test]
    fn other_threads_stay_who_they_are() {
        if !has_root() {
            return;
        }
        let (ask, asked) = mpsc::channel();
        let (answer, answered) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(move || {
                while asked.recv().is_ok() {
                    answer.send(of_this_thread()).unwrap();
                }
            });
            let theirs = || {
                ask.send(()).unwrap();
                answered.recv().unwrap()
            };
            let before = theirs();
            assert_eq!(acting_as(&alice(), theirs).unwrap(), before);
            drop(ask);
        });
    }

    #[test]
    fn a_panic_inside_brings_the_old_identity_back_too() {
        if !has_root() {
            return;
        }
        let before = of_this_thread();
        let inside = panic::catch_unwind(|| acting_as(&alice(), || panic!("inside")));
        assert!(inside.is_err());
        assert_eq!(of_this_thread(), before);
    }

    #[test]
    fn who_is_not_root_becomes_nobody_else() {
        // A thread's own copy of the rights: without CAP_SETUID and CAP_SETGID nothing can be taken.
        let nobody = Identity {
            uid: u32::MAX - 1,
            gid: u32::MAX - 1,
            groups: vec![],
        };
        let ran = thread::spawn(move || {
            // SAFETY: raw, so that this thread alone gives up being root; refused where it is not.
            unsafe { libc::syscall(libc::SYS_setresuid, 61_234, 61_234, 61_234) };
            acting_as(&nobody, || ()).is_ok()
        });
        assert!(!ran.join().unwrap());
    }
}
