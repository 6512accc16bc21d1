//! What is wrong with a rule that can be read.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::rules::{Rule, Then};

/// An empty list would match nobody, and neither would IPv4 written as IPv6, which nobody means.
pub(super) fn check_rules(rules: &[Rule]) -> Result<(), (&'static str, String)> {
    for rule in rules {
        let lists = [
            ("users", rule.users.as_ref()),
            ("groups", rule.groups.as_ref()),
            ("services", rule.services.as_ref()),
        ];
        let empty = lists
            .into_iter()
            .find(|(_, list)| list.is_some_and(Vec::is_empty));
        let empty = empty.map(|(key, _)| key);
        let enrols = [
            ("enrol", rule.enrol.is_some()),
            ("enrol_until", rule.enrol_until.is_some()),
        ];
        if let Some((key, _)) = enrols.into_iter().find(|(_, there)| *there)
            && rule.then != Then::Require
        {
            let problem = format!("{key}: only in a rule with then = \"require\"");
            return Err((key, problem));
        }
        let no_networks = rule
            .from
            .as_ref()
            .is_some_and(Vec::is_empty)
            .then_some("from");
        let mapped = |network: &&IpNet| {
            matches!(network.addr().to_canonical(), IpAddr::V4(_)) && network.addr().is_ipv6()
        };
        if let Some(network) = rule.from.iter().flatten().find(mapped) {
            let problem = format!(
                "from: {network} is an IPv4 network in IPv6 form, which no address matches; write it as IPv4"
            );
            return Err(("from", problem));
        }
        if let Some(key) = empty.or(no_networks) {
            let problem = format!(
                "{key}: an empty list matches nobody; leave the key out to match everybody"
            );
            return Err((key, problem));
        }
    }
    Ok(())
}
