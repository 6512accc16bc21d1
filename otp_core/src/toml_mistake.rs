//! What is wrong with a configuration file: which line, and what to write instead.

/// The number, from 1, of the line in which this byte stands.
#[must_use]
pub fn line_of(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or_default();
    1 + before.bytes().filter(|byte| *byte == b'\n').count()
}

/// The number, from 1, of the first line that sets this key, or opens a table of this name; 1 without one.
#[must_use]
pub fn line_of_key(text: &str, key: &str) -> usize {
    let opens = |line: &str| line.trim_start_matches([' ', '\t', '[']).starts_with(key);
    let mut lines = text.lines();
    let position = lines.position(|line| key_of(line) == Some(key));
    let position = position.or_else(|| text.lines().position(opens));
    position.map_or(1, |position| position + 1)
}

/// The key that a line sets, if it sets one. Keys of configuration files need no quotes.
fn key_of(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    let key = key.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (!key.is_empty() && key.chars().all(plain)).then_some(key)
}

/// Turns the parser's message into one that names the key, and says what to write instead. `offset` is the
/// byte that the parser complains about.
#[must_use]
pub fn explain(text: &str, offset: usize, message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    if message.starts_with("unknown field") {
        let wrong = quoted.next().unwrap_or_default();
        let known: Vec<&str> = quoted.collect();
        let nearest = known
            .iter()
            .min_by_key(|key| strsim::damerau_levenshtein(wrong, key));
        return match nearest {
            Some(nearest) => format!(
                "unknown key \"{wrong}\"; the nearest is \"{nearest}\" (all: {})",
                known.join(", ")
            ),
            None => format!("unknown key \"{wrong}\""),
        };
    }
    match key_at(text, offset) {
        Some(key) if !message.starts_with("missing field") => format!("{key}: {message}"),
        _ => message.to_owned(),
    }
}

/// The key in whose value this byte stands: on its own line, or above, where a list is open.
fn key_at(text: &str, offset: usize) -> Option<&str> {
    let number = line_of(text, offset);
    if let Some(key) = text.lines().nth(number - 1).and_then(key_of) {
        return Some(key);
    }
    let before = text.get(..offset)?;
    let mut above: Vec<&str> = before.lines().take(number).collect();
    let at = above.iter().rposition(|line| key_of(line).is_some())?;
    let value = above.split_off(at).join("\n");
    let count = |bracket| value.matches(bracket).count();
    let is_open = count('[') > count(']') || value.matches("\"\"\"").count() % 2 == 1;
    is_open.then(|| text.lines().nth(at).and_then(key_of))?
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "window = 1\n[[rules]]\nusers = [\n  \"a\",\n  7,\n]\nwindow_size = 2\n";

    #[test]
    fn lines_are_counted_from_one() {
        assert_eq!(line_of(TEXT, 0), 1);
        assert_eq!(line_of(TEXT, 10), 1);
        assert_eq!(line_of(TEXT, 11), 2);
        assert_eq!(line_of(TEXT, 10_000), 1);
    }

    #[test]
    fn a_key_is_found_whole_before_one_that_begins_like_it() {
        assert_eq!(line_of_key(TEXT, "window"), 1);
        assert_eq!(line_of_key(TEXT, "window_size"), 7);
        assert_eq!(line_of_key("window_size = 2\nwindow = 1\n", "window"), 2);
        assert_eq!(line_of_key(TEXT, "rules"), 2);
        assert_eq!(line_of_key(TEXT, "nowhere"), 1);
    }

    #[test]
    fn a_value_over_several_lines_belongs_to_the_key_above() {
        let offset = TEXT.find('7').unwrap();
        assert_eq!(explain(TEXT, offset, "no text"), "users: no text");
    }

    #[test]
    fn a_mistake_outside_of_values_belongs_to_no_key() {
        let text = "state_dir = \"/x\"\nbudget 10\n[[rule]]\nusers = [\"a\"]\n";
        let at = |what| text.find(what).unwrap();
        assert_eq!(explain(text, at("budget"), "no sign"), "no sign");
        let missing = "missing field `then`";
        assert_eq!(explain(text, at("[[rule]]"), missing), missing);
        assert_eq!(explain(text, at("[[rule]]"), "no table"), "no table");
    }

    #[test]
    fn a_misspelt_key_is_told_the_nearest() {
        let message = "unknown field `windw`, expected one of `window`, `rules`";
        assert_eq!(
            explain("windw = 1", 0, message),
            "unknown key \"windw\"; the nearest is \"window\" (all: window, rules)"
        );
    }
}
