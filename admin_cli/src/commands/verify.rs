//! `otpgate verify USER`: what would a login with this code be answered? Nothing is used up.

use otp_core::answer::Answer;
use otp_core::clock::SystemClock;
use otp_core::invite::{MOST_ADMISSIONS, Unfit};
use otp_core::policy::{Accepted, Attempt, Proof, Refusal, Verdict};
use otp_core::source::Origin;
use otp_core::store::FilesStore;
use otp_core::verifier::Verifier;

use super::{Context, user_name};
use crate::cli::Verify;
use crate::error::{CliError, NO, OK};
use crate::{input, output};

pub(super) fn run(context: &Context<'_>, arguments: &Verify) -> Result<u8, CliError> {
    let config = context.config()?;
    let store = FilesStore::open(&config.state_dir)?;
    let user = user_name(&arguments.user);
    store.lock_enrolled(&user)?;
    let question = if input::is_interactive() {
        "Verification code: "
    } else {
        ""
    };
    let typed = input::ask(question)?;
    let origin = arguments.from.map_or(Origin::Local, |address| {
        Origin::Address(address.to_canonical())
    });
    let attempt = Attempt {
        answer: Answer::parse(typed.as_ref().map(|line| line.as_bytes()), None),
        source: origin.source(),
        service: &arguments.service,
        remember: false,
        invites: true,
    };
    let verdict =
        Verifier::new(&store, &config.parameters).dry_run(&user, &attempt, &SystemClock)?;
    let (status, result, text) = match &verdict {
        Verdict::Accepted(accepted) => (OK, "accepted", accepted_text(accepted)),
        Verdict::Refused(refusal) => (NO, refusal.reason(), refused_text(refusal, &arguments.user)),
    };
    let json =
        serde_json::json!({ "user": arguments.user, "accepted": status == OK, "reason": result });
    context.print(&json, &format!("{text}\n"))?;
    Ok(status)
}

fn accepted_text(accepted: &Accepted) -> String {
    match &accepted.proof {
        Proof::Token { id, .. } => {
            format!("Would be accepted: a code of the device {id}. It is not used up.")
        }
        Proof::Recovery { left } => {
            format!(
                "Would be accepted: a recovery code, and {left} would be left. It is not used up."
            )
        }
        Proof::Invite { .. } => {
            "Would be let in to enrol, where the lines in pam.d have \"enrol\": the invite. It is not used up."
                .to_owned()
        }
    }
}

fn refused_text(refusal: &Refusal, user: &str) -> String {
    let why = match refusal {
        Refusal::Wrong => "it fits no device of this user for this service".to_owned(),
        Refusal::OutOfWindow { token } => format!(
            "it fits {token}, but too far off: two codes in a row at two logins put that right, or \
             `otpgate resync {user} --device {token}`"
        ),
        Refusal::Replayed => "it is used up; wait for the next one".to_owned(),
        Refusal::Expired { token } => {
            format!("it was sent to {token}, and is too old; log in again, or ask for another")
        }
        Refusal::OtherSource { token } => format!(
            "it was sent to {token} for a login from another address; --from gives the address"
        ),
        Refusal::WatermarkAhead { token } => format!(
            "a code of the future was accepted while this host's clock was wrong; run `otpgate resync {user} --device {token}`"
        ),
        Refusal::Throttled { until } => format!(
            "too many failures lately: codes count again from {}; `otpgate unlock {user}` ends the wait",
            output::when(Some(*until))
        ),
        Refusal::Locked => format!("too many failures in all; run `otpgate unlock {user}`"),
        Refusal::Invite(Unfit::Elsewhere) => "invites do not count here".to_owned(),
        Refusal::Invite(Unfit::Expired) => {
            format!("the invite has expired; run `otpgate invite {user}` for a new one")
        }
        Refusal::Invite(Unfit::UsedUp) => format!(
            "the invite has let in {MOST_ADMISSIONS} times, and no enrolment came of it; run `otpgate invite {user}` for a new one"
        ),
        Refusal::Disabled => format!("the user is disabled; run `otpgate enable {user}`"),
        Refusal::NotEvaluated(reason) => format!("it is no answer to the question ({reason})"),
        Refusal::NotEnrolled => {
            format!("nobody of that name is enrolled; run `otpgate enroll {user}`")
        }
    };
    format!("Would be refused: {why}.")
}
