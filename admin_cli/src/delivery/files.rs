//! Secrets of channels, in files of their own, and certificates to trust.

use std::path::Path;

use otp_core::store::safe_open::{read_configuration, read_private};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use super::SendError;

/// Largest secret, in bytes.
const LARGEST_SECRET: u64 = 4096;
/// Largest bundle of certificates, in bytes.
const LARGEST_BUNDLE: u64 = 4 * 1024 * 1024;

/// The one line of a file that nobody else may read.
///
/// # Errors
/// What keeps it from being read or trusted, or from being a secret.
pub fn secret(path: &Path) -> Result<Zeroizing<String>, SendError> {
    let wrong = |why: &dyn std::fmt::Display| SendError::new(format!("{}: {why}", path.display()));
    let bytes = read_private(path, LARGEST_SECRET);
    let bytes = bytes.map_err(|error| SendError::new(error.to_string()))?;
    let bytes = bytes.ok_or_else(|| wrong(&"is not there"))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong(&"is no text"))?;
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(wrong(&"does not hold one line with a secret"));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

/// The certificates of a file.
///
/// # Errors
/// When it cannot be read, or holds none.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, SendError> {
    let wrong = |why: &str| SendError::new(format!("{}: {why}", path.display()));
    let text = read_configuration(path, LARGEST_BUNDLE);
    let text = text.map_err(|error| SendError::new(error.to_string()))?;
    let text = text.ok_or_else(|| wrong("is not there"))?;
    let found = CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|_| wrong("holds no certificates in PEM"))?;
    if found.is_empty() {
        return Err(wrong("holds no certificates in PEM"));
    }
    Ok(found)
}

/// The certificates that a channel trusts: those of its own file, or the system's.
///
/// # Errors
/// As [`certificates`]; and when the system trusts nobody.
pub fn roots(ca_file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, SendError> {
    if let Some(path) = ca_file {
        return certificates(path);
    }
    let found = rustls_native_certs::load_native_certs().certs;
    if found.is_empty() {
        return Err(SendError::new(
            "the system trusts no certificates; install ca-certificates, or write ca_file",
        ));
    }
    Ok(found)
}
