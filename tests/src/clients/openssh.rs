//! OpenSSH's ssh, sftp and scp.

use super::{ClientRun, Login, Running, helper, on_a_terminal};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How the prompts are answered.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// By a program, without a terminal.
    Askpass,
    /// By typing on a terminal.
    Terminal,
}

/// Runs `command` on the server; `options` are more arguments for ssh.
pub fn ssh(login: &Login, way: Way, options: &[&str], command: &str) -> ClientRun {
    let mut ssh = openssh("ssh", login);
    ssh.args(options).arg(login.destination()).arg(command);
    run(login, way, &ssh)
}

/// Runs sftp's `commands` (one a line).
pub fn sftp(login: &Login, way: Way, commands: &str) -> ClientRun {
    let batch = login.sandbox.scratch().join("batch");
    fs::write(&batch, commands).unwrap();
    let mut sftp = openssh("sftp", login);
    // -b alone would forbid all prompts; the first of two values counts.
    sftp.args(["-oBatchMode=no", "-b"])
        .arg(batch)
        .arg(login.destination());
    run(login, way, &sftp)
}

/// Copies a local file to the server.
pub fn scp_put(login: &Login, way: Way, local: &Path, remote: &str) -> ClientRun {
    let mut scp = openssh("scp", login);
    scp.arg(local)
        .arg(format!("{}:{remote}", login.destination()));
    run(login, way, &scp)
}

/// Copies a file of the server's here.
pub fn scp_get(login: &Login, way: Way, remote: &str, local: &Path) -> ClientRun {
    let mut scp = openssh("scp", login);
    scp.arg(format!("{}:{remote}", login.destination()))
        .arg(local);
    run(login, way, &scp)
}

/// Runs a shell script, which says `ssh -F $CONFIG server` for a login.
pub fn script(login: &Login, text: &str) -> ClientRun {
    login.run(&mut shell(login, text))
}

/// Starts such a script.
pub fn start(login: &Login, text: &str) -> Running {
    login.start(&mut shell(login, text))
}

/// Runs a script that says `over COMMAND` for one more session of one and the same login.
pub fn shared(login: &Login, text: &str) -> ClientRun {
    script(login, &format!("{SHARED}{text}"))
}

/// Every session is one more channel of the first ssh, which ends with the script. One that is refused
/// must not become a connection of its own.
const SHARED: &str = "
ssh -F $CONFIG -oControlMaster=yes -oControlPath=$PWD/mux -fN server
trap 'ssh -F $CONFIG -oControlPath=$PWD/mux -O exit server 2>>mux.log' EXIT
over() { ssh -F $CONFIG -oControlPath=$PWD/mux -oProxyCommand=false server \"$@\"; }
";

/// Logs in with a shell on a terminal of 24 lines and 80 columns, and does `steps` there: lines for
/// expect, which may say `must PATTERN` for what has to come next. `options` are more arguments for ssh.
pub fn terminal(login: &Login, options: &[&str], steps: &str) -> ClientRun {
    let file = login.sandbox.scratch().join("steps.exp");
    fs::write(&file, steps).unwrap();
    let mut expect = Command::new("expect");
    expect.arg("-f").arg(helper("terminal.exp")).arg(file);
    expect
        .args(["ssh", "-F"])
        .arg(client_config(login))
        .args(options);
    login.run(expect.arg("server"))
}

fn shell(login: &Login, text: &str) -> Command {
    let text = format!("CONFIG={}\n{text}", client_config(login).display());
    let mut shell = Command::new("setsid");
    shell.args(["-w", "sh", "-euc", &text]);
    shell
}

fn openssh(program: &str, login: &Login) -> Command {
    let mut command = Command::new(program);
    command.arg("-F").arg(client_config(login));
    command
}

fn run(login: &Login, way: Way, command: &Command) -> ClientRun {
    match way {
        Way::Askpass => {
            // Without a controlling terminal, as in cron or a file manager.
            let mut setsid = Command::new("setsid");
            setsid
                .arg("-w")
                .arg(command.get_program())
                .args(command.get_args());
            login.run(&mut setsid)
        }
        Way::Terminal => login.run(&mut on_a_terminal(command)),
    }
}

/// The server's key is known beforehand, keys are used only when named, one try per login.
pub(super) fn client_config(login: &Login) -> PathBuf {
    let scratch = login.sandbox.scratch();
    let (known, config) = (scratch.join("known_hosts"), scratch.join("ssh_config"));
    let port = login.server.port;
    fs::write(
        &known,
        format!("[127.0.0.1]:{port} {}\n", login.server.host_key),
    )
    .unwrap();
    let settings = format!(
        "Port {port}
UserKnownHostsFile {}
GlobalKnownHostsFile /dev/null
StrictHostKeyChecking yes
IdentitiesOnly yes
PreferredAuthentications publickey,keyboard-interactive
NumberOfPasswordPrompts 1
LogLevel ERROR

Host server
HostName 127.0.0.1
User {}
",
        known.display(),
        login.user,
    );
    fs::write(&config, settings).unwrap();
    config
}
