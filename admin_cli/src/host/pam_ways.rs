//! Ways through an auth stack that our line was to close, and the one it must leave open.

use super::finding::Finding;
use super::pam_library::{Stack, Step};
use super::pam_modules::is_deliberate;
use super::pam_stack::ours;
use super::pam_walk::{OUR_MODULE, Ways, walk};
use super::pamd::{Kind, Module};

/// Ways to a login without a right code, and the lack of any way with one.
pub(super) fn check(service: &str, auth: &Stack) -> Vec<Finding> {
    let Some((first, module)) = ours(auth).next() else {
        return Vec::new();
    };
    let ways = walk(&auth.steps, Kind::Auth);
    let mut findings: Vec<Finding> = ways
        .round
        .iter()
        .filter_map(|at| auth.steps.get(*at))
        .map(|step| round(service, step, first))
        .collect();
    findings.extend(refusal_ignored(&ways, first, module));
    findings.extend(no_way(&ways, service, first, module));
    if ways.asked_twice {
        findings.push(asked_twice(service, first));
    }
    findings
}

/// A line that leads round ours.
fn round(service: &str, step: &Step, ours: &Step) -> Finding {
    let (name, control) = step
        .module()
        .map_or(("", ""), |module| (module.name(), &module.control.text));
    let how = format!(
        "In {service}, {control:?} of {name} leads round {} to a login without a code",
        ours.place()
    );
    let edit = format!("sudoedit +{} {}", step.line, step.file.display());
    if is_deliberate(step) {
        return Finding::warning(
            "pam-bypass-rule",
            step.place(),
            format!("{how}, for whomever {name} lets through. Fine if that is meant."),
            format!("{edit}    # if it is not meant: take the line out"),
        );
    }
    let meaning = format!("{how}: whoever satisfies {name} is never asked.");
    let cure = if step.top_line != step.line || step.file != ours.file {
        format!(
            "sudoedit +{} {}    # write \"auth substack\" instead of \"auth include\": there \"done\" ends only the substack",
            step.top_line,
            ours.file.display()
        )
    } else {
        format!("{edit}    # write \"requisite\" instead of {control:?}, or count the jump anew")
    };
    Finding::error("pam-bypass", step.place(), meaning, cure)
}

fn refusal_ignored(ways: &Ways, ours: &Step, module: &Module) -> Option<Finding> {
    ways.despite_refusal.then(|| {
        Finding::error(
            "pam-refusal-ignored",
            ours.place(),
            format!(
                "With {:?} a wrong code does not end in a refusal: people get in without a right one.",
                module.control.text
            ),
            format!(
                "sudoedit +{} {}    # auth required {OUR_MODULE}",
                ours.line,
                ours.file.display()
            ),
        )
    })
}

fn no_way(ways: &Ways, service: &str, ours: &Step, module: &Module) -> Option<Finding> {
    let edit = format!("sudoedit +{} {}", ours.line, ours.file.display());
    if !ways.accepted {
        return Some(Finding::error(
            "pam-never-accepts",
            ours.place(),
            format!(
                "In {} no login with a right code can succeed: our line is never reached, or a line that always refuses follows.",
                service
            ),
            format!("{edit}    # put it directly after the lines that check the password"),
        ));
    }
    (module.has_option("nullok") && !ways.ignored).then(|| {
        Finding::error(
            "pam-nullok-refuses",
            ours.place(),
            format!("\"nullok\" answers PAM_IGNORE for people who are not enrolled, and {:?} refuses that: they are locked out.", module.control.text),
            format!("{edit}    # auth required {OUR_MODULE} nullok"),
        )
    })
}

fn asked_twice(service: &str, ours: &Step) -> Finding {
    Finding::warning(
        "pam-asked-twice",
        ours.place(),
        format!(
            "In {service} two lines ask for a code in one login. A code works once, so the second one needs another code: most people cannot get in."
        ),
        format!(
            "sudoedit +{} {}    # keep one of the lines",
            ours.line,
            ours.file.display()
        ),
    )
}
