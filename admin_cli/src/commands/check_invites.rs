//! The part of `otpgate check` that looks at invites, and at rules that need none.

use otp_core::account::Account;
use otp_core::clock::{Clock as _, SystemClock};
use otp_core::config::Config;
use otp_core::rules::{Enrol, Rule};
use otp_core::store::{FilesStore, Record as _};
use otp_core::user_name::UserName;

use super::name;
use crate::host::finding::Finding;

/// After so many the rest is not listed; `otpgate list` has them all.
const MOST_LISTED: usize = 50;

/// Open rules without a network or a last day: the first who knows a password enrols, anybody, for ever.
pub(super) fn check_open_rules(config: &Config) -> Vec<Finding> {
    let open = |rule: &Rule| rule.enrol == Some(Enrol::Open);
    let unbounded =
        |rule: &Rule| rule.from.is_none() || rule.enrol_until.or(config.enrol_until).is_none();
    let rules = config.rules.iter().zip(1..);
    let unbounded = rules.filter(|(rule, _)| open(rule) && unbounded(rule));
    let finding = |(_, number): (&Rule, usize)| {
        Finding::warning(
            "rule-enrol-open",
            format!("[[rule]] number {number}"),
            "enrol = \"open\" without \"from\" and a last day: whoever learns the password of somebody who is not enrolled enrols in their place.",
            "add from = [\"192.0.2.0/24\"] and enrol_until = \"2027-03-31\" to the rule, with your network and day; or take \"enrol\" out, and use `otpgate invite`",
        )
    };
    unbounded.map(finding).collect()
}

/// People who were invited, did not come in time, and cannot get in.
pub(super) fn check_invites(store: &FilesStore) -> Vec<Finding> {
    let Ok(entries) = store.entries() else {
        return Vec::new();
    };
    let users = store.read_all(entries);
    let over =
        users.filter_map(|(user, account)| is_over(store, &user, &account.ok()?).then_some(user));
    over.take(MOST_LISTED).map(|user| finding(&user)).collect()
}

/// Only the few who are invited are worth their lock, under which the state is read.
fn is_over(store: &FilesStore, user: &UserName, account: &Account) -> bool {
    let Some(invite) = account.invite() else {
        return false;
    };
    let used_up = |record: otp_core::store::files::FileRecord| {
        invite.admissions_left(record.state().admissions) == 0
    };
    SystemClock.now() >= invite.expires || store.lock_enrolled(user).is_ok_and(used_up)
}

fn finding(user: &UserName) -> Finding {
    let name = name::quoted(user);
    let meaning = format!(
        "The invite of {} has expired or is used up: they are not enrolled, and refused where a code is asked for.",
        name::shown(user)
    );
    let cure = format!("otpgate invite {name}    # or: otpgate remove {name}");
    Finding::warning("invite-over", user.to_string(), meaning, cure)
}
