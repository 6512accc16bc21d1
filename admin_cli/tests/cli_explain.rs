//! `otpgate check --explain USER`: the rule that applies, and what a login would be asked.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::fs;

use serde_json::Value;
use support::{Desk, Ran, at, now, wrong_code_at};

const RULES: &str = r#"
[[rule]]
users = ["mallory"]
then = "deny"

[[rule]]
groups = ["root"]
from = ["192.0.2.0/24"]
then = "skip"

[[rule]]
services = ["sudo"]
then = "optional"
"#;

/// A store with rules, and pam.d files: `sshd` and `sudo` with the module, `login` without.
struct Host {
    desk: Desk,
}

impl Host {
    fn new(rules: &str, options: &str) -> Self {
        let desk = Desk::with_settings(rules);
        fs::create_dir(desk.path("pam.d")).unwrap();
        let line = format!("auth required pam_otpgate.so {options}\n");
        for (service, stack) in [
            ("sshd", line.as_str()),
            ("sudo", &line),
            ("login", "auth required pam_unix.so\n"),
        ] {
            fs::write(desk.path("pam.d").join(service), stack).unwrap();
        }
        Self { desk }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let directory = self.desk.path("pam.d");
        let fixed = [
            "check",
            "--pam-dir",
            directory.to_str().unwrap(),
            "--explain",
        ];
        self.desk.run(&[&fixed, arguments].concat())
    }

    fn explain(&self, arguments: &[&str]) -> Value {
        let ran = self.run(&[arguments, &["--json"]].concat());
        let json: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
        let status = if json["can_log_in"] == true { 0 } else { 1 };
        assert_eq!(ran.status, status, "{ran:?}");
        json
    }

    /// `asked`, and whether there is an answer that lets in.
    fn end(&self, arguments: &[&str]) -> (String, bool) {
        let json = self.explain(arguments);
        let asked = json["asked"].as_str().unwrap().to_owned();
        (asked, json["can_log_in"].as_bool().unwrap())
    }
}

fn outcome(asked: &str, can_log_in: bool) -> (String, bool) {
    (asked.to_owned(), can_log_in)
}

#[test]
fn the_rule_its_line_and_why_the_earlier_ones_do_not_apply() {
    let host = Host::new(RULES, "");
    host.desk.enroll("root", &[]);
    let text = host.run(&["root", "--from", "192.0.2.7"]).stdout;
    let rule = |number: &str| {
        let start = format!("  rule {number} ");
        let line = text.lines().find(|line| line.starts_with(&start));
        line.unwrap_or_else(|| panic!("no rule {number}:\n{text}"))
    };
    let config = fs::read_to_string(host.desk.path("otpgate.toml")).unwrap();
    let begins = config.lines().position(|line| line == "[[rule]]").unwrap() + 1;
    assert!(rule("1").contains(&format!(
        "otpgate.toml:{begins}, deny: does not apply; the user is not one of mallory"
    )));
    assert!(
        rule("2").contains(&format!("otpgate.toml:{}, skip: applies", begins + 4)),
        "{text}"
    );
    assert!(
        !text.contains("rule 3"),
        "the first that applies is the last that is looked at:\n{text}"
    );
    assert!(
        text.ends_with("=> No code: the rule says skip.\n"),
        "{text}"
    );

    let json = host.explain(&["root", "--from", "198.51.100.1"]);
    assert_eq!(
        json["rules"][1]["unmet"][0],
        "198.51.100.1 is in none of 192.0.2.0/24"
    );
    assert_eq!(json["rules"][2]["unmet"][0], "sshd is not one of sudo");
    assert_eq!(json["then"], "require");
    let json = host.explain(&["root"]);
    assert_eq!(
        json["rules"][1]["unmet"][0],
        "a login without an address comes from none of 192.0.2.0/24"
    );
    let json = host.explain(&["nobody", "--from", "192.0.2.7"]);
    let unmet = json["rules"][1]["unmet"][0].as_str().unwrap();
    assert!(
        unmet.starts_with("the user is not in root (groups: "),
        "{unmet}"
    );
}

#[test]
fn what_is_asked() {
    let host = Host::new(RULES, "");
    host.desk.enroll("root", &["--service", "sshd"]);
    for (arguments, asked, can_log_in) in [
        (&["root"][..], "code", true),
        (&["root", "--from", "192.0.2.7"], "nothing", true),
        (&["mallory"], "code", false),
        (&["nobody"], "code", false),
        (&["nobody", "--service", "sudo"], "nothing", true),
        (&["nobody", "--service", "login"], "nothing", true),
    ] {
        assert_eq!(
            host.end(arguments),
            outcome(asked, can_log_in),
            "{arguments:?}"
        );
    }
    // A device for another service: the recovery codes are left.
    let json = host.explain(&["root", "--service", "sudo"]);
    assert!(
        json["outcome"]
            .as_str()
            .unwrap()
            .starts_with("A recovery code (10 left)"),
        "{json}"
    );
    assert_eq!(json["person"]["enrolment"]["devices"][0]["serves"], false);
}

#[test]
fn nullok_turns_require_into_optional() {
    let host = Host::new("", "nullok");
    host.desk.enroll("root", &[]);
    assert_eq!(host.end(&["nobody"]), outcome("nothing", true));
    assert_eq!(host.end(&["root"]), outcome("code", true));
    assert_eq!(host.explain(&["root"])["nullok"], true);
}

#[test]
fn a_line_that_is_wrong_refuses_everybody() {
    let host = Host::new("", "nulok");
    let json = host.explain(&["root"]);
    assert_eq!(json["can_log_in"], false);
    assert!(
        json["outcome"].as_str().unwrap().contains("nullok"),
        "{json}"
    );
}

#[test]
fn the_configuration_that_the_line_names_is_what_counts() {
    let host = Host::new("[[rule]]\nthen = \"skip\"\n", "");
    let other = host.desk.path("other.toml");
    fs::write(
        &other,
        format!("state_dir = \"{}\"\n", host.desk.state_dir().display()),
    )
    .unwrap();
    let line = format!("auth required pam_otpgate.so config={}\n", other.display());
    fs::write(host.desk.path("pam.d/sudo"), line).unwrap();
    assert_eq!(host.explain(&["root"])["then"], "skip");
    let json = host.explain(&["root", "--service", "sudo"]);
    assert_eq!(json["then"], "require");
    assert_eq!(json["config"], other.to_str().unwrap());
}

#[test]
fn what_holds_somebody_up_comes_with_its_cure() {
    let host = Host::new("", "");
    let secret = host.desk.enroll("root", &[]).secret;
    // Far enough apart that each counts; after the last there are minutes to wait.
    for ago in (0..10).rev() {
        let then = now() - 1000 * ago;
        let wrong = wrong_code_at(then, &secret);
        let _ = host.desk.log_in("root", &wrong, &at(then));
    }
    let json = host.explain(&["root", "--from", "192.0.2.7"]);
    assert!(
        json["outcome"]
            .as_str()
            .unwrap()
            .contains("`otpgate unlock root`"),
        "{json}"
    );
    assert!(
        json["person"]["enrolment"]["throttled_until"]
            .as_u64()
            .unwrap()
            > now()
    );
    host.desk.must(&["unlock", "root"]);
    assert_eq!(host.end(&["root"]), outcome("code", true));
    host.desk.must(&["disable", "root"]);
    let json = host.explain(&["root"]);
    assert!(
        json["outcome"]
            .as_str()
            .unwrap()
            .contains("`otpgate enable root`"),
        "{json}"
    );
}

#[test]
fn a_file_of_the_users_own_is_what_counts_for_who_is_not_enrolled() {
    let host = Host::new("", "secret=/nowhere/${USER}");
    assert_eq!(host.end(&["root"]), outcome("code", false));
    let place = host.desk.path("${USER}");
    let line = format!("auth required pam_otpgate.so secret={}\n", place.display());
    fs::write(host.desk.path("pam.d/sshd"), line).unwrap();
    fs::write(host.desk.path("root"), "").unwrap();
    let json = host.explain(&["root"]);
    assert_eq!(json["asked"], "own_file");
    assert_eq!(
        json["person"]["own_file"],
        host.desk.path("root").to_str().unwrap()
    );
}

#[test]
fn names_that_could_move_the_cursor_do_not() {
    let host = Host::new("", "");
    let ran = host.run(&["a\u{1b}[2Jb"]);
    assert!(!ran.stdout.contains('\u{1b}'), "{ran:?}");
}

#[test]
fn who_may_enrol_first_is_told_from_who_is_refused() {
    let rules = r#"
[[rule]]
from = ["192.0.2.0/24"]
then = "require"
enrol = "open"

[[rule]]
services = ["sudo"]
then = "require"
enrol_until = "2999-12-31"
"#;
    for (options, office, invited) in [
        ("enrol", outcome("enrolment", true), outcome("invite", true)),
        ("", outcome("code", false), outcome("code", false)),
    ] {
        let host = Host::new(rules, options);
        assert_eq!(host.end(&["nobody", "--from", "192.0.2.7"]), office);
        assert_eq!(host.end(&["nobody"]), outcome("code", false));
        let dated = host.end(&["nobody", "--service", "sudo"]);
        assert_eq!(dated, outcome("nothing", true));
        assert_eq!(host.desk.run(&["invite", "nobody"]).status, 0);
        assert_eq!(host.end(&["nobody"]), invited);
        let json = host.explain(&["nobody"]);
        assert!(json["person"]["enrolment"]["invited_until"].is_u64());
    }
}
