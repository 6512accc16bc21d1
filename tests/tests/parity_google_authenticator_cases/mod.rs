//! The cases.

pub mod differences;
pub mod files;
pub mod lines;

use std::path::Path;

use tests::parity::{Case, case, must};

/// By time, with everything the peer's command writes by default.
#[rustfmt::skip]
pub const USUAL: &str = "{S}\n\" RATE_LIMIT 3 30\n\" WINDOW_SIZE 3\n\" DISALLOW_REUSE {T-1}\n\" TOTP_AUTH\n12345678\n23456789\n";
/// By counter.
pub const HOTP: &str = "{S}\n\" HOTP_COUNTER 5\n12345678\n";

/// Nothing can be written into the home of this file.
pub fn closed_home(path: &Path) {
    must("chmod", &["0500", path.parent().unwrap().to_str().unwrap()]);
}

/// The options about passwords that were typed before.
pub const PASS_MODES: [(&str, &str); 8] = [
    ("prompt", ""),
    ("try_first_pass", "try_first_pass"),
    ("use_first_pass", "use_first_pass"),
    ("forward_pass", "forward_pass"),
    ("try and forward", "try_first_pass forward_pass"),
    ("use and forward", "use_first_pass forward_pass"),
    ("try, then use", "try_first_pass use_first_pass"),
    ("use, then try", "use_first_pass try_first_pass"),
];

/// What can happen in each of them.
#[rustfmt::skip]
pub const SITUATIONS: &[Case] = &[
    case("right code typed", "", USUAL, &["{C}"]),
    case("wrong code typed", "", USUAL, &["{W}"]),
    case("used code typed", "", USUAL, &["{C-1}"]),
    case("single-use code typed", "", USUAL, &["23456789"]),
    case("blank answer", "", USUAL, &[""]),
    case("password and code typed", "", USUAL, &["hunter2{C}"]),
    case("password and single-use code typed", "", USUAL, &["hunter212345678"]),
    case("two digits and a code typed", "", USUAL, &["12{C}"]),
    case("password with code", "", USUAL, &["{W}"]).password("hunter2{C}"),
    case("password with single-use code", "", USUAL, &["{W}"]).password("hunter223456789"),
    case("password with used code", "", USUAL, &["{C}"]).password("hunter2{C-1}"),
    case("password with wrong code", "", USUAL, &["{C}"]).password("hunter2{W}"),
    case("password without code", "", USUAL, &["{C}"]).password("hunter two"),
    case("password that is the code", "", USUAL, &["{C}"]).password("{C}"),
    case("by counter, password with code", "", HOTP, &["{H6}"]).password("hunter2{H5}"),
    case("no secret, password with code", "", "!\n\" TOTP_AUTH\n", &["{C}"]).password("hunter2{C}"),
];
