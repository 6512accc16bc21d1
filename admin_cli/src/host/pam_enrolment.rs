//! What enrolment at login needs: three lines of ours, each with `enrol`, each in its place.
//!
//! Without the account line nobody is asked to enrol, and an invite is a code; without the password line
//! pam_unix asks for a new password in its place.

use super::finding::Finding;
use super::pam_control::Action;
use super::pam_library::{Stack, Step};
use super::pam_modules::handles_new_password;
use super::pam_stack::{Service, is_started_by_anybody, ours};
use super::pam_walk::{OUR_MODULE, is_ours, walk};
use super::pamd::{Kind, Module};

/// The control of our password line: done when an enrolment was made, dead when it failed, and out of the way
/// when there is none to make.
pub const PASSWORD_CONTROL: &str = "[success=done ignore=ignore default=die]";

/// Lines that should not be there, that are missing, and in the wrong place.
pub(super) fn check(service: &Service<'_>) -> Vec<Finding> {
    let with_enrol = |stack: &Stack| {
        let mut lines = ours(stack).filter(|(_, module)| module.has_option("enrol"));
        lines
            .next()
            .map(|(step, module)| (step.clone(), module.clone()))
    };
    let stacks = [&service.auth, &service.account, &service.password];
    let lines = stacks.map(with_enrol);
    let Some((first, _)) = lines.iter().flatten().next() else {
        return Vec::new();
    };
    if is_started_by_anybody(service.name) {
        return vec![stoppable(service, first)];
    }
    match &lines {
        [Some(_), Some(account), Some(password)] => {
            let mut findings = Vec::from_iter(account_line(service, account));
            findings.extend(password_line(service, password));
            findings
        }
        _ => vec![incomplete(
            service,
            first,
            &lines.each_ref().map(Option::is_some),
        )],
    }
}

/// Whoever starts such a program may stop it at any moment, also in the one in which an enrolment is written.
fn stoppable(service: &Service<'_>, there: &Step) -> Finding {
    Finding::error(
        "pam-enrol-stoppable",
        there.place(),
        format!(
            "In {} people enrol in a program that any local user starts and can stop: it may hold the lock of administration then, and every other enrolment and change waits until it goes on.",
            service.name
        ),
        format!(
            "sudoedit {}    # take \"enrol\" off our lines, and our password line out; people enrol at sshd, otpgate-sshd and login",
            there.file.display()
        ),
    )
}

fn incomplete(service: &Service<'_>, there: &Step, which: &[bool; 3]) -> Finding {
    let names = ["auth", "account", "password"];
    let missing: Vec<&str> = names
        .into_iter()
        .zip(which)
        .filter_map(|(name, there)| (!there).then_some(name))
        .collect();
    let effect = match which {
        [false, ..] => "no invite is taken, and nobody enrols",
        [_, false, _] => "whoever was let in to enrol is refused, or gets in without enrolling",
        _ => "whoever was let in to enrol is asked for a new password instead",
    };
    Finding::error(
        "pam-enrol-incomplete",
        there.place(),
        format!(
            "Enrolment at login needs \"enrol\" on three lines, and in {} it is not on the {} line: {effect}.",
            service.name,
            missing.join(" and the ")
        ),
        format!("otpgate setup {} --enrol", service.name),
    )
}

fn account_line(service: &Service<'_>, (step, module): &(Step, Module)) -> Option<Finding> {
    let ways = walk(&service.account.steps, Kind::Account);
    let heard = matches!(
        module.control.action("new_authtok_reqd"),
        Action::Ok | Action::Done
    );
    if ways.round.is_empty() && !ways.despite_refusal && heard {
        return None;
    }
    Some(Finding::error(
        "pam-enrol-order",
        step.place(),
        format!(
            "In {} an account line above ours ends the stack, or what ours says is not passed on: whoever was let in to enrol gets in without enrolling.",
            service.name
        ),
        format!(
            "sudoedit +{} {}    # before the other account lines, as: account required {OUR_MODULE} enrol",
            step.line,
            step.file.display()
        ),
    ))
}

fn password_line(service: &Service<'_>, (step, module): &(Step, Module)) -> Option<Finding> {
    let action = |answer| module.control.action(answer);
    let fails = |answer| matches!(action(answer), Action::Die | Action::Bad);
    let controlled = action("success") == Action::Done
        && action("ignore") == Action::Ignore
        && ["authtok_err", "service_err", "system_err"]
            .into_iter()
            .all(fails);
    let before = service
        .password
        .steps
        .iter()
        .take_while(|step| !is_ours(step));
    let first = !before.clone().any(handles_new_password);
    if controlled && first {
        return None;
    }
    Some(Finding::error(
        "pam-enrol-order",
        step.place(),
        format!(
            "In {} a password line above ours asks for a new password before we can enrol anybody, or the control of ours is another than it has to be.",
            service.name
        ),
        format!(
            "sudoedit +{} {}    # before the other password lines, as: password {PASSWORD_CONTROL} {OUR_MODULE} enrol",
            step.line,
            step.file.display()
        ),
    ))
}
