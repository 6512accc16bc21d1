//! Sealing every account, sealing them all with another key, and the way back.
//!
//! What is wanted is written down first, in `seal.toml`, and holds for every enrolment from then on; then the
//! accounts follow in batches; what is no longer needed goes last. Each account file is replaced by a rename
//! and opens before and after it, with a key that is in the key file all the while. So a kill at any moment
//! leaves accounts of both kinds, all of which open, and the same command once more does the rest.
//!
//! The state is not touched and the generation stays: what was enrolled is still the same. That is why
//! logins do not wait for any of this; only administrators do, for a batch at a time.

use std::path::Path;

use rustix::fs::RenameFlags;

use super::administration::{
    Administration, TEMPORARY, remove_file, rename_temporary, sync_directory, write_temporary,
};
use super::bulk::{account_name, rename, write_new};
use super::decoys;
use super::error::{Problem, StoreError};
use super::files::{FilesStore, account_file, names_in, parse_account};
use super::safe_open::Directory;
use super::sealing::{SETTINGS_FILE, Sealing, Settings, read_keys};
use crate::account::LARGEST_FILE;
use crate::account::stored::{Kept, StoredAccount};
use crate::seal::{KeyId, Keyring, SealKey};
use crate::user_name::UserName;

/// Where the keys are unless somebody says otherwise.
pub const DEFAULT_KEY_FILE: &str = "/etc/otpgate/seal.key";
/// Accounts that wait for the disk together. Other administrators wait as long as a batch takes.
const BATCH: usize = 1_000;
/// After so many failures the rest is counted, not kept.
const MOST_KEPT: usize = 50;

/// How the secrets of all accounts are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Sealed with the key of `seal.toml`.
    pub sealed: u64,
    /// In clear.
    pub clear: u64,
    /// Sealed with another key of the key file.
    pub other_key: u64,
    /// Sealed with a key that is not there.
    pub unknown_key: u64,
    /// Not readable.
    pub damaged: u64,
}

impl Counts {
    /// All together.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.sealed + self.clear + self.other_key + self.unknown_key + self.damaged
    }
}

/// What became of all accounts.
#[derive(Debug, Default)]
pub struct Converted {
    /// So many were written anew.
    pub changed: u64,
    /// So many could not be.
    pub failed: u64,
    /// Why, of the first of them.
    pub failures: Vec<StoreError>,
}

impl Converted {
    fn fail(&mut self, error: StoreError) {
        self.failed += 1;
        if self.failures.len() < MOST_KEPT {
            self.failures.push(error);
        }
    }
}

impl FilesStore {
    /// What `seal.toml` and the key file said when the store was opened.
    #[must_use]
    pub fn sealing(&self) -> &Sealing {
        &self.sealing
    }

    /// The names of all account files.
    fn account_names(&self) -> Result<impl Iterator<Item = String> + use<>, StoreError> {
        let stem = |file: String| Some(file.strip_suffix(".toml")?.to_owned());
        let names = names_in(&self.accounts)?.filter_map(stem);
        Ok(names.filter(|name| UserName::from_file_name(name).is_some()))
    }

    /// How many accounts there are.
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot be read.
    pub fn account_count(&self) -> Result<u64, StoreError> {
        Ok(self.account_names()?.count() as u64)
    }

    /// Looks at every account, and opens none. `seen` is told of each.
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot be read.
    pub fn counts(&self, seen: &mut dyn FnMut()) -> Result<Counts, StoreError> {
        let mut counts = Counts::default();
        for name in self.account_names()? {
            self.count(&self.accounts, &name, &mut counts);
            seen();
        }
        Ok(counts)
    }

    /// The same for the decoys.
    #[must_use]
    pub fn decoy_counts(&self) -> Counts {
        let mut counts = Counts::default();
        for number in 0..decoys::COUNT {
            self.count(&self.decoys, &decoys::name(number), &mut counts);
        }
        counts
    }

    fn count(&self, directory: &Directory, name: &str, counts: &mut Counts) {
        let key = self.sealing.settings().map(|settings| settings.key);
        let stored = match read_stored(directory, name) {
            Ok(Some(stored)) => stored,
            // Removed meanwhile.
            Ok(None) => return,
            Err(_) => return counts.damaged += 1,
        };
        match stored.kept(key) {
            Kept::Sealed if key.is_some() => counts.sealed += 1,
            Kept::Sealed | Kept::Clear => counts.clear += 1,
            Kept::OtherKey(used) if self.sealing.keys().get(used).is_some() => {
                counts.other_key += 1;
            }
            Kept::OtherKey(_) => counts.unknown_key += 1,
        }
    }

    /// Brings every account and every decoy into the form that `seal.toml` wants. `seen` is told of how many
    /// accounts were looked at.
    ///
    /// # Errors
    /// What keeps it from going on; the same call later does the rest. Accounts that do not open are no such
    /// error: they are in [`Converted`].
    pub fn convert_all(&self, seen: &mut dyn FnMut(u64)) -> Result<Converted, StoreError> {
        let decoys: Vec<String> = (0..decoys::COUNT).map(decoys::name).collect();
        let administration = self.administer()?;
        administration.convert(&self.decoys, &decoys, &mut Converted::default())?;
        // One that does not open holds nothing that anybody needs.
        administration.make_decoys()?;
        drop(administration);
        let mut converted = Converted::default();
        let mut names = self.account_names()?;
        loop {
            let batch: Vec<String> = names.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                return Ok(converted);
            }
            let administration = self.administer()?;
            administration.convert(&self.accounts, &batch, &mut converted)?;
            drop(administration);
            seen(batch.len() as u64);
        }
    }
}

fn read_stored(directory: &Directory, name: &str) -> Result<Option<StoredAccount>, StoreError> {
    let file = account_file(name);
    let Some(bytes) = directory.read(&file, LARGEST_FILE)? else {
        return Ok(None);
    };
    let stored = parse_account(&bytes, name);
    stored
        .map(Some)
        .map_err(|problem| StoreError::new(&directory.join(&file), problem))
}

impl Administration<'_> {
    /// How secrets are kept from now on.
    #[must_use]
    pub fn sealing(&self) -> &Sealing {
        &self.sealing
    }

    /// Has every secret sealed that is written from now on. Makes a key where there is none yet; a key file
    /// that is there is used as it is. With another `key_file` than before, that one has to hold the key.
    ///
    /// # Errors
    /// [`Problem::Refused`] for a place that is no place for keys, and everything about the key file.
    pub fn seal_from_now_on(&mut self, key_file: Option<&Path>) -> Result<(), StoreError> {
        let known = self.sealing.settings().cloned();
        let before = known.as_ref().map(|settings| &*settings.key_file);
        let path = key_file.or(before).unwrap_or(Path::new(DEFAULT_KEY_FILE));
        self.refuse_place(path)?;
        let keys = match read_keys(path)? {
            Some(keys) => keys,
            None if known.is_none() => self.make_key_file(path)?,
            None => Keyring::default(),
        };
        // Without the settings, the decoys tell what the secrets of this store are sealed with.
        let wanted = known.as_ref().map(|settings| settings.key);
        let wanted = wanted.or_else(|| self.key_of_decoys());
        let key = match wanted {
            Some(key) if keys.get(key).is_some() => Some(key),
            Some(key) if keys.count() == 0 => {
                return Err(StoreError::new(path, Problem::SealKeyMissing(key)));
            }
            Some(key) => return Err(StoreError::new(path, Problem::SealKeyUnknown(key))),
            None => keys.newest().map(SealKey::id),
        };
        let key = key.ok_or_else(|| refused(path, "there is no key in it"))?;
        self.write_settings(Settings {
            on: true,
            key,
            key_file: path.to_owned(),
        })
    }

    /// Has secrets sealed with the newest key of the key file, or with a new one where there is only one. The
    /// key that was used so far stays until [`Administration::drop_other_keys`].
    ///
    /// # Errors
    /// [`Problem::Refused`] when sealing is off, or where a new key would not outlive a restart; everything
    /// about the key file.
    pub fn begin_rotation(&mut self) -> Result<(), StoreError> {
        self.sealing.key()?;
        let Some(settings) = self
            .sealing
            .settings()
            .filter(|settings| settings.on)
            .cloned()
        else {
            let path = self.store.root.join(SETTINGS_FILE);
            return Err(refused(
                &path,
                "secrets are not sealed; run `otpgate seal init`",
            ));
        };
        let path = &settings.key_file;
        let mut keys = self.sealing.keys().clone();
        if keys.count() == 1 {
            let directory = self.keys_directory(path)?;
            self.refuse_memory(
                &directory,
                path,
                "add a second line to it where it comes from",
            )?;
            keys = keys.with(new_key(path)?);
            write_keys(&directory, path, &keys)?;
        }
        let key = keys.newest().map_or(settings.key, SealKey::id);
        self.write_settings(Settings { key, ..settings })
    }

    /// Takes every key but this one out of the key file. Only when nothing is sealed with the others.
    ///
    /// # Errors
    /// [`Problem::Refused`] when another key is in use by now; everything about the key file.
    pub fn drop_other_keys(&mut self, key: KeyId) -> Result<(), StoreError> {
        let Some(settings) = self.sealing.settings() else {
            return Ok(());
        };
        let path = &settings.key_file;
        let keys = self.sealing.keys();
        if keys.count() == 1 {
            return Ok(());
        }
        match keys.only(key).filter(|_| settings.key == key) {
            Some(only) => write_keys(&self.keys_directory(path)?, path, &only),
            None => Err(refused(path, "another key was chosen meanwhile; try again")),
        }
    }

    /// Has secrets written in clear from now on.
    ///
    /// # Errors
    /// What cannot be written.
    pub fn seal_no_more(&mut self) -> Result<(), StoreError> {
        match self.sealing.settings().cloned() {
            Some(settings) => self.write_settings(Settings {
                on: false,
                ..settings
            }),
            None => Ok(()),
        }
    }

    /// Forgets the key file, when nothing is sealed any more. It stays where it is: backups may need it.
    ///
    /// # Errors
    /// [`Problem::Refused`] when secrets are to be sealed again by now; what cannot be removed or made.
    pub fn forget_sealing(&mut self) -> Result<(), StoreError> {
        let root = &self.store.root;
        match self.sealing.settings() {
            Some(settings) if settings.on => Err(refused(
                &root.join(SETTINGS_FILE),
                "sealing was switched on meanwhile",
            )),
            Some(_) => {
                remove_file(root, SETTINGS_FILE)?;
                sync_directory(root)
            }
            None => Ok(()),
        }
    }

    /// Whether the key file is gone after a restart, so that it has to come from elsewhere each time.
    ///
    /// # Errors
    /// Everything about its directory.
    pub fn key_file_is_in_memory(&self) -> Result<bool, StoreError> {
        match self.sealing.settings() {
            Some(settings) => is_in_memory(&self.keys_directory(&settings.key_file)?),
            None => Ok(false),
        }
    }

    /// Writes these accounts anew where they are not as `seal.toml` wants them.
    fn convert(
        &self,
        directory: &Directory,
        names: &[String],
        converted: &mut Converted,
    ) -> Result<(), StoreError> {
        // Nothing is begun without the key.
        self.sealing.key()?;
        let staging = self.store.make_staging()?;
        let staged = self.stage_converted(directory, names, &staging, converted);
        let staged = staged.inspect_err(|_| {
            // Full disk: leave nothing half-written behind.
            let _ = self.store.clear_staging();
        })?;
        if !staged.is_empty() {
            self.sync_all()?;
            for (number, name) in &staged {
                rename(
                    &staging,
                    &account_name(*number),
                    directory,
                    &account_file(name),
                )?;
            }
            sync_directory(directory)?;
        }
        converted.changed += staged.len() as u64;
        self.store.clear_staging()
    }

    fn stage_converted<'b>(
        &self,
        directory: &Directory,
        names: &'b [String],
        staging: &Directory,
        converted: &mut Converted,
    ) -> Result<Vec<(usize, &'b str)>, StoreError> {
        let mut staged = Vec::new();
        for (number, name) in names.iter().enumerate() {
            match self.converted(directory, name) {
                Ok(Some(text)) => {
                    write_new(staging, &account_name(number), text.as_bytes())?;
                    staged.push((number, name.as_str()));
                }
                Ok(None) => {}
                Err(error) => converted.fail(error),
            }
        }
        Ok(staged)
    }

    /// The new text of an account; `None` when it is as it should be.
    fn converted(
        &self,
        directory: &Directory,
        name: &str,
    ) -> Result<Option<zeroize::Zeroizing<String>>, StoreError> {
        let Some(stored) = read_stored(directory, name)? else {
            return Ok(None);
        };
        let right = match self.sealing.key()? {
            Some(key) => stored.kept(Some(key.id())) == Kept::Sealed,
            None => !stored.has_sealed(),
        };
        if right {
            return Ok(None);
        }
        let path = directory.join(&account_file(name));
        let account = self.sealing.open(&self.store.root, &stored, &path)?;
        self.sealing.account_text(&account).map(Some)
    }

    /// The key of a decoy that is sealed.
    fn key_of_decoys(&self) -> Option<KeyId> {
        let stored = |number| read_stored(&self.store.decoys, &decoys::name(number)).ok()?;
        let mut decoys = (0..decoys::COUNT).filter_map(stored);
        decoys.find_map(|decoy| decoy.tokens.first()?.secret.key())
    }

    fn write_settings(&mut self, settings: Settings) -> Result<(), StoreError> {
        let root = &self.store.root;
        if self.sealing.settings() != Some(&settings) {
            drop(write_temporary(root, settings.to_text().as_bytes())?);
            rename_temporary(root, SETTINGS_FILE)?;
        }
        self.sealing = Sealing::load(root)?;
        Ok(())
    }

    fn make_key_file(&self, path: &Path) -> Result<Keyring, StoreError> {
        let directory = self.keys_directory(path)?;
        self.refuse_memory(
            &directory,
            path,
            "make it where it comes from, and put it there first",
        )?;
        let keys = Keyring::new(vec![new_key(path)?]);
        remove_file(&directory, TEMPORARY)?;
        drop(write_temporary(&directory, keys.to_text().as_bytes())?);
        // Never in the place of another: somebody may have put one there a moment ago.
        let name = file_name(path)?;
        let (from, to, flags) = (&directory.fd, &directory.fd, RenameFlags::NOREPLACE);
        rustix::fs::renameat_with(from, TEMPORARY, to, name, flags)
            .map_err(|error| StoreError::io(path, "make", error))?;
        sync_directory(&directory)?;
        Ok(keys)
    }

    /// Keys beside the secrets that they seal would be stolen, and backed up, together with them.
    fn refuse_place(&self, path: &Path) -> Result<(), StoreError> {
        if !path.is_absolute() {
            return Err(refused(path, "the key file needs an absolute path"));
        }
        if self.store.contains(path) {
            let why =
                "is inside the state directory, and would be stolen with it; choose another place";
            return Err(refused(path, why));
        }
        Ok(())
    }

    fn refuse_memory(&self, keys: &Directory, path: &Path, cure: &str) -> Result<(), StoreError> {
        if !is_in_memory(keys)? || is_in_memory(&self.store.root)? {
            return Ok(());
        }
        let why = format!(
            "a key made here, in memory, would be lost at the next restart; {cure} (otpgate-seal-key(8))"
        );
        Err(refused(path, &why))
    }

    fn keys_directory(&self, path: &Path) -> Result<Directory, StoreError> {
        let parent = path.parent().ok_or_else(|| refused(path, "is no file"))?;
        Directory::open_readable(parent)
    }
}

impl FilesStore {
    /// Whether this path leads into the state directory, by whatever links.
    #[must_use]
    pub fn contains(&self, path: &Path) -> bool {
        let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let parent = path.parent().map_or_else(|| path.to_owned(), real);
        parent.starts_with(real(&self.root.path))
    }
}

fn new_key(path: &Path) -> Result<SealKey, StoreError> {
    SealKey::generate().map_err(|_| StoreError::new(path, Problem::Random))
}

fn write_keys(directory: &Directory, path: &Path, keys: &Keyring) -> Result<(), StoreError> {
    remove_file(directory, TEMPORARY)?;
    drop(write_temporary(directory, keys.to_text().as_bytes())?);
    rename_temporary(directory, file_name(path)?)
}

fn file_name(path: &Path) -> Result<&str, StoreError> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.ok_or_else(|| refused(path, "is no name of a file"))
}

/// tmpfs and ramfs: magic numbers from statfs(2).
fn is_in_memory(directory: &Directory) -> Result<bool, StoreError> {
    let stat = rustix::fs::fstatfs(&directory.fd)
        .map_err(|error| StoreError::io(&directory.path, "statfs", error))?;
    Ok(matches!(
        u64::try_from(stat.f_type).map(|magic| magic & 0xffff_ffff),
        Ok(0x0102_1994 | 0x8584_58f6)
    ))
}

fn refused(path: &Path, why: &str) -> StoreError {
    StoreError::new(path, Problem::Refused(why.to_owned()))
}
