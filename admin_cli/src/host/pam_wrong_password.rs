//! A wrong password that does not end the login before our line.
//!
//! Within a `substack` nothing ends more than the substack, and `required` goes on to the end: libpam refuses only
//! there. Nobody gets in, but whoever knows a name gets as far as our prompt, and to what is done before it.

use super::finding::Finding;
use super::pam_library::Step;

/// A stack that was written so that a wrong password ends it.
const SAMPLE: &str = "/usr/share/doc/otpgate/examples/pam.d/sshd-password-first";

/// Codes are sent to people who did not know the password.
///
/// `enrol` is no error by itself: the account line, which asks for the enrolment, runs only after libpam let the
/// auth stack pass.
pub(super) fn finding(service: &str, ours: &Step, refused_by: &Step) -> Finding {
    let module = refused_by.module();
    let meaning = format!(
        "In {service} a password that {} refuses ({}) does not end the login before our line: whoever knows a user name has codes sent without knowing the password, until none are left but for the owner's known addresses.",
        module.map_or("", |module| module.name()),
        refused_by.place()
    );
    Finding::error(
        "pam-code-before-password",
        ours.place(),
        meaning,
        cure(ours, refused_by),
    )
}

/// Which lines may go, and which refuse people for other reasons, is for whoever wrote them to say: a line that is
/// left out here would let somebody in.
pub(super) fn cure(ours: &Step, refused_by: &Step) -> String {
    let (line, file) = (refused_by.line, refused_by.file.display());
    let is_required = |step: &Step| {
        let control = step.module().map(|module| module.control.text.as_str());
        control == Some("required") && step.file == ours.file
    };
    if is_required(refused_by) {
        return format!("sudoedit +{line} {file}    # write \"requisite\" instead of \"required\"");
    }
    format!(
        "sudoedit +{} {}    # in place of a substack, the service's own lines: each module that checks a password jumps over \"auth requisite pam_deny.so\", and all that refuses people for other reasons stays. {SAMPLE} is one; keep a root session open, then otpgate test-login with a wrong password",
        ours.top_line,
        ours.file.display()
    )
}
