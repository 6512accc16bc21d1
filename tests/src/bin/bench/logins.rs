//! What a login costs the server: connection, key exchange, password, one command, end.
//!
//! The floor is what any server pays that asks the system's PAM and runs the user's shell: the stack in a
//! process of its own, the shell, and two processes that do nothing, for privilege separation takes three.

use std::process::Command;
use std::time::Instant;

use tests::sandbox::Sandbox;

use crate::figures::{median, setting};
use crate::report::{Goal, Row};
use crate::servers::{
    AES, ML_KEM, Server, Servers, X25519, cpu_of_children, has_key_exchange, succeed,
};

/// Rounds; the servers take turns.
const ROUNDS: usize = 5;

#[derive(Default)]
struct Side {
    per_second: Vec<f64>,
    /// Server CPU for each, in milliseconds.
    cpu: Vec<f64>,
}

pub fn bench(sandbox: &Sandbox) -> Vec<Row> {
    let servers = Servers::start(sandbox);
    let logins = setting("OTPGATE_BENCH_LOGINS", 40);
    println!(
        "\nLogins one after another, each with one command, {AES}; Debian's PAM stack for sshd without \
         pam_motd, a password hashed with MD5 crypt.\n"
    );
    println!("| login | logins per second | server CPU ms per login |\n| --- | --- | --- |");
    let exchanges = [X25519, ML_KEM];
    let known = exchanges.into_iter().filter(|name| has_key_exchange(name));
    let measured: Vec<_> = known
        .map(|name| (name, compare(&servers, name, logins)))
        .collect();
    let floor = floor(&servers, logins);
    println!("| the PAM stack, the shell and two more processes alone | | {floor:.1} |");
    let row = |(name, [theirs, ours]): (&str, [f64; 2])| Row {
        work: format!("server CPU per login, {name}"),
        unit: "ms",
        ours,
        peer: "sshd",
        theirs,
        goal: Goal::AtMost(0.5),
        floor: Some(("PAM stack, shell and two more processes", floor)),
    };
    measured.into_iter().map(row).collect()
}

/// The CPU of both sides.
fn compare(servers: &Servers, key_exchange: &str, logins: u64) -> [f64; 2] {
    let both = servers.both();
    let mut sides = [Side::default(), Side::default()];
    for server in &both {
        log_in(server, key_exchange);
    }
    for _ in 0..ROUNDS {
        for (server, side) in both.iter().zip(&mut sides) {
            let (start, cpu) = (Instant::now(), server.cpu_at_rest());
            for _ in 0..logins {
                log_in(server, key_exchange);
            }
            side.per_second
                .push(logins as f64 / start.elapsed().as_secs_f64());
            side.cpu
                .push((server.cpu_at_rest() - cpu) * 1e3 / logins as f64);
        }
    }
    let mut index = 0;
    sides.map(|side| {
        let cpu = median(side.cpu);
        let (name, rate) = (both[index].name, median(side.per_second));
        index += 1;
        println!("| {name}, {key_exchange} | {rate:.1} | {cpu:.1} |");
        cpu
    })
}

/// Milliseconds of CPU.
fn floor(servers: &Servers, logins: u64) -> f64 {
    let round = |_| {
        let before = cpu_of_children();
        for _ in 0..logins {
            servers.run_pam_alone();
            succeed(Command::new("sh").args(["-c", "true"]));
            for _ in 0..2 {
                succeed(&mut Command::new("true"));
            }
        }
        (cpu_of_children() - before) * 1e3 / logins as f64
    };
    median((0..ROUNDS).map(round).collect())
}

fn log_in(server: &Server<'_>, key_exchange: &str) {
    succeed(
        server
            .client("ssh", key_exchange, AES)
            .args(["-T", "server", "true"]),
    );
}
