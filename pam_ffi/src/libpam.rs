//! libpam as C sees it: the declarations, and nothing that decides.
//!
//! Source: `<security/pam_appl.h>`, `pam_modules.h`, `pam_ext.h` of Linux-PAM 1.5.2.

use std::ffi::{c_char, c_int, c_uint, c_void};

use pam::module::PamHandle;

/// `PAM_CONV`: the item that holds a [`Conv`].
pub(crate) const ITEM_CONV: c_int = 5;
/// `PAM_AUTHTOK`: the password typed last.
pub(crate) const ITEM_AUTHTOK: c_int = 6;
/// `PAM_FAIL_DELAY`: the item that holds a [`DelayFunction`].
pub(crate) const ITEM_FAIL_DELAY: c_int = 10;
/// `PAM_MAX_NUM_MSG`: the most messages that one call of the conversation may bring.
pub(crate) const MAX_MESSAGES: usize = 32;

/// `struct pam_message`.
#[repr(C)]
pub(crate) struct Message {
    pub(crate) style: c_int,
    pub(crate) text: *const c_char,
}

/// `struct pam_response`.
#[repr(C)]
pub(crate) struct Response {
    pub(crate) text: *mut c_char,
    /// Unused; zero.
    pub(crate) code: c_int,
}

/// The conversation function: the application's answer machine.
pub(crate) type ConvFunction = unsafe extern "C" fn(
    count: c_int,
    messages: *mut *const Message,
    responses: *mut *mut Response,
    data: *mut c_void,
) -> c_int;

/// `struct pam_conv`.
#[repr(C)]
pub(crate) struct Conv {
    pub(crate) function: Option<ConvFunction>,
    pub(crate) data: *mut c_void,
}

/// What `PAM_FAIL_DELAY` points to: result of the call, delay in microseconds, data of the
/// conversation.
pub(crate) type DelayFunction = unsafe extern "C" fn(c_int, c_uint, *mut c_void);

/// What frees a value of `pam_set_data`.
pub(crate) type Cleanup = unsafe extern "C" fn(*mut PamHandle, *mut c_void, c_int);

#[link(name = "pam")]
unsafe extern "C" {
    // Both sides.
    pub(crate) fn pam_get_item(
        handle: *const PamHandle,
        item: c_int,
        value: *mut *const c_void,
    ) -> c_int;
    pub(crate) fn pam_set_item(handle: *mut PamHandle, item: c_int, value: *const c_void) -> c_int;
    pub(crate) fn pam_strerror(handle: *const PamHandle, code: c_int) -> *const c_char;
    // Declared without const in the header; reads only.
    pub(crate) fn pam_getenv(handle: *const PamHandle, name: *const c_char) -> *const c_char;

    // Modules.
    pub(crate) fn pam_get_user(
        handle: *mut PamHandle,
        user: *mut *const c_char,
        prompt: *const c_char,
    ) -> c_int;
    pub(crate) fn pam_fail_delay(handle: *mut PamHandle, microseconds: c_uint) -> c_int;
    pub(crate) fn pam_syslog(handle: *const PamHandle, priority: c_int, format: *const c_char, ...);
    pub(crate) fn pam_get_data(
        handle: *const PamHandle,
        name: *const c_char,
        data: *mut *const c_void,
    ) -> c_int;
    pub(crate) fn pam_set_data(
        handle: *mut PamHandle,
        name: *const c_char,
        data: *mut c_void,
        cleanup: Option<Cleanup>,
    ) -> c_int;

    // Applications.
    pub(crate) fn pam_start(
        service: *const c_char,
        user: *const c_char,
        conversation: *const Conv,
        handle: *mut *mut PamHandle,
    ) -> c_int;
    pub(crate) fn pam_start_confdir(
        service: *const c_char,
        user: *const c_char,
        conversation: *const Conv,
        confdir: *const c_char,
        handle: *mut *mut PamHandle,
    ) -> c_int;
    pub(crate) fn pam_end(handle: *mut PamHandle, status: c_int) -> c_int;
    pub(crate) fn pam_authenticate(handle: *mut PamHandle, flags: c_int) -> c_int;
    pub(crate) fn pam_setcred(handle: *mut PamHandle, flags: c_int) -> c_int;
    pub(crate) fn pam_acct_mgmt(handle: *mut PamHandle, flags: c_int) -> c_int;
    pub(crate) fn pam_open_session(handle: *mut PamHandle, flags: c_int) -> c_int;
    pub(crate) fn pam_close_session(handle: *mut PamHandle, flags: c_int) -> c_int;
    pub(crate) fn pam_chauthtok(handle: *mut PamHandle, flags: c_int) -> c_int;
    pub(crate) fn pam_putenv(handle: *mut PamHandle, name_value: *const c_char) -> c_int;
    // Declared without const in the header; copies only.
    pub(crate) fn pam_getenvlist(handle: *const PamHandle) -> *mut *mut c_char;
}
