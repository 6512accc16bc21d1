//! What our auth line needs from our account and password lines.

use super::finding::Finding;
use super::pam_modules::checks_password;
use super::pam_stack::{Service, ours};
use super::pam_walk::{OUR_MODULE, is_ours, walk};
use super::pamd::Kind;

/// `deny` is enforced in the account entry, the only one that a login with a key passes.
pub(super) fn deny_rules(service: &Service<'_>) -> Vec<Finding> {
    let Some((auth, _)) = ours(&service.auth).next() else {
        return Vec::new();
    };
    let Some((account, _)) = ours(&service.account).next() else {
        return vec![Finding::error(
            "pam-deny-not-enforced",
            auth.place(),
            format!(
                "The configuration has rules with then = \"deny\", but {} has no account line of ours, so a login with a key is not denied.",
                service.name
            ),
            format!(
                "sudoedit {}    # account required {OUR_MODULE}    before the other account lines",
                auth.file.display()
            ),
        )];
    };
    let ways = walk(&service.account.steps, Kind::Account);
    if ways.round.is_empty() && !ways.despite_refusal {
        return Vec::new();
    }
    vec![Finding::error(
        "pam-deny-not-enforced",
        account.place(),
        format!(
            "In {} an account line above ours ends the stack, or our refusal is ignored: rules with then = \"deny\" do not hold.",
            service.name
        ),
        format!(
            "sudoedit +{} {}    # move it before the other account lines, as: account required {OUR_MODULE}",
            account.line,
            account.file.display()
        ),
    )]
}

/// Enrolment at login goes through all three entries; without one of them it lets people in
/// un-enrolled, or refuses them for good.
pub(super) fn enrolment(service: &Service<'_>) -> Vec<Finding> {
    let enrols = |stack| ours(stack).find(|(_, module)| module.has_option("enrol"));
    let stacks = [&service.auth, &service.account, &service.password];
    let Some((step, _)) = stacks.iter().find_map(|stack| enrols(stack)) else {
        return Vec::new();
    };
    let wanted = [
        ("auth", "auth required pam_otpgate.so enrol"),
        ("account", "account required pam_otpgate.so enrol"),
        (
            "password",
            "password [success=done ignore=ignore default=die] pam_otpgate.so enrol",
        ),
    ];
    let mut findings: Vec<Finding> = stacks
        .iter()
        .zip(wanted)
        .filter(|(stack, _)| enrols(stack).is_none())
        .map(|(_, (kind, line))| {
            Finding::error(
                "pam-enrol-incomplete",
                format!("{} ({kind})", step.file.display()),
                format!("\"enrol\" needs our module on the auth, account and password lines of {}; the {kind} line lacks it.", service.name),
                format!("sudoedit {}    # {line}", step.file.display()),
            )
        })
        .collect();
    findings.extend(enrol_order(service));
    findings
}

/// In front of pam_unix: it would ask for a new password first, and end the stack over it.
fn enrol_order(service: &Service<'_>) -> Option<Finding> {
    let steps = &service.password.steps;
    let at = steps.iter().position(is_ours)?;
    let step = steps.get(at)?;
    steps.iter().take(at).any(checks_password).then(|| {
        Finding::error(
            "pam-enrol-order",
            step.place(),
            "The password line stands behind the one that changes passwords: enrolment at login asks for a new password instead.",
            format!("sudoedit +{} {}    # move it before \"@include common-password\"", step.line, step.file.display()),
        )
    })
}
