//! Our lines in a service file: where they go, and a proof that they work there.
//!
//! The place is not found by pattern alone. Each candidate is walked as libpam would walk it, and
//! taken only if no login gets round our line, a right code gets in, and no jump of another line lands elsewhere
//! than before: a line put between `[success=1 ...] pam_unix.so` and `pam_deny.so` would refuse everybody.

use std::path::Path;

use super::pam_enrolment::PASSWORD_CONTROL;
use super::pam_library::{Library, Step};
use super::pam_modules::{checks_password, is_deliberate};
use super::pam_walk::{OUR_MODULE, is_ours, jump_target, walk};
use super::pamd::{self, Directive, Kind, Line, Module};

/// How the option that names a configuration begins.
const CONFIG: &str = "config=";
/// The option for enrolment at login.
const ENROL: &str = "enrol";
/// The stacks in which lines of ours stand.
pub const KINDS: [Kind; 3] = [Kind::Auth, Kind::Account, Kind::Password];

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

/// What our lines say behind the module's name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineOptions {
    /// Without `nullok`.
    pub require: bool,
    /// With `enrol`, and a password line.
    pub enrol: bool,
    /// `config=PATH` as [`config_word`] writes it; none for the usual configuration.
    pub config: Option<String>,
}

impl LineOptions {
    fn auth(&self) -> String {
        let nullok = if self.require { "" } else { " nullok" };
        format!(
            "auth required {OUR_MODULE}{nullok}{}{}",
            self.enrol(),
            self.config()
        )
    }

    fn account(&self) -> String {
        format!(
            "account required {OUR_MODULE}{}{}",
            self.enrol(),
            self.config()
        )
    }

    fn password(&self) -> String {
        format!(
            "password {PASSWORD_CONTROL} {OUR_MODULE} {ENROL}{}",
            self.config()
        )
    }

    fn enrol(&self) -> String {
        match self.enrol {
            true => format!(" {ENROL}"),
            false => String::new(),
        }
    }

    fn config(&self) -> String {
        let config = self.config.as_deref();
        config.map(|word| format!(" {word}")).unwrap_or_default()
    }
}

/// `config=PATH` as one word of a pam.d line, in brackets where libpam would cut it. None for a path that
/// libpam would read otherwise: `#` begins a comment, `\` continues a line or hides a bracket.
#[must_use]
pub fn config_word(path: &Path) -> Option<String> {
    let text = path.to_str()?;
    let unwritable = |letter: char| letter.is_control() || "#\\".contains(letter);
    if !path.is_absolute() || text.contains(unwritable) {
        return None;
    }
    let cut = |letter: char| letter.is_whitespace() || "[]".contains(letter);
    Some(match text.contains(cut) {
        true => format!("[{CONFIG}{}]", text.replace(']', "\\]")),
        false => format!("{CONFIG}{text}"),
    })
}

/// The path that a line's options name: the last one, as the module takes it.
#[must_use]
pub fn named_config(module: &Module) -> Option<&str> {
    let mut options = module.options.iter().rev();
    options.find_map(|option| option.strip_prefix(CONFIG))
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
    options: &LineOptions,
) -> Result<Composed, NoPlace> {
    let before = library.with_planned(path, bytes);
    let auth = options.auth();
    let steps = before.stack(service, Kind::Auth).steps;
    let mut reason = NoPlace::NoPassword;
    for line in candidates(&steps, bytes) {
        let mut composed = insert(bytes, line, service, &auth);
        let after = before.with_planned(path, &composed.bytes);
        match proven(&steps, &after.stack(service, Kind::Auth).steps) {
            Ok(()) => {
                add_account(&after, service, options, &mut composed);
                add_password(library, path, service, options, &mut composed);
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
    rewrite(bytes, &own_lines(&text, Kind::Auth), |line| {
        without_words(line, |word| word == b"nullok")
    })
}

/// Puts `enrol` on our auth and account lines, and adds the lines that are missing beside them. Returns the
/// lines that were added, too.
#[must_use]
pub fn with_enrol(
    library: &Library,
    path: &Path,
    service: &str,
    bytes: &[u8],
    options: &LineOptions,
) -> Composed {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let lines: Vec<Line> = KINDS
        .iter()
        .flat_map(|kind| own_lines(&text, *kind))
        .collect();
    let bytes = rewrite(bytes, &lines, |line| {
        match without_words(line, |word| word == ENROL.as_bytes()) == line {
            true => with_word(line, ENROL),
            false => line.to_vec(),
        }
    });
    let mut composed = Composed {
        bytes,
        added: Vec::new(),
    };
    let planned = library.with_planned(path, &composed.bytes);
    add_account(&planned, service, options, &mut composed);
    add_password(library, path, service, options, &mut composed);
    composed
}

/// Lets the lines below our marker name this configuration, and leaves all else as it stands.
#[must_use]
pub fn with_config(bytes: &[u8], service: &str, word: Option<&str>) -> Vec<u8> {
    let names_one = |word: &[u8]| {
        let word = word.strip_prefix(b"[").unwrap_or(word);
        word.starts_with(CONFIG.as_bytes())
    };
    rewrite(bytes, &marked_lines(bytes, service), |line| {
        let bare = without_words(line, names_one);
        let Some(wanted) = word else {
            return bare;
        };
        let others = without_words(line, |word| word == wanted.as_bytes());
        match bare != line && bare == others {
            true => line.to_vec(),
            false => with_word(&bare, wanted),
        }
    })
}

/// The lines that setup wrote, edited or not.
#[must_use]
pub fn marked_lines(bytes: &[u8], service: &str) -> Vec<Line> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let marker = marker(service);
    let physical: Vec<&str> = text.lines().collect();
    let above = |line: &Line| {
        let above = line.first.checked_sub(2);
        above.and_then(|index| physical.get(index).copied())
    };
    KINDS
        .into_iter()
        .flat_map(|kind| own_lines(&text, kind))
        .filter(|line| above(line).is_some_and(|above| above.trim_end() == marker))
        .collect()
}

/// The text of a line, without its end; continued lines are joined.
#[must_use]
pub fn text_of(bytes: &[u8], line: &Line) -> String {
    let physical: Vec<&[u8]> = split_lines(bytes);
    let joined = joined(span(&physical, line));
    String::from_utf8_lossy(&joined).trim_end().to_owned()
}

/// Edits some lines. One that was continued becomes a single one: were its last part left empty, libpam would
/// join the line below to it.
fn rewrite(bytes: &[u8], lines: &[Line], edit: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let physical = split_lines(bytes);
    let mut written = Vec::new();
    for (index, raw) in physical.iter().enumerate() {
        let number = index + 1;
        let within = |line: &&Line| (line.first..=line.last).contains(&number);
        match lines.iter().find(within) {
            None => written.extend_from_slice(raw),
            Some(line) if line.first == number => {
                let old = joined(span(&physical, line));
                let new = edit(&old);
                match new == old {
                    true => written.extend(span(&physical, line).concat()),
                    false => written.extend(new),
                }
            }
            Some(_) => {}
        }
    }
    written
}

/// The physical lines of a line.
fn span<'a, 'b>(physical: &'b [&'a [u8]], line: &Line) -> &'b [&'a [u8]] {
    let last = line.last.min(physical.len());
    physical
        .get(line.first.saturating_sub(1)..last)
        .unwrap_or_default()
}

/// Physical lines as one, the way libpam joins them.
fn joined(physical: &[&[u8]]) -> Vec<u8> {
    let (Some(last), continued) = (physical.last(), physical.len() > 1) else {
        return Vec::new();
    };
    if !continued {
        return last.to_vec();
    }
    let mut text = Vec::new();
    for raw in physical {
        let part = raw.trim_ascii();
        if part.is_empty() || part.starts_with(b"#") {
            continue;
        }
        if !text.is_empty() {
            text.push(b' ');
        }
        text.extend_from_slice(part.strip_suffix(b"\\").unwrap_or(part).trim_ascii_end());
    }
    if last.ends_with(b"\n") {
        text.push(b'\n');
    }
    text
}

/// Takes out exactly the lines that setup added, and one that was edited below our marker, with what continues it.
#[must_use]
pub fn strip(bytes: &[u8], added: &[String]) -> Vec<u8> {
    let mut kept = Vec::new();
    let (mut below_marker, mut open) = (false, false);
    for line in split_lines(bytes) {
        let text = String::from_utf8_lossy(line).trim_end().to_owned();
        let known = added.contains(&text);
        let edited = below_marker && names_our_module(&text);
        below_marker = known && text.starts_with('#');
        let rest = open;
        let skipped = text.trim_start().is_empty() || text.trim_start().starts_with('#');
        let goes_on = text.ends_with('\\') && !text.contains('#');
        open = (edited && goes_on) || (rest && (goes_on || skipped));
        if !known && !edited && !rest {
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
fn add_account(library: &Library, service: &str, options: &LineOptions, composed: &mut Composed) {
    let steps = library.stack(service, Kind::Account).steps;
    let text = String::from_utf8_lossy(&composed.bytes).into_owned();
    if !own_lines(&text, Kind::Account).is_empty() {
        return;
    }
    if let Some(line) = account_anchor(&steps) {
        let account = options.account();
        let with = insert(&composed.bytes, line.saturating_sub(1), service, &account);
        composed.bytes = with.bytes;
        composed.added.extend(with.added);
    }
}

/// The password line goes before all others: the next ones ask for a new password. In a file without any it
/// goes to the end.
fn add_password(
    library: &Library,
    path: &Path,
    service: &str,
    options: &LineOptions,
    composed: &mut Composed,
) {
    let text = String::from_utf8_lossy(&composed.bytes).into_owned();
    if !options.enrol || !own_lines(&text, Kind::Password).is_empty() {
        return;
    }
    let planned = library.with_planned(path, &composed.bytes);
    let steps = planned.stack(service, Kind::Password).steps;
    let first = steps.first().map(|step| step.top_line.saturating_sub(1));
    let behind = first.unwrap_or(usize::MAX);
    let with = insert(&composed.bytes, behind, service, &options.password());
    composed.bytes = with.bytes;
    composed.added.extend(with.added);
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

/// Where the comment or the line end begins, and the blanks before it.
fn end_of_words(line: &[u8]) -> usize {
    let comment = line.iter().position(|byte| *byte == b'#');
    let content = line.get(..comment.unwrap_or(line.len()));
    content.unwrap_or_default().trim_ascii_end().len()
}

/// Takes words and the blanks before them out of a line; a comment stays as it is.
fn without_words(line: &[u8], unwanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let (mut rest, comment) = line.split_at(end_of_words(line));
    let mut kept = Vec::new();
    while !rest.is_empty() {
        let blanks = rest
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        let (gap, after) = rest.split_at(blanks);
        let (found, after) = after.split_at(word_length(after));
        if !unwanted(found) {
            kept.extend_from_slice(gap);
            kept.extend_from_slice(found);
        }
        rest = after;
    }
    kept.extend_from_slice(comment);
    kept
}

/// A word ends at a blank; one in brackets behind the first `]` that has no `\` before it.
fn word_length(text: &[u8]) -> usize {
    let mut before = b'[';
    let end = |byte: &u8| {
        let ends = *byte == b']' && before != b'\\';
        before = *byte;
        ends
    };
    match text.first() {
        Some(b'[') => text
            .iter()
            .position(end)
            .map_or(text.len(), |index| index + 1),
        _ => text
            .iter()
            .take_while(|byte| !byte.is_ascii_whitespace())
            .count(),
    }
}

/// Puts a word behind the others.
fn with_word(line: &[u8], word: &str) -> Vec<u8> {
    let (words, rest) = line.split_at(end_of_words(line));
    [words, b" ", word.as_bytes(), rest].concat()
}
