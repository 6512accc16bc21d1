//! `otpgate enroll --delivered CHANNEL:ADDRESS`: send a code there, see it typed, and only then store it.

use otp_core::account::{Kind, Token};
use otp_core::config::{Channel, Config};
use otp_core::delivered::Draw;
use otp_core::hotp::{Code, Digits};
use otp_core::recovery::{RecoveryCode, StoredRecoveryCode};
use otp_core::source::Origin;
use otp_core::state::TokenState;
use otp_core::store::FilesStore;
use subtle::ConstantTimeEq as _;

use super::enroll::{
    Standing, TRIES, digits_of, enrolled_unseen, host_name, new_token, profile, recovery_text,
    refuse_impossible, refuse_taken_name, save, warn_unknown_user,
};
use super::{Context, deliver, user_name};
use crate::cli::Enroll;
use crate::delivery::{self, Message};
use crate::error::{CliError, OK};
use crate::{input, output};

pub(super) fn run(
    context: &Context<'_>,
    arguments: &Enroll,
    destination: &str,
) -> Result<u8, CliError> {
    refuse_impossible(context, arguments)?;
    let config = context.config()?;
    let (name, address) = destination.split_once(':').ok_or_else(|| {
        CliError::new("--delivered takes a channel and an address, such as mail:alice@example.org")
    })?;
    let channel = deliver::channel(&config, name)?;
    delivery::check_address(channel, address).map_err(|why| {
        CliError::new(format!("[channel.{name}] does not take the address: {why}"))
    })?;
    let store = FilesStore::open(&config.state_dir)?;
    let user = user_name(&arguments.user);
    let there = Standing::of(&store, &user)?;
    let enrolled = there == Standing::Enrolled;
    refuse_taken_name(&store, &user, enrolled, arguments)?;
    let token = token(&config, arguments, (name, address))?;
    warn_unknown_user(arguments);
    if !arguments.no_confirm {
        confirm(&config, (name, channel), arguments, &token, address)?;
    }
    let codes = match enrolled {
        true => Vec::new(),
        false => RecoveryCode::generate_set()?,
    };
    let state = TokenState::new(token.serial, &token.kind);
    let stored = StoredRecoveryCode::new_set(&codes)?;
    save(&store, &user, there, arguments.force, &token, state, stored)?;
    report(context, arguments, &token, &codes)
        .map_err(|error| enrolled_unseen(arguments, enrolled, &error))?;
    Ok(OK)
}

fn token(
    config: &Config,
    arguments: &Enroll,
    (channel, address): (&str, &str),
) -> Result<Token, CliError> {
    let of_profile = profile(config, arguments.profile.as_deref())?.digits;
    let asked = arguments.shape.digits.map(Digits::try_from).transpose();
    let asked = asked.map_err(CliError::new)?;
    Ok(Token {
        kind: Kind::Delivered {
            channel: channel.to_owned(),
            address: address.to_owned(),
        },
        digits: asked.or(of_profile).unwrap_or(config.delivery.digits),
        ..new_token(config, arguments)?
    })
}

/// Sends a code of its own, which no login takes.
fn confirm(
    config: &Config,
    (name, channel): (&str, &Channel),
    arguments: &Enroll,
    token: &Token,
    address: &str,
) -> Result<(), CliError> {
    let message = Message {
        code: Draw::new()?.code(token.digits),
        user: arguments.user.clone(),
        address: address.to_owned(),
        source: Origin::Local.to_string(),
        lifetime: config.parameters.delivery.lifetime,
        host: host_name(),
    };
    let sent = delivery::send(channel, &message, deliver::timeout(config));
    sent.map_err(|error| deliver::failed(name, &error))?;
    for _ in 0..TRIES {
        let typed = input::ask(&format!("Type the code that was sent to {address}: "))?;
        let typed = typed.ok_or_else(|| {
            CliError::no("no code was typed; nothing was enrolled or changed (--no-confirm enrols without a code)")
        })?;
        let code = Code::parse(digits_of(&typed).as_bytes());
        if code.is_some_and(|code| bool::from(code.ct_eq(&message.code))) {
            return Ok(());
        }
        eprintln!("That is not the code that was sent.");
    }
    Err(CliError::no(
        "no right code was typed; nothing was enrolled or changed",
    ))
}

fn report(
    context: &Context<'_>,
    arguments: &Enroll,
    token: &Token,
    codes: &[RecoveryCode],
) -> Result<(), CliError> {
    let (channel, address) = token.destination().unwrap_or_default();
    let exposed: Vec<_> = codes.iter().map(RecoveryCode::expose).collect();
    if context.cli.json {
        return output::print_json(&serde_json::json!({
            "user": arguments.user,
            "device": token.id,
            "kind": token.kind.name(),
            "channel": channel,
            "address": address,
            "recovery_codes": exposed.iter().map(|code| code.as_str()).collect::<Vec<_>>(),
        }));
    }
    let user = user_name(&arguments.user);
    let mut text = zeroize::Zeroizing::new(format!(
        "{user} is enrolled with the device {}: codes are sent to {address} by {channel}.\n",
        token.id
    ));
    text.push_str(&recovery_text(&exposed));
    output::print(&text)
}
