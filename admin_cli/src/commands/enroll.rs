//! `otpgate enroll`: make a key, show it, see a code made with it, and only then store it.

use otp_core::account::{Account, Kind, MAX_TOKENS, Serial, Token};
use otp_core::clock::{Clock as _, SystemClock};
use otp_core::config::{Config, Profile};
use otp_core::enrolment::{Proof, prove};
use otp_core::hotp::{Algorithm, Code, Digits, MovingFactor};
use otp_core::recovery::{RecoveryCode, StoredRecoveryCode};
use otp_core::secret::{STRONG_BYTES, Secret};
use otp_core::state::{State, TokenState};
use otp_core::store::{FilesStore, Store as _};
use otp_core::totp::{Period, UnixTime};
use otp_core::user_name::UserName;

use super::{Context, enroll_delivered, help_desk, user_name};
use crate::cli::Enroll;
use crate::error::{CliError, OK};
use crate::qr::{self, Target};
use crate::{input, output};

/// How often a code may be mistyped before nothing is enrolled.
pub(super) const TRIES: usize = 3;

pub(super) fn run(context: &Context<'_>, arguments: &Enroll) -> Result<u8, CliError> {
    if let Some(destination) = &arguments.delivered {
        return enroll_delivered::run(context, arguments, destination);
    }
    refuse_impossible(context, arguments)?;
    let config = context.config()?;
    let store = FilesStore::open(&config.state_dir)?;
    let user = user_name(&arguments.user);
    let there = Standing::of(&store, &user)?;
    let enrolled = there == Standing::Enrolled;
    refuse_taken_name(&store, &user, enrolled, arguments)?;
    let token = new_token(&config, arguments)?;
    warn(arguments, &token);
    qr::to_file(&token.key_uri().expose(), &arguments.qr)?;
    let stored = prove_and_save(context, arguments, &config, &store, there, &token);
    // The picture of a key that was not enrolled is of no use, and would be in the way of the next.
    let codes = stored.inspect_err(|_| qr::remove_file(&arguments.qr))?;
    report(context, arguments, &token, &codes)
        .map_err(|error| enrolled_unseen(arguments, enrolled, &error))?;
    Ok(OK)
}

/// What there is of the user already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Nothing,
    /// An invite, which gives way to the device.
    Invited,
    Enrolled,
}

impl Standing {
    pub(super) fn of(store: &FilesStore, user: &UserName) -> Result<Self, CliError> {
        if !store.is_enrolled(user)? {
            return Ok(Self::Nothing);
        }
        let record = store.lock_enrolled(user)?;
        let invited = otp_core::store::Record::account(&record).invite().is_some();
        Ok(if invited {
            Self::Invited
        } else {
            Self::Enrolled
        })
    }
}

/// What no store and no key is needed for to say no to.
pub(super) fn refuse_impossible(context: &Context<'_>, arguments: &Enroll) -> Result<(), CliError> {
    let user = user_name(&arguments.user);
    if UserName::from_file_name(user.file_name()).is_none() {
        return Err(CliError::new(
            "USER is empty, or too long for any system; give the name that the user logs in with",
        ));
    }
    let is_file_name = |name: &String| {
        !name.is_empty()
            && !name.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control())
    };
    if !arguments.service.iter().all(is_file_name) {
        return Err(CliError::new(
            "--service takes the name of a file in /etc/pam.d, such as sshd",
        ));
    }
    let key_is_seen =
        arguments.secret_from.is_some() || matches!(arguments.qr, Target::Png(_) | Target::Svg(_));
    let has_key = arguments.delivered.is_none();
    if context.cli.json && has_key && !arguments.no_confirm && !key_is_seen {
        return Err(CliError::new(
            "with --json nobody sees the key before it is to be confirmed; add --no-confirm, or --qr with a file",
        ));
    }
    Ok(())
}

/// Shows the key, waits for a code made with it, and stores it. Returns the recovery codes.
fn prove_and_save(
    context: &Context<'_>,
    arguments: &Enroll,
    config: &Config,
    store: &FilesStore,
    there: Standing,
    token: &Token,
) -> Result<Vec<RecoveryCode>, CliError> {
    if !context.cli.json {
        show_key(token, &arguments.qr)?;
    }
    let mut state = TokenState::new(token.serial, &token.kind);
    if !arguments.no_confirm {
        confirm(token, config, &mut state)?;
    }
    let codes = if there == Standing::Enrolled {
        Vec::new()
    } else {
        RecoveryCode::generate_set()?
    };
    let stored = StoredRecoveryCode::new_set(&codes)?;
    let user = user_name(&arguments.user);
    save(store, &user, there, arguments.force, token, state, stored)?;
    Ok(codes)
}

/// It is on the disk, and nobody could read what was to be read.
pub(super) fn enrolled_unseen(arguments: &Enroll, enrolled: bool, error: &CliError) -> CliError {
    let (user, device) = (&arguments.user, arguments.device());
    let undo = if enrolled {
        format!("otpgate remove {user} --device {device}")
    } else {
        format!("otpgate remove {user}")
    };
    CliError::new(format!(
        "{user} is enrolled with the device {device}, but {error}; run `{undo}`, and enrol again"
    ))
}

pub(super) fn refuse_taken_name(
    store: &FilesStore,
    user: &UserName,
    enrolled: bool,
    arguments: &Enroll,
) -> Result<(), CliError> {
    otp_core::account::check_device_name(arguments.device()).map_err(CliError::new)?;
    if !enrolled || arguments.force {
        return Ok(());
    }
    let record = store.lock_enrolled(user)?;
    let account = otp_core::store::Record::account(&record);
    if account.token(arguments.device()).is_some() {
        return Err(CliError::new(format!(
            "{user} has a device named {} already; give the new one another name with --device, or \
             replace the old one with --force",
            arguments.device()
        )));
    }
    Ok(())
}

pub(super) fn new_token(config: &Config, arguments: &Enroll) -> Result<Token, CliError> {
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
    let label_is = match &arguments.label {
        Some(_) => "--label: a label",
        None => "USER@HOST does not do as a label; add another with --label, which",
    };
    for (what, text) in [(label_is, &label), ("--issuer: an issuer", &issuer)] {
        otp_core::account::check_text(what, text).map_err(CliError::new)?;
    }
    Ok(Token {
        id: arguments.device().to_owned(),
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

pub(super) fn profile(config: &Config, name: Option<&str>) -> Result<Profile, CliError> {
    let Some(name) = name else {
        return Ok(Profile::default());
    };
    config.profiles.get(name).cloned().ok_or_else(|| {
        let names: Vec<&str> = config.profiles.keys().map(String::as_str).collect();
        let known = if names.is_empty() {
            "there is none at all".to_owned()
        } else {
            format!("there are: {}", names.join(", "))
        };
        CliError::new(format!(
            "there is no [profile.{name}] in the configuration; {known}"
        ))
    })
}

pub(super) fn host_name() -> String {
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

pub(super) fn warn_unknown_user(arguments: &Enroll) {
    if !pam_ffi::nss::user_exists(arguments.user.as_bytes()).unwrap_or(true) {
        eprintln!(
            "otpgate: note: this system knows no user named {}.",
            user_name(&arguments.user)
        );
    }
}

fn warn(arguments: &Enroll, token: &Token) {
    warn_unknown_user(arguments);
    let usual = token.algorithm == Algorithm::Sha1
        && token.digits == Digits::SIX
        && matches!(token.kind, Kind::Hotp { .. } | Kind::Totp { .. })
        && !matches!(token.kind, Kind::Totp { period } if period != Period::default());
    if !usual {
        let then = if arguments.no_confirm {
            "`otpgate verify` tells whether the codes are right"
        } else {
            "the code that you are asked for now tells whether yours does"
        };
        eprintln!(
            "otpgate: note: some phone apps ignore algorithm, digits and period, and assume sha1, 6 and 30; {then}."
        );
    }
}

fn show_key(token: &Token, target: &Target) -> Result<(), CliError> {
    let uri = token.key_uri().expose();
    let key = grouped(&token.secret.to_base32());
    let mut text = zeroize::Zeroizing::new(String::with_capacity(16 * 1024));
    text.push_str(&match target {
        Target::Utf8 => "Scan the code, or type this key: ".to_owned(),
        Target::None => "Type this key: ".to_owned(),
        Target::Png(path) | Target::Svg(path) => {
            format!("Scan the code in {}, or type this key: ", path.display())
        }
    });
    for part in [key.as_str(), "\nKey URI: ", uri.as_str(), "\n\n"] {
        text.push_str(part);
    }
    // Last, for a small terminal: what scrolls away is the text, which can be scrolled back to.
    if *target == Target::Utf8 {
        text.push_str(&qr::for_terminal(&uri)?);
        text.push_str("\n\n");
    }
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
            return Err(CliError::no(
                "no code was typed; nothing was enrolled or changed (--no-confirm enrols without a code)",
            ));
        };
        let count = token.digits.count();
        let digits = digits_of(&typed);
        let Some(code) = Code::parse(digits.as_bytes()).filter(|_| digits.len() == count) else {
            eprintln!("That is no code of this device: they have {count} digits.");
            continue;
        };
        let now = SystemClock.now();
        match prove(token, &code, &config.parameters.reach, now) {
            Proof::Right(position) => {
                state.advance_past(position);
                return Ok(());
            }
            Proof::Off(position) => explain_clock(token, position, now),
            Proof::Wrong => {
                eprintln!("That code does not belong to this key. Was the right entry scanned?")
            }
        }
    }
    Err(CliError::no(
        "no right code was typed; nothing was enrolled or changed",
    ))
}

/// What was typed, without the spaces and dashes of a code in groups.
pub(super) fn digits_of(typed: &str) -> zeroize::Zeroizing<String> {
    zeroize::Zeroizing::new(typed.chars().filter(char::is_ascii_digit).collect())
}

fn explain_clock(token: &Token, position: MovingFactor, now: UnixTime) {
    let Kind::Totp { period } = token.kind else {
        eprintln!(
            "The key is right, but the device's counter stands at {position} already, which is too far on. \
             Enrol again; if the key stays the same (--secret-from), with --counter {position}."
        );
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

pub(super) fn save(
    store: &FilesStore,
    user: &UserName,
    there: Standing,
    force: bool,
    token: &Token,
    used: TokenState,
    recovery: Vec<StoredRecoveryCode>,
) -> Result<(), CliError> {
    let administration = store.administer()?;
    if there == Standing::Nothing {
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
        if (there == Standing::Invited) != account.invite().is_some() {
            return Err("was invited or enrolled meanwhile; run it again".to_owned());
        }
        if there == Standing::Invited {
            account.recovery = recovery;
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
    if codes.is_empty() {
        let user = user_name(&arguments.user);
        text.push_str(&format!(
            "The recovery codes stay as they were; `otpgate recovery {user}` makes new ones.\n"
        ));
        text.push_str(&help_desk::after_another_device(context, &user, &token.id)?);
    }
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
