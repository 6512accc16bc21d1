//! `otpgate test-login SERVICE USER`: the dialogue of a login, without the login.

use std::io::{self, BufRead as _, IsTerminal as _};

use otp_core::store::Record as _;
use pam_ffi::{
    Conversation, ConversationFailed, Item, MessageStyle, PamError, ReturnCode, Transaction,
};
use zeroize::Zeroizing;

use super::{Context, user_name};
use crate::cli::TestLogin;
use crate::error::{CliError, NO, OK};

pub(super) fn run(context: &Context<'_>, arguments: &TestLogin) -> Result<u8, CliError> {
    let fail = |error: PamError| CliError::new(error.to_string());
    let (service, user) = (&arguments.service, &arguments.user);
    let pam_dir = arguments.pam_dir.as_deref();
    let mut pam =
        Transaction::start(service, Some(user.as_bytes()), pam_dir, Terminal).map_err(fail)?;
    let from = arguments.from.map(|address| address.to_string());
    match &from {
        Some(address) => pam
            .set_item(Item::Rhost, address.as_bytes())
            .map_err(fail)?,
        // A terminal of this host, as sudo and login name it.
        None => pam.set_item(Item::Tty, b"/dev/tty").map_err(fail)?,
    }
    eprintln!("This is what {service} asks {user}. Codes that are accepted here are used up.");
    let auth = pam.authenticate(0);
    let account = if auth.is_ok() {
        Some(pam.account(0))
    } else {
        None
    };
    let result = |result: &Result<(), PamError>| match result {
        Ok(()) => "PAM_SUCCESS".to_owned(),
        Err(error) => error.code.name().to_owned(),
    };
    let accepted = auth.is_ok() && matches!(account, Some(Ok(())));
    let json = serde_json::json!({
        "service": service, "user": user, "accepted": accepted,
        "auth": result(&auth), "account": account.as_ref().map(result),
    });
    let text = match (&auth, &account) {
        (Err(error), _) => explain("auth", error, service, user),
        (Ok(()), Some(Err(error))) if error.code == ReturnCode::NEW_AUTHTOK_REQD => {
            unfinished(context, service, user)
        }
        (Ok(()), Some(Err(error))) => explain("account", error, service, user),
        _ => format!(
            "Accepted: {user} would be let in by {service}. A code that was asked for is used up: wait for the next one before you log in.\n"
        ),
    };
    context.print(&json, &text)?;
    Ok(if accepted { OK } else { NO })
}

/// A login would go on with the password part of the stack, which a test does not.
fn unfinished(context: &Context<'_>, service: &str, user: &str) -> String {
    let name = user_name(user);
    let store = context.store().ok();
    let record = store.and_then(|store| store.lock_enrolled(&name).ok());
    let has_device = record.is_some_and(|record| !record.account().tokens.is_empty());
    if has_device {
        return format!(
            "{service} would let {user} in, and the password has expired: it would be changed now.\n"
        );
    }
    format!(
        "{service} would let {user} in, and have them enrol now: show a picture and a key, ask for a code, and show \
         recovery codes (unless it is only the password that has expired). None of that is done here. An invite \
         that was typed has let in once more: `otpgate show {user}` says how often it still can.\n"
    )
}

fn explain(part: &str, error: &PamError, service: &str, user: &str) -> String {
    let why = match error.code {
        // Some modules answer AUTH_ERR when they could not ask.
        _ if error.conversation.is_some() => {
            "There was no answer to a question, so nothing was tested. From a pipe, give one line an answer."
                .into()
        }
        ReturnCode::AUTH_ERR => format!(
            "The password or the code was wrong, or the code did not count. The log says which \
             (grep otpgate: in auth.log or the journal), and `otpgate show {user}` whether {user} is \
             throttled. If no code was asked for, the password was wrong, or the stack is: `otpgate check`."
        ),
        ReturnCode::USER_UNKNOWN => format!("This system knows no user named {user}."),
        ReturnCode::AUTHINFO_UNAVAIL => {
            "The state could not be read or written. `otpgate check` says why.".into()
        }
        ReturnCode::SERVICE_ERR => {
            "An option in the pam.d line or the configuration is wrong. `otpgate check` names it."
                .into()
        }
        ReturnCode::PERM_DENIED => {
            "A rule with then = \"deny\" applies, or the account may not log in here.".into()
        }
        ReturnCode::ACCT_EXPIRED => format!("The account of {user} has expired (chage -l {user})."),
        ReturnCode::MODULE_UNKNOWN | ReturnCode::OPEN_ERR => {
            "A module named in the stack cannot be loaded. `otpgate check` says which.".into()
        }
        ReturnCode::CONV_ERR => "A question could not be asked here.".into(),
        _ => format!("See /etc/pam.d/{service}, and `otpgate check`."),
    };
    format!("Refused by the {part} part of {service}: {error}.\n{why}\n")
}

/// Asks on the terminal; from a pipe, one line an answer.
struct Terminal;

impl Conversation for Terminal {
    fn respond(
        &mut self,
        style: MessageStyle,
        text: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, ConversationFailed> {
        let text = printable(text);
        match style {
            MessageStyle::ErrorMsg | MessageStyle::TextInfo => {
                eprintln!("{text}");
                Ok(None)
            }
            MessageStyle::PromptEchoOff if io::stdin().is_terminal() => {
                let answer = rpassword::prompt_password(&text).map_err(ConversationFailed::new)?;
                Ok(Some(Zeroizing::new(answer.into_bytes())))
            }
            MessageStyle::PromptEchoOff | MessageStyle::PromptEchoOn => {
                eprint!("{text}");
                let mut line = Zeroizing::new(String::with_capacity(512));
                let length = io::stdin()
                    .lock()
                    .read_line(&mut line)
                    .map_err(ConversationFailed::new)?;
                if length == 0 {
                    return Err(ConversationFailed::new("no more answers"));
                }
                Ok(Some(Zeroizing::new(
                    line.trim_end_matches('\n').as_bytes().to_vec(),
                )))
            }
        }
    }
}

/// Without control characters: a module must not move the cursor of root's terminal.
fn printable(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.chars()
        .map(|letter| {
            if letter.is_control() && letter != '\n' {
                '?'
            } else {
                letter
            }
        })
        .collect()
}
