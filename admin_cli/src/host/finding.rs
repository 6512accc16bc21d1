//! What the check says: one fact about this host, what it means for people, and what to type.
//!
//! The codes are an interface: scripts filter on them, so a code keeps its meaning for good.

use std::fmt;

use serde::Serialize;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Somebody should decide whether this is meant.
    Warning,
    /// People are locked out, or let in without a code.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
        })
    }
}

/// One fact about this host that somebody should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whether it is an error or a matter of choice.
    pub severity: Severity,
    /// Stable identifier in kebab case.
    pub code: &'static str,
    /// `file:line`, a path, or the name of a setting.
    pub place: String,
    /// What it means for the people who log in.
    pub meaning: String,
    /// What to type, or which line to write.
    pub cure: String,
}

impl Finding {
    /// Something that locks people out, or lets them round the code.
    pub fn error(
        code: &'static str,
        place: impl Into<String>,
        meaning: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Error,
            code,
            place: place.into(),
            meaning: meaning.into(),
            cure: cure.into(),
        }
    }

    /// Something that may be meant.
    pub fn warning(
        code: &'static str,
        place: impl Into<String>,
        meaning: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, place, meaning, cure)
        }
    }
}

/// The findings as text for a terminal, in the order given.
#[must_use]
pub fn render(findings: &[Finding]) -> String {
    // Names of files and values of settings are whatever somebody wrote.
    otp_core::shown::lines(&findings.iter().map(render_one).collect::<String>())
}

fn render_one(finding: &Finding) -> String {
    let mut text = format!(
        "{} {} [{}]\n",
        finding.severity, finding.place, finding.code
    );
    for line in finding.meaning.lines() {
        text.push_str(&format!("    {line}\n"));
    }
    text.push_str(&format!("    -> type: {}\n", finding.cure));
    text
}

/// The exit status of `otpgate check`: 0 clean, 1 warnings, 2 errors.
#[must_use]
pub fn exit_status(findings: &[Finding]) -> u8 {
    match findings.iter().map(|finding| finding.severity).max() {
        None => 0,
        Some(Severity::Warning) => 1,
        Some(Severity::Error) => 2,
    }
}

/// Errors first; of several findings with the same code and place the first one is kept.
///
/// One shared file is reached through many services; saying the same thing twelve times hides it. What is
/// a warning for one service may be an error for another.
#[must_use]
pub fn sorted(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let mut seen = std::collections::HashSet::new();
    findings.retain(|finding| seen.insert((finding.code, finding.place.clone())));
    findings
}
