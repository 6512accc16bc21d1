//! Without root the server is for one user, the one that it runs as, and keeps the same promises.

use std::path::Path;
use std::process::Command;
use tests::clients::Login;
use tests::clients::openssh::{Way, sftp, ssh};
use tests::files;
use tests::frontend::Frontend;
use tests::oath;
use tests::processes;
use tests::rootless::{Artefacts, Rootless};
use tests::sandbox::{self, Sandbox};
use tests::users::User;

const PASSWORD: &str = "correct horse";

/// A user's own server, and the secret of the user's device.
struct Own<'a> {
    sandbox: &'a Sandbox,
    user: User,
    server: Frontend,
    secret: String,
    /// Of somebody else whom the user has enrolled.
    daves_secret: String,
}

impl<'a> Own<'a> {
    fn started(sandbox: &'a Sandbox) -> Self {
        let user = sandbox.add_user_with_password("carol", PASSWORD);
        let directory = user.home.join("server");
        std::fs::create_dir(&directory).unwrap();
        let artefacts = Artefacts::built().copied_to(&sandbox.path("home"));
        let rootless = Rootless::prepare(&directory, artefacts, PASSWORD, 0);
        own(&directory, &user);
        let otpgate = |arguments: &[&str]| {
            let mut command = user.command(&rootless.otpgate(arguments));
            let finished = processes::run(&mut command, &sandbox.scratch());
            assert!(finished.success(), "otpgate {arguments:?}: {finished:?}");
            finished.stdout
        };
        otpgate(&["init"]);
        let enroll = |name: &str| {
            let options = ["--hotp", "--no-confirm", "--qr", "none", "--json"];
            let enrolled = otpgate(&[&["enroll", name], &options[..]].concat());
            let enrolled: serde_json::Value = serde_json::from_str(&enrolled).unwrap();
            enrolled["secret"].as_str().unwrap().to_owned()
        };
        sandbox.add_user("dave");
        let (secret, daves_secret) = (enroll("carol"), enroll("dave"));
        let command = user.command(&rootless.server());
        let server = Frontend::launch(command, &sandbox.scratch(), &rootless.host_key);
        Self {
            sandbox,
            user,
            server,
            secret,
            daves_secret,
        }
    }

    fn login(&self, code: u64) -> Login<'_> {
        let code = oath::hotp(&self.secret, code, 6);
        Login::new(self.sandbox, &self.server, &self.user, code)
    }
}

fn own(directory: &Path, user: &User) {
    let mut chown = Command::new("chown");
    chown
        .args(["-R", &format!("{0}:{0}", user.uid)])
        .arg(directory);
    assert!(chown.status().unwrap().success());
}

#[test]
fn a_user_logs_in_to_a_server_of_their_own_and_moves_files() {
    sandbox::run(|sandbox| {
        let own = Own::started(sandbox);
        let [sent, returned] = ["sent", "returned"].map(|name| sandbox.path(name));
        files::write_random(&sent, 3_000_000);
        let batch = format!(
            "put {} remote\nget remote {}\n",
            sent.display(),
            returned.display()
        );
        let run = sftp(&own.login(0), Way::Terminal, &batch);
        assert!(run.success, "{run:?}");
        let asked =
            ["Password: ", "Verification code: "].map(|text| format!("(carol@127.0.0.1) {text}"));
        assert_eq!(run.prompts, asked);
        assert!(files::are_equal(&[
            &sent,
            &own.user.home.join("remote"),
            &returned
        ]));
    });
}

#[test]
fn the_same_code_again_is_refused() {
    sandbox::run(|sandbox| {
        let own = Own::started(sandbox);
        let first = ssh(&own.login(0), Way::Askpass, &[], "id -u");
        assert_eq!(first.stdout.trim(), own.user.uid.to_string(), "{first:?}");
        let second = ssh(&own.login(0), Way::Askpass, &[], "id -u");
        assert!(!second.success && second.prompts.len() == 2, "{second:?}");
    });
}

#[test]
fn a_wrong_password_is_refused_before_the_code_is_asked_for() {
    sandbox::run(|sandbox| {
        let own = Own::started(sandbox);
        let run = ssh(
            &own.login(0).with_password("a guess"),
            Way::Askpass,
            &[],
            "id -u",
        );
        assert!(!run.success && run.prompts.len() == 1, "{run:?}");
    });
}

/// Not with every answer right, and not even root.
#[test]
fn nobody_else_logs_in_to_it() {
    sandbox::run(|sandbox| {
        let own = Own::started(sandbox);
        for name in ["dave", "root", "nobody-there"] {
            let mut login = own.login(0);
            login.code = oath::hotp(&own.daves_secret, 0, 6);
            login.user = name.to_owned();
            let run = ssh(&login, Way::Askpass, &[], "id -u");
            assert!(!run.success && run.stdout.is_empty(), "{name}: {run:?}");
        }
        let log = own.server.log();
        assert!(log.contains("user=dave"), "{log}");
        assert!(!log.contains("result=accepted"), "{log}");
        let run = ssh(&own.login(0), Way::Askpass, &[], "id -u");
        assert!(run.success, "{run:?}");
    });
}

#[test]
fn the_demo_is_shown_to_root_too() {
    sandbox::run(|sandbox| {
        let mut demo = Command::new(env!("CARGO_BIN_EXE_demo"));
        let finished = processes::run(&mut demo, &sandbox.scratch());
        assert!(finished.success(), "{finished:?}");
        let shown = &finished.stdout;
        assert!(shown.contains("Done: one code, one login"), "{shown}");
    });
}
