use super::*;

#[test]
fn a_line_has_the_key_wherever_sshd_would_see_it() {
    let key_text = text_of(KEY);
    let cases = [
        ("alone", key_text.clone()),
        (
            "with a comment",
            format!("{key_text} a \"comment, with all"),
        ),
        ("indented", format!(" \t{key_text}")),
        ("after tabs", key_text.replace(' ', "\t\t")),
        ("from Windows", format!("{key_text}\r\n")),
        (
            "after others",
            format!("# one\n\n{}\n{key_text}\n", text_of(OTHER)),
        ),
        ("with options", format!("no-user-rc {key_text}")),
        (
            "with options and blanks",
            format!("no-user-rc  \t {key_text}"),
        ),
        (
            "after a line that is no text",
            format!("\u{0}\u{fffd}\n{key_text}"),
        ),
    ];
    for (name, text) in cases {
        assert_eq!(judge(text.as_bytes(), &key(), HERE), found(), "{name}");
    }
}

#[test]
fn a_line_does_not_have_the_key_where_it_only_looks_so() {
    let (mine, other) = (text_of(KEY), text_of(OTHER));
    let base64 = Base64::encode_string(KEY);
    let cases = [
        ("empty file", String::new()),
        ("another key", other.clone()),
        ("in a comment line", format!("# {mine}")),
        ("in another key's comment", format!("{other} {mine}")),
        ("in an option", format!("command=\"{mine}\" {other}")),
        ("of another type", format!("ecdsa-sha2-nistp256 {base64}")),
        ("cut short", mine[..mine.len() - 4].to_owned()),
        ("longer", format!("{mine}AAAA")),
        ("without its type", base64.clone()),
        ("over two lines", mine.replace(' ', "\n")),
        (
            "behind two lots of options",
            format!("no-pty no-user-rc {mine}"),
        ),
        (
            "in a quote that does not end",
            format!("command=\"x {mine}"),
        ),
    ];
    for (name, text) in cases {
        let verdict = judge(text.as_bytes(), &key(), HERE);
        assert_eq!(verdict, KeyVerdict::NotFound, "{name}");
    }
}

#[test]
fn the_first_line_that_holds_decides() {
    let mine = text_of(KEY);
    let text = format!(
        "tunnel=\"0\" {mine}\nfrom=\"198.51.100.1\" {mine}\nno-pty {mine}\ncommand=\"x\" {mine}"
    );
    let limits = KeyLimits {
        no_terminal: true,
        ..KeyLimits::default()
    };
    let verdict = judge(text.as_bytes(), &key(), HERE);
    assert_eq!(verdict, KeyVerdict::Found(limits));
}

#[test]
fn where_no_line_holds_the_first_says_why() {
    let mine = text_of(KEY);
    let text = format!("tunnel=\"0\" {mine}\ncert-authority {mine}");
    let KeyVerdict::Refused(why) = judge(text.as_bytes(), &key(), HERE) else {
        panic!("not refused");
    };
    assert!(why.contains("tunnel"), "{why}");
}

#[test]
fn security_keys_are_refused_by_their_type() {
    let algorithm = "sk-ssh-ed25519@openssh.com";
    let text = format!("{algorithm} {}", Base64::encode_string(KEY));
    let key = OfferedKey::new(algorithm, KEY);
    let KeyVerdict::Refused(why) = judge(text.as_bytes(), &key, HERE) else {
        panic!("not refused");
    };
    assert!(why.contains(algorithm), "{why}");
}

#[test]
fn a_key_of_nothing_is_on_no_line() {
    let text = "ssh-ed25519 \nssh-ed25519\n ssh-ed25519  \n";
    for key in [
        OfferedKey::new("ssh-ed25519", b""),
        OfferedKey::new("", b""),
    ] {
        assert_eq!(judge(text.as_bytes(), &key, HERE), KeyVerdict::NotFound);
    }
}
