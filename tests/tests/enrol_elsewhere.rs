//! Enrolment at a login of otpgate-sshd, and of `login` on a terminal of the host.

use std::fs::{self, File};

use tests::clients::enrol::{self, Until};
use tests::clients::openssh::{Way, sftp};
use tests::clock::Clock;
use tests::enrolment::{Newcomer, next_code};
use tests::frontend::Frontend;
use tests::picture;
use tests::sandbox;
use tests::sshd::Sshd;

#[test]
fn otpgate_sshd_enrols_in_its_dialogue() {
    sandbox::run(|sandbox| {
        let dora = Newcomer::new(sandbox);
        let invite = dora.otpgate.invite("dora", &[]);
        let server = Frontend::start(sandbox, "");
        let (run, _) = enrol::ssh(&dora.login(&server, &invite), Until::TheKey, "id -un");
        assert!(!run.success && !dora.is_enrolled(), "{run:?}");
        let run = sftp(&dora.login(&server, &invite), Way::Askpass, "pwd\n");
        assert!(!run.success && !dora.is_enrolled(), "{run:?}");

        let (run, traces) = enrol::ssh(&dora.login(&server, &invite), Until::TheEnd, "id -un");
        assert!(run.success && run.stdout.contains("\ndora\r\n"), "{run:?}");
        assert!(dora.is_enrolled());
        let uri = picture::decode(&traces.screen(), &sandbox.scratch());
        assert!(uri.contains(&traces.key()), "{uri}");
        let run = sftp(
            &dora.login(&server, next_code(&traces.key())),
            Way::Askpass,
            "pwd\n",
        );
        assert!(run.success, "{run:?}");
    });
}

#[test]
fn test_login_explains_what_would_come() {
    sandbox::run(|sandbox| {
        let dora = Newcomer::new(sandbox);
        let invite = dora.otpgate.invite("dora", &[]);
        let answers = sandbox.scratch().join("answers");
        fs::write(&answers, format!("{}\n{invite}\n", dora.user.password)).unwrap();
        let mut command = dora.otpgate.command();
        let output = command
            .args(["test-login", "sshd", "dora"])
            .stdin(File::open(answers).unwrap())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("have them enrol now"), "{text}");
        assert_eq!((dora.is_enrolled(), dora.admissions_left()), (false, 2));
    });
}

#[test]
fn login_enrols_on_a_terminal_of_the_host() {
    sandbox::run(|sandbox| {
        let dora = Newcomer::new(sandbox);
        let invite = dora.otpgate.invite("dora", &[]);
        let sshd = Sshd::start(sandbox, "", Clock::Real);
        let (run, _) = enrol::console(&dora.login(&sshd, &invite), Until::TheKey);
        assert!(!run.success && !dora.is_enrolled(), "{run:?}");
        let (run, traces) = enrol::console(&dora.login(&sshd, &invite), Until::TheEnd);
        assert!(run.success && run.stdout.contains("\ndora\r\n"), "{run:?}");
        assert!(dora.is_enrolled());
        let uri = picture::decode(&traces.screen(), &sandbox.scratch());
        assert!(uri.contains(&traces.key()), "{uri}");

        // And at the next one, over ssh, the code is asked.
        let run = dora.log_in(&sshd, next_code(&traces.key()));
        assert!(run.success && run.prompts.len() == 2, "{run:?}");
    });
}
