//! The broker itself, which opens the store and hands requests to the writer.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::RwLock;
use tokio::sync::{Semaphore, oneshot, watch};

use super::cached::Cached;
use super::damage::Verify;
use super::error::{OpenError, closed};
use super::filling::back_up;
use super::limit::Limit;
use super::migration::Migration;
use super::options::EmbeddedOptions;
use super::recent::Recent;
use super::record::AnswerKey;
use super::request::{Delete, Request, Task};
use super::shared::{Shared, unreachable_unloaded};
use super::store::Store;
use super::unborn::Unborn;
use super::writer::Writer;
use crate::answer::CommandKey;
use crate::backup::Backup;
use crate::broker::{Broker, Sink, StoreSize};
use crate::claim::{Attempt, Claim, Claimed};
use crate::clock::{Clock, SystemClock};
use crate::deletion::Deletion;
use crate::error::BrokerError;
use crate::history::{History, HistoryQuery};
use crate::leases::{Leases, answer_of, begun, held_for, kept};
use crate::publication::{Publish, Published};
use crate::table::{Shed, Table, TableLimits};
use crate::topic_name::TopicName;

/// The broker of a single process that keeps topics on disk: everything acknowledged survives
/// a restart, `kill -9` and a power failure.
///
/// The store is a directory that one process at a time may use. After a restart topics have
/// their epochs, offsets and histories, and commands their answers.
///
/// # Publishing
///
/// One thread writes. It takes all waiting publications, writes them as one group, forces the
/// group to the disk (`fdatasync`), and only then delivers them to the sinks and resolves the
/// publishers' futures. Meanwhile the next group gathers: a lone publication waits for one
/// disk write, under load many share one. No publication is visible before it is on disk.
///
/// A topic without publications takes no space. The epochs of all such topics are derived
/// from one epoch in the store, so they are the same after a restart. That epoch is replaced
/// whenever a topic is forgotten, so that the topic's next life has a new one.
///
/// A group is one record in a log of a few megabytes. Later its publications are moved to
/// tables, topic by topic and together with those of later groups, a bounded piece at a time,
/// so that publishing never waits for it. Expired publications are removed in the same way.
///
/// # Memory
///
/// The histories of topics in use are also kept in memory, up to
/// [`EmbeddedOptions::cache_bytes`]; others are read from the disk when they are needed.
/// Beside that the store needs up to about 200 MiB for its log, tables and caches, and 2
/// bytes for each remembered answer and key.
///
/// # Deleting
///
/// A deletion is on the disk before it resolves, and nobody is given the message from then on.
/// Its bytes leave the files later, when they are rewritten: 10 s after the last deletion, 60 s at
/// most, and when the broker is dropped; after a crash as soon as the store is open again. That
/// writes 66 MiB, which are in memory meanwhile, and merges all histories, 100 MB of them in about a
/// second, on a thread of its own.
///
/// # The size of the files
///
/// [`EmbeddedOptions::store_bytes`] bounds them. Of the topics that are shed epochs and positions
/// stay, so nobody recovers by mistake.
///
/// # Backups
///
/// [`back_up`](Broker::back_up) writes the store as it is at one moment to another directory, which
/// is a store too. Publishing waits only until the log is in the tables, a few milliseconds; the rest
/// is read beside it. The copy has nothing of what was deleted, and its topics have new epochs: where it
/// takes the place of the store, it gives offsets out again, and readers have to be told. If the disk fails meanwhile or the
/// broker is dropped, the backup fails and leaves nothing.
///
/// [`StoppedStore`](crate::StoppedStore) looks into the store of a broker that is not running, and
/// [`StoreImport`](crate::StoreImport) makes one from an export.
///
/// # Errors of the disk
///
/// On a full or failing disk publishing fails, with [`BrokerError::Full`] or
/// [`BrokerError::Unavailable`], and reading goes on. At most once a second a publication
/// tries whether the disk can be written to again. If a publication failed and still reached
/// the disk, it is delivered then.
///
/// Damaged files are never served: [`open`](Self::open) refuses the store, or reading the
/// topic fails with [`BrokerError::Damaged`]. A broker that finds damage while it writes, or
/// whose writer has panicked, has [`failed`](Broker::failed).
///
/// # Runtime
///
/// The futures must be polled in a tokio runtime, whose threads for blocking work read the
/// disk. The writer has its own thread; dropping the broker waits until everything under way
/// is written.
pub struct EmbeddedBroker {
    shared: Arc<Shared>,
    leases: Leases,
    /// `None` once the broker is being dropped, which ends the writer.
    queue: Option<mpsc::Sender<Request>>,
    writer: Option<JoinHandle<()>>,
}

/// The options, clock and migration with which an [`EmbeddedBroker`] opens its store.
#[must_use = "a builder does nothing before it opens the store"]
pub struct EmbeddedBuilder {
    directory: PathBuf,
    options: EmbeddedOptions,
    clock: Arc<dyn Clock>,
    migration: Option<Box<dyn Migration>>,
}

impl EmbeddedBuilder {
    /// Sets sizes and times.
    pub fn options(self, options: EmbeddedOptions) -> Self {
        Self { options, ..self }
    }

    /// Replaces the system's clock.
    pub fn clock(self, clock: impl Clock) -> Self {
        let clock = Arc::new(clock);
        Self { clock, ..self }
    }

    /// Renames the topics of a store of an older format, once.
    ///
    /// Without effect on a store of the current format.
    pub fn migration(self, migration: impl Migration) -> Self {
        let migration: Option<Box<dyn Migration>> = Some(Box::new(migration));
        Self { migration, ..self }
    }

    /// Opens the store, or makes one in an empty directory.
    ///
    /// This moves the log to the tables and may take seconds after a crash, or with a
    /// migration: do it before serving.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if another process uses the store, if it is damaged or of another
    /// format, if the directory holds something else, or if the disk fails.
    pub fn open(mut self) -> Result<EmbeddedBroker, OpenError> {
        let migration = self.migration.take();
        let migration = migration.as_deref();
        let store = Store::open(&self.directory, &self.clock, migration, Verify::New)?;
        EmbeddedBroker::new(store, self)
    }
}

impl fmt::Debug for EmbeddedBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedBuilder")
            .field("directory", &self.directory)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// The time for which an unused topic stays in memory.
const CACHED: Duration = Duration::from_secs(60 * 60);

/// The approximate cost of a request in the queue beside its bytes.
const REQUEST_OVERHEAD: usize = 256;

impl EmbeddedBroker {
    /// Opens the store in `directory`, or makes one there, with the default options and the
    /// system's clock.
    ///
    /// # Errors
    ///
    /// The same as of [`EmbeddedBuilder::open`]. A store of an older format is refused, as
    /// there is no migration.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::builder(directory).open()
    }

    /// A builder with other options, another clock or a migration.
    ///
    /// ```
    /// use nextrush_broker::{EmbeddedBroker, EmbeddedOptions, OpenError};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// let broker = EmbeddedBroker::builder(&directory)
    ///     .options(EmbeddedOptions::default().cache_bytes(8 << 20))
    ///     .open()?;
    /// assert_eq!(broker.directory(), directory.path());
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(directory: impl AsRef<Path>) -> EmbeddedBuilder {
        EmbeddedBuilder {
            directory: directory.as_ref().to_owned(),
            options: EmbeddedOptions::default(),
            clock: Arc::new(SystemClock),
            migration: None,
        }
    }

    fn new(store: Store, builder: EmbeddedBuilder) -> Result<Self, OpenError> {
        let EmbeddedBuilder {
            directory,
            options,
            clock,
            ..
        } = builder;
        let unborn = Unborn::new(store.unborn(clock.steady_ms())?);
        let limit = Limit::new(options.store_bytes, &directory, store.disk_space()?);
        let shared = Arc::new(Shared {
            topics: Table::new(
                TableLimits {
                    topics: options.cached_topics,
                    bytes: options.cache_bytes,
                    idle: CACHED,
                    shed: Shed::LongestUnused,
                },
                Box::new(Arc::clone(&clock)),
            ),
            clock,
            recent: Recent::default(),
            limit,
            unborn,
            sinks: RwLock::new(Arc::new([])),
            space: Arc::new(Semaphore::new(
                options.queue_bytes.min(Semaphore::MAX_PERMITS),
            )),
            store: RwLock::new(Some(store)),
            closings: AtomicU64::new(0),
            backup: Arc::default(),
            failed: watch::Sender::new(None),
            directory,
            options,
        });
        let (queue, requests) = mpsc::channel();
        let writer = Writer::new(Arc::clone(&shared), requests)?;
        let alarm = Alarm(Arc::clone(&shared));
        let writer = thread::Builder::new()
            .name("nextrush-store".to_owned())
            .spawn(move || {
                let _alarm = alarm;
                writer.run();
            })?;
        Ok(Self {
            shared,
            leases: Leases::default(),
            queue: Some(queue),
            writer: Some(writer),
        })
    }

    /// The directory of the store.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.shared.directory
    }

    /// The bytes of histories in memory.
    #[must_use]
    pub fn cached_bytes(&self) -> usize {
        self.shared.topics.bytes()
    }

    /// Ends the writer's thread by a panic; for tests.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub async fn end_writer(&self) {
        // There is nobody left to answer.
        let _ = self.ask(0, |reply| Task::Panic { reply }).await;
    }

    /// Sends a request to the writer and waits for its reply.
    async fn ask<T>(
        &self,
        bytes: usize,
        request: impl FnOnce(oneshot::Sender<Result<T, BrokerError>>) -> Task,
    ) -> Result<T, BrokerError> {
        let space = (bytes + REQUEST_OVERHEAD).min(self.shared.options.queue_bytes);
        let space = u32::try_from(space).unwrap_or(u32::MAX);
        let space = Arc::clone(&self.shared.space).acquire_many_owned(space);
        let space = space.await.map_err(|_| closed())?;
        let (reply, answer) = oneshot::channel();
        let request = Request {
            task: request(reply),
            space,
        };
        self.queue
            .as_ref()
            .ok_or_else(closed)?
            .send(request)
            .map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

/// Tells the broker when the writer's thread ends by a panic.
struct Alarm(Arc<Shared>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.fail("the store's writer");
        }
    }
}

impl EmbeddedBroker {
    /// Writes a claim down, so that it is known after a restart that the command may have been
    /// executed.
    async fn begin(&self, claimed: Claimed) -> Result<Claim, BrokerError> {
        let attempt = &claimed.attempt;
        let begun = begun(attempt.fingerprint);
        match self.remember(&attempt.key, begun, held_for(attempt)).await {
            Ok(_) => Ok(Claim::Mine(claimed)),
            Err(error) => {
                self.leases.release(&claimed);
                Err(error)
            }
        }
    }

    /// Remembers the answer to a command, or that it was begun; what is in force.
    async fn remember(
        &self,
        key: &CommandKey,
        answer: Bytes,
        window: Duration,
    ) -> Result<Bytes, BrokerError> {
        let key = AnswerKey::of_command(key);
        self.ask(answer.len(), |reply| Task::Remember {
            key,
            answer,
            window,
            reply,
        })
        .await
    }

    /// The answer to a command, as it is kept.
    async fn recall(&self, key: &CommandKey) -> Result<Option<Bytes>, BrokerError> {
        let key = AnswerKey::of_command(key);
        let now_ms = self.shared.topics.now_ms();
        if let Some(answer) = self.shared.recent.get(&key)
            && answer.ends_ms > now_ms
        {
            return Ok(Some(answer.data));
        }
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            let now_ms = shared.topics.now_ms();
            shared.with_store(|store| shared.answer_in(store, &key, now_ms))
        })
        .await
    }
}

/// Runs work that may wait for the disk on a thread for blocking work.
async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, BrokerError> + Send + 'static,
) -> Result<R, BrokerError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down.
            Err(error) => Err(BrokerError::Unavailable(error.into())),
        },
    }
}

impl Broker for EmbeddedBroker {
    fn attach(&self, sink: Arc<dyn Sink>) {
        let mut sinks = self.shared.sinks.write();
        *sinks = sinks.iter().cloned().chain([sink]).collect();
    }

    fn publish(
        &self,
        topic: &TopicName,
        publish: Publish,
    ) -> BoxFuture<'_, Result<Published, BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            self.ask(publish.data.len(), |reply| Task::Publish {
                topic,
                publish,
                reply,
            })
            .await
        })
    }

    fn history(
        &self,
        topic: &TopicName,
        query: HistoryQuery,
    ) -> BoxFuture<'_, Result<History, BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            let read = move |cached: &mut Cached, now| cached.read(query, now);
            if let Some(Some(history)) = self.shared.topics.try_enter(&topic, read) {
                return Ok(history);
            }
            let shared = Arc::clone(&self.shared);
            blocking(move || {
                shared
                    .enter_loaded(&topic, read)?
                    .ok_or_else(|| unreachable_unloaded(&topic))
            })
            .await
        })
    }

    fn store_size(&self) -> Option<StoreSize> {
        Some(self.shared.limit.size())
    }

    fn topics(
        &self,
        after: Option<&TopicName>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<TopicName>, BrokerError>> {
        let after = after.cloned();
        let shared = Arc::clone(&self.shared);
        Box::pin(blocking(move || {
            let after = after.as_ref();
            // In this order, as a topic is written to the tables before it leaves the memory.
            let mut found = shared.topics.topics(after, limit, Cached::has_begun);
            shared.with_store(|store| {
                for topic in store.topics(after).take(limit) {
                    found.insert(topic?.0);
                }
                Ok(())
            })?;
            Ok(found.into_iter().take(limit).collect())
        }))
    }

    fn failed(&self) -> BoxFuture<'_, &'static str> {
        let mut failed = self.shared.failed.subscribe();
        Box::pin(async move {
            let failed = failed.wait_for(Option::is_some).await;
            match failed.ok().and_then(|part| *part) {
                Some(part) => part,
                // The broker is borrowed, and has the sender.
                None => std::future::pending().await,
            }
        })
    }

    fn subscribe(&self, topic: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            if self
                .shared
                .topics
                .try_enter(&topic, Cached::subscribe)
                .is_none()
            {
                let shared = Arc::clone(&self.shared);
                blocking(move || {
                    shared.topics.enter(&topic, Cached::subscribe);
                    Ok(())
                })
                .await?;
            }
            Ok(())
        })
    }

    fn unsubscribe(&self, topic: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            if self
                .shared
                .topics
                .try_enter(&topic, Cached::unsubscribe)
                .is_none()
            {
                let shared = Arc::clone(&self.shared);
                blocking(move || {
                    shared.topics.enter_existing(&topic, Cached::unsubscribe);
                    Ok(())
                })
                .await?;
            }
            Ok(())
        })
    }

    fn claim(&self, attempt: Attempt) -> BoxFuture<'_, Result<Claim, BrokerError>> {
        Box::pin(async move {
            let claim = self
                .leases
                .claim(attempt.clone(), self.shared.topics.now_ms());
            match self.recall(&attempt.key).await {
                Ok(Some(answer)) => self.leases.found(claim, &attempt, &answer),
                Ok(None) => match claim? {
                    Claim::Mine(claimed) if attempt.is_at_most_once => self.begin(claimed).await,
                    claim => Ok(claim),
                },
                Err(error) => {
                    if let Ok(Claim::Mine(claimed)) = &claim {
                        self.leases.release(claimed);
                    }
                    Err(error)
                }
            }
        })
    }

    fn answer(&self, claimed: Claimed, answer: Bytes) -> BoxFuture<'_, Result<Bytes, BrokerError>> {
        Box::pin(async move {
            let answer = kept(claimed.attempt.fingerprint, &answer);
            let kept = self
                .remember(&claimed.attempt.key, answer, claimed.attempt.window)
                .await?;
            self.leases.release(&claimed);
            Ok(answer_of(&kept))
        })
    }

    fn delete(
        &self,
        topic: &TopicName,
        which: Deletion,
    ) -> BoxFuture<'_, Result<usize, BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            // The topic is read first, so that the writer need not wait for the disk.
            let shared = Arc::clone(&self.shared);
            let read = topic.clone();
            blocking(move || shared.enter_loaded(&read, |_, _| ())).await?;
            self.ask(0, |reply| {
                Task::Delete(Delete {
                    topic,
                    which,
                    reply,
                })
            })
            .await
        })
    }

    fn back_up(&self, into: &Path) -> BoxFuture<'_, Result<Backup, BrokerError>> {
        let into = into.to_owned();
        Box::pin(async move {
            let alone = Arc::clone(&self.shared.backup).try_lock_owned();
            let alone = alone
                .map_err(|_| BrokerError::Unavailable("another backup is under way".into()))?;
            let closings = self.shared.closings.load(Ordering::Relaxed);
            let snapshot = self.ask(0, |reply| Task::Snapshot { reply }).await?;
            let shared = Arc::clone(&self.shared);
            // It goes on if nobody waits for it any more.
            blocking(move || {
                let _alone = alone;
                shared.with_store(|store| back_up(store, &snapshot, &shared, closings, &into))
            })
            .await
        })
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        drop(self.queue.take());
        let Some(writer) = self.writer.take() else {
            return;
        };
        // Its panic has been reported.
        let has_ended_well = writer.join().is_ok();
        // Ends a backup that is under way.
        self.shared.closings.fetch_add(1, Ordering::Relaxed);
        let store = self.shared.store.write().take();
        // fjall panics if one of its threads did. A store that is not closed as it should be
        // recovers as after a crash.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            store.filter(|_| has_ended_well).map(Store::close)
        }));
    }
}

impl fmt::Debug for EmbeddedBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedBroker")
            .field("directory", &self.shared.directory)
            .field("cached_bytes", &self.cached_bytes())
            .finish_non_exhaustive()
    }
}
