//! `libprobe.so`: a PAM module that does what its arguments say, one after the other, and tells
//! what it saw through the conversation. The tests load it to try [`Module`] inside a real module's
//! entry, for libpam refuses much of it (`PAM_AUTHTOK`, data) to everybody else.
// The entries that `pam_hooks!` writes carry no documentation.
#![allow(missing_docs)]

use std::ffi::CStr;
use std::time::Duration;

use pam::constants::{PamFlag, PamResultCode};
use pam::module::{PamHandle, PamHooks};
use pam_ffi::{Item, MessageStyle, Module, Priority, ReturnCode};

struct Probe;
pam::pam_hooks!(Probe);

impl PamHooks for Probe {
    fn sm_authenticate(handle: &mut PamHandle, args: Vec<&CStr>, _: PamFlag) -> PamResultCode {
        follow(handle, &args)
    }

    fn acct_mgmt(handle: &mut PamHandle, args: Vec<&CStr>, _: PamFlag) -> PamResultCode {
        follow(handle, &args)
    }
}

fn follow(handle: &mut PamHandle, args: &[&CStr]) -> PamResultCode {
    let mut module = Module::new(handle);
    for arg in args {
        let arg = arg.to_string_lossy();
        let (order, value) = arg.split_once('=').unwrap_or((&arg, ""));
        let told = match obey(&mut module, order, value) {
            Ok(told) => format!("{order}: {told}"),
            Err(code) => format!("{order} failed: {code}"),
        };
        if let Err(code) = module.prompt(MessageStyle::TextInfo, &told) {
            return code.into();
        }
    }
    PamResultCode::PAM_SUCCESS
}

fn obey(module: &mut Module<'_>, order: &str, value: &str) -> Result<String, ReturnCode> {
    let name = c"pam_ffi probe";
    Ok(match order {
        "user" => show(Some(&module.user()?)),
        "rhost" => show(module.item(Item::Rhost)?.as_deref()),
        "env" => show(module.environment(value).as_deref()),
        "authtok" => show(module.authtok()?.as_ref().map(|token| token.as_slice())),
        "set_authtok" => done(module.set_authtok(value.as_bytes())?),
        "set_nul" => done(module.set_authtok(b"half\0half")?),
        "clear_authtok" => done(module.clear_authtok()?),
        "hidden" => show(answer(module, MessageStyle::PromptEchoOff)?.as_deref()),
        "shown" => show(answer(module, MessageStyle::PromptEchoOn)?.as_deref()),
        "delay" => done(module.fail_delay(Duration::from_secs(value.parse().unwrap_or(0)))?),
        "log" => {
            module.syslog(Priority::Notice, value);
            done(())
        }
        "keep" => done(module.keep(name, value)?),
        "forget" => done(module.forget(name)?),
        "kept" => show(module.kept(name).as_deref()),
        "deny" => return Err(ReturnCode::PERM_DENIED),
        _ => "unknown order".into(),
    })
}

/// The answers of the tests are no secrets.
fn answer(module: &Module<'_>, style: MessageStyle) -> Result<Option<Vec<u8>>, ReturnCode> {
    let answer = module.prompt(style, "Verification code: ")?;
    Ok(answer.map(|answer| answer.to_vec()))
}

fn show(value: Option<&[u8]>) -> String {
    value.map_or("none".into(), |value| value.escape_ascii().to_string())
}

fn done((): ()) -> String {
    "done".into()
}
