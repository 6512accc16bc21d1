//! A host in a temporary directory.
#![allow(dead_code)] // Each test binary uses a part of it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use admin_cli::host::Paths;
use admin_cli::host::finding::Finding;
use admin_cli::host::frontend::Frontend;
use admin_cli::host::pam_stack::{self, Context};

pub struct Host {
    pub root: tempfile::TempDir,
    pub paths: Paths,
}

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// A program at this path. Not written by this process: another test's fork would inherit the file open for
/// writing, and what is being written cannot be executed.
pub fn write_program(path: &Path, script: &str) {
    let mut install = Command::new("install")
        .args(["-m", "755", "/dev/stdin"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let text = format!("#!/bin/sh\n{script}\n");
    let mut stdin = install.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    assert!(install.wait().unwrap().success());
}

impl Host {
    /// With the pam.d files of a distribution, and a module that passes inspection.
    pub fn new(distribution: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for name in ["pam.d", "security", "sshd_config.d"] {
            fs::DirBuilder::new().mode(0o755).create(at(name)).unwrap();
        }
        for entry in fs::read_dir(fixture(distribution)).unwrap() {
            let entry = entry.unwrap();
            let target = at("pam.d").join(entry.file_name());
            fs::copy(entry.path(), &target).unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(0o644)).unwrap();
        }
        fs::write(at("security/pam_otpgate.so"), "").unwrap();
        let paths = Paths {
            pam_dirs: vec![at("pam.d"), at("vendor-pam.d")],
            sshd_config: at("sshd_config"),
            sshd_dropin_dir: at("sshd_config.d"),
            sshd_binary: "/usr/sbin/sshd".into(),
            frontend: Frontend {
                binary: "/usr/sbin/otpgate-sshd".into(),
                config: at("otpgate-sshd.toml"),
            },
            state_dir: at("state"),
            module_search_dirs: vec![at("security")],
        };
        Self { root, paths }
    }

    /// And Debian's sshd_config, reading drop-ins from here, with a host key of its own.
    pub fn with_sshd(distribution: &str) -> Self {
        let host = Self::new(distribution);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create("/run/sshd")
            .unwrap();
        let key = host.root.path().join("host_key");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&key)
            .status()
            .unwrap();
        assert!(made.success());
        let text = fs::read_to_string(fixture("debian12-sshd_config"))
            .unwrap()
            .replace(
                "Include /etc/ssh/sshd_config.d/*.conf",
                &format!("Include {}/*.conf", host.paths.sshd_dropin_dir.display()),
            );
        host.sshd_config(&format!("{text}\nHostKey {}\n", key.display()));
        host
    }

    pub fn sshd_config(&self, text: &str) {
        fs::write(&self.paths.sshd_config, text).unwrap();
    }

    pub fn sshd_config_text(&self) -> String {
        fs::read_to_string(&self.paths.sshd_config).unwrap()
    }

    pub fn service_path(&self, name: &str) -> PathBuf {
        self.paths.pam_dirs[0].join(name)
    }

    pub fn service(&self, name: &str) -> String {
        fs::read_to_string(self.service_path(name)).unwrap()
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.service_path(name), text).unwrap();
    }

    /// Puts a line behind the first one that contains `anchor`.
    pub fn insert_after(&self, service: &str, anchor: &str, line: &str) {
        let text = self.service(service);
        let mut lines: Vec<&str> = text.lines().collect();
        let at = lines.iter().position(|l| l.contains(anchor)).unwrap();
        lines.insert(at + 1, line);
        self.write(service, lines.join("\n") + "\n");
    }

    pub fn check_pam(&self, has_deny_rules: bool) -> Vec<Finding> {
        self.check_pam_where(has_deny_rules, false)
    }

    pub fn check_pam_where(&self, has_deny_rules: bool, sends_codes: bool) -> Vec<Finding> {
        let judge = |options: &[String]| match options.iter().find(|o| o.as_str() == "nulok") {
            Some(_) => Err("unknown option \"nulok\"; did you mean \"nullok\"?".to_owned()),
            None => Ok(()),
        };
        let context = Context {
            module_directories: &self.paths.module_search_dirs,
            judge_options: &judge,
            has_deny_rules: &|_| has_deny_rules,
            sends_codes: &|_| sends_codes,
            has_other_factor: &|_| false,
        };
        pam_stack::check(&self.paths.library(), &context)
    }
}

/// The codes, each once, in alphabetical order.
pub fn codes(findings: &[Finding]) -> Vec<&'static str> {
    let mut codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

/// Every file below a directory with content and mode.
pub fn snapshot(directory: &Path) -> Vec<(PathBuf, Vec<u8>, u32)> {
    let mut files = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                let mode = fs::metadata(&path).unwrap().permissions().mode();
                files.push((path.clone(), fs::read(&path).unwrap(), mode));
            }
        }
    }
    files.sort();
    files
}
