//! Enrolment at a login of Debian's sshd, unmodified, with Debian's pam_unix in the same stack.
//!
//! Fails when anything but a whole dialogue leaves a device behind, or when an enrolment changes a password.

use std::fs;
use std::process::Command;

use tests::clients::enrol::{self, Until};
use tests::clients::openssh::{Way, sftp, ssh};
use tests::clock::Clock;
use tests::enrolment::{Newcomer, next_code};
use tests::picture;
use tests::processes::{self, Finished};
use tests::sandbox;
use tests::sshd::Sshd;

const LOGIN: [&str; 2] = [
    "(dora@127.0.0.1) Password: ",
    "(dora@127.0.0.1) Verification code: ",
];

#[test]
fn an_invite_enrols_and_next_time_the_code_is_asked() {
    sandbox::run(|sandbox| {
        let dora = Newcomer::new(sandbox);
        let invite = dora.otpgate.invite("dora", &[]);
        let sshd = Sshd::start(sandbox, "", Clock::Real);
        let shadow = fs::read("/etc/shadow").unwrap();

        let (run, traces) = enrol::ssh(&dora.login(&sshd, &invite), Until::TheEnd, "id -un");
        assert!(run.success && run.stdout.contains("\ndora\r\n"), "{run:?}");
        assert_eq!(run.prompts[..2], LOGIN);
        assert!(dora.is_enrolled());

        // The picture holds the key that was typed off the screen, and fits it.
        let screen = traces.screen();
        let uri = picture::decode(&screen, &sandbox.scratch());
        let parts = [
            "otpauth://totp/Example:dora@",
            &traces.key(),
            "issuer=Example",
        ];
        assert!(parts.iter().all(|part| uri.contains(part)), "{uri}");
        let lines = picture::lines(&screen);
        assert!(lines.len() < 24, "{} lines", lines.len());
        assert!(lines.iter().all(|line| line.chars().count() <= 80));

        // Neither the invite nor the code that proved the key lets in again; the next code does, once.
        for spent in [invite, traces.code()] {
            let run = dora.log_in(&sshd, spent);
            assert!(!run.success && run.prompts[..2] == LOGIN, "{run:?}");
        }
        let code = next_code(&traces.key());
        let run = dora.log_in(&sshd, &code);
        assert!(
            run.success && run.stdout == "dora\n" && run.prompts == LOGIN,
            "{run:?}"
        );
        assert!(!dora.log_in(&sshd, code).success, "a code works once");
        let sheet = traces.recovery_codes();
        assert_eq!(sheet.len(), 10);
        let run = dora.log_in(&sshd, &sheet[9]);
        assert!(run.success, "{run:?}");

        assert_eq!(
            fs::read("/etc/shadow").unwrap(),
            shadow,
            "no password was changed"
        );
        let log = sandbox.syslog().lines().join("\n");
        for line in [
            "change=invite user=dora result=done",
            "result=accepted user=dora source=127.0.0.1 service=sshd token=invite kind=invite left=2",
            "result=enrolled user=dora source=127.0.0.1 service=sshd token=phone kind=totp by=invite",
        ] {
            assert!(log.contains(line), "{line}: {log}");
        }
        assert!(
            !log.contains(&traces.key()) && !log.contains(&sheet[0]),
            "{log}"
        );
    });
}

#[test]
fn a_password_alone_enrols_nobody() {
    sandbox::run(|sandbox| {
        let dora = Newcomer::new(sandbox);
        let sshd = Sshd::start(sandbox, "", Clock::Real);
        // Nobody has invited her, and a guess is none either.
        for guess in ["000000", "ABCDE-FGHJK-MNPQR-STVWX-YZ234"] {
            let run = dora.log_in(&sshd, guess);
            assert!(!run.success && run.prompts[..2] == LOGIN, "{run:?}");
            assert_eq!(dora.shown(), None);
        }
        // Invited, and a wrong password with the right invite: nothing of it is used up.
        let invite = dora.otpgate.invite("dora", &[]);
        let wrong = dora.login(&sshd, &invite).with_password("letmein");
        let (run, _) = enrol::ssh(&wrong, Until::TheEnd, "id -un");
        assert!(
            !run.success && !run.prompts.contains(&LOGIN[1].to_owned()),
            "{run:?}"
        );
        assert_eq!(dora.admissions_left(), 3);
        // Another one takes its place.
        dora.otpgate.invite("dora", &[]);
        let (run, _) = enrol::ssh(&dora.login(&sshd, invite), Until::TheEnd, "id -un");
        assert!(!run.success, "{run:?}");
        assert!(!dora.is_enrolled());
    });
}

#[test]
fn an_invite_that_expired_enrols_nobody() {
    sandbox::run(|sandbox| {
        let dora = Newcomer::new(sandbox);
        let invite = dora.otpgate.invite("dora", &["--expires", "1s"]);
        let sshd = Sshd::start(sandbox, "", Clock::Real);
        processes::wait_until("the end of the invite", || {
            dora.otpgate.run(&["list"]).stdout.contains("EXPIRED")
        });
        let (run, _) = enrol::ssh(&dora.login(&sshd, invite), Until::TheEnd, "id -un");
        assert!(!run.success, "{run:?}");
        assert!(!dora.is_enrolled());
        let log = sandbox.syslog().lines().join("\n");
        assert!(log.contains("reason=invite_expired"), "{log}");
    });
}

#[test]
fn a_dialogue_that_ends_early_leaves_nothing_and_three_of_them_use_the_invite_up() {
    sandbox::run(|sandbox| {
        let dora = Newcomer::new(sandbox);
        let invite = dora.otpgate.invite("dora", &[]);
        let sshd = Sshd::start(sandbox, "", Clock::Real);
        let stops = [
            (Until::TheKey, 2),
            (Until::WrongCodes, 1),
            (Until::TheRecoveryCodes, 0),
        ];
        for (until, left) in stops {
            let (run, _) = enrol::ssh(&dora.login(&sshd, &invite), until, "id -un");
            assert!(
                !run.success && !run.stdout.contains("\ndora\r\n"),
                "{until:?}: {run:?}"
            );
            assert!(!dora.is_enrolled(), "{until:?}");
            assert_eq!(dora.admissions_left(), left, "{until:?}");
        }
        // Of those who hung up nothing is said: sshd ends the process that asked them.
        let log = sandbox.syslog().lines().join("\n");
        let line = "result=not_enrolled user=dora source=127.0.0.1 service=sshd reason=not_proved by=invite";
        assert!(log.contains(line), "{log}");
        let (run, _) = enrol::ssh(&dora.login(&sshd, &invite), Until::TheEnd, "id -un");
        assert!(!run.success && !dora.is_enrolled(), "{run:?}");
        let fresh = dora.otpgate.invite("dora", &[]);
        let (run, _) = enrol::ssh(&dora.login(&sshd, fresh), Until::TheEnd, "id -un");
        assert!(run.success && dora.is_enrolled(), "{run:?}");
    });
}

#[test]
fn of_two_dialogues_at_once_one_enrols() {
    sandbox::run(|sandbox| {
        let dora = Newcomer::new(sandbox);
        let invite = dora.otpgate.invite("dora", &[]);
        let sshd = Sshd::start(sandbox, "", Clock::Real);
        let gate = sandbox.scratch();
        let login = dora.login(&sshd, invite);
        let both = [0; 2].map(|_| enrol::start_ssh(&login, &gate, "id -un"));
        processes::wait_until("both at the last question", || {
            fs::read_dir(&gate).unwrap().count() == 2
        });
        fs::write(gate.join("go"), "").unwrap();
        let runs = both.map(|running| running.finish());
        let successes = runs.iter().filter(|run| run.success).count();
        assert_eq!(successes, 1, "{runs:?}");
        let devices = dora.shown().unwrap()["devices"].as_array().unwrap().len();
        assert_eq!(devices, 1);
        let log = sandbox.syslog().lines().join("\n");
        assert!(log.contains("reason=changed_meanwhile"), "{log}");
    });
}

#[test]
fn clients_that_cannot_answer_enrol_nobody_and_keys_log_in_as_before() {
    sandbox::run(|sandbox| {
        let dora = Newcomer::new(sandbox);
        let invite = dora.otpgate.invite("dora", &[]);
        let sshd = Sshd::start(sandbox, "", Clock::Real);
        // The askpass of this client knows the login's two questions, and not the dialogue's.
        let run = sftp(&dora.login(&sshd, &invite), Way::Askpass, "pwd\n");
        assert!(!run.success, "{run:?}");
        assert!(!dora.is_enrolled());

        let key = sandbox.key_pair();
        dora.user.authorize(&key);
        let identity = [
            "-oPreferredAuthentications=publickey",
            "-i",
            key.private.to_str().unwrap(),
        ];
        let run = ssh(&dora.login(&sshd, ""), Way::Askpass, &identity, "id -un");
        assert!(
            run.success && run.stdout == "dora\n" && run.prompts.is_empty(),
            "{run:?}"
        );
        assert!(!dora.is_enrolled());
        assert!(dora.admissions_left() >= 1);
    });
}

#[test]
fn sudo_and_passwd_are_what_they_were() {
    sandbox::run(|sandbox| {
        let dora = Newcomer::new(sandbox);
        // sudo asks for the code too, on a line without `enrol`: there an invite is nothing.
        dora.otpgate.must(&["setup", "sudo", "--require"]);
        fs::write("/etc/sudoers.d/dora", "dora ALL=(ALL) ALL\n").unwrap();
        let invite = dora.otpgate.invite("dora", &[]);
        let password = &dora.user.password;

        let run = as_dora(&dora, "sudo -k id -un", &[password, &invite]);
        assert!(
            !run.success() && run.stdout.contains("Verification code: "),
            "{run:?}"
        );
        assert!(!run.stdout.contains("root\r\n"), "{run:?}");
        assert_eq!((dora.is_enrolled(), dora.admissions_left()), (false, 3));
        let log = sandbox.syslog().lines().join("\n");
        assert!(log.contains("service=sudo reason=invite_not_here"), "{log}");

        let before = fs::read_to_string("/etc/shadow").unwrap();
        let new = "Another-Horse 8";
        let run = as_dora(&dora, "passwd", &[password, new, new]);
        assert!(run.success(), "{run:?}");
        assert_ne!(fs::read_to_string("/etc/shadow").unwrap(), before);
        assert_eq!((dora.is_enrolled(), dora.admissions_left()), (false, 3));
    });
}

/// A command of hers on a terminal, which gets these answers; a question more than that is hung up on.
fn as_dora(dora: &Newcomer<'_>, command: &str, answers: &[&str]) -> Finished {
    let uid = dora.user.uid;
    let mut script = String::from("match_max 200000\n");
    script +=
        &format!("spawn -noecho setpriv --reuid={uid} --regid={uid} --clear-groups {command}\n");
    for number in 0..answers.len() {
        script += &format!("expect -re {{: $}} {{ send -- \"$env(ANSWER_{number})\\r\" }}\n");
    }
    script += "expect -re {: $} { close } eof {}\nexit [lindex [wait] 3]";
    let mut expect = Command::new("expect");
    let named = |(number, answer): (usize, &&str)| (format!("ANSWER_{number}"), answer.to_string());
    expect
        .args(["-c", &script])
        .envs(answers.iter().enumerate().map(named));
    processes::run(&mut expect, &dora.sandbox.scratch())
}

#[test]
fn an_open_rule_enrols_without_an_invite_where_and_until_it_says() {
    sandbox::run(|sandbox| {
        let rule = "[[rule]]\nfrom = [\"127.0.0.1/32\"]\nthen = \"require\"\nenrol = \"open\"\nenrol_until = 2099-12-31\n";
        let dora = Newcomer::with_settings(sandbox, rule);
        let sshd = Sshd::start(sandbox, "", Clock::Real);
        let (run, traces) = enrol::ssh(&dora.login(&sshd, "unused"), Until::TheEnd, "id -un");
        assert!(run.success && dora.is_enrolled(), "{run:?}");
        assert_eq!(run.prompts[0], LOGIN[0]);
        assert!(!run.prompts.contains(&LOGIN[1].to_owned()), "{run:?}");
        let run = dora.log_in(&sshd, next_code(&traces.key()));
        assert!(run.success && run.prompts == LOGIN, "{run:?}");

        // From elsewhere, and for a client that cannot answer: nothing.
        let eric = sandbox.add_user("eric");
        let login = || tests::clients::Login::new(sandbox, &sshd, &eric, "000000");
        let run = ssh(
            &login(),
            Way::Askpass,
            &["-oBindAddress=127.0.0.2"],
            "id -un",
        );
        assert!(!run.success && run.prompts.len() >= 2, "{run:?}");
        let run = sftp(&login(), Way::Askpass, "pwd\n");
        assert!(!run.success, "{run:?}");
        assert!(!dora.otpgate.run(&["show", "eric"]).success());
    });
}

#[test]
fn putty_shows_a_picture_that_can_be_scanned() {
    sandbox::run(|sandbox| {
        let dora = Newcomer::new(sandbox);
        let invite = dora.otpgate.invite("dora", &[]);
        let sshd = Sshd::start(sandbox, "", Clock::Real);
        let (run, traces) = enrol::plink(&dora.login(&sshd, invite), Until::TheEnd, "id -un");
        assert!(run.success && dora.is_enrolled(), "{run:?}");
        let screen = traces.screen();
        let uri = picture::decode(&screen, &sandbox.scratch());
        assert!(uri.contains(&traces.key()), "{uri}");
        let lines = picture::lines(&screen);
        assert!(lines.iter().all(|line| line.chars().count() <= 80) && lines.len() < 24);
    });
}
