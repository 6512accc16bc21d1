//! The network process by itself: OpenSSH's clients on one side, a monitor that the tests play on the other.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing
)]

mod network_monitor;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use network_monitor::{
    CODE, DEAD_HOST, Options, Server, exists, resident, status, ticks, wait_for, with_input,
};
use ssh_frontend::config::Method;
use ssh_frontend::protocol::Confinement;

const HOST: &str = "alice@127.0.0.1";

fn random(length: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

#[test]
fn a_command_gets_its_input_and_gives_output_errors_and_status() {
    let server = Server::start(Options::default());
    let command = server.ssh(&[HOST, "cat; echo oops >&2; exit 7"]);
    let output = with_input(command, b"hello\n".to_vec());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "motd\nhello\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "oops\n");
    assert_eq!(output.status.code(), Some(7));
    wait_for("the process ends", || {
        server
            .log()
            .iter()
            .any(|line| line == "the network process ended: exit status: 0")
    });
}

#[test]
fn a_wrong_code_is_refused_and_none_gets_no_further() {
    let server = Server::start(Options::default());
    let mut command = server.client("ssh", "000000");
    let output = command.args([HOST, "true"]).output().unwrap();
    assert_eq!(output.status.code(), Some(255));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("Permission denied (keyboard-interactive)"),
        "{text}"
    );
    assert!(!server.log().iter().any(|line| line.starts_with("Start")));
}

#[test]
fn what_the_monitor_says_last_reaches_the_client() {
    let server = Server::start(Options {
        disconnect: Some("Too many tries".to_owned()),
        ..Options::default()
    });
    let output = server.ssh(&[HOST, "true"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("Too many tries"), "{text}");
}

#[test]
fn the_banner_is_shown() {
    let server = Server::start(Options {
        banner: Some("Authorised use only\n".to_owned()),
        ..Options::default()
    });
    let mut command = server.ssh_first(&["-o", "LogLevel=INFO"], &[HOST, "true"]);
    let text = command.output().unwrap().stderr;
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("Authorised use only"), "{text}");
}

#[test]
fn a_key_leads_to_the_dialogue_and_alone_to_nothing() {
    let server = Server::start(Options {
        methods: vec![Method::PublicKey],
        ..Options::default()
    });
    let key = server.directory.path().join("host");
    let identity = format!("IdentityFile={}", key.display());
    let mut command = server.ssh_first(&["-o", &identity], &[HOST, "echo in"]);
    let output = command.output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "motd\nin\n",
        "{output:?}"
    );
    let log = server.log();
    let order = ["KeyOffered", "KeyVerified", "Begin", "Answer", "Start"];
    for (line, expected) in log.iter().zip(order) {
        assert!(line.starts_with(expected), "{log:?}");
    }
    let first = ["-o", &identity, "-o", "PreferredAuthentications=publickey"];
    let output = server.ssh_first(&first, &[HOST, "true"]).output().unwrap();
    assert_eq!(output.status.code(), Some(255));
}

#[test]
fn a_session_on_a_terminal_has_its_size_and_its_shell() {
    let server = Server::start(Options::default());
    let command = server.ssh(&["-tt", HOST]);
    let output = with_input(command, b"echo term=$TERM; tty; exit 3\n".to_vec());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("/dev/pts/"), "{text}");
    assert_eq!(output.status.code(), Some(3), "{text}");
}

#[test]
fn a_program_killed_by_a_signal_is_told_apart_from_one_that_fails() {
    let server = Server::start(Options::default());
    let mut command = server.ssh(&["-v", HOST, "kill -TERM $$"]);
    let output = command.arg("-v").output().unwrap();
    assert_eq!(output.status.code(), Some(255));
}

#[test]
fn variables_come_before_the_program_and_no_subsystem_but_known_ones() {
    let server = Server::start(Options::default());
    let mut command = server.ssh(&["-o", "SendEnv=LC_OTPGATE", HOST, "echo $LC_OTPGATE"]);
    let output = command.env("LC_OTPGATE", "there").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "motd\nthere\n");
    let output = server.ssh(&["-s", HOST, "netconf"]).output().unwrap();
    assert_ne!(output.status.code(), Some(0));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("subsystem request failed"), "{text}");
}

#[test]
fn a_file_goes_there_and_back_by_sftp() {
    let server = Server::start(Options {
        quiet: true,
        ..Options::default()
    });
    let (one, two, three) = (
        server.directory.path().join("one"),
        server.directory.path().join("two"),
        server.directory.path().join("three"),
    );
    std::fs::write(&one, random(30_000_000)).unwrap();
    let batch = format!(
        "put {} {}\nget {} {}\n",
        one.display(),
        two.display(),
        two.display(),
        three.display()
    );
    let mut sftp = server.client("sftp", CODE);
    // A batch would switch prompts off.
    sftp.args(["-o", "BatchMode=no", "-q", "-b", "-", HOST]);
    let output = with_input(sftp, batch.into_bytes());
    assert!(output.status.success(), "{output:?}");
    assert!(std::fs::read(&one).unwrap() == std::fs::read(&three).unwrap());
}

#[test]
fn two_hundred_megabytes_go_through_both_directions_at_once() {
    let server = Server::start(Options {
        rekey_bytes: 64 << 20,
        ..Options::default()
    });
    let sent = random(200_000_000);
    let output = with_input(server.ssh(&[HOST, "cat"]), sent.clone());
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.stdout.len(), sent.len() + b"motd\n".len());
    assert!(output.stdout.ends_with(&sent));
}

#[test]
fn a_program_that_does_not_read_costs_neither_memory_nor_time_nor_other_channels() {
    let server = Server::start(Options::default());
    let socket = server.directory.path().join("control");
    let control = format!("ControlPath={}", socket.display());
    let mut master = server
        .ssh(&["-o", &control, "-o", "ControlMaster=yes", HOST])
        .arg("i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo line $i; sleep 0.05; done")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let (seen, stdout) = (Arc::clone(&lines), master.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            seen.lock().unwrap().push(line);
        }
    });
    let mut stdin = master.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        drop(stdin.write_all(&random(100_000_000)));
    });
    wait_for("the master listens", || socket.exists());
    let network = server.last_process();
    std::thread::sleep(Duration::from_secs(2));
    let (before, begin) = (ticks(network), Instant::now());
    for _ in 0..3 {
        let asked = Instant::now();
        let output = server
            .ssh(&["-o", &control, HOST, "echo other"])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "motd\nother\n");
        assert!(asked.elapsed() < Duration::from_secs(10));
        let upload = with_input(
            server.ssh(&["-o", &control, HOST, "wc -c"]),
            random(1_000_000),
        );
        assert_eq!(String::from_utf8_lossy(&upload.stdout), "motd\n1000000\n");
        std::thread::sleep(Duration::from_millis(500));
    }
    let used = ticks(network) - before;
    let share = used as f64 / 100.0 / begin.elapsed().as_secs_f64();
    let memory = resident(network);
    eprintln!("{memory} KiB, {share:.3} of a processor");
    assert!(memory < 40_000, "{memory} KiB");
    assert!(share < 0.2, "{share}");
    let lines = lines.lock().unwrap().len();
    assert!(lines > 10, "{lines} lines of the same channel");
    master.kill().unwrap();
    master.wait().unwrap();
    writer.join().unwrap();
    wait_for("the process ends", || {
        server
            .log()
            .iter()
            .any(|line| line.starts_with("the network process ended"))
    });
}

#[test]
fn a_forwarded_connection_carries_both_directions() {
    let server = Server::start(Options::default());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut copy = stream.try_clone().unwrap();
        std::io::copy(&mut stream, &mut copy).unwrap();
    });
    let sent = random(5_000_000);
    let output = with_input(server.ssh(&["-W", &target, HOST]), sent.clone());
    assert!(
        output.stdout == sent,
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let output = with_input(server.ssh(&["-W", "127.0.0.1:1", HOST]), Vec::new());
    assert_ne!(output.status.code(), Some(0));
}

#[test]
fn no_more_sessions_than_allowed_and_again_when_one_has_ended() {
    let server = Server::start(Options {
        max_sessions: 2,
        ..Options::default()
    });
    let control = format!(
        "ControlPath={}",
        server.directory.path().join("control").display()
    );
    let mut master = server
        .ssh(&[
            "-o",
            &control,
            "-o",
            "ControlMaster=yes",
            "-o",
            "ControlPersist=no",
            HOST,
            "cat",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let socket = server.directory.path().join("control");
    wait_for("the master listens", || socket.exists());
    for _ in 0..5 {
        let output = server
            .ssh(&["-o", &control, HOST, "true"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    let mut second = server
        .ssh(&["-o", &control, HOST, "sleep 5"])
        .spawn()
        .unwrap();
    wait_for("the second runs", || {
        server.log().iter().any(|line| line.contains("session: 8"))
    });
    let mut third = server.ssh(&["-o", &control, "-o", "ControlMaster=no", HOST, "true"]);
    let output = third.args(["-o", "BatchMode=yes"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("open failed") || text.contains("refused"),
        "{output:?}"
    );
    second.kill().unwrap();
    master.kill().unwrap();
    second.wait().unwrap();
    master.wait().unwrap();
}

#[test]
fn programs_lose_their_descriptors_when_the_client_goes_away() {
    let server = Server::start(Options::default());
    let mut client = server
        .ssh(&[HOST, "cat; sleep 100 | cat"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("it runs", || {
        server.log().iter().any(|line| line.starts_with("Start"))
    });
    client.kill().unwrap();
    client.wait().unwrap();
    wait_for("the process ends", || {
        server
            .log()
            .iter()
            .any(|line| line.starts_with("the network process ended"))
    });
}

#[test]
fn without_its_monitor_the_process_ends() {
    let server = Server::start(Options {
        vanish: true,
        ..Options::default()
    });
    let output = server.ssh(&[HOST, "true"]).output().unwrap();
    assert_eq!(output.status.code(), Some(255));
    let process = server.last_process();
    wait_for("the process ends", || !exists(process));
}

#[test]
fn confined_it_is_nobody_in_nothing_and_does_all_the_same() {
    let is_root = rustix::process::geteuid().is_root();
    assert!(
        is_root,
        "only root can change its root and user: make test runs this as root"
    );
    let empty = tempfile::TempDir::new().unwrap();
    let server = Server::start(Options {
        confinement: Some(Confinement {
            uid: 65534,
            gid: 65534,
            chroot: empty.path().to_owned(),
        }),
        rekey_bytes: 4 << 20,
        ..Options::default()
    });
    let mut client = server
        .ssh(&[HOST, "cat; sleep 1"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("it runs", || {
        server.log().iter().any(|line| line.starts_with("Start"))
    });
    let process = server.last_process();
    assert_eq!(status(process, "Uid"), "65534\t65534\t65534\t65534");
    assert_eq!(status(process, "Gid"), "65534\t65534\t65534\t65534");
    assert_eq!(status(process, "Groups"), "");
    assert_eq!(status(process, "NoNewPrivs"), "1");
    assert_eq!(status(process, "Seccomp:"), "2");
    assert_eq!(status(process, "CapEff"), "0000000000000000");
    assert_eq!(status(process, "Threads"), "1");
    // The log of all processes is not its to write.
    for descriptor in 0..=2 {
        let link = std::fs::read_link(format!("/proc/{process}/fd/{descriptor}")).unwrap();
        assert_eq!(link, Path::new("/dev/null"), "{descriptor}");
    }
    let root = std::fs::read_link(format!("/proc/{process}/root")).unwrap();
    assert_eq!(root, empty.path().canonicalize().unwrap());
    drop(client.stdin.take());
    assert!(client.wait().unwrap().success());
    let sent = random(30_000_000);
    let output = with_input(server.ssh(&[HOST, "cat"]), sent.clone());
    assert!(output.stdout.ends_with(&sent));
    let output = with_input(server.ssh(&["-tt", HOST]), b"exit 5\n".to_vec());
    assert_eq!(output.status.code(), Some(5));
}

/// A client that does what OpenSSH's does not.
mod attacker {
    use std::io::Write;
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use russh::client::{Config, Handle, Handler, KeyboardInteractiveAuthResponse, connect};
    use russh::{ChannelMsg, Error};

    use super::{CODE, DEAD_HOST, Options, Server, wait_for};

    struct Trusting;

    impl Handler for Trusting {
        type Error = Error;

        async fn check_server_key(
            &mut self,
            _key: &russh::keys::PublicKeyOrCertificate,
        ) -> Result<bool, Error> {
            Ok(true)
        }
    }

    async fn at_the_prompt(server: &Server) -> Handle<Trusting> {
        let config = Arc::new(Config::default());
        let mut client = connect(config, server.address, Trusting).await.unwrap();
        let asked = client
            .authenticate_keyboard_interactive_start("alice", None)
            .await
            .unwrap();
        match asked {
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => {
                assert_eq!(prompts.len(), 1);
            }
            other => panic!("{other:?}"),
        }
        client
    }

    async fn logged_in(server: &Server) -> Handle<Trusting> {
        let mut client = at_the_prompt(server).await;
        let answers = vec![CODE.to_owned()];
        let verdict = client
            .authenticate_keyboard_interactive_respond(answers)
            .await
            .unwrap();
        assert!(matches!(verdict, KeyboardInteractiveAuthResponse::Success));
        client
    }

    fn ended(server: &Server) {
        wait_for("the process ends", || {
            server
                .log()
                .iter()
                .any(|line| line.starts_with("the network process ended"))
        });
    }

    #[tokio::test]
    async fn the_wrong_number_of_answers_ends_the_connection_and_reaches_nobody() {
        for answers in [
            vec![],
            vec![CODE.to_owned(), CODE.to_owned()],
            vec!["x".repeat(513)],
        ] {
            let server = Server::start(Options::default());
            let mut client = at_the_prompt(&server).await;
            let verdict = client
                .authenticate_keyboard_interactive_respond(answers)
                .await;
            assert!(!matches!(
                verdict,
                Ok(KeyboardInteractiveAuthResponse::Success)
            ));
            drop(client);
            ended(&server);
            assert!(!server.log().iter().any(|line| line.starts_with("Answer")));
        }
    }

    #[tokio::test]
    async fn a_password_gets_nobody_in() {
        let server = Server::start(Options::default());
        let config = Arc::new(Config::default());
        let mut client = connect(config, server.address, Trusting).await.unwrap();
        assert!(
            !client
                .authenticate_password("alice", CODE)
                .await
                .unwrap()
                .success()
        );
        let opened = client.channel_open_session().await;
        assert!(opened.is_err(), "{opened:?}");
        // It may have ended by now; that is all there is to say.
        let log = server.log();
        let ended = |line: &String| line.starts_with("the network process ended");
        assert!(log.iter().all(ended), "{log:?}");
    }

    #[tokio::test]
    async fn a_terminal_follows_the_clients_window() {
        let server = Server::start(Options::default());
        let client = logged_in(&server).await;
        let mut channel = client.channel_open_session().await.unwrap();
        channel
            .request_pty(true, "xterm", 80, 24, 0, 0, &[])
            .await
            .unwrap();
        channel
            .exec(true, "stty size; read line; stty size")
            .await
            .unwrap();
        let mut text = String::new();
        let mut resized = false;
        let mut status = None;
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Data { data } => text.push_str(&String::from_utf8_lossy(&data)),
                ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
                _ => {}
            }
            if !resized && text.contains("24 80") {
                resized = true;
                channel.window_change(100, 50, 0, 0).await.unwrap();
                channel.data(&b"\n"[..]).await.unwrap();
            }
        }
        assert!(text.contains("50 100"), "{text}");
        assert_eq!(status, Some(0));
    }

    #[tokio::test]
    async fn a_session_starts_one_program() {
        let server = Server::start(Options::default());
        let client = logged_in(&server).await;
        let mut channel = client.channel_open_session().await.unwrap();
        channel.exec(true, "sleep 1").await.unwrap();
        channel.exec(true, "echo again").await.unwrap();
        let (mut successes, mut failures) = (0, 0);
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Success => successes += 1,
                ChannelMsg::Failure => failures += 1,
                _ => {}
            }
        }
        assert_eq!((successes, failures), (1, 1));
    }

    /// Runs a command, and gives its status.
    async fn status_of(client: &Handle<Trusting>, command: &str) -> Option<u32> {
        let mut channel = client.channel_open_session().await.unwrap();
        channel.exec(true, command).await.unwrap();
        let mut status = None;
        while let Some(message) = channel.wait().await {
            if let ChannelMsg::ExitStatus { exit_status } = message {
                status = Some(exit_status);
            }
        }
        status
    }

    #[tokio::test]
    async fn a_host_that_does_not_answer_delays_no_session() {
        let server = Server::start(Options::default());
        let client = Arc::new(logged_in(&server).await);
        let dead = tokio::spawn({
            let client = Arc::clone(&client);
            async move {
                let (host, from) = (DEAD_HOST, "127.0.0.1");
                client.channel_open_direct_tcpip(host, 22, from, 1).await
            }
        });
        let is_asked_for = || server.log().iter().any(|line| line.contains(DEAD_HOST));
        while !is_asked_for() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let asked = Instant::now();
        assert_eq!(status_of(&client, "exit 3").await, Some(3));
        assert_eq!(status_of(&client, "exit 4").await, Some(4));
        assert!(asked.elapsed() < Duration::from_secs(10));
        assert!(!dead.is_finished());
        dead.abort();
    }

    #[tokio::test]
    async fn twenty_connections_at_once_lead_each_to_its_own_host() {
        let server = Server::start(Options::default());
        let client = Arc::new(logged_in(&server).await);
        let mut forwards = tokio::task::JoinSet::new();
        for number in 0..20 {
            let is_there = number % 5 > 0;
            // Nobody listens on 1, which is never drawn; a port that was drawn and given back may be drawn again.
            let mut port = 1;
            if is_there {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                port = listener.local_addr().unwrap().port();
                std::thread::spawn(move || {
                    let (mut stream, _) = listener.accept().unwrap();
                    write!(stream, "{number}").unwrap();
                });
            }
            let client = Arc::clone(&client);
            forwards.spawn(async move {
                let host = "127.0.0.1";
                let opened = client.channel_open_direct_tcpip(host, port.into(), host, 1);
                let Ok(mut channel) = opened.await else {
                    assert!(!is_there, "{number}");
                    return;
                };
                assert!(is_there, "{number}");
                let mut text = Vec::new();
                while let Some(message) = channel.wait().await {
                    match message {
                        ChannelMsg::Data { data } => text.extend_from_slice(&data),
                        ChannelMsg::Eof => break,
                        _ => {}
                    }
                }
                assert_eq!(String::from_utf8_lossy(&text), number.to_string());
            });
        }
        while let Some(forward) = forwards.join_next().await {
            forward.unwrap();
        }
    }

    #[tokio::test]
    async fn a_client_that_says_nothing_more_is_still_let_go() {
        let server = Server::start(Options::default());
        let client = logged_in(&server).await;
        let reason = russh::Disconnect::ByApplication;
        client.disconnect(reason, "bye", "").await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        ended(&server);
    }
}
