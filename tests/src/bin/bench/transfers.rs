//! What a file costs by OpenSSH's sftp, from memory to memory.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use tests::sandbox::Sandbox;

use crate::figures::{median, setting};
use crate::report::{Goal, Row};
use crate::servers::{AES, CHACHA, Server, Servers, X25519, succeed};

/// Rounds; the servers take turns.
const ROUNDS: usize = 5;
const MIB: usize = 1024 * 1024;
const WAYS: [&str; 2] = ["put", "get"];
const LOCAL: &str = "local";
const REMOTE: &str = "remote";
const BATCH: &str = "batch";

/// Of one direction on one server.
#[derive(Default)]
struct Side {
    /// MiB/s.
    speeds: Vec<f64>,
    /// CPU seconds per GiB.
    cpu: Vec<f64>,
}

pub fn bench(sandbox: &Sandbox) -> Vec<Row> {
    let servers = Servers::start(sandbox);
    let size = setting("OTPGATE_BENCH_MIB", 1024);
    write_file(&servers.directory().join(LOCAL), size);
    println!(
        "\nOne file of {size} MiB by sftp, login included, between files in memory, {X25519}.\n"
    );
    println!("| transfer | MiB/s | server CPU s per GiB |\n| --- | --- | --- |");
    let measured: Vec<_> = [AES, CHACHA]
        .into_iter()
        .flat_map(|cipher| WAYS.map(|way| (way, cipher)))
        .map(|(way, cipher)| (way, cipher, compare(&servers, way, cipher, size)))
        .collect();
    let rows = |(way, cipher, [theirs, ours]): (&str, &str, [(f64, f64); 2])| {
        let row = |unit, ours, theirs, goal| Row {
            work: format!("sftp {way}, {cipher}"),
            unit,
            ours,
            peer: "sshd",
            theirs,
            goal,
            floor: None,
        };
        [
            row("MiB/s", ours.0, theirs.0, Goal::AtLeast(1.0)),
            row("server CPU s per GiB", ours.1, theirs.1, Goal::AtMost(1.0)),
        ]
    };
    measured.into_iter().flat_map(rows).collect()
}

/// Speed and CPU of both sides.
fn compare(servers: &Servers, way: &str, cipher: &str, size: u64) -> [(f64, f64); 2] {
    let both = servers.both();
    let mut sides = [Side::default(), Side::default()];
    for _ in 0..ROUNDS {
        for (server, side) in both.iter().zip(&mut sides) {
            let (start, cpu) = (Instant::now(), server.cpu_at_rest());
            transfer(server, servers.directory(), way, cipher);
            side.speeds
                .push(size as f64 / start.elapsed().as_secs_f64());
            side.cpu
                .push((server.cpu_at_rest() - cpu) * 1024.0 / size as f64);
        }
    }
    let mut index = 0;
    sides.map(|side| {
        let (name, speed, cpu) = (both[index].name, median(side.speeds), median(side.cpu));
        index += 1;
        println!("| {name}, {way}, {cipher} | {speed:.0} | {cpu:.2} |");
        (speed, cpu)
    })
}

fn transfer(server: &Server<'_>, directory: &Path, way: &str, cipher: &str) {
    let (from, to) = (directory.join(LOCAL), directory.join(REMOTE));
    let _ = fs::remove_file(&to);
    let command = format!("{way} {} {}\n", from.display(), to.display());
    fs::write(directory.join(BATCH), command).unwrap();
    let mut client = server.client("sftp", X25519, cipher);
    // -b alone would forbid the prompt.
    client.args(["-oBatchMode=no", "-b", BATCH, "server"]);
    succeed(&mut client);
    let length = |path| fs::metadata(path).unwrap().len();
    assert_eq!(length(to), length(from));
}

fn write_file(path: &Path, size: u64) {
    let mut file = File::create(path).unwrap();
    for _ in 0..size {
        file.write_all(&[b'x'; MIB]).unwrap();
    }
}
