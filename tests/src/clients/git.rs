//! git, which starts ssh and runs its own half on the other side.

use super::openssh::script;
use super::{ClientRun, Login};
use std::path::Path;

/// Commits a file to a new repository and pushes that to one of the server's.
pub fn push(login: &Login, file: &Path, remote: &str) -> ClientRun {
    git(
        login,
        &format!(
            "git init -q repository; cd repository; cp '{}' file; git add file
            git -c user.name=n -c user.email=e commit -q -m one
            exec git push -q 'server:{remote}' HEAD:refs/heads/main",
            file.display()
        ),
    )
}

/// Clones that repository and puts its file here.
pub fn clone(login: &Login, remote: &str, file: &Path) -> ClientRun {
    git(
        login,
        &format!(
            "git clone -q -b main 'server:{remote}' clone; mv clone/file '{}'",
            file.display()
        ),
    )
}

fn git(login: &Login, text: &str) -> ClientRun {
    script(
        login,
        &format!("export GIT_SSH_COMMAND=\"ssh -F $CONFIG\"\n{text}"),
    )
}
