//! `pam_otpgate.so`: the six entries that libpam calls, made by pam-bindings; the only symbols that the
//! module exports. What happens behind them is in [`pam_login`].
#![allow(missing_docs)]

use std::ffi::CStr;

use otp_core::clock::SystemClock;
use pam::constants::{PamFlag, PamResultCode};
use pam::module::{PamHandle, PamHooks};
use pam_ffi::flags;
use pam_login::guard::guarded;
use pam_login::{account, authenticate, enrol};

struct Otpgate;

pam::pam_hooks!(Otpgate);

impl PamHooks for Otpgate {
    fn sm_authenticate(handle: &mut PamHandle, args: Vec<&CStr>, flags: PamFlag) -> PamResultCode {
        let silent = flags & flags::SILENT != 0;
        guarded(handle, &args, |host, options| {
            authenticate::authenticate(host, options, silent, &SystemClock)
        })
    }

    /// There are no credentials to set, but libpam says "permission denied" when no module says yes.
    fn sm_setcred(_: &mut PamHandle, _: Vec<&CStr>, _: PamFlag) -> PamResultCode {
        PamResultCode::PAM_SUCCESS
    }

    fn acct_mgmt(handle: &mut PamHandle, args: Vec<&CStr>, _: PamFlag) -> PamResultCode {
        guarded(handle, &args, |host, options| {
            account::permit(host, options)
        })
    }

    fn sm_chauthtok(handle: &mut PamHandle, args: Vec<&CStr>, flags: PamFlag) -> PamResultCode {
        guarded(handle, &args, |host, options| {
            enrol::change(host, options, flags, &SystemClock)
        })
    }

    fn sm_open_session(_: &mut PamHandle, _: Vec<&CStr>, _: PamFlag) -> PamResultCode {
        PamResultCode::PAM_IGNORE
    }

    fn sm_close_session(_: &mut PamHandle, _: Vec<&CStr>, _: PamFlag) -> PamResultCode {
        PamResultCode::PAM_IGNORE
    }
}
