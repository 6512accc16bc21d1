//! A wrong password in a substack, as libpam treats it, and the lines that `otpgate check` writes instead.
//!
//! Within a substack nothing ends the login. So with the file that Red Hat ships a code is asked for, and sent,
//! whatever the password was. The sample that the finding names ends that, for people who are not enrolled too.

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
        assert!(cure.contains("pam.d/sshd-password-first"), "{cure}");
        let stack = sample(&ours);
        host.sandbox.pam_service("sshd", &stack);
        assert_eq!(host.finding(), None, "{stack}");
        let report = host.log_in("wrong", "000000");
        assert!(!report.success(), "{report:?}");
        assert_eq!(report.prompts(), ASKED[..1], "{report:?}");
        assert_eq!(host.sent(), 1, "nothing more");
        let report = host.log_in(PASSWORD, "000000");
        assert_eq!(report.prompts(), ASKED, "{report:?}");
        assert_eq!(host.sent(), 2);
        let report = host.log_in(PASSWORD, &host.pager.code(2));
        assert!(report.success(), "{report:?}");

        // A jump alone would leave libpam without an opinion, and refuse whoever is let through without a code.
        host.sandbox.add_user("bob");
        let stack = sample(&format!("{ours} nullok"));
        host.sandbox.pam_service("sshd", &stack);
        let login = Login::new(Path::new("/etc/pam.d"), "sshd", "bob");
        let report = login.answer(PASSWORD).run();
        assert!(report.success(), "{report:?}");
    });
}

/// The auth lines of the sample, with our line as it is here, and without what Debian does not have.
fn sample(ours: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/pam.d/sshd-password-first");
    let text = fs::read_to_string(path).unwrap();
    let auth = text.lines().filter(|line| line.starts_with("auth "));
    let auth = auth.filter(|line| !line.contains("postlogin"));
    let is_ours = |line: &str| line.contains("pam_otpgate.so");
    let lines = auth.map(|line| if is_ours(line) { ours } else { line });
    lines.collect::<Vec<_>>().join("\n") + "\n"
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
