//! What is known about other people's modules: which check a password, which merely state a condition.

use super::pam_library::Step;

/// Modules that check a password or hand it to something that does.
const PASSWORD: [&str; 17] = [
    "pam_unix.so",
    "pam_unix2.so",
    "pam_tcb.so",
    "pam_pwdfile.so",
    "pam_userdb.so",
    "pam_sss.so",
    "pam_ldap.so",
    "pam_krb5.so",
    "pam_winbind.so",
    "pam_kanidm.so",
    "pam_himmelblau.so",
    "pam_authd.so",
    "pam_authd_exec.so",
    "pam_systemd_home.so",
    "pam_mysql.so",
    "pam_radius_auth.so",
    "pam_tacplus.so",
];

/// Modules that let some people or places through by a rule: a line of theirs that skips the code is
/// likely meant.
const CONDITION: [&str; 16] = [
    "pam_succeed_if.so",
    "pam_access.so",
    "pam_localuser.so",
    "pam_usertype.so",
    "pam_listfile.so",
    "pam_rootok.so",
    "pam_wheel.so",
    "pam_group.so",
    "pam_time.so",
    "pam_timestamp.so",
    "pam_exec.so",
    "pam_nologin.so",
    "pam_shells.so",
    "pam_securetty.so",
    "pam_rhosts.so",
    "pam_script.so",
];

/// Modules that ask for something other than a password; being enough by itself may be meant.
const OTHER_FACTOR: [&str; 8] = [
    "pam_u2f.so",
    "pam_fprintd.so",
    "pam_pkcs11.so",
    "pam_p11.so",
    "pam_ssh_agent_auth.so",
    "pam_yubico.so",
    "pam_google_authenticator.so",
    "pam_oath.so",
];

/// Modules that prepare or count, and say nothing about who it is.
const BESIDE: [&str; 21] = [
    "pam_cap.so",
    "pam_echo.so",
    "pam_ecryptfs.so",
    "pam_env.so",
    "pam_faillock.so",
    "pam_fscrypt.so",
    "pam_gnome_keyring.so",
    "pam_issue.so",
    "pam_keyinit.so",
    "pam_kwallet.so",
    "pam_kwallet5.so",
    "pam_lastlog.so",
    "pam_limits.so",
    "pam_loginuid.so",
    "pam_mail.so",
    "pam_motd.so",
    "pam_mount.so",
    "pam_selinux.so",
    "pam_sepermit.so",
    "pam_tally2.so",
    "pam_umask.so",
];

/// Whether a step checks a password.
#[must_use]
pub fn checks_password(step: &Step) -> bool {
    named(step, &PASSWORD)
}

/// Modules that ask for a new password, or judge one.
const NEW_PASSWORD: [&str; 4] = [
    "pam_pwquality.so",
    "pam_cracklib.so",
    "pam_passwdqc.so",
    "pam_pwhistory.so",
];

/// Whether a step of a password stack asks for a new password.
#[must_use]
pub fn handles_new_password(step: &Step) -> bool {
    named(step, &PASSWORD) || named(step, &NEW_PASSWORD)
}

/// Whether a step that leads round the code is likely to be somebody's decision.
#[must_use]
pub fn is_deliberate(step: &Step) -> bool {
    named(step, &CONDITION) || named(step, &OTHER_FACTOR)
}

/// Whether what a step answers is no proof of who it is: somebody without a password may have it on their side.
#[must_use]
pub fn decides_nothing(step: &Step) -> bool {
    named(step, &CONDITION) || named(step, &BESIDE)
}

fn named(step: &Step, names: &[&str]) -> bool {
    step.module()
        .is_some_and(|module| names.contains(&module.name()))
}
