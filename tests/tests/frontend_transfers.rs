//! Much data, many sessions: nothing is lost, with new keys in between too.

use std::path::Path;
use tests::clients::openssh::{Way, script, sftp, start};
use tests::files;
use tests::host::Host;
use tests::processes::wait_until;
use tests::sandbox::{self, Sandbox};

const MUCH: u64 = 100_000_000;

#[test]
fn sftp_carries_100_mb_there_and_back() {
    sandbox::run(|sandbox| {
        let host = Host::start(sandbox, "");
        let [sent, returned] = files(sandbox, MUCH);
        let batch = format!("put {sent} remote\nget remote {returned}\n");
        let run = sftp(&host.login(), Way::Askpass, &batch);
        assert!(run.success, "{run:?}");
        equal(&[
            &sent,
            host.bob.home.join("remote").to_str().unwrap(),
            &returned,
        ]);
    });
}

#[test]
fn a_command_carries_100_mb_both_ways_at_once() {
    carries(MUCH, "", "");
}

#[test]
fn new_keys_at_the_clients_wish_do_not_disturb_a_transfer() {
    carries(MUCH / 2, "-oRekeyLimit=1M", "");
}

#[test]
fn new_keys_at_the_servers_wish_do_not_disturb_a_transfer() {
    let run = carries(MUCH / 2, "-v", "rekey_limit = \"1M\"");
    let exchanges = run.matches("SSH2_MSG_NEWKEYS received").count();
    assert!(exchanges > 20, "keys were changed {exchanges} times");
}

/// The client's cipher list is made to end in the one that is under test.
#[test]
fn every_cipher_carries_data() {
    for cipher in [
        "chacha20-poly1305@openssh.com",
        "aes256-gcm@openssh.com",
        "aes256-ctr",
    ] {
        carries(
            2_000_000,
            &format!("-oCiphers={cipher} -oRekeyLimit=256K"),
            "",
        );
    }
}

/// What ssh says of it.
fn carries(bytes: u64, options: &str, settings: &str) -> String {
    sandbox::run(|sandbox| {
        let host = Host::start(sandbox, settings);
        let [sent, returned] = files(sandbox, bytes);
        let text = format!("ssh -F $CONFIG {options} server cat < {sent} > {returned}");
        let run = script(&host.login(), &text);
        assert!(run.success, "{:?}", run.stderr.lines().last());
        equal(&[&sent, &returned]);
        run.stderr
    })
}

fn files(sandbox: &Sandbox, bytes: u64) -> [String; 2] {
    let [sent, returned] = ["sent", "returned"].map(|name| sandbox.path(name));
    files::write_random(&sent, bytes);
    [sent, returned].map(|path| path.to_str().unwrap().to_owned())
}

fn equal(paths: &[&str]) {
    let paths: Vec<&Path> = paths.iter().map(Path::new).collect();
    assert!(files::are_equal(&paths), "{paths:?} differ");
}

#[test]
fn fifty_sessions_live_at_once_and_end_without_a_trace() {
    sandbox::run(|sandbox| {
        let host = Host::start(sandbox, "");
        let before = host.server.descriptors();
        let logins: Vec<_> = (0..50).map(|_| host.login()).collect();
        let text = "exec ssh -F $CONFIG server 'echo up; read line; echo got $line' < go";
        let mut clients: Vec<_> = logins
            .iter()
            .map(|login| start(login, &format!("mkfifo go; sleep 1000 > go & {text}")))
            .collect();
        for client in &mut clients {
            client.wait_for("up");
        }
        assert!(clients.iter_mut().all(|client| client.lives()));
        drop(clients);
        wait_until("the end of all sessions", || {
            host.server.processes().is_empty()
        });
        wait_until("the last descriptor", || {
            host.server.descriptors() == before
        });
    });
}
