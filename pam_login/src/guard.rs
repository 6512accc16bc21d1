//! The boundary: options in, PAM code out, and no panic past it.

use std::ffi::CStr;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, Once};

use pam::constants::PamResultCode;
use pam::module::PamHandle;
use pam_ffi::{Module, Priority, ReturnCode};

use crate::host::Host;
use crate::log::error_line;
use crate::options::Options;
use crate::outcome::Outcome;

/// Where the last panic happened. Its message is not kept: it may hold anything.
static PANICKED_AT: Mutex<String> = Mutex::new(String::new());

/// Runs one entry of the module.
pub fn guarded(
    handle: &mut PamHandle,
    arguments: &[&CStr],
    entry: impl FnOnce(&mut Module<'_>, &Options) -> Outcome,
) -> PamResultCode {
    let mut host = Module::new(handle);
    let code: ReturnCode = run(&mut host, arguments, entry).code();
    code.into()
}

/// Reads the options, runs the entry, catches what it throws.
pub fn run<H: Host>(
    host: &mut H,
    arguments: &[&CStr],
    entry: impl FnOnce(&mut H, &Options) -> Outcome,
) -> Outcome {
    silence_panics();
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
        let arguments: Vec<_> = arguments
            .iter()
            .map(|argument| argument.to_string_lossy())
            .collect();
        match Options::parse(arguments.iter().map(AsRef::as_ref)) {
            Ok(options) => entry(host, &options),
            Err(error) => {
                host.log(Priority::Error, &error_line("bad_option", &error));
                Outcome::Misconfigured
            }
        }
    }));
    outcome.unwrap_or_else(|payload| {
        // Dropping a payload may panic again; leaking it cannot.
        std::mem::forget(payload);
        report(host);
        Outcome::Panicked
    })
}

fn report(host: &mut impl Host) {
    let place = PANICKED_AT
        .lock()
        .map(|place| place.clone())
        .unwrap_or_default();
    let line = error_line(
        "defect",
        &format_args!("panic at {place}; please report it"),
    );
    // The log itself may be what panicked.
    let _ = panic::catch_unwind(AssertUnwindSafe(|| host.log(Priority::Error, &line)))
        .map_err(std::mem::forget);
}

/// The default hook writes to the host's standard error, which in sshd may be a client's connection.
/// The hook belongs to this module's own copy of the standard library; other Rust code keeps its own.
fn silence_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        panic::set_hook(Box::new(|info| {
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            if let Ok(mut last) = PANICKED_AT.lock() {
                *last = place;
            }
        }));
    });
}
