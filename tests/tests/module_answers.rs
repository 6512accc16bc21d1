//! What may come back from the prompt, and what it costs.
//!
//! For each answer: the PAM code, the reason in the log, whether it counts as a failure, and whether
//! the device's counter moves. Fails when an answer is evaluated that is no guess (sshd would use up
//! the owner's free failures), or when a spelling of a used code passes as another code.

use std::fs;
use std::time::Duration;
use tests::installation::Installation;
use tests::oath;
use tests::sandbox::{self, Sandbox};

const PASSWORD: &str = "correct horse 7";
/// For a line to arrive.
const LOGGED: Duration = Duration::from_secs(10);

/// What an answer leads to.
#[derive(Clone, Copy)]
enum Leads {
    /// In: the counter moves.
    In,
    /// Out, with this reason; no failure is counted and no code used up.
    Uncounted(&'static str),
    /// Out, with this reason, and counted.
    Counted(&'static str),
}

use Leads::{Counted, In, Uncounted};

#[test]
fn what_is_no_guess_is_refused_and_not_counted() {
    each(|host| {
        let none: [&str; 0] = [];
        host.expect("no answer at all", none, Uncounted("conversation_failed"));
        host.expect(
            "failure",
            ["--answer-fail"],
            Uncounted("conversation_failed"),
        );
        host.expect("null", ["--answer-null"], Uncounted("no_answer"));
        host.expect("empty", ["--answer", ""], Uncounted("empty_answer"));
        host.expect(
            "white space",
            ["--answer", " \t "],
            Uncounted("empty_answer"),
        );
        // pam_ffi's conversation refuses a NUL; any other would end the answer there, for PAM's
        // answers are C strings.
        let nul = ["--answer-hex", "31323300343536"];
        host.expect("NUL inside", nul, Uncounted("conversation_failed"));
        // sshd for users whom it will not admit: backspace, newline, return, delete, INCORRECT.
        let filler = ["--answer-hex", "080a0d7f494e434f5252454354"];
        host.expect("sshd's filler", filler, Uncounted("control_bytes"));
        host.expect(
            "escape",
            ["--answer", "\x1b[A123456"],
            Uncounted("control_bytes"),
        );
        host.expect(
            "tab inside",
            ["--answer", "123\t456"],
            Uncounted("control_bytes"),
        );
        host.expect(
            "513 bytes",
            ["--answer", &"1".repeat(513)],
            Uncounted("answer_too_long"),
        );
        let megabyte = host.installation.path("megabyte");
        fs::write(&megabyte, "1".repeat(1 << 20)).unwrap();
        let from_file = ["--answers-file", megabyte.to_str().unwrap()];
        host.expect("a megabyte", from_file, Uncounted("answer_too_long"));
        host.expect_of(
            "password",
            "the password",
            ["--answer", PASSWORD, "--answer", PASSWORD],
            Uncounted("answered_with_password"),
        );
    });
}

#[test]
fn what_is_no_code_is_refused_like_a_wrong_one() {
    each(|host| {
        for (what, answer) in [
            ("letters", "abcdef"),
            ("five digits", "12345"),
            ("nine digits", "123456789"),
            ("a sign", "+123456"),
            ("full-width digits", "１２３４５６"),
            ("512 bytes", &"1".repeat(512)),
            ("a format string", "%s%n%x"),
            ("a path", "../../etc/shadow"),
            ("a recovery code of nobody", "AAAAA-BBBBB-CCCCC-DDDDD-EEEEE"),
        ] {
            host.expect(what, ["--answer", answer], Counted("wrong"));
        }
        host.expect(
            "not UTF-8",
            ["--answer-hex", "fffe3132333435"],
            Counted("wrong"),
        );
    });
}

/// How a person or a phone may space a code out.
const SPELLINGS: [fn(&str) -> String; 8] = [
    |code| code.to_owned(),
    |code| format!(" {code}"),
    |code| format!("{code} "),
    |code| format!("\t{code}\r\n"),
    |code| format!("{} {}", &code[..3], &code[3..]),
    |code| format!("{}-{}", &code[..3], &code[3..]),
    |code| format!("{} - {}", &code[..2], &code[2..]),
    |code| code.chars().map(|digit| format!("{digit} ")).collect(),
];

#[test]
fn every_spelling_of_a_fresh_code_lets_in() {
    each(|host| {
        for spelling in SPELLINGS {
            let code = spelling(&host.next_code());
            host.expect(&format!("{code:?}"), ["--answer", &code], In);
        }
    });
}

#[test]
fn no_spelling_of_a_used_code_lets_in_again() {
    each(|host| {
        let now = oath::totp(&host.totp_secret, None, "sha1", 6);
        let login = |code: &str| host.installation.login("terry").answer(code).run();
        // A step may end in between; two codes are valid then, and neither is this one.
        assert!(login(&now).success());
        for spelling in SPELLINGS {
            let again = login(&spelling(&now));
            assert_eq!(again.code(), "PAM_AUTH_ERR", "{:?}", spelling(&now));
        }
        let used = host.next_code();
        host.expect("fresh", ["--answer", &used], In);
        for spelling in SPELLINGS {
            let code = spelling(&used);
            host.expect(
                &format!("used {code:?}"),
                ["--answer", &code],
                Uncounted("replayed"),
            );
        }
    });
}

#[test]
fn every_spelling_of_a_recovery_code_works_once() {
    each(|host| {
        let spellings: [fn(&str) -> String; 5] = [
            |code| code.to_owned(),
            |code| code.to_lowercase(),
            |code| code.replace('-', ""),
            |code| code.replace('-', " "),
            |code| format!("  {}\n", code.replace('0', "o").replace('1', "l")),
        ];
        for (spelling, code) in spellings.iter().zip(&host.recovery_codes) {
            let answer = spelling(code);
            let login = |answer: &str| host.installation.login("alice").answer(answer).run();
            assert!(login(&answer).success(), "{answer:?}");
            for spelling in spellings {
                assert_eq!(login(&spelling(code)).code(), "PAM_AUTH_ERR", "{answer:?}");
            }
        }
        assert_eq!(
            host.installation.failures("alice"),
            0,
            "a used code is no guess"
        );
    });
}

struct Host<'a> {
    sandbox: &'a Sandbox,
    installation: Installation,
    secret: String,
    recovery_codes: Vec<String>,
    totp_secret: String,
}

fn each(test: impl FnOnce(&Host) + Send) {
    sandbox::run(|sandbox| {
        let installation = Installation::prepared(&sandbox.path(""), "");
        installation.must(&["init"]);
        installation.service("password", &installation.auth_line("ask_password"));
        let alice = installation.enroll("alice", &["--hotp"]);
        let terry = installation.enroll("terry", &["--totp"]);
        test(&Host {
            sandbox,
            installation,
            secret: alice.secret,
            recovery_codes: alice.recovery_codes,
            totp_secret: terry.secret,
        });
    });
}

impl Host<'_> {
    fn next_code(&self) -> String {
        oath::hotp(&self.secret, self.installation.next("alice"), 6)
    }

    fn expect<'b>(&self, what: &str, answer: impl IntoIterator<Item = &'b str>, leads: Leads) {
        self.expect_of("login-test", what, answer, leads);
    }

    /// One login of Alice's from a new address, with nothing counted before.
    fn expect_of<'b>(
        &self,
        service: &str,
        what: &str,
        answer: impl IntoIterator<Item = &'b str>,
        leads: Leads,
    ) {
        self.installation.must(&["unlock", "alice"]);
        let source = format!("10.0.0.{}", self.sandbox.number());
        let next = self.installation.next("alice");
        let login = self.installation.login("alice").service(service);
        let report = login.from(&source).with(answer).run();
        let (code, words, counted, moved) = match leads {
            In => ("PAM_SUCCESS", "result=accepted".to_owned(), 0, 1),
            Uncounted(reason) => ("PAM_AUTH_ERR", format!("reason={reason}"), 0, 0),
            Counted(reason) => ("PAM_AUTH_ERR", format!("reason={reason}"), 1, 0),
        };
        assert_eq!(report.code(), code, "{what}: {report:?}");
        assert_eq!(
            self.installation.failures("alice"),
            counted,
            "{what}: failures"
        );
        assert_eq!(
            self.installation.next("alice"),
            next + moved,
            "{what}: counter"
        );
        let source = format!("source={source} ");
        let line = |line: &str| line.contains(&source) && line.contains(&words);
        self.sandbox.syslog().wait_for(LOGGED, line);
    }
}
