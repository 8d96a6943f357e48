//! Damage: what is checked before fjall opens its files, and what is kept of it.
//!
//! fjall makes good what a crash may have left: it cuts off, removes and begins anew. So each
//! thing that it would take for that is looked at first, and nothing of the store is changed
//! before everything is known to be there.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use super::census::{self, Census, State, missing};
use super::error::OpenError;
use super::extent::{self, Extent};
use super::file::write_whole;
use super::format::Format;
use super::journal;

/// The file that records damage which the next opening might not find.
pub(super) const NOTE: &str = "DAMAGED";

/// The tables that are read as a whole to be compared with their hashes. The blocks of all have
/// checksums, which are compared whenever a block is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verify {
    /// The tables that the list of files does not know.
    New,
    /// All tables, as something is wrong.
    All,
}

/// A store whose files may be opened.
pub(super) struct Checked {
    pub(super) extent: Extent,
    /// The list of files as it is on the disk; `None` if the store is new.
    pub(super) census: Option<Census>,
    /// The batch and the group that must be found.
    batch: u64,
    group: u64,
    /// The newest journal.
    newest: u64,
}

/// Checks a store's files, and notes in the list of them that the store is open.
pub(super) fn check(
    directory: &Path,
    format: Format,
    verify: Verify,
) -> Result<Checked, OpenError> {
    refuse_known(directory)?;
    let has_data = directory.join("data").exists();
    let has_list = directory.join(census::FILE).exists();
    let extent = match Extent::open(directory, format.id())? {
        Some(extent) => extent,
        None if format.has_extent() && (has_data || has_list) => {
            return Err(missing(extent::FILE));
        }
        None => Extent::create(directory, format.id())?,
    };
    let mut earlier = None;
    if format.has_extent() {
        earlier = Census::read(directory)?;
        if earlier.is_none() && extent.batch() > 0 {
            return Err(missing(census::FILE));
        }
        if earlier.is_none() && has_data {
            // It was being made when its process ended, and has acknowledged nothing. fjall
            // does not go on with what it has begun.
            fs::remove_dir_all(directory.join("data"))?;
        }
        if earlier.is_some() && !has_data {
            return Err(missing("data"));
        }
    } else if has_data {
        refuse_used(directory)?;
    } else {
        return Err(missing("data"));
    }
    let known = match &earlier {
        Some(earlier) => earlier.batch.max(extent.batch()),
        None => 0,
    };
    if !directory.join("data").exists() {
        return Ok(Checked {
            extent,
            census: None,
            batch: 0,
            group: 0,
            newest: 0,
        });
    }

    let journals = census::read_journals(directory, format.mark())?;
    let state = match &earlier {
        Some(earlier) if earlier.state == State::Migrating => State::Migrating,
        _ => State::Open,
    };
    let prints = journals
        .iter()
        .map(|journal| (journal.id, Some(journal.print)));
    let mut census = Census::take(directory, state, known, prints, earlier.as_ref())?;
    let may_be_flushed = match &earlier {
        Some(earlier) => earlier.compare(&census)?,
        None => true,
    };
    journal::check(&journals, known, may_be_flushed)?;
    let last = |chain: fn(&journal::Journal) -> journal::Chain| {
        journals
            .iter()
            .filter_map(|journal| chain(journal).last())
            .max()
            .unwrap_or(0)
    };
    if state == State::Open && last(|journal| journal.batches) < known {
        // Until the next batch is written.
        census.state = State::Flushed;
    }
    match verify {
        // Without the note the next opening would not look at all of them.
        Verify::All => census
            .verify_tables(directory, None)
            .inspect_err(|error| note(directory, error))?,
        Verify::New if earlier.is_some() => census.verify_tables(directory, earlier.as_ref())?,
        // An older format has no list, and reading everything may take minutes.
        Verify::New => {}
    }
    census.forget_journals();
    census.write(directory)?;
    extent.sync()?;
    journal::cut_rest(directory, &journals)?;
    Ok(Checked {
        extent,
        census: Some(census),
        batch: last(|journal| journal.batches).max(known),
        group: last(|journal| journal.groups),
        newest: journals.last().map_or(0, |newest| newest.id),
    })
}

impl Checked {
    /// Compares what must be found with what fjall has found.
    pub(super) fn compare(&self, batch: u64, group: u64) -> Result<(), OpenError> {
        if batch >= self.batch && group >= self.group {
            return Ok(());
        }
        Err(OpenError::Damaged(format!(
            "{} and the tables hold batch {batch} and group {group}, but batch {} and group {} \
             were written",
            journal::path(self.newest),
            self.batch,
            self.group
        )))
    }
}

/// Refuses a store in which damage was found earlier.
fn refuse_known(directory: &Path) -> Result<(), OpenError> {
    match fs::read(directory.join(NOTE)) {
        Ok(what) => {
            let what = String::from_utf8_lossy(&what).into_owned();
            Err(OpenError::Damaged(what))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Refuses a store that an older program has open, which does not lock `EXTENT`.
fn refuse_used(directory: &Path) -> Result<(), OpenError> {
    let path = "data/lock";
    let file = File::open(directory.join(path));
    let file = file.map_err(|error| census::named(path, error.into()))?;
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Finds the file because of which fjall failed, if that is a table: only reading all of them
/// tells.
pub(super) fn locate(directory: &Path, error: OpenError) -> OpenError {
    let OpenError::Damaged(what) = error else {
        return error;
    };
    let files = Census::take(directory, State::Open, 0, [], None);
    match files.and_then(|census| census.verify_tables(directory, None)) {
        Err(OpenError::Damaged(file)) => OpenError::Damaged(format!("{file}: {what}")),
        // Whatever else is wrong, this is what the opening has failed at.
        _ => OpenError::Damaged(what),
    }
}

/// Records damage for later openings.
pub(super) fn note(directory: &Path, error: &OpenError) {
    if let OpenError::Damaged(what) = error {
        // If this cannot be written either, the caller still gets the error.
        let _ = write_whole(directory, NOTE, what);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tempfile::TempDir;

    use super::*;
    use crate::embedded::store::Store;
    use crate::{Clock, EmbeddedBroker, SystemClock};

    /// A store of which fjall has moved everything to tables, so that its journal has no batch.
    fn flushed() -> (TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Store::open(directory.path(), &clock, None, Verify::New).unwrap();
        store.note_erased().unwrap();
        store.files().rewrite().unwrap();
        (directory, store)
    }

    #[test]
    fn a_store_is_closed_with_a_batch_in_its_newest_journal() {
        let (directory, store) = flushed();
        store.close().unwrap();
        for _ in 0..2 {
            EmbeddedBroker::open(directory.path()).unwrap();
        }
    }

    #[test]
    fn a_store_without_a_batch_in_its_journal_may_be_killed_while_it_is_opened() {
        let (directory, store) = flushed();
        drop(store);
        let format = || Format::read(directory.path(), &directory.path().join("data"));
        for _ in 0..3 {
            check(directory.path(), format().unwrap().unwrap(), Verify::New).unwrap();
        }
        let known = || Census::read(directory.path()).unwrap().unwrap().state;
        assert_eq!(known(), State::Flushed);
        let broker = EmbeddedBroker::open(directory.path()).unwrap();
        assert_eq!(known(), State::Open);
        drop(broker);
        EmbeddedBroker::open(directory.path()).unwrap();
    }

    #[test]
    fn a_store_whose_making_was_interrupted_is_made_anew() {
        for step in 0..4 {
            let directory = tempfile::tempdir().unwrap();
            let data = directory.path().join("data");
            let format = Format::create(directory.path()).unwrap();
            if step > 0 {
                Extent::create(directory.path(), format.id()).unwrap();
            }
            if step > 1 {
                fs::create_dir(&data).unwrap();
                File::create(data.join("lock")).unwrap();
            }
            if step > 2 {
                // fjall would not go on with it.
                File::create(data.join("0.jnl")).unwrap();
            }
            EmbeddedBroker::open(directory.path()).unwrap();
            EmbeddedBroker::open(directory.path()).unwrap();
        }
    }

    #[test]
    fn a_store_whose_id_was_changed_is_refused_and_stays_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        drop(EmbeddedBroker::open(directory.path()).unwrap());
        let path = directory.path().join("FORMAT");
        let good = fs::read(&path).unwrap();
        let id = good.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for at in id..id + 36 {
            let mut bad = good.clone();
            bad[at] = match bad[at] {
                b'-' => continue,
                b'0' => b'1',
                _ => b'0',
            };
            fs::write(&path, bad).unwrap();
            let refused = EmbeddedBroker::open(directory.path());
            let Err(OpenError::Damaged(what)) = refused else {
                panic!("byte {at}: {refused:?}");
            };
            assert!(what.contains("FORMAT"), "byte {at}: {what}");
        }
        fs::write(&path, good).unwrap();
        EmbeddedBroker::open(directory.path()).unwrap();
    }

    #[test]
    fn a_store_without_its_data_is_not_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        EmbeddedBroker::open(directory.path()).unwrap();
        fs::remove_dir_all(directory.path().join("data")).unwrap();
        let refused = EmbeddedBroker::open(directory.path());
        let Err(OpenError::Damaged(what)) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(what, "data is missing");
    }
}
