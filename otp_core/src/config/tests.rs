//! Every key, every bound, and what an error says.

use super::*;
use crate::delivered::{Reuse, Rules};

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("otpgate.toml")).map_err(|error| error.to_string())
}

#[test]
fn an_empty_file_means_the_defaults() {
    assert_eq!(parse("").unwrap(), Config::default());
}

#[test]
fn every_key_is_read() {
    let config = parse(
        r#"
        state_dir = "/srv/otpgate"
        issuer = "Example"
        [totp]
        window = 2
        resync = 5
        [hotp]
        look_ahead = 20
        resync = 50
        [throttle]
        free_failures = 1
        first_wait = "1s"
        longest_wait = "1h"
        max_failures = 50
        known_source_allowance = 5
        [delivery]
        lifetime = "2m"
        digits = 8
        reuse = "same-source"
        budget = 5
        program = "/opt/otpgate"
        timeout = "10s"
        [channel.sms]
        kind = "command"
        argv = ["/usr/local/sbin/page", "{address}"]
        [profile.strong]
        algorithm = "sha512"
        digits = 8
        period = "60s"
        [[rule]]
        groups = ["wheel"]
        then = "require"
        "#,
    )
    .unwrap();
    assert_eq!(config.state_dir, Path::new("/srv/otpgate"));
    assert_eq!(config.parameters.reach.hotp_look_ahead, 20);
    assert_eq!(config.parameters.limits.longest_wait, 3600);
    assert_eq!(config.profiles["strong"].period.unwrap().seconds(), 60);
    assert_eq!(config.rules.len(), 1);
    let Rules {
        lifetime,
        reuse,
        budget,
    } = config.parameters.delivery;
    assert_eq!((lifetime, reuse, budget), (120, Reuse::SameSource, 5));
    assert_eq!(config.delivery.digits, Digits::EIGHT);
    assert_eq!(config.delivery.timeout, 10);
    assert_eq!(config.delivery.program, Path::new("/opt/otpgate"));
    assert!(config.channels.contains_key("sms"));
}

#[test]
fn each_rule_knows_the_line_on_which_it_begins() {
    let text = "# first\n[[rule]]\nthen = \"skip\"\n\n[totp]\nwindow = 1\n\n  [[rule]] # indented\n\nthen = \"deny\"\n";
    assert_eq!(parse(text).unwrap().rule_lines, [2, 8]);
}

#[test]
fn errors_name_line_key_and_what_would_be_right() {
    for (text, expected) in [
        (
            "\nissuerr = \"x\"",
            "otpgate.toml:2: unknown key \"issuerr\"; the nearest is \"issuer\"",
        ),
        (
            "[totp]\nwindw = 1",
            "otpgate.toml:2: unknown key \"windw\"; the nearest is \"window\"",
        ),
        (
            "[throtle]",
            "otpgate.toml:1: unknown key \"throtle\"; the nearest is \"throttle\"",
        ),
        (
            "[totp]\nwindow = 11",
            "otpgate.toml:2: window: takes a number from 0 to 10",
        ),
        (
            "[totp]\nwindow = -1",
            "otpgate.toml:2: window: takes a number from 0 to 10",
        ),
        (
            "[throttle]\nmax_failures = 101",
            "otpgate.toml:2: max_failures: takes a number from 1 to 100",
        ),
        (
            "[throttle]\nfirst_wait = 5",
            "otpgate.toml:2: first_wait: takes a duration in quotes",
        ),
        (
            "[throttle]\nfirst_wait = \"5x\"",
            "otpgate.toml:2: first_wait: takes a duration",
        ),
        (
            "[throttle]\n\nfirst_wait = \"1h\"",
            "otpgate.toml:3: first_wait: no longer than longest_wait",
        ),
        (
            "state_dir = \"var\"",
            "otpgate.toml:1: state_dir: takes an absolute path",
        ),
        (
            "issuer = \"a:b\"",
            "otpgate.toml:1: issuer: an issuer has at most",
        ),
        (
            "[[rule]]\nthen = \"allow\"",
            "otpgate.toml:2: then: unknown variant `allow`",
        ),
        (
            "[[rule]]\nfrom = [\"10.0.0.0/33\"]\nthen = \"skip\"",
            "otpgate.toml:2: from: ",
        ),
        (
            "[[rule]]\nfrom = [\"::ffff:192.0.2.0/120\"]\nthen = \"skip\"",
            "otpgate.toml:2: from: ::ffff:192.0.2.0/120 is an IPv4 network in IPv6 form",
        ),
        (
            "[[rule]]\nusers = []\nthen = \"skip\"",
            "otpgate.toml:2: users: an empty list matches nobody",
        ),
        ("[[rule]]\nusers = [\"a\"]", "missing field `then`"),
        (
            "[profile.a]\ndigits = 9",
            "otpgate.toml:2: digits: a code has 6, 7 or 8 digits, not 9",
        ),
        (
            "[delivery]\nlifetime = \"11m\"",
            "otpgate.toml:2: lifetime: takes a duration in quotes from \"10s\" to \"600s\"",
        ),
        (
            "[delivery]\nlifetime = 60",
            "otpgate.toml:2: lifetime: takes a duration in quotes",
        ),
        (
            "[delivery]\ndigits = 5",
            "otpgate.toml:2: digits: a code has 6, 7 or 8 digits",
        ),
        (
            "[delivery]\nreuse = \"always\"",
            "otpgate.toml:2: reuse: unknown variant `always`, expected `never` or `same-source`",
        ),
        (
            "[delivery]\nbudget = 0",
            "otpgate.toml:2: budget: takes a number from 1 to 100",
        ),
        (
            "[delivery]\nprogram = \"otpgate\"",
            "otpgate.toml:2: program: takes an absolute path",
        ),
        ("issuer = ", "otpgate.toml:1: "),
    ] {
        let error = parse(text).expect_err(text);
        assert!(
            error.contains(expected),
            "{text:?} gives {error:?}, not {expected:?}"
        );
    }
}

#[test]
fn users_own_files_are_a_fallback_unless_switched_off() {
    let files =
        |text: &str| Config::parse(text, Path::new("x")).map(|c| c.google_authenticator_files);
    assert_eq!(files("").unwrap(), GoogleAuthenticatorFiles::Fallback);
    let off = "google_authenticator_files = \"off\"";
    assert_eq!(files(off).unwrap(), GoogleAuthenticatorFiles::Off);
    assert!(files("google_authenticator_files = \"of\"").is_err());
    assert!(files("google_authenticator_files = false").is_err());
}

#[test]
fn days_and_open_rules_are_read_strictly() {
    let parse = |text: &str| Config::parse(text, Path::new("otpgate.toml"));
    let text = "enrol_until = \"2027-03-31\"\n[[rule]]\nusers = [\"a\"]\nthen = \"require\"\nenrol = \"open\"\nenrol_until = 2027-01-31\n[[rule]]\nthen = \"require\"\n";
    let config = parse(text).unwrap();
    let seen = |rule| {
        let unenrolled = config.unenrolled(rule);
        (unenrolled.open, unenrolled.until.map(|day| day.to_string()))
    };
    assert_eq!(seen(Some(0)), (true, Some("2027-01-31".to_owned())));
    assert_eq!(seen(Some(1)), (false, Some("2027-03-31".to_owned())));
    assert_eq!(seen(None), (false, Some("2027-03-31".to_owned())));
    assert_eq!(Config::default().unenrolled(None), Unenrolled::default());
    for (text, expected) in [
        ("enrol_until = 2027-02-30\n", "enrol_until: invalid date"),
        (
            "enrol_until = \"31.3.2027\"\n",
            "takes a day such as \"2027-03-31\"",
        ),
        (
            "enrol_until = 2027-03-31T00:00:00Z\n",
            "takes a day such as \"2027-03-31\"",
        ),
        ("enrol_until = 20270331\n", "a day such as \"2027-03-31\""),
        (
            "enrol_untill = \"2027-03-31\"\n",
            "the nearest is \"enrol_until\"",
        ),
        (
            "[[rule]]\nthen = \"require\"\nenroll = \"open\"\n",
            "the nearest is \"enrol\"",
        ),
        ("[[rule]]\nthen = \"require\"\nenrol = \"closed\"\n", "open"),
        (
            "[[rule]]\nthen = \"optional\"\nenrol = \"open\"\n",
            "enrol: only in a rule with then = \"require\"",
        ),
        (
            "[[rule]]\nthen = \"skip\"\nenrol_until = \"2027-03-31\"\n",
            "enrol_until: only in a rule with then = \"require\"",
        ),
    ] {
        let error = parse(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}
