//! The numbers of `<security/_pam_types.h>` and `<syslog.h>`, by name.
//!
//! Return codes are a newtype and not an enum, because libpam passes on whatever integer a module
//! returned, and an enum with a value outside its list is undefined behaviour.

use std::fmt;

use pam::constants::PamResultCode;

/// What libpam, or a module, answered: any integer, most of which have no name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ReturnCode(pub i32);

/// Defines each code once: its constant, its name and its place in [`ReturnCode::NAMED`].
macro_rules! return_codes {
    ($($name:ident = $value:literal, $doc:literal;)*) => {
        impl ReturnCode {
            $(#[doc = $doc] pub const $name: Self = Self($value);)*

            /// Every code that Linux-PAM 1.5 has a name for, in ascending order.
            pub const NAMED: &'static [Self] = &[$(Self::$name),*];

            /// The name in `<security/_pam_types.h>`, such as `PAM_AUTH_ERR`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($value => concat!("PAM_", stringify!($name)),)*
                    _ => "unknown PAM code",
                }
            }
        }
    };
}

return_codes! {
    SUCCESS = 0, "The call did what it was asked to do.";
    OPEN_ERR = 1, "A module could not be loaded.";
    SYMBOL_ERR = 2, "A module lacks the entry asked for.";
    SERVICE_ERR = 3, "A module failed, or is set up wrongly.";
    SYSTEM_ERR = 4, "The system failed.";
    BUF_ERR = 5, "Out of memory, or a value that cannot be a C string.";
    PERM_DENIED = 6, "Permission denied.";
    AUTH_ERR = 7, "The user did not authenticate.";
    CRED_INSUFFICIENT = 8, "The application may not see what is needed to authenticate the user.";
    AUTHINFO_UNAVAIL = 9, "What is needed to authenticate the user could not be read.";
    USER_UNKNOWN = 10, "No such user.";
    MAXTRIES = 11, "A module has seen too many tries; more are pointless.";
    NEW_AUTHTOK_REQD = 12, "The user must change the password, or enrol, before going on.";
    ACCT_EXPIRED = 13, "The account has expired.";
    SESSION_ERR = 14, "The session could not be opened or closed.";
    CRED_UNAVAIL = 15, "The user's credentials cannot be read.";
    CRED_EXPIRED = 16, "The user's credentials have expired.";
    CRED_ERR = 17, "The user's credentials could not be set.";
    NO_MODULE_DATA = 18, "Nothing is stored under that name on this handle.";
    CONV_ERR = 19, "The conversation with the user failed.";
    AUTHTOK_ERR = 20, "The password could not be handled.";
    AUTHTOK_RECOVERY_ERR = 21, "The old password could not be had.";
    AUTHTOK_LOCK_BUSY = 22, "The password store is locked by somebody else.";
    AUTHTOK_DISABLE_AGING = 23, "Ageing of the password is disabled.";
    TRY_AGAIN = 24, "The preliminary check of a password change failed.";
    IGNORE = 25, "The module has no opinion.";
    ABORT = 26, "Stop at once.";
    AUTHTOK_EXPIRED = 27, "The password has expired.";
    MODULE_UNKNOWN = 28, "No such module.";
    BAD_ITEM = 29, "No such item, or not one that this side may read or set.";
    CONV_AGAIN = 30, "The conversation is driven by events and has no data yet.";
    INCOMPLETE = 31, "Call again once the conversation has data.";
}

impl fmt::Display for ReturnCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if Self::NAMED.contains(self) {
            f.write_str(self.name())
        } else {
            write!(f, "{} {}", self.name(), self.0)
        }
    }
}

impl std::error::Error for ReturnCode {}

impl From<PamResultCode> for ReturnCode {
    fn from(code: PamResultCode) -> Self {
        Self(code as i32)
    }
}

/// For the value a module's entry returns. A code without a name becomes `PAM_SYSTEM_ERR`: a
/// failure, so nobody gets in through a number that nobody knows.
impl From<ReturnCode> for PamResultCode {
    fn from(code: ReturnCode) -> Self {
        Self::try_from(code.0).unwrap_or(Self::PAM_SYSTEM_ERR)
    }
}

/// How a message of the conversation is to be shown, and whether it wants an answer.
///
/// Linux-PAM's `PAM_RADIO_TYPE` and `PAM_BINARY_PROMPT` are left out: no module in use sends them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MessageStyle {
    /// A question whose answer is not shown while it is typed.
    PromptEchoOff,
    /// A question whose answer is shown while it is typed.
    PromptEchoOn,
    /// An error to show; no answer.
    ErrorMsg,
    /// A text to show; no answer.
    TextInfo,
}

impl MessageStyle {
    /// True for the two styles that ask for an answer.
    #[must_use]
    pub const fn wants_answer(self) -> bool {
        matches!(self, Self::PromptEchoOff | Self::PromptEchoOn)
    }

    pub(crate) const fn to_raw(self) -> i32 {
        match self {
            Self::PromptEchoOff => 1,
            Self::PromptEchoOn => 2,
            Self::ErrorMsg => 3,
            Self::TextInfo => 4,
        }
    }

    pub(crate) const fn from_raw(style: i32) -> Option<Self> {
        match style {
            1 => Some(Self::PromptEchoOff),
            2 => Some(Self::PromptEchoOn),
            3 => Some(Self::ErrorMsg),
            4 => Some(Self::TextInfo),
            _ => None,
        }
    }
}

/// The items of a PAM handle that are plain text.
///
/// `PAM_AUTHTOK` and `PAM_OLDAUTHTOK` are missing on purpose: they are secrets, which
/// [`Module::authtok`](crate::Module::authtok) hands out in a buffer that wipes itself, and which
/// libpam shows to modules only.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Item {
    /// `PAM_SERVICE`: the name of the pam.d file in use.
    Service,
    /// `PAM_USER`: who is to be authenticated.
    User,
    /// `PAM_TTY`: the terminal; sshd sets `ssh`.
    Tty,
    /// `PAM_RHOST`: where the request comes from, an address or a name as the application likes.
    Rhost,
    /// `PAM_RUSER`: who asks, on that host.
    Ruser,
    /// `PAM_USER_PROMPT`: the question `pam_get_user` asks when there is no user yet.
    UserPrompt,
    /// `PAM_XDISPLAY`: the X display.
    XDisplay,
    /// `PAM_AUTHTOK_TYPE`: the word before "password" in prompts of `pam_get_authtok`.
    AuthtokType,
}

impl Item {
    pub(crate) const fn to_raw(self) -> i32 {
        match self {
            Self::Service => 1,
            Self::User => 2,
            Self::Tty => 3,
            Self::Rhost => 4,
            Self::Ruser => 8,
            Self::UserPrompt => 9,
            Self::XDisplay => 11,
            Self::AuthtokType => 13,
        }
    }
}

/// How much a log line matters, as syslog counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Priority {
    /// `LOG_ERR`: something is broken and needs an administrator.
    Error,
    /// `LOG_WARNING`: something will break, or somebody is trying.
    Warning,
    /// `LOG_NOTICE`: normal, and worth keeping: each decision.
    Notice,
    /// `LOG_INFO`: normal.
    Info,
    /// `LOG_DEBUG`: for finding faults.
    Debug,
}

impl Priority {
    pub(crate) const fn to_raw(self) -> i32 {
        match self {
            Self::Error => libc::LOG_ERR,
            Self::Warning => libc::LOG_WARNING,
            Self::Notice => libc::LOG_NOTICE,
            Self::Info => libc::LOG_INFO,
            Self::Debug => libc::LOG_DEBUG,
        }
    }
}

/// Flags that an application passes to libpam and libpam to the modules; combined with `|`.
pub mod flags {
    /// No messages, please.
    pub const SILENT: u32 = 0x8000;
    /// `pam_authenticate`, `pam_acct_mgmt`: an empty password does not authenticate.
    pub const DISALLOW_NULL_AUTHTOK: u32 = 0x0001;
    /// `pam_setcred`: set the credentials.
    pub const ESTABLISH_CRED: u32 = 0x0002;
    /// `pam_setcred`: take the credentials away.
    pub const DELETE_CRED: u32 = 0x0004;
    /// `pam_setcred`: set the credentials anew.
    pub const REINITIALIZE_CRED: u32 = 0x0008;
    /// `pam_setcred`: let the credentials last longer.
    pub const REFRESH_CRED: u32 = 0x0010;
    /// `pam_chauthtok`: only passwords that have expired.
    pub const CHANGE_EXPIRED_AUTHTOK: u32 = 0x0020;
    /// `pam_sm_chauthtok`: libpam's second pass, in which the change is made.
    pub const UPDATE_AUTHTOK: u32 = 0x2000;
    /// `pam_sm_chauthtok`: libpam's first pass, in which nothing is changed.
    pub const PRELIM_CHECK: u32 = 0x4000;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_codes_are_those_of_pam_bindings_and_of_the_header() {
        for (position, code) in ReturnCode::NAMED.iter().enumerate() {
            assert_eq!(usize::try_from(code.0), Ok(position), "{code}");
            let theirs = PamResultCode::try_from(code.0).unwrap();
            assert_eq!(format!("{theirs:?}"), code.name());
            assert_eq!(ReturnCode::from(theirs), *code);
        }
        assert_eq!(ReturnCode::NAMED.len(), 32, "_PAM_RETURN_VALUES");
    }

    #[test]
    fn codes_without_a_name_show_their_number_and_never_become_success() {
        for number in [-1, 32, 4711, i32::MAX, i32::MIN] {
            let code = ReturnCode(number);
            assert_eq!(code.to_string(), format!("unknown PAM code {number}"));
            assert_eq!(PamResultCode::from(code), PamResultCode::PAM_SYSTEM_ERR);
        }
        assert_eq!(ReturnCode::AUTH_ERR.to_string(), "PAM_AUTH_ERR");
    }

    #[test]
    fn styles_survive_the_way_to_c_and_back() {
        for raw in -2..10 {
            if let Some(style) = MessageStyle::from_raw(raw) {
                assert_eq!(style.to_raw(), raw);
                assert_eq!(style.wants_answer(), raw <= 2);
            } else {
                assert!(!(1..=4).contains(&raw));
            }
        }
    }
}
