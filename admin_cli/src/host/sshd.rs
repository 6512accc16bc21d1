//! Does sshd, as it is set, ask for the code, and can people answer?

use super::finding::Finding;
use super::sshd_config::{self, Setting};
use super::sshd_run::{Connection, Settings, Silence, Sshd};

/// Too short to read a code from a telephone.
const SHORTEST_GRACE_SECONDS: u32 = 30;

/// Too short to scan a picture, type a code and write ten recovery codes down.
const SHORTEST_ENROLMENT_SECONDS: u32 = 300;

/// Settings that decide whether the code is asked for.
const DECISIVE: [&str; 7] = [
    "usepam",
    "kbdinteractiveauthentication",
    "passwordauthentication",
    "authenticationmethods",
    "permitrootlogin",
    "pubkeyauthentication",
    "usedns",
];

/// What to judge sshd against.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Our line looks for the code behind the password (`forward_pass`, `try_first_pass`,
    /// `use_first_pass`), so that sshd's password method can log in.
    pub first_pass: bool,
    /// Ask about this login, `Match` blocks included.
    pub connection: Option<Connection>,
    /// Our line enrols people at their login.
    pub enrols: bool,
}

/// Judges what [`Sshd::settings`] answered for the connection in the context.
#[must_use]
pub fn check(sshd: &Sshd, answer: &Result<Settings, Silence>, context: &Context) -> Vec<Finding> {
    let written = sshd_config::read(&sshd.config);
    let mut findings = match answer {
        Ok(settings) => {
            let mut findings = judge(settings, &written, context.first_pass);
            findings.extend(enrolment_time(settings, &written).filter(|_| context.enrols));
            findings
        }
        Err(silence) => vec![unanswered(sshd, silence)],
    };
    if context.connection.is_none() {
        findings.extend(match_blocks(&written));
    }
    findings
}

/// Whether each way in that sshd offers asks for another factor before the code.
#[must_use]
pub fn has_other_factor(settings: &Settings) -> bool {
    let lists = method_lists(settings);
    !lists.is_empty()
        && lists
            .iter()
            .all(|list| list.contains(&"publickey") || list.contains(&"hostbased"))
}

fn unanswered(sshd: &Sshd, silence: &Silence) -> Finding {
    let place = sshd.config.display().to_string();
    let meaning = format!("What sshd runs with is unknown. {silence}");
    match silence {
        Silence::Refused(_) => Finding::error("sshd-refuses", place, meaning, silence.cure()),
        _ => Finding::warning("sshd-unknown", place, meaning, silence.cure()),
    }
}

/// Judges the settings; `written` says where they stand.
#[must_use]
pub fn judge(settings: &Settings, written: &[Setting], first_pass: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(use_pam(settings, written));
    findings.extend(keyboard_interactive(settings, written));
    findings.extend(password(settings, written, first_pass));
    findings.extend(key_alone(settings, written));
    findings.extend(root(settings, written));
    findings.extend(names_for_addresses(settings, written));
    findings.extend(grace_time(settings, written));
    findings.extend(tries(settings, written));
    findings
}

fn use_pam(settings: &Settings, written: &[Setting]) -> Option<Finding> {
    (!settings.is("usepam", "yes")).then(|| {
        Finding::error(
            "sshd-no-pam",
            place(written, "usepam", "UsePAM"),
            "UsePAM no: sshd never calls PAM, so nobody is asked for a code, and nobody can log in with one.",
            "otpgate setup sshd && systemctl reload ssh",
        )
    })
}

fn keyboard_interactive(settings: &Settings, written: &[Setting]) -> Option<Finding> {
    (!settings.keyboard_interactive()).then(|| {
        Finding::error(
            "sshd-no-keyboard-interactive",
            place(
                written,
                "kbdinteractiveauthentication",
                "KbdInteractiveAuthentication",
            ),
            "KbdInteractiveAuthentication no: the one method that can show our prompt is off, so nobody who is enrolled can log in.",
            "otpgate setup sshd && systemctl reload ssh",
        )
    })
}

fn password(settings: &Settings, written: &[Setting], first_pass: bool) -> Option<Finding> {
    (settings.is("passwordauthentication", "yes") && !first_pass).then(|| {
        Finding::warning(
            "sshd-password-method",
            place(written, "passwordauthentication", "PasswordAuthentication"),
            "PasswordAuthentication yes: this method answers every hidden prompt with the password. It can never log in somebody who is enrolled, and it uses up tries.",
            "otpgate setup sshd && systemctl reload ssh",
        )
    })
}

/// `AuthenticationMethods` as lists of method names, without devices such as `:pam`. Empty for `any`.
fn method_lists(settings: &Settings) -> Vec<Vec<&str>> {
    let value = settings.value("authenticationmethods").unwrap_or("any");
    value
        .split_whitespace()
        .filter(|list| *list != "any")
        .map(|list| {
            list.split(',')
                .filter_map(|method| method.split(':').next())
                .collect()
        })
        .collect()
}

/// Methods that log in without PAM's auth stack, and are switched on.
fn ways_round(settings: &Settings) -> Vec<&'static str> {
    [
        ("publickey", "pubkeyauthentication", "a key"),
        (
            "gssapi-with-mic",
            "gssapiauthentication",
            "a Kerberos ticket",
        ),
        (
            "hostbased",
            "hostbasedauthentication",
            "a trusted client host",
        ),
    ]
    .into_iter()
    .filter(|(method, keyword, _)| {
        settings.is(keyword, "yes") && enough_by_itself(settings, method)
    })
    .map(|(_, _, words)| words)
    .collect()
}

fn enough_by_itself(settings: &Settings, method: &str) -> bool {
    let lists = method_lists(settings);
    let without_pam = |list: &Vec<&str>| {
        list.contains(&method)
            && !list.contains(&"keyboard-interactive")
            && !list.contains(&"password")
    };
    lists.is_empty() || lists.iter().any(without_pam)
}

fn key_alone(settings: &Settings, written: &[Setting]) -> Option<Finding> {
    let ways = ways_round(settings);
    if ways.is_empty() {
        return None;
    }
    let methods = settings.value("authenticationmethods").unwrap_or("any");
    let mut meaning = format!(
        "AuthenticationMethods {methods}: {} alone is enough, no code is asked for.",
        ways.join(" or ")
    );
    let mut lines =
        "AuthenticationMethods publickey,keyboard-interactive keyboard-interactive".to_owned();
    if root_by_key_only(settings) {
        meaning.push_str(" Root gets in no other way than this (PermitRootLogin prohibit-password), so root is never asked, and the lines below leave it so.");
        // Without an exception the cure would lock root out; allowing root a password would open more
        // than it closes, as long as root is not enrolled.
        lines.push_str("\\nMatch User root\\n    AuthenticationMethods publickey");
    }
    Some(Finding::warning(
        "sshd-key-alone",
        place(written, "authenticationmethods", "AuthenticationMethods"),
        meaning,
        format!(
            "printf '{lines}\\n' > /etc/ssh/sshd_config.d/01-key-and-code.conf    # then: otpgate check, then: systemctl reload ssh; or leave it, if keys are meant to be enough"
        ),
    ))
}

fn root_by_key_only(settings: &Settings) -> bool {
    settings.is("permitrootlogin", "without-password")
        || settings.is("permitrootlogin", "prohibit-password")
}

/// sshd refuses keyboard-interactive for root under `prohibit-password` even as the second method
/// (`auth_root_allowed` is asked for each method), so root cannot finish a list that holds it.
fn root(settings: &Settings, written: &[Setting]) -> Option<Finding> {
    let locked_out = root_by_key_only(settings)
        && !method_lists(settings).is_empty()
        && ways_round(settings).is_empty();
    locked_out.then(|| {
        Finding::warning(
            "sshd-root-locked-out",
            place(written, "permitrootlogin", "PermitRootLogin"),
            "PermitRootLogin prohibit-password forbids keyboard-interactive for root, and every way in asks for it: root cannot log in at all.",
            "echo 'PermitRootLogin yes' > /etc/ssh/sshd_config.d/01-root.conf && systemctl reload ssh    # root then needs key or password, and the code; or \"no\" to say what is so",
        )
    })
}

fn names_for_addresses(settings: &Settings, written: &[Setting]) -> Option<Finding> {
    settings.is("usedns", "yes").then(|| {
        Finding::warning(
            "sshd-use-dns",
            place(written, "usedns", "UseDNS"),
            "UseDNS yes: PAM is told a name instead of the address, and whoever runs that name's zone chooses it. Known sources, grace and \"from\" need an address.",
            "echo 'UseDNS no' > /etc/ssh/sshd_config.d/01-otpgate-dns.conf && systemctl reload ssh",
        )
    })
}

/// 0 is no limit.
fn enrolment_time(settings: &Settings, written: &[Setting]) -> Option<Finding> {
    let seconds: u32 = settings.value("logingracetime")?.parse().ok()?;
    (SHORTEST_GRACE_SECONDS..SHORTEST_ENROLMENT_SECONDS)
        .contains(&seconds)
        .then(|| {
            Finding::warning(
                "sshd-enrolment-time",
                place(written, "logingracetime", "LoginGraceTime"),
                format!("LoginGraceTime {seconds}: people enrol at their login here, and sshd hangs up before most have scanned the picture and written their recovery codes down."),
                "echo 'LoginGraceTime 600' > /etc/ssh/sshd_config.d/01-otpgate-time.conf && systemctl reload ssh",
            )
        })
}

fn grace_time(settings: &Settings, written: &[Setting]) -> Option<Finding> {
    let seconds: u32 = settings.value("logingracetime")?.parse().ok()?;
    // 0 is sshd's word for "no limit".
    (1..SHORTEST_GRACE_SECONDS).contains(&seconds).then(|| {
        Finding::warning(
            "sshd-grace-time",
            place(written, "logingracetime", "LoginGraceTime"),
            format!("LoginGraceTime {seconds}: sshd hangs up before a person has read a code from a telephone and typed it."),
            "echo 'LoginGraceTime 120' > /etc/ssh/sshd_config.d/01-otpgate-time.conf && systemctl reload ssh",
        )
    })
}

fn tries(settings: &Settings, written: &[Setting]) -> Option<Finding> {
    let tries: u32 = settings.value("maxauthtries")?.parse().ok()?;
    (tries <= 1).then(|| {
        Finding::warning(
            "sshd-max-tries",
            place(written, "maxauthtries", "MaxAuthTries"),
            format!("MaxAuthTries {tries}: one key that the client offers uses up the only try, before the first prompt."),
            "echo 'MaxAuthTries 6' > /etc/ssh/sshd_config.d/01-otpgate-tries.conf && systemctl reload ssh",
        )
    })
}

/// Without `-C`, `sshd -T` leaves out what stands in `Match` blocks.
fn match_blocks(written: &[Setting]) -> Vec<Finding> {
    written
        .iter()
        .filter(|setting| DECISIVE.contains(&setting.keyword.as_str()))
        .filter_map(|setting| {
            let whom = setting.condition.as_ref()?;
            Some(Finding::warning(
                "sshd-match",
                setting.place(),
                format!(
                    "For \"Match {whom}\" this line says {} {}; what is said here about sshd does not hold for these logins.",
                    setting.keyword,
                    setting.values.join(" ")
                ),
                "otpgate check --user NAME --from IP    # with a name and an address that match",
            ))
        })
        .collect()
}

/// Where a setting stands: the first line outside of `Match` wins. Without one it is sshd's default.
fn place(written: &[Setting], keyword: &str, name: &str) -> String {
    written
        .iter()
        .find(|setting| setting.sets(keyword) && setting.condition.is_none())
        .map_or_else(
            || format!("sshd: {name} (default)"),
            |setting| format!("{} {name}", setting.place()),
        )
}
