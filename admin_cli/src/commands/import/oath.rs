//! `otpgate import oath`: pam_oath's users file, of any length.
//!
//! The file is read twice through one descriptor, so that a login that replaces it meanwhile changes
//! nothing. The first time only says which users have several lines, for 16 bytes of memory a line; the
//! second time each user is made whole when their first line comes, the others being read out of turn.
//! So every user is enrolled once, with all devices, and a run that was cut short leaves nobody half.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::BuildHasher as _;
use std::io::{self, Seek as _};
use std::path::Path;

use otp_core::clock::{Clock as _, SystemClock};
use otp_core::matching::Reach;
use otp_core::store::FilesStore;
use otp_core::totp::UnixTime;
use otp_core::user_name::UserName;
use rustix::fs::{Mode, OFlags};

use super::super::Context;
use super::candidate::{Candidate, Maker};
use super::importer::Importer;
use super::lines::{Lines, line_at};
use super::oath_line::{self, is_comment, user_of};
use super::oath_used;
use super::pam_lines::{self, OATH};
use super::report::Report;
use crate::cli::ImportOath;
use crate::error::CliError;

pub(super) fn run(context: &Context<'_>, arguments: &ImportOath) -> Result<u8, CliError> {
    let config = context.config()?;
    let store = FilesStore::open(&config.state_dir)?;
    let path = &arguments.file;
    let unreadable = |error: io::Error| CliError::new(format!("{}: {error}", path.display()));
    let mut file = open(path)?;
    let several = Several::find(&file).map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let report = Report::new(context, arguments.how.dry_run).brief(size);
    let source = Source {
        file: &file,
        path: path.display().to_string(),
        several,
        maker: Maker::new(&config),
        window: arguments.window,
        now: SystemClock.now(),
    };
    let mut importer = Importer::new(&store, &arguments.how, report);
    source.import(&mut importer)?;
    importer.close()?;
    warn_of_window(arguments.window, &config.parameters.reach);
    let changes = pam_lines::changes(&arguments.how.pam_dir, OATH);
    importer.report.finish(&changes)
}

fn open(path: &Path) -> Result<File, CliError> {
    let fail = |why: String| CliError::new(format!("{}: {why}", path.display()));
    // A FIFO would be waited for, and cannot be read twice.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let fd = rustix::fs::open(path, flags, Mode::empty());
    let file = File::from(fd.map_err(|error| fail(error.to_string()))?);
    let metadata = file.metadata().map_err(|error| fail(error.to_string()))?;
    if !metadata.is_file() {
        return Err(fail(
            "is no regular file, which is read twice; copy it into one".into(),
        ));
    }
    Ok(file)
}

fn warn_of_window(window: u64, reach: &Reach) {
    if window > reach.totp_window.max(reach.hotp_look_ahead) {
        eprintln!(
            "otpgate: note: window={window} is not carried over: this host looks {} steps either side ([totp] \
             window) and {} codes ahead ([hotp] look_ahead), and further for two codes in a row.",
            reach.totp_window, reach.hotp_look_ahead
        );
    }
}

/// Where users with several lines have them.
struct Several {
    hasher: RandomState,
    /// A hash of the user and the offset of the line, sorted.
    lines: Vec<(u64, u64)>,
}

impl Several {
    fn find(file: &File) -> io::Result<Self> {
        let hasher = RandomState::new();
        let mut all = Vec::new();
        let mut lines = Lines::new(file);
        while let Some(line) = lines.next()? {
            if let Some(user) = line.bytes.and_then(user_of) {
                all.push((hasher.hash_one(user), line.offset));
            }
        }
        all.sort_unstable();
        let groups = all.chunk_by(|(left, _), (right, _)| left == right);
        let lines = groups
            .filter(|group| group.len() > 1)
            .flatten()
            .copied()
            .collect();
        Ok(Self { hasher, lines })
    }

    /// The lines of a user with several; among them may be some of a user of the same hash.
    fn of(&self, user: &[u8]) -> &[(u64, u64)] {
        let hash = self.hasher.hash_one(user);
        let start = self.lines.partition_point(|(other, _)| *other < hash);
        let end = self.lines.partition_point(|(other, _)| *other <= hash);
        self.lines.get(start..end).unwrap_or_default()
    }
}

struct Source<'a> {
    file: &'a File,
    path: String,
    several: Several,
    maker: Maker,
    window: u64,
    now: UnixTime,
}

impl Source<'_> {
    fn import(&self, importer: &mut Importer<'_>) -> Result<(), CliError> {
        let fail = |error: io::Error| CliError::new(format!("{}: {error}", self.path));
        let mut lines = Lines::new(self.file);
        while let Some(line) = lines.next().map_err(fail)? {
            let place = || format!("{}:{}", self.path, line.number);
            let Some(bytes) = line.bytes else {
                importer.report.skipped(&place(), "the line is too long")?;
                continue;
            };
            if is_comment(bytes) {
                continue;
            }
            if let Err(why) = oath_line::parse(bytes) {
                importer.report.skipped(&place(), &why)?;
                continue;
            }
            let user = user_of(bytes).unwrap_or_default();
            if let Some(result) = self.user(user, bytes, line.offset, &place).map_err(fail)? {
                match result {
                    Ok(candidate) => importer.take(candidate)?,
                    Err(why) => importer
                        .report
                        .refused(&UserName::new(user), &place(), &why)?,
                }
            }
            if line.number % 1_000 == 0 {
                importer.report.progress(lines.position());
            }
        }
        Ok(())
    }

    /// Everything of the user whose first readable line this is; `None` for a later one.
    fn user(
        &self,
        user: &[u8],
        first: &[u8],
        offset: u64,
        place: &dyn Fn() -> String,
    ) -> io::Result<Option<Result<Candidate, String>>> {
        let mut candidate = Candidate::new(UserName::new(user), place());
        let group = self.several.of(user);
        if group.is_empty() {
            let added = self.add(&mut candidate, first);
            return Ok(Some(added.map(|()| candidate)));
        }
        let mut refused = None;
        let mut is_first = true;
        for (_, at) in group {
            let line = line_at(self.file, *at)?;
            if user_of(&line) != Some(user) || oath_line::parse(&line).is_err() {
                continue;
            }
            if std::mem::take(&mut is_first) && *at != offset {
                return Ok(None);
            }
            if let Err(why) = self.add(&mut candidate, &line) {
                refused.get_or_insert(why);
            }
        }
        Ok(Some(refused.map_or(Ok(candidate), Err)))
    }

    fn add(&self, candidate: &mut Candidate, line: &[u8]) -> Result<(), String> {
        let line = oath_line::parse(line)?;
        if line.has_pin {
            return Err(
                "a PIN has to be typed in front of the code, and would no longer be asked for; take it out of \
                 the file (`-` or `+` in its place) once somebody else asks for a password"
                    .into(),
            );
        }
        let made = self
            .maker
            .device(&candidate.user, line.kind, line.secret, line.digits);
        let mut device = made.map_err(|error| error.to_string())?;
        if let Some(last) = &line.last {
            let token = &device.token;
            let note = oath_used::use_up(token, &mut device.state, last, self.window, self.now);
            candidate.notes.extend(note);
        }
        candidate.add(device);
        Ok(())
    }
}
