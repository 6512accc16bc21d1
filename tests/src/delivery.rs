//! Where codes are sent to: a mail server, a push service and a program, all on this machine.

use crate::clients::python::Python;
use crate::installation::Installation;
use crate::processes::{kill_tree, wait_until};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// What Pushover's documentation calls the application's token.
pub const PUSHOVER_TOKEN: &str = "azGDORePK8gMaC0QOYAMyEEuzJnyUi";
/// And the user's key.
pub const PUSHOVER_USER: &str = "uQiRzpo4DXghDmr9QzzfQu27cmVRsG";

/// An authority, and a certificate of its for 127.0.0.1 and localhost.
pub struct Pki {
    directory: PathBuf,
}

impl Pki {
    /// Made by openssl, in this directory.
    pub fn new(directory: &Path) -> Self {
        let pki = Self {
            directory: directory.to_owned(),
        };
        let key = [
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ];
        let openssl = |arguments: &[&str]| {
            let output = Command::new("openssl")
                .current_dir(directory)
                .args(arguments)
                .output()
                .expect("openssl is missing");
            assert!(output.status.success(), "{output:?}");
        };
        let ca = [
            "req", "-x509", "-subj", "/CN=ca", "-days", "7", "-keyout", "ca.key", "-out", "ca.pem",
        ];
        openssl(&[&ca[..], &key].concat());
        let names = "subjectAltName=IP:127.0.0.1,DNS:localhost";
        let request = [
            "req",
            "-subj",
            "/CN=server",
            "-keyout",
            "server.key",
            "-out",
            "server.csr",
        ];
        openssl(&[&request[..], &key, &["-addext", names]].concat());
        openssl(&[
            "x509",
            "-req",
            "-in",
            "server.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-days",
            "7",
            "-copy_extensions",
            "copyall",
            "-out",
            "server.pem",
        ]);
        pki
    }

    /// The authority's certificate.
    pub fn ca(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }
}

/// A server that remembers what it is told. Ends when dropped.
pub struct Server {
    child: Child,
    _input: ChildStdin,
    /// Its port on 127.0.0.1.
    pub port: u16,
    file: PathBuf,
}

impl Server {
    /// A mail server: `plain`, `starttls` or `tls`; with a user and a password, or without.
    pub fn mail(python: &Python, pki: &Pki, mode: &str, login: Option<(&str, &str)>) -> Self {
        let login = login.map(|(user, password)| [user, password]);
        let login: Vec<&str> = login.into_iter().flatten().collect();
        Self::start(python, pki, "mail_server.py", &[mode], &login)
    }

    /// An HTTPS server, see `push_server.py`.
    pub fn push(python: &Python, pki: &Pki) -> Self {
        Self::start(python, pki, "push_server.py", &[], &[])
    }

    fn start(python: &Python, pki: &Pki, script: &str, before: &[&str], after: &[&str]) -> Self {
        let file = tempfile::Builder::new()
            .tempfile_in(&pki.directory)
            .unwrap();
        let file = file.into_temp_path().keep().unwrap();
        let mut child = python
            .helper(script)
            .args(before)
            .args([
                pki.directory.join("server.pem"),
                pki.directory.join("server.key"),
            ])
            .arg(&file)
            .args(after)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let input = child.stdin.take().unwrap();
        Self {
            child,
            _input: input,
            port: line.trim().parse().expect("the server did not start"),
            file,
        }
    }

    /// What it was told so far.
    pub fn told(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.file).unwrap();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The first thing that it is told.
    pub fn first(&self) -> Value {
        wait_until("a message", || !self.told().is_empty());
        self.told().remove(0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        kill_tree(&mut self.child);
    }
}

/// A program that is a channel: it adds what it is told to a file, a line each time.
pub struct Pager {
    directory: PathBuf,
}

impl Pager {
    /// A program in this directory, which must not be writable by others.
    pub fn new(directory: &Path) -> Self {
        let pager = Self {
            directory: directory.to_owned(),
        };
        fs::write(pager.file(), "").unwrap();
        let file = pager.file();
        pager.behave(&format!(
            "read code; echo \"$code $*\" >> {}",
            file.display()
        ));
        pager
    }

    /// Does something else from now on.
    pub fn behave(&self, script: &str) {
        write_program(&self.program(), script);
    }

    /// Lines of `otpgate.toml`: the channel `name`, with more lines for it.
    pub fn channel(&self, name: &str, more: &str) -> String {
        let program = self.program();
        format!(
            "[channel.{name}]\nkind = \"command\"\nargv = [{program:?}, \"{{address}}\"]\n{more}\n"
        )
    }

    /// The file with what was sent, a line each: code and address.
    pub fn file(&self) -> PathBuf {
        self.directory.join("paged")
    }

    /// What was sent so far.
    pub fn paged(&self) -> Vec<String> {
        let text = fs::read_to_string(self.file()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// The code that was sent last, when there are so many.
    pub fn code(&self, count: usize) -> String {
        wait_until("a code", || self.paged().len() >= count);
        let paged = self.paged();
        assert_eq!(paged.len(), count, "{paged:?}");
        let last = paged.last().unwrap();
        last.split(' ').next().unwrap().to_owned()
    }

    fn program(&self) -> PathBuf {
        self.directory.join("pager")
    }
}

/// A shell script that root may execute.
pub fn write_program(path: &Path, script: &str) {
    // Written elsewhere first: a script that is being written cannot be executed, and one that runs not written.
    let new = path.with_extension("new");
    fs::write(&new, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&new, Permissions::from_mode(0o755)).unwrap();
    fs::rename(new, path).unwrap();
}

/// Lines of `otpgate.toml` for codes that are sent by the command that was built; more lines for `[delivery]`.
pub fn section(command: &Path, more: &str) -> String {
    format!("[delivery]\nprogram = {command:?}\n{more}\n")
}

impl Installation {
    /// Waits until nothing that a login started runs any more: so what was not sent by now will not be.
    pub fn wait_for_deliveries(&self) {
        let config = self.config().display().to_string();
        wait_until("deliveries to end", || !is_delivered_by_anything(&config));
    }
}

/// Whether a running program delivers with this configuration, or may be about to: while the kernel starts a
/// program, the process is the new program already, and has no arguments yet.
fn is_delivered_by_anything(config: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let mut processes = processes.map(|entry| entry.path());
    processes.any(|process| {
        let Ok(line) = fs::read(process.join("cmdline")) else {
            return false;
        };
        if line.is_empty() {
            return fs::read_link(process.join("exe")).is_ok_and(|exe| exe.ends_with("otpgate"));
        }
        let mut arguments = line.split(|byte| *byte == 0);
        arguments.clone().any(|argument| argument == b"--job")
            && arguments.any(|argument| argument == config.as_bytes())
    })
}
