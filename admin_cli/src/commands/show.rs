//! `otpgate show USER`: what the help desk wants to know, of an account and of a file of the user's own.

use std::fmt::Write as _;

use otp_core::account::{Account, Kind, Token};
use otp_core::clock::{Clock as _, SystemClock};
use otp_core::matching::{Device, MAX_SKEW};
use otp_core::recovery::FEW;
use otp_core::source::Source;
use otp_core::state::{Event, State};
use otp_core::store::{FilesStore, Problem, Record as _};
use otp_core::throttle::{Limits, Throttle};
use otp_core::totp::UnixTime;
use otp_core::user_name::UserName;
use serde_json::{Value, json};

use super::{Context, name, own_file, user_name};
use crate::cli::User;
use crate::error::{CliError, OK};
use crate::output::when;

pub(super) fn run(context: &Context<'_>, arguments: &User) -> Result<u8, CliError> {
    let config = context.config()?;
    let limits = &config.parameters.limits;
    let store = FilesStore::open(&config.state_dir)?;
    let user = user_name(&arguments.user);
    let own_file = own_file::state(&config.state_dir, &arguments.user)?;
    let record = match store.lock_enrolled(&user) {
        Err(error) if own_file.is_some() && matches!(error.problem, Problem::NotEnrolled) => None,
        record => Some(record?),
    };
    let mut text = match &record {
        Some(record) => as_text(&user, record.account(), record.state(), limits),
        None => format!(
            "{}  not enrolled: a file of their own counts\n",
            name::shown(&user)
        ),
    };
    if let Some(state) = &own_file {
        text.push_str("  at their own file, such as ~/.google_authenticator:\n");
        logins_text(&mut text, state, limits);
    }
    let own_file = own_file.map(|state| logins_json(&state, limits));
    let mut json = match &record {
        Some(record) => as_json(&user, record.account(), record.state(), limits),
        None => json!({ "user": name::typed(&user) }),
    };
    if let Some(fields) = json.as_object_mut() {
        fields.insert("own_file".to_owned(), own_file.unwrap_or_default());
    }
    context.print(&json, &text)?;
    Ok(OK)
}

fn as_json(user: &UserName, account: &Account, state: &State, limits: &Limits) -> Value {
    let mut json = json!({
        "user": name::typed(user),
        "enabled": account.enabled,
        "created": account.created.0,
        "generation": account.generation,
        "devices": account.tokens.iter().map(|token| device_json(token, state)).collect::<Vec<_>>(),
        "recovery_codes_left": state.recovery_left(account),
        "invite": account.invite().map(|invite| json!({
            "expires": invite.expires.0,
            "admissions_left": invite.admissions_left(state.admissions),
        })),
    });
    if let (Some(fields), Value::Object(logins)) =
        (json.as_object_mut(), logins_json(state, limits))
    {
        fields.extend(logins);
    }
    json
}

/// What is known of a user's logins, whatever they log in by.
fn logins_json(state: &State, limits: &Limits) -> Value {
    let event = |event: &Event| json!({ "at": event.at.0, "source": event.source.to_string() });
    json!({
        "last_success": state.last_success.as_ref().map(event),
        "last_failure": state.last_failure.as_ref().map(event),
        "failures_since_last_success": state.failures_since_success,
        "codes_sent_this_hour": sent_this_hour(state),
        "throttle": throttle_json(&state.throttle, limits),
    })
}

fn throttle_json(throttle: &Throttle, limits: &Limits) -> Value {
    let known = |known: &otp_core::throttle::KnownSource| {
        json!({
            "source": known.source.to_string(),
            "last_success": known.last_success.0,
            "failures": known.bucket.failures,
            "blocked_until": known.bucket.blocked_until.0,
        })
    };
    json!({
        "locked": locked(throttle, limits),
        "failures": throttle.failures(),
        "foreign_failures": throttle.foreign.failures,
        "foreign_blocked_until": throttle.foreign.blocked_until.0,
        "known_sources": throttle.known.iter().map(known).collect::<Vec<_>>(),
    })
}

fn device_json(token: &Token, state: &State) -> Value {
    let used = state.token(token.serial, &token.kind);
    json!({
        "id": token.id,
        "kind": token.kind.name(),
        "algorithm": token.algorithm.name(),
        "digits": token.digits.count(),
        "period": match token.kind { Kind::Totp { period } => Some(period.seconds()), Kind::Hotp { .. } | Kind::Delivered { .. } => None },
        "next": used.next,
        "skew": used.skew,
        "services": token.services,
        "enabled": token.enabled,
        "created": token.created.0,
        "channel": token.destination().map(|(channel, _)| channel),
        "address": token.destination().map(|(_, address)| address),
    })
}

fn as_text(user: &UserName, account: &Account, state: &State, limits: &Limits) -> String {
    let mut text = String::new();
    let enabled = if account.enabled {
        ""
    } else {
        "  DISABLED (otpgate enable)"
    };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{}{enabled}", name::shown(user));
    for token in &account.tokens {
        let _ = writeln!(text, "  device          {}", device_text(token, state));
    }
    if account.tokens.is_empty() {
        let _ = writeln!(text, "  device          none (otpgate enroll)");
    }
    text.push_str(&tickets_text(account, state));
    logins_text(&mut text, state, limits);
    text
}

fn logins_text(text: &mut String, state: &State, limits: &Limits) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "  last login      {}", event_text(state.last_success));
    let failures = state.failures_since_success;
    let last = if failures > 0 {
        format!(", last {}", event_text(state.last_failure))
    } else {
        String::new()
    };
    let _ = writeln!(text, "  failures since  {failures}{last}");
    let sent = sent_this_hour(state);
    if sent > 0 {
        let _ = writeln!(text, "  codes sent      {sent} in the last hour");
    }
    if let Some(line) = throttle_text(&state.throttle, limits) {
        let _ = writeln!(text, "  throttle        {line}");
    }
}

/// How many codes were sent to the user, as the budget counts them.
fn sent_this_hour(state: &State) -> u16 {
    state.sent.budget.spent_at(SystemClock.now())
}

/// Recovery codes, or the invite of somebody who has none yet.
fn tickets_text(account: &Account, state: &State) -> String {
    if let Some(invite) = account.invite() {
        let used_up = match invite.admissions_left(state.admissions) {
            0 => "  USED UP by logins that broke off (otpgate invite)",
            _ => "",
        };
        return format!("  invite          {}{used_up}\n", invited(invite.expires));
    }
    let left = state.recovery_left(account);
    let advice = if left < FEW {
        "  (few: otpgate recovery)"
    } else {
        ""
    };
    format!("  recovery codes  {left} left{advice}\n")
}

/// Until when somebody is invited.
pub(super) fn invited(expires: UnixTime) -> String {
    if SystemClock.now() >= expires {
        return format!("invited, EXPIRED {} (otpgate invite)", when(Some(expires)));
    }
    format!("invited until {}", when(Some(expires)))
}

fn event_text(event: Option<Event>) -> String {
    match event {
        Some(event) => format!("{} from {}", when(Some(event.at)), event.source),
        None => when(None),
    }
}

fn device_text(token: &Token, state: &State) -> String {
    let used = state.token(token.serial, &token.kind);
    let (id, kind, digits) = (&token.id, token.kind.name(), token.digits.count());
    let mut text = match token.destination() {
        Some((channel, address)) => {
            format!("{id}  {kind} {digits} digits, by {channel} to {address}")
        }
        None => format!("{id}  {kind} {} {digits} digits", token.algorithm.name()),
    };
    let now = SystemClock.now();
    let _ = match token.kind {
        Kind::Totp { period } if used.skew != 0 => {
            write!(text, ", {period}, clock {:+} steps", used.skew)
        }
        Kind::Totp { period } => write!(text, ", {period}"),
        Kind::Hotp { .. } => write!(text, ", next counter {}", used.next),
        Kind::Delivered { .. } => Ok(()),
    };
    if let Some(services) = &token.services {
        let _ = write!(text, ", only for {}", services.join(" "));
    }
    if !token.enabled {
        text.push_str(", DISABLED");
    }
    let ahead = Device::new(token, used.clone()).watermark_is_ahead(now);
    if ahead || matches!(token.kind, Kind::Hotp { .. }) && used.next == u64::MAX {
        text.push_str(", refuses every code (otpgate resync)");
    } else if matches!(token.kind, Kind::Totp { period } if used.next > period.step(now) + MAX_SKEW)
    {
        text.push_str(", refuses codes for some minutes after a repair (otpgate resync ends that)");
    }
    text
}

/// Whom the number of failures keeps out until `otpgate unlock`.
fn locked(throttle: &Throttle, limits: &Limits) -> Option<&'static str> {
    let unknown_address_is_out =
        throttle.guesses_left(Source::Opaque, SystemClock.now(), limits) == 0;
    match throttle.failures() >= limits.max_failures {
        true => Some("everybody"),
        false => unknown_address_is_out.then_some("unknown addresses"),
    }
}

fn throttle_text(throttle: &Throttle, limits: &Limits) -> Option<String> {
    if throttle.failures() == 0 {
        return None;
    }
    let now = SystemClock.now();
    let count = match throttle.failures() {
        1 => "1 failure counts".to_owned(),
        failures => format!("{failures} failures count"),
    };
    let mut text = format!(
        "{count}, {} from unknown addresses",
        throttle.foreign.failures
    );
    let buckets = throttle
        .known
        .iter()
        .map(|known| (known.source.to_string(), known.bucket));
    for (source, bucket) in buckets.chain([("unknown addresses".to_owned(), throttle.foreign)]) {
        if bucket.blocked_until > now {
            let _ = write!(
                text,
                "; {source} wait until {}",
                when(Some(bucket.blocked_until))
            );
        }
    }
    match locked(throttle, limits) {
        Some("everybody") => text.push_str("; LOCKED: every code is refused"),
        Some(_) => text.push_str("; LOCKED for unknown addresses"),
        None => {}
    }
    text.push_str(" (otpgate unlock forgets them)");
    Some(text)
}
