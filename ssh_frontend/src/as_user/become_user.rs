//! From root to the user, for good.

use std::ffi::CString;

use nix::errno::Errno;
use nix::unistd::{
    Gid, Uid, geteuid, getresgid, getresuid, initgroups, setgroups, setresgid, setresuid, setuid,
};

use super::Account;

/// Gives up root's identity for the account's, in the whole process, and makes sure that there is no way
/// back. Without root there is nothing to give up: then the account must be who the process already is.
///
/// # Errors
/// Why not, for the log. The process is then in no state to go on.
pub fn become_user(account: &Account, groups: Option<&[u32]>) -> Result<(), String> {
    let uid = Uid::from_raw(account.uid);
    let gid = Gid::from_raw(account.gid);
    if !geteuid().is_root() {
        return stay(uid);
    }
    give_up_root(account, groups, uid, gid)?;
    verify(uid, gid)
}

fn stay(uid: Uid) -> Result<(), String> {
    let who = getresuid().map_err(|error| format!("asking who this is: {error}"))?;
    if [who.real, who.effective, who.saved] == [uid; 3] {
        return Ok(());
    }
    Err(format!(
        "a server that runs as uid {} cannot become uid {uid}: start it as root, or log in as its own user",
        who.effective
    ))
}

/// Groups first, then the gid, then the uid: each takes away the right to change the one before.
fn give_up_root(
    account: &Account,
    groups: Option<&[u32]>,
    uid: Uid,
    gid: Gid,
) -> Result<(), String> {
    take_groups(account, groups, gid)
        .map_err(|error| format!("taking the user's groups: {error}"))?;
    setresgid(gid, gid, gid).map_err(|error| format!("becoming gid {gid}: {error}"))?;
    setresuid(uid, uid, uid).map_err(|error| format!("becoming uid {uid}: {error}"))
}

fn take_groups(account: &Account, groups: Option<&[u32]>, gid: Gid) -> nix::Result<()> {
    match groups {
        Some(groups) => {
            let groups: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
            setgroups(&groups)
        }
        None => initgroups(
            &CString::new(account.name.as_str()).map_err(|_| Errno::EINVAL)?,
            gid,
        ),
    }
}

/// The calls said yes. So did they where -1 meant "leave it as it is", and where a capability was left to
/// come back with.
fn verify(uid: Uid, gid: Gid) -> Result<(), String> {
    let who = getresuid().map_err(|error| format!("asking who this is: {error}"))?;
    let group = getresgid().map_err(|error| format!("asking which group this is: {error}"))?;
    if [who.real, who.effective, who.saved] != [uid; 3] {
        return Err(format!("uid {uid} was not taken"));
    }
    if [group.real, group.effective, group.saved] != [gid; 3] {
        return Err(format!("gid {gid} was not taken"));
    }
    let root = Gid::from_raw(0);
    if uid.is_root() {
        return Ok(());
    }
    if setuid(Uid::from_raw(0)).is_ok() {
        return Err(format!("uid {uid} can become root again"));
    }
    if gid != root && setresgid(root, root, root).is_ok() {
        return Err(format!("uid {uid} can take root's group again"));
    }
    Ok(())
}
