//! The dialogue, as PAM leads it.

use ssh_frontend::config::Method;
use ssh_frontend::protocol::{Reply, Request};

use super::desk::{Desk, GOOD_KEY, RIGHT, Setting, answer, begin, empty_answer, me, verified};

const REST: &str = "account required pam_permit.so\nsession required pam_permit.so\n";

fn with_stack(stack: &str) -> Desk {
    Desk::open(|setting: &mut Setting| setting.stack = stack.into())
}

#[test]
fn the_right_answer_logs_in_after_one_last_question_without_a_prompt() {
    let desk = Desk::open(|_| ());
    let first = desk.question(&begin(&me()));
    let prompt = first.prompt.unwrap();
    assert_eq!((prompt.text.as_str(), prompt.echo), ("Password: ", false));
    let last = desk.question(&answer(RIGHT));
    assert_eq!((last.instruction.as_str(), last.prompt), ("", None));
    assert!(matches!(desk.ask(&empty_answer()), Reply::Accepted));
    assert_eq!(desk.heard(), RIGHT);
    assert_eq!(desk.leave(), "gone");
}

#[test]
fn wrong_answers_are_refused_until_the_tries_are_used_up() {
    let desk = Desk::open(|setting| setting.config.max_auth_tries = 3);
    for _ in 0..2 {
        desk.question(&begin(&me()));
        let refused = desk.refused(&answer("wrong"));
        assert_eq!(refused, (vec![Method::KeyboardInteractive], false));
    }
    desk.question(&begin(&me()));
    match desk.ask(&answer("wrong")) {
        Reply::Disconnect { reason } => assert_eq!(reason, "Too many authentication failures"),
        other => panic!("{other:?}"),
    }
    assert_eq!(desk.closed(), "dismissed");
}

#[test]
fn a_wrong_answer_does_not_keep_out_who_then_gives_the_right_one() {
    let desk = Desk::open(|_| ());
    desk.question(&begin(&me()));
    desk.refused(&answer("wrong"));
    desk.log_in();
}

#[test]
fn unknown_and_barred_users_are_asked_the_same_and_pam_never_hears_them() {
    let bar = |setting: &mut Setting| setting.config.deny_users = vec![me()];
    let cases = [
        (Desk::open(|_| ()), String::from("no-such-user-here")),
        (Desk::open(bar), me()),
        (Desk::open(|_| ()), String::from("../../etc/passwd")),
        (Desk::open(|_| ()), String::new()),
    ];
    for (desk, user) in cases {
        let known = Desk::open(|_| ());
        let wanted = known.question(&begin(&me()));
        assert_eq!(desk.question(&begin(&user)), wanted, "{user}");
        let refused = desk.refused(&answer(RIGHT));
        assert_eq!(refused, known.refused(&answer("wrong")), "{user}");
        assert!(!desk.heard().contains(RIGHT), "{user}");
        assert!(
            desk.heard().ends_with("INCORRECT") || desk.heard() == "\x08",
            "{user}"
        );
    }
}

#[test]
fn a_barred_user_is_refused_by_a_stack_that_lets_everybody_in() {
    let stack = format!("auth required pam_permit.so\n{REST}");
    assert!(with_stack(&stack).question(&begin(&me())).prompt.is_none());
    let barred = Desk::open(|setting| {
        setting.stack = stack;
        setting.config.allow_users = vec!["somebody".into()];
    });
    barred.refused(&begin(&me()));
    barred.refused(&begin("no-such-user-here"));
}

#[test]
fn a_service_without_a_file_refuses_everybody() {
    let desk = Desk::open(|setting| setting.config.pam_service = "missing".into());
    desk.refused(&begin(&me()));
}

#[test]
fn texts_stand_before_the_next_prompt_and_the_last_ones_in_the_last_question() {
    let desk = with_stack(
        "auth optional pam_echo.so hello\nauth required CHECK\n\
         account optional pam_echo.so welcome\naccount required pam_permit.so\n",
    );
    assert_eq!(desk.question(&begin(&me())).instruction.trim_end(), "hello");
    let last = desk.question(&answer(RIGHT));
    assert_eq!(
        (last.instruction.trim_end(), last.prompt),
        ("welcome", None)
    );
}

#[test]
fn an_account_that_may_not_log_in_is_refused_after_the_right_answer() {
    let desk = with_stack("auth required CHECK\naccount required pam_deny.so\n");
    desk.question(&begin(&me()));
    desk.refused(&answer(RIGHT));
}

#[test]
fn an_expired_password_is_changed_in_the_same_dialogue() {
    let expired = "auth required CHECK\naccount required pam_stress.so expired\n\
                   session required pam_permit.so\n";
    let desk = with_stack(&format!("{expired}password required pam_stress.so\n"));
    desk.question(&begin(&me()));
    let mut prompts = Vec::new();
    let mut question = desk.question(&answer(RIGHT));
    while let Some(prompt) = question.prompt {
        prompts.push(prompt.text);
        question = desk.question(&answer("new"));
    }
    assert!(prompts.len() >= 2, "{prompts:?}");
    assert!(matches!(desk.ask(&empty_answer()), Reply::Accepted));

    let desk = with_stack(&format!("{expired}password required pam_deny.so\n"));
    desk.question(&begin(&me()));
    desk.refused(&answer(RIGHT));
}

#[test]
fn a_password_that_is_not_changed_lets_nobody_in() {
    let desk = with_stack(
        "auth required CHECK\naccount required pam_stress.so expired\n\
         session required pam_permit.so\npassword required pam_stress.so\n",
    );
    desk.question(&begin(&me()));
    desk.question(&answer(RIGHT));
    desk.question(&answer("one"));
    desk.refused(&answer("another"));
}

#[test]
fn a_module_that_makes_somebody_else_of_the_user_lets_nobody_in() {
    // pam_ftp takes a user of its list for the first of them.
    let desk = with_stack(&format!(
        "auth required pam_ftp.so ignore users=somebody,{}\n{REST}",
        me()
    ));
    let question = desk.question(&begin(&me()));
    assert!(question.prompt.is_some(), "{question:?}");
    desk.refused(&answer("x@example.org"));
}

#[test]
fn a_session_that_pam_does_not_open_is_none() {
    let desk = with_stack(
        "auth required CHECK\naccount required pam_permit.so\nsession required pam_deny.so\n",
    );
    desk.question(&begin(&me()));
    desk.question(&answer(RIGHT));
    let reply = desk.ask(&empty_answer());
    assert!(matches!(reply, Reply::Disconnect { .. }), "{reply:?}");
    assert_eq!(desk.closed(), "dismissed");
}

#[test]
fn where_a_key_comes_first_the_dialogue_begins_only_after_it() {
    let desk = Desk::with_key_first(|_| ());
    assert_eq!(
        desk.refused(&begin(&me())),
        (vec![Method::PublicKey], false)
    );
    let refused = desk.refused(&verified(&me(), b"not mine"));
    assert_eq!(refused, (vec![Method::PublicKey], false));
    let partial = desk.refused(&verified(&me(), GOOD_KEY));
    assert_eq!(partial, (vec![Method::KeyboardInteractive], true));
    desk.log_in();
}

#[test]
fn a_key_counts_for_nothing_where_the_dialogue_alone_leads_in() {
    let desk = Desk::open(|_| ());
    let refused = desk.refused(&verified(&me(), GOOD_KEY));
    assert_eq!(refused, (vec![Method::KeyboardInteractive], false));
}

#[test]
fn unknown_and_barred_users_have_no_keys() {
    let desk = Desk::with_key_first(|setting| setting.config.deny_users = vec![me()]);
    for user in [me(), "no-such-user-here".into()] {
        let refused = desk.refused(&verified(&user, GOOD_KEY));
        assert_eq!(refused, (vec![Method::PublicKey], false));
        let offered = Request::KeyOffered {
            user,
            algorithm: "ssh-ed25519".into(),
            key: GOOD_KEY.to_vec(),
        };
        assert!(matches!(desk.ask(&offered), Reply::KeyAcceptable(false)));
    }
}

#[test]
fn modules_learn_where_the_client_is_and_which_key_it_has() {
    let desk = Desk::with_key_first(|setting| {
        let echo = "pam_exec.so stdout /usr/bin/env";
        setting.stack = format!("auth optional {echo}\nauth required CHECK\n{REST}");
    });
    desk.refused(&verified(&me(), GOOD_KEY));
    let told = desk.question(&begin(&me())).instruction;
    for line in [
        "PAM_RHOST=192.0.2.7",
        "PAM_TTY=ssh",
        "SSH_CONNECTION=192.0.2.7 40000 198.51.100.1 2222",
        "SSH_AUTH_INFO_0=publickey ssh-ed25519 Z29vZCBrZXk=",
    ] {
        assert!(told.lines().any(|told| told == line), "{line} in {told}");
    }
    assert!(
        !told.contains("PAM_RUSER=") || told.contains("PAM_RUSER=\n"),
        "{told}"
    );
}
