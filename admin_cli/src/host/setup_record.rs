//! The way back: each changed file as it was and as we left it, below `<state_dir>/setup/<service>/`.
//!
//! Both are kept, because undo has to know whether somebody edited the file since: if nobody did, the
//! original goes back bit by bit; if somebody did, only our lines go.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::{self, Image};

const MANIFEST: &str = "manifest.json";

/// One file that setup changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The file.
    pub target: PathBuf,
    /// As it was; `None` if there was none.
    pub original: Option<Image>,
    /// The content we left.
    pub written: Vec<u8>,
    /// The lines of it that are ours.
    pub added: Vec<String>,
}

/// What setup did for one service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// The files, in the order in which undo takes them.
    pub entries: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    version: u32,
    files: Vec<Listed>,
}

#[derive(Serialize, Deserialize)]
struct Listed {
    target: PathBuf,
    existed: Option<Ownership>,
    added: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Ownership {
    mode: u32,
    uid: u32,
    gid: u32,
}

impl Record {
    /// The entry of a file.
    #[must_use]
    pub fn of(&self, target: &Path) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.target == target)
    }

    /// Adds an entry, or puts it in the place of the one for the same file.
    pub fn put(&mut self, entry: Entry) {
        match self
            .entries
            .iter_mut()
            .find(|known| known.target == entry.target)
        {
            Some(known) => *known = entry,
            None => self.entries.push(entry),
        }
    }

    /// Reads the record of a service; `None` if setup never ran for it.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn load(directory: &Path) -> io::Result<Option<Self>> {
        let manifest = match files::read(&directory.join(MANIFEST)) {
            Ok(image) => image.bytes,
            Err(files::Unreadable::Missing) => return Ok(None),
            Err(why) => return Err(io::Error::other(why.to_string())),
        };
        let manifest: Manifest = serde_json::from_slice(&manifest)?;
        if manifest.version != 1 {
            let why = format!("manifest version {} is not known here", manifest.version);
            return Err(io::Error::other(why));
        }
        let entries: io::Result<Vec<Entry>> = manifest
            .files
            .into_iter()
            .enumerate()
            .map(|(index, listed)| load_entry(directory, index, listed))
            .collect();
        Ok(Some(Self { entries: entries? }))
    }

    /// Writes the record before anything is changed: the manifest last, so that a record that is
    /// there is whole.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn save(&self, directory: &Path) -> io::Result<()> {
        make_private(directory)?;
        let mut listed = Vec::new();
        for (index, entry) in self.entries.iter().enumerate() {
            if let Some(original) = &entry.original {
                files::replace(&original_path(directory, index), &private(&original.bytes))?;
            }
            files::replace(&written_path(directory, index), &private(&entry.written))?;
            listed.push(Listed {
                target: entry.target.clone(),
                existed: entry.original.as_ref().map(|image| Ownership {
                    mode: image.mode,
                    uid: image.uid,
                    gid: image.gid,
                }),
                added: entry.added.clone(),
            });
        }
        let manifest = Manifest {
            version: 1,
            files: listed,
        };
        let text = serde_json::to_vec_pretty(&manifest)?;
        files::replace(&directory.join(MANIFEST), &private(&text))
    }

    /// Removes the record of a service, the manifest first.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn discard(directory: &Path) -> io::Result<()> {
        files::remove(&directory.join(MANIFEST))?;
        fs::remove_dir_all(directory)
    }
}

fn load_entry(directory: &Path, index: usize, listed: Listed) -> io::Result<Entry> {
    let read = |path: PathBuf| files::read(&path).map_err(|why| io::Error::other(why.to_string()));
    let original = match listed.existed {
        None => None,
        Some(was) => Some(Image {
            bytes: read(original_path(directory, index))?.bytes,
            mode: was.mode,
            uid: was.uid,
            gid: was.gid,
        }),
    };
    Ok(Entry {
        target: listed.target,
        original,
        written: read(written_path(directory, index))?.bytes,
        added: listed.added,
    })
}

fn original_path(directory: &Path, index: usize) -> PathBuf {
    directory.join(format!("{index}.original"))
}

fn written_path(directory: &Path, index: usize) -> PathBuf {
    directory.join(format!("{index}.written"))
}

fn private(bytes: &[u8]) -> Image {
    Image {
        bytes: bytes.to_vec(),
        mode: 0o600,
        uid: nix::unistd::geteuid().as_raw(),
        gid: nix::unistd::getegid().as_raw(),
    }
}

/// Creates the directory and those above it, 0700: originals may hold what only root may read.
fn make_private(directory: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
}

/// Holds off a second setup until it is dropped.
#[derive(Debug)]
pub struct Lock(File);

impl Drop for Lock {
    /// Unlocked by hand: a child that another thread is just forking holds a copy of the descriptor, and closing
    /// ours would leave the lock with it.
    fn drop(&mut self) {
        // Closing follows at once, which is the other way to unlock.
        let _unlocked = self.0.unlock();
    }
}

/// Takes the lock, without waiting.
///
/// # Errors
/// A setup is running, or the kernel's answer.
pub fn lock(parent: &Path) -> io::Result<Lock> {
    make_private(parent)?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(parent.join(".lock"))?;
    file.try_lock().map_err(io::Error::from)?;
    Ok(Lock(file))
}
