//! PAM stacks of the sandbox.

use crate::sandbox::Sandbox;
use std::fs;

const SSHD: &str = "/etc/pam.d/sshd";

const INCLUDE: &str = "@include common-auth";

/// The services of the servers under test: one machine, one stack, whichever of them is asked.
const SERVERS: [&str; 2] = ["sshd", "otpgate-sshd"];

impl Sandbox {
    /// The documented stack: the system's own `/etc/pam.d/sshd` with `line` directly after
    /// `@include common-auth`.
    pub fn sshd_stack_after_password(&self, line: &str) {
        self.server_stack(&format!("{INCLUDE}\n{line}"));
    }

    /// A stack without the password: `line` alone decides. For methods that bring another factor,
    /// and to let sshd's made-up answers reach the module.
    pub fn sshd_stack_code_only(&self, line: &str) {
        self.server_stack(line);
    }

    /// The password alone, for tests of what comes after a login; `lines` are more of the stack.
    pub fn server_stack_password_only(&self, lines: &str) {
        self.server_stack(&format!("{INCLUDE}\n{lines}"));
    }

    /// The system's own `/etc/pam.d/sshd` with `auth` instead of its password check.
    fn server_stack(&self, auth: &str) {
        let shipped = self.shipped.get_or_init(|| {
            fs::read_to_string(SSHD).expect("Debian's openssh-server is not installed")
        });
        let includes = shipped.lines().filter(|line| line.trim() == INCLUDE);
        assert_eq!(includes.count(), 1, "{shipped}");
        for server in SERVERS {
            self.pam_service(server, &shipped.replace(INCLUDE, auth));
        }
    }

    /// Takes the two seconds away that `pam_unix` lets a wrong password wait, for tests of many.
    pub fn password_check_without_delay(&self) {
        let auth = "auth [success=1 default=ignore] pam_unix.so nodelay
auth requisite pam_deny.so
auth required pam_permit.so
";
        self.pam_service("common-auth", auth);
    }

    /// Writes the file of one PAM service.
    pub fn pam_service(&self, name: &str, stack: &str) {
        fs::write(format!("/etc/pam.d/{name}"), stack).unwrap();
    }
}
