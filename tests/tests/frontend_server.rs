//! The server itself: reloading, stopping, proxies, forwarding, clients that have gone away.

use rustix::process::Signal;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::thread;
use std::time::Duration;
use tests::alice::Alice;
use tests::clients::Login;
use tests::clients::openssh::{Way, script, ssh, start};
use tests::frontend::{self, Frontend};
use tests::host::Host;
use tests::port::free_port;
use tests::processes::{DEADLINE, wait_until};
use tests::proxy;
use tests::sandbox;

#[test]
fn a_client_that_stops_answering_is_dropped_and_another_is_not() {
    sandbox::run(|sandbox| {
        let settings = "client_alive_interval = \"1s\"\nclient_alive_count_max = 5";
        let host = Host::start(sandbox, settings);
        let idle = "exec ssh -F $CONFIG server 'echo up; exec sleep 1000'";
        let (living, stopped) = (host.login(), host.login());
        let mut living = start(&living, idle);
        living.wait_for("up");
        let of_one = host.server.processes().len();
        let mut stopped = start(&stopped, idle);
        stopped.wait_for("up");
        assert!(host.server.processes().len() > of_one);
        stopped.signal(Signal::STOP);
        wait_until("the end of the stopped client's session", || {
            // Its program is not ended by the end of its input, and may go on as nobody's child.
            host.server.processes().len() <= of_one
        });
        thread::sleep(Duration::from_secs(3));
        assert!(living.lives());
        assert_eq!(host.server.processes().len(), of_one);
    });
}

#[test]
fn a_reload_is_for_new_connections_and_a_broken_configuration_changes_nothing() {
    sandbox::run(|sandbox| {
        let banner = |name: &str| {
            let path = sandbox.path(name);
            fs::write(&path, format!("{name} banner\n")).unwrap();
            format!(
                "banner = {path:?}\nlisten = [\"127.0.0.1:{}\"]",
                free_port()
            )
        };
        let (old, new) = (banner("old"), banner("new"));
        // One port for both: a reload may not be a move.
        let new = new.replace(new.lines().last().unwrap(), old.lines().last().unwrap());
        let host = Host::start(sandbox, &old);
        let shows = |text: &str| {
            let run = ssh(&host.login(), Way::Askpass, &["-oLogLevel=INFO"], "true");
            assert!(run.success, "{run:?}");
            run.stderr.contains(text)
        };
        assert!(shows("old banner"));
        let login = host.login();
        let mut session = start(
            &login,
            "exec ssh -F $CONFIG server 'echo up; exec sleep 1000'",
        );
        session.wait_for("up");
        host.server.reload(&new);
        wait_until("the new banner", || shows("new banner"));
        assert!(session.lives());

        let logged = host.server.log().lines().count();
        host.server
            .reload("listen = [\"127.0.0.1:0\"]\nno_such_key = 1");
        wait_until("a complaint", || {
            host.server
                .log()
                .lines()
                .skip(logged)
                .any(|line| line.contains("no_such_key"))
        });
        assert!(shows("new banner"));
        assert!(session.lives());
    });
}

#[test]
fn a_broken_configuration_is_refused_with_file_line_key_and_cure() {
    sandbox::run(|sandbox| {
        let run = frontend::refuses(sandbox, "max_sesions = 3");
        assert!(!run.success(), "{run:?}");
        for part in [".toml:", "\"max_sesions\"", "\"max_sessions\""] {
            assert!(run.stderr.contains(part), "{part}: {run:?}");
        }
    });
}

#[test]
fn a_stop_leaves_running_sessions_alone() {
    sandbox::run(|sandbox| {
        let mut host = Host::start(sandbox, "");
        let text = "
mkfifo go; exec 3<>go
ssh -F $CONFIG server 'echo up; read line; echo got $line' < go &
while [ ! -e ../../word ]; do sleep 0.1; done; echo word > go; wait";
        // The login borrows the server, which is to be stopped.
        let endpoint = host.server.at(host.server.port);
        let login = Login::new(sandbox, &endpoint, &host.bob, "");
        let mut session = start(&login, text);
        session.wait_for("up");
        host.server.stop_listening();
        let refused = ssh(&login, Way::Askpass, &[], "true");
        assert!(!refused.success, "{refused:?}");
        fs::write(sandbox.path("word"), "").unwrap();
        session.wait_for("got word");
        let run = session.finish();
        assert!(run.success, "{run:?}");
    });
}

#[test]
fn a_trusted_proxy_names_the_source_in_both_versions() {
    for version in [proxy::version_1, proxy::version_2] {
        sandbox::run(|sandbox| {
            let alice = Alice::new(sandbox).stack_after_password();
            let server = Frontend::start(sandbox, "proxy_protocol_from = [\"127.0.0.0/8\"]");
            let source = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 7), 4711);
            let header = version(source, SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 22));
            let through = server.at(proxy::before(server.port, header));
            let command = "echo $SSH_CONNECTION";
            let login = alice.login(&through, alice.code(0));
            let run = ssh(&login, Way::Askpass, &[], command);
            assert!(
                run.success && run.stdout.starts_with("198.51.100.7 4711 "),
                "{run:?}"
            );
            sandbox.syslog().wait_for(DEADLINE, |line| {
                line.contains("otpgate: result=") && line.contains("198.51.100.7")
            });
        });
    }
}

#[test]
fn a_trusted_proxy_that_does_not_say_for_whom_it_speaks_is_hung_up_on() {
    sandbox::run(|sandbox| {
        let settings = "proxy_protocol_from = [\"127.0.0.0/8\"]";
        let host = Host::start(sandbox, settings);
        let run = ssh(&host.login(), Way::Askpass, &[], "true");
        assert!(!run.success && run.prompts.is_empty(), "{run:?}");
    });
}

#[test]
fn a_header_from_anybody_else_is_no_ssh() {
    sandbox::run(|sandbox| {
        let host = Host::start(sandbox, "proxy_protocol_from = [\"192.0.2.0/24\"]");
        let source = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 7), 4711);
        let header = proxy::version_1(source, source);
        let through = host.server.at(proxy::before(host.server.port, header));
        let run = ssh(
            &Login::new(sandbox, &through, &host.bob, ""),
            Way::Askpass,
            &[],
            "true",
        );
        assert!(!run.success && run.prompts.is_empty(), "{run:?}");
        assert!(
            !host.server.log().contains("198.51.100.7"),
            "{}",
            host.server.log()
        );
        let direct = ssh(&host.login(), Way::Askpass, &[], "true");
        assert!(direct.success, "{direct:?}");
    });
}

/// ProxyJump through the server to itself, by the name that `permit_open` may know.
fn jumps(settings: &str) -> bool {
    sandbox::run(|sandbox| {
        let host = Host::start(sandbox, settings);
        let text = "ssh -F $CONFIG -J server bob@127.0.0.1 'echo arrived'";
        let run = script(&host.login(), text);
        assert_eq!(
            run.prompts.len(),
            if run.success { 2 } else { 1 },
            "{run:?}"
        );
        run.success && run.stdout == "arrived\n"
    })
}

#[test]
fn proxy_jump_goes_only_where_permit_open_says() {
    assert!(!jumps(""));
    assert!(!jumps("permit_open = [\"127.0.0.2:*\"]"));
    assert!(!jumps("permit_open = [\"127.0.0.1:1\"]"));
    assert!(jumps("permit_open = [\"127.0.0.1:*\"]"));
}

#[test]
fn a_connection_that_says_nothing_is_ended_after_the_grace_time() {
    sandbox::run(|sandbox| {
        let host = Host::start(sandbox, "login_grace_time = \"5s\"");
        let mut silent = TcpStream::connect(("127.0.0.1", host.server.port)).unwrap();
        silent.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut said = Vec::new();
        // The server's line of identification, and then the end; a reset is an end too.
        let _ = silent.read_to_end(&mut said);
        assert!(said.starts_with(b"SSH-2.0-"), "{said:?}");
        wait_until("the end of its processes", || {
            host.server.processes().is_empty()
        });
        let run = ssh(&host.login(), Way::Askpass, &[], "sleep 6; echo later");
        assert_eq!(
            run.stdout, "later\n",
            "the grace time goes on after the login: {run:?}"
        );
    });
}

#[test]
fn the_identification_does_not_tell_the_version() {
    sandbox::run(|sandbox| {
        let host = Host::start(sandbox, "");
        let mut stream = TcpStream::connect(("127.0.0.1", host.server.port)).unwrap();
        stream.write_all(b"SSH-2.0-test\r\n").unwrap();
        let line = tests::wire::identification(&stream).unwrap();
        assert!(
            !line
                .chars()
                .skip("SSH-2.0-".len())
                .any(|c| c.is_ascii_digit()),
            "{line}"
        );
    });
}
