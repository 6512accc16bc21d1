//! The server's command line, as an administrator uses it.

// Its helpers are tests, too.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

struct Host(TempDir);

impl Host {
    fn new(config: &str) -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        let path = host.0.path();
        std::fs::create_dir(path.join("empty")).unwrap();
        let text = format!(
            "host_keys = [{:?}]\nchroot_directory = {:?}\nnetwork_user = \"nobody\"\npam_confdir = {:?}\n\
             sftp_server = \"/bin/sh\"\n{config}\n",
            path.join("key"),
            path.join("empty"),
            path
        );
        let file = path.join("sshd.toml");
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        host
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, option: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_otpgate-sshd"))
            .arg("--config")
            .arg(self.path().join("sshd.toml"))
            .arg(option)
            .output()
            .unwrap()
    }

    /// The complaint of a run that fails.
    fn complaint(&self, option: &str) -> String {
        let output = self.run(option);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

#[test]
fn a_host_is_brought_from_nothing_to_all_right_by_what_test_says() {
    let host = Host::new("");
    assert!(host.complaint("--test").contains("--generate-host-key"));
    let made = host.run("--generate-host-key");
    assert!(made.status.success(), "{made:?}");
    assert!(String::from_utf8_lossy(&made.stdout).contains("SHA256:"));
    assert!(
        host.complaint("--generate-host-key")
            .contains("is there already")
    );
    let complaint = host.complaint("-t");
    assert!(
        complaint.contains("pam_service otpgate-sshd"),
        "{complaint}"
    );
    std::fs::write(host.path().join("otpgate-sshd"), "").unwrap();
    let right = host.run("--test");
    assert!(
        right.status.success() && right.stderr.is_empty(),
        "{right:?}"
    );
}

#[test]
fn a_wrong_key_is_named_with_its_line_and_nothing_is_served() {
    let host = Host::new("max_auth_try = 3");
    for option in ["--test", "--dump", "--stderr", "--generate-host-key"] {
        let complaint = host.complaint(option);
        let expected =
            "sshd.toml:6: unknown key \"max_auth_try\"; the nearest is \"max_auth_tries\"";
        assert!(complaint.contains(expected), "{complaint}");
    }
}

#[test]
fn the_effective_configuration_is_shown_in_the_files_own_words() {
    let host = Host::new("login_grace_time = \"90s\"\nmax_startups = 5");
    let output = host.run("--dump");
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["login_grace_time"], "1m 30s");
    assert_eq!(shown["max_startups"], "5:100:5");
    assert_eq!(shown["permit_root_login"], false);
    assert_eq!(shown["rekey_limit"], "1024M");
    assert_eq!(shown["listen"][1], "[::]:2222");
}

#[test]
fn a_task_excludes_the_others() {
    let output = Command::new(env!("CARGO_BIN_EXE_otpgate-sshd"))
        .args(["--test", "--dump"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}
