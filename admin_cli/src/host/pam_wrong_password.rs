//! A wrong password that does not end the login before our line.
//!
//! Within a `substack` nothing ends more than the substack, and `required` goes on to the end: libpam refuses only
//! there. Nobody gets in, but whoever knows a name gets as far as our prompt, and to what is done before it.

use super::finding::Finding;
use super::pam_library::Step;
use super::pam_modules::checks_password;
use super::pamd::Module;

/// In front of each other these ask once: the first asks, and the next take what it was told.
const TAKES_WHAT_WAS_TYPED: [&str; 3] = ["use_first_pass", "try_first_pass", "forward_pass"];
/// Decide together with the modules that check a password, and go with them.
const VERDICTS: [&str; 2] = ["pam_deny.so", "pam_permit.so"];

/// Codes are sent to people who did not know the password.
///
/// `enrol` is no error by itself: the account line, which asks for the enrolment, runs only after libpam let the
/// auth stack pass.
pub(super) fn finding(service: &str, steps: &[Step], ours: &Step, refused_by: &Step) -> Finding {
    let meaning = format!(
        "In {service} a password that {} refuses ({}) does not end the login before our line: whoever knows a user name has codes sent without knowing the password, until none are left but for the owner's known addresses.",
        name(refused_by),
        refused_by.place()
    );
    Finding::error(
        "pam-code-before-password",
        ours.place(),
        meaning,
        cure(steps, ours),
    )
}

/// Lines that end the login at a wrong password, for those that check it now.
pub(super) fn cure(steps: &[Step], ours: &Step) -> String {
    let before = || steps.iter().take_while(|step| *step != ours);
    let mut modules: Vec<&Module> = Vec::new();
    for module in before()
        .filter(|step| checks_password(step))
        .filter_map(Step::module)
    {
        if modules.iter().all(|known| known.name() != module.name()) {
            modules.push(module);
        }
    }
    let quoted: Vec<String> = lines(&modules)
        .iter()
        .map(|line| format!("{line:?}"))
        .collect();
    let decides = |step: &&Step| checks_password(step) || VERDICTS.contains(&name(step));
    let place = before().find(|step| checks_password(step));
    let last = before().filter(decides).last();
    let file = ours.file.display();
    // A line of ours that was included stands in another file than the lines of the service.
    let (Some(first), Some(last), true) = (place, last, ours.line == ours.top_line) else {
        return format!(
            "sudoedit {file}    # in front of our line: {}",
            quoted.join(", ")
        );
    };
    let (first, last, included) = (first.top_line, last.top_line, first.file != ours.file);
    let which = match first == last {
        true => format!("line {first}"),
        false => format!("lines {first} to {last}"),
    };
    let rest = match included {
        true => "; and in front of them what else you need of the file that is included there",
        false => "",
    };
    format!(
        "sudoedit +{first} {file}    # instead of {which}: {}{rest}",
        quoted.join(", ")
    )
}

/// One module that refuses ends the stack by itself. Of several, each jumps behind the refusal.
fn lines(modules: &[&Module]) -> Vec<String> {
    if let [only] = modules {
        return vec![line("requisite", only, true)];
    }
    let mut lines: Vec<String> = modules
        .iter()
        .enumerate()
        .map(|(at, module)| {
            let control = format!("[success={} default=ignore]", modules.len() - at);
            line(&control, module, at == 0)
        })
        .collect();
    lines.push("auth requisite pam_deny.so".to_owned());
    lines
}

fn line(control: &str, module: &Module, asks: bool) -> String {
    let dash = if module.silent { "-" } else { "" };
    let mut line = format!("{dash}auth {control} {}", module.path);
    let kept = module.options.iter().filter(|option| {
        let takes = TAKES_WHAT_WAS_TYPED.contains(&option.as_str());
        !takes || (asks && *option != "use_first_pass")
    });
    for option in kept {
        line.push(' ');
        match option.contains(char::is_whitespace) {
            true => line.push_str(&format!("[{}]", option.replace(']', "\\]"))),
            false => line.push_str(option),
        }
    }
    if !asks {
        line.push_str(" use_first_pass");
    }
    line
}

fn name(step: &Step) -> &str {
    step.module().map_or("", Module::name)
}
