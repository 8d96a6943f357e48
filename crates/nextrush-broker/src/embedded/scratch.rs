//! A copy of a stopped store that is opened in its place, so that the store itself stays as it is.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::damage::NOTE;
use super::error::OpenError;
use super::file;
use super::filling::Unfinished;

/// The files whose lock a running process holds, of this format and of older ones.
const LOCKED: [&str; 2] = ["EXTENT", "data/lock"];
/// The directories of files that never change: the copy refers to those of the store.
const TABLES: &str = "tables";

/// A copy of a store's files, in the directory for temporary files. While it lives no other process
/// opens the store.
pub(super) struct Scratch {
    copy: Unfinished,
    _lock: Option<File>,
}

impl Scratch {
    /// Copies all but the tables.
    pub(super) fn new(directory: &Path) -> Result<Self, OpenError> {
        let lock = lock(directory)?;
        // Links are relative to the place where they are.
        let directory = fs::canonicalize(directory)?;
        let name = format!("nextrush-store-{}", uuid::Uuid::now_v7());
        let place = std::env::temp_dir();
        // Nobody looks for the cause there unless told.
        let failed = |error| match error {
            OpenError::Io(error) => {
                let message = format!("the copy of its journals in {}: {error}", place.display());
                OpenError::Io(io::Error::new(error.kind(), message))
            }
            error => error,
        };
        let copy = Unfinished::create(place.join(name)).map_err(failed)?;
        copy_tree(&directory, copy.path(), false).map_err(|error| failed(error.into()))?;
        Ok(Self { copy, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        self.copy.path()
    }
}

/// Locks the store, as far as it has the files for it.
fn lock(directory: &Path) -> Result<Option<File>, OpenError> {
    for name in LOCKED {
        let file = match File::open(directory.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        return match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse),
            Err(TryLockError::Error(error)) => Err(error.into()),
        };
    }
    Ok(None)
}

fn copy_tree(from: &Path, to: &Path, are_tables: bool) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, name) = (entry.path(), entry.file_name());
        let to: PathBuf = to.join(&name);
        if entry.file_type()?.is_dir() {
            file::create_private(&to)?;
            copy_tree(&from, &to, name == TABLES)?;
        } else if are_tables {
            link(&from, &to)?;
        } else if name != NOTE {
            // The copy is looked at as if nobody had found damage.
            fs::copy(&from, &to)?;
            writable(&to)?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn link(from: &Path, to: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(from, to)
}

#[cfg(not(unix))]
fn link(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to).map(drop)
}

/// Lets a copy be written to whose original nobody may write to.
#[cfg(unix)]
fn writable(file: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    fs::set_permissions(file, fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn writable(file: &Path) -> io::Result<()> {
    fs::metadata(file).map(drop)
}
