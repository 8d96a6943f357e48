//! The opening of a store, and the options of its keyspaces.

use std::fs;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use fjall::compaction::filter::{CompactionFilter, Context, Factory, ItemAccessor, Verdict};
use fjall::config::{BlockSizePolicy, PartitioningPolicy, PinningPolicy};
use fjall::{CompressionType, Database, KeyspaceCreateOptions, PersistMode};
use parking_lot::Mutex;

use super::census::{self, Census, State};
use super::damage::{self, Checked, Verify};
use super::error::OpenError;
use super::file;
use super::format::{self, Format};
use super::migration::{Migration, Named};
use super::record::Answer;
use super::store::{BATCH, GROUP, Known, Store, guarded, number};
use crate::clock::Clock;

/// The directory of fjall's files.
const DATA: &str = "data";
/// The cache of blocks, for all keyspaces together. Histories have a cache of their own.
const BLOCK_CACHE_BYTES: u64 = 8 << 20;
/// The data of each larger keyspace that is not in its tables yet.
const MEMTABLE_BYTES: u64 = 16 << 20;
const SMALL_MEMTABLE_BYTES: u64 = 4 << 20;
/// Several times the size of the log, so that most of it is removed before it would be
/// written to a table.
const LOG_MEMTABLE_BYTES: u64 = 32 << 20;
/// The least that fjall allows. It deletes journals whose data is in tables.
const JOURNAL_BYTES: u64 = 64 << 20;

impl Store {
    /// Opens or makes a store. If it has an older format, `migration` renames its topics
    /// first.
    pub(super) fn open(
        directory: &Path,
        clock: &Arc<dyn Clock>,
        migration: Option<&dyn Migration>,
        verify: Verify,
    ) -> Result<Self, OpenError> {
        fs::create_dir_all(directory)?;
        let data = directory.join(DATA);
        let format = match Format::read(directory, &data)? {
            Some(format) => format,
            None => Format::create(directory)?,
        };
        if format.needs_names() && migration.is_none() {
            return Err(OpenError::OlderFormat {
                directory: directory.to_owned(),
                found: format.version,
                current: format::CURRENT,
            });
        }
        let checked = guarded(|| damage::check(directory, format, verify))?;
        // Another process may have migrated the store before this one got the lock.
        if Format::read(directory, &data)? != Some(format) {
            drop(checked);
            return Self::open(directory, clock, migration, verify);
        }

        guarded(|| Self::open_checked(directory, format, clock, migration, checked)).map_err(
            |error| {
                let error = damage::locate(directory, error);
                damage::note(directory, &error);
                error
            },
        )
    }

    fn open_checked(
        directory: &Path,
        format: Format,
        clock: &Arc<dyn Clock>,
        migration: Option<&dyn Migration>,
        checked: Checked,
    ) -> Result<Self, OpenError> {
        let mut store = Self::open_files(directory, format, clock, checked)?;
        store.move_log()?;
        let census = &store.known.get_mut().census;
        let is_flushed = census.as_ref().map(|census| census.state) == Some(State::Flushed);
        if census.is_none() {
            // Before anything is acknowledged.
            store.list_files(census::newest_journal(directory))?;
        }
        // The newest journal always has a batch that nothing acknowledged is behind.
        store.write_batch()?;
        if is_flushed {
            store.list_files(census::newest_journal(directory))?;
        }
        if let Some(migration) = migration
            && format.needs_names()
        {
            store.migrate(directory, format, migration, clock.steady_ms())?;
            return Ok(store);
        }
        if format.version < format::CURRENT {
            format.make_current(directory)?;
        }
        Ok(store)
    }

    fn open_files(
        directory: &Path,
        format: Format,
        clock: &Arc<dyn Clock>,
        checked: Checked,
    ) -> Result<Self, OpenError> {
        let filter: Arc<dyn Factory> = Arc::new(EndedAnswers(AssertUnwindSafe(Arc::clone(clock))));
        let db = Database::builder(directory.join(DATA))
            .cache_size(BLOCK_CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .manual_journal_persist(true)
            // Compressing a group would delay all who wait for it.
            .journal_compression(CompressionType::None)
            .worker_threads(1)
            .with_compaction_filter_factories(Arc::new(move |keyspace| {
                let [_, answers] = Named::keyspaces(format::CURRENT);
                (keyspace == answers).then(|| Arc::clone(&filter))
            }))
            .open()?;
        if !format.needs_names() {
            // Left over from a crash at the end of a migration.
            for version in format::OLDEST..format::NAMES {
                Named::remove(&db, version)?;
            }
        }
        let log = || KeyspaceCreateOptions::default().max_memtable_size(LOG_MEMTABLE_BYTES);
        let log = db.keyspace("log", log)?;
        let named = Named::open(&db, format.version, small_options, answer_options)?;
        let runs = db.keyspace("runs", large_options)?;
        let state = db.keyspace("state", small_options)?;
        let filler = db.keyspace("filler", || {
            KeyspaceCreateOptions::default().max_memtable_size(LOG_MEMTABLE_BYTES)
        })?;
        let mark = format.mark();
        let batch = number(state.get(BATCH)?, |value| mark.batch(value))?;
        checked.compare(batch, number(state.get(GROUP)?, |value| mark.group(value))?)?;
        let Checked { extent, census, .. } = checked;
        let migrating = |census: &&Census| census.state == State::Migrating;
        let kept = census.as_ref().filter(migrating).map(|census| census.state);
        Ok(Self {
            db,
            log,
            named,
            runs,
            state,
            filler,
            mark,
            directory: directory.to_owned(),
            batch: AtomicU64::new(batch),
            known: Mutex::new(Known {
                extent,
                census,
                state: kept.unwrap_or(State::Open),
            }),
        })
    }

    /// Gives all topics and answers their new names. The log must be empty.
    fn migrate(
        &mut self,
        directory: &Path,
        format: Format,
        migration: &dyn Migration,
        now_ms: u64,
    ) -> Result<(), OpenError> {
        // Left over from an interrupted migration.
        Named::remove(&self.db, format::CURRENT)?;
        let named = Named::open(&self.db, format::CURRENT, small_options, answer_options)?;
        self.named
            .migrate(&named, format.version, migration, now_ms)?;
        self.db.persist(PersistMode::SyncAll)?;
        // fjall forces the contents of new keyspaces to the disk, but not their directories.
        file::sync_tree(&directory.join(DATA))?;
        self.known.get_mut().state = State::Migrating;
        self.write_batch()?;
        self.list_files(census::newest_journal(directory))?;
        // The moment of the migration: before it the store is unchanged.
        format.make_current(directory)?;
        self.named = named;
        Ok(Named::remove(&self.db, format.version)?)
    }
}

fn small_options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default().max_memtable_size(SMALL_MEMTABLE_BYTES)
}

fn large_options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(MEMTABLE_BYTES)
        .data_block_size_policy(BlockSizePolicy::all(8 << 10))
}

/// Most lookups are for missing keys, which the filters answer. Kept in memory, 2 bytes for
/// each answer, they need no reading.
fn answer_options() -> KeyspaceCreateOptions {
    large_options()
        .filter_block_pinning_policy(PinningPolicy::all(true))
        .filter_block_partitioning_policy(PartitioningPolicy::all(false))
        .index_block_pinning_policy(PinningPolicy::all(true))
        .index_block_partitioning_policy(PartitioningPolicy::all(false))
}

/// Removes answers that have ended when tables are merged.
struct EndedAnswers(AssertUnwindSafe<Arc<dyn Clock>>);

struct EndedAt(u64);

impl Factory for EndedAnswers {
    fn name(&self) -> &'static str {
        "ended answers"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        Box::new(EndedAt(self.0.steady_ms()))
    }
}

impl CompactionFilter for EndedAt {
    fn filter_item(
        &mut self,
        item: ItemAccessor<'_>,
        _: &Context,
    ) -> fjall::compaction::filter::CompactionFilterResult {
        // This may uncover an older answer with the same key, which has ended as well.
        Ok(if Answer::has_ended(&item.value()?, self.0) {
            Verdict::Destroy
        } else {
            Verdict::Keep
        })
    }
}
