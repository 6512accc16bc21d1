//! Does this user exist, under which spelling, and in which groups: what the system's name service
//! says (`nsswitch.conf`).
//!
//! Names are raw bytes, as PAM passes them. The service may ask files, LDAP or sssd, so every
//! question may take as long as those take, and every answer may differ from the last.

use std::ffi::{CString, c_char, c_int};
use std::mem::MaybeUninit;
use std::{io, ptr};

use crate::identity::Identity;
use crate::reply;

/// The first buffer that a lookup is tried with, in bytes; it doubles until [`LARGEST_BUFFER`].
const FIRST_BUFFER: usize = 1024;
/// An entry that does not fit into 1 MiB is damaged, or an attack: a group of 100 000 members does
/// fit.
const LARGEST_BUFFER: usize = 1 << 20;
/// `NGROUPS_MAX` of Linux: no process can be in more groups.
const MOST_GROUPS: usize = 65_536;

/// What some services return for "no such entry" instead of 0 with an empty result; getpwnam_r(3)
/// names them.
const NO_SUCH_ENTRY: [c_int; 2] = [libc::ENOENT, libc::ESRCH];
/// glibc itself returns 0 for "no such entry". These same codes are then what the last service left
/// behind that could not be asked, such as ENOENT for a file or a socket that is gone.
const NO_CODE: [c_int; 0] = [];

/// Is there a user of this name? A name with a NUL inside is nobody's.
///
/// # Errors
///
/// When the name service fails, which is not the same as "no": `ERANGE` for an entry over 1 MiB, or
/// what it said.
pub fn user_exists(name: &[u8]) -> io::Result<bool> {
    primary_group(name).map(|group| group.is_some())
}

/// The user's name as the name service spells it, which may be another spelling than the one asked
/// for: sssd and winbind answer `alice` when asked for `ALICE`, and some for `EXAMPLE\alice`. None for a
/// user whom nobody knows.
///
/// # Errors
///
/// As [`user_exists`].
pub fn canonical_name(name: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let name = passwd(&NO_SUCH_ENTRY, name, |entry| {
        // SAFETY: the name of an entry that was found is a C string in the buffer, which `look_up`
        // still holds.
        unsafe { reply::copy(entry.pw_name) }
    })?;
    Ok(name.flatten())
}

/// A user's entry, as far as files of the user's own go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The name as the name service spells it.
    pub name: Vec<u8>,
    /// The home directory; may be empty or relative.
    pub home: Vec<u8>,
    /// The user's ids, supplementary groups included.
    pub identity: Identity,
}

/// The user's entry; none for a user whom nobody knows, when every service that had to be asked has
/// answered: as with [`group_answers`], one that is down must not pass for one without the user, whose
/// file would then seem not to be there.
///
/// # Errors
///
/// As [`group_answers`]; also for a user in more than 65536 groups.
pub fn account(name: &[u8]) -> io::Result<Option<Account>> {
    match passwd(&NO_CODE, name, Entry::read)? {
        Some(entry) => entry.with_groups().map(Some),
        None => Ok(None),
    }
}

/// The entry of the user with this number; none when nobody has it.
///
/// # Errors
///
/// As [`account`].
pub fn account_of_uid(uid: libc::uid_t) -> io::Result<Option<Account>> {
    let found = look_up(
        &NO_CODE,
        |entry: *mut libc::passwd, buffer, size, found| {
            // SAFETY: `look_up` passes a buffer of `size` bytes and room for both results.
            unsafe { libc::getpwuid_r(uid, entry, buffer, size, found) }
        },
        Entry::read,
    )?;
    match found {
        Some(entry) => entry.with_groups().map(Some),
        None => Ok(None),
    }
}

/// What is copied out of a `struct passwd` before its buffer goes.
struct Entry {
    name: Vec<u8>,
    home: Vec<u8>,
    uid: libc::uid_t,
    gid: libc::gid_t,
}

impl Entry {
    fn read(entry: &libc::passwd) -> Self {
        // SAFETY: the strings of an entry that was found are C strings, or null, in the buffer, which
        // `look_up` still holds.
        let copy = |text| unsafe { reply::copy(text) }.unwrap_or_default();
        Self {
            name: copy(entry.pw_name),
            home: copy(entry.pw_dir),
            uid: entry.pw_uid,
            gid: entry.pw_gid,
        }
    }

    fn with_groups(self) -> io::Result<Account> {
        let groups = group_ids(&self.name, self.gid)?;
        Ok(Account {
            name: self.name,
            home: self.home,
            identity: Identity {
                uid: self.uid,
                gid: self.gid,
                groups,
            },
        })
    }
}

/// Whether there is a group of this name, when every service that had to be asked has answered.
///
/// Where the rest of this file takes `ENOENT` and `ESRCH` for "no such entry", they are errors here: a
/// directory that is down must not pass for one without the group.
///
/// # Errors
///
/// Whatever the name service returns beside "there" and "not there", which glibc both report as 0.
pub fn group_answers(name: &[u8]) -> io::Result<bool> {
    let Ok(name) = CString::new(name) else {
        return Ok(false);
    };
    let found = look_up(
        &NO_CODE,
        |entry: *mut libc::group, buffer, size, found| {
            // SAFETY: the name is a C string, `look_up` passes a buffer of `size` bytes and room
            // for both results.
            unsafe { libc::getgrnam_r(name.as_ptr(), entry, buffer, size, found) }
        },
        |_| (),
    )?;
    Ok(found.is_some())
}

/// The names of all groups that the user is in, the primary group included, in the name service's
/// order. A user whom nobody knows is in none; groups without a name are left out.
///
/// # Errors
///
/// As [`user_exists`]; also for a user in more than 65536 groups.
pub fn groups_of(name: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let Some(primary) = primary_group(name)? else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    for group in group_ids(name, primary)? {
        names.extend(group_name(group)?);
    }
    Ok(names)
}

/// The user's primary group; none for a user whom nobody knows.
fn primary_group(name: &[u8]) -> io::Result<Option<libc::gid_t>> {
    passwd(&NO_SUCH_ENTRY, name, |entry| entry.pw_gid)
}

/// What `read` takes from the user's entry; none for a user whom nobody knows, as [`look_up`] understands
/// `absent`.
fn passwd<T>(
    absent: &[c_int],
    name: &[u8],
    read: impl Fn(&libc::passwd) -> T,
) -> io::Result<Option<T>> {
    let Ok(name) = CString::new(name) else {
        return Ok(None);
    };
    look_up(
        absent,
        |entry: *mut libc::passwd, buffer, size, found| {
            // SAFETY: the name is a C string, `look_up` passes a buffer of `size` bytes and room
            // for both results.
            unsafe { libc::getpwnam_r(name.as_ptr(), entry, buffer, size, found) }
        },
        read,
    )
}

/// The group's name; none for a group without one.
fn group_name(group: libc::gid_t) -> io::Result<Option<Vec<u8>>> {
    let name = look_up(
        &NO_SUCH_ENTRY,
        |entry: *mut libc::group, buffer, size, found| {
            // SAFETY: `look_up` passes a buffer of `size` bytes and room for both results.
            unsafe { libc::getgrgid_r(group, entry, buffer, size, found) }
        },
        |entry| {
            // SAFETY: the name of an entry that was found is a C string in the buffer, which
            // `look_up` still holds.
            unsafe { reply::copy(entry.gr_name) }
        },
    )?;
    Ok(name.flatten())
}

/// Calls one of the `get..._r` functions with growing buffers, and lets `read` take what it wants
/// from the entry. The codes in `absent` mean "no such entry", as 0 with an empty result does.
fn look_up<E, T>(
    absent: &[c_int],
    call: impl Fn(*mut E, *mut c_char, usize, *mut *mut E) -> c_int,
    read: impl Fn(&E) -> T,
) -> io::Result<Option<T>> {
    let mut size = FIRST_BUFFER;
    loop {
        let mut entry = MaybeUninit::<E>::uninit();
        let mut found: *mut E = ptr::null_mut();
        let mut buffer: Vec<c_char> = vec![0; size];
        let code = call(
            entry.as_mut_ptr(),
            buffer.as_mut_ptr(),
            size,
            &raw mut found,
        );
        match code {
            // SAFETY: `found` is null, or points to `entry`, filled in and with strings in
            // `buffer`.
            0 => return Ok(unsafe { found.as_ref() }.map(read)),
            libc::ERANGE if size < LARGEST_BUFFER => size *= 2,
            libc::EINTR => {}
            code if absent.contains(&code) => return Ok(None),
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// The ids of all groups that the user is in.
fn group_ids(name: &[u8], primary: libc::gid_t) -> io::Result<Vec<libc::gid_t>> {
    let name = CString::new(name)?;
    let mut room = 64;
    while room <= MOST_GROUPS {
        let mut ids: Vec<libc::gid_t> = vec![0; room];
        let mut count = c_int::try_from(room).unwrap_or(c_int::MAX);
        // SAFETY: a C string, and room for `count` ids.
        let code =
            unsafe { libc::getgrouplist(name.as_ptr(), primary, ids.as_mut_ptr(), &raw mut count) };
        // On -1 `count` is how many there are, but there may be more by the next try: doubling is
        // sure to end.
        if code >= 0 {
            ids.truncate(usize::try_from(count).unwrap_or(0));
            return Ok(ids);
        }
        room *= 2;
    }
    Err(io::Error::other(format!(
        "a user in more than {MOST_GROUPS} groups"
    )))
}

// The name service loads plugins and reads files, neither of which Miri can.
#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn root_exists_and_is_in_the_group_root() {
        assert!(user_exists(b"root").unwrap());
        assert!(groups_of(b"root").unwrap().contains(&b"root".to_vec()));
    }

    #[test]
    fn names_that_cannot_be_do_not_exist_and_are_in_no_group() {
        let long = vec![b'a'; 100_000];
        for name in [
            &b"no-such-user-here"[..],
            b"",
            b"root\0",
            b"\xff\xfe",
            b"ro:ot",
            &long,
        ] {
            assert!(!user_exists(name).unwrap());
            assert!(groups_of(name).unwrap().is_empty());
        }
    }

    #[test]
    fn a_lookup_grows_its_buffer_and_gives_up_at_the_limit() {
        let sizes = std::cell::RefCell::new(Vec::new());
        let answer = look_up(
            &NO_SUCH_ENTRY,
            |_: *mut u8, _, size, _| {
                sizes.borrow_mut().push(size);
                libc::ERANGE
            },
            |entry| *entry,
        );
        assert_eq!(answer.unwrap_err().raw_os_error(), Some(libc::ERANGE));
        assert_eq!(sizes.borrow().first(), Some(&FIRST_BUFFER));
        assert_eq!(sizes.borrow().last(), Some(&LARGEST_BUFFER));
    }

    #[test]
    fn a_user_is_found_under_the_spelling_of_the_name_service() {
        assert_eq!(canonical_name(b"root").unwrap(), Some(b"root".to_vec()));
        for name in [&b"no-such-user-here"[..], b"", b"root\0", b"\xff\xfe"] {
            assert_eq!(canonical_name(name).unwrap(), None);
        }
    }

    #[test]
    fn an_account_is_found_by_name_and_by_number() {
        let root = account(b"root").unwrap().unwrap();
        assert_eq!((root.identity.uid, root.name.as_slice()), (0, &b"root"[..]));
        assert!(root.home.starts_with(b"/"));
        assert!(root.identity.groups.contains(&root.identity.gid));
        assert_eq!(account_of_uid(0).unwrap(), Some(root));
        assert_eq!(account(b"no-such-user-here").unwrap(), None);
        assert_eq!(account_of_uid(u32::MAX - 7).unwrap(), None);
    }

    #[test]
    fn a_group_is_there_or_not_there() {
        assert!(group_answers(b"root").unwrap());
        for name in [&b"no-such-group-here"[..], b"", b"root\0", b"\xff\xfe"] {
            assert!(!group_answers(name).unwrap());
        }
    }

    #[test]
    fn a_failing_service_is_an_error_and_not_a_no() {
        let ask = |absent: &[c_int], code| look_up(absent, |_: *mut u8, _, _, _| code, |_| ());
        let code_of = |answer: io::Result<Option<()>>| answer.unwrap_err().raw_os_error();
        for code in NO_SUCH_ENTRY {
            assert_eq!(ask(&NO_SUCH_ENTRY, code).unwrap(), None);
            assert_eq!(code_of(ask(&NO_CODE, code)), Some(code));
        }
        for absent in [&NO_SUCH_ENTRY[..], &NO_CODE] {
            assert_eq!(code_of(ask(absent, libc::EIO)), Some(libc::EIO));
            assert_eq!(ask(absent, 0).unwrap(), None);
        }
    }

    /// In a process of its own whose `/etc` holds nothing but these files.
    #[allow(clippy::unwrap_used)] // clippy.toml allows it in test functions, but not in what they call.
    fn on_a_host_with(files: &[(&str, &str)], test: &str, host: &str) {
        use std::process::{self, Command};
        let etc = std::env::temp_dir().join(format!("nss-{}-{test}", process::id()));
        std::fs::create_dir(&etc).unwrap();
        for (name, text) in files {
            std::fs::write(etc.join(name), text).unwrap();
        }
        let ran = Command::new("unshare")
            .args(["--mount", "sh", "-c"])
            .arg(r#"mount --bind "$1" /etc && exec "$2" --exact "nss::tests::$3""#)
            .arg("sh")
            .arg(&etc)
            .arg(std::env::current_exe().unwrap())
            .arg(test)
            .env(HOST, host)
            .output()
            .unwrap();
        std::fs::remove_dir_all(&etc).unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(said.contains("1 passed"), "{ran:?}");
    }

    /// Says in a process of its own which host that is on.
    const HOST: &str = "OTPGATE_NSS_HOST";

    #[test]
    fn a_service_that_cannot_be_asked_is_no_answer_about_a_user() {
        match std::env::var(HOST).as_deref() {
            Ok("without users") => {
                let codes = [account(b"root"), account_of_uid(0)]
                    .map(|answer| answer.unwrap_err().raw_os_error());
                assert_eq!(codes, [Some(libc::ENOENT); 2]);
            }
            Ok(_) => assert_eq!(account(b"root").unwrap(), None),
            Err(_) => {
                let nsswitch = ("nsswitch.conf", "passwd: files\ngroup: files\n");
                let test = "a_service_that_cannot_be_asked_is_no_answer_about_a_user";
                on_a_host_with(&[nsswitch], test, "without users");
                on_a_host_with(
                    &[nsswitch, ("passwd", "")],
                    test,
                    "with an empty file of users",
                );
            }
        }
    }

    #[test]
    fn a_service_that_cannot_be_asked_is_no_answer_about_a_group() {
        match std::env::var(HOST).as_deref() {
            Ok("without groups") => {
                let error = group_answers(b"root").unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
            }
            Ok(_) => assert!(!group_answers(b"root").unwrap()),
            Err(_) => {
                let nsswitch = ("nsswitch.conf", "passwd: files\ngroup: files\n");
                let test = "a_service_that_cannot_be_asked_is_no_answer_about_a_group";
                on_a_host_with(&[nsswitch], test, "without groups");
                on_a_host_with(&[nsswitch, ("group", "")], test, "with an empty group file");
            }
        }
    }
}
