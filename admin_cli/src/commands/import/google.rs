//! `otpgate import google`: the files that google-authenticator made.

use otp_core::account::Kind;
use otp_core::clock::{Clock as _, SystemClock};
use otp_core::hotp::Digits;
use otp_core::matching::{Device as Position, MAX_SKEW, Reach};
use otp_core::store::FilesStore;
use otp_core::user_name::UserName;
use zeroize::Zeroizing;

use super::super::Context;
use super::candidate::{Candidate, Device, Maker};
use super::google_file::{self, GoogleFile};
use super::homes::{self, Person};
use super::importer::{Importer, InUse};
use super::names;
use super::pam_lines::{self, GOOGLE};
use super::report::Report;
use crate::cli::ImportGoogle;
use crate::error::CliError;

pub(super) fn run(context: &Context<'_>, arguments: &ImportGoogle) -> Result<u8, CliError> {
    let config = context.config()?;
    let store = FilesStore::open(&config.state_dir)?;
    let report = Report::new(context, arguments.how.dry_run);
    let source = Source {
        from: &arguments.from,
        maker: &Maker::new(&config),
        reach: &config.parameters.reach,
    };
    let mut importer = Importer::new(&store, &arguments.how, report);
    match &arguments.user {
        Some(name) => source.import_one(name, &mut importer)?,
        None => source.import_all(arguments, &mut importer)?,
    }
    importer.close()?;
    let changes = pam_lines::changes(&arguments.how.pam_dir, GOOGLE);
    importer.report.finish(&changes)
}

/// Where the files are, and what is made of them.
#[derive(Clone, Copy)]
struct Source<'a> {
    from: &'a str,
    maker: &'a Maker,
    reach: &'a Reach,
}

impl<'a> Source<'a> {
    /// A named user has to have a file, and with `--from` need not be known here.
    fn import_one(self, name: &str, importer: &mut Importer<'a>) -> Result<(), CliError> {
        let known = homes::person(name)?;
        if known.is_none() && homes::is_at_home(self.from) {
            return Err(CliError::new(format!(
                "this system knows no user named {}; correct the name, or say with --from where the file is",
                UserName::from(name)
            )));
        }
        let found = self.import(name, known, importer)?;
        if !found {
            let user = UserName::from(name);
            let why = "there is no such file";
            importer.report.refused(&user, self.from, why)?;
        }
        Ok(())
    }

    /// A name of a list that nobody has is no reason to leave the others.
    fn import_listed(self, name: &str, importer: &mut Importer<'a>) -> Result<(), CliError> {
        if homes::is_at_home(self.from) && homes::person(name)?.is_none() {
            let user = UserName::from(name);
            let why = "this system knows no user of that name";
            return importer.report.refused(&user, self.from, why);
        }
        self.import_one(name, importer)
    }

    /// Whoever has no file is no case for a report, unless somebody named them.
    fn import_all(
        self,
        arguments: &ImportGoogle,
        importer: &mut Importer<'a>,
    ) -> Result<(), CliError> {
        if !homes::is_for_each(self.from) {
            return Err(CliError::new(
                "--from: one file for everybody cannot be meant; put ${USER}, ${HOME} or ~ into the path",
            ));
        }
        if let Some(list) = &arguments.users_from {
            return names::each(list, |name| self.import_listed(name, importer));
        }
        for person in homes::everybody()? {
            let name = person.name.clone();
            self.import(&name, Some(person), importer)?;
        }
        Ok(())
    }

    /// Imports the file of one person; says whether there was one.
    fn import(
        self,
        name: &str,
        known: Option<Person>,
        importer: &mut Importer<'a>,
    ) -> Result<bool, CliError> {
        let user = UserName::from(name);
        let path = match homes::path_for(self.from, name, known.as_ref()) {
            Ok(path) => path,
            Err(why) => {
                importer.report.refused(&user, self.from, &why)?;
                return Ok(true);
            }
        };
        let place = path.display().to_string();
        let bytes = match homes::read(&path, self.from, known.as_ref()) {
            Ok(None) => return Ok(false),
            Ok(Some(bytes)) => Ok(bytes),
            Err(why) => Err(why),
        };
        let before = bytes.clone().unwrap_or_default();
        let candidate = bytes.and_then(|bytes| self.candidate(&user, &place, bytes));
        let candidate = match candidate {
            Ok(candidate) => candidate,
            Err(why) => {
                importer.report.refused(&user, &place, &why)?;
                return Ok(true);
            }
        };
        let at = path.clone();
        let again = move || {
            let bytes = homes::read(&at, self.from, known.as_ref())?;
            let bytes = bytes.ok_or("was taken away during the import")?;
            if *bytes == *before {
                return Ok(None);
            }
            self.candidate(&user, &place, bytes).map(Some)
        };
        let again = Box::new(again);
        importer.take_in_use(candidate, Some(InUse { path, again }))?;
        Ok(true)
    }

    fn candidate(
        self,
        user: &UserName,
        place: &str,
        bytes: Zeroizing<Vec<u8>>,
    ) -> Result<Candidate, String> {
        let file = google_file::parse(bytes).map_err(|error| error.to_string())?;
        candidate(user.clone(), place.to_owned(), file, self.maker, self.reach)
    }
}

fn candidate(
    user: UserName,
    place: String,
    file: GoogleFile,
    maker: &Maker,
    reach: &Reach,
) -> Result<Candidate, String> {
    let mut candidate = Candidate::new(user, place);
    candidate.notes = notes(&file, reach);
    let skew = i8::try_from(file.skew).ok();
    let skew = skew.filter(|skew| u64::from(skew.unsigned_abs()) <= MAX_SKEW);
    let skew = skew.filter(|_| matches!(file.kind, Kind::Totp { .. }));
    let counts = matches!(file.kind, Kind::Hotp { .. });
    let skew = skew.or(counts.then_some(0)).ok_or_else(|| {
        format!(
            "the phone's clock is {} steps off, and more than {MAX_SKEW} are not carried over: set the \
             phone's clock, set TIME_SKEW to 0, and import again",
            file.skew
        )
    })?;
    let made = maker.device(&candidate.user, file.kind, file.secret, Digits::SIX);
    let mut device = made.map_err(|error| error.to_string())?;
    device.state.skew = skew;
    if let (Some(last), false) = (file.used.iter().flatten().max(), counts) {
        device.state.advance_past(*last);
    }
    candidate.notes.extend(ahead(&device));
    candidate.scratch = file.scratch;
    candidate.add(device);
    Ok(candidate)
}

fn ahead(device: &Device) -> Option<String> {
    let position = Position::new(&device.token, device.state.clone());
    position.watermark_is_ahead(SystemClock.now()).then(|| {
        "DISALLOW_REUSE lists a step that lies ahead: codes are refused until then, or until `otpgate resync`"
            .to_owned()
    })
}

/// What cannot be carried over.
fn notes(file: &GoogleFile, reach: &Reach) -> Vec<String> {
    let mut notes = Vec::new();
    let (wider, ours) = match file.kind {
        Kind::Totp { .. } => (
            file.window / 2 > reach.totp_window,
            format!("{} steps either side ([totp] window)", reach.totp_window),
        ),
        Kind::Hotp { .. } | Kind::Delivered { .. } => (
            file.window - 1 > reach.hotp_look_ahead,
            format!("{} codes ahead ([hotp] look_ahead)", reach.hotp_look_ahead),
        ),
    };
    if wider {
        notes.push(format!(
            "WINDOW_SIZE {} is not carried over: this host looks {ours} for everybody, and further for two \
             codes in a row",
            file.window
        ));
    }
    if let Some((attempts, seconds)) = &file.rate_limit {
        notes.push(format!(
            "RATE_LIMIT {attempts} per {seconds} is not carried over: this host's throttle, which counts failures only, \
             applies to everybody"
        ));
    }
    if file.used.is_none() && matches!(file.kind, Kind::Totp { .. }) {
        notes.push("codes could be used twice; here each counts once".to_owned());
    }
    if file.grace_entries > 0 {
        notes
            .push("LAST0 to LAST9 are not carried over: the next login asks for a code".to_owned());
    }
    notes
}
