//! The question, and which file it is about: `secret=`, `user=`, mode, owner, who has none.

use std::fs;
use std::os::unix::fs::symlink;

use tests::parity::{Case, case, must, to_root};

use super::{USUAL, closed_home};

/// One case a line.
#[rustfmt::skip]
pub const CASES: &[Case] = &[
    // The prompt.
    case("text of the prompt", "[authtok_prompt=Your code, please: ]", USUAL, &["{C}"]),
    case("text of the prompt with forward_pass", "forward_pass authtok_prompt=X", USUAL, &["pw{C}"]),
    case("echo", "echo_verification_code", USUAL, &["{C}"]),
    case("echo with dashes", "echo-verification-code", USUAL, &["{C}"]),
    case("debug", "debug", USUAL, &["{C}"]),
    case("noskewadj", "noskewadj", USUAL, &["{C}"]),
    case("noskewadj, wrong", "noskewadj", USUAL, &["{C+9}"]),
    case("code with a space behind", "", USUAL, &["{C} "]),
    case("code with a space in front", "", USUAL, &[" {C}"]),
    case("letters", "", USUAL, &["letmein"]),
    case("five digits", "", USUAL, &["12345"]),
    case("seven digits", "", USUAL, &["1{C}"]),
    case("plus sign", "", USUAL, &["+12345"]),
    case("eight digits with a zero in front", "", USUAL, &["02345678"]),
    case("sshd's filler", "", USUAL, &["\u{8}\n\r\u{7f}INCORRECT"]),
    case("another single-use code", "", USUAL, &["34567890"]),
    // Who has no file.
    case("no file, try_first_pass, password with code", "noskewadj try_first_pass", "", &["{C}"]).password("pw{C}"),
    case("no file, use_first_pass, password with code", "noskewadj use_first_pass", "", &["{C}"]).password("pw{C}"),
    case("no file, try and forward, password with code", "noskewadj try_first_pass forward_pass", "", &["{C}"]).password("pw{C}"),
    case("no file, try_first_pass, password without code", "noskewadj try_first_pass", "", &["{C}"]).password("pw"),
    case("no file, forward_pass", "forward_pass", "", &["pw{C}"]),
    case("a device", "", "", &["{C}"]).prepare(|path| must("mknod", &[path.to_str().unwrap(), "c", "1", "3"])),
    case("no file", "", "", &["{C}"]),
    case("no file, nullok", "nullok", "", &["{C}"]),
    case("no file, nullok, password with code", "nullok try_first_pass", "", &[]).password("pw{C}"),
    case("no file, secret=", "secret=~/.google_authenticator", "", &["{C}"]),
    case("no file, secret=, nullok", "secret=~/.google_authenticator nullok", "", &["{C}"]),
    case("no directory, nullok", "secret=~/none/file nullok", "", &["{C}"]),
    case("file, nullok", "nullok", USUAL, &["{C}"]),
    case("file, nullok, wrong", "nullok", USUAL, &["{W}"]),
    case("unknown user", "", "", &["{C}"]).user("nobody-of-this-name"),
    case("empty file, nullok", "nullok", "", &["{C}"]).prepare(|path| fs::write(path, "").unwrap()),
    case("parent is no directory, nullok", "secret=~/.google_authenticator/x nullok", USUAL, &["{C}"]),
    // secret= and user=.
    case("secret= with a tilde", "secret=~/.google_authenticator", USUAL, &["{C}"]),
    case("secret= with HOME", "secret=${HOME}/.google_authenticator", USUAL, &["{C}"]),
    case("secret= with USER", "secret=/run/otpgate-e2e/home/${USER}/.google_authenticator", USUAL, &["{C}"]),
    case("secret= with a tilde in the middle", "secret=/.//~/.google_authenticator", USUAL, &["{C}"]),
    case("secret= with a tilde that is none", "secret=/x~/.google_authenticator", USUAL, &["{C}"]),
    case("secret= with what is no variable", "secret=/$HOME/.google_authenticator", USUAL, &["{C}"]),
    case("user=root", "user=root secret=/run/otpgate-e2e/home/${USER}/.google_authenticator", USUAL, &["{C}"]).prepare(to_root),
    case("user=0", "user=0 secret=/run/otpgate-e2e/home/${USER}/.google_authenticator", USUAL, &["{C}"]).prepare(to_root),
    case("user=root, and not root's", "user=root secret=/run/otpgate-e2e/home/${USER}/.google_authenticator", USUAL, &["{C}"]),
    case("user=root with a tilde", "user=root", USUAL, &["{C}"]),
    case("user=root with a tilde, nullok", "user=root nullok", USUAL, &["{C}"]),
    case("user=root, unknown user", "user=root secret=/run/otpgate-e2e/home/alice/.google_authenticator", USUAL, &["{C}"]).prepare(to_root).user("nobody-of-this-name"),
    case("user= with a number that nobody has", "user=3999999999 secret=/run/otpgate-e2e/home/alice/.google_authenticator", USUAL, &["{C}"]),
    // Mode and owner.
    case("mode 0400", "", USUAL, &["{C}"]).mode(0o400),
    case("mode 0640", "", USUAL, &["{C}"]).mode(0o640),
    case("mode 0604", "", USUAL, &["{C}"]).mode(0o604),
    case("mode 0700", "", USUAL, &["{C}"]).mode(0o700),
    case("mode 0640, nullok", "nullok", USUAL, &["{C}"]).mode(0o640),
    case("mode 0640, allowed", "allowed_perm=0640", USUAL, &["{C}"]).mode(0o640),
    case("mode 0644, 0640 allowed", "allowed_perm=0640", USUAL, &["{C}"]).mode(0o644),
    case("mode 0600, 0400 allowed", "allowed_perm=0400", USUAL, &["{C}"]),
    case("sticky", "", USUAL, &["{C}"]).mode(0o1600),
    case("setgid", "", USUAL, &["{C}"]).mode(0o2600),
    case("setuid", "", USUAL, &["{C}"]).mode(0o4600),
    case("root's file", "", USUAL, &["{C}"]).prepare(to_root),
    case("root's file, no_strict_owner", "no_strict_owner", USUAL, &["{C}"]).prepare(|path| { to_root(path); must("chmod", &["0604", path.to_str().unwrap()]); }),
    case("root's file, no_strict_owner and allowed_perm", "no_strict_owner allowed_perm=0604", USUAL, &["{C}"]).prepare(|path| { to_root(path); must("chmod", &["0604", path.to_str().unwrap()]); }),
    case("a directory", "", "", &["{C}"]).prepare(|path| fs::create_dir(path).unwrap()),
    case("a directory, nullok", "nullok", "", &["{C}"]).prepare(|path| fs::create_dir(path).unwrap()),
    case("a broken symlink, no nullok", "", "", &["{C}"]).prepare(|path| symlink("/none", path).unwrap()),
    case("a hard link", "", USUAL, &["{C}"]).prepare(|path| fs::hard_link(path, path.with_file_name("other")).unwrap()),
    case("a home that cannot be written", "", USUAL, &["{C}"]).prepare(closed_home),
    case("a home that cannot be written, wrong", "", USUAL, &["{W}"]).prepare(closed_home),
    case("a home that cannot be written, nothing to write", "", "{S}\n\" TOTP_AUTH\n", &["{C}"]).prepare(closed_home),
];
