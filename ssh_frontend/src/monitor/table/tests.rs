use super::*;
use crate::protocol::{Prompt, Question, Size};

fn requests() -> Vec<Request> {
    let (user, algorithm, key) = (String::from("alice"), String::from("ssh-ed25519"), vec![1]);
    vec![
        Request::Begin { user: user.clone() },
        Request::Answer {
            answer: Some(b"1".to_vec().into()),
        },
        Request::Answer { answer: None },
        Request::KeyOffered {
            user: user.clone(),
            algorithm: algorithm.clone(),
            key: key.clone(),
        },
        Request::KeyVerified {
            user,
            algorithm,
            key,
        },
        start(Program::Shell),
        Request::Signal {
            session: 0,
            signal: "TERM".into(),
        },
        connect(1),
    ]
}

fn start(program: Program) -> Request {
    Request::Start {
        session: 0,
        program,
        terminal: None,
        environment: Vec::new(),
    }
}

fn connect(channel: u32) -> Request {
    Request::Connect {
        channel,
        host: "localhost".into(),
        port: 22,
    }
}

fn begin() -> Request {
    Request::Begin {
        user: "alice".into(),
    }
}

fn answer() -> Request {
    Request::Answer {
        answer: Some(Vec::new().into()),
    }
}

fn question(prompt: bool) -> Reply {
    let prompt = prompt.then(|| Prompt {
        text: "?".into(),
        echo: false,
    });
    Reply::Question(Question {
        instruction: String::new(),
        prompt,
    })
}

fn gate_in(state: State) -> Gate {
    let mut gate = Gate::default();
    match state {
        State::Idle => {}
        State::Asked => gate.sent(&question(true)),
        State::AskedEmpty => gate.sent(&question(false)),
        State::LoggedIn => gate.sent(&Reply::Accepted),
    }
    assert_eq!(gate.state(), state);
    gate
}

#[test]
fn every_request_in_every_state_is_allowed_or_not_as_this_picture_says() {
    use State::{Asked, AskedEmpty, Idle, LoggedIn};
    // Begin, Answer, empty Answer, KeyOffered, KeyVerified, Start, Signal, Connect.
    let picture = [
        (Idle, "x..xx..."),
        (Asked, "xx.xx..."),
        (AskedEmpty, "x.xxx..."),
        (LoggedIn, ".....xxx"),
    ];
    for (state, allowed) in picture {
        for (request, allowed) in requests().iter().zip(allowed.chars()) {
            let admitted = gate_in(state).admit(request).is_ok();
            assert_eq!(admitted, allowed == 'x', "{request:?} in {state:?}");
        }
    }
}

#[test]
fn the_table_has_one_line_for_each_kind() {
    for request in requests() {
        let kind = Kind::of(&request);
        assert_eq!(TABLE.iter().filter(|rule| rule.kind == kind).count(), 1);
    }
}

#[test]
fn a_question_is_answered_once() {
    let mut gate = gate_in(State::Asked);
    gate.admit(&answer()).unwrap();
    assert!(gate.admit(&answer()).is_err());
}

#[test]
fn a_refusal_takes_the_question_back() {
    let mut gate = gate_in(State::Asked);
    gate.sent(&Reply::Refused {
        methods: Vec::new(),
        partial: false,
    });
    assert!(gate.admit(&answer()).is_err());
}

#[test]
fn nothing_leads_back_from_being_logged_in() {
    let mut gate = gate_in(State::LoggedIn);
    gate.sent(&question(true));
    gate.sent(&Reply::NotStarted {
        reason: String::new(),
    });
    assert_eq!(gate.state(), State::LoggedIn);
}

#[test]
fn a_channel_asks_for_one_connection_at_a_time() {
    let mut gate = gate_in(State::LoggedIn);
    let failure = crate::protocol::ConnectFailure::Failed;
    let endings = [
        Reply::Connected { channel: 1 },
        Reply::NotConnected {
            channel: 1,
            failure,
        },
    ];
    gate.admit(&connect(2)).unwrap();
    for ending in endings {
        gate.admit(&connect(1)).unwrap();
        gate.sent(&ending);
    }
    gate.admit(&connect(1)).unwrap();
    let refused = gate.admit(&connect(2)).unwrap_err();
    assert_eq!(refused.to_string(), "connect.connecting_already");
}

#[test]
fn each_kind_comes_as_often_as_its_line_says_and_not_once_more() {
    for (request, most) in requests().iter().zip([20, 32, 32, 20, 6]) {
        let mut gate = Gate::default();
        for count in 0..=most {
            match Kind::of(request) {
                Kind::Answer => gate.sent(&question(true)),
                Kind::EmptyAnswer => gate.sent(&question(false)),
                _ => {}
            }
            let admitted = gate.admit(request);
            assert_eq!(admitted.is_ok(), count < most, "{request:?} {count}");
        }
    }
}

#[test]
fn a_new_dialogue_counts_its_own_answers_until_the_total_is_reached() {
    let mut gate = Gate::default();
    let mut total = 0;
    let refused = 'all: loop {
        for request in std::iter::once(begin()).chain((0..30).map(|_| answer())) {
            if matches!(request, Request::Answer { .. }) {
                gate.sent(&question(true));
            }
            if let Err(violation) = gate.admit(&request) {
                break 'all violation;
            }
            total += 1;
        }
    };
    assert_eq!(total, 400);
    assert_eq!(refused.to_string(), "login.too_long");
}

#[test]
fn what_is_too_long_is_refused_and_what_just_fits_is_not() {
    type Make = fn(usize) -> Request;
    let start_with: fn(usize, usize, usize) -> Request = |term, modes, variables| Request::Start {
        session: 0,
        program: Program::Shell,
        terminal: Some(Terminal {
            term: "t".repeat(term),
            size: Size {
                columns: 80,
                rows: 24,
                x_pixels: 0,
                y_pixels: 0,
            },
            modes: vec![(1, 0); modes],
        }),
        environment: vec![(String::from("A"), String::new()); variables],
    };
    assert!(
        gate_in(State::LoggedIn)
            .admit(&start_with(255, 256, 64))
            .is_ok()
    );
    for (term, modes, variables) in [(256, 0, 0), (0, 257, 0), (0, 0, 65)] {
        let request = start_with(term, modes, variables);
        assert!(gate_in(State::LoggedIn).admit(&request).is_err());
    }
    let cases: [(State, usize, Make); 6] = [
        (State::Idle, 256, |length| Request::Begin {
            user: "u".repeat(length),
        }),
        (State::Asked, 512, |length| Request::Answer {
            answer: Some(vec![b'1'; length].into()),
        }),
        (State::Idle, 8192, |length| Request::KeyVerified {
            user: String::new(),
            algorithm: String::new(),
            key: vec![0; length],
        }),
        (State::LoggedIn, 32 * 1024, |length| {
            start(Program::Command(vec![b'c'; length]))
        }),
        (State::LoggedIn, 4096, |length| Request::Start {
            session: 0,
            program: Program::Shell,
            terminal: None,
            environment: vec![("LANG".into(), "v".repeat(length))],
        }),
        (State::LoggedIn, 255, |length| Request::Connect {
            channel: 1,
            host: "h".repeat(length),
            port: 1,
        }),
    ];
    for (state, longest, make) in cases {
        assert!(gate_in(state).admit(&make(longest)).is_ok(), "{longest}");
        let refused = gate_in(state).admit(&make(longest + 1)).unwrap_err();
        assert!(refused.to_string().ends_with(".too_long"));
    }
}
