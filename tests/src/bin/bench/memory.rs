//! What an idle SFTP session takes of the server's memory, with many of them.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};

use rustix::process::Pid;
use tests::sandbox::Sandbox;

use crate::figures::setting;
use crate::report::{Goal, Row};
use crate::servers::{AES, Server, Servers, X25519};

/// SSH_FXP_INIT, version 3.
const HELLO: [u8; 9] = [0, 0, 0, 5, 1, 0, 0, 0, 3];

pub fn bench(sandbox: &Sandbox) -> Vec<Row> {
    let servers = Servers::start(sandbox);
    let sessions = setting("OTPGATE_BENCH_SESSIONS", 200);
    println!("\nProportional set size of {sessions} idle SFTP sessions, without the listener.\n");
    println!("| server | processes per session | PSS per session, MiB |\n| --- | --- | --- |");
    let [theirs, ours] = servers.both().map(|server| measure(&server, sessions));
    vec![Row {
        work: format!("PSS per idle SFTP session of {sessions}"),
        unit: "MiB",
        ours,
        peer: "sshd",
        theirs,
        goal: Goal::AtMost(0.5),
        floor: None,
    }]
}

/// MiB per session.
fn measure(server: &Server<'_>, sessions: u64) -> f64 {
    let mut clients: Vec<Child> = (0..sessions).map(|_| begin(server)).collect();
    let processes = server.processes();
    let total: f64 = processes
        .iter()
        .map(|pid| proportional_set_size(*pid))
        .sum();
    let (each, number) = (
        total / sessions as f64,
        processes.len() as f64 / sessions as f64,
    );
    println!("| {} | {number:.1} | {each:.2} |", server.name);
    for client in &mut clients {
        client.kill().unwrap();
        client.wait().unwrap();
    }
    each
}

/// A session whose sftp-server has answered.
fn begin(server: &Server<'_>) -> Child {
    let mut client = server.client("ssh", X25519, AES);
    client.args(["-T", "-s", "server", "sftp"]);
    let mut child = client
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.as_mut().unwrap().write_all(&HELLO).unwrap();
    let mut version = [0; 5];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut version)
        .unwrap();
    child
}

/// In MiB.
fn proportional_set_size(pid: Pid) -> f64 {
    let path = format!("/proc/{}/smaps_rollup", pid.as_raw_nonzero());
    let rollup = fs::read_to_string(path).unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kibibytes = line.unwrap().trim().trim_end_matches(" kB");
    kibibytes.parse::<f64>().unwrap() / 1024.0
}
