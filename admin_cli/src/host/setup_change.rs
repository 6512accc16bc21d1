//! Files before and after: applied in order, taken back in the opposite one.

use std::io;
use std::path::{Path, PathBuf};

use super::files::{self, Image};
use super::setup_error::SetupError;
use super::setup_outcome::{Changed, Outcome};
use super::setup_pam;
use super::setup_record::{Entry, Record};

/// One file, before and after. `None` is "no such file".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) target: PathBuf,
    pub(super) before: Option<Image>,
    pub(super) after: Option<Image>,
    pub(super) added: Vec<String>,
}

/// The file without us: the original if nobody touched it since, else all that is not ours.
pub(super) fn taken_back(entry: &Entry, current: &Image) -> Option<Image> {
    if current.bytes == entry.written {
        return entry.original.clone();
    }
    let bytes = setup_pam::strip(&current.bytes, &entry.added);
    let empty = bytes.iter().all(u8::is_ascii_whitespace);
    if entry.original.is_none() && empty {
        return None;
    }
    Some(Image {
        bytes,
        ..current.clone()
    })
}

/// The record as it must stand once the changes are made.
pub(super) fn merged(record: Option<Record>, changes: &[Change]) -> Record {
    let mut record = record.unwrap_or_default();
    for change in changes {
        let original = match (record.of(&change.target), &change.before) {
            // Edited since the first run: what to go back to is the edited file without us.
            (Some(known), Some(before)) => taken_back(known, before),
            _ => change.before.clone(),
        };
        let written = change.after.as_ref().map(|image| image.bytes.clone());
        record.put(Entry {
            target: change.target.clone(),
            original,
            written: written.unwrap_or_default(),
            added: change.added.clone(),
        });
    }
    record
}

pub(super) fn put(target: &Path, image: Option<&Image>) -> io::Result<()> {
    match image {
        Some(image) => files::replace(target, image),
        None => files::remove(target),
    }
}

/// Takes the changes back, the last one first; what was there before is also in the directory of the record.
pub(super) fn roll_back(made: &[Change], cause: SetupError, record_dir: &Path) -> SetupError {
    let stuck: Vec<PathBuf> = made
        .iter()
        .rev()
        .filter(|change| put(&change.target, change.before.as_ref()).is_err())
        .map(|change| change.target.clone())
        .collect();
    SetupError::RolledBack {
        cause: Box::new(cause),
        stuck,
        originals: record_dir.to_owned(),
    }
}

pub(super) fn changed(changes: &[Change]) -> Vec<Changed> {
    changes
        .iter()
        .map(|change| Changed {
            file: change.target.clone(),
            how: match (&change.before, &change.after) {
                (None, _) => "created",
                (_, None) => "removed",
                _ => "changed",
            },
        })
        .collect()
}

pub(super) fn preview(changes: &[Change]) -> Outcome {
    let text = |image: Option<&Image>| {
        image
            .map(|image| String::from_utf8_lossy(&image.bytes).into_owned())
            .unwrap_or_default()
    };
    let diff = changes
        .iter()
        .map(|change| {
            let name = change.target.display().to_string();
            let side = |there: bool| if there { name.as_str() } else { "/dev/null" };
            let (before, after) = (text(change.before.as_ref()), text(change.after.as_ref()));
            similar::TextDiff::from_lines(&before, &after)
                .unified_diff()
                .header(side(change.before.is_some()), side(change.after.is_some()))
                .to_string()
        })
        .collect();
    Outcome::Preview { diff }
}
