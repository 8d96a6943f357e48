//! Erasing what was deleted from the files.
//!
//! The tables and journals of an LSM tree keep what was overwritten: a table until it is merged, a
//! journal until it is full and everything in it is in tables. So after a deletion the journal is
//! filled up, and the tables are merged.

use std::io;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fjall::{Database, Keyspace};

use super::limit::Limit;
use super::store::Store;

/// The time without a further deletion after which the files are rewritten.
const QUIET: Duration = Duration::from_secs(10);
/// The time after which they are rewritten whatever else is deleted.
const LATEST: Duration = Duration::from_secs(60);
/// The bytes after which fjall begins a new journal, and some more.
const JOURNAL_BYTES: usize = 66 << 20;
/// The size of a value that fills the journal.
const FILLER_BYTES: usize = 6 << 20;

/// The number of times that the old journal is looked for. Under load there are always some, of
/// which the old one is the first to go.
const JOURNAL_TRIES: usize = 20;
const JOURNAL_EVERY: Duration = Duration::from_millis(100);
/// The longest time that writing a table is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The work of rewriting the files, on a thread of its own.
#[derive(Default)]
pub(super) struct Eraser {
    /// The times of the first and the last deletion whose bytes are still in the files.
    deleted: Option<(Instant, Instant)>,
    running: Option<JoinHandle<bool>>,
    /// The size of the files after they were rewritten last.
    after: u64,
}

impl Eraser {
    /// Notes a deletion.
    pub(super) fn note(&mut self) {
        let now = Instant::now();
        let first = self.deleted.map_or(now, |(first, _)| first);
        self.deleted = Some((first, now));
    }

    /// Begins when it is time or when the files are too large, and notes the end.
    pub(super) fn tick(&mut self, store: &Store, limit: &Limit, files: u64) {
        if self.running.as_ref().is_some_and(JoinHandle::is_finished) {
            self.end(store);
            self.after = files;
        }
        let is_large = files
            > limit
                .to_rewrite()
                .max(self.after.saturating_add(limit.growth()));
        let is_due = |(first, last): (Instant, Instant)| {
            last.elapsed() >= QUIET || first.elapsed() >= LATEST
        };
        if self.running.is_none() && (is_large || self.deleted.is_some_and(is_due)) {
            self.deleted = None;
            let files = store.files();
            let thread = thread::Builder::new().name("nextrush-erase".to_owned());
            self.running = thread.spawn(move || files.rewrite().is_ok()).ok();
            if self.running.is_none() {
                self.note();
            }
        }
    }

    /// Waits for the thread, which keeps the files open.
    pub(super) fn wait(&mut self) {
        if let Some(running) = self.running.take()
            && !running.join().unwrap_or_default()
        {
            self.note();
        }
    }

    /// Erases what is left to erase, before the store is closed.
    pub(super) fn finish(&mut self, store: &Store) {
        self.end(store);
        // If the disk fails, the next process tries again.
        if self.deleted.take().is_some() && store.files().rewrite().is_ok() {
            let _ = store.note_erased();
        }
    }

    fn end(&mut self, store: &Store) {
        let has_run = self.running.is_some();
        self.wait();
        if has_run && self.deleted.is_none() {
            // Without the note the next process does it again.
            let _ = store.note_erased();
        }
    }
}

/// The open files of a store.
pub(super) struct Files {
    db: Database,
    /// A keyspace for what fills journals.
    filler: Keyspace,
    /// All others.
    keyspaces: Vec<Keyspace>,
    /// The keyspaces in which deleted messages are.
    merged: Vec<Keyspace>,
}

impl Files {
    pub(super) fn new(
        db: Database,
        filler: Keyspace,
        keyspaces: Vec<Keyspace>,
        merged: Vec<Keyspace>,
    ) -> Self {
        Self {
            db,
            filler,
            keyspaces,
            merged,
        }
    }

    /// Begins a new journal, and merges the tables.
    pub(super) fn rewrite(&self) -> Result<(), fjall::Error> {
        // Never cleared: fjall keeps a journal while a keyspace in it has no table as new.
        let zeros = vec![0; FILLER_BYTES];
        for _ in 0..JOURNAL_BYTES.div_ceil(FILLER_BYTES) {
            self.filler.insert("filler", &*zeros)?;
        }
        flush(&self.filler)?;
        for keyspace in &self.keyspaces {
            flush(keyspace)?;
        }
        // fjall removes a journal when a table is written, if everything in it is in tables.
        for _ in 0..JOURNAL_TRIES {
            self.renew_filler()?;
            if self.db.journal_count() == 1 {
                break;
            }
            thread::sleep(JOURNAL_EVERY);
        }
        for keyspace in &self.merged {
            keyspace.major_compact()?;
        }
        // And the tables that were merged.
        self.renew_filler()
    }

    fn renew_filler(&self) -> Result<(), fjall::Error> {
        self.filler.insert("filler", "")?;
        flush(&self.filler)
    }
}

/// Writes what a keyspace has in memory to a table.
fn flush(keyspace: &Keyspace) -> Result<(), fjall::Error> {
    keyspace.rotate_memtable()?;
    let begun = Instant::now();
    while keyspace.sealed_memtable_count() > 0 {
        // fjall's worker ends when the disk fails, and nobody tells those who wait for it.
        if begun.elapsed() > PATIENCE {
            return Err(io::Error::from(io::ErrorKind::TimedOut).into());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
