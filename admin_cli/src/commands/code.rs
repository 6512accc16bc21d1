//! `otpgate code`: what oathtool does.

use otp_core::clock::{Clock as _, SystemClock};
use otp_core::hotp::{Algorithm, Digits, Generator};
use otp_core::totp::{Period, UnixTime};

use super::Context;
use crate::cli::Code;
use crate::error::{CliError, OK};
use crate::input;

pub(super) fn run(context: &Context<'_>, arguments: &Code) -> Result<u8, CliError> {
    let secret = input::secret_from(&arguments.secret_from)?;
    let shape = &arguments.shape;
    let digits = shape
        .digits
        .map(Digits::try_from)
        .transpose()
        .map_err(CliError::new)?;
    let period = shape
        .period
        .map(Period::try_from)
        .transpose()
        .map_err(CliError::new)?;
    let algorithm = shape.algorithm.map(Algorithm::from).unwrap_or_default();
    let now = arguments.at.map_or_else(|| SystemClock.now(), UnixTime);
    let moving_factor = match (arguments.hotp, arguments.counter) {
        (true, Some(counter)) => counter,
        _ => period.unwrap_or_default().step(now),
    };
    let generator = Generator::new(&secret, algorithm, digits.unwrap_or(Digits::SIX));
    let code = generator.code(moving_factor).expose();
    context.print(
        &serde_json::json!({ "code": *code }),
        &format!("{}\n", *code),
    )?;
    Ok(OK)
}
