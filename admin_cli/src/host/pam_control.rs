//! The control field of a pam.d line: what libpam does with a module's answer (pam.conf(5)).

/// What libpam does after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// The answer does not count.
    Ignore,
    /// A success, unless something failed before.
    Ok,
    /// As `Ok`, and the stack ends here.
    Done,
    /// A failure; the stack goes on.
    Bad,
    /// A failure; the stack ends here.
    Die,
    /// Forget what this stack decided so far.
    Reset,
    /// Skip this many lines.
    Jump(usize),
}

/// What libpam makes of one answer, by the names of pam.conf(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// As written, for messages.
    pub text: String,
    named: Vec<(&'static str, Action)>,
    default: Action,
}

/// Every answer a module can give (libpam's `_pam_token_returns`, without `default`).
pub const ANSWERS: [&str; 32] = [
    "success",
    "open_err",
    "symbol_err",
    "service_err",
    "system_err",
    "buf_err",
    "perm_denied",
    "auth_err",
    "cred_insufficient",
    "authinfo_unavail",
    "user_unknown",
    "maxtries",
    "new_authtok_reqd",
    "acct_expired",
    "session_err",
    "cred_unavail",
    "cred_expired",
    "cred_err",
    "no_module_data",
    "conv_err",
    "authtok_err",
    "authtok_recover_err",
    "authtok_lock_busy",
    "authtok_disable_aging",
    "try_again",
    "ignore",
    "abort",
    "authtok_expired",
    "module_unknown",
    "bad_item",
    "conv_again",
    "incomplete",
];

impl Control {
    /// Reads `required`, `sufficient`, or `[value=action ...]`; `None` if libpam would reject it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            Some(pairs) => Self::bracketed(text, pairs),
            None => Self::keyword(text),
        }
    }

    /// What libpam puts in the place of a control it cannot read: every answer is a failure.
    #[must_use]
    pub fn all_bad(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            named: Vec::new(),
            default: Action::Bad,
        }
    }

    /// What happens after this answer.
    #[must_use]
    pub fn action(&self, answer: &str) -> Action {
        self.named
            .iter()
            .find(|(name, _)| *name == answer)
            .map_or(self.default, |(_, action)| *action)
    }

    fn keyword(text: &str) -> Option<Self> {
        let (success, ignore, default) = match text.to_ascii_lowercase().as_str() {
            "required" => (Action::Ok, Action::Ignore, Action::Bad),
            "requisite" => (Action::Ok, Action::Ignore, Action::Die),
            "sufficient" => (Action::Done, Action::Ignore, Action::Ignore),
            "optional" => (Action::Ok, Action::Ignore, Action::Ignore),
            _ => return None,
        };
        Some(Self {
            text: text.to_owned(),
            named: vec![
                ("success", success),
                ("new_authtok_reqd", success),
                ("ignore", ignore),
            ],
            default,
        })
    }

    fn bracketed(text: &str, pairs: &str) -> Option<Self> {
        // Without a default libpam takes every answer that is not named for a failure.
        let mut control = Self::all_bad(text);
        let mut has_default = false;
        let spaced = pairs.replace('=', " = ");
        let mut words = spaced.split_whitespace();
        while let Some(name) = words.next() {
            let (Some("="), Some(action)) = (words.next(), words.next()) else {
                return None;
            };
            let action = parse_action(action)?;
            if name == "default" {
                // libpam fills in what is still open, so a second default finds nothing to fill.
                if !has_default {
                    control.default = action;
                }
                has_default = true;
            } else {
                let known = ANSWERS.iter().find(|answer| **answer == name)?;
                control.named.retain(|(earlier, _)| earlier != known);
                control.named.push((known, action));
            }
        }
        Some(control)
    }
}

fn parse_action(word: &str) -> Option<Action> {
    Some(match word {
        "ignore" => Action::Ignore,
        "ok" => Action::Ok,
        "done" => Action::Done,
        "bad" => Action::Bad,
        "die" => Action::Die,
        "reset" => Action::Reset,
        // A jump over nothing is no jump: libpam rejects the whole control.
        number => match number.parse().ok()? {
            0 => return None,
            count => Action::Jump(count),
        },
    })
}
