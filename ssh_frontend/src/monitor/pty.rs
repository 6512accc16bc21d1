//! A terminal for a session: the monitor opens it, the user owns it, the network process pumps it.
//!
//! Nothing has to be given back afterwards: on devpts the device is gone with its last descriptor.

use std::os::fd::OwnedFd;

use nix::unistd::Group;
use rustix::fs::{Mode, OFlags, fchmod, fchown, open};
use rustix::process::{Gid, Uid, geteuid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::as_user::Account;
use crate::protocol::Size;

/// The owner reads and writes, and those in `tty`, as write(1) is, may write.
const MODE: Mode = Mode::from_raw_mode(0o620);

/// Both sides of a terminal.
#[derive(Debug)]
pub struct Pty {
    /// The side that the network process gets.
    pub master: OwnedFd,
    /// The program's side.
    pub slave: OwnedFd,
    /// The path of that.
    pub name: String,
}

impl Pty {
    /// Opens one of this size for the user. Not as this process's own terminal.
    ///
    /// # Errors
    /// When the system has none, or does not let it be the user's.
    pub fn open(account: &Account, size: Size) -> rustix::io::Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = open(&name, flags, Mode::empty())?;
        if geteuid().is_root() {
            give(&slave, account)?;
        }
        tcsetwinsize(&master, winsize(size))?;
        let name = name.to_string_lossy().into_owned();
        Ok(Self {
            master,
            slave,
            name,
        })
    }
}

fn give(slave: &OwnedFd, account: &Account) -> rustix::io::Result<()> {
    let tty = Group::from_name("tty").ok().flatten();
    let group = tty.map_or(account.gid, |group| group.gid.as_raw());
    fchown(
        slave,
        Some(Uid::from_raw(account.uid)),
        Some(Gid::from_raw(group)),
    )?;
    fchmod(slave, MODE)
}

/// What does not fit the kernel's 16 bits is as large as they allow.
fn winsize(size: Size) -> Winsize {
    let fit = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
    Winsize {
        ws_row: fit(size.rows),
        ws_col: fit(size.columns),
        ws_xpixel: fit(size.x_pixels),
        ws_ypixel: fit(size.y_pixels),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::fstat;
    use rustix::termios::{isatty, tcgetwinsize};

    #[test]
    fn a_terminal_has_its_size_and_belongs_to_the_user() {
        let account = Account {
            name: "alice".into(),
            uid: if geteuid().is_root() {
                4711
            } else {
                geteuid().as_raw()
            },
            gid: 4711,
            home: "/".into(),
            shell: "/bin/sh".into(),
        };
        let size = Size {
            columns: 132,
            rows: 43,
            x_pixels: 0,
            y_pixels: 100_000,
        };
        let pty = Pty::open(&account, size).unwrap();
        assert!(isatty(&pty.slave) && pty.name.starts_with("/dev/pts/"));
        let found = tcgetwinsize(&pty.slave).unwrap();
        assert_eq!(
            (found.ws_col, found.ws_row, found.ws_ypixel),
            (132, 43, u16::MAX)
        );
        let device = fstat(&pty.slave).unwrap();
        assert_eq!(device.st_uid, account.uid);
        assert_eq!(device.st_mode & 0o777, 0o620);
    }
}
