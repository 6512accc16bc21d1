//! The network process gives up whatever it does not need, before it reads a byte from the network.
//!
//! Siblings run under the same user id. What keeps a taken-over one from the others is that none of them
//! is dumpable, and that none has a system call left that reaches another process.

pub mod filter;

use std::{error, fmt};

use nix::unistd::{Gid, Uid, chdir, chroot, getresgid, getresuid, setgroups, setresgid, setresuid};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, getrlimit, set_dumpable_behavior,
    set_parent_process_death_signal, setrlimit,
};

use crate::protocol::Confinement;

/// Address space, in bytes.
const ADDRESS_SPACE: u64 = 1024 * 1024 * 1024;
/// Descriptors beside those of sessions and forwarded connections.
const OTHER_DESCRIPTORS: u64 = 32;
/// Descriptors of one session: standard input, output and error.
const DESCRIPTORS_OF_A_SESSION: u64 = 3;

/// Something could not be given up: the process must not go on.
#[derive(Debug)]
pub struct ConfineError {
    what: &'static str,
    why: String,
}

impl ConfineError {
    fn new(what: &'static str) -> impl Fn(&dyn fmt::Display) -> Self {
        move |why| Self {
            what,
            why: why.to_string(),
        }
    }
}

impl fmt::Display for ConfineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot confine the network process: {}: {}",
            self.what, self.why
        )
    }
}

impl error::Error for ConfineError {}

/// Gives up everything. `sessions` and `forwards` are how many there may be at once.
///
/// # Errors
/// When anything stays, or comes back.
pub fn confine(
    confinement: Option<&Confinement>,
    sessions: u32,
    forwards: u32,
) -> Result<(), ConfineError> {
    die_with_the_monitor()?;
    let descriptors =
        OTHER_DESCRIPTORS + DESCRIPTORS_OF_A_SESSION * u64::from(sessions) + u64::from(forwards);
    limit(descriptors, confinement.is_some())?;
    if let Some(confinement) = confinement {
        become_nobody(confinement)?;
        // A change of identity takes it back.
        die_with_the_monitor()?;
    }
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| ConfineError::new("PR_SET_DUMPABLE")(&error))?;
    filter::apply().map_err(|error| ConfineError::new("seccomp")(&error))
}

/// A monitor that is gone already shows as the end of its socket.
fn die_with_the_monitor() -> Result<(), ConfineError> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| ConfineError::new("PR_SET_PDEATHSIG")(&error))
}

fn limit(descriptors: u64, own_user: bool) -> Result<(), ConfineError> {
    lower(Resource::Nofile, descriptors)?;
    lower(Resource::Fsize, 0)?;
    lower(Resource::Core, 0)?;
    lower(Resource::Memlock, 0)?;
    lower(Resource::As, ADDRESS_SPACE)?;
    // Of a user who does other things too this would count all processes.
    if own_user {
        lower(Resource::Nproc, 0)?;
    }
    Ok(())
}

fn lower(resource: Resource, most: u64) -> Result<(), ConfineError> {
    let most = getrlimit(resource)
        .maximum
        .map_or(most, |maximum| maximum.min(most));
    let limit = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    setrlimit(resource, limit).map_err(|error| ConfineError::new("setrlimit")(&error))
}

fn become_nobody(confinement: &Confinement) -> Result<(), ConfineError> {
    let (user, group) = (
        Uid::from_raw(confinement.uid),
        Gid::from_raw(confinement.gid),
    );
    chroot(&confinement.chroot).map_err(|error| ConfineError::new("chroot")(&error))?;
    chdir("/").map_err(|error| ConfineError::new("chdir")(&error))?;
    setgroups(&[]).map_err(|error| ConfineError::new("setgroups")(&error))?;
    setresgid(group, group, group).map_err(|error| ConfineError::new("setresgid")(&error))?;
    setresuid(user, user, user).map_err(|error| ConfineError::new("setresuid")(&error))?;
    there_is_no_way_back(user, group)
}

fn there_is_no_way_back(user: Uid, group: Gid) -> Result<(), ConfineError> {
    let failed = ConfineError::new("change of user");
    if user.is_root() || group.as_raw() == 0 {
        return Err(failed(&"the network user must not be root"));
    }
    let users = getresuid().map_err(|error| failed(&error))?;
    let groups = getresgid().map_err(|error| failed(&error))?;
    let root = Uid::from_raw(0);
    if (users.real, users.effective, users.saved) != (user, user, user)
        || (groups.real, groups.effective, groups.saved) != (group, group, group)
        || setresuid(root, root, root).is_ok()
    {
        return Err(failed(&"it did not last"));
    }
    Ok(())
}
