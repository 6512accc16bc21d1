//! Codes that are sent: when, and which questions are asked for it.

use super::*;

const PROMPT: &str = "Verification code: ";
/// Nobody is sent anything without asking.
const ON_DEMAND: &str =
    "[channel.sms]\nkind = \"command\"\nargv = [\"/bin/page\"]\non_demand = true";
/// Everybody who has a device there.
const AT_ONCE: &str =
    "[channel.sms]\nkind = \"command\"\nargv = [\"/bin/page\"]\non_demand = false";

/// Alice, with a device on the channel `sms` beside her phone; the configuration's channels as given.
fn scene(channels: &str) -> Scene {
    let scene = Scene::new();
    let store = FilesStore::open(&scene.path().join("state")).unwrap();
    let sms = Token {
        id: "text".into(),
        serial: Serial::generate().unwrap(),
        kind: Kind::Delivered {
            channel: "sms".into(),
            address: "+441632960123".into(),
        },
        ..scene.token.clone()
    };
    let add = |account: &mut Account, _: &mut State| {
        account.tokens.push(sms);
        Ok(())
    };
    let administration = store.administer().unwrap();
    administration
        .update(&UserName::from("alice"), add)
        .unwrap();
    scene.configure(channels);
    scene
}

fn asked(answer: &str) -> Event {
    Event::Asked(PROMPT, answer.into())
}

/// The code in what a program was started with.
fn code(started: &str) -> Option<&str> {
    let mut lines = started.lines();
    lines.find_map(|line| line.strip_prefix("code "))
}

impl Script {
    fn started(&self) -> Vec<String> {
        self.started.borrow().clone()
    }
}

#[test]
fn the_name_of_a_channel_asks_for_a_code_and_the_question_again() {
    let scene = scene(ON_DEMAND);
    let mut script = Script::new("alice", vec![asked(" SMS "), asked("")]);
    assert_eq!(scene.log_in(&[], &mut script), Outcome::Refused);
    let started = script.started();
    let config = scene.path().join("otpgate.toml");
    let expected = format!(
        "/usr/bin/otpgate --config {} deliver --job\nsend\nuser alice\nservice sshd\nsource 192.0.2.7\ntoken \
         text\nchannel sms\naddress +441632960123\ncode ",
        config.display()
    );
    assert_eq!(started.len(), 1);
    assert!(started[0].starts_with(&expected), "{}", started[0]);
    let mut script = Script::new("alice", vec![asked(code(&started[0]).unwrap())]);
    assert_eq!(scene.log_in(&[], &mut script), Outcome::Accepted);
    assert!(
        script.log[0].ends_with("token=text kind=delivered"),
        "{:?}",
        script.log
    );
    let mut script = Script::new("alice", vec![asked(code(&started[0]).unwrap())]);
    assert_eq!(scene.log_in(&[], &mut script), Outcome::Refused);
    assert!(
        script.log[0].ends_with("reason=replayed"),
        "{:?}",
        script.log
    );
}

#[test]
fn it_is_the_same_question_for_everybody_and_a_program_is_started_for_everybody() {
    let scene = scene(ON_DEMAND);
    for user in ["alice", "bob", "nobody"] {
        let mut script = Script::new(user, vec![asked("sms"), asked("000000")]);
        assert_eq!(scene.log_in(&[], &mut script), Outcome::Refused, "{user}");
        let started = script.started();
        assert_eq!(started.len(), 1, "{user}");
        assert_eq!(code(&started[0]).is_some(), user == "alice", "{user}");
    }
}

#[test]
fn three_times_and_then_it_is_a_wrong_answer() {
    for user in ["alice", "nobody"] {
        let scene = scene(ON_DEMAND);
        let script = (0..4).map(|_| asked("sms")).collect();
        let mut script = Script::new(user, script);
        assert_eq!(scene.log_in(&[], &mut script), Outcome::Refused);
        let started = script.started();
        assert_eq!(started.len(), 3);
        let codes = started.iter().filter(|job| code(job).is_some()).count();
        assert_eq!(codes, usize::from(user == "alice"), "one in its lifetime");
        assert_eq!(scene.failures(), u16::from(user == "alice"));
    }
}

#[test]
fn a_channel_may_send_before_the_prompt() {
    let scene = scene(AT_ONCE);
    let mut script = Script::new("alice", vec![Event::HungUp(PROMPT)]);
    assert_eq!(scene.log_in(&[], &mut script), Outcome::ConversationFailed);
    let started = script.started();
    let code = code(&started[0]).unwrap();
    let mut script = Script::new("alice", vec![asked(code)]);
    assert_eq!(scene.log_in(&[], &mut script), Outcome::Accepted);
    assert_eq!(
        script.started()[0].lines().nth(1),
        Some(""),
        "nothing to send"
    );
}

#[test]
fn the_other_device_works_while_the_program_does_not_start() {
    let scene = scene(AT_ONCE);
    let typed = String::from_utf8(scene.code(0)).unwrap();
    let mut script = Script::new("alice", vec![asked("sms"), asked(&typed)]);
    script.cannot_start = true;
    assert_eq!(scene.log_in(&[], &mut script), Outcome::Accepted);
    let told = |line: &&String| line.contains("reason=delivery detail=\"/usr/bin/otpgate: ");
    assert_eq!(
        script.log.iter().filter(told).count(),
        2,
        "{:?}",
        script.log
    );
}

#[test]
fn nothing_is_sent_before_a_password_that_comes_with_the_code() {
    let scene = scene(AT_ONCE);
    let prompt = "Password & verification code: ";
    let mut script = Script::new("alice", vec![Event::Asked(prompt, b"sms".to_vec())]);
    assert_eq!(
        scene.log_in(&["forward_pass"], &mut script),
        Outcome::Refused
    );
    assert_eq!(script.started(), [""; 0]);
    let mut script = Script::new("alice", vec![]).with_password("hunter2");
    assert_eq!(
        scene.log_in(&["use_first_pass"], &mut script),
        Outcome::Refused
    );
    assert_eq!(script.started(), [""; 0]);
}

#[test]
fn a_password_that_is_the_name_of_a_channel_asks_for_nothing() {
    let scene = scene(ON_DEMAND);
    let mut script = Script::new("alice", vec![asked("sms")]).with_password("sms");
    assert_eq!(scene.log_in(&[], &mut script), Outcome::Refused);
    assert!(script.log[0].ends_with("reason=answered_with_password"));
    assert_eq!(script.started(), [""; 0]);
}

#[test]
fn a_rule_that_denies_sends_nothing_and_shows_it_to_nobody() {
    let scene = scene(&format!("{AT_ONCE}\n[[rule]]\nthen = \"deny\""));
    let mut script = Script::new("alice", vec![asked("sms"), asked("000000")]);
    assert_eq!(scene.log_in(&[], &mut script), Outcome::Refused);
    let started = script.started();
    assert_eq!(started.len(), 2);
    assert!(started.iter().all(|job| code(job).is_none()));
}

#[test]
fn without_channels_no_program_is_started() {
    let scene = scene("");
    let mut script = Script::new("alice", vec![asked("sms")]);
    assert_eq!(scene.log_in(&[], &mut script), Outcome::Refused);
    assert_eq!(script.started(), [""; 0]);
    assert_eq!(scene.failures(), 1);
}
