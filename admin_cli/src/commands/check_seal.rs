//! The part of `otpgate check` that looks at sealed secrets and their key.

use otp_core::store::FilesStore;
use otp_core::store::reseal::Counts;
use otp_core::store::sealing::Settings;

use crate::host::finding::Finding;

/// What is wrong with the key, for everybody alike; then what is left to be sealed.
pub(super) fn check_seal(store: &FilesStore) -> Vec<Finding> {
    let sealing = store.sealing();
    let Some(settings) = sealing.settings() else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    findings.extend(check_place(store, settings));
    if sealing.keys().get(settings.key).is_none() {
        findings.push(missing_key(settings, sealing.keys().count()));
        return findings;
    }
    if let Ok(counts) = store.counts(&mut || ()) {
        findings.extend(check_counts(store, settings, &counts));
    }
    findings
}

fn check_place(store: &FilesStore, settings: &Settings) -> Option<Finding> {
    store.contains(&settings.key_file).then(|| {
        Finding::error(
            "seal-key-place",
            settings.key_file.display().to_string(),
            "The seal key is inside the state directory: whoever takes that has the key too.",
            format!(
                "move it elsewhere, then: otpgate seal init --key-file {}",
                otp_core::store::reseal::DEFAULT_KEY_FILE
            ),
        )
    })
}

fn missing_key(settings: &Settings, others: usize) -> Finding {
    let Settings { key, key_file, .. } = settings;
    let what = match others {
        0 => "It is missing",
        _ => "It holds other keys",
    };
    Finding::error(
        "seal-key",
        key_file.display().to_string(),
        format!("{what}, and secrets are sealed with the key {key}. Logins are refused."),
        "put the key back from where you keep it (a systemd credential: systemctl restart otpgate-seal-key)",
    )
}

fn check_counts(store: &FilesStore, settings: &Settings, counts: &Counts) -> Option<Finding> {
    let place = || store.path().join("accounts").display().to_string();
    let warning =
        |code, meaning: String, cure| Some(Finding::warning(code, place(), meaning, cure));
    let Counts {
        sealed,
        clear,
        other_key,
        ..
    } = *counts;
    if !settings.on {
        let meaning = format!(
            "Secrets are being unsealed, and {} are left.",
            sealed + other_key
        );
        return warning("seal-unfinished", meaning, "otpgate seal off".to_owned());
    }
    if clear > 0 {
        let meaning =
            format!("{clear} accounts are not sealed: a backup gives their secrets away.");
        return warning("seal-clear", meaning, "otpgate seal init".to_owned());
    }
    let keys = store.sealing().keys().count();
    if keys > 1 {
        let meaning = format!(
            "{} holds {keys} keys, and {other_key} accounts are sealed with another one than {}.",
            settings.key_file.display(),
            settings.key
        );
        return warning("seal-unfinished", meaning, "otpgate seal rotate".to_owned());
    }
    None
}
