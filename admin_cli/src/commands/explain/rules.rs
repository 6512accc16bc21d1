//! The rules, one by one, until the first that applies.

use std::fmt::Write as _;
use std::path::Path;

use otp_core::config::Config;
use otp_core::rules::{Login, Rule, Then, Unmet};
use otp_core::source::Origin;
use pam_ffi::nss;
use serde_json::{Value, json};

use crate::error::CliError;

/// The way through the rules.
pub(super) struct Walk {
    steps: Vec<Step>,
    /// What the first that applies says, or what holds when none does.
    pub(super) then: Then,
}

/// One rule that was looked at.
struct Step {
    /// From 1.
    number: usize,
    line: usize,
    then: Then,
    /// Why it does not apply; empty for the one that does.
    unmet: Vec<String>,
}

/// As the configuration spells it.
pub(super) fn name(then: Then) -> &'static str {
    match then {
        Then::Require => "require",
        Then::Optional => "optional",
        Then::Skip => "skip",
        Then::Deny => "deny",
    }
}

impl Walk {
    /// Looks the user up as a login would, and goes through the rules.
    ///
    /// # Errors
    /// When a rule needs to know names or groups that cannot be looked up: then logins are refused too.
    pub(super) fn new(
        config: &Config,
        user: &str,
        service: &str,
        origin: Origin,
    ) -> Result<Self, CliError> {
        let rules = &config.rules;
        let fail = |error: std::io::Error| {
            CliError::new(format!(
                "a rule needs to know {user}'s names or groups, and the name service does not answer ({error}): \
                 logins are refused meanwhile"
            ))
        };
        let mut names = vec![user.as_bytes().to_vec()];
        if rules.iter().any(|rule| rule.users.is_some()) {
            let canonical = nss::canonical_name(user.as_bytes()).map_err(fail)?;
            names.extend(canonical.filter(|name| name != user.as_bytes()));
        }
        let named: Vec<&String> = rules
            .iter()
            .flat_map(|rule| rule.groups.iter().flatten())
            .collect();
        for group in &named {
            nss::group_answers(group.as_bytes()).map_err(fail)?;
        }
        let groups = match named.as_slice() {
            [] => Vec::new(),
            _ => nss::groups_of(user.as_bytes()).map_err(fail)?,
        };
        let login = Login {
            names: &names,
            service,
            origin,
        };
        Ok(Self::through(config, &login, &groups))
    }

    fn through(config: &Config, login: &Login<'_>, groups: &[Vec<u8>]) -> Self {
        let mut steps = Vec::new();
        for (position, rule) in config.rules.iter().enumerate() {
            let unmet = rule.unmet(login, groups);
            let step = Step {
                number: position + 1,
                line: config.rule_lines.get(position).copied().unwrap_or_default(),
                then: rule.then,
                unmet: unmet.map(|unmet| why(unmet, rule, login, groups)).collect(),
            };
            let applies = step.unmet.is_empty();
            steps.push(step);
            if applies {
                return Self {
                    steps,
                    then: rule.then,
                };
            }
        }
        Self {
            steps,
            then: Then::default(),
        }
    }

    /// Which rule applies, from 0.
    pub(super) fn position(&self) -> Option<usize> {
        self.applies().map(|step| step.number - 1)
    }

    fn applies(&self) -> Option<&Step> {
        self.steps.last().filter(|step| step.unmet.is_empty())
    }

    pub(super) fn as_json(&self) -> Value {
        let step = |step: &Step| {
            json!({
                "number": step.number,
                "line": step.line,
                "then": name(step.then),
                "applies": step.unmet.is_empty(),
                "unmet": step.unmet,
            })
        };
        self.steps.iter().map(step).collect()
    }

    pub(super) fn as_text(&self, path: &Path) -> String {
        let path = path.display();
        let mut text = String::new();
        // Writing to a String cannot fail.
        for step in &self.steps {
            let head = format!(
                "  rule {:<7} {path}:{}, {}",
                step.number,
                step.line,
                name(step.then)
            );
            let _ = match step.unmet.as_slice() {
                [] => writeln!(text, "{head}: applies"),
                unmet => writeln!(text, "{head}: does not apply; {}", unmet.join("; ")),
            };
        }
        if self.applies().is_none() {
            let which = if self.steps.is_empty() {
                "there is none"
            } else {
                "none applies"
            };
            let _ = writeln!(text, "  rules        {which}: require");
        }
        text
    }
}

/// In words, with what was compared.
fn why(unmet: Unmet, rule: &Rule, login: &Login<'_>, groups: &[Vec<u8>]) -> String {
    let list = |names: &Option<Vec<String>>| {
        names
            .iter()
            .flatten()
            .cloned()
            .collect::<Vec<_>>()
            .join(", ")
    };
    match unmet {
        Unmet::Users => format!("the user is not one of {}", list(&rule.users)),
        Unmet::Groups => {
            let mut own: Vec<_> = groups
                .iter()
                .map(|name| String::from_utf8_lossy(name))
                .collect();
            own.sort_unstable();
            let own = if own.is_empty() {
                "none".to_owned()
            } else {
                own.join(", ")
            };
            format!("the user is not in {} (groups: {own})", list(&rule.groups))
        }
        Unmet::Services => format!("{} is not one of {}", login.service, list(&rule.services)),
        Unmet::From => {
            let networks = rule.from.iter().flatten().map(ToString::to_string);
            let networks = networks.collect::<Vec<_>>().join(", ");
            match login.origin {
                Origin::Address(address) => format!("{address} is in none of {networks}"),
                Origin::Local | Origin::Opaque => {
                    format!("a login without an address comes from none of {networks}")
                }
            }
        }
    }
}
