//! Named examples for each rule, then properties over arbitrary sequences of attempts.

use proptest::prelude::*;

use super::*;
use crate::account::tests::{hotp_token, totp_token};
use crate::account::{Kind, Serial, Token};
use crate::recovery::StoredRecoveryCode;
use crate::scratch::ScratchCodes;
use crate::totp::Period;
use crate::user_name::UserName;

const NOW: UnixTime = UnixTime(1_700_000_010);
const HOME: Source = Source::V4(0x0a00_0001);
const AWAY: Source = Source::V4(0x0a00_0002);

/// An account and its state, logging in again and again.
struct Scene {
    account: Account,
    state: State,
    now: UnixTime,
    parameters: Parameters,
}

impl Scene {
    fn new(tokens: Vec<Token>) -> Self {
        let mut account = Account::new(&UserName::from("alice"), NOW);
        account.generation = 1;
        account.tokens = tokens;
        let state = State::new(&account);
        Self {
            account,
            state,
            now: NOW,
            parameters: Parameters::default(),
        }
    }

    fn attempt(&mut self, answer: Answer, source: Source) -> Verdict {
        let attempt = Attempt {
            answer,
            source,
            service: "sshd",
            remember: true,
            invites: true,
        };
        let (verdict, state) = decide(
            &self.account,
            &self.state,
            &attempt,
            self.now,
            &self.parameters,
        );
        self.state = state;
        verdict
    }

    fn type_code(&mut self, text: &str) -> Verdict {
        self.attempt(Answer::parse(Some(text.as_bytes()), None), HOME)
    }

    fn code(&self, token: usize, position: u64) -> String {
        self.account.tokens[token]
            .generator()
            .code(position)
            .expose()
            .to_string()
    }

    fn step(&self) -> u64 {
        Period::default().step(self.now)
    }

    /// A code of the right length that fits none of the first device's positions nearby.
    fn wrong_code(&self) -> String {
        let near: Vec<String> = (self.step() - 50..self.step() + 50)
            .chain(0..300)
            .map(|position| self.code(0, position))
            .collect();
        (0..)
            .map(|number| format!("{number:06}"))
            .find(|code| !near.contains(code))
            .unwrap()
    }

    fn accepted_at(&mut self, position: u64) {
        let code = self.code(0, position);
        let verdict = self.type_code(&code);
        assert!(
            matches!(verdict, Verdict::Accepted(_)),
            "position {position}: {verdict:?}"
        );
    }

    fn refused_at(&mut self, position: u64) -> Refusal {
        let code = self.code(0, position);
        match self.type_code(&code) {
            Verdict::Refused(refusal) => refusal,
            Verdict::Accepted(accepted) => panic!("position {position}: {accepted:?}"),
        }
    }
}

fn out_of_window() -> Refusal {
    Refusal::OutOfWindow {
        token: "phone".into(),
    }
}

#[test]
fn rfc_6238_5_2_a_code_is_accepted_once() {
    let mut scene = Scene::new(vec![totp_token("phone")]);
    let step = scene.step();
    scene.accepted_at(step);
    assert_eq!(scene.refused_at(step), Refusal::Replayed);
    assert_eq!(scene.refused_at(step - 1), Refusal::Replayed);
    scene.accepted_at(step + 1);
    let replay = format!(" {}\t", scene.code(0, step + 1));
    assert_eq!(
        scene.type_code(&replay),
        Verdict::Refused(Refusal::Replayed)
    );
}

#[test]
fn a_clock_set_back_reopens_nothing() {
    let mut scene = Scene::new(vec![totp_token("phone")]);
    let step = scene.step();
    scene.accepted_at(step);
    scene.now = UnixTime(NOW.0 - 90);
    for offset in 0..=4 {
        let _ = scene.refused_at(step - offset);
    }
}

#[test]
fn a_clock_that_was_ten_years_ahead_is_named_as_the_reason() {
    let mut scene = Scene::new(vec![totp_token("phone")]);
    scene.now = NOW.plus(10 * 365 * 86_400);
    let ahead = scene.step();
    scene.accepted_at(ahead);
    scene.now = NOW;
    let step = scene.step();
    assert_eq!(
        scene.refused_at(step),
        Refusal::WatermarkAhead {
            token: "phone".into()
        }
    );
}

#[test]
fn rfc_4226_7_2_hotp_success_moves_the_counter_behind_the_match() {
    let mut scene = Scene::new(vec![hotp_token("phone")]);
    scene.accepted_at(0);
    scene.accepted_at(7);
    assert_eq!(scene.state.tokens[0].next, 8);
    assert_eq!(scene.refused_at(7), Refusal::Replayed);
    assert_eq!(scene.refused_at(3), Refusal::Wrong);
    assert_eq!(scene.state.tokens[0].next, 8);
}

#[test]
fn a_wrong_hotp_code_changes_nothing_but_the_throttle() {
    let mut scene = Scene::new(vec![hotp_token("phone")]);
    let before = scene.state.tokens.clone();
    let wrong = scene.wrong_code();
    assert_eq!(scene.type_code(&wrong), Verdict::Refused(Refusal::Wrong));
    assert_eq!(scene.state.tokens, before);
    assert_eq!(scene.state.throttle.failures(), 1);
}

#[test]
fn equal_codes_within_the_look_ahead_open_once_and_leave_nobody_behind() {
    // The secret of RFC 4226 appendix D makes the same code at these counters.
    let (first, second) = (2386, 2394);
    let mut token = hotp_token("phone");
    token.secret = crate::secret::Secret::new(b"12345678901234567890".to_vec()).unwrap();
    token.kind = Kind::Hotp { counter: first };
    let mut scene = Scene::new(vec![token]);
    assert_eq!(scene.code(0, first), scene.code(0, second));
    scene.accepted_at(first);
    assert_eq!(scene.refused_at(second), Refusal::Replayed);
    for counter in first + 1..second {
        scene.accepted_at(counter);
    }
    assert_eq!(scene.refused_at(second), Refusal::Replayed);
    scene.accepted_at(second + 1);
}

#[test]
fn rfc_4226_7_4_two_codes_in_a_row_resynchronise_hotp() {
    let mut scene = Scene::new(vec![hotp_token("phone")]);
    assert_eq!(scene.refused_at(60), out_of_window());
    scene.accepted_at(61);
    assert_eq!(scene.state.tokens[0].next, 62);
    assert_eq!(scene.refused_at(60), Refusal::Wrong);
}

#[test]
fn rfc_4226_7_4_anything_but_the_directly_following_code_does_not() {
    for second in [59, 60, 62, 63] {
        let mut scene = Scene::new(vec![hotp_token("phone")]);
        assert_eq!(scene.refused_at(60), out_of_window());
        let _ = scene.refused_at(second);
        assert_eq!(scene.state.tokens[0].next, 0, "second code {second}");
    }
    let mut scene = Scene::new(vec![hotp_token("phone")]);
    assert_eq!(scene.refused_at(60), out_of_window());
    let wrong = scene.wrong_code();
    assert_eq!(scene.type_code(&wrong), Verdict::Refused(Refusal::Wrong));
    assert_eq!(
        scene.refused_at(61),
        out_of_window(),
        "only at the next attempt"
    );
}

#[test]
fn rfc_6238_6_two_codes_in_a_row_teach_the_skew() {
    let mut scene = Scene::new(vec![totp_token("phone")]);
    let step = scene.step();
    assert_eq!(scene.refused_at(step - 8), out_of_window());
    scene.now = NOW.plus(30);
    scene.accepted_at(step - 7);
    assert_eq!(scene.state.tokens[0].skew, -8);
    scene.now = NOW.plus(600);
    scene.accepted_at(step + 20 - 8);
}

#[test]
fn a_refused_candidate_is_used_up() {
    let mut scene = Scene::new(vec![totp_token("phone")]);
    let ahead = scene.step() + 4;
    assert_eq!(scene.refused_at(ahead), out_of_window());
    scene.now = NOW.plus(120);
    assert_eq!(scene.step(), ahead);
    assert_eq!(scene.refused_at(ahead), Refusal::Replayed);
    scene.accepted_at(ahead + 1);
}

#[test]
fn captured_old_codes_are_refused() {
    let mut scene = Scene::new(vec![totp_token("phone")]);
    let step = scene.step();
    for age in [12, 20, 120, 1440] {
        assert_eq!(
            scene.refused_at(step - age),
            Refusal::Wrong,
            "{age} steps old"
        );
        assert_eq!(
            scene.refused_at(step - age + 1),
            Refusal::Wrong,
            "{} steps old",
            age - 1
        );
        scene.state.throttle.unlock();
    }
}

#[test]
fn if_several_devices_match_all_codes_are_used_up() {
    let mut twin = totp_token("phone");
    twin.id = "tablet".into();
    twin.serial = Serial(99);
    let mut scene = Scene::new(vec![totp_token("phone"), twin]);
    let step = scene.step();
    scene.accepted_at(step);
    scene.account.tokens.remove(0);
    assert_eq!(scene.refused_at(step), Refusal::Replayed);
}

#[test]
fn disabled_accounts_and_devices_do_not_count() {
    let mut scene = Scene::new(vec![totp_token("phone")]);
    let step = scene.step();
    scene.account.enabled = false;
    assert_eq!(scene.refused_at(step), Refusal::Disabled);
    scene.account.enabled = true;
    scene.account.tokens[0].enabled = false;
    assert_eq!(scene.refused_at(step), Refusal::Wrong);
    scene.account.tokens[0].enabled = true;
    scene.account.tokens[0].services = Some(vec!["sudo".into()]);
    assert_eq!(scene.refused_at(step), Refusal::Wrong);
    scene.account.tokens[0].services = Some(vec!["sshd".into()]);
    scene.accepted_at(step);
}

#[test]
fn recovery_codes_let_in_once_each() {
    let mut scene = Scene::new(vec![totp_token("phone")]);
    let codes = [0; 2].map(|_: i32| RecoveryCode::generate().unwrap());
    scene.account.recovery = codes
        .iter()
        .map(|code| StoredRecoveryCode::new(code).unwrap())
        .collect();
    let typed = codes[0].expose().to_lowercase().replace('-', " ");
    let accepted = Accepted {
        proof: Proof::Recovery { left: 1 },
        code_length: 0,
        recovery_left: Some(1),
    };
    assert_eq!(scene.type_code(&typed), Verdict::Accepted(accepted));
    assert_eq!(scene.type_code(&typed), Verdict::Refused(Refusal::Replayed));
    let accepted = Accepted {
        proof: Proof::Recovery { left: 0 },
        code_length: 0,
        recovery_left: Some(0),
    };
    assert_eq!(
        scene.type_code(&codes[1].expose()),
        Verdict::Accepted(accepted)
    );
}

#[test]
fn every_login_knows_how_many_recovery_codes_are_left() {
    let mut scene = Scene::new(vec![totp_token("phone")]);
    let left = |scene: &mut Scene, typed: &str| match scene.type_code(typed) {
        Verdict::Accepted(accepted) => accepted.recovery_left,
        Verdict::Refused(refusal) => panic!("{refusal:?}"),
    };
    let step = scene.step();
    let code = scene.code(0, step);
    assert_eq!(left(&mut scene, &code), None, "there never were any");
    let codes = [0; 2].map(|_: i32| RecoveryCode::generate().unwrap());
    let stored = codes
        .iter()
        .map(|code| StoredRecoveryCode::new(code).unwrap());
    scene.account.recovery = stored.collect();
    assert_eq!(left(&mut scene, &codes[0].expose()), Some(1));
    let code = scene.code(0, step + 1);
    assert_eq!(left(&mut scene, &code), Some(1));
}

#[test]
fn scratch_codes_let_in_once_each_beside_a_device_of_eight_digits() {
    let eight = Token {
        digits: Digits::EIGHT,
        ..totp_token("phone")
    };
    let mut scene = Scene::new(vec![eight]);
    let codes = ["12345678", "87654321"];
    let parsed = codes.map(|code| Code::parse(code.as_bytes()).unwrap());
    scene.account.scratch = Some(ScratchCodes::new(&parsed).unwrap());
    for (typed, left) in [("1234-5678", 1), ("8765 4321", 0)] {
        let accepted = Accepted {
            proof: Proof::Recovery { left },
            code_length: 0,
            recovery_left: Some(left),
        };
        assert_eq!(scene.type_code(typed), Verdict::Accepted(accepted));
        assert_eq!(scene.type_code(typed), Verdict::Refused(Refusal::Replayed));
    }
    assert_eq!(scene.state.throttle.failures(), 0);
    let step = scene.step();
    scene.accepted_at(step);
    assert_eq!(
        scene.type_code("12345679"),
        Verdict::Refused(Refusal::Wrong)
    );
    assert_eq!(scene.state.throttle.failures(), 1);
}

#[test]
fn a_scratch_code_behind_a_password_is_cut_off() {
    let mut scene = Scene::new(vec![totp_token("phone")]);
    let code = Code::parse(b"12345678").unwrap();
    scene.account.scratch = Some(ScratchCodes::new(&[code]).unwrap());
    let accepted = Accepted {
        proof: Proof::Recovery { left: 0 },
        code_length: 8,
        recovery_left: Some(0),
    };
    let typed = Answer::parse_combined(Some(b"hunter2-12345678"));
    assert_eq!(
        scene.attempt(typed, Source::Local),
        Verdict::Accepted(accepted)
    );
}

#[test]
fn a_throttled_scratch_code_is_not_used_up() {
    let mut scene = Scene::new(vec![totp_token("phone")]);
    let code = Code::parse(b"12345678").unwrap();
    scene.account.scratch = Some(ScratchCodes::new(&[code]).unwrap());
    scene.state.throttle.foreign.failures = 100;
    assert_eq!(
        scene.type_code("12345678"),
        Verdict::Refused(Refusal::Locked)
    );
    assert_eq!(scene.state.used_recovery, []);
}

#[test]
fn rfc_4226_7_3_a_throttled_right_code_is_not_used_up() {
    let mut scene = Scene::new(vec![totp_token("phone")]);
    let wrong = scene.wrong_code();
    for _ in 0..4 {
        assert_eq!(scene.type_code(&wrong), Verdict::Refused(Refusal::Wrong));
    }
    let step = scene.step();
    assert_eq!(
        scene.refused_at(step),
        Refusal::Throttled { until: NOW.plus(5) }
    );
    assert_eq!(scene.state.throttle.failures(), 4);
    scene.now = NOW.plus(5);
    scene.accepted_at(step);
}

#[test]
fn what_is_no_guess_moves_no_counter() {
    let mut scene = Scene::new(vec![totp_token("phone")]);
    let before = scene.state.clone();
    let long = "1".repeat(513);
    for typed in [
        None,
        Some(""),
        Some(" "),
        Some("\u{8}\n\r\u{7f}INCORRECT"),
        Some("hunter2"),
        Some(&long),
    ] {
        let answer = Answer::parse(typed.map(str::as_bytes), Some(b"hunter2"));
        let verdict = scene.attempt(answer, HOME);
        assert!(
            matches!(verdict, Verdict::Refused(Refusal::NotEvaluated(_))),
            "{typed:?}: {verdict:?}"
        );
    }
    assert_eq!(scene.state, before);
}

#[test]
fn replays_do_not_throttle_the_owner_but_are_shown() {
    let mut scene = Scene::new(vec![totp_token("phone")]);
    let step = scene.step();
    scene.accepted_at(step);
    for _ in 0..7 {
        assert_eq!(scene.refused_at(step), Refusal::Replayed);
    }
    assert_eq!(
        (
            scene.state.throttle.failures(),
            scene.state.failures_since_success
        ),
        (0, 7)
    );
    scene.accepted_at(step + 1);
    assert_eq!(scene.state.failures_since_success, 0);
}

#[test]
fn first_pass_modes_count_each_candidate() {
    let mut eight = totp_token("tablet");
    eight.digits = Digits::try_from(8).unwrap();
    let mut scene = Scene::new(vec![totp_token("phone"), eight]);
    let combined = |text: &str| Answer::parse_combined(Some(text.as_bytes()));
    assert_eq!(
        scene.attempt(combined("hunter2-00000000"), HOME),
        Verdict::Refused(Refusal::Wrong)
    );
    assert_eq!(scene.state.throttle.failures(), 2);
    let password = format!("hunter2{}", scene.code(1, scene.step()));
    let Verdict::Accepted(accepted) = scene.attempt(combined(&password), HOME) else {
        panic!("refused")
    };
    assert_eq!(accepted.code_length, 8);
    let no_code = scene.attempt(combined("hunter2hunter"), HOME);
    assert_eq!(
        no_code,
        Verdict::Refused(Refusal::NotEvaluated(NotEvaluated::NoCode))
    );
}

#[test]
fn grace_is_for_the_same_address_and_generation_and_does_not_extend_itself() {
    let mut scene = Scene::new(vec![totp_token("phone")]);
    let step = scene.step();
    scene.accepted_at(step);
    let granted = |scene: &Scene, source, now| {
        in_grace(&scene.account, &scene.state, (source, "sshd"), now, 600)
    };
    assert!(granted(&scene, HOME, NOW.plus(599)));
    assert!(!granted(&scene, HOME, NOW.plus(600)));
    assert!(!granted(&scene, AWAY, NOW));
    assert!(
        !granted(&scene, HOME, UnixTime(NOW.0 - 1)),
        "a success in the future"
    );
    scene.account.generation += 1;
    assert!(!granted(&scene, HOME, NOW), "another generation");
    for source in [Source::Local, Source::Opaque] {
        let mut scene = Scene::new(vec![totp_token("phone")]);
        let code = Answer::parse(Some(scene.code(0, step).as_bytes()), None);
        assert!(matches!(scene.attempt(code, source), Verdict::Accepted(_)));
        assert!(!granted(&scene, source, NOW), "{source}");
    }
}

/// What somebody may do next.
#[derive(Debug, Clone)]
enum Action {
    TypeAt {
        token: usize,
        offset: i64,
        source: u32,
    },
    TypeWrong {
        source: u32,
    },
    TypeRecovery {
        number: usize,
        source: u32,
    },
    TypeNothing,
    Wait(u64),
    SetBack(u64),
}

fn action() -> impl Strategy<Value = Action> {
    let source = 1..4_u32;
    prop_oneof![
        6 => (0..2_usize, -14..14_i64, source.clone())
            .prop_map(|(token, offset, source)| Action::TypeAt { token, offset, source }),
        3 => source.clone().prop_map(|source| Action::TypeWrong { source }),
        1 => (0..3_usize, source).prop_map(|(number, source)| Action::TypeRecovery { number, source }),
        1 => Just(Action::TypeNothing),
        3 => (1..2_000_u64).prop_map(Action::Wait),
        1 => (1..2_000_u64).prop_map(Action::SetBack),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn for_any_sequence_of_attempts(actions in proptest::collection::vec(action(), 1..80)) {
        let mut scene = Scene::new(vec![totp_token("phone"), hotp_token("key")]);
        let codes: Vec<_> = (0..3).map(|_| RecoveryCode::generate().unwrap()).collect();
        scene.account.recovery = codes.iter().map(|code| StoredRecoveryCode::new(code).unwrap()).collect();
        let mut spent_codes = std::collections::HashSet::new();
        let mut failures_without_success = 0;
        for action in actions {
            let before = scene.state.clone();
            let (verdict, typed) = match action {
                Action::Wait(seconds) => { scene.now = scene.now.plus(seconds); continue }
                Action::SetBack(seconds) => { scene.now = UnixTime(scene.now.0 - seconds); continue }
                Action::TypeNothing => (scene.type_code(""), String::new()),
                Action::TypeWrong { source } => {
                    let code = scene.wrong_code();
                    (scene.attempt(Answer::parse(Some(code.as_bytes()), None), Source::V4(source)), code)
                }
                Action::TypeRecovery { number, source } => {
                    let code = codes[number].expose().to_string();
                    (scene.attempt(Answer::Recovery(codes[number].clone()), Source::V4(source)), code)
                }
                Action::TypeAt { token, offset, source } => {
                    let base = if token == 0 { scene.step() } else { scene.state.tokens[1].next + 5 };
                    let position = base.saturating_add_signed(offset);
                    let code = scene.code(token, position);
                    let typed = Answer::parse(Some(code.as_bytes()), None);
                    (scene.attempt(typed, Source::V4(source)), format!("{token}:{position}"))
                }
            };
            // No step, counter or recovery code is accepted twice.
            if let Verdict::Accepted(accepted) = &verdict {
                let position = match &accepted.proof {
                    Proof::Recovery { .. } | Proof::Invite { .. } => typed,
                    Proof::Token { id, .. } => {
                        let token = scene.account.tokens.iter().position(|token| token.id == *id).unwrap();
                        format!("{id}:{}", scene.state.tokens[token].next)
                    }
                };
                prop_assert!(spent_codes.insert(position.clone()), "{position} accepted twice");
            }
            // Watermarks never fall, skew stays in bounds.
            for (old, new) in before.tokens.iter().zip(&scene.state.tokens) {
                prop_assert!(new.next >= old.next);
                prop_assert!(new.skew.unsigned_abs() <= 20);
            }
            // A throttled or locked attempt is not evaluated: nothing but the clamp may have changed.
            if let Verdict::Refused(Refusal::Throttled { .. } | Refusal::Locked) = &verdict {
                prop_assert_eq!(&before.tokens, &scene.state.tokens);
                prop_assert_eq!(&before.used_recovery, &scene.state.used_recovery);
                prop_assert_eq!(before.throttle.failures(), scene.state.throttle.failures());
            }
            // Failures never exceed the cap.
            match &verdict {
                Verdict::Accepted(_) => failures_without_success = 0,
                Verdict::Refused(Refusal::Wrong | Refusal::OutOfWindow { .. }) => failures_without_success += 1,
                Verdict::Refused(_) => {}
            }
            prop_assert!(failures_without_success <= 100);
            prop_assert!(scene.state.throttle.failures() <= 100);
            // The state always survives its file.
            let again = State::decode(&scene.state.encode(), scene.state.generation).unwrap();
            prop_assert_eq!(&again, &scene.state);
        }
    }
}

/// An account that is invited until `expires`, and the ticket.
fn invited(expires: UnixTime) -> (Scene, String) {
    let mut scene = Scene::new(Vec::new());
    let (invite, ticket) = crate::invite::Invite::generate(expires).unwrap();
    scene.account.invite = Some(invite);
    scene.account.generation = 7;
    scene.state.generation = 7;
    (scene, ticket.expose().to_string())
}

fn admitted(left: u8) -> Verdict {
    let proof = Proof::Invite {
        generation: 7,
        left,
    };
    Verdict::Accepted(Accepted {
        proof,
        code_length: 0,
        recovery_left: None,
    })
}

#[test]
fn an_invite_lets_in_to_enrol_a_few_times_and_is_no_login() {
    let (mut scene, ticket) = invited(NOW.plus(60));
    for left in [2, 1, 0] {
        assert_eq!(scene.type_code(&ticket), admitted(left));
    }
    let used_up = Verdict::Refused(Refusal::Invite(Unfit::UsedUp));
    assert_eq!(scene.type_code(&ticket), used_up);
    assert_eq!(scene.state.last_success, None);
    assert!(
        scene.state.grace.is_empty(),
        "no way round the code next time"
    );
    assert!(!in_grace(
        &scene.account,
        &scene.state,
        (HOME, "sshd"),
        NOW,
        3600
    ));
}

#[test]
fn an_invite_counts_until_it_expires_and_only_where_it_enrols() {
    let (mut scene, ticket) = invited(NOW.plus(60));
    let answer = || Answer::parse(Some(ticket.as_bytes()), None);
    let attempt = Attempt {
        answer: answer(),
        source: HOME,
        service: "sudo",
        remember: false,
        invites: false,
    };
    let parameters = Parameters::default();
    let (verdict, state) = decide(&scene.account, &scene.state, &attempt, NOW, &parameters);
    assert_eq!(verdict, Verdict::Refused(Refusal::Invite(Unfit::Elsewhere)));
    assert_eq!(state.admissions, None, "and nothing of it is used up");
    scene.now = NOW.plus(60);
    let expired = Verdict::Refused(Refusal::Invite(Unfit::Expired));
    assert_eq!(scene.type_code(&ticket), expired);
    assert_eq!(scene.state.admissions, None);
}

#[test]
fn an_invite_means_nothing_beside_a_device() {
    let (mut scene, ticket) = invited(NOW.plus(60));
    scene.account.tokens = vec![totp_token("phone")];
    scene.state = State::new(&scene.account);
    assert_eq!(scene.type_code(&ticket), Verdict::Refused(Refusal::Wrong));
    let other = RecoveryCode::generate().unwrap().expose().to_string();
    let (mut scene, _) = invited(NOW.plus(60));
    assert_eq!(scene.type_code(&other), Verdict::Refused(Refusal::Wrong));
}

#[test]
fn rfc_4226_7_3_guesses_at_an_invite_are_throttled_like_those_at_a_code() {
    let (mut scene, ticket) = invited(NOW.plus(3600));
    for _ in 0..4 {
        let guess = RecoveryCode::generate().unwrap().expose().to_string();
        assert_eq!(scene.type_code(&guess), Verdict::Refused(Refusal::Wrong));
    }
    let verdict = scene.type_code(&ticket);
    assert!(
        matches!(verdict, Verdict::Refused(Refusal::Throttled { .. })),
        "{verdict:?}"
    );
    assert_eq!(
        scene.state.admissions, None,
        "what is not looked at is not used up"
    );
    scene.now = NOW.plus(600);
    assert_eq!(scene.type_code(&ticket), admitted(2));
    assert_eq!(scene.state.throttle.failures(), 0);
}
