//! What the listener must do, a case each.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::server::{Client, Server, eventually};

pub const ALL: &[(&str, fn())] = &[
    (
        "a_monitor_is_given_all_it_needs_and_hears_signals",
        given_all_it_needs,
    ),
    (
        "ended_monitors_leave_neither_process_nor_descriptor",
        leaves_nothing_behind,
    ),
    ("who_does_not_log_in_is_out_in_time", grace_time),
    (
        "max_startups_counts_those_who_are_not_logged_in",
        max_startups,
    ),
    ("one_source_cannot_take_every_place", per_source),
    ("behind_a_proxy_the_real_source_counts", per_real_source),
    (
        "drops_are_logged_once_and_then_seldom",
        drops_are_logged_seldom,
    ),
    ("a_reload_holds_for_new_connections", reload),
    ("a_wrong_reload_changes_nothing", wrong_reload),
    ("a_stop_leaves_logged_in_connections_alone", stop),
    (
        "a_monitor_that_is_killed_or_talks_nonsense_harms_nobody_else",
        broken_monitors,
    ),
    (
        "no_descriptors_left_is_waited_out_without_spinning",
        descriptors_run_out,
    ),
    ("the_service_manager_is_told", notify),
];

fn given_all_it_needs() {
    let server = Server::start("max_sessions = 7");
    let mut client = server.connect();
    assert_eq!(
        client.ask("setup"),
        format!("{} {} 1 7 ", client.address(), server.address).trim_end()
    );
    assert_eq!(client.ask("blocked"), "SigBlk:\t0000000000000000");
}

fn leaves_nothing_behind() {
    let server = Server::start("max_startups = 1000");
    // The first connection settles what starting up opens and closes after the server listens.
    assert!(server.connect().is_served());
    eventually(|| server.children() == 0);
    let before = server.descriptors();
    let mut logged_in = server.connect();
    assert_eq!(logged_in.ask("authenticated"), "sent");
    for _ in 0..30 {
        assert!(server.connect().is_served());
    }
    drop(logged_in);
    eventually(|| server.children() == 0 && server.descriptors() == before);
}

fn grace_time() {
    let server = Server::start("login_grace_time = \"4s\"");
    let mut logged_in = server.connect();
    assert_eq!(logged_in.ask("authenticated"), "sent");
    let begin = Instant::now();
    let mut idle = server.connect();
    let helper = idle.ask("helper");
    assert!(idle.is_closed());
    eventually(|| !std::path::Path::new(&format!("/proc/{helper}")).exists());
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(3900), "{took:?}");
    let line = server.logged("grace_time");
    assert_eq!(
        line,
        "otpgate-sshd: result=refused reason=grace_time source=127.0.0.1"
    );
    assert!(logged_in.is_served());
    eventually(|| server.children() == 1);
}

fn max_startups() {
    let server = Server::start("max_startups = 2");
    let (mut first, mut second) = (server.connect(), server.connect());
    assert!(first.is_served() && second.is_served());
    assert!(!server.connect().is_served());
    server.logged("result=refused reason=max_startups source=127.0.0.1 waiting=2");
    // Whoever logs in makes room, and so does whoever goes.
    assert_eq!(first.ask("authenticated"), "sent");
    drop(second);
    eventually(|| server.connect().is_served());
    assert!(first.is_served());
}

fn per_source() {
    let server = Server::start("per_source_max_startups = 1");
    let mut first = server.connect();
    assert!(first.is_served());
    assert!(!server.connect().is_served());
    server.logged("result=refused reason=per_source_max_startups source=127.0.0.1");
    assert!(first.is_served());
    assert_eq!(first.ask("authenticated"), "sent");
    eventually(|| server.connect().is_served());
}

fn per_real_source() {
    let server = Server::start(
        "per_source_max_startups = 1\nproxy_protocol_from = [\"127.0.0.0/8\"]\nlogin_grace_time = \"4s\"",
    );
    let mut first = server.connect();
    assert_eq!(first.ask("source 2001:db8::1"), "sent");
    let mut other = server.connect();
    assert_eq!(other.ask("source 2001:db8:1::1"), "sent");
    let mut same_network = server.connect();
    same_network.tell("source 2001:db8::2");
    assert!(same_network.is_closed());
    server.logged("result=refused reason=per_source_max_startups source=2001:db8::2");
    assert!(other.is_served() && first.is_served());
    assert!(first.is_closed());
    let line = server.logged("grace_time");
    assert!(line.contains("source=2001:db8:"), "{line}");
}

fn drops_are_logged_seldom() {
    let server = Server::start("max_startups = 1");
    let mut first = server.connect();
    assert!(first.is_served());
    for _ in 0..20 {
        assert!(!server.connect().is_served());
    }
    let line = server.logged("max_startups");
    assert!(line.ends_with("waiting=1"), "{line}");
    let line = server.logged("max_startups");
    assert!(line.ends_with("(and 18 like it)"), "{line}");
}

fn reload() {
    let server = Server::start("max_sessions = 1");
    let mut old = server.connect();
    assert!(old.is_served());
    server.configure("max_sessions = 2\nlisten = [\"127.0.0.1:0\", \"127.0.0.2:0\"]");
    server.signal(Signal::SIGHUP);
    let new = server.new_address();
    assert_eq!(new.ip().to_string(), "127.0.0.2");
    server.logged("read again");
    assert!(old.ask("setup").ends_with(" 1 1"));
    assert!(server.connect().ask("setup").ends_with(" 1 2"));
    server.configure("listen = [\"127.0.0.2:0\"]");
    server.signal(Signal::SIGHUP);
    server.logged("read again");
    assert!(std::net::TcpStream::connect(server.address).is_err());
    assert!(Client::to(new).is_served());
    assert!(old.is_served());
}

fn wrong_reload() {
    let server = Server::start("max_sessions = 1");
    for (wrong, expected) in [
        (
            "max_sesions = 2",
            "unknown key \"max_sesions\"; the nearest is \"max_sessions\"",
        ),
        ("listen = [\"192.0.2.1:0\"]", "no such address"),
        ("banner = \"/no/such/file\"", "is not there"),
    ] {
        server.configure(wrong);
        server.signal(Signal::SIGHUP);
        let line = server.logged(expected);
        assert!(line.contains("the old configuration stays"), "{line}");
        assert!(server.connect().ask("setup").ends_with(" 1 1"));
    }
    std::fs::remove_file(server.directory.path().join("key")).unwrap();
    server.configure("max_sessions = 2");
    server.signal(Signal::SIGHUP);
    server.logged("--generate-host-key");
    assert!(server.connect().ask("setup").ends_with(" 1 1"));
}

fn stop() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut server = Server::start("");
        let (mut waiting, mut logged_in) = (server.connect(), server.connect());
        assert!(waiting.is_served());
        assert_eq!(logged_in.ask("authenticated"), "sent");
        // Its answer may be here before the listener has heard; a round through the listener settles it.
        assert!(server.connect().is_served());
        server.signal(signal);
        assert!(server.ended());
        server.logged("connections that go on: 1");
        assert!(waiting.is_closed());
        assert!(logged_in.is_served());
        assert!(std::net::TcpStream::connect(server.address).is_err());
    }
}

fn broken_monitors() {
    let server = Server::start("");
    let mut other = server.connect();
    assert!(other.is_served());
    let mut killed = server.connect();
    let pid = killed.ask("pid").parse().unwrap();
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    assert!(killed.is_closed());
    server.logged("the process of a connection from 127.0.0.1 was ended by signal 15");
    let mut nonsense = server.connect();
    nonsense.tell("nonsense");
    assert!(nonsense.is_closed());
    assert!(other.is_served());
    assert!(server.connect().is_served());
}

fn descriptors_run_out() {
    let server = Server::start_by("max_startups = 1000", |program| {
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -n 24; exec \"$@\"", "sh"]);
        shell.arg(program);
        shell
    });
    // Only the listener runs out of them: its monitors need few.
    let mut clients: Vec<Client> = (0..30).map(|_| server.connect()).collect();
    let line = server.logged("cannot ");
    assert!(line.contains("Too many open files"), "{line}");
    let before = server.processor_time();
    std::thread::sleep(Duration::from_secs(1));
    let spent = server.processor_time() - before;
    assert!(spent < 30, "{spent} hundredths of a second in one");
    assert!(clients[0].is_served());
    clients.clear();
    eventually(|| server.connect().is_served());
}

fn notify() {
    let mut server = Server::start("");
    let manager = UnixDatagram::bind(server.directory.path().join("notify")).unwrap();
    manager
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let told = || {
        let mut bytes = [0; 100];
        let count = manager.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    };
    server.signal(Signal::SIGHUP);
    // On a busy machine it may have begun just after.
    let reloading = Some(told()).filter(|told| told != "READY=1");
    let reloading = reloading.unwrap_or_else(told);
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    assert_eq!(told(), "READY=1");
    server.signal(Signal::SIGTERM);
    assert_eq!(told(), "STOPPING=1");
    assert!(server.ended());
}
