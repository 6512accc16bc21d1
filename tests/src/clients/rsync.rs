//! rsync, which starts ssh and runs itself on the other side.

use super::openssh::script;
use super::{ClientRun, Login};

/// Copies a file; one of the names begins with `server:`.
pub fn rsync(login: &Login, from: &str, to: &str) -> ClientRun {
    let text = format!("exec rsync --checksum -e \"ssh -F $CONFIG\" '{from}' '{to}'");
    script(login, &text)
}
