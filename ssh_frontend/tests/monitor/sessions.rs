//! What runs after the login.

use std::io::Write;
use std::os::fd::OwnedFd;

use rustix::termios::tcgetwinsize;
use ssh_frontend::as_user::KeyLimits;
use ssh_frontend::config::SessionKind;
use ssh_frontend::protocol::ConnectFailure::Prohibited;
use ssh_frontend::protocol::{Exit, Program, Reply, Request, Size, Terminal};

use super::connects::assert_not_connected;
use super::desk::{Desk, GOOD_KEY, command, connect, me, read_all, run, signal, verified};

fn open() -> Desk {
    let desk = Desk::open(|_| ());
    desk.log_in();
    desk
}

fn terminal() -> Terminal {
    Terminal {
        term: "xterm".into(),
        size: Size {
            columns: 100,
            rows: 30,
            x_pixels: 0,
            y_pixels: 0,
        },
        modes: Vec::new(),
    }
}

fn three(descriptors: Vec<OwnedFd>) -> [OwnedFd; 3] {
    descriptors.try_into().expect("three descriptors")
}

fn assert_exited(desk: &Desk, number: u32, how: &Exit) {
    match desk.receive().0 {
        Reply::Exited { session, exit } => assert_eq!((session, &exit), (number, how)),
        other => panic!("{other:?}"),
    }
}

fn assert_not_started(desk: &Desk, request: &Request) {
    let reply = desk.ask(request);
    assert!(matches!(reply, Reply::NotStarted { .. }), "{reply:?}");
}

#[test]
fn a_command_reads_writes_and_ends_with_its_status() {
    let desk = open();
    let (_, descriptors) = desk.start(&command(7, "cat; echo oops >&2; exit 3"));
    let [input, output, error] = three(descriptors);
    std::fs::File::from(input).write_all(b"through").unwrap();
    assert_eq!(read_all(output), "through");
    assert_eq!(read_all(error), "oops\n");
    assert_exited(&desk, 7, &Exit::Status(3));
}

#[test]
fn a_program_that_a_signal_ends_says_which() {
    let desk = open();
    let (_, _descriptors) = desk.start(&command(1, "kill -TERM $$"));
    let name = "TERM".into();
    let core_dumped = false;
    assert_exited(&desk, 1, &Exit::Signal { name, core_dumped });
}

#[test]
fn a_program_has_the_environment_of_account_and_connection() {
    let desk = open();
    let request = Request::Start {
        session: 1,
        program: Program::Command(b"env".to_vec()),
        terminal: None,
        environment: vec![
            ("LANG".into(), "C".into()),
            ("LD_PRELOAD".into(), "x".into()),
        ],
    };
    let [_, output, _] = three(desk.start(&request).1);
    let text = read_all(output);
    for line in [
        format!("USER={}", me()),
        "LANG=C".into(),
        "SSH_CONNECTION=192.0.2.7 40000 198.51.100.1 2222".into(),
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    assert!(
        !text.contains("LD_PRELOAD") && !text.contains("SSH_TTY"),
        "{text}"
    );
}

#[test]
fn a_shell_on_a_terminal_brings_one_descriptor_and_what_the_session_modules_said_once() {
    let desk = Desk::open(|setting| {
        setting
            .stack
            .push_str("session optional pam_echo.so Maintenance\n");
    });
    desk.log_in();
    let no_message = |reply: Reply, wanted: bool| match reply {
        Reply::Started { message, terminal } => {
            assert_eq!(String::from_utf8(message).unwrap(), "");
            assert_eq!(terminal, wanted);
        }
        other => panic!("{other:?}"),
    };
    no_message(desk.start(&command(1, "sleep 60")).0, false);
    let (reply, descriptors) = desk.start(&run(2, Program::Shell, Some(terminal())));
    match reply {
        Reply::Started { terminal, message } => {
            assert!(terminal);
            assert_eq!(
                String::from_utf8(message).unwrap().trim_end(),
                "Maintenance"
            );
        }
        other => panic!("{other:?}"),
    }
    let [master]: [OwnedFd; 1] = descriptors.try_into().unwrap();
    let size = tcgetwinsize(&master).unwrap();
    assert_eq!((size.ws_col, size.ws_row), (100, 30));
    let third = run(3, Program::Shell, Some(terminal()));
    no_message(desk.start(&third).0, true);
    assert_eq!(desk.notes().len(), 3);
}

#[test]
fn programs_are_limited_while_they_live() {
    let desk = Desk::open(|setting| setting.config.max_sessions = 2);
    desk.log_in();
    let (_, first) = desk.start(&command(1, "cat"));
    let (_, _second) = desk.start(&command(2, "cat"));
    assert_not_started(&desk, &command(3, "true"));
    drop(first);
    assert_exited(&desk, 1, &Exit::Status(0));
    desk.start(&command(3, "true"));
}

#[test]
fn a_session_runs_one_program() {
    let desk = open();
    let (_, _descriptors) = desk.start(&command(1, "cat"));
    assert_not_started(&desk, &command(1, "true"));
    assert_eq!(desk.notes().len(), 1);
}

#[test]
fn what_is_not_permitted_is_not_started() {
    let desk = Desk::open(|setting| setting.config.permit_sessions = vec![SessionKind::Sftp]);
    desk.log_in();
    assert_not_started(&desk, &command(1, "true"));
    assert_not_started(&desk, &run(1, Program::Shell, Some(terminal())));
    assert_not_started(&desk, &run(1, Program::Subsystem("netconf".into()), None));
    assert_eq!(desk.notes(), Vec::<String>::new());
}

#[test]
fn a_keys_limits_hold_for_every_session() {
    let desk = Desk::with_key_first(|setting| {
        setting.limits = KeyLimits {
            command: Some("echo forced: $SSH_ORIGINAL_COMMAND".into()),
            no_terminal: true,
            no_forwarding: true,
            permit_open: Vec::new(),
        };
    });
    desk.refused(&verified(&me(), GOOD_KEY));
    desk.log_in();
    let [_, output, _] = three(desk.start(&command(1, "rm x")).1);
    assert_eq!(read_all(output), "forced: rm x\n");
    assert_exited(&desk, 1, &Exit::Status(0));
    assert_not_started(&desk, &run(2, Program::Shell, Some(terminal())));
    assert_not_connected(&desk.ask(&connect(3, "inner")), 3, Prohibited);
}

#[test]
fn a_signal_goes_to_the_programs_own_group_and_nowhere_without_one() {
    let desk = open();
    desk.send(&signal(9));
    let (_, descriptors) = desk.start(&command(1, "echo $$; exec cat"));
    let [_input, output, _error] = three(descriptors);
    let mut line = [0; 32];
    let length = rustix::io::read(&output, &mut line).unwrap();
    let pid = String::from_utf8_lossy(&line[..length]).trim().to_owned();
    desk.send(&signal(1));
    // Handled in order: once this is answered, so is the signal.
    let (_, _descriptors) = desk.start(&command(2, "cat"));
    let notes = desk.notes();
    let signals: Vec<_> = notes
        .iter()
        .filter(|note| note.starts_with("Signal"))
        .collect();
    assert_eq!(
        signals,
        [&format!("Signal {{ group: {pid}, name: \"TERM\" }}")]
    );
}

#[test]
fn when_the_network_process_leaves_programs_lose_their_pipes_and_the_monitor_goes() {
    let desk = open();
    let directory = tempfile::tempdir().unwrap();
    let mark = directory.path().join("mark");
    let line = format!("cat; echo left > {}", mark.display());
    let (_, descriptors) = desk.start(&command(1, &line));
    assert_eq!(desk.leave(), "gone");
    assert!(
        !mark.exists(),
        "it was not ended, and its input is still open"
    );
    drop(descriptors);
    let left = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        mark.exists()
    });
    assert!(left, "it read the end of its input and went on");
}
