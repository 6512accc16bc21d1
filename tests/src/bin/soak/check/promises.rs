//! What each user was told, held against what they may expect.

use super::Violation;
use super::account::{Account, Expected};
use crate::journal::{Answer, Deed, Entry, History, Sight};
use std::collections::BTreeMap;

/// What was found, and how much of what happened could be judged at all.
#[derive(Debug, Default)]
pub struct Findings {
    pub violations: Vec<Violation>,
    /// Logins that had to be let in, that had to be refused, and that might have been either.
    pub expected: [u64; 3],
}

pub fn check(history: &History) -> Findings {
    let full = full_times(&history.sights);
    let mut users: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in &history.entries {
        users.entry(entry.user()).or_default().push(entry);
    }
    let mut findings = Findings::default();
    for entries in users.values() {
        let (_, found) = life(entries, &full);
        findings.violations.extend(found.violations);
        for (sum, number) in findings.expected.iter_mut().zip(found.expected) {
            *sum += number;
        }
    }
    findings
}

/// Who has to have an account at this moment, and who must not.
pub fn enrolled(history: &History, at: u64) -> BTreeMap<String, Option<bool>> {
    let mut users: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in history.entries.iter().filter(|entry| entry.began <= at) {
        users.entry(entry.user()).or_default().push(entry);
    }
    let state = |(user, entries): (&str, Vec<&Entry>)| {
        let (account, _) = life(&entries, &[]);
        (user.to_owned(), account.is_enrolled())
    };
    users.into_iter().map(state).collect()
}

/// From when to when the disk was being filled, or full.
fn full_times(sights: &[(u64, Sight)]) -> Vec<(u64, u64)> {
    let mut times = Vec::new();
    for (at, sight) in sights {
        match sight {
            Sight::Disk { full: true } => times.push((*at, u64::MAX)),
            Sight::Disk { full: false } => {
                if let Some((_, end)) = times.last_mut() {
                    *end = *at;
                }
            }
            _ => {}
        }
    }
    times
}

/// One user's life, and what was wrong in it.
fn life(entries: &[&Entry], full: &[(u64, u64)]) -> (Account, Findings) {
    let mut account = Account::default();
    let mut found = Findings::default();
    for group in groups(entries) {
        let first = group[0];
        match &first.deed {
            Deed::Change { change, .. } => {
                let excused = full
                    .iter()
                    .any(|(from, to)| first.began <= *to && first.ended >= *from);
                if matches!(first.answer, Answer::NotDone(_)) && !excused {
                    found
                        .violations
                        .push(Violation::ChangeFailed(first.clone()));
                }
                account.change(*change, &first.answer);
            }
            Deed::Login(_) => {
                found.violations.extend(judge(&account, &group));
                for login in group.iter().filter_map(|entry| entry.login()) {
                    let kind = match account.expects(login) {
                        Expected::In => 0,
                        Expected::Out(_) => 1,
                        Expected::Either => 2,
                    };
                    found.expected[kind] += 1;
                }
                let (winners, others): (Vec<&Entry>, Vec<&Entry>) = group
                    .iter()
                    .partition(|entry| entry.answer == Answer::Accepted);
                for entry in winners.iter().chain(&others) {
                    if let Some(login) = entry.login() {
                        account.follow(login, &entry.answer);
                    }
                }
            }
        }
    }
    (account, found)
}

/// The owner's logins that ran side by side; everything else by itself. Guesses from elsewhere change
/// nothing for the owner, which is what they are there to show.
fn groups<'a>(entries: &[&'a Entry]) -> Vec<Vec<&'a Entry>> {
    let mut groups: Vec<Vec<&Entry>> = Vec::new();
    let by_owner = |entry: &Entry| entry.login().is_some_and(|login| login.by_owner);
    let mut open: Option<usize> = None;
    for entry in entries {
        let joins = open.filter(|group| {
            by_owner(entry) && groups[*group].iter().any(|other| other.ended > entry.began)
        });
        match joins {
            Some(group) => groups[group].push(entry),
            None => {
                groups.push(vec![entry]);
                if by_owner(entry) {
                    open = Some(groups.len() - 1);
                }
            }
        }
    }
    groups
}

fn judge(account: &Account, group: &[&Entry]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for entry in group {
        let Some(login) = entry.login() else { continue };
        match (&entry.answer, account.expects(login)) {
            (Answer::Failed(_), _) if !account.may_be_broken() => {
                violations.push(Violation::Broken((*entry).clone()));
            }
            (Answer::Accepted, Expected::Out(why)) => {
                violations.push(Violation::LetIn((*entry).clone(), why));
            }
            (Answer::Refused, Expected::In) if group.len() == 1 => {
                let violation = match account.is_disturbed() {
                    true => Violation::LockedOut,
                    false => Violation::RefusedUndisturbed,
                };
                violations.push(violation((*entry).clone()));
            }
            _ => {}
        }
    }
    let all_right = group.iter().all(|entry| {
        let login = entry.login();
        login.is_some_and(|login| account.expects(login) == Expected::In)
    });
    let nobody = group.iter().all(|entry| entry.answer == Answer::Refused);
    if group.len() > 1 && all_right && nobody {
        violations.push(Violation::NobodyWon(group[0].clone()));
    }
    violations
}

#[cfg(test)]
mod tests;
