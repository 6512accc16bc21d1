//! What a PAM application does: one transaction, from `pam_start` to `pam_end`.
//!
//! PAM modules change the process that calls them (limits, login uid, keyrings, environment) and
//! may block for as long as a person types: give a transaction a process of its own,
//! single-threaded, wherever it is more than a test.

use std::ffi::{CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::panic::resume_unwind;
use std::path::Path;
use std::ptr::{self, NonNull};
use std::time::Duration;
use std::{error, fmt};

use pam::module::PamHandle;

use crate::codes::{Item, ReturnCode};
use crate::conversation::{Conversation, ConversationFailed, Shared, note_delay};
use crate::libpam::{self, DelayFunction};
use crate::reply;

/// A PAM handle and the conversation that it calls. Ended with the last result when dropped.
///
/// A panic in the conversation passes libpam as `PAM_CONV_ERR` and is resumed when the call comes
/// back, whatever it returned; after that the conversation is not called again. A panic during the
/// final `pam_end` ends there. The handle stays in its thread: it is neither `Send` nor `Sync`.
pub struct Transaction<C: Conversation> {
    handle: NonNull<PamHandle>,
    // Declared after the handle, and dropped after `Drop::drop` has ended it: modules may converse
    // until then.
    shared: Shared<C>,
    last: ReturnCode,
}

/// One of the six calls that run a stack of modules.
type Stack = unsafe extern "C" fn(*mut PamHandle, c_int) -> c_int;

impl<C: Conversation> Transaction<C> {
    /// Begins: reads the file of `service` in `confdir`, or in `/etc/pam.d` (where `pam.conf` and
    /// `other` count as well), and loads its modules. Without `user` the first module that needs
    /// one asks.
    ///
    /// `confdir` (Linux-PAM 1.4 and later) works without root; whoever may write there runs code in
    /// this process.
    ///
    /// # Errors
    ///
    /// What libpam answered, such as `PAM_ABORT` for a service without a file; `PAM_BUF_ERR` for a
    /// value with a NUL inside.
    pub fn start(
        service: &str,
        user: Option<&[u8]>,
        confdir: Option<&Path>,
        conversation: C,
    ) -> Result<Self, PamError> {
        let call = "pam_start";
        let service = c_string(call, service.as_bytes())?;
        let user = user.map(|user| c_string(call, user)).transpose()?;
        let user = user.as_ref().map_or(ptr::null(), |user| user.as_ptr());
        let shared = Shared::new(conversation);
        let conv = shared.as_conv();
        let mut handle: *mut PamHandle = ptr::null_mut();
        let code = if let Some(confdir) = confdir {
            let confdir = c_string(call, confdir.as_os_str().as_bytes())?;
            let (service, confdir) = (service.as_ptr(), confdir.as_ptr());
            // SAFETY: C strings or null; libpam copies them and `conv`, whose data outlives the
            // handle.
            unsafe {
                libpam::pam_start_confdir(service, user, &raw const conv, confdir, &raw mut handle)
            }
        } else {
            // SAFETY: as above.
            unsafe { libpam::pam_start(service.as_ptr(), user, &raw const conv, &raw mut handle) }
        };
        match (ReturnCode(code), NonNull::new(handle)) {
            (last @ ReturnCode::SUCCESS, Some(handle)) => Ok(Self {
                handle,
                shared,
                last,
            }),
            // After a failure the handle is libpam's business, whatever is in it.
            (ReturnCode::SUCCESS, None) => Err(PamError::new(call, ReturnCode::SYSTEM_ERR)),
            (failure, _) => Err(PamError::new(call, failure)),
        }
    }

    /// Sets an item of the handle, such as who asks from where.
    ///
    /// # Errors
    ///
    /// What libpam answered; `PAM_BUF_ERR` for a value with a NUL inside.
    pub fn set_item(&mut self, item: Item, value: &[u8]) -> Result<(), PamError> {
        let value = c_string("pam_set_item", value)?;
        self.set_raw_item(item.to_raw(), value.as_ptr().cast())
    }

    /// The value of an item, none when it is not set. After authentication `Item::User` may be
    /// somebody else than before: modules may change it, and only the user it then names is
    /// authenticated.
    ///
    /// # Errors
    ///
    /// What libpam answered.
    pub fn item(&self, item: Item) -> Result<Option<Vec<u8>>, PamError> {
        let mut value: *const c_void = ptr::null();
        // SAFETY: the handle is live and `value` is ours to write.
        let code =
            unsafe { libpam::pam_get_item(self.handle.as_ptr(), item.to_raw(), &raw mut value) };
        result("pam_get_item", code)?;
        // SAFETY: every `Item` is text, so this is null or libpam's own string, which stays until
        // the item changes.
        Ok(unsafe { reply::copy(value.cast()) })
    }

    /// Sets a variable of the PAM environment (`NAME=VALUE`), or takes it away (`NAME`). The
    /// process's own environment stays as it is.
    ///
    /// # Errors
    ///
    /// What libpam answered; `PAM_BUF_ERR` for a NUL inside.
    pub fn put_env(&mut self, assignment: &str) -> Result<(), PamError> {
        let assignment = c_string("pam_putenv", assignment.as_bytes())?;
        // SAFETY: the handle is live; libpam copies the C string.
        let code = unsafe { libpam::pam_putenv(self.handle.as_ptr(), assignment.as_ptr()) };
        result("pam_putenv", code)
    }

    /// The PAM environment, each variable as `NAME=VALUE`: what the modules want the session to
    /// begin with.
    #[must_use]
    pub fn environment(&self) -> Vec<Vec<u8>> {
        // SAFETY: the handle is live.
        let list = unsafe { libpam::pam_getenvlist(self.handle.as_ptr()) };
        // SAFETY: pam_getenvlist hands its copy over.
        unsafe { take_list(list) }
    }

    /// Is the user who they say (`pam_authenticate`)?
    ///
    /// # Errors
    ///
    /// What the stack answered: anything but success is no.
    pub fn authenticate(&mut self, flags: u32) -> Result<(), PamError> {
        self.run("pam_authenticate", libpam::pam_authenticate, flags)
    }

    /// May the user log in, here and now (`pam_acct_mgmt`)? `PAM_NEW_AUTHTOK_REQD`: after
    /// [`change_authtok`](Self::change_authtok).
    ///
    /// # Errors
    ///
    /// What the stack answered: anything but success is no.
    pub fn account(&mut self, flags: u32) -> Result<(), PamError> {
        self.run("pam_acct_mgmt", libpam::pam_acct_mgmt, flags)
    }

    /// Sets or takes away the user's credentials (`pam_setcred`), as the flags say.
    ///
    /// # Errors
    ///
    /// What the stack answered.
    pub fn set_credentials(&mut self, flags: u32) -> Result<(), PamError> {
        self.run("pam_setcred", libpam::pam_setcred, flags)
    }

    /// Opens the session (`pam_open_session`). Not closed on drop: whether and when is the caller's
    /// to know.
    ///
    /// # Errors
    ///
    /// What the stack answered.
    pub fn open_session(&mut self, flags: u32) -> Result<(), PamError> {
        self.run("pam_open_session", libpam::pam_open_session, flags)
    }

    /// Closes the session (`pam_close_session`).
    ///
    /// # Errors
    ///
    /// What the stack answered.
    pub fn close_session(&mut self, flags: u32) -> Result<(), PamError> {
        self.run("pam_close_session", libpam::pam_close_session, flags)
    }

    /// Changes the password, or enrols (`pam_chauthtok`).
    ///
    /// # Errors
    ///
    /// What the stack answered.
    pub fn change_authtok(&mut self, flags: u32) -> Result<(), PamError> {
        self.run("pam_chauthtok", libpam::pam_chauthtok, flags)
    }

    /// From here on, libpam does not sleep after failures;
    /// [`requested_delay`](Self::requested_delay) tells how long it would have. For tests, and for
    /// callers with a delay of their own.
    ///
    /// # Errors
    ///
    /// What libpam answered.
    pub fn ignore_fail_delay(&mut self) -> Result<(), PamError> {
        let function: DelayFunction = note_delay::<C>;
        self.set_raw_item(libpam::ITEM_FAIL_DELAY, function as *const c_void)
    }

    /// How long libpam last wanted to sleep, if [`ignore_fail_delay`](Self::ignore_fail_delay) kept
    /// it from doing so: what modules asked for, with libpam's random share of up to half more or
    /// less.
    #[must_use]
    pub fn requested_delay(&self) -> Option<Duration> {
        self.shared.get().requested_delay
    }

    /// The conversation, between calls.
    pub fn conversation(&mut self) -> &mut C {
        &mut self.shared.get_mut().conversation
    }

    fn run(&mut self, call: &'static str, stack: Stack, flags: u32) -> Result<(), PamError> {
        self.shared.get_mut().failed = None;
        // SAFETY: one of the six entries of libpam, on the live handle; the flags' bits are the
        // same in C's int.
        self.last = ReturnCode(unsafe { stack(self.handle.as_ptr(), flags.cast_signed()) });
        let state = self.shared.get_mut();
        if let Some(payload) = state.panic.take() {
            resume_unwind(payload);
        }
        let conversation = state.failed.take();
        result(call, self.last.0).map_err(|error| PamError {
            conversation,
            ..error
        })
    }

    fn set_raw_item(&mut self, item: c_int, value: *const c_void) -> Result<(), PamError> {
        // SAFETY: the handle is live; both callers pass what the item wants: a C string, which
        // libpam copies, or a function.
        let code = unsafe { libpam::pam_set_item(self.handle.as_ptr(), item, value) };
        result("pam_set_item", code)
    }
}

impl<C: Conversation> Drop for Transaction<C> {
    fn drop(&mut self) {
        // SAFETY: the handle is live, and not used after this.
        unsafe { libpam::pam_end(self.handle.as_ptr(), self.last.0) };
    }
}

/// What libpam answered instead of success.
#[derive(Debug)]
pub struct PamError {
    /// The answer itself.
    pub code: ReturnCode,
    /// The function of libpam's that gave it.
    pub call: &'static str,
    /// What `pam_strerror` says about the code, in the language of the process.
    pub description: String,
    /// The first failure of the conversation during the call: often the reason, but modules may
    /// have gone on after it.
    pub conversation: Option<ConversationFailed>,
}

impl PamError {
    fn new(call: &'static str, code: ReturnCode) -> Self {
        // SAFETY: Linux-PAM takes the handle for the sake of the standard, and does not look at it.
        let description = unsafe { libpam::pam_strerror(ptr::null(), code.0) };
        // SAFETY: null or a C string that lives as long as the process.
        let description = unsafe { reply::copy(description) }.unwrap_or_default();
        Self {
            code,
            call,
            description: String::from_utf8_lossy(&description).into_owned(),
            conversation: None,
        }
    }
}

impl fmt::Display for PamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.call, self.description, self.code)?;
        match &self.conversation {
            Some(reason) => write!(f, "; the conversation failed: {reason}"),
            None => Ok(()),
        }
    }
}

impl error::Error for PamError {}

fn result(call: &'static str, code: c_int) -> Result<(), PamError> {
    match ReturnCode(code) {
        ReturnCode::SUCCESS => Ok(()),
        failure => Err(PamError::new(call, failure)),
    }
}

fn c_string(call: &'static str, value: &[u8]) -> Result<CString, PamError> {
    CString::new(value).map_err(|_| PamError {
        description: "a value with a NUL byte inside".into(),
        ..PamError::new(call, ReturnCode::BUF_ERR)
    })
}

/// Copies a malloc'ed list of malloc'ed C strings, which a null pointer ends, and frees it.
///
/// # Safety
///
/// `list` is null or such a list, and nobody else's.
unsafe fn take_list(list: *mut *mut c_char) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    let mut position = list;
    while !position.is_null() {
        // SAFETY: not past the null pointer at the end, so within the list.
        let entry = unsafe { position.read() };
        // SAFETY: null, or a malloc'ed string of the list that is now ours.
        let Some(entry) = (unsafe { reply::take(entry) }) else {
            break;
        };
        entries.push(entry.to_vec());
        // SAFETY: an entry was here, so the list goes on by at least the null pointer.
        position = unsafe { position.add(1) };
    }
    // SAFETY: null, or malloc'ed and not used after this.
    unsafe { libc::free(list.cast()) };
    entries
}
