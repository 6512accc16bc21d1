//! `otpgate enroll`: make a key, show it, see a code made with it, and only then store it.

use otp_core::account::{Account, Kind, MAX_TOKENS, Serial, Token};
use otp_core::clock::{Clock as _, SystemClock};
use otp_core::config::{Config, Profile};
use otp_core::hotp::{Algorithm, Code, Digits, MovingFactor};
use otp_core::matching::MAX_SKEW;
use otp_core::recovery::{CODES_PER_SET, RecoveryCode, StoredRecoveryCode};
use otp_core::secret::{STRONG_BYTES, Secret};
use otp_core::state::{State, TokenState};
use otp_core::store::{FilesStore, Store as _};
use otp_core::totp::{Period, UnixTime};
use otp_core::user_name::UserName;
use subtle::ConstantTimeEq as _;

use super::{Context, user_name};
use crate::cli::Enroll;
use crate::error::{CliError, OK};
use crate::qr::{self, Target};
use crate::{input, output};

/// How often a code may be mistyped before nothing is enrolled.
const TRIES: usize = 3;

pub(super) fn run(context: &Context<'_>, arguments: &Enroll) -> Result<u8, CliError> {
    let config = context.config()?;
    let store = FilesStore::open(&config.state_dir)?;
    let user = user_name(&arguments.user);
    let enrolled = store.is_enrolled(&user)?;
    refuse_taken_name(&store, &user, enrolled, arguments)?;
    let token = new_token(&config, arguments)?;
    warn(arguments, &token);
    if !context.cli.json {
        show_key(&token, &arguments.qr)?;
    }
    qr::to_file(&token.key_uri().expose(), &arguments.qr)?;
    let mut state = TokenState::new(token.serial, token.kind);
    if !arguments.no_confirm {
        confirm(&token, &config, &mut state)?;
    }
    let codes = if enrolled {
        Vec::new()
    } else {
        new_recovery_codes()?
    };
    let stored = hash_all(&codes)?;
    save(
        &store,
        &user,
        enrolled,
        arguments.force,
        &token,
        state,
        stored,
    )?;
    report(context, arguments, &token, &codes)?;
    Ok(OK)
}

fn refuse_taken_name(
    store: &FilesStore,
    user: &UserName,
    enrolled: bool,
    arguments: &Enroll,
) -> Result<(), CliError> {
    otp_core::account::check_device_name(&arguments.device).map_err(CliError::new)?;
    if !enrolled || arguments.force {
        return Ok(());
    }
    let record = store.lock_enrolled(user)?;
    let account = otp_core::store::Record::account(&record);
    if account.token(&arguments.device).is_some() {
        return Err(CliError::new(format!(
            "{user} has a device named {} already; give the new one another name with --device, or \
             replace the old one with --force",
            arguments.device
        )));
    }
    Ok(())
}

fn new_token(config: &Config, arguments: &Enroll) -> Result<Token, CliError> {
    let profile = profile(config, arguments.profile.as_deref())?;
    let shape = &arguments.shape;
    let kind = if arguments.hotp {
        Kind::Hotp {
            counter: arguments.counter,
        }
    } else {
        let seconds = shape
            .period
            .map(Period::try_from)
            .transpose()
            .map_err(CliError::new)?;
        Kind::Totp {
            period: seconds.or(profile.period).unwrap_or_default(),
        }
    };
    let digits = shape
        .digits
        .map(Digits::try_from)
        .transpose()
        .map_err(CliError::new)?;
    let host = host_name();
    let issuer = arguments
        .issuer
        .clone()
        .or(profile.issuer.clone())
        .or(config.issuer.clone());
    let label = arguments
        .label
        .clone()
        .unwrap_or_else(|| format!("{}@{host}", arguments.user));
    let issuer = issuer.unwrap_or(host);
    for (what, text) in [("a label", &label), ("an issuer", &issuer)] {
        otp_core::account::check_text(what, text).map_err(CliError::new)?;
    }
    Ok(Token {
        id: arguments.device.clone(),
        serial: Serial::generate()?,
        kind,
        secret: secret(arguments)?,
        algorithm: shape
            .algorithm
            .map(Algorithm::from)
            .or(profile.algorithm)
            .unwrap_or_default(),
        digits: digits.or(profile.digits).unwrap_or(Digits::SIX),
        label,
        issuer,
        created: SystemClock.now(),
        services: Some(arguments.service.clone()).filter(|services| !services.is_empty()),
        enabled: true,
    })
}

fn profile(config: &Config, name: Option<&str>) -> Result<Profile, CliError> {
    let Some(name) = name else {
        return Ok(Profile::default());
    };
    config.profiles.get(name).cloned().ok_or_else(|| {
        let names: Vec<&str> = config.profiles.keys().map(String::as_str).collect();
        CliError::new(format!(
            "there is no [profile.{name}] in the configuration; there are: {}",
            names.join(", ")
        ))
    })
}

fn host_name() -> String {
    let name = nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok());
    name.unwrap_or_else(|| "otpgate".to_owned())
}

fn secret(arguments: &Enroll) -> Result<Secret, CliError> {
    let Some(place) = &arguments.secret_from else {
        return Ok(Secret::generate()?);
    };
    let secret = input::secret_from(place)?;
    if secret.is_weak() && !arguments.allow_weak {
        return Err(CliError::new(format!(
            "the secret has {} bits, and RFC 4226 asks for at least {}; use a longer one, or take it with --allow-weak",
            secret.expose().len() * 8,
            STRONG_BYTES * 8
        )));
    }
    Ok(secret)
}

fn warn(arguments: &Enroll, token: &Token) {
    if !pam_ffi::nss::user_exists(arguments.user.as_bytes()).unwrap_or(true) {
        eprintln!(
            "otpgate: note: this system knows no user named {}.",
            user_name(&arguments.user)
        );
    }
    let usual = token.algorithm == Algorithm::Sha1
        && token.digits == Digits::SIX
        && matches!(token.kind, Kind::Hotp { .. } | Kind::Totp { .. })
        && !matches!(token.kind, Kind::Totp { period } if period != Period::default());
    if !usual {
        eprintln!(
            "otpgate: note: some phone apps ignore algorithm, digits and period, and assume sha1, 6 and 30; \
             the code that you are asked for now tells whether yours does."
        );
    }
}

fn show_key(token: &Token, target: &Target) -> Result<(), CliError> {
    let uri = token.key_uri().expose();
    let mut text = zeroize::Zeroizing::new(String::new());
    if *target == Target::Utf8 {
        text.push_str(&qr::for_terminal(&uri)?);
        text.push_str("\n\n");
    }
    text.push_str(&format!(
        "Scan the code, or type this key: {}\n",
        *grouped(&token.secret.to_base32())
    ));
    text.push_str(&format!("Key URI: {}\n\n", *uri));
    output::print(&text)
}

/// In groups of four, as it is typed.
fn grouped(key: &str) -> zeroize::Zeroizing<String> {
    let mut text = zeroize::Zeroizing::new(String::with_capacity(key.len() * 2));
    for (position, letter) in key.chars().enumerate() {
        if position > 0 && position % 4 == 0 {
            text.push(' ');
        }
        text.push(letter);
    }
    text
}

/// Asks for a code that the device shows, and uses it up.
fn confirm(token: &Token, config: &Config, state: &mut TokenState) -> Result<(), CliError> {
    for _ in 0..TRIES {
        let question = "Type the code that the device shows now: ";
        let Some(typed) = input::ask(question)? else {
            break;
        };
        let digits: String = typed.chars().filter(char::is_ascii_digit).collect();
        let Some(code) = Code::parse(digits.as_bytes()) else {
            eprintln!("That is no code: it has {} digits.", token.digits.count());
            continue;
        };
        let now = SystemClock.now();
        match position_of(token, &code, now) {
            Some(position) if in_window(token, config, position, now) => {
                state.advance_past(position);
                return Ok(());
            }
            Some(position) => explain_clock(token, position, now),
            None => {
                eprintln!("That code does not belong to this key. Was the right entry scanned?")
            }
        }
    }
    Err(CliError::no(
        "no right code was typed; nothing was enrolled or changed",
    ))
}

fn position_of(token: &Token, code: &Code, now: UnixTime) -> Option<MovingFactor> {
    let positions = match token.kind {
        Kind::Totp { period } => {
            let step = period.step(now);
            step.saturating_sub(MAX_SKEW)..=step.saturating_add(MAX_SKEW)
        }
        Kind::Hotp { counter } => counter..=counter.saturating_add(MAX_SKEW),
    };
    let generator = token.generator();
    positions
        .into_iter()
        .find(|position| bool::from(generator.code(*position).ct_eq(code)))
}

fn in_window(token: &Token, config: &Config, position: MovingFactor, now: UnixTime) -> bool {
    let reach = config.parameters.reach;
    match token.kind {
        Kind::Totp { period } => period.step(now).abs_diff(position) <= reach.totp_window,
        Kind::Hotp { counter } => position.saturating_sub(counter) <= reach.hotp_look_ahead,
    }
}

fn explain_clock(token: &Token, position: MovingFactor, now: UnixTime) {
    let Kind::Totp { period } = token.kind else {
        eprintln!("The device's counter is further ahead than the look-ahead allows.");
        return;
    };
    let step = period.step(now);
    let seconds = step.abs_diff(position) * u64::from(period.seconds());
    let (direction, ours) = if position > step {
        ("ahead of", "behind")
    } else {
        ("behind", "ahead")
    };
    eprintln!(
        "The key is right, but the device's clock is about {seconds} s {direction} this host's. Set the \
         device's clock (or this host's, if it is {ours}), and type the next code."
    );
}

pub(super) fn new_recovery_codes() -> Result<Vec<RecoveryCode>, CliError> {
    (0..CODES_PER_SET)
        .map(|_| Ok(RecoveryCode::generate()?))
        .collect()
}

pub(super) fn hash_all(codes: &[RecoveryCode]) -> Result<Vec<StoredRecoveryCode>, CliError> {
    codes
        .iter()
        .map(|code| Ok(StoredRecoveryCode::new(code)?))
        .collect()
}

fn save(
    store: &FilesStore,
    user: &UserName,
    enrolled: bool,
    force: bool,
    token: &Token,
    used: TokenState,
    recovery: Vec<StoredRecoveryCode>,
) -> Result<(), CliError> {
    let administration = store.administer()?;
    if !enrolled {
        let mut account = Account::new(user, token.created);
        account.tokens.push(token.clone());
        account.recovery = recovery;
        let mut state = State::new(&account);
        state.set_token(used);
        return Ok(administration.create(user, account, state)?);
    }
    administration.update(user, |account, state| {
        if force {
            account.tokens.retain(|known| known.id != token.id);
        }
        if account.token(&token.id).is_some() {
            return Err(format!("has got a device named {} meanwhile", token.id));
        }
        if account.tokens.len() >= MAX_TOKENS {
            return Err(format!(
                "has {MAX_TOKENS} devices, which is the most; remove one first"
            ));
        }
        account.tokens.push(token.clone());
        state.set_token(used);
        Ok(())
    })?;
    Ok(())
}

fn report(
    context: &Context<'_>,
    arguments: &Enroll,
    token: &Token,
    codes: &[RecoveryCode],
) -> Result<(), CliError> {
    let exposed: Vec<_> = codes.iter().map(RecoveryCode::expose).collect();
    if context.cli.json {
        return output::print_json(&serde_json::json!({
            "user": arguments.user,
            "device": token.id,
            "kind": token.kind.name(),
            "uri": *token.key_uri().expose(),
            "secret": *token.secret.to_base32(),
            "recovery_codes": exposed.iter().map(|code| code.as_str()).collect::<Vec<_>>(),
        }));
    }
    let mut text = zeroize::Zeroizing::new(format!(
        "{} is enrolled with the device {}.\n",
        user_name(&arguments.user),
        token.id
    ));
    text.push_str(&recovery_text(&exposed));
    output::print(&text)
}

pub(super) fn recovery_text(codes: &[zeroize::Zeroizing<String>]) -> zeroize::Zeroizing<String> {
    let mut text = zeroize::Zeroizing::new(String::with_capacity(1024));
    if codes.is_empty() {
        return text;
    }
    text.push_str("\nRecovery codes. Each lets in once, without the device. Keep them on paper; they are not shown again.\n");
    for code in codes {
        text.push_str("  ");
        text.push_str(code);
        text.push('\n');
    }
    text
}
