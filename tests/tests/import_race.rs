//! People log in while their files are imported: whatever they use up by the file is used up in the store.

use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use tests::application::{Barrier, Running};
use tests::figures;
use tests::parity::Host;
use tests::sandbox::{self, Sandbox};

const FILE: &str = "{S}\n\" DISALLOW_REUSE\n\" TOTP_AUTH\n12345678\n23456789\n";
/// Others, with so many scratch codes that reading them takes a while: hashing one takes milliseconds.
const OTHERS: usize = 30;

fn add_others(sandbox: &Sandbox, host: &Host<'_>) {
    let codes: String = (0..10)
        .map(|code| format!("{}\n", 30_000_000 + code))
        .collect();
    let text = host.fill(&format!("{{S}}\n\" TOTP_AUTH\n{codes}"));
    for number in 0..OTHERS {
        let user = sandbox.add_user(&format!("other{number}"));
        user.write(".google_authenticator", &text, 0o600);
    }
}

/// Nobody is enrolled, and alice's file is as new.
fn begin_again(host: &Host<'_>) {
    fs::remove_dir_all("/var/lib/otpgate").unwrap();
    assert!(host.otpgate(&["init"]).success());
    host.write(FILE, 0o600);
}

#[test]
fn of_logins_during_an_import_and_after_it_one_succeeds_with_one_code() {
    const ROUNDS: u64 = 8;
    const PROCESSES: usize = 4;
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        add_others(sandbox, &host);
        let (mut by_file, mut during) = (0, 0);
        for round in 0..ROUNDS {
            begin_again(&host);
            let barrier = Barrier::new();
            let login = || host.ours("", "12345678").from("192.0.2.7");
            let mut running: Vec<Running> =
                (0..PROCESSES).map(|_| login().start_at(&barrier)).collect();
            let mut import = host.command(&["import", "google", "--all"]);
            let mut import = import.stdout(Stdio::null()).spawn().unwrap();
            thread::sleep(Duration::from_millis(100 * round));
            let under_way = import.try_wait().unwrap().is_none();
            barrier.open_for(&mut running);
            let successes = running
                .into_iter()
                .map(Running::finish)
                .filter(|report| report.success());
            let successes = successes.count();
            assert!(import.wait().unwrap().success());
            during += u64::from(under_way);
            by_file += usize::from(!host.text().contains("12345678"));
            let after = usize::from(login().run().success());
            assert_eq!(
                successes + after,
                1,
                "round {round}: {successes} then {after}"
            );
            assert!(
                host.ours("", "23456789").run().success(),
                "round {round}: imported"
            );
        }
        figures::print(&format!(
            "import during logins: {ROUNDS} rounds, {during} while it ran, {by_file} used the code by the file"
        ));
        assert!(by_file > 0, "no login came before the import had finished");
    });
}
