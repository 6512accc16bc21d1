//! Parity with Debian's pam_google_authenticator.so: the same logins by both modules, compared in all that
//! can be seen, and byte for byte in the file.
//!
//! Where ours is deliberately different, a second table says why, and what is safe about it. A difference
//! that is none any more fails too.

mod parity_google_authenticator_cases;

use parity_google_authenticator_cases::differences::DIFFERENCES;
use parity_google_authenticator_cases::{PASS_MODES, SITUATIONS, files, lines};
use tests::figures;
use tests::parity::{Case, Host, Seen, Which};
use tests::sandbox;

#[test]
fn both_modules_do_the_same() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        let cases: Vec<(String, Case)> = all_cases().collect();
        let differing: Vec<String> = cases
            .iter()
            .filter_map(|(name, case)| difference(&host, name, case))
            .collect();
        figures::print(&format!(
            "parity with pam_google_authenticator.so: {} cases, {} differ",
            cases.len(),
            differing.len()
        ));
        assert!(cases.len() >= 150);
        assert!(differing.is_empty(), "{}", differing.join("\n"));
    });
}

#[test]
fn where_they_differ_ours_is_the_safe_one() {
    sandbox::run(|sandbox| {
        let host = Host::new(sandbox);
        for (case, why, safe) in DIFFERENCES {
            let (peer, ours) = (host.run(Which::Peer, case), host.run(Which::Ours, case));
            let report = format!("{}: {why}\npeer: {peer:?}\nours: {ours:?}", case.name);
            assert_ne!(peer, ours, "no difference any more: {report}");
            assert!(safe(&host, &ours), "{report}");
        }
        figures::print(&format!(
            "deliberate differences: {} cases",
            DIFFERENCES.len()
        ));
    });
}

/// Every pass mode in every situation, then everything else.
fn all_cases() -> impl Iterator<Item = (String, Case)> {
    let modes = PASS_MODES.iter().flat_map(|(mode, options)| {
        SITUATIONS.iter().map(move |situation| {
            let case = Case {
                options,
                ..*situation
            };
            (format!("{mode}: {}", situation.name), case)
        })
    });
    let others = files::CASES.iter().chain(lines::CASES);
    modes.chain(others.map(|case| (case.name.to_owned(), *case)))
}

fn difference(host: &Host<'_>, name: &str, case: &Case) -> Option<String> {
    let peer: Seen = host.run(Which::Peer, case);
    let ours = host.run(Which::Ours, case);
    (peer != ours).then(|| format!("{name}\n peer: {peer:?}\n ours: {ours:?}"))
}
