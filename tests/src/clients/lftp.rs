//! lftp, which starts ssh with askpass through `sftp:connect-program`.

use super::openssh::client_config;
use super::{ClientRun, Login};
use std::process::Command;

/// Runs lftp's `commands` (one a line) in the user's home.
pub fn lftp(login: &Login, commands: &str) -> ClientRun {
    let config = client_config(login);
    let script = format!(
        "set net:max-retries 1; set net:timeout 60; set cmd:fail-exit yes;
         set sftp:connect-program \"ssh -a -x -F {}\";
         open -u {}, sftp://127.0.0.1:{};
         {commands}",
        config.display(),
        login.user,
        login.server.port,
    );
    login.run(Command::new("setsid").args(["-w", "lftp", "--norc", "-c", &script]))
}
