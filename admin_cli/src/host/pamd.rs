//! One pam.d file as libpam reads it: lines joined, comments dropped, brackets kept together.
//!
//! Nothing here is an error of ours: a line that libpam could not read becomes [`Directive::Broken`],
//! because what libpam does with it (refuse everybody) is the finding.

use std::fmt;

use super::pam_control::Control;

/// The four stacks of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Who is it?
    Auth,
    /// May they now?
    Account,
    /// A new password.
    Password,
    /// Before and after the session.
    Session,
}

impl Kind {
    fn parse(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "auth" => Self::Auth,
            "account" => Self::Account,
            "password" => Self::Password,
            "session" => Self::Session,
            _ => return None,
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auth => "auth",
            Self::Account => "account",
            Self::Password => "password",
            Self::Session => "session",
        })
    }
}

/// A module line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Which stack.
    pub kind: Kind,
    /// Written with a leading `-`: libpam does not log that the module is missing.
    pub silent: bool,
    /// What its answers do.
    pub control: Control,
    /// Name or path of the module.
    pub path: String,
    /// Its options.
    pub options: Vec<String>,
}

impl Module {
    /// The file name without its directory: `/opt/x/pam_unix.so` and `pam_unix.so` are one module.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Whether an option stands on the line, by itself or as `option=value`.
    #[must_use]
    pub fn has_option(&self, wanted: &str) -> bool {
        self.options
            .iter()
            .any(|option| option.split('=').next() == Some(wanted))
    }
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directive {
    /// `@include NAME`: all stacks of that file, as if typed here.
    IncludeAll(String),
    /// `auth include NAME`: one stack of that file, as if typed here.
    Include(Kind, String),
    /// `auth substack NAME`: one stack of that file; `done` and `die` end only it.
    Substack(Kind, String),
    /// A module.
    Module(Module),
    /// libpam cannot read it and refuses in its place. Without a kind it counts as `auth`.
    Broken(Option<Kind>, String),
}

/// A directive and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// First line, from 1.
    pub first: usize,
    /// Last line: later than the first one where a `\` continues it.
    pub last: usize,
    /// What it says.
    pub directive: Directive,
}

/// Reads the text of a service file.
#[must_use]
pub fn parse(text: &str) -> Vec<Line> {
    logical_lines(text)
        .into_iter()
        .filter_map(|(first, last, text)| {
            directive(&text).map(|directive| Line {
                first,
                last,
                directive,
            })
        })
        .collect()
}

/// Joins continued lines as libpam does: a comment ends the line it stands on, so a `\` behind `#`
/// continues nothing, and blank and comment lines within a continuation are skipped.
fn logical_lines(text: &str) -> Vec<(usize, usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, raw) in text.split('\n').enumerate() {
        let number = index + 1;
        let trimmed = raw.trim_start_matches([' ', '\t']);
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let (content, commented) = match trimmed.split_once('#') {
            Some((content, _)) => (content, true),
            None => (trimmed, false),
        };
        let (first, mut joined) = open.take().unwrap_or((number, String::new()));
        match content.trim_end().strip_suffix('\\') {
            Some(begun) if !commented => {
                joined.push_str(begun);
                joined.push(' ');
                open = Some((first, joined));
            }
            _ => {
                joined.push_str(content);
                lines.push((first, number, joined));
            }
        }
    }
    // libpam calls a file that ends inside a continuation damaged; the words still say which stack.
    if let Some((first, joined)) = open {
        lines.push((
            first,
            text.split('\n').count(),
            format!("{joined} \u{0}unfinished"),
        ));
    }
    lines
}

fn directive(text: &str) -> Option<Directive> {
    let words = words(text);
    let mut words = words.iter().map(String::as_str);
    let first = words.next()?;
    if text.contains('\0') {
        return Some(Directive::Broken(
            None,
            "NUL byte, or the file ends after a backslash".to_owned(),
        ));
    }
    if first.eq_ignore_ascii_case("@include") {
        return Some(match words.next() {
            Some(name) => Directive::IncludeAll(name.to_owned()),
            None => Directive::Broken(None, "@include without a name".to_owned()),
        });
    }
    let silent = first.starts_with('-');
    let Some(kind) = Kind::parse(first.strip_prefix('-').unwrap_or(first)) else {
        let why = format!("{first:?} is none of auth, account, password, session");
        return Some(Directive::Broken(None, why));
    };
    Some(of_kind(kind, silent, words))
}

fn of_kind<'a>(kind: Kind, silent: bool, mut words: impl Iterator<Item = &'a str>) -> Directive {
    let Some(control) = words.next() else {
        return Directive::Broken(Some(kind), "no control and no module".to_owned());
    };
    let Some(path) = words.next() else {
        return Directive::Broken(Some(kind), "no module name".to_owned());
    };
    match control.to_ascii_lowercase().as_str() {
        "include" => return Directive::Include(kind, path.to_owned()),
        "substack" => return Directive::Substack(kind, path.to_owned()),
        _ => {}
    }
    match Control::parse(control) {
        Some(control) => Directive::Module(Module {
            kind,
            silent,
            control,
            path: path.to_owned(),
            options: words.map(str::to_owned).collect(),
        }),
        None => Directive::Broken(Some(kind), format!("unknown control {control:?}")),
    }
}

/// Splits as libpam's `_pam_StrTok`: blanks separate, except inside a word that starts with `[`, where
/// `\]` is a plain bracket. The brackets of the control stay, those of an option go.
fn words(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('[') {
            Some(inner) => bracketed(inner, found.len() == 1),
            None => rest
                .split_once(char::is_whitespace)
                .map_or((rest.to_owned(), ""), |(word, after)| {
                    (word.to_owned(), after)
                }),
        };
        found.push(word);
        rest = after.trim_start();
    }
    found
}

fn bracketed(inner: &str, is_control: bool) -> (String, &str) {
    let mut word = String::new();
    let mut escaped = false;
    for (at, letter) in inner.char_indices() {
        match letter {
            ']' if !escaped => {
                let after = inner.get(at + 1..).unwrap_or_default();
                return (wrap(word, is_control), after);
            }
            '\\' if !escaped && inner.get(at + 1..).is_some_and(|r| r.starts_with(']')) => {
                escaped = true;
            }
            other => {
                escaped = false;
                word.push(other);
            }
        }
    }
    // Never closed: libpam takes the rest of the line.
    (wrap(word, is_control), "")
}

fn wrap(word: String, is_control: bool) -> String {
    if is_control {
        format!("[{word}]")
    } else {
        word
    }
}
