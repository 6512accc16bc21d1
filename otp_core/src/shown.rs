//! Text that somebody else chose, fit for a terminal and a log.
//!
//! A file name may hold anything: escape sequences that move the cursor or change the title, line ends that
//! begin a line of their own, marks that turn the direction round. None of them is shown as it is.

use std::fmt::{self, Write as _};
use std::path::Path;

/// A text whose control and direction characters are written out, as `\u{1b}`.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            if is_harmful(letter) {
                write!(f, "{}", letter.escape_unicode())?;
            } else {
                f.write_char(letter)?;
            }
        }
        Ok(())
    }
}

/// The same of a text of several lines, whose line ends are ours.
#[must_use]
pub fn lines(text: &str) -> String {
    let shown: Vec<String> = text
        .split('\n')
        .map(|line| Shown(line).to_string())
        .collect();
    shown.join("\n")
}

/// The same of a path; bytes that are no text are replaced.
#[must_use]
pub fn path(path: &Path) -> String {
    Shown(&path.to_string_lossy()).to_string()
}

/// A text as a value in a line of the log, where words are `key=value`: an underscore for whatever would end
/// one or begin another.
#[derive(Debug, Clone, Copy)]
pub struct Word<'a>(pub &'a str);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |letter: char| letter.is_ascii_graphic() && !"\"=\\".contains(letter);
        self.0
            .chars()
            .try_for_each(|letter| f.write_char(if plain(letter) { letter } else { '_' }))
    }
}

fn is_harmful(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_cursor_or_turns_the_text_round() {
        for (text, expected) in [
            ("/home/jürg/ü 1", "/home/jürg/ü 1"),
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("a\nb\r", "a\\u{a}b\\u{d}"),
            ("\u{202e}x\u{9b}", "\\u{202e}x\\u{9b}"),
        ] {
            assert_eq!(Shown(text).to_string(), expected);
        }
        assert_eq!(Word("s sh\"d=\\é\n1").to_string(), "s_sh_d____1");
        assert_eq!(lines("one\ntw\u{7}o"), "one\ntw\\u{7}o");
    }
}
