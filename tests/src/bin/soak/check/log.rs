//! The log, which was written by the module and not by the actors: it tells of every login that was let in, and
//! complains of nothing that was in order.

use super::Violation;
use crate::journal::{Answer, Change, Deed, Entry};
use std::collections::{BTreeMap, BTreeSet};

pub fn check(entries: &[Entry], log: &[String]) -> Vec<Violation> {
    let mut violations = accepted(entries, log);
    violations.extend(complaints(entries, log));
    violations.extend(hung_up(entries, log));
    violations
}

/// What a module says of an application that went away while it asked.
const HUNG_UP: &str = "reason=conversation_failed";

/// As many lines as logins; those that were killed may have got as far as the line, or not.
fn accepted(entries: &[Entry], log: &[String]) -> Vec<Violation> {
    let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
    for line in log.iter().filter(|line| line.contains("result=accepted")) {
        *lines.entry(field(line, "user").unwrap_or("")).or_default() += 1;
    }
    let mut told: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.login().is_some()) {
        let (accepted, killed) = told.entry(entry.user()).or_default();
        *accepted += usize::from(entry.answer == Answer::Accepted);
        *killed += usize::from(entry.answer == Answer::Killed);
    }
    let users: BTreeSet<&str> = lines.keys().chain(told.keys()).copied().collect();
    let judge = |user: &str| {
        let lines = lines.get(user).copied().unwrap_or_default();
        let (accepted, killed) = told.get(user).copied().unwrap_or_default();
        let agrees = (accepted..=accepted + killed).contains(&lines);
        (!agrees).then(|| {
            Violation::Log(format!(
                "the log lets {user} in {lines} times, and {accepted} logins were told so ({killed} were killed)"
            ))
        })
    };
    users.into_iter().filter_map(judge).collect()
}

/// Errors are for those whose state was damaged on purpose.
fn complaints(entries: &[Entry], log: &[String]) -> Vec<Violation> {
    let is_damage = |entry: &&Entry| {
        let damage = Change::Damage;
        matches!(&entry.deed, Deed::Change { change, .. } if *change == damage)
    };
    let damaged: BTreeSet<&str> = entries
        .iter()
        .filter(is_damage)
        .map(|entry| entry.user())
        .collect();
    let of_it = |line: &str, user: &str| line.contains(&format!("state/{user}: "));
    let excused =
        |line: &str| line.contains(HUNG_UP) || damaged.iter().any(|user| of_it(line, user));
    // What an administrator was told of a change stands in the journal too, and is judged there.
    let of_a_login = |line: &&String| line.contains("result=error") && !line.contains("change=");
    let errors = log.iter().filter(of_a_login);
    errors
        .filter(|line| !excused(line))
        .map(|line| Violation::Log(format!("the log complains: {line}")))
        .collect()
}

/// A server's process that was killed may leave another in the middle of a question: one for each kill.
fn hung_up(entries: &[Entry], log: &[String]) -> Vec<Violation> {
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.login().is_some()) {
        *left.entry(entry.user()).or_default() += usize::from(entry.answer == Answer::Killed);
    }
    let mut violations = Vec::new();
    for line in log.iter().filter(|line| line.contains(HUNG_UP)) {
        let left = left.entry(field(line, "user").unwrap_or("")).or_default();
        match left.checked_sub(1) {
            Some(fewer) => *left = fewer,
            None => violations.push(Violation::Log(format!("nobody was killed: {line}"))),
        }
    }
    violations
}

fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let words = line.split(' ');
    let mut pairs = words.filter_map(|word| word.split_once('='));
    pairs.find_map(|(key, value)| (key == name).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::super::stage::Stage;
    use super::*;

    const LINE: &str =
        "<86>Jan  1 00:00:00 pam_app: otpgate: result=accepted user=alice source=192.0.2.7";
    const ERROR: &str = "otpgate: result=error user=unknown source=192.0.2.7 service=s reason=store \
                         detail=\"/x/state/alice: damaged: neither slot is valid\"";

    #[test]
    fn a_line_too_few_and_one_too_many_are_seen() {
        let mut stage = Stage::hotp();
        stage.login(0, Answer::Accepted);
        stage.login(1, Answer::Killed);
        for (lines, violations) in [(0, 1), (1, 0), (2, 0), (3, 1)] {
            let log = vec![LINE.to_owned(); lines];
            assert_eq!(check(&stage.entries(), &log).len(), violations, "{lines}");
        }
    }

    #[test]
    fn a_change_that_was_refused_is_no_complaint() {
        let line = "otpgate: change=enable user=unknown result=error by=root uid=0";
        assert_eq!(check(&[], &[line.to_owned()]), []);
        let line = line.replace("change=enable ", "");
        assert_eq!(check(&[], &[line]).len(), 1);
    }

    #[test]
    fn somebody_of_whom_no_actor_knows_is_seen() {
        let line = LINE.replace("alice", "mallory");
        assert_eq!(check(&[], &[line]).len(), 1);
    }

    #[test]
    fn a_dialogue_that_broke_off_without_a_kill_is_seen() {
        let line = || "otpgate: result=error user=alice reason=conversation_failed".to_owned();
        let mut stage = Stage::hotp();
        stage.login(0, Answer::Killed);
        assert_eq!(check(&stage.entries(), &[line()]), []);
        assert_eq!(check(&stage.entries(), &[line(), line()]).len(), 1);
    }

    #[test]
    fn a_complaint_without_damage_is_seen() {
        let mut stage = Stage::hotp();
        assert_eq!(check(&stage.entries(), &[ERROR.into()]).len(), 1);
        stage.change(Change::Damage, Answer::Done);
        assert_eq!(check(&stage.entries(), &[ERROR.into()]).len(), 0);
        let other = ERROR.replace("alice", "bob");
        assert_eq!(check(&stage.entries(), &[other]).len(), 1);
    }
}
