//! A network process that was taken over gets a closed connection, and nothing is started.

use std::os::fd::AsFd;

use ssh_frontend::config::Method;
use ssh_frontend::protocol::{Program, Reply, Request};

use super::desk::{
    Desk, GOOD_KEY, RIGHT, answer, begin, command, connect, empty_answer, me, run, send_raw,
    signal, verified,
};

fn sessions_requests() -> [Request; 4] {
    [
        command(1, "touch /tmp/never"),
        run(1, Program::Shell, None),
        signal(1),
        connect(1, "inner"),
    ]
}

fn assert_closed_and_nothing_started(desk: Desk, what: &str) {
    assert_eq!(desk.notes(), Vec::<String>::new(), "{what}");
    assert_eq!(desk.closed(), what);
}

#[test]
fn nothing_of_a_session_is_to_be_had_before_the_login() {
    let names = ["start", "start", "signal", "connect"];
    for (request, name) in sessions_requests().iter().zip(names) {
        let what = format!("{name}.out_of_state");
        let desk = Desk::open(|_| ());
        desk.send(request);
        assert_closed_and_nothing_started(desk, &what);

        let desk = Desk::open(|_| ());
        desk.question(&begin(&me()));
        desk.send(request);
        assert_closed_and_nothing_started(desk, &what);

        let desk = Desk::open(|_| ());
        desk.question(&begin(&me()));
        assert_eq!(desk.question(&answer(RIGHT)).prompt, None);
        desk.send(request);
        assert_closed_and_nothing_started(desk, &what);

        let desk = Desk::open(|_| ());
        desk.question(&begin(&me()));
        desk.refused(&answer("wrong"));
        desk.send(request);
        assert_closed_and_nothing_started(desk, &what);

        let desk = Desk::with_key_first(|_| ());
        assert!(desk.refused(&verified(&me(), GOOD_KEY)).1, "partial");
        desk.send(request);
        assert_closed_and_nothing_started(desk, &what);
    }
}

#[test]
fn an_answer_without_its_question_ends_the_connection() {
    for (request, what) in [
        (answer(RIGHT), "answer.out_of_state"),
        (empty_answer(), "empty_answer.out_of_state"),
    ] {
        let desk = Desk::open(|_| ());
        desk.send(&request);
        assert_closed_and_nothing_started(desk, what);
    }
    let desk = Desk::open(|_| ());
    desk.question(&begin(&me()));
    desk.send(&empty_answer());
    assert_closed_and_nothing_started(desk, "empty_answer.out_of_state");

    let desk = Desk::open(|_| ());
    desk.question(&begin(&me()));
    desk.question(&answer(RIGHT));
    desk.send(&answer("more"));
    assert_closed_and_nothing_started(desk, "answer.out_of_state");
}

#[test]
fn an_answer_sent_twice_at_once_does_not_log_in_by_itself() {
    let desk = Desk::open(|_| ());
    desk.question(&begin(&me()));
    desk.send(&answer(RIGHT));
    desk.send(&answer(RIGHT));
    let (reply, _) = desk.receive();
    assert!(matches!(reply, Reply::Question(question) if question.prompt.is_none()));
    assert_closed_and_nothing_started(desk, "answer.out_of_state");
}

#[test]
fn authentication_is_over_with_the_login() {
    for request in [begin("root"), answer(RIGHT), verified("root", GOOD_KEY)] {
        let desk = Desk::open(|_| ());
        desk.log_in();
        desk.send(&request);
        assert!(desk.closed().ends_with(".out_of_state"), "{request:?}");
    }
}

#[test]
fn descriptors_are_not_taken() {
    let desk = Desk::open(|_| ());
    let file = std::fs::File::open("/dev/null").unwrap();
    let fd = file.as_fd();
    desk.socket.send(&begin(&me()), &[fd, fd, fd]).unwrap();
    assert_closed_and_nothing_started(desk, "malformed");

    let desk = Desk::open(|_| ());
    desk.log_in();
    desk.socket.send(&command(1, "true"), &[fd]).unwrap();
    assert_closed_and_nothing_started(desk, "malformed");
}

#[test]
fn what_is_no_request_ends_the_connection() {
    let mut with_tail = b"\0\x05alice".to_vec();
    with_tail.push(0);
    let garbage: [&[u8]; 5] = [
        b"\xff",
        b"\0",
        b"\0\xff\xff\xff\xff\x7f",
        &with_tail,
        &[7; 4096],
    ];
    for bytes in garbage {
        let desk = Desk::open(|_| ());
        send_raw(&desk.socket, bytes);
        assert_closed_and_nothing_started(desk, "malformed");
        let desk = Desk::open(|_| ());
        desk.log_in();
        send_raw(&desk.socket, bytes);
        assert_closed_and_nothing_started(desk, "malformed");
    }
    let desk = Desk::open(|_| ());
    send_raw(&desk.socket, &[0; 130 * 1024]);
    assert_closed_and_nothing_started(desk, "malformed");
}

#[test]
fn fields_that_are_too_long_end_the_connection() {
    let desk = Desk::open(|_| ());
    desk.send(&begin(&"u".repeat(257)));
    assert_closed_and_nothing_started(desk, "begin.too_long");

    let desk = Desk::open(|_| ());
    desk.question(&begin(&me()));
    desk.send(&answer(&"1".repeat(513)));
    assert_eq!(desk.heard(), "");
    assert_closed_and_nothing_started(desk, "answer.too_long");

    let desk = Desk::open(|_| ());
    desk.log_in();
    desk.send(&command(1, &"x".repeat(32 * 1024 + 1)));
    assert_closed_and_nothing_started(desk, "start.too_long");
}

#[test]
fn restarts_are_counted_as_tries_and_end_the_connection() {
    let desk = Desk::open(|setting| setting.config.max_auth_tries = 3);
    for _ in 0..3 {
        desk.question(&begin(&me()));
    }
    let reply = desk.ask(&begin(&me()));
    assert!(matches!(reply, Reply::Disconnect { .. }), "{reply:?}");
    assert_closed_and_nothing_started(desk, "dismissed");
}

#[test]
fn restarts_over_the_tables_count_end_the_connection_whatever_the_configuration_says() {
    let desk = Desk::open(|setting| setting.config.max_auth_tries = 1000);
    for _ in 0..20 {
        desk.question(&begin(&me()));
    }
    desk.send(&begin(&me()));
    assert_closed_and_nothing_started(desk, "begin.too_often");
}

#[test]
fn keys_over_the_tables_count_end_the_connection() {
    let desk = Desk::with_key_first(|setting| setting.config.max_auth_tries = 1000);
    for _ in 0..6 {
        desk.refused(&verified(&me(), b"some key"));
    }
    desk.send(&verified(&me(), GOOD_KEY));
    assert_closed_and_nothing_started(desk, "key_verified.too_often");
}

#[test]
fn a_change_of_user_discards_the_key_that_was_accepted() {
    let only_key = (vec![Method::PublicKey], false);
    let desk = Desk::with_key_first(|_| ());
    let partial = desk.refused(&verified(&me(), GOOD_KEY));
    assert_eq!(partial, (vec![Method::KeyboardInteractive], true));
    assert_eq!(desk.refused(&begin("somebody-else")), only_key);
    assert_eq!(desk.refused(&begin(&me())), only_key);
    assert_eq!(desk.heard(), "");
    assert_eq!(desk.notes(), Vec::<String>::new());
}

#[test]
fn a_key_offered_for_another_user_discards_it_as_well() {
    let desk = Desk::with_key_first(|_| ());
    assert!(desk.refused(&verified(&me(), GOOD_KEY)).1);
    let offered = Request::KeyOffered {
        user: "somebody-else".into(),
        algorithm: "ssh-ed25519".into(),
        key: GOOD_KEY.to_vec(),
    };
    let reply = desk.ask(&offered);
    assert!(matches!(reply, Reply::KeyAcceptable(false)), "{reply:?}");
    assert_eq!(desk.refused(&begin(&me())).0, [Method::PublicKey]);
}

#[test]
fn a_change_of_user_in_mid_dialogue_discards_the_answers_given() {
    let two = |setting: &mut super::desk::Setting| {
        // The second module finds no password typed for it, and asks again.
        setting.stack = format!(
            "auth required CHECK\nauth required pam_ftp.so\n{}",
            "account required pam_permit.so\nsession required pam_permit.so\n"
        );
    };
    let desk = Desk::open(two);
    desk.question(&begin(&me()));
    desk.question(&answer(RIGHT));
    assert!(desk.question(&begin("somebody-else")).prompt.is_some());
    let (methods, partial) = {
        desk.question(&answer(RIGHT));
        desk.refused(&answer("x@example.org"))
    };
    assert_eq!(
        (methods, partial),
        (vec![Method::KeyboardInteractive], false)
    );
    // Nor does the dialogue of the first user go on where it was left.
    let question = desk.question(&begin(&me()));
    assert_eq!(question.prompt.unwrap().text, "Password: ");
    assert_eq!(desk.leave(), "gone");
}

#[test]
fn a_switch_at_the_last_question_lets_nobody_in() {
    let desk = Desk::open(|_| ());
    desk.question(&begin(&me()));
    assert_eq!(desk.question(&answer(RIGHT)).prompt, None);
    assert!(desk.question(&begin("somebody-else")).prompt.is_some());
    desk.send(&empty_answer());
    assert_closed_and_nothing_started(desk, "empty_answer.out_of_state");
}

#[test]
fn a_network_process_that_leaves_in_mid_dialogue_leaves_nothing_behind() {
    let desk = Desk::open(|_| ());
    desk.question(&begin(&me()));
    assert_eq!(desk.leave(), "gone");
}

#[test]
fn a_network_process_that_asks_and_does_not_listen_is_not_waited_for_for_ever() {
    let desk = Desk::open(|_| ());
    desk.log_in();
    let request = run(1, Program::Subsystem("none".into()), None);
    // Until the replies fill the monitor's buffer, and the requests ours, and then until it has enough.
    while desk.socket.send(&request, &[]).is_ok() {}
    assert_eq!(desk.notes(), Vec::<String>::new());
    assert_eq!(desk.leave(), "does_not_read");
}
