//! The account entry: a `deny` rule holds for every method, publickey included.

use otp_core::config::Config;
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
    let rule = Config::load(options.config.as_deref())
        .map_err(Failure::Config)
        .and_then(|config| login.rule(&config, host));
    match rule {
        Ok(Then::Deny) => {
            login.subject().denied(host);
            Outcome::Denied
        }
        Ok(Then::Require | Then::Optional | Then::Skip) => Outcome::Skipped,
        Err(failure) => failure.report(host, Some(&login.subject())),
    }
}
