//! `otpgate setup SERVICE`: puts the module in place, proves that it works there, and knows the way back.

use std::fs;
use std::path::{Path, PathBuf};

use otp_core::config::DEFAULT_PATH;

use super::files::{self, Image};
use super::finding::Severity;
use super::pam_library::Library;
use super::pam_stack::{SHARED_FILES, is_started_by_anybody};
use super::pam_walk::{OUR_MODULE, is_ours};
use super::pamd::{Directive, Kind, Line};
use super::setup_change::{Change, changed, merged, preview, put, roll_back, taken_back};
use super::setup_pam::{self, LineOptions, NoPlace};
use super::setup_record::{self, Record};
use super::{Paths, SSHD_SERVICE, pam_module_file, setup_sshd};

pub use super::setup_error::SetupError;
pub use super::setup_outcome::Outcome;

/// What was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetupRequest {
    /// The PAM service.
    pub service: String,
    /// Take everything back.
    pub undo: bool,
    /// Only say what would change.
    pub dry_run: bool,
    /// Without `nullok`: who is not enrolled does not get in.
    pub require: bool,
    /// With `enrol`: people enrol at their login.
    pub enrol: bool,
    /// The configuration that the lines name; none for the usual one, which needs no naming.
    pub config: Option<PathBuf>,
}

/// Sets a service up, or takes it back.
///
/// # Errors
/// Whatever the reason, every file is then as it was before, unless the error says otherwise.
pub fn setup(paths: &Paths, request: &SetupRequest) -> Result<Outcome, SetupError> {
    let job = Job::new(paths, request)?;
    let _lock = match request.dry_run {
        true => None,
        false => Some(job.lock()?),
    };
    match request.undo {
        true => job.undo(),
        false => job.install(),
    }
}

struct Job<'a> {
    paths: &'a Paths,
    request: &'a SetupRequest,
    library: Library,
    options: LineOptions,
    pam_file: PathBuf,
    record_dir: PathBuf,
}

impl<'a> Job<'a> {
    fn new(paths: &'a Paths, request: &'a SetupRequest) -> Result<Self, SetupError> {
        let service = &request.service;
        if !is_plain(service) {
            return Err(SetupError::NotAName(service.clone()));
        }
        let directory = paths.pam_dirs.first().ok_or(SetupError::NoPamDirectory)?;
        Ok(Self {
            paths,
            request,
            library: paths.library(),
            options: line_options(request)?,
            pam_file: directory.join(service),
            record_dir: paths.state_dir.join("setup").join(service),
        })
    }

    fn lock(&self) -> Result<setup_record::Lock, SetupError> {
        let parent = self.paths.state_dir.join("setup");
        setup_record::lock(&parent).map_err(|why| SetupError::io("lock", &parent, why))
    }

    fn load_record(&self) -> Result<Option<Record>, SetupError> {
        Record::load(&self.record_dir)
            .map_err(|why| SetupError::io("read the record in", &self.record_dir, why))
    }

    fn install(&self) -> Result<Outcome, SetupError> {
        let service = &self.request.service;
        if self.request.enrol && is_started_by_anybody(service) {
            return Err(SetupError::Stoppable(service.clone()));
        }
        let record = self.load_record()?;
        let mut changes = Vec::new();
        // sshd's settings first: they are in force only after a reload, the PAM line at once. Killed between
        // the two, this leaves a host that lets people in as before.
        if self.request.service == SSHD_SERVICE {
            changes.extend(self.plan_sshd()?);
        }
        changes.extend(self.plan_pam(record.as_ref())?);
        if changes.is_empty() {
            return Ok(Outcome::AlreadyThere {
                service: self.request.service.clone(),
            });
        }
        if self.request.dry_run {
            return Ok(preview(&changes));
        }
        self.save(&merged(record.clone(), &changes))?;
        if let Err(why) = self.apply(&changes, true) {
            // The record holds the only copy of what a file that is stuck was before.
            if !why.leaves_changes() {
                self.restore_record(record)?;
            }
            return Err(why);
        }
        Ok(self.done(&changes))
    }

    /// The service file with our lines, unless they stand there as asked.
    fn plan_pam(&self, record: Option<&Record>) -> Result<Option<Change>, SetupError> {
        self.refuse_shared()?;
        let (source, image) = self.service_file()?;
        let text = String::from_utf8_lossy(&image.bytes).into_owned();
        let own = setup_pam::own_lines(&text, Kind::Auth);
        self.refuse_unloadable(&own)?;
        self.refuse_other_config(&image.bytes)?;
        let (bytes, added) = if own.is_empty() {
            self.compose(&image.bytes)?
        } else {
            self.rewritten(&image.bytes, record)
        };
        if bytes == image.bytes {
            return Ok(None);
        }
        Ok(Some(Change {
            target: self.pam_file.clone(),
            // A service that only the vendor's directory has gets a copy in ours, which libpam prefers.
            before: (source == self.pam_file).then(|| image.clone()),
            after: Some(Image { bytes, ..image }),
            added,
        }))
    }

    fn compose(&self, bytes: &[u8]) -> Result<(Vec<u8>, Vec<String>), SetupError> {
        let stack = self.library.stack(&self.request.service, Kind::Auth);
        if let Some(step) = stack.steps.iter().find(|step| is_ours(step)) {
            return Err(SetupError::Elsewhere(step.place()));
        }
        if let Some(finding) = stack.findings.into_iter().next() {
            return Err(SetupError::Damaged(Box::new(finding)));
        }
        let composed = setup_pam::compose(
            &self.library,
            &self.pam_file,
            &self.request.service,
            bytes,
            &self.options,
        )
        .map_err(|why| self.no_place(why))?;
        Ok((composed.bytes, composed.added))
    }

    fn no_place(&self, why: NoPlace) -> SetupError {
        SetupError::NoPlace {
            file: self.pam_file.clone(),
            why,
        }
    }

    /// libpam refuses every login over a line whose module it cannot load.
    fn refuse_unloadable(&self, own: &[Line]) -> Result<(), SetupError> {
        let standing = own.iter().filter_map(|line| match &line.directive {
            Directive::Module(module) => Some(module.path.as_str()),
            _ => None,
        });
        let planned = own.is_empty().then_some(OUR_MODULE);
        let finding = standing
            .chain(planned)
            .flat_map(|module| pam_module_file::check(module, &self.paths.module_search_dirs))
            .find(|finding| finding.severity == Severity::Error);
        match finding {
            Some(finding) => Err(SetupError::Module(Box::new(finding))),
            None => Ok(()),
        }
    }

    /// Somebody else's line is not rewritten, and beside it one of ours would work with another store.
    fn refuse_other_config(&self, bytes: &[u8]) -> Result<(), SetupError> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let marked = setup_pam::marked_lines(bytes, &self.request.service);
        let wanted = self.request.config.as_deref();
        for line in setup_pam::KINDS
            .into_iter()
            .flat_map(|kind| setup_pam::own_lines(&text, kind))
            .filter(|line| !marked.contains(line))
        {
            let Directive::Module(module) = &line.directive else {
                continue;
            };
            let named = setup_pam::named_config(module).filter(|path| *path != DEFAULT_PATH);
            if named.map(Path::new) != wanted {
                return Err(SetupError::OtherConfig {
                    place: format!("{}:{}", self.pam_file.display(), line.first),
                    named: named.map(str::to_owned),
                    service: self.request.service.clone(),
                });
            }
        }
        Ok(())
    }

    /// Our line stands there: only `--require`, `--enrol` and another configuration change it, and nothing adds `nullok`
    /// to a line without.
    fn rewritten(&self, bytes: &[u8], record: Option<&Record>) -> (Vec<u8>, Vec<String>) {
        let service = &self.request.service;
        let mut bytes = setup_pam::with_config(bytes, service, self.options.config.as_deref());
        if self.request.require {
            bytes = setup_pam::without_nullok(&bytes);
        }
        if self.request.enrol {
            let (library, path) = (&self.library, &self.pam_file);
            bytes = setup_pam::with_enrol(library, path, service, &bytes, &self.options).bytes;
        }
        let mut added = record
            .and_then(|record| record.of(&self.pam_file))
            .map(|entry| entry.added.clone())
            .unwrap_or_default();
        for line in setup_pam::marked_lines(&bytes, service) {
            let text = setup_pam::text_of(&bytes, &line);
            if !added.contains(&text) {
                added.push(text);
            }
        }
        (bytes, added)
    }

    fn service_file(&self) -> Result<(PathBuf, Image), SetupError> {
        let found =
            self.library
                .find(&self.request.service)
                .ok_or_else(|| SetupError::NoService {
                    service: self.request.service.clone(),
                    known: self.library.services().into_iter().collect(),
                })?;
        // Replacing a symlink would cut the service off from the file that its owner maintains.
        if fs::symlink_metadata(&found).is_ok_and(|status| status.is_symlink()) {
            return Err(SetupError::Symlink(found));
        }
        let image = files::read(&found).map_err(|why| SetupError::Unreadable {
            file: found.clone(),
            why,
        })?;
        Ok((found, image))
    }

    /// A file that others include would put the code in front of screen lockers and sudo.
    fn refuse_shared(&self) -> Result<(), SetupError> {
        let service = &self.request.service;
        let alias = format!("{service}-");
        let by: Vec<String> = self
            .library
            .includers()
            .remove(service)
            .unwrap_or_default()
            .into_iter()
            .filter(|name| !name.starts_with(&alias) && name != service)
            .collect();
        match SHARED_FILES.contains(&service.as_str()) || !by.is_empty() {
            true => Err(SetupError::Shared {
                service: service.clone(),
                by,
            }),
            false => Ok(()),
        }
    }

    /// The drop-in, unless sshd runs as it must already. One that is there and does not work is not trusted.
    fn plan_sshd(&self) -> Result<Option<Change>, SetupError> {
        let sshd = self.paths.sshd();
        sshd.test()?;
        let target = setup_sshd::path(&self.paths.sshd_dropin_dir);
        let Some(wrong) = setup_sshd::first_wrong(&sshd.settings(None)?) else {
            return Ok(None);
        };
        let config = &self.paths.sshd_config;
        setup_sshd::check_place(config, &self.paths.sshd_dropin_dir)
            .map_err(|conflict| conflict.at(config))?;
        match files::read(&target) {
            Err(files::Unreadable::Missing) => {}
            Err(why) => return Err(SetupError::Unreadable { file: target, why }),
            Ok(there) => {
                return Err(setup_sshd::blame(config, &target, &there.bytes, wrong).at(config));
            }
        }
        let lines = setup_sshd::lines();
        Ok(Some(Change {
            target,
            before: None,
            after: Some(Image {
                bytes: setup_sshd::content(),
                mode: 0o644,
                uid: nix::unistd::geteuid().as_raw(),
                gid: nix::unistd::getegid().as_raw(),
            }),
            added: lines.into_iter().filter(|line| !line.is_empty()).collect(),
        }))
    }

    fn undo(&self) -> Result<Outcome, SetupError> {
        let record = self.load_record()?.ok_or_else(|| self.nothing_to_undo())?;
        let changes = self.plan_undo(&record)?;
        if self.request.dry_run {
            return Ok(preview(&changes));
        }
        // A broken sshd_config of somebody else's must not keep anybody from going back.
        let was_sound = self.request.service == SSHD_SERVICE && self.paths.sshd().test().is_ok();
        self.apply(&changes, was_sound)?;
        Record::discard(&self.record_dir)
            .map_err(|why| SetupError::io("remove the record in", &self.record_dir, why))?;
        Ok(Outcome::Undone {
            service: self.request.service.clone(),
            changed: changed(&changes),
            left: self.left(&changes),
            reload: self.reload(&changes),
        })
    }

    /// In the opposite order: first nobody is asked any more, then sshd goes back.
    fn plan_undo(&self, record: &Record) -> Result<Vec<Change>, SetupError> {
        let mut changes = Vec::new();
        let (pam, others): (Vec<_>, Vec<_>) = record
            .entries
            .iter()
            .partition(|entry| entry.target == self.pam_file);
        for entry in pam.into_iter().chain(others) {
            let current = match files::read(&entry.target) {
                Ok(image) => image,
                Err(files::Unreadable::Missing) => continue,
                Err(why) => {
                    return Err(SetupError::Unreadable {
                        file: entry.target.clone(),
                        why,
                    });
                }
            };
            let after = taken_back(entry, &current);
            if after.as_ref() == Some(&current) {
                continue;
            }
            changes.push(Change {
                target: entry.target.clone(),
                before: Some(current),
                after,
                added: Vec::new(),
            });
        }
        Ok(changes)
    }

    fn nothing_to_undo(&self) -> SetupError {
        let lines = files::read(&self.pam_file)
            .map(|image| setup_pam::lines_left(&image.bytes))
            .unwrap_or_default();
        SetupError::NothingToUndo {
            file: self.pam_file.clone(),
            lines,
        }
    }

    /// Makes the changes one after the other; takes all of them back when one fails.
    fn apply(&self, changes: &[Change], verify: bool) -> Result<(), SetupError> {
        for (index, change) in changes.iter().enumerate() {
            let made = put(&change.target, change.after.as_ref())
                .map_err(|why| SetupError::io("write", &change.target, why))
                .and_then(|()| self.verify(change, verify));
            if let Err(why) = made {
                let made = changes.get(..=index).unwrap_or(changes);
                return Err(roll_back(made, why, &self.record_dir));
            }
        }
        Ok(())
    }

    fn verify(&self, change: &Change, wanted: bool) -> Result<(), SetupError> {
        let sshd = self.paths.sshd();
        match wanted && change.target == setup_sshd::path(&self.paths.sshd_dropin_dir) {
            false => Ok(()),
            true if self.request.undo => Ok(sshd.test()?),
            true => setup_sshd::verify(&sshd),
        }
    }

    fn save(&self, record: &Record) -> Result<(), SetupError> {
        record
            .save(&self.record_dir)
            .map_err(|why| SetupError::io("write the record in", &self.record_dir, why))
    }

    fn restore_record(&self, record: Option<Record>) -> Result<(), SetupError> {
        match record {
            Some(record) => self.save(&record),
            None => Record::discard(&self.record_dir)
                .map_err(|why| SetupError::io("remove the record in", &self.record_dir, why)),
        }
    }

    fn done(&self, changes: &[Change]) -> Outcome {
        Outcome::Done {
            service: self.request.service.clone(),
            changed: changed(changes),
            originals: self.record_dir.clone(),
            reload: self.reload(changes),
            config: self.request.config.clone(),
        }
    }

    /// The unit to reload, if sshd's settings changed. Red Hat's family calls it after the daemon.
    fn reload(&self, changes: &[Change]) -> Option<String> {
        let red_hat = self.library.services().contains("password-auth");
        changes
            .iter()
            .any(|change| change.target.starts_with(&self.paths.sshd_dropin_dir))
            .then(|| if red_hat { "sshd" } else { "ssh" }.to_owned())
    }

    /// Lines that name our module and are not setup's.
    fn left(&self, changes: &[Change]) -> Vec<String> {
        changes
            .iter()
            .filter(|change| change.target == self.pam_file)
            .filter_map(|change| change.after.as_ref())
            .flat_map(|image| setup_pam::lines_left(&image.bytes))
            .map(|line| format!("{}:{line}", self.pam_file.display()))
            .collect()
    }
}

/// What the lines will say. Undo writes none, so a path that cannot be written is not in its way.
fn line_options(request: &SetupRequest) -> Result<LineOptions, SetupError> {
    let word = |path: &PathBuf| {
        setup_pam::config_word(path).ok_or_else(|| SetupError::ConfigName(path.clone()))
    };
    let named = request.config.as_ref().filter(|_| !request.undo);
    Ok(LineOptions {
        require: request.require,
        enrol: request.enrol,
        config: named.map(word).transpose()?,
    })
}

/// A name that can only be a file in the directory itself.
fn is_plain(service: &str) -> bool {
    !service.is_empty()
        && service.len() <= 64
        && !service.starts_with(['.', '-'])
        && service
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "-_.+@".contains(letter))
}
