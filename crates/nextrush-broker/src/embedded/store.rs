//! The files of a store: what is read from their keyspaces and written to them.

use std::any::Any;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use fjall::{Database, OwnedWriteBatch, PersistMode, Readable, Snapshot};
use parking_lot::Mutex;

use super::cached::Found;
use super::census::{self, Census, Differs, State};
use super::change::Change;
use super::eraser::Files;
use super::error::{Contradiction, Failure, OpenError};
use super::extent::Extent;
use super::journal::Mark;
use super::log;
use super::migration::{self, Named};
use super::moved::Moved;
use super::record::{self, Answer, AnswerKey, Run, TopicRecord};
use super::usage::{self, Recount, RunKey, Shares, Usage};
use crate::deletion::Deletion;
use crate::error::BrokerError;
use crate::position::Epoch;
use crate::topic_name::TopicName;

/// The key in `state` whose value ends with the number of the newest group.
pub(super) const GROUP: &[u8] = b"group";
/// The key in `state` whose value ends with the number of the newest batch.
pub(super) const BATCH: &[u8] = b"batch";
/// The key in `state` of the epoch from which those of unborn topics are derived.
pub(super) const UNBORN: &[u8] = b"unborn";
/// The key in `state` of the number of the next new topic.
const NEXT_TOPIC: &[u8] = b"next-topic";
/// The key in `state` that is there while deleted messages are in the files.
const TO_ERASE: &[u8] = b"to-erase";

/// The open files of a store.
///
/// Each group is first one value in the log. Later its remembered publications are moved to
/// the tables, topic by topic, when more of each topic are there and some have expired
/// already. The log is short; opening the store moves all of it.
pub(super) struct Store {
    pub(super) db: Database,
    /// Groups by their numbers.
    pub(super) log: fjall::Keyspace,
    pub(super) named: Named,
    /// Runs of publications, by the topic's number and the first offset.
    pub(super) runs: fjall::Keyspace,
    pub(super) state: fjall::Keyspace,
    /// For what fills journals.
    pub(super) filler: fjall::Keyspace,
    pub(super) mark: Mark,
    pub(super) directory: PathBuf,
    /// The number of the newest batch. One thread writes.
    pub(super) batch: AtomicU64,
    pub(super) known: Mutex<Known>,
}

/// The contents of the files beside fjall's.
pub(super) struct Known {
    pub(super) extent: Extent,
    /// `None` until it is written for the first time.
    pub(super) census: Option<Census>,
    /// The state of an open store: keyspaces may be on their way out.
    pub(super) state: State,
}

impl Store {
    /// Reads a topic from the tables.
    pub(super) fn load(&self, topic: &TopicName) -> Result<Option<Found>, BrokerError> {
        self.read(topic).map_err(|error| match error {
            BrokerError::Damaged(cause) => {
                Contradiction(format!("the topic {topic} cannot be read: {cause}")).into()
            }
            error => error,
        })
    }

    fn read(&self, topic: &TopicName) -> Result<Option<Found>, BrokerError> {
        // From one snapshot, as the writer may be changing the topic.
        self.read_at(&self.db.snapshot(), topic)
    }

    /// Reads a topic from the tables as of a moment.
    pub(super) fn read_at(
        &self,
        snapshot: &Snapshot,
        topic: &TopicName,
    ) -> Result<Option<Found>, BrokerError> {
        let Some(bytes) = snapshot.get(&self.named.topics, topic.as_str())? else {
            return Ok(None);
        };
        let record = TopicRecord::from_bytes(&bytes)?;
        let range = record::run_key(record.id, 0)..=record::run_key(record.id, record.top);
        let mut runs = VecDeque::new();
        let mut publications = Vec::new();
        for pair in snapshot.range(&self.runs, range) {
            let (key, value) = pair.into_inner()?;
            let first = record::first_of(&key).unwrap_or_default();
            let run = record::run_from_bytes(first, &value)?;
            publications.extend(run.into_iter().filter(|kept| kept.offset >= record.first));
            runs.push_back(first);
        }
        let offsets = publications.iter().map(|kept| kept.offset);
        if !offsets.eq(record.first..=record.top) {
            let what = "publications are missing";
            return Err(Contradiction(what.to_owned()).into());
        }
        Ok(Some(Found {
            record,
            runs,
            publications,
        }))
    }

    /// Reads an answer from the tables, even if it has ended.
    pub(super) fn answer(&self, key: &AnswerKey) -> Result<Option<Answer>, BrokerError> {
        let found = self.named.answers.get(key.in_tables())?;
        Ok(found.map(|bytes| Answer::from_bytes(&bytes)).transpose()?)
    }

    /// The topics in the tables whose names come after `after`, with the bytes of their
    /// records, in the order of their names.
    pub(super) fn topics(
        &self,
        after: Option<&TopicName>,
    ) -> impl Iterator<Item = Result<(TopicName, fjall::UserValue), BrokerError>> + use<> {
        let from = match after {
            Some(after) => Bound::Excluded(after.as_str().to_owned()),
            None => Bound::Unbounded,
        };
        self.named
            .topics
            .range((from, Bound::Unbounded))
            .map(|pair| {
                let (name, record) = pair.into_inner()?;
                Ok((migration::topic(&name)?, record))
            })
    }

    /// The number of the newest group; 0 before the first.
    pub(super) fn group(&self) -> Result<u64, BrokerError> {
        number(self.state.get(GROUP)?, |value| self.mark.group(value))
    }

    /// Sets the number of the next new topic of a store that is being filled.
    pub(super) fn set_next_topic(&self, next: u64) -> Result<(), fjall::Error> {
        let mut batch = self.db.batch();
        batch.insert(&self.state, NEXT_TOPIC, next.to_be_bytes());
        self.force(batch)
    }

    /// The number of the next new topic.
    pub(super) fn next_topic(&self) -> Result<u64, BrokerError> {
        match self.state.get(NEXT_TOPIC)? {
            None => Ok(1),
            Some(value) => {
                let bytes = <[u8; 8]>::try_from(&*value);
                bytes.map(u64::from_be_bytes).map_err(|_| {
                    Contradiction("the number of the next topic cannot be read".to_owned()).into()
                })
            }
        }
    }

    /// The epoch from which those of unborn topics are derived; a new one in a new store.
    pub(super) fn unborn(&self, now_ms: u64) -> Result<Epoch, BrokerError> {
        if let Some(value) = self.state.get(UNBORN)? {
            return Epoch::from_bytes(&value).ok_or_else(|| {
                Contradiction("the epoch of unborn topics cannot be read".to_owned()).into()
            });
        }
        let epoch = Epoch::begin(now_ms);
        let mut batch = self.db.batch();
        batch.insert(&self.state, UNBORN, epoch.as_bytes());
        self.force(batch)?;
        Ok(epoch)
    }

    /// Writes a group to the log and forces it to the disk. `next_topic` is the number of the
    /// next new topic.
    pub(super) fn commit(
        &self,
        group: u64,
        entries: log::Encoder,
        next_topic: u64,
    ) -> Result<(), Failure> {
        let mut batch = self.db.batch();
        batch.insert(&self.log, group.to_be_bytes(), entries.finish());
        batch.insert(&self.state, NEXT_TOPIC, next_topic.to_be_bytes());
        batch.insert(&self.state, GROUP, self.mark.of_group(group));
        Ok(self.force(batch)?)
    }

    /// Writes a batch with nothing in it but its number, and forces it to the disk.
    pub(super) fn write_batch(&self) -> Result<(), fjall::Error> {
        self.force(self.db.batch())
    }

    /// Writes a batch and forces it, and all before, to the disk.
    fn force(&self, batch: OwnedWriteBatch) -> Result<(), fjall::Error> {
        let number = self.write(batch.durability(Some(PersistMode::SyncData)))?;
        // It is true without this as well, and says less.
        let _ = self.known.lock().extent.write(number);
        Ok(())
    }

    /// Writes a batch with its number, which is returned.
    pub(super) fn write(&self, mut batch: OwnedWriteBatch) -> Result<u64, fjall::Error> {
        let number = self.batch.load(Ordering::Relaxed) + 1;
        batch.insert(&self.state, BATCH, self.mark.of_batch(number));
        batch.commit()?;
        self.batch.store(number, Ordering::Relaxed);
        Ok(number)
    }

    /// Notices what fjall has done in the background: notes new journals and tables, and fails
    /// if fjall can write no more. To be called
    /// often: until then a crash leaves a list of files that is older than they are.
    pub(super) fn watch(&self) -> Result<(), Failure> {
        self.db.persist(PersistMode::Buffer)?;
        let differs = match &self.known.lock().census {
            // fjall may be removing what is being read; the next look tells more.
            Some(census) => census.differs(&self.directory).unwrap_or(Differs::Nothing),
            None => Differs::Other,
        };
        let before = match (differs, &self.known.lock().census) {
            (Differs::Nothing, _) => return Ok(()),
            (Differs::Other, Some(census)) => census.newest_journal(),
            _ => census::newest_journal(&self.directory),
        };
        if differs == Differs::NewJournal {
            // It must have a batch that nothing acknowledged is behind.
            self.write_batch()?;
        }
        // A list that cannot be written now, as fjall is at work or the disk is full, is
        // written later. Until then the old one allows more.
        let _ = self.list_files(before);
        Ok(())
    }

    /// Writes the list of the files as they are, while fjall works on them. A journal that is
    /// newer than `newest` has no batch yet: nothing is listed then.
    pub(super) fn list_files(&self, newest: Option<u64>) -> Result<(), OpenError> {
        let mut known = self.known.lock();
        let journals = census::journals(&self.directory)?;
        if journals.last().copied() > newest {
            return Ok(());
        }
        let census = Census::take(
            &self.directory,
            known.state,
            known.extent.batch(),
            journals.into_iter().map(|id| (id, None)),
            None,
        )?;
        census.write(&self.directory)?;
        known.extent.sync()?;
        known.census = Some(census);
        Ok(())
    }

    /// Closes the store, and lists its files so that the next opening knows each of them.
    pub(super) fn close(self) -> Result<(), OpenError> {
        // fjall may have begun a journal since the last one.
        self.write_batch()?;
        self.db.persist(PersistMode::SyncAll)?;
        let batch = self.batch.load(Ordering::Relaxed);
        let Self {
            db,
            log,
            named,
            runs,
            state,
            filler,
            mark,
            directory,
            known,
            ..
        } = self;
        drop((log, named, runs, state, filler, db));
        let Known { mut extent, .. } = known.into_inner();
        let journals = census::read_journals(&directory, mark)?;
        let prints = journals
            .iter()
            .map(|journal| (journal.id, Some(journal.print)));
        Census::take(&directory, State::Closed, batch, prints, None)?.write(&directory)?;
        extent.write(batch)?;
        Ok(extent.sync()?)
    }

    /// A change of the tables. It reaches the disk with the next group; if a crash loses it,
    /// the log still has its contents. Each key may be in it once.
    pub(super) fn change(&self) -> Change<'_> {
        Change {
            store: self,
            batch: self.db.batch(),
        }
    }

    /// Moves the log, left by the last process, to the tables.
    pub(super) fn move_log(&self) -> Result<(), BrokerError> {
        let mut change = self.change();
        let mut topics = BTreeMap::new();
        let mut answers = HashMap::new();
        let mut next = None;
        for pair in self.log.iter() {
            let (key, value) = pair.into_inner()?;
            let number = <[u8; 8]>::try_from(&*key).map_or(0, u64::from_be_bytes);
            if next.is_some_and(|next| next != number) {
                return Err(Contradiction("a group of the log is missing".to_owned()).into());
            }
            next = Some(number + 1);
            change.forget_group(number);
            for entry in log::entries(&value)? {
                match entry? {
                    log::Entry::Publication {
                        topic,
                        record,
                        owner,
                        data,
                    } => {
                        if !topics.contains_key(topic) {
                            let before = self.record(topic)?;
                            topics.insert(topic.to_owned(), Moved::new(before));
                        }
                        if let Some(moved) = topics.get_mut(topic) {
                            moved.add(record, owner, data);
                        }
                    }
                    log::Entry::Answer { key, ends_ms, data } => {
                        let data = bytes::Bytes::copy_from_slice(data);
                        let answer = Answer { ends_ms, data };
                        answers.insert(AnswerKey::from_bytes(key), answer);
                    }
                }
            }
        }
        if next.is_some_and(|next| self.group().is_ok_and(|group| group + 1 != next)) {
            return Err(Contradiction("the last group of the log is missing".to_owned()).into());
        }
        for (topic, moved) in topics {
            if let Some((record, runs)) = moved.into_record_and_runs()? {
                change.set_topic(&topic, record);
                runs.into_iter()
                    .for_each(|run| change.add_run(record.id, run));
            }
        }
        for (key, answer) in answers {
            change.add_answer(&key, &answer);
        }
        Ok(change.commit()?)
    }

    /// Deletes publications of a topic in the tables, expired ones as well, and forces that to
    /// the disk. Returns the offsets.
    pub(super) fn delete(
        &self,
        topic: &TopicName,
        which: &Deletion,
    ) -> Result<Deleted, BrokerError> {
        let mut deleted = Deleted::default();
        let Some(record) = self.record(topic.as_str())? else {
            return Ok(deleted);
        };
        let mut batch = self.db.batch();
        let offsets = &mut deleted.offsets;
        let range = record::run_key(record.id, 0)..=record::run_key(record.id, record.top);
        for pair in self.runs.range(range) {
            let (key, value) = pair.into_inner()?;
            let first = record::first_of(&key).unwrap_or_default();
            let before = offsets.len();
            let mut run = Run::new(first);
            let mut shares = Shares::new();
            for publication in record::run_from_bytes(first, &value)? {
                usage::add_to(&mut shares, &publication);
                if which.covers(&publication) {
                    offsets.push(publication.offset);
                    run.push(&publication.deleted());
                } else {
                    run.push(&publication);
                }
            }
            if offsets.len() > before {
                let key = record::run_key(record.id, first);
                deleted.changed.push((key, shares, run.shares().clone()));
                batch.insert(&self.runs, key, run.into_value());
            }
        }
        if !offsets.is_empty() || !self.is_to_erase()? {
            batch.insert(&self.state, TO_ERASE, []);
            self.force(batch)?;
        }
        Ok(deleted)
    }

    /// The bytes of each owner in a run.
    pub(super) fn shares(&self, topic: u64, first: u64) -> Result<Shares, BrokerError> {
        let value = self.runs.get(record::run_key(topic, first))?;
        value.map_or(Ok(Shares::new()), |value| shares_of(first, &value))
    }

    /// Counts the runs after the last one that was counted, of about so many bytes together.
    pub(super) fn count(&self, usage: &mut Usage, mut bytes: usize) -> Result<(), BrokerError> {
        let from = usage.reached().map_or(Bound::Unbounded, Bound::Excluded);
        for pair in self.runs.range((from, Bound::Unbounded)) {
            if bytes == 0 {
                return Ok(());
            }
            let (key, value) = pair.into_inner()?;
            bytes = bytes.saturating_sub(value.len() + 256);
            let Ok(key) = RunKey::try_from(&*key) else {
                continue;
            };
            let first = record::first_of(&key).unwrap_or_default();
            // What cannot be read is reported to who reads it.
            usage.count(key, shares_of(first, &value).unwrap_or_default());
        }
        usage.complete();
        Ok(())
    }

    /// The size of all files.
    pub(super) fn disk_space(&self) -> Result<u64, BrokerError> {
        Ok(self.db.disk_space()?)
    }

    /// Returns `true` if deleted messages are in the files.
    pub(super) fn is_to_erase(&self) -> Result<bool, BrokerError> {
        Ok(self.state.contains_key(TO_ERASE)?)
    }

    /// Notes that no deleted message is in the files any more.
    ///
    /// The note is a batch, the first one of a journal that was begun meanwhile.
    pub(super) fn note_erased(&self) -> Result<(), fjall::Error> {
        let mut batch = self.db.batch();
        batch.remove(&self.state, TO_ERASE);
        self.force(batch)
    }

    /// The files, to be rewritten.
    pub(super) fn files(&self) -> Files {
        let Named { topics, answers } = &self.named;
        let all = [&self.log, topics, answers, &self.runs, &self.state];
        let merged = [&self.log, &self.runs, &self.filler];
        Files::new(
            self.db.clone(),
            self.filler.clone(),
            all.map(Clone::clone).into(),
            merged.map(Clone::clone).into(),
        )
    }

    fn record(&self, topic: &str) -> Result<Option<TopicRecord>, BrokerError> {
        let found = self.named.topics.get(topic)?;
        Ok(found
            .map(|bytes| TopicRecord::from_bytes(&bytes))
            .transpose()?)
    }
}

/// The outcome of a deletion in a topic.
#[derive(Default)]
pub(super) struct Deleted {
    pub(super) offsets: Vec<u64>,
    /// The runs that were changed, with their shares before and after.
    pub(super) changed: Vec<Recount>,
}

fn shares_of(first: u64, value: &[u8]) -> Result<Shares, BrokerError> {
    let mut shares = Shares::new();
    for publication in record::run_from_bytes(first, value)? {
        usage::add_to(&mut shares, &publication);
    }
    Ok(shares)
}

/// The number in a value of `state`; 0 if there is none.
pub(super) fn number(
    value: Option<fjall::UserValue>,
    read: impl FnOnce(&[u8]) -> Option<u64>,
) -> Result<u64, BrokerError> {
    match value {
        None => Ok(0),
        Some(value) => read(&value).ok_or_else(|| {
            Contradiction("the number of the newest group or batch cannot be read".to_owned())
                .into()
        }),
    }
}

/// Runs what reads the files. fjall panics at some kinds of damage, which is an error here.
pub(super) fn guarded<R, E: From<Contradiction>>(
    act: impl FnOnce() -> Result<R, E>,
) -> Result<R, E> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|panic| Err(panicked(&*panic).into()))
}

/// The damage at which fjall panicked.
fn panicked(panic: &(dyn Any + Send)) -> Contradiction {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let reason = text.unwrap_or("the reason has been printed");
    Contradiction(format!("its files cannot be read: {reason}"))
}
