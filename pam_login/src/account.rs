//! The account entry: a `deny` rule holds for every method, publickey included.

use otp_core::answer::NotEvaluated;
use otp_core::config::Config;
use otp_core::policy::Refusal;
use otp_core::rules::Then;

use crate::authenticate::{Failure, Login};
use crate::host::Host;
use crate::options::Options;
use crate::outcome::Outcome;

/// Says "denied" where a rule denies, and nothing otherwise.
pub fn permit(host: &mut impl Host, options: &Options) -> Outcome {
    let login = match Login::read(host) {
        Ok(login) => login,
        Err(failure) => return failure.report(host, None),
    };
    let rule = Config::load(&options.config)
        .map_err(Failure::Config)
        .and_then(|config| login.rule(&config, host));
    match rule {
        Ok(Then::Deny) => {
            login
                .subject(host)
                .refused(host, &Refusal::NotEvaluated(NotEvaluated::Denied));
            Outcome::Denied
        }
        Ok(Then::Require | Then::Optional | Then::Skip) => Outcome::Skipped,
        Err(failure) => {
            let subject = login.subject(host);
            failure.report(host, Some(&subject))
        }
    }
}
