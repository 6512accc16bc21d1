//! Where ours is different on purpose.

use std::os::unix::fs::symlink;

use tests::parity::{Case, Host, Seen, case, must, to_root};

use super::{HOTP, USUAL, closed_home};

/// A deliberate difference: the case, why ours does otherwise, and what has to be true of ours.
pub type Difference = (Case, &'static str, fn(&Host<'_>, &Seen) -> bool);

fn refused(_: &Host<'_>, ours: &Seen) -> bool {
    ours.code == "PAM_AUTH_ERR"
}

fn refused_once(host: &Host<'_>, ours: &Seen) -> bool {
    let asked = ours.prompts.iter().filter(|prompt| prompt.contains("code"));
    refused(host, ours) && asked.count() == 1
}

fn refused_and_unchanged(host: &Host<'_>, ours: &Seen) -> bool {
    refused(host, ours) && ours.mode.is_some_and(|(mode, _)| mode == 0o600)
}

fn bad_option(_: &Host<'_>, ours: &Seen) -> bool {
    let asked = ours.prompts.iter().any(|prompt| prompt.contains("code"));
    ours.code == "PAM_SERVICE_ERR" && !asked
}

fn recorded(_: &Host<'_>, ours: &Seen) -> bool {
    let text = ours.text.as_deref().unwrap_or_default();
    ours.code == "PAM_SUCCESS" && text.contains("\" LAST0 192.0.2.7 2000000010\n")
}

const ONCE: &str = "a failed conversation is not repeated, and counts";
const NO_LEARNING: &str = "the peer learns skew from codes that are up to 12 hours old";
const NO_ADVANCE: &str = "in the peer a few guesses desynchronise the owner's token";
const NO_LINKS: &str = "a link in a user's directory leads where the user likes";
const WORD: &str = "a mistake in pam.d has a code of its own, so that it is found";

/// Deliberate differences.
pub const DIFFERENCES: &[Difference] = &[
    (
        case("conversation fails", "", USUAL, &["!fail", "{C}"]),
        ONCE,
        refused_once,
    ),
    (
        case("no answer", "", USUAL, &["!null", "{C}"]),
        ONCE,
        refused_once,
    ),
    (
        case(
            "conversation fails, try_first_pass",
            "try_first_pass",
            USUAL,
            &["!fail", "{C}"],
        )
        .password("pw"),
        ONCE,
        refused_once,
    ),
    (
        case(
            "old code",
            "",
            "{S}\n\" DISALLOW_REUSE\n\" TOTP_AUTH\n",
            &["{C-9}"],
        ),
        NO_LEARNING,
        refused_and_unchanged,
    ),
    (
        case(
            "third old code",
            "",
            "{S}\n\" RESETTING_TIME_SKEW {T-2}-9 {T-1}-9\n\" TOTP_AUTH\n",
            &["{C-9}"],
        ),
        NO_LEARNING,
        refused_and_unchanged,
    ),
    (
        case("wrong code by counter", "", HOTP, &["{W}"]),
        NO_ADVANCE,
        refused_and_unchanged,
    ),
    (
        case(
            "wrong code by counter, in the password",
            "use_first_pass",
            HOTP,
            &[],
        )
        .password("pw{W}"),
        NO_ADVANCE,
        refused_and_unchanged,
    ),
    (
        case(
            "grace from the future",
            "grace_period=60",
            "{S}\n\" LAST0 192.0.2.7 {N+999}\n\" TOTP_AUTH\n",
            &["{W}"],
        ),
        "a clock that was wrong once would let in until it is right again",
        refused,
    ),
    (
        case(
            "grace over the rate limit",
            "grace_period=60",
            "{S}\n\" RATE_LIMIT 1 30 {N-9}\n\" LAST0 192.0.2.7 {N-9}\n\" TOTP_AUTH\n",
            &[],
        ),
        "what limits attempts limits all of them",
        refused,
    ),
    (
        case(
            "grace with nothing else to write",
            "grace_period=60",
            "{S}\n\" TOTP_AUTH\n",
            &["{C}"],
        ),
        "the peer forgets to write the entry when no other line changes, so that grace never begins",
        recorded,
    ),
    (
        case("symlink", "", "", &["{C}"]).prepare(|path| {
            let target = path.with_file_name("target");
            must(
                "sh",
                &[
                    "-c",
                    &format!(
                        "printf '{}\n\" TOTP_AUTH\n' > {1} && chmod 600 {1} && chown alice {1}",
                        tests::parity::SECRET,
                        target.display()
                    ),
                ],
            );
            symlink(target, path).unwrap();
        }),
        NO_LINKS,
        refused,
    ),
    (
        case("broken symlink, nullok", "nullok", "", &["{C}"])
            .prepare(|path| symlink("/none", path).unwrap()),
        NO_LINKS,
        refused,
    ),
    (
        case(
            "user= that begins like a number",
            "user=0abc secret=/run/otpgate-e2e/home/alice/.google_authenticator",
            USUAL,
            &["{C}"],
        )
        .prepare(to_root),
        "the peer reads it as root",
        bad_option,
    ),
    (
        case(
            "user name that leads elsewhere",
            "user=alice secret=/run/otpgate-e2e/runs/${USER}/.google_authenticator",
            USUAL,
            &["{C}"],
        )
        .user("../home/alice"),
        "whoever logs in would choose the file",
        refused_and_unchanged,
    ),
    (
        case(
            "allow_readonly, and the user's own mistake",
            "allow_readonly",
            "{S}\n\" TOTP_AUTH\n12345678\n",
            &["12345678"],
        )
        .prepare(closed_home),
        "the peer ignores every write error: a single-use code works again and again",
        refused_and_unchanged,
    ),
    (
        case("unknown user, nullok", "nullok", "", &["{W}"]).user("nobody-of-this-name"),
        "who is not known is treated like who is not enrolled",
        |_, ours| {
            ours.code == "PAM_PERM_DENIED"
                && !ours.prompts.iter().any(|prompt| prompt.contains("code"))
        },
    ),
    (
        case("a home that is not there, nullok", "nullok", "", &["{W}"]).user("homeless"),
        "a home that is not mounted would let its user in without a code",
        refused_once,
    ),
    (
        case(
            "the same, with a path",
            "nullok secret=${HOME}/.google_authenticator",
            "",
            &["{W}"],
        )
        .user("homeless"),
        "a home that is not mounted would let its user in without a code",
        refused_once,
    ),
    (
        case("no file, try_first_pass", "try_first_pass", "", &["{W}"]).password("pw{W}"),
        "without an option of the peer's the user is one who is not enrolled, and those are asked like all others",
        refused_once,
    ),
    (
        case("unknown option", "nulok", USUAL, &["{C}"]),
        WORD,
        bad_option,
    ),
    (
        case("allowed_perm=0", "allowed_perm=0", USUAL, &["{C}"]),
        WORD,
        bad_option,
    ),
    (
        case(
            "grace_period in words",
            "grace_period=long",
            USUAL,
            &["{C}"],
        ),
        WORD,
        bad_option,
    ),
    (
        case("relative path", "secret=x/y", USUAL, &["{C}"]),
        "what it leads to would depend on where the host process happens to be",
        bad_option,
    ),
];
