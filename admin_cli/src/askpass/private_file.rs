//! Files that hold somebody's password: read as the store reads its own, or not at all.

use std::os::fd::OwnedFd;
use std::path::Path;

use otp_core::store::safe_open::inspect;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::error::CliError;

/// Access for group and others.
const GROUP_AND_OTHERS: u32 = 0o077;

/// Reads a regular file of the caller's (or root's) that nobody else may read. A link in its place is not
/// followed, and a FIFO not waited for.
pub(super) fn read(path: &Path, most: u64) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
        Errno::NOENT => CliError::no(format!("{}: is not there", path.display())),
        Errno::LOOP => CliError::no(format!(
            "{}: is a symbolic link; name the file itself",
            path.display()
        )),
        error => CliError::no(format!("{}: cannot open: {error}", path.display())),
    })?;
    let stat = inspect(&file, GROUP_AND_OTHERS, most, &|| path.to_owned()).map_err(|error| {
        CliError::no(format!(
            "{}: {}; it has to be a file of your own with mode 0600: chmod 600",
            path.display(),
            error.problem
        ))
    })?;
    let size = usize::try_from(stat.st_size).unwrap_or_default();
    read_all(&file, size)
        .map_err(|error| CliError::no(format!("{}: cannot read: {error}", path.display())))
}

/// One buffer: growing would leave copies on the heap.
fn read_all(file: &OwnedFd, size: usize) -> Result<Zeroizing<Vec<u8>>, Errno> {
    let mut bytes = Zeroizing::new(vec![0; size]);
    let mut length = 0;
    while let Some(room) = bytes.get_mut(length..).filter(|room| !room.is_empty()) {
        match rustix::io::read(file, room) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}
