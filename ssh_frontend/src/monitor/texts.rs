//! What PAM's modules show, made fit for somebody else's terminal.

/// Most of it in one request of RFC 4256, in bytes; a QR code has about 2 KiB.
const LONGEST: usize = 16 * 1024;

/// Texts that wait to be shown together.
#[derive(Debug, Default)]
pub struct Texts(String);

impl Texts {
    /// Adds one, on lines of its own. What is over the limit is left out.
    pub fn add(&mut self, text: &[u8]) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.0.push_str(&clean(text));
        cut(&mut self.0);
    }

    /// All of them; none are left.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.0)
    }
}

/// Without control characters, for escape sequences can do more than show text: but for ends of lines and
/// tabs each becomes a question mark, and so does what turns the direction of the text. At most 16 KiB.
#[must_use]
pub fn clean(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let hidden = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut text = text.replace("\r\n", "\n").replace(hidden, "?");
    cut(&mut text);
    text
}

/// To the limit, between two characters.
fn cut(text: &mut String) {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_other_controls_do_not_reach_a_terminal() {
        let dirty = b"\x1b]0;title\x07 \x9b \r \x00 \x7f \xe2\x80\xae end";
        assert_eq!(clean(dirty), "?]0;title? \u{fffd} ? ? ? ? end");
        assert_eq!(clean("\u{9b}31m".as_bytes()), "?31m");
    }

    #[test]
    fn a_qr_code_with_its_lines_and_tabs_survives() {
        let code = "█▀▄ \u{a0}\n\t▄▀█\n";
        assert_eq!(clean(code.as_bytes()), code);
    }

    #[test]
    fn several_texts_stand_on_lines_of_their_own_and_are_shown_once() {
        let mut texts = Texts::default();
        texts.add(b"one");
        texts.add(b"two");
        assert_eq!(texts.take(), "one\ntwo");
        assert_eq!(texts.take(), "");
    }

    #[test]
    fn a_flood_of_text_ends_at_the_limit_between_two_characters() {
        let mut texts = Texts::default();
        for _ in 0..100 {
            texts.add("ü".repeat(500).as_bytes());
        }
        let all = texts.take();
        assert!(all.len() <= LONGEST && all.len() > LONGEST - 3);
    }
}
