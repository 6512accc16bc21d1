//! What our auth line needs from our account line.

use super::finding::Finding;
use super::pam_stack::{Service, ours};
use super::pam_walk::{OUR_MODULE, walk};
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
