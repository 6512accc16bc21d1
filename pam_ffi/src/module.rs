//! What a PAM module may ask of libpam, through the handle that its entry was called with.
//!
//! pam-bindings supplies the six entries, but no `PAM_AUTHTOK`, fail delay or syslog, and its user
//! names must be UTF-8. Everything here is bytes: a name or an answer that is not text is a wrong
//! one, not an error.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::time::Duration;

use pam::module::PamHandle;
use zeroize::Zeroizing;

use crate::codes::{Item, MessageStyle, Priority, ReturnCode};
use crate::libpam::{self, Conv, Message};
use crate::reply::{self, Replies};
use crate::syslog;

/// libpam, as one call of one module sees it.
pub struct Module<'a> {
    handle: &'a mut PamHandle,
}

impl<'a> Module<'a> {
    /// Wraps the handle that pam-bindings passes to an entry.
    pub fn new(handle: &'a mut PamHandle) -> Self {
        Self { handle }
    }

    /// Who is to be authenticated, as raw bytes (`pam_get_user`). Asks, with the application's user
    /// prompt, when nobody has said yet.
    ///
    /// # Errors
    ///
    /// What libpam answered, such as `PAM_CONV_ERR`; `PAM_SYSTEM_ERR` for success without a name.
    pub fn user(&mut self) -> Result<Vec<u8>, ReturnCode> {
        let mut user: *const c_char = ptr::null();
        // SAFETY: the handle is live for 'a, `user` is ours to write, and a null prompt means the
        // default.
        let code = unsafe { libpam::pam_get_user(self.handle, &raw mut user, ptr::null()) };
        check(code)?;
        // SAFETY: after success, null or libpam's own string, which stays until PAM_USER changes.
        unsafe { reply::copy(user) }.ok_or(ReturnCode::SYSTEM_ERR)
    }

    /// The value of an item; none when it is not set (`pam_get_item`).
    ///
    /// # Errors
    ///
    /// What libpam answered, such as `PAM_BAD_ITEM`.
    pub fn item(&self, item: Item) -> Result<Option<Vec<u8>>, ReturnCode> {
        let value = self.raw_item(item.to_raw())?;
        // SAFETY: every `Item` is text, so this is null or libpam's own string, which stays until
        // the item changes.
        Ok(unsafe { reply::copy(value.cast()) })
    }

    /// The password that was typed already, if any (`PAM_AUTHTOK` as it is). Never asks.
    ///
    /// # Errors
    ///
    /// `PAM_BAD_ITEM` outside a module's entry: libpam shows it to modules only.
    pub fn authtok(&self) -> Result<Option<Zeroizing<Vec<u8>>>, ReturnCode> {
        let token = self.raw_item(libpam::ITEM_AUTHTOK)?;
        // SAFETY: PAM_AUTHTOK is text: null or libpam's own string, which stays until the item
        // changes.
        Ok(unsafe { reply::copy(token.cast()) }.map(Zeroizing::new))
    }

    /// Hands a password on to the modules below, as `PAM_AUTHTOK`. libpam keeps a copy and wipes it
    /// itself.
    ///
    /// # Errors
    ///
    /// `PAM_AUTHTOK_ERR` for a token with a NUL inside, of which C would pass on the first half;
    /// otherwise what libpam answered.
    pub fn set_authtok(&mut self, token: &[u8]) -> Result<(), ReturnCode> {
        if token.contains(&0) {
            return Err(ReturnCode::AUTHTOK_ERR);
        }
        // With its full size from the start: growing would leave a copy behind that nobody wipes.
        let mut terminated = Zeroizing::new(Vec::with_capacity(token.len() + 1));
        terminated.extend_from_slice(token);
        terminated.push(0);
        self.set_raw_authtok(terminated.as_ptr().cast())
    }

    /// Forgets the password that was typed, so that no module below sees it.
    ///
    /// # Errors
    ///
    /// What libpam answered.
    pub fn clear_authtok(&mut self) -> Result<(), ReturnCode> {
        self.set_raw_authtok(ptr::null())
    }

    /// Shows one message and returns the answer: raw bytes, none when the application gave none.
    /// The application's buffer is wiped and freed.
    ///
    /// This calls the application's function itself, not through `pam_prompt`, which logs a line of
    /// its own for each failure and reads the application's array even then.
    ///
    /// # Errors
    ///
    /// What the conversation answered; `PAM_CONV_ERR` when there is none, or when it says success
    /// without an array of answers to a prompt; `PAM_BUF_ERR` for a text with a NUL inside.
    pub fn prompt(
        &self,
        style: MessageStyle,
        text: &str,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, ReturnCode> {
        let conv = self.raw_item(libpam::ITEM_CONV)?.cast::<Conv>();
        // SAFETY: PAM_CONV is null or libpam's own struct pam_conv, which stays while we are in a
        // module's entry.
        let conv = unsafe { conv.as_ref() }.ok_or(ReturnCode::CONV_ERR)?;
        // Wiped, and with its full size from the start: an enrolment shows a key.
        let mut terminated = Zeroizing::new(Vec::with_capacity(text.len() + 1));
        terminated.extend_from_slice(text.as_bytes());
        terminated.push(0);
        let text = CStr::from_bytes_with_nul(&terminated).map_err(|_| ReturnCode::BUF_ERR)?;
        ask(conv, style, text)
    }

    /// Asks libpam to wait after a failed authentication before the application hears of it
    /// (`pam_fail_delay`). The longest wish of all modules counts, give or take libpam's own jitter
    /// of up to half. Microseconds for libpam, which cannot count beyond 71 minutes: longer delays
    /// become that.
    ///
    /// # Errors
    ///
    /// What libpam answered.
    pub fn fail_delay(&mut self, delay: Duration) -> Result<(), ReturnCode> {
        let microseconds = u32::try_from(delay.as_micros()).unwrap_or(u32::MAX);
        // SAFETY: the handle is live for 'a.
        check(unsafe { libpam::pam_fail_delay(self.handle, microseconds) })
    }

    /// One line in the system's log, facility `LOG_AUTHPRIV`, opened by libpam with the names of
    /// module and service. Characters that could forge a line, or steer a terminal, appear as `?`.
    pub fn syslog(&self, priority: Priority, message: &str) {
        let line: Vec<u8> = syslog::printable(message).into_bytes();
        // `printable` left no NUL, so this cannot fail; if it did, an empty line is better than
        // none.
        let line = CString::new(line).unwrap_or_default();
        let priority = libc::LOG_AUTHPRIV | priority.to_raw();
        // SAFETY: the handle is live; the format takes exactly one string, and both end with a NUL.
        unsafe { libpam::pam_syslog(self.handle, priority, c"%s".as_ptr(), line.as_ptr()) };
    }

    /// A variable of the PAM environment, which is not the process's (`pam_getenv`). None for a
    /// name with a NUL inside.
    #[must_use]
    pub fn environment(&self, name: &str) -> Option<Vec<u8>> {
        let name = CString::new(name).ok()?;
        // SAFETY: the handle is live; the name ends with a NUL.
        let value = unsafe { libpam::pam_getenv(self.handle, name.as_ptr()) };
        // SAFETY: null or libpam's own string, which stays until that variable changes.
        unsafe { reply::copy(value) }
    }

    /// Keeps a text on the handle for the module's other entries, until `pam_end` or until it is replaced
    /// (`pam_set_data`). The name is shared by all modules of the handle: begin it with the module's own.
    ///
    /// # Errors
    ///
    /// What libpam answered; `PAM_BUF_ERR` for a text with a NUL inside.
    pub fn keep(&mut self, name: &CStr, text: &str) -> Result<(), ReturnCode> {
        // A C string, and no Rust value: the entry that reads it may be another copy of the module,
        // built by another compiler, if somebody named it in pam.d by two paths.
        let text = CString::new(text).map_err(|_| ReturnCode::BUF_ERR)?;
        let data = text.into_raw();
        // SAFETY: the handle is live, the name ends with a NUL and is copied by libpam, which hands the
        // pointer to `free_kept` once, and to nobody else.
        let code = unsafe {
            libpam::pam_set_data(self.handle, name.as_ptr(), data.cast(), Some(free_kept))
        };
        check(code).inspect_err(|_| {
            // SAFETY: from `into_raw` above; libpam has not taken it.
            drop(unsafe { CString::from_raw(data) });
        })
    }

    /// The text that is kept under this name; none if there is none. An error of libpam's counts as none.
    #[must_use]
    pub fn kept(&self, name: &CStr) -> Option<Vec<u8>> {
        let mut data: *const c_void = ptr::null();
        // SAFETY: the handle is live, the name ends with a NUL, and `data` is ours to write.
        let code = unsafe { libpam::pam_get_data(self.handle, name.as_ptr(), &raw mut data) };
        check(code).ok()?;
        // SAFETY: null, or what `keep` put there: a C string that stays until it is replaced.
        unsafe { reply::copy(data.cast()) }
    }

    /// Takes a kept text off the handle. Without one, nothing happens.
    ///
    /// # Errors
    ///
    /// As [`keep`](Self::keep).
    pub fn forget(&mut self, name: &CStr) -> Result<(), ReturnCode> {
        // libpam cannot remove an entry; a null value is how it says "none". It frees the one before.
        // SAFETY: the handle is live, the name ends with a NUL and is copied by libpam.
        check(unsafe { libpam::pam_set_data(self.handle, name.as_ptr(), ptr::null_mut(), None) })
    }

    fn raw_item(&self, item: c_int) -> Result<*const c_void, ReturnCode> {
        let mut value: *const c_void = ptr::null();
        // SAFETY: the handle is live for 'a and `value` is ours to write.
        let code = unsafe { libpam::pam_get_item(self.handle, item, &raw mut value) };
        check(code).map(|()| value)
    }

    fn set_raw_authtok(&mut self, token: *const c_char) -> Result<(), ReturnCode> {
        // SAFETY: the handle is live; both callers pass null or a string with its NUL, which libpam
        // copies.
        check(unsafe { libpam::pam_set_item(self.handle, libpam::ITEM_AUTHTOK, token.cast()) })
    }
}

/// Frees what [`Module::keep`] kept.
///
/// # Safety
///
/// Called by libpam alone, once for each pointer that `keep` gave it.
unsafe extern "C" fn free_kept(_: *mut PamHandle, data: *mut c_void, _: c_int) {
    if !data.is_null() {
        // SAFETY: from `CString::into_raw` in `keep`, and libpam drops its pointer after this call.
        drop(unsafe { CString::from_raw(data.cast()) });
    }
}

/// Success, or the code that is none.
fn check(code: c_int) -> Result<(), ReturnCode> {
    match ReturnCode(code) {
        ReturnCode::SUCCESS => Ok(()),
        failure => Err(failure),
    }
}

/// One message to the application's conversation function, and its answer.
fn ask(
    conv: &Conv,
    style: MessageStyle,
    text: &CStr,
) -> Result<Option<Zeroizing<Vec<u8>>>, ReturnCode> {
    let function = conv.function.ok_or(ReturnCode::CONV_ERR)?;
    let message = Message {
        style: style.to_raw(),
        text: text.as_ptr(),
    };
    let mut messages: [*const Message; 1] = [&raw const message];
    let mut responses = ptr::null_mut();
    // SAFETY: the application registered this function for this data; one message, alive until the
    // call returns.
    let code = unsafe { function(1, messages.as_mut_ptr(), &raw mut responses, conv.data) };
    // After a failure the array is not ours: some applications have freed it and left the pointer.
    check(code)?;
    match NonNull::new(responses) {
        // SAFETY: after success, a malloc'ed array of one response per message belongs to the
        // module.
        Some(array) => Ok(unsafe { Replies::from_raw(array, 1) }.take(0)),
        None if style.wants_answer() => Err(ReturnCode::CONV_ERR),
        // Some applications allocate nothing where nothing was asked.
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{Conversation, ConversationFailed, Shared};
    use crate::syslog::printable;

    /// What the application answers in `respond`; the rest of the way is the real one, both sides
    /// of it.
    struct Fixed(Result<Option<&'static [u8]>, &'static str>);

    impl Conversation for Fixed {
        fn respond(
            &mut self,
            _: MessageStyle,
            text: &[u8],
        ) -> Result<Option<Zeroizing<Vec<u8>>>, ConversationFailed> {
            assert_eq!(text, b"Verification code: ");
            let answer = self.0.map_err(ConversationFailed::new)?;
            Ok(answer.map(|answer| Zeroizing::new(answer.to_vec())))
        }
    }

    fn answer_of(application: &Conv, style: MessageStyle) -> Result<Option<Vec<u8>>, ReturnCode> {
        let answer = ask(application, style, c"Verification code: ")?;
        Ok(answer.map(|answer| answer.to_vec()))
    }

    #[test]
    fn an_answer_comes_back_as_it_was_typed() {
        let cases: [(_, Result<Option<&[u8]>, _>); 4] = [
            (Ok(Some(&b"\xff 123"[..])), Ok(Some(b"\xff 123"))),
            (Ok(Some(b"")), Ok(Some(b""))),
            (Ok(None), Ok(None)),
            (Err("gone"), Err(ReturnCode::CONV_ERR)),
        ];
        for (typed, expected) in cases {
            let application = Shared::new(Fixed(typed));
            let answer = answer_of(&application.as_conv(), MessageStyle::PromptEchoOff);
            assert_eq!(answer, expected.map(|answer| answer.map(<[u8]>::to_vec)));
        }
    }

    /// Says success and allocates nothing.
    unsafe extern "C" fn lazy(
        _: c_int,
        _: *mut *const Message,
        _: *mut *mut libpam::Response,
        _: *mut c_void,
    ) -> c_int {
        0
    }

    /// Fails with a code of its own, and leaves a pointer that must not be followed.
    unsafe extern "C" fn rude(
        _: c_int,
        _: *mut *const Message,
        responses: *mut *mut libpam::Response,
        _: *mut c_void,
    ) -> c_int {
        // SAFETY: `ask` passes room for one pointer.
        unsafe { responses.write(NonNull::dangling().as_ptr()) };
        4711
    }

    #[test]
    fn applications_that_break_the_rules_are_survived() {
        let application = |function| Conv {
            function,
            data: ptr::null_mut(),
        };
        let prompt = MessageStyle::PromptEchoOff;
        assert_eq!(
            answer_of(&application(None), prompt),
            Err(ReturnCode::CONV_ERR)
        );
        assert_eq!(
            answer_of(&application(Some(lazy)), prompt),
            Err(ReturnCode::CONV_ERR)
        );
        assert_eq!(
            answer_of(&application(Some(lazy)), MessageStyle::TextInfo),
            Ok(None)
        );
        assert_eq!(
            answer_of(&application(Some(rude)), prompt),
            Err(ReturnCode(4711))
        );
    }

    #[test]
    fn log_lines_cannot_be_forged() {
        let message = "user=a\nb\0c\u{1b}[2J\u{9b}\u{2028}\u{202e}\u{2066} é ok";
        assert_eq!(printable(message), "user=a?b?c?[2J???? é ok");
    }
}
