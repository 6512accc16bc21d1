//! Where an error of the parser stands, and what to write instead.

pub(super) fn line_of(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or_default();
    1 + before.bytes().filter(|byte| *byte == b'\n').count()
}

pub(super) fn line_of_key(text: &str, key: &str) -> usize {
    let mut lines = text.lines();
    lines
        .position(|line| line.trim_start().starts_with(key))
        .map_or(1, |position| position + 1)
}

/// Turns serde's message into one that says what to write instead.
pub(super) fn explain(text: &str, offset: usize, message: &str) -> String {
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
    let line = text
        .lines()
        .nth(line_of(text, offset) - 1)
        .unwrap_or_default();
    match line.split_once('=') {
        Some((key, _)) => format!("{}: {message}", key.trim()),
        None => message.to_owned(),
    }
}
