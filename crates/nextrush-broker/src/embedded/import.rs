//! A store that is made from an export.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::OpenError;
use super::file::{self, sync_names};
use super::filling::{Filling, Unfinished};
use super::store::guarded;
use crate::clock::{Clock, SystemClock};
use crate::error::BrokerError;
use crate::exported::{ExportCounts, Exported};

/// The directory in which a store is made.
const PART: &str = "IMPORT";
/// A directory that there is in the root of a file system.
const LOST_AND_FOUND: &str = "lost+found";
/// The parts of a store; the last one makes it one.
const FILES: [&str; 4] = ["data", "EXTENT", "FILES", "FORMAT"];

/// A store for an [`EmbeddedBroker`](crate::EmbeddedBroker) that is made from what an
/// [`ExportReader`](crate::ExportReader) reads.
///
/// Until it is [finished](Self::finish) the directory holds no store; if it is dropped before,
/// nothing is left.
///
/// ```
/// use nextrush_broker::{EmbeddedBroker, Epoch, Exported, StoreImport};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// let mut import = StoreImport::new(&directory)?;
/// import.add(Exported::Unborn(Epoch::begin(1_700_000_000_000)))?;
/// assert_eq!(import.finish()?.topics, 0);
/// EmbeddedBroker::open(&directory)?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is left of an import that is not finished"]
pub struct StoreImport {
    directory: PathBuf,
    // In this order: the files are closed before they are removed.
    filling: Filling,
    part: Unfinished,
}

impl StoreImport {
    /// Begins a store in a directory that is empty or not there.
    ///
    /// # Errors
    ///
    /// [`OpenError::NotEmpty`] if something is there, also what an import has left that was killed;
    /// another [`OpenError`] if the disk fails.
    pub fn new(directory: impl AsRef<Path>) -> Result<Self, OpenError> {
        let directory = directory.as_ref().to_owned();
        fs::create_dir_all(&directory)?;
        for entry in fs::read_dir(&directory)? {
            if entry?.file_name() != LOST_AND_FOUND {
                return Err(OpenError::NotEmpty(directory));
            }
        }
        let part = Unfinished::create(directory.join(PART))?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Ok(Self {
            filling: Filling::new(part.path(), &clock)?,
            directory,
            part,
        })
    }

    /// Adds an item. Topics come before their keys and versions, and each once, as a reader has
    /// them. What has ended is left out.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if the disk fails or is full.
    pub fn add(&mut self, item: Exported) -> Result<(), BrokerError> {
        guarded(|| self.filling.add(item))
    }

    /// Makes the directory a store. Returns its contents.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if the disk fails; the directory holds no store then.
    pub fn finish(self) -> Result<ExportCounts, OpenError> {
        let Self {
            directory,
            filling,
            part,
        } = self;
        let counts = filling.counts;
        guarded(|| filling.finish())?;
        for name in FILES {
            fs::rename(part.path().join(name), directory.join(name))?;
        }
        drop(part);
        file::sync_tree(&directory.join("data"))?;
        sync_names(&directory)?;
        Ok(counts)
    }
}

impl std::fmt::Debug for StoreImport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreImport")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}
