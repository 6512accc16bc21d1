//! Promise 6: guessing is hopeless, and guessing for somebody is no weapon against them.
//!
//! Fails when failures are counted for the account alone (google-authenticator: whoever guesses
//! keeps the owner out), or for each address alone (a botnet has many).

use std::cell::Cell;
use tests::application::{Login, Report};
use tests::clock::Clock;
use tests::installation::Installation;
use tests::oath;

const HOME: &str = "192.0.2.7";
const NOW: u64 = 2_000_000_010;
/// Six failures from anywhere lock, two more are kept for known sources; no waits on the way there.
const SOON_LOCKED: &str =
    "[throttle]\nfree_failures = 20\nmax_failures = 8\nknown_source_allowance = 2\n";

/// With the numbers as shipped: an hour between guesses, so that no wait stands in the way.
#[test]
fn a_flood_evaluates_ninety_guesses_and_leaves_the_owner_in() {
    let alice = Alice::with_settings("");
    let hour = Cell::new(0);
    let later = |login: Login| {
        hour.set(hour.get() + 1);
        login.at(Clock::StartingAt(NOW + 3600 * hour.get()))
    };
    assert!(later(alice.from(HOME, &alice.code(0))).run().success());
    for guess in 0..110 {
        let source = format!("203.0.113.{guess}");
        refused(&later(alice.from(&source, "000000")).run());
    }
    assert_eq!(alice.failures(), 90, "the rest is not evaluated");
    let elsewhere = later(alice.from("203.0.113.9", &alice.code(1))).run();
    refused(&elsewhere);
    let home = later(alice.from(HOME, &alice.code(1))).run();
    assert!(home.success(), "{home:?}");
    // Ten more are kept for the usual address, and that is all there ever is.
    for _ in 0..15 {
        refused(&later(alice.from(HOME, "000000")).run());
    }
    assert_eq!(alice.failures(), 100, "NIST SP 800-63B section 5.2.2");
    refused(&later(alice.from(HOME, &alice.code(2))).run());
    alice.installation.must(&["unlock", "alice"]);
    assert!(
        later(alice.from("203.0.113.9", &alice.code(2)))
            .run()
            .success()
    );
    assert!(later(alice.from(HOME, &alice.code(3))).run().success());
}

#[test]
fn ipv6_counts_by_network() {
    let alice = Alice::with_settings(SOON_LOCKED);
    assert!(
        alice
            .from("2001:db8:1:2::7", &alice.code(0))
            .run()
            .success()
    );
    alice.lock_from("2001:db8:bad::1");
    refused(&alice.from("2001:db8:1:3::7", &alice.code(1)).run());
    let neighbour = alice.from("2001:db8:1:2:ffff::9", &alice.code(1)).run();
    assert!(neighbour.success(), "the same /64: {neighbour:?}");
    let known = &alice.installation.show("alice")["throttle"]["known_sources"];
    assert_eq!(known.as_array().unwrap().len(), 1, "{known}");
}

#[test]
fn an_ipv4_address_written_as_ipv6_is_the_same_address() {
    let alice = Alice::with_settings(SOON_LOCKED);
    assert!(alice.from(HOME, &alice.code(0)).run().success());
    alice.lock_from("203.0.113.9");
    let mapped = alice.from("::ffff:192.0.2.7", &alice.code(1)).run();
    assert!(mapped.success(), "{mapped:?}");
}

/// A host name comes from the DNS of whoever owns the address.
#[test]
fn a_host_name_never_becomes_known() {
    let alice = Alice::with_settings(SOON_LOCKED);
    assert!(alice.from("home.example", &alice.code(0)).run().success());
    alice.lock_from("203.0.113.9");
    refused(&alice.from("home.example", &alice.code(1)).run());
    // Nor does a login that says nothing of where it comes from.
    refused(
        &alice
            .installation
            .login("alice")
            .answer(&alice.code(1))
            .run(),
    );
}

/// sshd with `UseDNS yes` puts a host name into PAM_RHOST, and the address into SSH_CONNECTION.
#[test]
fn behind_a_host_name_the_address_of_the_connection_counts() {
    let alice = Alice::with_settings(SOON_LOCKED);
    assert!(alice.from(HOME, &alice.code(0)).run().success());
    alice.lock_from("203.0.113.9");
    let connection = format!("SSH_CONNECTION={HOME} 51022 192.0.2.1 22");
    let login = alice.from("home.example", &alice.code(1));
    let by_name = login.with(["--env", &connection]).run();
    assert!(by_name.success(), "{by_name:?}");
}

#[test]
fn nobody_elses_failures_count() {
    let alice = Alice::with_settings(SOON_LOCKED);
    let bob = alice.installation.enroll("bob", &["--hotp"]).secret;
    alice.lock_from("203.0.113.9");
    let login = alice.installation.login("bob").from("203.0.113.9");
    assert!(login.answer(&oath::hotp(&bob, 0, 6)).run().success());
}

struct Alice {
    installation: Installation,
    secret: String,
}

impl Alice {
    fn with_settings(settings: &str) -> Self {
        let installation = Installation::with_settings(settings);
        let secret = installation.enroll("alice", &["--hotp"]).secret;
        Self {
            installation,
            secret,
        }
    }

    fn code(&self, counter: u64) -> String {
        oath::hotp(&self.secret, counter, 6)
    }

    fn from(&self, source: &str, answer: &str) -> Login {
        self.installation.login("alice").from(source).answer(answer)
    }

    fn failures(&self) -> u64 {
        self.installation.failures("alice")
    }

    /// With [`SOON_LOCKED`].
    fn lock_from(&self, source: &str) {
        for _ in 0..7 {
            refused(&self.from(source, "000000").run());
        }
        assert_eq!(self.failures(), 6);
    }
}

fn refused(report: &Report) {
    assert_eq!(report.code(), "PAM_AUTH_ERR", "{report:?}");
}
