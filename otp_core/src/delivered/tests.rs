//! What a code that was sent is worth: once or within its lifetime, here or elsewhere.

use super::*;
use crate::account::Kind;
use crate::account::tests::totp_token;
use crate::answer::Answer;
use crate::policy::{self, Attempt, Parameters, Proof, Verdict};
use crate::state::State;
use crate::user_name::UserName;

const NOW: UnixTime = UnixTime(1_700_000_010);
const HOME: Source = Source::V4(0x0a00_0001);
const AWAY: Source = Source::V4(0x0a00_0002);

pub(crate) fn sms(id: &str) -> Token {
    Token {
        kind: Kind::Delivered {
            channel: "sms".into(),
            address: "+441632960123".into(),
        },
        ..totp_token(id)
    }
}

/// A code on its way to alice, and what she makes of it.
struct Scene {
    account: Account,
    state: State,
    now: UnixTime,
    parameters: Parameters,
    code: String,
}

impl Scene {
    fn new(reuse: Reuse, source: Source) -> Self {
        let mut account = Account::new(&UserName::from("alice"), NOW);
        account.tokens = vec![sms("sms")];
        let mut state = State::new(&account);
        let parameters = Parameters {
            delivery: Rules {
                reuse,
                ..Rules::default()
            },
            ..Parameters::default()
        };
        let draw = Draw::new().unwrap();
        let rules = &parameters.delivery;
        let (pending, code) = Pending::new(&account.tokens[0], &draw, source, NOW, rules);
        state.sent.pending = Some(pending);
        Self {
            account,
            state,
            now: NOW,
            parameters,
            code: code.expose().to_string(),
        }
    }

    /// `accepted`, or why not.
    fn types(&mut self, code: &str, source: Source) -> &'static str {
        let attempt = Attempt {
            answer: Answer::parse(Some(code.as_bytes()), None),
            source,
            service: "sshd",
            remember: false,
            invites: false,
        };
        let (account, parameters) = (&self.account, &self.parameters);
        let (verdict, state) = policy::decide(account, &self.state, &attempt, self.now, parameters);
        self.state = state;
        match verdict {
            Verdict::Accepted(accepted) => {
                let Proof::Token { id, kind, .. } = accepted.proof else {
                    panic!("no device");
                };
                assert_eq!((id.as_str(), kind.name()), ("sms", "delivered"));
                "accepted"
            }
            Verdict::Refused(refusal) => refusal.reason(),
        }
    }

    fn comes_from(&mut self, source: Source) -> &'static str {
        let code = self.code.clone();
        self.types(&code, source)
    }
}

#[test]
fn nist_800_63b_5_1_3_a_code_has_six_digits_and_every_one_is_as_likely() {
    // 10^8 draws of which none may be favoured cannot be counted; the ends of the range can be reasoned about.
    assert_eq!(u32::MAX - u32::MAX % Draw::BELOW, 42 * Draw::BELOW);
    let mut seen = [[0_u32; 10]; 8];
    for _ in 0..5_000 {
        let code = Draw::new().unwrap().code(Digits::EIGHT).expose();
        for (position, digit) in code.bytes().enumerate() {
            seen[position][usize::from(digit - b'0')] += 1;
        }
    }
    // 500 expected, sigma 21: eight of these away is no accident.
    for (position, counts) in seen.iter().enumerate() {
        let fair = counts.iter().all(|count| (330..=670).contains(count));
        assert!(fair, "position {position}: {counts:?}");
    }
    for digits in Digits::ALL {
        let draw = Draw {
            number: 1_000_042,
            salt: [0; 16],
        };
        let expected = ["000042", "1000042", "01000042"][digits.count() - 6];
        assert_eq!(*draw.code(digits).expose(), expected);
    }
}

#[test]
fn a_code_lets_in_once() {
    let mut scene = Scene::new(Reuse::Never, HOME);
    // Whoever asked for it: people change networks while they wait.
    assert_eq!(scene.comes_from(AWAY), "accepted");
    assert_eq!(scene.comes_from(AWAY), "replayed");
    assert_eq!(scene.comes_from(HOME), "replayed");
    assert_eq!(scene.state.throttle.failures(), 0, "nothing was guessed");
}

#[test]
fn the_same_source_may_share_one_within_its_lifetime_and_nobody_else() {
    let mut scene = Scene::new(Reuse::SameSource, HOME);
    assert_eq!(scene.comes_from(AWAY), "other_source");
    for _ in 0..8 {
        assert_eq!(scene.comes_from(HOME), "accepted");
    }
    assert_eq!(scene.comes_from(AWAY), "other_source");
    scene.now = NOW.plus(59);
    assert_eq!(scene.comes_from(HOME), "accepted");
    scene.now = NOW.plus(60);
    assert_eq!(scene.comes_from(HOME), "expired");
}

#[test]
fn only_an_address_is_the_same_place_twice() {
    for source in [Source::Opaque, Source::Local] {
        let mut scene = Scene::new(Reuse::SameSource, source);
        assert_eq!(scene.comes_from(source), "accepted", "{source}");
        assert_eq!(scene.comes_from(source), "replayed", "{source}");
    }
}

#[test]
fn an_old_code_is_worth_nothing_and_no_failure() {
    let mut scene = Scene::new(Reuse::Never, HOME);
    scene.now = NOW.plus(60);
    assert_eq!(scene.comes_from(HOME), "expired");
    assert_eq!(scene.state.throttle.failures(), 0);
    // A clock that was set back does not bring it to life for long.
    for (back, expected) in [(61, "expired"), (60, "accepted")] {
        scene.now = UnixTime(NOW.0 - back);
        assert_eq!(scene.comes_from(HOME), expected, "{back} s back");
    }
}

#[test]
fn another_code_is_wrong_and_counts() {
    let mut scene = Scene::new(Reuse::Never, HOME);
    let wrong = if scene.code == "000000" {
        "000001"
    } else {
        "000000"
    };
    assert_eq!(scene.types(wrong, HOME), "wrong");
    assert_eq!(scene.state.throttle.failures(), 1);
    assert_eq!(scene.comes_from(HOME), "accepted");
}

#[test]
fn a_code_belongs_to_its_device() {
    let mut scene = Scene::new(Reuse::Never, HOME);
    let pending = scene.state.sent.pending;
    scene.account.tokens[0].enabled = false;
    assert_eq!(scene.comes_from(HOME), "wrong", "disabled");
    scene.account.tokens[0].enabled = true;
    scene.account.tokens[0].services = Some(vec!["sudo".into()]);
    assert_eq!(scene.comes_from(HOME), "wrong", "for another service");
    scene.account.tokens = vec![sms("other")];
    scene.account.tokens[0].id = "sms".into();
    scene.state = State::new(&scene.account);
    scene.state.sent.pending = pending;
    assert_eq!(scene.comes_from(HOME), "wrong", "enrolled anew");
}

#[test]
fn the_state_alone_does_not_tell_the_code() {
    let draw = Draw::new().unwrap();
    let rules = Rules::default();
    let hashes = ["one", "two"].map(|key| {
        let token = Token {
            secret: Secret::new(key.into()).unwrap(),
            ..sms("sms")
        };
        Pending::new(&token, &draw, HOME, NOW, &rules).0.hash
    });
    assert_ne!(hashes[0], hashes[1], "the device's secret is part of it");
}

#[test]
fn a_budget_lasts_an_hour() {
    let mut budget = Budget::default();
    for round in 0..3 {
        let now = NOW.plus(round);
        assert_eq!(budget.take(2, now), round < 2, "{round}");
    }
    assert!(!budget.take(2, NOW.plus(3599)));
    assert!(budget.take(2, NOW.plus(3600)));
    // A clock that had been ahead.
    assert!(budget.take(2, NOW));
    assert_eq!(
        budget,
        Budget {
            since: NOW,
            spent: 1
        }
    );
}
