//! Who has to show a code, where: `[[rule]]` in the configuration, first match wins.

use ipnet::IpNet;
use serde::Deserialize;

use crate::day::Day;
use crate::source::Origin;

/// What a rule asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// A code; whoever is not enrolled is refused.
    #[default]
    Require,
    /// A code from those who are enrolled.
    Optional,
    /// No code.
    Skip,
    /// Nobody gets in, with a code or without.
    Deny,
}

/// One rule. A condition that is absent holds for everybody.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// User names.
    pub users: Option<Vec<String>>,
    /// Groups of the system, primary or supplementary.
    pub groups: Option<Vec<String>>,
    /// PAM services.
    pub services: Option<Vec<String>>,
    /// Networks in CIDR notation. A login whose address is not known comes from none of them.
    pub from: Option<Vec<IpNet>>,
    /// What to do.
    pub then: Then,
    /// How people who are not enrolled become it; by invite alone when absent.
    pub enrol: Option<Enrol>,
    /// Until the end of this day people who are not enrolled get in; with `enrol = "open"`, they enrol without
    /// an invite until then.
    pub enrol_until: Option<Day>,
}

/// `enrol =` of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Enrol {
    /// At the login, with the password alone.
    Open,
}

/// What holds for somebody who is not enrolled and has to show a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unenrolled {
    /// The last day of what is allowed for a while.
    pub until: Option<Day>,
    /// Whether they enrol without an invite.
    pub open: bool,
}

/// What the rules look at.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// The user name, in every spelling that is known: name services may know one user under several.
    pub names: &'a [Vec<u8>],
    /// The PAM service.
    pub service: &'a str,
    /// From where.
    pub origin: Origin,
}

/// The first rule that matches, with its position; [`Then::Require`] when none does.
///
/// `groups` is asked for the user's groups once at most, and only when a rule depends on them.
///
/// # Errors
/// What `groups` fails with: not knowing the groups is no reason to pass over a rule.
pub fn first_match<E>(
    rules: &[Rule],
    login: &Login<'_>,
    groups: impl FnOnce() -> Result<Vec<Vec<u8>>, E>,
) -> Result<(Then, Option<usize>), E> {
    let mut ask = Some(groups);
    let mut known: Vec<Vec<u8>> = Vec::new();
    for (position, rule) in rules.iter().enumerate() {
        if !rule.matches_apart_from_groups(login) {
            continue;
        }
        if let Some(wanted) = &rule.groups {
            if let Some(ask) = ask.take() {
                known = ask()?;
            }
            if !wanted
                .iter()
                .any(|group| known.iter().any(|name| name == group.as_bytes()))
            {
                continue;
            }
        }
        return Ok((rule.then, Some(position)));
    }
    Ok((Then::default(), None))
}

/// A condition of a rule that a login does not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmet {
    /// The user is not named.
    Users,
    /// The user is in none of the groups.
    Groups,
    /// The service is not named.
    Services,
    /// The address is in none of the networks, or is not known.
    From,
}

impl Rule {
    /// The conditions that keep the rule from applying to a user with these groups; none when it applies.
    pub fn unmet(&self, login: &Login<'_>, groups: &[Vec<u8>]) -> impl Iterator<Item = Unmet> {
        let member = |group: &String| groups.iter().any(|name| name == group.as_bytes());
        let wanted = self.groups.as_ref();
        let groups = wanted.is_some_and(|wanted| !wanted.iter().any(member));
        let others = self.unmet_apart_from_groups(login);
        others.chain(groups.then_some(Unmet::Groups))
    }

    fn matches_apart_from_groups(&self, login: &Login<'_>) -> bool {
        self.unmet_apart_from_groups(login).next().is_none()
    }

    fn unmet_apart_from_groups(&self, login: &Login<'_>) -> impl Iterator<Item = Unmet> + use<> {
        let known = |name: &String| login.names.iter().any(|known| known == name.as_bytes());
        let user = |names: &Vec<String>| names.iter().any(known);
        let service = |names: &Vec<String>| names.iter().any(|name| name == login.service);
        let network = |networks: &Vec<IpNet>| match login.origin {
            Origin::Address(address) => networks.iter().any(|network| network.contains(&address)),
            Origin::Local | Origin::Opaque => false,
        };
        let met = [
            (self.users.as_ref().is_none_or(user), Unmet::Users),
            (self.services.as_ref().is_none_or(service), Unmet::Services),
            (self.from.as_ref().is_none_or(network), Unmet::From),
        ];
        let unmet = met.into_iter().filter(|(met, _)| !met);
        unmet.map(|(_, condition)| condition)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn rules() -> Vec<Rule> {
        let text = r#"
            [[rule]]
            users = ["mallory"]
            then = "deny"
            [[rule]]
            groups = ["robots"]
            from = ["192.0.2.0/24", "2001:db8::/32"]
            then = "skip"
            [[rule]]
            services = ["sudo"]
            then = "optional"
        "#;
        #[derive(Deserialize)]
        struct File {
            rule: Vec<Rule>,
        }
        toml::from_str::<File>(text).unwrap().rule
    }

    fn outcome(user: &str, service: &str, rhost: &str) -> (Then, Option<usize>) {
        let origin = Origin::from_pam(Some(rhost.as_bytes()), None, None);
        let names = [user.as_bytes().to_vec()];
        let login = Login {
            names: &names,
            service,
            origin,
        };
        let groups = || {
            Ok::<_, Infallible>(if user == "r2d2" {
                vec![b"robots".to_vec()]
            } else {
                Vec::new()
            })
        };
        first_match(&rules(), &login, groups).unwrap()
    }

    #[test]
    fn the_first_match_wins() {
        for (user, service, rhost, expected) in [
            ("mallory", "sudo", "192.0.2.1", (Then::Deny, Some(0))),
            ("r2d2", "sshd", "192.0.2.1", (Then::Skip, Some(1))),
            ("r2d2", "sshd", "2001:db8::7", (Then::Skip, Some(1))),
            ("r2d2", "sshd", "198.51.100.1", (Then::Require, None)),
            ("r2d2", "sudo", "host.example", (Then::Optional, Some(2))),
            ("alice", "sshd", "192.0.2.1", (Then::Require, None)),
        ] {
            assert_eq!(
                outcome(user, service, rhost),
                expected,
                "{user} {service} {rhost}"
            );
        }
    }

    #[test]
    fn what_keeps_a_rule_from_applying_is_what_the_first_match_goes_by() {
        let robots = [b"robots".to_vec()];
        let login = |names, service, rhost: &[u8]| Login {
            names,
            service,
            origin: Origin::from_pam(Some(rhost), None, None),
        };
        let unmet = |position: usize, login: &Login<'_>, groups: &[Vec<u8>]| -> Vec<Unmet> {
            rules()[position].unmet(login, groups).collect()
        };
        let r2d2 = [b"r2d2".to_vec()];
        let inside = login(&r2d2, "sshd", b"192.0.2.1");
        assert_eq!(unmet(0, &inside, &robots), [Unmet::Users]);
        assert_eq!(unmet(1, &inside, &robots), []);
        assert_eq!(unmet(1, &inside, &[]), [Unmet::Groups]);
        let outside = login(&r2d2, "sshd", b"198.51.100.1");
        assert_eq!(unmet(1, &outside, &[]), [Unmet::From, Unmet::Groups]);
        assert_eq!(unmet(2, &outside, &robots), [Unmet::Services]);
        for (login, groups) in [(inside, &robots[..]), (outside, &[])] {
            let known = || Ok::<_, Infallible>(groups.to_vec());
            let (_, first) = first_match(&rules(), &login, known).unwrap();
            let expected = (0..3).find(|position| unmet(*position, &login, groups).is_empty());
            assert_eq!(first, expected);
        }
    }

    #[test]
    fn unknown_groups_are_an_error_only_where_they_matter() {
        let origin = Origin::from_pam(Some(b"192.0.2.1"), None, None);
        let names = [b"alice".to_vec()];
        let login = Login {
            names: &names,
            service: "sshd",
            origin,
        };
        let failing = || Err("directory server down");
        assert_eq!(
            first_match(&rules(), &login, failing),
            Err("directory server down")
        );
        let elsewhere = Login {
            origin: Origin::Opaque,
            ..login
        };
        assert_eq!(
            first_match(&rules(), &elsewhere, failing),
            Ok((Then::Require, None))
        );
    }
}
