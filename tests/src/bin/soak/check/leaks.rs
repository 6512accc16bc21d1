//! What is left when everybody rests: files, descriptors, threads, processes, memory.

use super::Violation;
use super::promises;
use crate::journal::{History, Sight};
use std::collections::{BTreeMap, BTreeSet};

/// What the heap of a process that serves logins may grow by after the first round. It settles within a few
/// pages; some ten thousand logins of an hour that lost 30 bytes each would be more than this.
const GROWTH_KIB: u64 = 256;

pub fn check(history: &History) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut first: BTreeMap<&str, &Sight> = BTreeMap::new();
    for (at, sight) in &history.sights {
        match sight {
            Sight::Disk { .. } => {}
            Sight::Files {
                accounts,
                states,
                others,
            } => violations.extend(files(history, *at, (accounts, states, others))),
            Sight::Process { name, .. } => {
                let first = first.entry(name).or_insert(sight);
                violations.extend(process(first, sight));
            }
        }
    }
    violations
}

type Names<'a> = (&'a [String], &'a [String], &'a [String]);

/// Two files for everybody who is enrolled, and nothing else.
fn files(history: &History, at: u64, (accounts, states, others): Names<'_>) -> Vec<Violation> {
    let said = |what: String| Violation::Files(format!("at {at}: {what}"));
    let expected = promises::enrolled(history, at);
    let names = |wanted: &[Option<bool>], end: &str| -> BTreeSet<String> {
        let chosen = expected.iter().filter(|(_, state)| wanted.contains(state));
        chosen.map(|(user, _)| format!("{user}{end}")).collect()
    };
    let mut violations = Vec::new();
    for (found, end) in [(accounts, ".toml"), (states, "")] {
        let found: BTreeSet<String> = found.iter().cloned().collect();
        let may = names(&[Some(true), None], end);
        let must = names(&[Some(true)], end);
        violations.extend(
            found
                .difference(&may)
                .map(|name| said(format!("{name} was left behind"))),
        );
        violations.extend(
            must.difference(&found)
                .map(|name| said(format!("{name} is gone"))),
        );
    }
    violations.extend(
        others
            .iter()
            .map(|name| said(format!("{name} was left behind"))),
    );
    violations
}

fn process(before: &Sight, now: &Sight) -> Option<Violation> {
    let (
        Sight::Process {
            descriptors: descriptors_before,
            threads: threads_before,
            kib: kib_before,
            ..
        },
        Sight::Process {
            descriptors,
            threads,
            children,
            kib,
            ..
        },
    ) = (before, now)
    else {
        return None;
    };
    let grown = descriptors > descriptors_before
        || threads > threads_before
        || *children > 0
        || *kib > kib_before + GROWTH_KIB;
    grown.then(|| {
        Violation::Leak(format!(
            "a process holds more than it did: {before:?} {now:?}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::super::stage::Stage;
    use super::*;
    use crate::journal::{Answer, Change};

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn with_files(stage: &mut Stage, accounts: &[&str], states: &[&str], others: &[&str]) -> usize {
        let (accounts, states, others) = (names(accounts), names(states), names(others));
        stage.sight(Sight::Files {
            accounts,
            states,
            others,
        });
        check(&stage.history()).len()
    }

    #[test]
    fn files_that_are_missing_or_left_are_seen() {
        let whole = |stage: &mut Stage| with_files(stage, &["alice.toml"], &["alice"], &[]);
        assert_eq!(whole(&mut Stage::hotp()), 0);
        let temporary = ["alice", ".new"];
        let stage = &mut Stage::hotp();
        assert_eq!(with_files(stage, &["alice.toml"], &temporary, &[]), 1);
        let stage = &mut Stage::hotp();
        assert_eq!(with_files(stage, &["alice.toml"], &[], &[]), 1);
        let stage = &mut Stage::hotp();
        let left = ["~/.google_authenticator~"];
        assert_eq!(with_files(stage, &["alice.toml"], &["alice"], &left), 1);
        let mut removed = Stage::hotp();
        removed.change(Change::Remove, Answer::Done);
        assert_eq!(whole(&mut removed), 2);
        // Cut short: there or not.
        let mut doubtful = Stage::hotp();
        doubtful.change(Change::Remove, Answer::Killed);
        assert_eq!(whole(&mut doubtful), 0);
        assert_eq!(with_files(&mut doubtful, &[], &[], &[]), 0);
    }

    #[test]
    fn a_process_that_holds_more_than_before_is_seen() {
        let sight = |descriptors, threads, children, kib| Sight::Process {
            name: "host".into(),
            logins: 1,
            descriptors,
            threads,
            children,
            kib,
        };
        for (later, leaks) in [
            (sight(5, 1, 0, 1200), 0),
            (sight(4, 1, 0, 900), 0),
            (sight(6, 1, 0, 1000), 1),
            (sight(5, 2, 0, 1000), 1),
            (sight(5, 1, 1, 1000), 1),
            (sight(5, 1, 0, 1300), 1),
        ] {
            let mut stage = Stage::hotp();
            stage.sight(sight(5, 1, 0, 1000));
            stage.sight(later);
            assert_eq!(check(&stage.history()).len(), leaks);
        }
    }
}
