//! User names as people and scripts see them: what `list` prints is what every command takes.

use otp_core::user_name::UserName;

/// The name as it is typed. A name that is not text has only its file name.
pub(super) fn typed(user: &UserName) -> String {
    let name = decoded(user.file_name());
    name.filter(|name| UserName::from(name.as_str()) == *user)
        .unwrap_or_else(|| user.to_string())
}

/// The name for a terminal: as it is typed, unless that could move the cursor or look like another.
pub(super) fn shown(user: &UserName) -> String {
    let name = typed(user);
    let harmless = |letter: char| letter.is_alphanumeric() || (' '..='~').contains(&letter);
    if name.chars().all(harmless) {
        name
    } else {
        user.to_string()
    }
}

/// The name as a word of a shell command.
pub(super) fn quoted(user: &UserName) -> String {
    let name = typed(user);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.@+".contains(&byte);
    if name.bytes().all(plain) {
        name
    } else {
        format!("'{}'", name.replace('\'', r"'\''"))
    }
}

fn decoded(file_name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(file_name.len());
    let mut rest = file_name.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (pair, after) = rest.split_first_chunk::<2>()?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_as_they_were_typed() {
        let long = "a".repeat(300);
        for (name, on_a_terminal, for_a_shell) in [
            ("alice", "alice", "alice"),
            ("jürg", "jürg", "'jürg'"),
            ("a/b", "a/b", "'a/b'"),
            ("with space", "with space", "'with space'"),
            ("%41", "%41", "'%41'"),
            ("o'neill", "o'neill", r"'o'\''neill'"),
            ("line\nbreak", "line%0Abreak", "'line\nbreak'"),
            ("\u{202e}ecila", "%E2%80%AEecila", "'\u{202e}ecila'"),
        ] {
            let user = UserName::from(name);
            assert_eq!(typed(&user), name);
            assert_eq!(shown(&user), on_a_terminal);
            assert_eq!(quoted(&user), for_a_shell);
        }
        assert!(typed(&UserName::from(long.as_str())).starts_with("%sha256-"));
    }
}
