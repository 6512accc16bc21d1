//! When a code is sent, to which device, and when not.

use super::*;
use crate::account::Kind;
use crate::account::tests::totp_token;
use crate::config::{CommandLine, Way};
use crate::delivered::tests::sms;
use crate::delivered::{Reuse, Rules};
use crate::user_name::UserName;

const NOW: UnixTime = UnixTime(1_700_000_010);
const HOME: Source = Source::V4(0x0a00_0001);
const AWAY: Source = Source::V4(0x0a00_0002);

fn mail() -> Token {
    Token {
        kind: Kind::Delivered {
            channel: "mail".into(),
            address: "alice@example.org".into(),
        },
        ..totp_token("mail")
    }
}

/// Somebody with devices, and channels.
struct Scene {
    account: Account,
    state: State,
    now: UnixTime,
    parameters: Parameters,
    channels: BTreeMap<String, Channel>,
    denied: bool,
}

impl Scene {
    fn new(tokens: Vec<Token>, on_demand: Option<bool>) -> Self {
        let mut account = Account::new(&UserName::from("alice"), NOW);
        account.tokens = tokens;
        let state = State::new(&account);
        let channel = Channel {
            on_demand,
            way: Way::Command(CommandLine {
                program: "/bin/page".into(),
                arguments: Vec::new(),
            }),
        };
        let names = ["sms", "mail"].map(|name| (name.to_owned(), channel.clone()));
        Self {
            account,
            state,
            now: NOW,
            parameters: Parameters::default(),
            channels: names.into(),
            denied: false,
        }
    }

    /// The channel that a code goes to, `over budget`, or nothing.
    fn ask(&mut self, occasion: Occasion<'_>, source: Source) -> String {
        let ask = Ask {
            occasion,
            channels: &self.channels,
            source,
            service: "sshd",
            denied: self.denied,
        };
        let draw = Draw::new().unwrap();
        let (account, parameters) = (&self.account, &self.parameters);
        let (order, state) = decide(account, &self.state, &ask, &draw, self.now, parameters);
        self.state = state;
        match order {
            Order::Nothing => "nothing".into(),
            Order::OverBudget(_) => "over budget".into(),
            Order::Send(sending) => sending.to.channel,
        }
    }

    fn prompt(&mut self) -> String {
        self.ask(Occasion::Prompt, HOME)
    }
}

#[test]
fn who_has_nothing_else_is_sent_a_code_at_once_and_others_when_they_ask() {
    for (tokens, on_demand, at_once) in [
        (vec![sms("sms")], None, "sms"),
        (vec![sms("sms")], Some(false), "sms"),
        (vec![sms("sms")], Some(true), "nothing"),
        (vec![totp_token("phone"), sms("sms")], None, "nothing"),
        (vec![totp_token("phone"), sms("sms")], Some(false), "sms"),
        (vec![mail(), sms("sms")], None, "mail"),
        (vec![totp_token("phone")], Some(false), "nothing"),
        (vec![], Some(false), "nothing"),
    ] {
        let names: Vec<String> = tokens.iter().map(|token| token.id.clone()).collect();
        let mut scene = Scene::new(tokens.clone(), on_demand);
        assert_eq!(scene.prompt(), at_once, "{names:?}, {on_demand:?}");
        let mut scene = Scene::new(tokens, on_demand);
        let asked = scene.ask(Occasion::Named("sms"), HOME);
        let has = names.contains(&"sms".to_owned());
        assert_eq!(asked == "sms", has, "{names:?}, {on_demand:?}");
    }
}

#[test]
fn a_hundred_connections_in_one_lifetime_send_once() {
    for reuse in [Reuse::Never, Reuse::SameSource] {
        let mut scene = Scene::new(vec![sms("sms"), mail()], None);
        scene.parameters.delivery.reuse = reuse;
        let mut sent = 0;
        for number in 0..100 {
            scene.now = NOW.plus(number * 59 / 100);
            let occasions = [Occasion::Prompt, Occasion::Named("mail")];
            for occasion in occasions {
                let source = if number % 2 == 0 { HOME } else { AWAY };
                sent += u32::from(scene.ask(occasion, source) != "nothing");
            }
        }
        assert_eq!(sent, 1, "{reuse:?}");
        scene.now = NOW.plus(60);
        assert_eq!(scene.prompt(), "sms");
    }
}

#[test]
fn a_code_that_let_somebody_in_makes_room_for_the_next() {
    let mut scene = Scene::new(vec![sms("sms")], None);
    assert_eq!(scene.prompt(), "sms");
    scene.state.sent.pending.as_mut().unwrap().uses = 1;
    assert_eq!(scene.prompt(), "sms");
    scene.parameters.delivery.reuse = Reuse::SameSource;
    scene.state.sent.pending.as_mut().unwrap().uses = 1;
    assert_eq!(scene.prompt(), "nothing", "it can be used still");
}

#[test]
fn an_hour_has_a_budget() {
    let mut scene = Scene::new(vec![sms("sms")], None);
    for round in 0..12 {
        scene.now = NOW.plus(60 * round);
        let expected = if round < 7 { "sms" } else { "over budget" };
        assert_eq!(scene.prompt(), expected, "round {round}");
    }
    scene.now = NOW.plus(3600);
    assert_eq!(scene.prompt(), "sms");
}

#[test]
fn strangers_cannot_spend_what_is_kept_for_known_sources() {
    let mut scene = Scene::new(vec![sms("sms")], None);
    scene.state.throttle.succeed(HOME, NOW);
    for round in 0..30 {
        scene.now = NOW.plus(60 * round);
        let expected = if round < 7 { "sms" } else { "over budget" };
        let asked = scene.ask(Occasion::Prompt, AWAY);
        assert_eq!(asked, expected, "round {round}");
    }
    for round in 30..40 {
        scene.now = NOW.plus(60 * round);
        let expected = if round < 33 { "sms" } else { "over budget" };
        assert_eq!(scene.prompt(), expected, "round {round}");
        assert_eq!(
            scene.ask(Occasion::Prompt, Source::Opaque),
            match round < 33 {
                true => "nothing",
                false => "over budget",
            }
        );
    }
    // A source is known for a while only.
    scene.now = NOW.plus(crate::throttle::KNOWN_FOR + 1);
    for round in 0..8 {
        let expected = if round < 7 { "sms" } else { "over budget" };
        assert_eq!(scene.prompt(), expected, "round {round}");
        scene.now = scene.now.plus(60);
    }
}

#[test]
fn every_budget_leaves_strangers_something() {
    let left = [1, 2, 3, 4, 10, 100, u16::MAX].map(|budget| {
        let rules = Rules {
            budget,
            ..Rules::default()
        };
        assert_eq!(rules.budget_for(true), budget);
        rules.budget_for(false)
    });
    assert_eq!(left[..6], [1, 1, 2, 3, 7, 70]);
    assert!(left[6] > 0);
}

#[test]
fn what_a_stranger_asked_for_is_not_in_the_way_of_a_known_source() {
    let mut scene = Scene::new(vec![sms("sms")], None);
    scene.state.throttle.succeed(HOME, NOW);
    assert_eq!(scene.ask(Occasion::Prompt, AWAY), "sms");
    assert_eq!(scene.prompt(), "nothing", "it lets in from anywhere");
    scene.state.sent.pending = None;
    scene.state.sent.budget.spent = 0;
    scene.parameters.delivery.reuse = Reuse::SameSource;
    assert_eq!(scene.ask(Occasion::Prompt, Source::Opaque), "sms");
    assert_eq!(scene.prompt(), "nothing", "and so does the help desk's");
    scene.state.sent.pending = None;
    scene.state.sent.budget.spent = 0;
    let asker = |scene: &Scene| scene.state.sent.pending.unwrap().source;
    assert_eq!(scene.ask(Occasion::Prompt, AWAY), "sms");
    assert_eq!(scene.ask(Occasion::Prompt, Source::Opaque), "nothing");
    assert_eq!(scene.prompt(), "sms", "in its place");
    assert_eq!(asker(&scene), HOME);
    for _ in 0..10 {
        for source in [HOME, AWAY, Source::Opaque] {
            let asked = scene.ask(Occasion::Named("sms"), source);
            assert_eq!(asked, "nothing", "two in a lifetime");
        }
    }
    assert_eq!(asker(&scene), HOME);
    assert_eq!(scene.state.sent.budget.spent, 2);
}

#[test]
fn nothing_is_sent_for_nothing() {
    let sends = |change: &dyn Fn(&mut Scene)| {
        let mut scene = Scene::new(vec![sms("sms")], None);
        change(&mut scene);
        scene.prompt()
    };
    assert_eq!(sends(&|_| {}), "sms");
    assert_eq!(sends(&|scene| scene.denied = true), "nothing");
    assert_eq!(sends(&|scene| scene.account.enabled = false), "nothing");
    assert_eq!(
        sends(&|scene| scene.account.tokens[0].enabled = false),
        "nothing"
    );
    assert_eq!(
        sends(&|scene| scene.account.tokens[0].services = Some(vec!["sudo".into()])),
        "nothing"
    );
    assert_eq!(
        sends(&|scene| drop(scene.channels.remove("sms"))),
        "nothing",
        "a channel that is gone"
    );
    let limits = Parameters::default().limits;
    assert_eq!(
        sends(&|scene| {
            let throttle = &mut scene.state.throttle;
            throttle.fail(AWAY, 4, NOW, &limits);
        }),
        "nothing",
        "while one has to wait"
    );
    assert_eq!(
        sends(&|scene| {
            let throttle = &mut scene.state.throttle;
            throttle.fail(AWAY, 90, UnixTime(0), &limits);
        }),
        "nothing",
        "when locked"
    );
}

#[test]
fn a_code_of_a_device_that_is_gone_is_in_nobodys_way() {
    let mut scene = Scene::new(vec![sms("sms")], None);
    assert_eq!(scene.prompt(), "sms");
    let old = scene.account.clone();
    scene.account.tokens = vec![mail()];
    scene.state.follow(&old, &scene.account);
    scene.state.follow(&scene.account, &scene.account);
    assert_eq!(scene.prompt(), "mail");
}

#[test]
fn the_shortest_lifetime_of_one_that_waits_is_its_own() {
    let mut scene = Scene::new(vec![sms("sms")], None);
    scene.parameters.delivery = Rules {
        lifetime: 600,
        ..Rules::default()
    };
    assert_eq!(scene.prompt(), "sms");
    scene.parameters.delivery.lifetime = 60;
    scene.now = NOW.plus(599);
    assert_eq!(scene.prompt(), "nothing");
}

#[test]
fn channels_are_named_in_any_case() {
    let scene = Scene::new(vec![], None);
    for (typed, expected) in [
        (&b"sms"[..], Some("sms")),
        (b" SMS \t", Some("sms")),
        (b"Mail", Some("mail")),
        (b"smss", None),
        (b"", None),
        (b"123456", None),
    ] {
        assert_eq!(named(&scene.channels, typed), expected, "{typed:?}");
    }
}

#[test]
fn where_everything_is_on_demand_nothing_is_asked_before_the_prompt() {
    for (on_demand, expected) in [(None, true), (Some(false), true), (Some(true), false)] {
        let scene = Scene::new(vec![], on_demand);
        assert_eq!(
            before_the_prompt(&scene.channels),
            expected,
            "{on_demand:?}"
        );
    }
    assert!(!before_the_prompt(&BTreeMap::new()));
}
