//! What is being asked? Known to the letter, or not at all.
//!
//! ssh puts `(user@host) ` before what the server wrote, so the server can neither leave it away nor write
//! another's. The text behind it is the server's, control characters already made harmless by ssh.

use std::fmt;

use super::config::Login;

/// Longer questions are refused unread. ssh's own about a host key has some 300 bytes.
const LONGEST: usize = 2048;
/// How much of a question an error repeats.
const SHOWN: usize = 120;

/// A question that is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Prompt<'a> {
    /// The server of this login asks.
    Asks(&'a Login, Question),
    /// ssh asks whether it knows the server. The answer is the fingerprint, which ssh compares once more.
    HostKey {
        /// `SHA256:...`, as the configuration has it.
        fingerprint: &'a str,
    },
}

/// What a server may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// `Password: `
    Password,
    /// `Verification code: `
    Code,
}

/// Why a question is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Longer than any that is known.
    TooLong,
    /// It could write on somebody's terminal.
    ControlCharacters,
    /// Neither Password: nor Verification code:.
    Words,
    /// Another server asks, or another user is meant.
    Login,
    /// Without `(user@host) `, and no login allows that.
    Unprefixed,
    /// A host key that no login names.
    HostKey,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the question is too long",
            Self::ControlCharacters => "the question has control characters",
            Self::Words => "this question is not known",
            Self::Login => "this login is not known",
            Self::Unprefixed => {
                "the question says for whom and where in no \"(user@host)\", and no login has allow_unprefixed"
            }
            Self::HostKey => "this host key is in no login's fingerprints",
        })
    }
}

/// Reads a question.
pub(super) fn parse<'a>(text: &str, logins: &'a [Login]) -> Result<Prompt<'a>, Unknown> {
    if text.len() > LONGEST {
        return Err(Unknown::TooLong);
    }
    if text.starts_with(HOST_KEY_START) {
        return host_key(text, logins);
    }
    if text.chars().any(char::is_control) {
        return Err(Unknown::ControlCharacters);
    }
    if let Some(question) = words(text) {
        let login = logins.iter().find(|login| login.allow_unprefixed);
        return login
            .map(|login| Prompt::Asks(login, question))
            .ok_or(Unknown::Unprefixed);
    }
    for login in logins {
        let rest = login.who.iter().find_map(|who| behind(text, who));
        if let Some(rest) = rest {
            let question = words(rest).ok_or(Unknown::Words)?;
            return Ok(Prompt::Asks(login, question));
        }
    }
    Err(if text.starts_with('(') {
        Unknown::Login
    } else {
        Unknown::Words
    })
}

fn behind<'a>(text: &'a str, who: &str) -> Option<&'a str> {
    text.strip_prefix('(')?
        .strip_prefix(who)?
        .strip_prefix(") ")
}

fn words(text: &str) -> Option<Question> {
    // Some servers leave the space at the end away.
    match text.strip_suffix(' ').unwrap_or(text) {
        "Password:" => Some(Question::Password),
        "Verification code:" => Some(Question::Code),
        _ => None,
    }
}

const HOST_KEY_START: &str = "The authenticity of host '";
const HOST_KEY_END: &str = "Are you sure you want to continue connecting (yes/no/[fingerprint])? ";

/// ssh's own question. Its first line names the host; a line of its own has the fingerprint.
fn host_key<'a>(text: &str, logins: &'a [Login]) -> Result<Prompt<'a>, Unknown> {
    if text
        .chars()
        .any(|letter| letter.is_control() && letter != '\n')
    {
        return Err(Unknown::ControlCharacters);
    }
    let about = text
        .strip_prefix(HOST_KEY_START)
        .and_then(|rest| rest.trim_end_matches('\n').strip_suffix(HOST_KEY_END));
    let (host, _) = about
        .and_then(|about| about.split_once(" ("))
        .ok_or(Unknown::Words)?;
    let host = without_port(host);
    let shown = text
        .lines()
        .find_map(|line| line.split_once(" key fingerprint is "))
        .map(|(_, fingerprint)| fingerprint.strip_suffix('.').unwrap_or(fingerprint))
        .ok_or(Unknown::Words)?;
    let fingerprints = logins
        .iter()
        .filter(|login| login.is_at(host))
        .flat_map(|login| &login.fingerprints);
    fingerprints
        .map(String::as_str)
        .find(|known| *known == shown)
        .map(|fingerprint| Prompt::HostKey { fingerprint })
        .ok_or(Unknown::HostKey)
}

/// `[host]:port` is how ssh writes a host with a port of its own.
fn without_port(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|rest| rest.rsplit_once("]:"))
        .map_or(host, |(host, _)| host)
}

/// The beginning of a question, fit for a terminal and a log.
pub(super) fn shown(text: &str) -> String {
    let beginning: String = text.chars().take(SHOWN).collect();
    let more = if beginning.len() < text.len() {
        " ..."
    } else {
        ""
    };
    format!("\"{}\"{more}", pam_ffi::syslog::printable(&beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logins() -> Vec<Login> {
        let named = |who: &[&str], allow_unprefixed| Login {
            who: who.iter().map(|who| (*who).to_owned()).collect(),
            password: None,
            code: None,
            allow_unprefixed,
            fingerprints: vec!["SHA256:right".to_owned()],
        };
        vec![
            named(&["alice@server", "alice@192.0.2.1"], false),
            named(&["bob@server"], false),
        ]
    }

    fn asked(text: &str) -> Result<(String, Question), Unknown> {
        match parse(text, &logins())? {
            Prompt::Asks(login, question) => Ok((login.name().to_owned(), question)),
            Prompt::HostKey { .. } => panic!("no host key: {text}"),
        }
    }

    #[test]
    fn the_two_questions_of_the_logins_that_are_named() {
        for (text, who, question) in [
            (
                "(alice@server) Password: ",
                "alice@server",
                Question::Password,
            ),
            (
                "(alice@server) Verification code: ",
                "alice@server",
                Question::Code,
            ),
            (
                "(alice@192.0.2.1) Verification code:",
                "alice@server",
                Question::Code,
            ),
            ("(bob@server) Password: ", "bob@server", Question::Password),
        ] {
            assert_eq!(asked(text), Ok((who.to_owned(), question)), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let huge = format!("(alice@server) {}Password: ", " ".repeat(5000));
        for (text, why) in [
            ("Password: ", Unknown::Unprefixed),
            ("Verification code: ", Unknown::Unprefixed),
            ("(mallory@server) Password: ", Unknown::Login),
            ("(alice@evil) Verification code: ", Unknown::Login),
            ("(alice@server.evil) Verification code: ", Unknown::Login),
            // ssh writes the first brackets, the server the second.
            (
                "(alice@evil) (alice@server) Verification code: ",
                Unknown::Login,
            ),
            ("(alice@server) (bob@server) Password: ", Unknown::Words),
            (
                "(alice@server) Verification code: Verification code: ",
                Unknown::Words,
            ),
            ("(alice@server) verification code: ", Unknown::Words),
            ("(alice@server)  Password: ", Unknown::Words),
            ("(alice@server) Password:  ", Unknown::Words),
            ("(alice@server) Current password: ", Unknown::Words),
            ("(alice@server) ", Unknown::Words),
            ("alice@server's password: ", Unknown::Words),
            (
                "Enter passphrase for key '/home/alice/.ssh/id': ",
                Unknown::Words,
            ),
            (
                "(alice@server) Password: \u{1b}[2J",
                Unknown::ControlCharacters,
            ),
            ("(alice@server) \rPassword: ", Unknown::ControlCharacters),
            ("(alice@server) Password: \n", Unknown::ControlCharacters),
            ("", Unknown::Words),
            (&huge, Unknown::TooLong),
        ] {
            assert_eq!(asked(text), Err(why), "{text:?}");
        }
    }

    #[test]
    fn without_brackets_only_where_a_login_allows_it() {
        let mut logins = logins();
        logins[1].allow_unprefixed = true;
        let bob = Prompt::Asks(&logins[1], Question::Code);
        assert_eq!(parse("Verification code: ", &logins), Ok(bob));
        assert_eq!(
            parse("(mallory@server) Password: ", &logins),
            Err(Unknown::Login)
        );
    }

    fn about(host: &str, fingerprint: &str) -> String {
        format!(
            "The authenticity of host '{host} ({host})' can't be established.\n\
             ED25519 key fingerprint is {fingerprint}.\n\
             This key is not known by any other names.\n\
             Are you sure you want to continue connecting (yes/no/[fingerprint])? "
        )
    }

    #[test]
    fn a_host_key_is_known_by_host_and_fingerprint() {
        for (host, fingerprint, known) in [
            ("server", "SHA256:right", true),
            ("[server]:2222", "SHA256:right", true),
            ("192.0.2.1", "SHA256:right", true),
            ("server", "SHA256:wrong", false),
            ("server", "SHA256:right.", false),
            ("evil", "SHA256:right", false),
        ] {
            let text = about(host, fingerprint);
            let fingerprint = "SHA256:right";
            let expected = if known {
                Ok(Prompt::HostKey { fingerprint })
            } else {
                Err(Unknown::HostKey)
            };
            assert_eq!(parse(&text, &logins()), expected, "{text}");
        }
        let cut = about("server", "SHA256:right").replace("/[fingerprint]", "");
        assert_eq!(parse(&cut, &logins()), Err(Unknown::Words));
    }

    #[test]
    fn what_is_shown_of_a_question_moves_no_cursor() {
        assert_eq!(shown("a\u{1b}[2Jb"), "\"a?[2Jb\"");
        assert!(shown(&"x".repeat(4000)).len() < 200);
    }
}
