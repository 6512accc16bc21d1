//! The dialogue against a script: which questions are asked, in which order, and what comes of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod script;

use std::path::Path;
use std::time::Duration;

use otp_core::account::{Account, Kind, Serial, Token};
use otp_core::hotp::{Algorithm, Digits};
use otp_core::recovery::{RecoveryCode, StoredRecoveryCode};
use otp_core::secret::Secret;
use otp_core::state::State;
use otp_core::store::administration::init;
use otp_core::store::{FilesStore, Record as _, Store as _};
use otp_core::totp::{Period, UnixTime};
use otp_core::user_name::UserName;
use pam_ffi::MessageStyle;
use pam_login::authenticate::authenticate;
use pam_login::guard::run;
use pam_login::options::Options;
use pam_login::outcome::Outcome;
use script::{Event, Script};
use tempfile::TempDir;

#[path = "dialogue/delivery.rs"]
mod delivery;

const NOW: UnixTime = UnixTime(1_700_000_010);

/// A store with alice in it, and a configuration that leads there.
struct Scene {
    directory: TempDir,
    token: Token,
    recovery: RecoveryCode,
}

impl Scene {
    fn new() -> Self {
        Self::with_recovery_codes(4)
    }

    fn with_recovery_codes(count: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = init(&directory.path().join("state")).unwrap();
        let token = Token {
            id: "phone".into(),
            serial: Serial::generate().unwrap(),
            kind: Kind::Totp {
                period: Period::default(),
            },
            secret: Secret::generate().unwrap(),
            algorithm: Algorithm::Sha1,
            digits: Digits::SIX,
            label: String::new(),
            issuer: String::new(),
            created: NOW,
            services: None,
            enabled: true,
        };
        let recovery = RecoveryCode::generate().unwrap();
        let alice = UserName::from("alice");
        let mut account = Account::new(&alice, NOW);
        account.tokens.push(token.clone());
        for place in 0..count {
            let other = RecoveryCode::generate().unwrap();
            let code = if place == 0 { &recovery } else { &other };
            let stored = StoredRecoveryCode::new(code).unwrap();
            account.recovery.push(stored);
        }
        let state = State::new(&account);
        store
            .administer()
            .unwrap()
            .create(&alice, account, state)
            .unwrap();
        let scene = Self {
            directory,
            token,
            recovery,
        };
        scene.configure("");
        scene
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn configure(&self, rest: &str) {
        let text = format!("state_dir = \"{}/state\"\n{rest}", self.path().display());
        std::fs::write(self.path().join("otpgate.toml"), text).unwrap();
    }

    fn code(&self, offset: u64) -> Vec<u8> {
        let step = Period::default().step(NOW) + offset;
        self.token
            .generator()
            .code(step)
            .expose()
            .as_bytes()
            .to_vec()
    }

    fn failures(&self) -> u16 {
        let store = FilesStore::open(&self.path().join("state")).unwrap();
        store
            .lock(&UserName::from("alice"))
            .unwrap()
            .state()
            .throttle
            .failures()
    }

    fn log_in(&self, options: &[&str], script: &mut Script) -> Outcome {
        let config = format!("config={}/otpgate.toml", self.path().display());
        let options = Options::parse(options.iter().copied().chain([config.as_str()])).unwrap();
        authenticate(script, &options, false, &NOW)
    }
}

fn asked(answer: impl Into<Vec<u8>>) -> Event {
    Event::Asked("Verification code: ", answer.into())
}

#[test]
fn a_right_code_lets_in_once() {
    let scene = Scene::new();
    let mut script = Script::new("alice", vec![asked(scene.code(0))]);
    assert_eq!(scene.log_in(&[], &mut script), Outcome::Accepted);
    assert_eq!(
        script.log,
        ["otpgate: result=accepted user=alice source=192.0.2.7 service=sshd token=phone kind=totp"]
    );
    assert_eq!(
        (script.styles.clone(), script.delay),
        (
            vec![MessageStyle::PromptEchoOff],
            Some(Duration::from_secs(2))
        )
    );
    let mut script = Script::new("alice", vec![asked(scene.code(0))]);
    assert_eq!(
        scene.log_in(&["no_delay", "echo_code"], &mut script),
        Outcome::Refused
    );
    assert_eq!(
        script.log,
        ["otpgate: result=refused user=alice source=192.0.2.7 service=sshd reason=replayed"]
    );
    assert_eq!(
        (script.styles.clone(), script.delay),
        (vec![MessageStyle::PromptEchoOn], None)
    );
}

#[test]
fn who_is_not_enrolled_is_asked_the_same_and_not_named() {
    let scene = Scene::new();
    for user in ["bob", "hunter2", "a b\n"] {
        let mut script = Script::new(user, vec![asked("123456")]);
        assert_eq!(scene.log_in(&[], &mut script), Outcome::Refused);
        let expected = "otpgate: result=refused user=unknown source=192.0.2.7 service=sshd reason=not_enrolled";
        assert_eq!(script.log, [expected]);
    }
}

#[test]
fn nullok_lets_pass_who_is_not_enrolled_without_a_question() {
    let scene = Scene::new();
    assert_eq!(
        scene.log_in(&["nullok"], &mut Script::new("bob", vec![])),
        Outcome::NotEnrolledAllowed
    );
    let mut script = Script::new("alice", vec![asked("000000")]);
    assert_eq!(scene.log_in(&["nullok"], &mut script), Outcome::Refused);
}

#[test]
fn another_spelling_of_an_enrolled_name_is_no_pass() {
    let scene = Scene::new();
    for user in ["ALICE", "carol"] {
        let mut script = Script::new(user, vec![asked(scene.code(0))]);
        assert_eq!(
            scene.log_in(&["nullok"], &mut script),
            Outcome::Refused,
            "{user}"
        );
    }
    let passes = scene.log_in(&["nullok"], &mut Script::new("BOB", vec![]));
    assert_eq!(passes, Outcome::NotEnrolledAllowed);
    scene.configure("[[rule]]\nusers = [\"bob\"]\nthen = \"deny\"\n");
    let mut script = Script::new("BOB", vec![asked("123456")]);
    assert_eq!(scene.log_in(&["nullok"], &mut script), Outcome::Refused);
}

#[test]
fn a_store_that_is_replaced_at_the_prompt_is_the_one_that_counts() {
    let scene = Scene::new();
    let code = scene.code(0);
    let state = scene.path().join("state");
    let gone = scene.path().join("gone");
    let mut script = Script::new(
        "alice",
        vec![Event::Does(Box::new(move || {
            std::fs::rename(&state, &gone).unwrap();
            code.clone()
        }))],
    );
    assert_eq!(scene.log_in(&[], &mut script), Outcome::StoreFailed);
}

#[test]
fn a_configuration_that_was_named_has_to_be_there() {
    let scene = Scene::new();
    std::fs::remove_file(scene.path().join("otpgate.toml")).unwrap();
    let mut script = Script::new("alice", vec![]);
    assert_eq!(
        scene.log_in(&["nullok"], &mut script),
        Outcome::Misconfigured
    );
    assert!(
        script.log[0].contains("is not there, though it was named"),
        "{}",
        script.log[0]
    );
}

#[test]
fn nullok_never_turns_damage_into_a_pass() {
    let scene = Scene::new();
    for file in ["state/alice", "accounts/alice.toml"] {
        let path = scene.path().join("state").join(file);
        let bytes = std::fs::read(&path).unwrap();
        for damage in ["remove", "empty"] {
            if damage == "remove" {
                std::fs::remove_file(&path).unwrap()
            } else {
                std::fs::write(&path, "").unwrap()
            }
            let mut script = Script::new("alice", vec![asked(scene.code(0))]);
            assert_eq!(
                scene.log_in(&["nullok"], &mut script),
                Outcome::StoreFailed,
                "{file} {damage}"
            );
            let line = &script.log[0];
            assert!(
                line.contains("result=error") && line.contains(file),
                "{line}"
            );
            std::fs::write(&path, &bytes).unwrap();
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
                .unwrap();
        }
    }
    std::fs::rename(scene.path().join("state"), scene.path().join("gone")).unwrap();
    let mut script = Script::new("bob", vec![]);
    assert_eq!(scene.log_in(&["nullok"], &mut script), Outcome::StoreFailed);
    assert!(script.log[0].contains("otpgate init"), "{}", script.log[0]);
}

#[test]
fn what_is_no_answer_is_refused_and_not_counted() {
    let scene = Scene::new();
    for (answer, reason) in [
        (&b""[..], "empty_answer"),
        (b"\x08\n\r\x7fINCORRECT", "control_bytes"),
        (b"hunter2", "answered_with_password"),
        (&[b'1'; 1 << 20], "answer_too_long"),
    ] {
        let mut script = Script::new("alice", vec![asked(answer)]).with_password("hunter2");
        assert_eq!(scene.log_in(&[], &mut script), Outcome::Refused);
        assert!(
            script.log[0].ends_with(&format!("reason={reason}")),
            "{}",
            script.log[0]
        );
    }
    let mut script = Script::new("alice", vec![Event::Shown("Verification code: ")]);
    assert_eq!(scene.log_in(&[], &mut script), Outcome::Refused);
    let mut script = Script::new("alice", vec![Event::HungUp("Verification code: ")]);
    assert_eq!(scene.log_in(&[], &mut script), Outcome::ConversationFailed);
    assert_eq!(scene.failures(), 0);
}

#[test]
fn ask_password_asks_first_and_hands_the_password_on() {
    let scene = Scene::new();
    let events = vec![
        Event::Asked("Password: ", b"hunter2".to_vec()),
        asked(scene.code(0)),
    ];
    let mut script = Script::new("alice", events);
    assert_eq!(
        scene.log_in(&["ask_password"], &mut script),
        Outcome::Accepted
    );
    assert_eq!(script.password.as_deref().unwrap(), b"hunter2");
    let mut script = Script::new("alice", vec![asked(scene.code(1))]).with_password("hunter2");
    assert_eq!(
        scene.log_in(&["ask_password"], &mut script),
        Outcome::Accepted
    );
}

#[test]
fn first_pass_modes_find_the_code_behind_the_password() {
    let scene = Scene::new();
    let with_code = |offset| [b"hunter2".to_vec(), scene.code(offset)].concat();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();

    let mut script = Script::new("alice", vec![]).with_password(&text(with_code(0)));
    assert_eq!(
        scene.log_in(&["use_first_pass"], &mut script),
        Outcome::Accepted
    );
    assert_eq!(
        script.password.as_deref().unwrap(),
        &with_code(0),
        "left as it was"
    );

    let mut script = Script::new("alice", vec![]).with_password(&text(with_code(0)));
    assert_eq!(
        scene.log_in(&["use_first_pass"], &mut script),
        Outcome::Refused
    );

    let mut script = Script::new("alice", vec![]);
    assert_eq!(
        scene.log_in(&["use_first_pass"], &mut script),
        Outcome::Refused
    );

    let mut script = Script::new("alice", vec![asked(scene.code(1))]).with_password("hunter2");
    assert_eq!(
        scene.log_in(&["try_first_pass"], &mut script),
        Outcome::Accepted
    );
}

#[test]
fn forward_pass_cuts_the_code_off_and_hands_the_password_on() {
    let scene = Scene::new();
    let combined = |offset| {
        Event::Asked(
            "Password & verification code: ",
            [b"hunter2".to_vec(), scene.code(offset)].concat(),
        )
    };
    let mut script = Script::new("alice", vec![combined(0)]);
    assert_eq!(
        scene.log_in(&["forward_pass"], &mut script),
        Outcome::Accepted
    );
    assert_eq!(script.password.as_deref().unwrap(), b"hunter2");
    let mut script = Script::new("alice", vec![combined(0)]);
    assert_eq!(
        scene.log_in(&["forward_pass"], &mut script),
        Outcome::Refused
    );
    assert!(
        script.password.is_none(),
        "a refused password is not handed on"
    );
    let recovery = format!("hunter2{}", *scene.recovery.expose());
    let events = vec![Event::Asked(
        "Password & verification code: ",
        recovery.into_bytes(),
    )];
    let mut script = Script::new("alice", events);
    assert_eq!(
        scene.log_in(&["forward_pass"], &mut script),
        Outcome::Accepted
    );
    assert_eq!(script.password.as_deref().unwrap(), b"hunter2");
}

#[test]
fn any_login_says_when_few_recovery_codes_are_left() {
    for (count, shown) in [
        (0, None),
        (
            1,
            Some("Recovery codes left: 1. Ask your administrator for new ones."),
        ),
        (
            2,
            Some("Recovery codes left: 2. Ask your administrator for new ones."),
        ),
        (3, None),
    ] {
        let scene = Scene::with_recovery_codes(count);
        let mut events = vec![asked(scene.code(0))];
        events.extend(shown.map(Event::Shown));
        let accepted = scene.log_in(&[], &mut Script::new("alice", events));
        assert_eq!(accepted, Outcome::Accepted, "{count}");
        let events = vec![asked(scene.code(1))];
        let accepted = scene.log_in(&["quiet"], &mut Script::new("alice", events));
        assert_eq!(accepted, Outcome::Accepted, "{count}, quietly");
    }
    let scene = Scene::with_recovery_codes(3);
    let events = vec![
        asked(scene.recovery.expose().as_bytes().to_vec()),
        Event::Shown("Recovery codes left: 2. Ask your administrator for new ones."),
    ];
    assert_eq!(
        scene.log_in(&[], &mut Script::new("alice", events)),
        Outcome::Accepted
    );
}

#[test]
fn grace_is_for_the_same_address() {
    let scene = Scene::new();
    let options = ["grace=10m"];
    assert_eq!(
        scene.log_in(
            &options,
            &mut Script::new("alice", vec![asked(scene.code(0))])
        ),
        Outcome::Accepted
    );
    let mut script = Script::new("alice", vec![]);
    assert_eq!(scene.log_in(&options, &mut script), Outcome::Accepted);
    assert!(script.log[0].ends_with("kind=grace"), "{}", script.log[0]);
    let mut elsewhere = Script::new("alice", vec![asked("000000")]);
    elsewhere.rhost = "198.51.100.1";
    assert_eq!(scene.log_in(&options, &mut elsewhere), Outcome::Refused);
}

#[test]
fn rules_decide_before_the_store_is_opened() {
    let scene = Scene::new();
    scene.configure("[[rule]]\nusers = [\"alice\"]\nfrom = [\"192.0.2.0/24\"]\nthen = \"skip\"\n[[rule]]\nusers = [\"bob\"]\nthen = \"deny\"\n");
    std::fs::rename(scene.path().join("state"), scene.path().join("gone")).unwrap();
    assert_eq!(
        scene.log_in(&[], &mut Script::new("alice", vec![])),
        Outcome::Skipped
    );
    std::fs::rename(scene.path().join("gone"), scene.path().join("state")).unwrap();
    for (user, rest) in [
        (
            "bob",
            "user=unknown source=192.0.2.7 service=sshd reason=not_enrolled",
        ),
        (
            "alice",
            "user=alice source=192.0.2.7 service=sshd reason=denied_by_rule",
        ),
    ] {
        scene.configure("[[rule]]\nthen = \"deny\"\n");
        let mut script = Script::new(user, vec![asked(scene.code(0))]);
        assert_eq!(scene.log_in(&["nullok"], &mut script), Outcome::Refused);
        assert!(script.log[0].ends_with(rest), "{}", script.log[0]);
    }
}

#[test]
fn a_rule_that_cannot_be_decided_refuses() {
    let scene = Scene::new();
    scene.configure("[[rule]]\ngroups = [\"wheel\"]\nthen = \"skip\"\n");
    let mut script = Script::new("alice", vec![]);
    assert_eq!(scene.log_in(&["nullok"], &mut script), Outcome::StoreFailed);
    assert!(
        script.log[0].contains("directory server down"),
        "{}",
        script.log[0]
    );
}

#[test]
fn a_bad_configuration_or_option_refuses_without_a_question() {
    let scene = Scene::new();
    scene.configure("max_failure = 3\n");
    let mut script = Script::new("alice", vec![]);
    assert_eq!(
        scene.log_in(&["nullok"], &mut script),
        Outcome::Misconfigured
    );
    assert!(
        script.log[0].contains("otpgate.toml:2: unknown key 'max_failure'"),
        "{}",
        script.log[0]
    );
    let mut script = Script::new("alice", vec![]);
    let outcome = run(&mut script, &[c"nulok"], |_, _| {
        panic!("options are read first")
    });
    assert_eq!(outcome, Outcome::Misconfigured);
    assert!(
        script.log[0].contains("reason=bad_option"),
        "{}",
        script.log[0]
    );
}

#[test]
fn a_panic_ends_the_login_and_not_the_host() {
    let scene = Scene::new();
    let mut script = Script::new("alice", vec![Event::Panics("Verification code: ")]);
    let config =
        std::ffi::CString::new(format!("config={}/otpgate.toml", scene.path().display())).unwrap();
    let outcome = run(&mut script, &[&config], |host, options| {
        authenticate(host, options, false, &NOW)
    });
    assert_eq!(outcome, Outcome::Panicked);
    assert!(
        script.log[0].contains("reason=defect") && script.log[0].contains("script/mod.rs"),
        "{}",
        script.log[0]
    );
    assert!(!script.log[0].contains("hunter2"));
}

/// Bob, who is not enrolled, with a `~/.google_authenticator`.
fn bob(scene: &Scene, file: &str, events: Vec<Event>) -> Script {
    let path = scene.path().join(".google_authenticator");
    // What a login wrote cannot be written to.
    let _ = std::fs::remove_file(&path);
    std::fs::write(&path, format!("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\n{file}")).unwrap();
    let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(path, owner_only).unwrap();
    let mut script = Script::new("bob", events);
    script.home = scene.path().to_owned();
    script
}

fn file_of_bob(scene: &Scene) -> String {
    let text = std::fs::read_to_string(scene.path().join(".google_authenticator")).unwrap();
    text.split_once('\n').unwrap().1.to_owned()
}

#[test]
fn who_is_not_enrolled_and_has_a_file_is_asked_for_its_code() {
    let scene = Scene::new();
    let mut script = bob(&scene, "\" HOTP_COUNTER 1\n", vec![asked("287082")]);
    assert_eq!(scene.log_in(&["nullok"], &mut script), Outcome::Accepted);
    assert_eq!(
        script.log,
        [
            "otpgate: result=accepted user=bob source=192.0.2.7 service=sshd token=google_authenticator kind=hotp"
        ]
    );
    assert_eq!(file_of_bob(&scene), "\" HOTP_COUNTER 2\n");
    scene.configure("google_authenticator_files = \"off\"\n");
    let mut script = bob(&scene, "\" HOTP_COUNTER 1\n", vec![]);
    let outcome = scene.log_in(&["nullok"], &mut script);
    assert_eq!(outcome, Outcome::NotEnrolledAllowed);
}

#[test]
fn hanging_up_counts_against_the_limit_of_a_users_file() {
    let scene = Scene::new();
    let hung_up = vec![Event::HungUp("Verification code: ")];
    let mut script = bob(&scene, "\" RATE_LIMIT 1 30\n\" HOTP_COUNTER 1\n", hung_up);
    let outcome = scene.log_in(&[], &mut script);
    assert_eq!(outcome, Outcome::ConversationFailed);
    let counted = "\" RATE_LIMIT 1 30 1700000010\n\" HOTP_COUNTER 1\n";
    assert_eq!(file_of_bob(&scene), counted);
    // Nobody is asked who is over it.
    let mut script = bob(&scene, counted, vec![]);
    assert_eq!(scene.log_in(&[], &mut script), Outcome::Refused);
}

#[test]
fn rules_hold_for_users_with_a_file_of_their_own() {
    let scene = Scene::new();
    let rule = |then: &str| scene.configure(&format!("[[rule]]\nthen = \"{then}\"\n"));
    let named = ["secret=~/.google_authenticator"];
    rule("deny");
    let mut script = bob(&scene, "\" HOTP_COUNTER 1\n", vec![asked("287082")]);
    assert_eq!(scene.log_in(&named, &mut script), Outcome::Refused);
    assert_eq!(file_of_bob(&scene), "\" HOTP_COUNTER 1\n", "not used up");
    rule("skip");
    let mut script = bob(&scene, "", vec![]);
    assert_eq!(scene.log_in(&named, &mut script), Outcome::Skipped);
}
