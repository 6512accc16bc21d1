//! The session that PAM's modules open, closed on whatever way it ends.

use std::ffi::CString;
use std::time::Instant;

use nix::unistd::{Gid, geteuid, getgroups, initgroups};
use pam_ffi::{PamError, flags};

use super::dialogue::Handle;
use super::place::Place;
use crate::as_user::Account;

/// Credentials and a session, until it is dropped.
pub struct PamSession<'a> {
    place: &'a Place,
    user: String,
    handle: Handle,
    groups: Option<Vec<u32>>,
    since: Instant,
}

impl<'a> PamSession<'a> {
    /// Establishes the credentials and opens the session.
    ///
    /// # Errors
    /// What PAM answered; the credentials are then gone again.
    pub fn open(place: &'a Place, account: &Account, mut handle: Handle) -> Result<Self, PamError> {
        handle.conversation().stop_asking();
        let groups_taken = take_groups(place, account);
        handle.set_credentials(flags::ESTABLISH_CRED)?;
        if let Err(error) = handle.open_session(0) {
            let _ = handle.set_credentials(flags::DELETE_CRED);
            return Err(error);
        }
        Ok(Self {
            place,
            user: account.name.clone(),
            handle,
            groups: groups_taken.then(groups).flatten(),
            since: Instant::now(),
        })
    }

    /// The user's supplementary groups: those of the group database, and what modules such as pam_group
    /// made of them.
    pub fn groups(&self) -> Option<Vec<u32>> {
        self.groups.clone()
    }

    /// What the modules said.
    pub fn take_texts(&mut self) -> String {
        self.handle.conversation().take_texts()
    }

    /// What the modules want in each program's environment, as `NAME=VALUE`.
    pub fn environment(&self) -> Vec<Vec<u8>> {
        self.handle.environment()
    }
}

impl Drop for PamSession<'_> {
    fn drop(&mut self) {
        let user = Some(self.user.as_str());
        let closed = self.handle.close_session(0);
        let deleted = self.handle.set_credentials(flags::DELETE_CRED);
        if let Err(error) = closed.and(deleted) {
            self.place.failed(user, "pam_close", &error);
        }
        let seconds = self.since.elapsed().as_secs().to_string();
        let line = self.place.line("closed", user, &[("seconds", &seconds)]);
        self.place.log.info(&line);
    }
}

/// Modules that give groups add them to those of the process that calls them. False: those are still root's.
fn take_groups(place: &Place, account: &Account) -> bool {
    if !geteuid().is_root() {
        return false;
    }
    let name = CString::new(account.name.as_str()).unwrap_or_default();
    let taken = initgroups(&name, Gid::from_raw(account.gid));
    if let Err(error) = &taken {
        place.failed(Some(&account.name), "groups", error);
    }
    taken.is_ok()
}

fn groups() -> Option<Vec<u32>> {
    let groups = getgroups().ok()?;
    Some(groups.into_iter().map(Gid::as_raw).collect())
}
