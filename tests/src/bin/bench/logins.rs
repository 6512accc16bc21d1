//! What a login costs the server: connection, key exchange, password, one command, end.

use std::time::Instant;

use tests::sandbox::Sandbox;

use crate::figures::{median, setting};
use crate::report::{Goal, Row};
use crate::servers::{AES, ML_KEM, Server, Servers, X25519, has_key_exchange, succeed};

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
    let row = |(name, [theirs, ours]): (&str, [f64; 2])| Row {
        work: format!("server CPU per login, {name}"),
        unit: "ms",
        ours,
        peer: "sshd",
        theirs,
        goal: Goal::AtMost(0.5),
        floor: None,
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

fn log_in(server: &Server<'_>, key_exchange: &str) {
    succeed(
        server
            .client("ssh", key_exchange, AES)
            .args(["-T", "server", "true"]),
    );
}
