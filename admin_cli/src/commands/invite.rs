//! `otpgate invite USER`: a ticket to enrol with at the first login.

use otp_core::account::Account;
use otp_core::clock::{Clock as _, SystemClock};
use otp_core::invite::{Invite, MOST_ADMISSIONS};
use otp_core::recovery::RecoveryCode;
use otp_core::state::State;
use otp_core::store::{FilesStore, Store as _};
use otp_core::totp::UnixTime;
use otp_core::user_name::UserName;

use super::recovery::end_scratch_codes;
use super::{Context, name, user_name};
use crate::cli;
use crate::error::{CliError, OK};
use crate::output::when;

pub(super) fn run(context: &Context<'_>, arguments: &cli::Invite) -> Result<u8, CliError> {
    let user = user_name(&arguments.user);
    if UserName::from_file_name(user.file_name()).is_none() {
        return Err(CliError::new(
            "USER is empty, or too long for any system; give the name that the user logs in with",
        ));
    }
    let store = context.store()?;
    let expires = SystemClock.now().plus(arguments.expires);
    let (invite, ticket) = Invite::generate(expires)?;
    let before = save(&store, &user, invite)?;
    note_unknown(&arguments.user);
    report(context, &user, &ticket, expires, before).map_err(|error| unseen(&user, &error))?;
    Ok(OK)
}

/// What the invite took the place of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Invite,
    RecoveryCodes,
}

fn save(store: &FilesStore, user: &UserName, invite: Invite) -> Result<Before, CliError> {
    let administration = store.administer()?;
    if !store.is_enrolled(user)? {
        let mut account = Account::new(user, SystemClock.now());
        account.invite = Some(invite);
        let state = State::new(&account);
        administration.create(user, account, state)?;
        return Ok(Before::Nothing);
    }
    let before = administration.update(user, |account, state| {
        refuse_enrolled(account, user)?;
        let before = match account.invite() {
            Some(_) => Before::Invite,
            None if account.recovery_ids().next().is_some() => Before::RecoveryCodes,
            None => Before::Nothing,
        };
        // Codes that let in without a device would go on doing so beside the invite.
        account.recovery = Vec::new();
        end_scratch_codes(account, state);
        account.invite = Some(invite);
        Ok(before)
    })?;
    Ok(before)
}

fn refuse_enrolled(account: &Account, user: &UserName) -> Result<(), String> {
    let name = name::quoted(user);
    if !account.tokens.is_empty() {
        let devices: Vec<&str> = account.tokens.iter().map(|token| &*token.id).collect();
        return Err(format!(
            "is enrolled ({}), and an invite is for a first device. For one more: `otpgate enroll {name} --device ID`. \
             For a lost phone: a recovery code lets them in, or `otpgate remove {name}`, and then invite them",
            devices.join(", ")
        ));
    }
    if account.enabled {
        return Ok(());
    }
    Err(format!(
        "is disabled, and the invite would be refused: first `otpgate enable {name}`"
    ))
}

fn note_unknown(user: &str) {
    if !pam_ffi::nss::user_exists(user.as_bytes()).unwrap_or(true) {
        eprintln!(
            "otpgate: note: this system knows no user named {}.",
            user_name(user)
        );
    }
}

fn report(
    context: &Context<'_>,
    user: &UserName,
    ticket: &RecoveryCode,
    expires: UnixTime,
    before: Before,
) -> Result<(), CliError> {
    let ticket = ticket.expose();
    let json = serde_json::json!({
        "user": name::typed(user), "invite": ticket.as_str(), "expires": expires.0,
    });
    let instead = match before {
        Before::Nothing => "",
        Before::Invite => "The invite before it no longer works.\n",
        Before::RecoveryCodes => "The old recovery codes no longer work.\n",
    };
    let text = zeroize::Zeroizing::new(format!(
        "{} is invited until {}:\n\n  {}\n\n{instead}At the next login with a password they type it at \"Verification code:\", scan a picture with\n\
         an authenticator app, and are enrolled. It is not shown again, it works once, and after\n\
         {MOST_ADMISSIONS} logins that broke off before the end no more. Hand it over another way than the password.\n",
        name::shown(user),
        when(Some(expires)),
        *ticket,
    ));
    context.print(&json, &text)
}

fn unseen(user: &UserName, error: &CliError) -> CliError {
    let name = name::quoted(user);
    CliError::new(format!(
        "{name} is invited, and {error}; run `otpgate invite {name}` again for an invite that can be read"
    ))
}
