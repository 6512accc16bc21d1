//! Is the module where libpam will look for it, and can only root change it?

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::finding::Finding;

/// Findings about the file that a pam.d line names by plain name or absolute path.
#[must_use]
pub fn check(module: &str, directories: &[PathBuf]) -> Vec<Finding> {
    // libpam puts its own directory in the place of $ISA; only it knows which.
    if module.contains("$ISA") {
        return Vec::new();
    }
    let Some((path, status)) = locate(module, directories) else {
        return vec![missing(module, directories)];
    };
    let mut findings = Vec::new();
    if !status.is_file() {
        findings.push(Finding::error(
            "module-not-a-file",
            path.display().to_string(),
            "This is not a regular file: libpam cannot load it, and every login is refused.",
            reinstall(),
        ));
    }
    findings.extend(writable(&path, &status));
    if let Some(directory) = path.parent()
        && let Ok(status) = fs::metadata(directory)
    {
        findings.extend(writable(directory, &status));
    }
    findings
}

fn locate(module: &str, directories: &[PathBuf]) -> Option<(PathBuf, Metadata)> {
    let candidates: Vec<PathBuf> = if module.starts_with('/') {
        vec![PathBuf::from(module)]
    } else {
        directories.iter().map(|d| d.join(module)).collect()
    };
    candidates
        .into_iter()
        .find_map(|path| fs::metadata(&path).ok().map(|status| (path, status)))
}

fn missing(module: &str, directories: &[PathBuf]) -> Finding {
    let looked = match module.starts_with('/') {
        true => module.to_owned(),
        false => directories
            .iter()
            .map(|d| d.display().to_string())
            .collect::<Vec<_>>()
            .join(", "),
    };
    Finding::error(
        "module-missing",
        module,
        format!(
            "The module is not there (looked in {looked}): every login over its line is refused."
        ),
        reinstall(),
    )
}

/// libpam loads the file into sshd as root, so whoever can write it is root.
fn writable(path: &Path, status: &Metadata) -> Vec<Finding> {
    let mut findings = Vec::new();
    let place = path.display().to_string();
    if status.uid() != 0 {
        findings.push(Finding::error(
            "module-owner",
            place.clone(),
            format!(
                "It belongs to uid {}, not to root: that user can run anything as root through it.",
                status.uid()
            ),
            format!("chown root:root {place}"),
        ));
    }
    if status.mode() & 0o022 != 0 {
        findings.push(Finding::error(
            "module-writable",
            place.clone(),
            format!(
                "Its mode {:04o} lets others than root change what runs as root at each login.",
                status.mode() & 0o7777
            ),
            format!("chmod go-w {place}"),
        ));
    }
    findings
}

fn reinstall() -> String {
    "install -m 644 target/release/libpam_otpgate.so /lib/$(gcc -print-multiarch)/security/pam_otpgate.so    # in otpgate's source, after `make build`"
        .to_owned()
}
