//! One code, one login; and what was acknowledged is not forgotten.
//!
//! Both are judged by what was told, without any idea of accounts or clocks: a model that is wrong must not be
//! able to hide them.

use super::Violation;
use crate::journal::{Answer, Change, Deed, Entry, Kind, Typed};
use std::collections::HashMap;

pub fn check(entries: &[Entry]) -> Vec<Violation> {
    let mut violations = twice(entries);
    violations.extend(reopened(entries));
    violations
}

fn twice(entries: &[Entry]) -> Vec<Violation> {
    let mut first: HashMap<(&str, Typed), &Entry> = HashMap::new();
    let mut violations = Vec::new();
    for entry in entries.iter().filter(|entry| is_in(entry)) {
        let Some(login) = entry.login().filter(|login| login.typed != Typed::Wrong) else {
            continue;
        };
        let code = (login.user.as_str(), login.typed);
        if let Some(earlier) = first.insert(code, entry) {
            violations.push(Violation::AcceptedTwice(earlier.clone(), entry.clone()));
        }
    }
    violations
}

/// After a success was told, no lower code of the same device is accepted, unless an administrator has
/// moved the watermark in between. Users' own files remember codes, and have no watermark.
fn reopened(entries: &[Entry]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut devices: HashMap<(&str, u32), Vec<&Entry>> = HashMap::new();
    let mut moved: HashMap<&str, Vec<&Entry>> = HashMap::new();
    for entry in entries {
        match &entry.deed {
            Deed::Login(login) if is_in(entry) => {
                if let Typed::Code { device, .. } = login.typed {
                    devices
                        .entry((&login.user, device))
                        .or_default()
                        .push(entry);
                }
            }
            Deed::Change {
                user,
                change:
                    Change::Resync { .. }
                    | Change::Enrol {
                        kind: Kind::File, ..
                    },
            } => moved.entry(user).or_default().push(entry),
            _ => {}
        }
    }
    for ((user, _), accepted) in devices {
        let moved = moved.get(user).map_or(&[][..], Vec::as_slice);
        if moved.iter().any(|entry| is_file(entry)) {
            continue;
        }
        violations.extend(falls(&accepted, moved));
    }
    violations
}

/// In the order of their beginnings: the highest of those that had ended before each one began.
fn falls(accepted: &[&Entry], moved: &[&Entry]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut ended: Vec<&Entry> = accepted.to_vec();
    ended.sort_by_key(|entry| entry.ended);
    let mut ended = ended.into_iter().peekable();
    let mut highest: Option<&Entry> = None;
    for entry in accepted {
        while let Some(before) = ended.next_if(|before| before.ended < entry.began) {
            let between = |moved: &&&Entry| {
                highest.is_some_and(|highest| moved.ended > highest.ended)
                    && moved.began < before.began
            };
            let higher = highest.is_none_or(|highest| factor(before) > factor(highest));
            if higher || moved.iter().any(|entry| between(&entry)) {
                highest = Some(before);
            }
        }
        if let Some(highest) = highest {
            let between = |moved: &&Entry| moved.ended > highest.ended && moved.began < entry.began;
            if factor(entry) < factor(highest) && !moved.iter().any(between) {
                violations.push(Violation::Reopened((*entry).clone(), highest.clone()));
            }
        }
    }
    violations
}

fn is_in(entry: &Entry) -> bool {
    entry.answer == Answer::Accepted
}

fn is_file(entry: &Entry) -> bool {
    matches!(
        entry.deed,
        Deed::Change {
            change: Change::Enrol {
                kind: Kind::File,
                ..
            },
            ..
        }
    )
}

fn factor(entry: &Entry) -> u64 {
    match entry.login().map(|login| login.typed) {
        Some(Typed::Code { factor, .. }) => factor,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::Stage;
    use super::*;

    #[test]
    fn a_code_that_lets_two_in_is_seen_even_if_one_of_them_was_killed_after_it_was_told() {
        let mut stage = Stage::hotp();
        let one = stage.login(7, Answer::Accepted);
        let other = stage.login(7, Answer::Accepted);
        assert_eq!(
            check(&stage.entries()),
            [Violation::AcceptedTwice(one, other)]
        );
    }

    #[test]
    fn a_recovery_code_that_lets_two_in_is_seen() {
        let mut stage = Stage::hotp();
        let typed = Typed::Recovery { set: 1, number: 3 };
        let one = stage.typed(typed, Answer::Accepted);
        let other = stage.typed(typed, Answer::Accepted);
        assert_eq!(
            check(&stage.entries()),
            [Violation::AcceptedTwice(one, other)]
        );
    }

    #[test]
    fn a_watermark_that_falls_is_seen() {
        let mut stage = Stage::hotp();
        let high = stage.login(7, Answer::Accepted);
        let low = stage.login(6, Answer::Accepted);
        assert_eq!(check(&stage.entries()), [Violation::Reopened(low, high)]);
    }

    #[test]
    fn it_may_fall_by_an_administrator_or_with_a_new_device_or_in_a_race() {
        let mut stage = Stage::hotp();
        stage.login(7, Answer::Accepted);
        stage.change(Change::Resync { factor: 2 }, Answer::Done);
        stage.login(3, Answer::Accepted);
        stage.login(4, Answer::Accepted);
        stage.enrol(2);
        stage.login(0, Answer::Accepted);
        stage.together(&[(5, Answer::Accepted), (4, Answer::Accepted)]);
        stage.login(6, Answer::Accepted);
        assert_eq!(check(&stage.entries()), []);
    }

    #[test]
    fn refused_and_wrong_codes_are_no_business_of_this() {
        let mut stage = Stage::hotp();
        stage.login(7, Answer::Accepted);
        stage.login(7, Answer::Refused);
        stage.login(8, Answer::Killed);
        stage.login(8, Answer::Accepted);
        stage.typed(Typed::Wrong, Answer::Refused);
        assert_eq!(check(&stage.entries()), []);
    }
}
