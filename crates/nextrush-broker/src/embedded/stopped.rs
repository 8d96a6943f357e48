//! The store of a broker that is not running.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkup::{self, StoreCheck};
use super::damage::Verify;
use super::error::OpenError;
use super::file;
use super::format::Format;
use super::scratch::Scratch;
use super::stats::{StoreBytes, StoreStats};
use super::store::{Store, guarded};
use crate::clock::{Clock, SystemClock};
use crate::error::BrokerError;
use crate::exported::{ExportError, ExportWriter};

/// The store of an [`EmbeddedBroker`](crate::EmbeddedBroker) that is not running, to be looked into.
///
/// Nothing of the store is changed: what is opened is a copy of its journals, up to 128 MiB in the
/// directory for temporary files, with links to its tables. While it lives no broker opens the store.
///
/// ```
/// use nextrush_broker::{EmbeddedBroker, StoppedStore};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// drop(EmbeddedBroker::open(&directory)?);
/// let store = StoppedStore::open(&directory)?;
/// assert_eq!(store.stats(10)?.topics, 0);
/// # Ok(())
/// # }
/// ```
pub struct StoppedStore {
    directory: PathBuf,
    // In this order: the files are closed before the copy is removed.
    store: Store,
    _scratch: Scratch,
}

/// The outcome of [`StoppedStore::compact`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Compacted {
    /// The bytes of the files before.
    pub before: u64,
    /// The bytes of the files after.
    pub after: u64,
}

impl StoppedStore {
    /// Opens a copy of the store in `directory`.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if there is no store, a process uses it, it is damaged, or it is of the format 2,
    /// whose topics need other names: a broker with a [`Migration`](crate::Migration) has to open
    /// that once.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, OpenError> {
        let directory = directory.as_ref().to_owned();
        is_store(&directory)?;
        let scratch = Scratch::new(&directory)?;
        let store = Store::open(scratch.path(), &clock(), None, Verify::New)?;
        Ok(Self {
            directory,
            store,
            _scratch: scratch,
        })
    }

    /// The sizes of the store, with its `largest` topics.
    ///
    /// # Errors
    ///
    /// [`OpenError::Damaged`] if something cannot be read, another [`OpenError`] if the disk fails.
    pub fn stats(&self, largest: usize) -> Result<StoreStats, OpenError> {
        guarded(|| {
            let mut stats = StoreStats::default();
            let snapshot = self.store.db.snapshot();
            self.store
                .contents(&snapshot, clock().steady_ms(), |item| {
                    stats.add(&item, largest);
                    Ok::<(), BrokerError>(())
                })?;
            stats.bytes = StoreBytes::of(&self.directory, &self.store)?;
            Ok(stats)
        })
    }

    /// Writes all that is in the store, except answers and keys that have ended.
    ///
    /// # Errors
    ///
    /// [`ExportError::Store`] if something cannot be read, [`ExportError::Io`] if the output cannot be
    /// written.
    pub fn export(&self, writer: &mut ExportWriter<impl Write>) -> Result<(), ExportError> {
        let snapshot = self.store.db.snapshot();
        let mut written = Ok(());
        let read = guarded(|| {
            self.store.contents(&snapshot, clock().steady_ms(), |item| {
                written = writer.write(&item);
                match &written {
                    Ok(()) => Ok(()),
                    Err(_) => Err(BrokerError::Unavailable("nobody reads it".into())),
                }
            })
        });
        written?;
        Ok(read?)
    }

    /// Checks the store in `directory`: the hashes of all its files, and whether each topic and each
    /// answer can be read. Reads all of it.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if there is no store, a process uses it, it is of another format, or the disk
    /// fails. Damage is no error: it is in the outcome.
    pub fn check(directory: impl AsRef<Path>) -> Result<StoreCheck, OpenError> {
        let directory = directory.as_ref();
        is_store(directory)?;
        let scratch = Scratch::new(directory)?;
        checkup::check(directory, scratch.path(), &clock())
    }

    /// Rewrites the files of the store in `directory`, so that nothing is left of what was
    /// overwritten, deleted or has expired. Needs room for the tables once more and 66 MiB.
    ///
    /// # Errors
    ///
    /// [`OpenError`] as of [`open`](Self::open), and if the disk fails; the store is whole then.
    pub fn compact(directory: impl AsRef<Path>) -> Result<Compacted, OpenError> {
        let directory = directory.as_ref();
        is_store(directory)?;
        let before = file::size_of_tree(directory)?;
        let store = Store::open(directory, &clock(), None, Verify::New)?;
        guarded(|| -> Result<(), OpenError> {
            store.files().rewrite()?;
            store.note_erased()?;
            store.close()
        })?;
        let after = file::size_of_tree(directory)?;
        Ok(Compacted { before, after })
    }
}

impl std::fmt::Debug for StoppedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoppedStore")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// Refuses a directory that holds no store, which would become one by being opened.
fn is_store(directory: &Path) -> Result<(), OpenError> {
    match Format::read(directory, &directory.join("data")) {
        Ok(None) => {
            let what = format!("{} has none", directory.display());
            Err(OpenError::Format(what))
        }
        // To be found again where it is looked for.
        Ok(Some(_)) | Err(OpenError::Damaged(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
