use super::*;

#[test]
fn options_that_are_honoured() {
    let none = KeyLimits::default;
    let command = |text: &str| KeyLimits {
        command: Some(text.to_owned()),
        ..none()
    };
    let taken = |no_terminal, no_forwarding| KeyLimits {
        no_terminal,
        no_forwarding,
        ..none()
    };
    let open = |places: &[&str]| KeyLimits {
        permit_open: places.iter().map(|place| (*place).to_owned()).collect(),
        ..none()
    };
    let cases = [
        ("no-pty", taken(true, false)),
        ("NO-PTY", taken(true, false)),
        ("no-port-forwarding", taken(false, true)),
        ("restrict", taken(true, true)),
        ("restrict,pty", taken(false, true)),
        ("restrict,port-forwarding", taken(true, false)),
        ("pty,restrict", taken(true, true)),
        ("no-pty,pty", taken(false, false)),
        ("no-agent-forwarding,no-X11-forwarding,no-user-rc", none()),
        ("agent-forwarding,X11-forwarding,user-rc", none()),
        ("command=\"date\"", command("date")),
        ("Command=\"date\"", command("date")),
        ("command=\"\"", command("")),
        ("command=\"a b,c\t#d\"", command("a b,c\t#d")),
        (r#"command="echo \"a b\"""#, command("echo \"a b\"")),
        (r#"command="a\\b\n""#, command(r"a\\b\n")),
        (r#"command="\"""#, command("\"")),
        ("command=\"gr\u{fc}\u{df}e\"", command("gr\u{fc}\u{df}e")),
        ("permitopen=\"a.example:22\"", open(&["a.example:22"])),
        (
            "permitopen=\"[::1]:80\",permitopen=\"b:*\"",
            open(&["[::1]:80", "b:*"]),
        ),
    ];
    for (options, limits) in cases {
        let verdict = with_options(options, HERE);
        assert_eq!(verdict, KeyVerdict::Found(limits), "{options}");
    }
}

#[test]
fn options_that_are_refused_by_name() {
    let cases = [
        "environment=\"A=b\"",
        "cert-authority",
        "principals=\"a\"",
        "tunnel=\"0\"",
        "permitlisten=\"80\"",
        "no-touch-required",
        "verify-required",
        "expiry-time=\"20990101\"",
        "no-such-option",
        "no-restrict",
        "no-pty=\"yes\"",
        "command",
        "from",
        "permitopen",
        "restrict=\"\"",
    ];
    for options in cases {
        for listed in [options.to_owned(), format!("no-pty,{options},no-user-rc")] {
            let KeyVerdict::Refused(why) = with_options(&listed, HERE) else {
                panic!("{listed} was not refused");
            };
            let name = options.split('=').next().unwrap();
            assert!(why.contains(name), "{listed}: {why}");
        }
    }
}

#[test]
fn options_that_are_written_wrong() {
    let cases = [
        ",no-pty",
        "no-pty,",
        "no-pty,,no-user-rc",
        "command=date",
        "command=",
        "command=\"a\"b",
        "command=\"a\"\"b\"",
        "\"command\"",
        "=\"x\"",
        "command=\"a\",command=\"b\"",
        "from=\"*\",from=\"192.0.2.7\"",
        "command=\"a\0b\"",
        "permitopen=\"a\"",
        "permitopen=\"a:0\"",
        "permitopen=\"a:+1\"",
        "permitopen=\"a:65536\"",
        "permitopen=\"::1:22\"",
        "permitopen=\"[::1:22\"",
        "permitopen=\":22\"",
        "permitopen=\"[]:22\"",
        "permitopen=\"none\"",
    ];
    for options in cases {
        let verdict = with_options(options, HERE);
        assert!(matches!(verdict, KeyVerdict::Refused(_)), "{options:?}");
    }
}

#[test]
fn options_that_are_no_text_are_refused() {
    let mut line = b"command=\"\xff\" ".to_vec();
    line.extend_from_slice(text_of(KEY).as_bytes());
    let verdict = judge(&line, &key(), HERE);
    assert!(matches!(verdict, KeyVerdict::Refused(_)));
}

#[test]
fn a_refusal_quotes_no_more_than_fits_a_line_of_the_log() {
    let KeyVerdict::Refused(why) = with_options(&"x".repeat(100_000), HERE) else {
        panic!("not refused");
    };
    assert!(why.len() < 200);
}
