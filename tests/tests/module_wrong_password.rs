//! A wrong password in a substack, as libpam treats it, and the lines that `otpgate check` writes instead.
//!
//! Within a substack nothing ends the login. So with the file that Red Hat ships a code is asked for, and sent,
//! whatever the password was. The cure is taken from the finding, word for word.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tests::application::{Login, Report};
use tests::delivery::{Pager, section};
use tests::installation::Installation;
use tests::sandbox::{self, Sandbox};
use tests::users::PASSWORD;

const RED_HAT: &str = "../admin_cli/tests/fixtures/redhat9/password-auth";
const ASKED: [&str; 2] = ["echo_off: Password: ", "echo_off: Verification code: "];

#[test]
fn behind_a_substack_a_wrong_password_has_a_code_sent_and_the_cure_ends_that() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        let ours = host.installation.config();
        let ours = format!("auth required pam_otpgate.so config={}", ours.display());
        let stack = format!("auth substack password-auth\n{ours}\n");
        host.sandbox.pam_service("sshd", &stack);
        let found = host.finding().expect("a finding");
        assert_eq!(found["severity"], "error", "{found}");
        let report = host.log_in("wrong", "000000");
        assert_eq!(report.code(), "PAM_AUTH_ERR", "{report:?}");
        assert_eq!(report.prompts(), ASKED, "{report:?}");
        assert_eq!(host.sent(), 1, "without the password");

        // What waits would keep the next from being sent.
        host.installation.must(&["remove", "alice"]);
        host.enrol();
        let cure = found["cure"].as_str().unwrap();
        let quoted: Vec<&str> = cure.split('"').skip(1).step_by(2).collect();
        let stack = format!("{}\n{ours}\n", quoted.join("\n"));
        host.sandbox.pam_service("sshd", &stack);
        assert_eq!(host.finding(), None, "{stack}");
        let report = host.log_in("wrong", "000000");
        assert_eq!(report.code(), "PAM_AUTH_ERR", "{report:?}");
        assert_eq!(report.prompts(), ASKED[..1], "{report:?}");
        assert_eq!(host.sent(), 1, "nothing more");
        let report = host.log_in(PASSWORD, "000000");
        assert_eq!(report.prompts(), ASKED, "{report:?}");
        assert_eq!(host.sent(), 2);
        let report = host.log_in(PASSWORD, &host.pager.code(2));
        assert!(report.success(), "{report:?}");
    });
}

struct Host<'a> {
    sandbox: &'a Sandbox,
    installation: Installation,
    pager: Pager,
}

impl<'a> Host<'a> {
    /// With Red Hat's password-auth, a channel, and alice, who has nothing else.
    fn new(sandbox: &'a Sandbox) -> Self {
        let installation = Installation::prepared(&sandbox.path(""), "");
        installation.must(&["init"]);
        sandbox.install_module(installation.module(), "pam_otpgate.so");
        sandbox.add_user("alice");
        let red_hat = Path::new(env!("CARGO_MANIFEST_DIR")).join(RED_HAT);
        sandbox.pam_service("password-auth", &fs::read_to_string(red_hat).unwrap());
        let pager = Pager::new(&installation.path(""));
        let delivery = section(installation.command(), "lifetime = \"10m\"");
        installation.configure(&format!("{delivery}{}", pager.channel("sms", "")));
        let host = Self {
            sandbox,
            installation,
            pager,
        };
        host.enrol();
        host
    }

    fn enrol(&self) {
        let enrol = ["enroll", "alice", "--no-confirm", "--delivered", "sms:+44"];
        self.installation.must(&enrol);
    }

    fn log_in(&self, password: &str, code: &str) -> Report {
        let login = Login::new(Path::new("/etc/pam.d"), "sshd", "alice");
        login.answer(password).answer(code).run()
    }

    fn sent(&self) -> usize {
        self.installation.wait_for_deliveries();
        self.pager.paged().len()
    }

    /// What `otpgate check` says of the order of the lines.
    fn finding(&self) -> Option<Value> {
        let run = self.installation.run(&["check", "--json"]);
        let findings: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
        let order = |finding: &Value| finding["code"] == "pam-code-before-password";
        findings.into_iter().find(order)
    }
}
