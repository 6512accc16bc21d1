//! What became of whom: a line each as it happens, and a summary.

use std::fmt::Write as _;

use indicatif::{ProgressBar, ProgressStyle};
use otp_core::shown;
use otp_core::user_name::UserName;
use serde_json::json;

use super::super::{Context, name};
use super::candidate::Candidate;
use super::pam_lines::PamChange;
use crate::audit;
use crate::error::{CliError, NO, OK};
use crate::output;

/// How an import of one user ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Imported,
    Replaced,
    Already,
}

impl Outcome {
    fn key(self) -> &'static str {
        match self {
            Self::Imported => "imported",
            Self::Replaced => "replaced",
            Self::Already => "already_imported",
        }
    }

    fn text(self, dry_run: bool) -> &'static str {
        match (self, dry_run) {
            (Self::Imported, false) => "imported",
            (Self::Imported, true) => "would be imported",
            (Self::Replaced, false) => "replaced",
            (Self::Replaced, true) => "would be replaced",
            (Self::Already, _) => "already imported",
        }
    }
}

/// What is said of a user. Made before the candidate is used up, said when it is on the disk.
#[derive(Debug)]
pub(super) struct UserLine {
    user: UserName,
    place: String,
    devices: Vec<(String, &'static str)>,
    scratch: usize,
    notes: Vec<String>,
}

impl UserLine {
    pub fn of(candidate: &Candidate) -> Self {
        let device =
            |device: &super::candidate::Device| (device.token.id.clone(), device.token.kind.name());
        Self {
            user: candidate.user.clone(),
            place: candidate.place.clone(),
            devices: candidate.devices.iter().map(device).collect(),
            scratch: candidate.scratch.len(),
            notes: candidate.notes.clone(),
        }
    }

    fn json(&self, outcome: Outcome) -> serde_json::Value {
        let device = |(id, kind): &(String, &str)| json!({ "id": id, "kind": kind });
        json!({
            "user": name::typed(&self.user),
            "place": self.place,
            "result": outcome.key(),
            "devices": self.devices.iter().map(device).collect::<Vec<_>>(),
            "scratch_codes": self.scratch,
            "notes": self.notes,
        })
    }

    fn text(&self, outcome: Outcome, dry_run: bool) -> String {
        let device = |(id, kind): &(String, &str)| format!("{id} ({kind})");
        let mut what: Vec<String> = self.devices.iter().map(device).collect();
        match self.scratch {
            0 => {}
            1 => what.push("1 scratch code".to_owned()),
            count => what.push(format!("{count} scratch codes")),
        }
        let (user, outcome) = (name::shown(&self.user), outcome.text(dry_run));
        let mut text = format!("{user}: {outcome}: {}\n", what.join(", "));
        for note in &self.notes {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  note: {note}");
        }
        text
    }
}

#[derive(Debug, Default)]
struct Tally {
    imported: u64,
    replaced: u64,
    already: u64,
    refused: u64,
    skipped: u64,
}

/// Says what happens, and counts it.
pub(super) struct Report<'a> {
    context: &'a Context<'a>,
    dry_run: bool,
    /// Of a file with a million users only what is not plain is worth a line.
    brief: bool,
    bar: ProgressBar,
    tally: Tally,
}

impl<'a> Report<'a> {
    pub fn new(context: &'a Context<'a>, dry_run: bool) -> Self {
        Self {
            context,
            dry_run,
            brief: false,
            bar: ProgressBar::hidden(),
            tally: Tally::default(),
        }
    }

    /// For a large file: a progress bar, and a line only for what asks for attention.
    pub fn brief(mut self, bytes: u64) -> Self {
        self.brief = true;
        // Draws on standard error, and nothing when that is no terminal.
        self.bar = ProgressBar::new(bytes);
        let template = "{bar:40} {percent:>3}%  {msg}  {elapsed} (left: {eta})";
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self
    }

    /// How far the file is read.
    pub fn progress(&self, bytes: u64) {
        self.bar.set_position(bytes);
        self.bar.set_message(format!(
            "{} users",
            self.tally.imported + self.tally.already
        ));
    }

    pub fn user(&mut self, line: &UserLine, outcome: Outcome) -> Result<(), CliError> {
        let count = match outcome {
            Outcome::Imported => &mut self.tally.imported,
            Outcome::Replaced => &mut self.tally.replaced,
            Outcome::Already => &mut self.tally.already,
        };
        *count += 1;
        if !self.dry_run && outcome != Outcome::Already {
            let so_far = self.tally.imported + self.tally.replaced;
            audit::imported(&line.user, outcome.key(), so_far);
        }
        let plain = line.notes.is_empty() || outcome == Outcome::Already;
        if self.brief && plain {
            return Ok(());
        }
        self.say(&line.json(outcome), &line.text(outcome, self.dry_run))
    }

    /// A user who stays as they are.
    pub fn refused(&mut self, user: &UserName, place: &str, why: &str) -> Result<(), CliError> {
        self.tally.refused += 1;
        let json = json!({
            "user": name::typed(user), "place": place, "result": "refused", "reason": why,
        });
        self.say(
            &json,
            &format!("{}: REFUSED: {place}: {why}\n", name::shown(user)),
        )
    }

    /// A line of a file that says nothing of anybody.
    pub fn skipped(&mut self, place: &str, why: &str) -> Result<(), CliError> {
        self.tally.skipped += 1;
        let json = json!({ "place": place, "result": "skipped", "reason": why });
        self.say(&json, &format!("{place}: SKIPPED: {why}\n"))
    }

    fn say(&self, json: &serde_json::Value, text: &str) -> Result<(), CliError> {
        self.bar.suspend(|| {
            if self.context.cli.json {
                output::print(&format!("{json}\n"))
            } else {
                output::print(&shown::lines(text))
            }
        })
    }

    /// The summary and the lines to change; returns the exit status.
    pub fn finish(self, changes: &[PamChange]) -> Result<u8, CliError> {
        self.bar.finish_and_clear();
        let Tally {
            imported,
            replaced,
            already,
            refused,
            skipped,
        } = self.tally;
        let json = json!({
            "summary": {
                "imported": imported, "replaced": replaced, "already_imported": already,
                "refused": refused, "skipped": skipped,
            },
            "dry_run": self.dry_run,
            "pam_lines": changes.iter().map(PamChange::json).collect::<Vec<_>>(),
        });
        let mut text = format!(
            "Users: {imported} imported, {replaced} replaced, {already} already imported, {refused} refused. \
             Lines skipped: {skipped}.\n"
        );
        if self.dry_run {
            text.push_str("This was a dry run: nothing was changed.\n");
        }
        for change in changes {
            text.push_str(&change.text());
        }
        self.say(&json, &text)?;
        Ok(if refused + skipped == 0 { OK } else { NO })
    }
}
