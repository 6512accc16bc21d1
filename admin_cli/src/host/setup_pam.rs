//! Our two lines in a service file: where they go, and a proof that they work there.
//!
//! The place is not found by pattern alone. Each candidate is walked as libpam would walk it, and
//! taken only if no login gets round our line, a right code gets in, and no jump of another line lands elsewhere
//! than before: a line put between `[success=1 ...] pam_unix.so` and `pam_deny.so` would refuse everybody.

use std::path::Path;

use super::pam_library::{Library, Step};
use super::pam_modules::{checks_password, is_deliberate};
use super::pam_walk::{OUR_MODULE, is_ours, jump_target, walk};
use super::pamd::{self, Directive, Kind, Line};

/// A service file with our lines in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composed {
    /// The new content.
    pub bytes: Vec<u8>,
    /// The lines that were added, without line ends, so that undo knows them.
    pub added: Vec<String>,
}

/// Why there is no place for our line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoPlace {
    /// Nothing in the auth stack checks a password.
    NoPassword,
    /// This line ends the login in success before ours is reached.
    GoneRound(String),
    /// Wherever our line stands, it breaks the count of a jump or is never reached.
    Jumps,
}

/// The comment above each line of ours; undo recognises an edited line by it.
#[must_use]
pub fn marker(service: &str) -> String {
    format!(
        "# Added by \"otpgate setup {service}\"; \"otpgate setup {service} --undo\" takes the next line out."
    )
}

/// The lines of ours that stand in the file itself, in one stack.
#[must_use]
pub fn own_lines(text: &str, kind: Kind) -> Vec<Line> {
    pamd::parse(text)
        .into_iter()
        .filter(|line| match &line.directive {
            Directive::Module(module) => module.kind == kind && module.name() == OUR_MODULE,
            _ => false,
        })
        .collect()
}

/// Puts our lines into a file that has none.
///
/// # Errors
/// There is no place where our auth line would work.
pub fn compose(
    library: &Library,
    path: &Path,
    service: &str,
    bytes: &[u8],
    require: bool,
) -> Result<Composed, NoPlace> {
    let before = library.with_planned(path, bytes);
    let nullok = if require { "" } else { " nullok" };
    let auth = format!("auth required {OUR_MODULE}{nullok}");
    let steps = before.stack(service, Kind::Auth).steps;
    let mut reason = NoPlace::NoPassword;
    for line in candidates(&steps, bytes) {
        let mut composed = insert(bytes, line, service, &auth);
        let after = before.with_planned(path, &composed.bytes);
        match proven(&steps, &after.stack(service, Kind::Auth).steps) {
            Ok(()) => {
                add_account(&after, service, &mut composed);
                return Ok(composed);
            }
            Err(why) => reason = first_reason(reason, why),
        }
    }
    Err(reason)
}

/// Takes `nullok` out of our auth lines and leaves all else as it stands.
#[must_use]
pub fn without_nullok(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let ours = own_lines(&text, Kind::Auth);
    let is_ours = |number: usize| {
        ours.iter()
            .any(|line| (line.first..=line.last).contains(&number))
    };
    split_lines(bytes)
        .into_iter()
        .enumerate()
        .flat_map(|(index, line)| match is_ours(index + 1) {
            true => without_word(line, b"nullok"),
            false => line.to_vec(),
        })
        .collect()
}

/// Takes out exactly the lines that setup added, and one that was edited below our marker.
#[must_use]
pub fn strip(bytes: &[u8], added: &[String]) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut below_marker = false;
    for line in split_lines(bytes) {
        let text = String::from_utf8_lossy(line).trim_end().to_owned();
        let known = added.contains(&text);
        let edited = below_marker && names_our_module(&text);
        below_marker = known && text.starts_with('#');
        if !known && !edited {
            kept.extend_from_slice(line);
        }
    }
    kept
}

/// The numbers of the lines that name our module.
#[must_use]
pub fn lines_left(bytes: &[u8]) -> Vec<usize> {
    split_lines(bytes)
        .into_iter()
        .enumerate()
        .filter(|(_, line)| names_our_module(&String::from_utf8_lossy(line)))
        .map(|(index, _)| index + 1)
        .collect()
}

fn names_our_module(text: &str) -> bool {
    let content = text.split('#').next().unwrap_or_default();
    content
        .split_whitespace()
        .any(|word| word.rsplit('/').next() == Some(OUR_MODULE))
}

/// The lines behind which ours may stand: that which brings in the first check of a password, and
/// every later auth line.
fn candidates(steps: &[Step], bytes: &[u8]) -> Vec<usize> {
    let Some(first) = steps
        .iter()
        .find(|step| checks_password(step))
        .map(|step| step.top_line)
    else {
        return Vec::new();
    };
    pamd::parse(&String::from_utf8_lossy(bytes))
        .into_iter()
        .filter(|line| line.first >= first)
        .filter(|line| steps.iter().any(|step| step.top_line == line.first))
        .map(|line| line.last)
        .collect()
}

/// Whether our line works in its new stack, and disturbs nothing in it.
fn proven(before: &[Step], after: &[Step]) -> Result<(), NoPlace> {
    let ways = walk(after, Kind::Auth);
    let hole = ways
        .round
        .iter()
        .filter_map(|at| after.get(*at))
        .find(|step| !is_deliberate(step));
    if let Some(step) = hole {
        return Err(NoPlace::GoneRound(step.place()));
    }
    let after_password = after
        .iter()
        .position(is_ours)
        .is_some_and(|at| after.iter().skip(at).all(|step| !checks_password(step)));
    match ways.accepted && after_password && jumps_hold(before, after) {
        true => Ok(()),
        false => Err(NoPlace::Jumps),
    }
}

/// Every jump lands on the same line as before, or on ours right in front of it.
fn jumps_hold(before: &[Step], after: &[Step]) -> bool {
    use super::pam_control::{ANSWERS, Action};
    let Some(ours) = after.iter().position(is_ours) else {
        return false;
    };
    let moved = |at: usize| if at < ours { at } else { at + 1 };
    before.iter().enumerate().all(|(from, step)| {
        let Some(module) = step.module() else {
            return true;
        };
        ANSWERS
            .iter()
            .all(|answer| match module.control.action(answer) {
                Action::Jump(count) => {
                    let old = jump_target(before, from, count);
                    let new = jump_target(after, moved(from), count);
                    new == old.map(moved) || (new == Some(ours) && old == Some(ours))
                }
                _ => true,
            })
    })
}

/// A line that leads round ours says more than "no place".
fn first_reason(known: NoPlace, new: NoPlace) -> NoPlace {
    match (&known, &new) {
        (NoPlace::GoneRound(_), _) => known,
        _ => new,
    }
}

/// The account line goes before all others, so that none of them ends the stack first. Without any
/// account line libpam takes those of `other`; one of ours alone would replace them and refuse everybody.
fn add_account(library: &Library, service: &str, composed: &mut Composed) {
    let steps = library.stack(service, Kind::Account).steps;
    let text = String::from_utf8_lossy(&composed.bytes).into_owned();
    if !own_lines(&text, Kind::Account).is_empty() {
        return;
    }
    if let Some(line) = account_anchor(&steps) {
        let account = format!("account required {OUR_MODULE}");
        let with = insert(&composed.bytes, line.saturating_sub(1), service, &account);
        composed.bytes = with.bytes;
        composed.added.extend(with.added);
    }
}

/// The line in front of which our account line goes: the one that brings in pam_unix, unless a jump of an
/// earlier line would then land elsewhere; then the first one.
fn account_anchor(steps: &[Step]) -> Option<usize> {
    let first = steps.first()?.top_line;
    let password = steps
        .iter()
        .find(|step| checks_password(step))
        .map_or(first, |step| step.top_line);
    let jumps_before = steps
        .iter()
        .filter(|step| step.top_line < password)
        .any(|step| {
            step.module()
                .is_some_and(|module| ends_or_jumps(&module.control))
        });
    Some(if jumps_before { first } else { password })
}

fn ends_or_jumps(control: &super::pam_control::Control) -> bool {
    use super::pam_control::{ANSWERS, Action};
    ANSWERS
        .iter()
        .any(|answer| matches!(control.action(answer), Action::Done | Action::Jump(_)))
}

/// Inserts a line, and our marker above it, behind the given line (0: at the top).
fn insert(bytes: &[u8], behind: usize, service: &str, line: &str) -> Composed {
    let added = vec![marker(service), line.to_owned()];
    let mut lines = split_lines(bytes);
    let at = behind.min(lines.len());
    let rest = lines.split_off(at);
    let mut composed: Vec<u8> = lines.concat();
    if !composed.is_empty() && !composed.ends_with(b"\n") {
        composed.push(b'\n');
    }
    for line in &added {
        composed.extend_from_slice(line.as_bytes());
        composed.push(b'\n');
    }
    composed.extend(rest.concat());
    Composed {
        bytes: composed,
        added,
    }
}

/// Lines with their line ends.
fn split_lines(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n').collect()
}

/// Takes a word and the blanks before it out of a line; a comment stays as it is.
fn without_word(line: &[u8], word: &[u8]) -> Vec<u8> {
    let end = line
        .iter()
        .position(|byte| *byte == b'#')
        .unwrap_or(line.len());
    let (content, comment) = line.split_at(end);
    let mut kept = Vec::new();
    let mut rest = content;
    while !rest.is_empty() {
        let blanks = rest
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        let (gap, after) = rest.split_at(blanks);
        let letters = after
            .iter()
            .take_while(|byte| !byte.is_ascii_whitespace())
            .count();
        let (found, after) = after.split_at(letters);
        if found != word {
            kept.extend_from_slice(gap);
            kept.extend_from_slice(found);
        }
        rest = after;
    }
    kept.extend_from_slice(comment);
    kept
}
