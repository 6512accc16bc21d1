//! The account entry: a `deny` rule holds for every method, publickey included; and whoever was let in to
//! enrol has to.

use otp_core::config::Config;
use otp_core::rules::Then;

use crate::authenticate::{Failure, Login};
use crate::enrol::mark::Mark;
use crate::host::Host;
use crate::options::Options;
use crate::outcome::Outcome;

/// Says "denied" where a rule denies, asks for the enrolment of whom the auth entry let in for that, and says
/// nothing otherwise.
pub fn permit(host: &mut impl Host, options: &Options) -> Outcome {
    let login = match Login::read(host) {
        Ok(login) => login,
        Err(failure) => return failure.report(host, None),
    };
    let rule = Config::load(options.config.as_deref())
        .map_err(Failure::Config)
        .and_then(|config| login.rule(&config, host));
    match rule {
        Ok(Then::Deny) => {
            login.subject().denied(host);
            Outcome::Denied
        }
        Ok(Then::Require | Then::Optional | Then::Skip) => ask_to_enrol(host, options, &login),
        Err(failure) => failure.report(host, Some(&login.subject())),
    }
}

/// Only in the handle that the auth entry marked, and for its user: after a login with a key sshd would run
/// `passwd`, or break SFTP.
fn ask_to_enrol(host: &mut impl Host, options: &Options, login: &Login) -> Outcome {
    let Some(mark) = Mark::of(host, login) else {
        if !Mark::is_there(host) {
            return Outcome::Skipped;
        }
        // Somebody was let in to enrol, and did not, or is another user by now: nothing else lets them in.
        let detail = "the login was for an enrolment, which failed or was somebody else's";
        login.subject().failed(host, "enrol_unfinished", &detail);
        return Outcome::Denied;
    };
    if !options.enrol {
        // An invite would be as good as a code.
        let detail = "the auth line has enrol and the account line has not: run `otpgate check`";
        login.subject().failed(host, "enrol_incomplete", &detail);
        return Outcome::Denied;
    }
    let asked = Mark {
        asked: true,
        ..mark
    };
    match asked.leave(host, login) {
        Ok(()) => Outcome::EnrolmentDue,
        Err(code) => Failure::HandOn(code).report(host, Some(&login.subject())),
    }
}
