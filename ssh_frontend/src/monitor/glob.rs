//! Names with `*` and `?`, as sshd_config's lists have them.

/// Whether the whole text fits the pattern: `*` is any text, `?` any one character.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    fits(&pattern, &text)
}

/// Whether one of the patterns fits.
#[must_use]
pub fn any_matches(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, text))
}

/// Goes back to the last star only: the time is the product of the lengths, whatever the pattern.
fn fits(mut pattern: &[char], mut text: &[char]) -> bool {
    let mut after_star: Option<(&[char], &[char])> = None;
    loop {
        match (pattern, text) {
            (['*', rest @ ..], _) => {
                after_star = Some((rest, text));
                pattern = rest;
                continue;
            }
            ([], []) => return true,
            ([wanted, rest @ ..], [found, others @ ..]) if *wanted == '?' || wanted == found => {
                (pattern, text) = (rest, others);
                continue;
            }
            _ => {}
        }
        let Some((rest, [_, shorter @ ..])) = after_star else {
            return false;
        };
        after_star = Some((rest, shorter));
        (pattern, text) = (rest, shorter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_stand_for_what_they_should() {
        let cases = [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "alice", true),
            ("alice", "alice", true),
            ("alice", "Alice", false),
            ("alice", "alice2", false),
            ("a*e", "alice", true),
            ("a*e", "ae", true),
            ("a*e", "alicia", false),
            ("?lice", "alice", true),
            ("?", "", false),
            ("?", "ü", true),
            ("LC_*", "LC_ALL", true),
            ("LC_*", "XLC_ALL", false),
            ("*-*-x", "a-b-c-x", true),
            ("**a", "ba", true),
            ("*a*b", "xaxbx", false),
        ];
        for (pattern, text, fits) in cases {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_of_stars_does_not_take_for_ever() {
        let pattern = "*a".repeat(100);
        assert!(!matches(&pattern, &"b".repeat(4096)));
    }
}
