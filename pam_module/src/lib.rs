//! `pam_otpgate.so`: asks for a one-time password.
//!
//! The host process is somebody else's: sshd, sudo, login. So nothing here starts a thread, installs a
//! signal handler, reads the environment or changes the working directory, and no panic gets out.
//!
//! | question | module |
//! | --- | --- |
//! | what happens at a login? | [`authenticate`], one function |
//! | what may stand behind the module's name in pam.d? | [`options`] |
//! | which PAM code does an outcome become? | [`outcome`], one table |
//! | what does the log say? | [`log`] |
//! | what may the module ask of libpam? | [`host`] |
//! | what if something panics? | [`guard`] |

pub mod account;
pub mod authenticate;
pub mod guard;
pub mod host;
pub mod log;
pub mod options;
pub mod outcome;

/// The six entries that libpam calls, made by pam-bindings; the only symbols that the module exports.
mod entries {
    #![allow(missing_docs)]

    use std::ffi::CStr;

    use otp_core::clock::SystemClock;
    use pam::constants::{PamFlag, PamResultCode};
    use pam::module::{PamHandle, PamHooks};
    use pam_ffi::flags;

    use crate::guard::guarded;
    use crate::{account, authenticate};

    struct Otpgate;

    pam::pam_hooks!(Otpgate);

    impl PamHooks for Otpgate {
        fn sm_authenticate(
            handle: &mut PamHandle,
            args: Vec<&CStr>,
            flags: PamFlag,
        ) -> PamResultCode {
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

        fn sm_chauthtok(_: &mut PamHandle, _: Vec<&CStr>, _: PamFlag) -> PamResultCode {
            PamResultCode::PAM_IGNORE
        }

        fn sm_open_session(_: &mut PamHandle, _: Vec<&CStr>, _: PamFlag) -> PamResultCode {
            PamResultCode::PAM_IGNORE
        }

        fn sm_close_session(_: &mut PamHandle, _: Vec<&CStr>, _: PamFlag) -> PamResultCode {
            PamResultCode::PAM_IGNORE
        }
    }
}
