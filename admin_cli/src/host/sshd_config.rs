//! sshd_config as written, for what `sshd -T` cannot say: which file and line a setting comes from,
//! and which `Match` blocks change it for some.

use std::fs;
use std::path::{Path, PathBuf};

use super::files;

/// sshd's own limit on nested Include lines.
const MAX_DEPTH: usize = 16;
/// Files that include each other twice grow without bound long before they are 16 deep.
const MAX_FILES: usize = 200;
/// Relative names in Include lines start here, whatever `-f` says (sshd's SSHDIR).
const SSH_DIRECTORY: &str = "/etc/ssh";

/// One line of the configuration, in the order in which sshd reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Lower case, with old names replaced by today's.
    pub keyword: String,
    /// Its arguments.
    pub values: Vec<String>,
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The condition of the `Match` block it stands in.
    pub condition: Option<String>,
}

impl Setting {
    /// `file:line`.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}:{}", self.file.display(), self.line)
    }

    /// Whether it sets this keyword, in lower case.
    #[must_use]
    pub fn sets(&self, keyword: &str) -> bool {
        self.keyword == keyword
    }
}

/// All lines of a configuration and of what it includes. Files that cannot be read are left out:
/// sshd itself says so, when it is asked.
#[must_use]
pub fn read(config: &Path) -> Vec<Setting> {
    let mut reader = Reader::default();
    reader.file(config, None, 0);
    reader.settings
}

/// Whether an Include argument takes in this file.
#[must_use]
pub fn include_covers(pattern: &str, path: &Path) -> bool {
    let pattern = absolute(pattern);
    let (Some(directory), Some(wanted)) = (pattern.parent(), pattern.file_name()) else {
        return false;
    };
    path.parent() == Some(directory)
        && path
            .file_name()
            .is_some_and(|name| glob(wanted.as_encoded_bytes(), name.as_encoded_bytes()))
}

#[derive(Default)]
struct Reader {
    settings: Vec<Setting>,
    files: usize,
}

impl Reader {
    /// A `Match` block in an included file ends with that file (servconf.c restores `activep`).
    fn file(&mut self, path: &Path, mut condition: Option<String>, depth: usize) {
        self.files += 1;
        if depth > MAX_DEPTH || self.files > MAX_FILES {
            return;
        }
        let Ok(image) = files::read(path) else {
            return;
        };
        let text = String::from_utf8_lossy(&image.bytes).into_owned();
        for (index, line) in text.lines().enumerate() {
            let mut words = words(line).into_iter();
            let Some(keyword) = words.next() else {
                continue;
            };
            let keyword = todays_name(&keyword);
            let values: Vec<String> = words.collect();
            if keyword == "match" {
                let whom = values.join(" ");
                condition = (!whom.eq_ignore_ascii_case("all")).then_some(whom);
            }
            self.settings.push(Setting {
                keyword: keyword.clone(),
                values: values.clone(),
                file: path.to_owned(),
                line: index + 1,
                condition: condition.clone(),
            });
            if keyword == "include" {
                for included in values.iter().flat_map(|pattern| expand(pattern)) {
                    self.file(&included, condition.clone(), depth + 1);
                }
            }
        }
    }
}

fn todays_name(keyword: &str) -> String {
    match keyword.to_ascii_lowercase().as_str() {
        "challengeresponseauthentication" | "skeyauthentication" => "kbdinteractiveauthentication",
        other => return other.to_owned(),
    }
    .to_owned()
}

/// Splits a line: blanks and one `=` separate, double quotes keep together, `#` begins a comment.
#[must_use]
pub fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            '#' if !quoted && word.is_empty() => break,
            '=' if !quoted && words.is_empty() && !word.is_empty() => {
                words.push(std::mem::take(&mut word));
            }
            '=' if !quoted && words.len() == 1 && word.is_empty() => {}
            blank if blank.is_whitespace() && !quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            other => word.push(other),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn absolute(pattern: &str) -> PathBuf {
    Path::new(SSH_DIRECTORY).join(pattern)
}

/// The files a pattern names, in the order of glob(3). Patterns in directory names are not followed.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let path = absolute(pattern);
    let Some(directory) = path.parent() else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|candidate| include_covers(pattern, candidate))
        .collect();
    found.sort();
    found
}

/// `*` and `?` as in glob(3): neither stands for a leading dot.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let hidden = name.first() == Some(&b'.') && pattern.first() != Some(&b'.');
    !hidden && matches(pattern, name)
}

/// Two pointers and one place to go back to, so that `*a*a*a*b` costs no more than its length squared.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(b'?') => {
                p += 1;
                n += 1;
            }
            Some(letter) if name.get(n) == Some(letter) => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, reached)) => {
                    star = Some((at, reached + 1));
                    p = at + 1;
                    n = reached + 1;
                }
                None => return false,
            },
        }
    }
    pattern
        .get(p..)
        .is_some_and(|rest| rest.iter().all(|letter| *letter == b'*'))
}
