//! What a soak did, in numbers.

use crate::journal::{Answer, Change, Deed, History, Sight, Typed};
use std::collections::BTreeMap;

/// A line for each number.
pub fn of(history: &History) -> Vec<String> {
    let mut numbers: BTreeMap<String, u64> = BTreeMap::new();
    let mut count = |what: String| *numbers.entry(what).or_default() += 1;
    for entry in &history.entries {
        match &entry.deed {
            Deed::Login(login) => {
                let typed = match login.typed {
                    Typed::Code { .. } => "a device's code",
                    Typed::Recovery { .. } => "a recovery code",
                    Typed::Wrong if login.by_owner => "a wrong code",
                    Typed::Wrong => "a guess from elsewhere",
                };
                let came = match &entry.answer {
                    Answer::Failed(code) => code.as_str(),
                    answer => &format!("{answer:?}").to_lowercase(),
                };
                count(format!("logins with {typed}, {came}"));
            }
            Deed::Change { change, .. } => {
                let (name, came) = (kind(*change), came(&entry.answer));
                count(format!("administration: {name}, {came}"));
            }
        }
    }
    let full = Sight::Disk { full: true };
    let filled = history.sights.iter().filter(|(_, sight)| *sight == full);
    let mut lines: Vec<String> = numbers
        .into_iter()
        .map(|(what, number)| format!("{number:>8}  {what}"))
        .collect();
    lines.push(format!("{:>8}  times the disk was filled", filled.count()));
    lines.extend(last_samples(history));
    lines
}

fn kind(change: Change) -> &'static str {
    match change {
        Change::Enrol { .. } => "enrol",
        Change::Remove => "remove",
        Change::Disable => "disable",
        Change::Enable => "enable",
        Change::Unlock => "unlock",
        Change::Recovery { .. } => "new recovery codes",
        Change::Resync { .. } => "resync",
        Change::Damage => "(damage)",
        Change::Repair => "repair",
    }
}

fn came(answer: &Answer) -> &'static str {
    match answer {
        Answer::Done => "done",
        Answer::NotDone(_) => "refused for want of room",
        _ => "killed",
    }
}

/// The first and the last of each process that lives long.
fn last_samples(history: &History) -> Vec<String> {
    let mut samples: BTreeMap<&str, [&Sight; 2]> = BTreeMap::new();
    for (_, sight) in &history.sights {
        if let Sight::Process { name, .. } = sight {
            samples.entry(name).or_insert([sight; 2])[1] = sight;
        }
    }
    let mut lines = Vec::new();
    for sight in samples.into_values().flatten() {
        if let Sight::Process {
            name,
            logins,
            descriptors,
            threads,
            children,
            kib,
        } = sight
        {
            lines.push(format!(
                "          {name} after {logins} logins: {descriptors} descriptors, {threads} threads, {children} children, {kib} KiB"
            ));
        }
    }
    lines
}
