//! PAM stacks of the sandbox.

use crate::sandbox::Sandbox;
use std::fs;

const SSHD: &str = "/etc/pam.d/sshd";

impl Sandbox {
    /// The documented stack: the system's own `/etc/pam.d/sshd` with `line` directly after
    /// `@include common-auth`.
    pub fn sshd_stack_after_password(&self, line: &str) {
        let include = "@include common-auth";
        let shipped = fs::read_to_string(SSHD).expect("Debian's openssh-server is not installed");
        assert_eq!(
            shipped.lines().filter(|l| l.trim() == include).count(),
            1,
            "{shipped}"
        );
        self.pam_service(
            "sshd",
            &shipped.replace(include, &format!("{include}\n{line}")),
        );
    }

    /// A stack without the password: `line` alone decides. For methods that bring another factor,
    /// and to let sshd's made-up answers reach the module.
    pub fn sshd_stack_code_only(&self, line: &str) {
        let shipped = fs::read_to_string(SSHD).expect("Debian's openssh-server is not installed");
        self.pam_service("sshd", &shipped.replace("@include common-auth", line));
    }

    /// Writes the file of one PAM service.
    pub fn pam_service(&self, name: &str, stack: &str) {
        fs::write(format!("/etc/pam.d/{name}"), stack).unwrap();
    }
}
