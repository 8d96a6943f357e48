//! A new store that is filled from another one.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{BufMut as _, Bytes};
use fjall::Snapshot;

use super::damage::Verify;
use super::error::OpenError;
use super::file::{self, sync_names, sync_tree};
use super::record::{Answer, AnswerKey, Run, TopicRecord};
use super::shared::Shared;
use super::store::Store;
use crate::answer::Once;
use crate::backup::Backup;
use crate::clock::{Clock, whole_ms};
use crate::error::BrokerError;
use crate::exported::{ExportCounts, Exported, ExportedTopic};
use crate::leases::{begun, kept};
use crate::position::{self, Epoch, Position};
use crate::publication::VERSION_WINDOW;
use crate::topic_name::TopicName;

/// A store that is being filled.
pub(super) struct Filling {
    store: Store,
    clock: Arc<dyn Clock>,
    /// The numbers of topics.
    numbers: HashMap<TopicName, u64>,
    pub(super) counts: ExportCounts,
}

impl Filling {
    /// Makes a store in a directory that is there and empty.
    pub(super) fn new(directory: &Path, clock: &Arc<dyn Clock>) -> Result<Self, OpenError> {
        Ok(Self {
            store: Store::open(directory, clock, None, Verify::New)?,
            clock: Arc::clone(clock),
            numbers: HashMap::new(),
            counts: ExportCounts::default(),
        })
    }

    /// Adds an item. Keys and versions of topics that did not come before are left out, and so is
    /// what has ended.
    pub(super) fn add(&mut self, item: Exported) -> Result<(), BrokerError> {
        let now_ms = self.clock.steady_ms();
        let mut change = self.store.change();
        let mut add = |key: &AnswerKey, ends_ms: u64, data: Bytes| {
            if ends_ms > now_ms {
                change.add_answer(key, &Answer { ends_ms, data });
            }
        };
        match item {
            Exported::Unborn(epoch) => change.set_unborn(epoch),
            Exported::Topic(topic) => return self.add_topic(&topic),
            Exported::Once(item) => {
                if let Some(number) = self.numbers.get(&item.topic) {
                    let key = AnswerKey::of_publication(*number, &item.key);
                    let mut once = Once::new(item.key, VERSION_WINDOW);
                    once.fingerprint = item.fingerprint;
                    add(&key, item.ends_ms, once.kept(item.position));
                }
            }
            Exported::Version(item) => {
                if let Some(number) = self.numbers.get(&item.topic) {
                    let key = AnswerKey::of_version(*number, Some(&item.key));
                    add(&key, item.ends_ms, versioned(item.number, item.position));
                }
            }
            Exported::Command(item) => {
                let data = match &item.answer {
                    Some(answer) => kept(item.fingerprint, answer),
                    None => begun(item.fingerprint),
                };
                add(&AnswerKey::of_command(&item.key), item.ends_ms, data);
            }
        }
        Ok(change.commit()?)
    }

    fn add_topic(&mut self, topic: &ExportedTopic) -> Result<(), BrokerError> {
        // Topics have numbers from 1.
        let id = self.numbers.len() as u64 + 1;
        let position = topic.position;
        let record = TopicRecord {
            id,
            epoch: position.epoch,
            top: position.offset,
            first: position.offset + 1 - topic.publications.len() as u64,
            published_ms: topic.published_ms,
            retention: topic.retention,
        };
        let mut change = self.store.change();
        change.set_topic(topic.topic.as_str(), record);
        let mut runs = Vec::new();
        for publication in &topic.publications {
            Run::add(&mut runs, publication);
        }
        runs.into_iter().for_each(|run| change.add_run(id, run));
        if let Some((number, offset)) = topic.version {
            // For as long as after a publication with it.
            let ends_ms = self.clock.steady_ms() + whole_ms(VERSION_WINDOW);
            let place = Position::new(position.epoch, offset);
            let data = versioned(number, place);
            change.add_answer(&AnswerKey::of_version(id, None), &Answer { ends_ms, data });
        }
        change.commit()?;
        self.numbers.insert(topic.topic.clone(), id);
        self.counts.topics += 1;
        self.counts.publications += topic.publications.len() as u64;
        Ok(())
    }

    /// Closes the store, all of which is on the disk then.
    pub(super) fn finish(self) -> Result<(), OpenError> {
        let Self { store, numbers, .. } = self;
        let directory = store.directory.clone();
        store.set_next_topic(numbers.len() as u64 + 1)?;
        store.close()?;
        Ok(sync_tree(&directory)?)
    }
}

/// New epochs for a backup. The store goes on with the old ones, and where the backup takes its place
/// it gives the offsets out again: nobody may believe then to have seen what is at them.
struct Renewal {
    now_ms: u64,
    /// The old and the new epoch of each topic.
    epochs: HashMap<TopicName, (Epoch, Epoch)>,
}

impl Renewal {
    fn new(now_ms: u64) -> Self {
        Self {
            now_ms,
            epochs: HashMap::new(),
        }
    }

    fn renew(&mut self, mut item: Exported) -> Exported {
        match &mut item {
            Exported::Unborn(epoch) => *epoch = self.after(*epoch),
            Exported::Topic(topic) => {
                let old = topic.position.epoch;
                topic.position.epoch = self.after(old);
                let epochs = (old, topic.position.epoch);
                self.epochs.insert(topic.topic.clone(), epochs);
            }
            Exported::Once(once) => self.renew_in(&once.topic, &mut once.position),
            Exported::Version(version) => self.renew_in(&version.topic, &mut version.position),
            Exported::Command(_) => {}
        }
        item
    }

    /// A life that begins later than another one, whatever the clock says.
    fn after(&self, epoch: Epoch) -> Epoch {
        Epoch::begin(self.now_ms.max(epoch.created_ms() + 1))
    }

    fn renew_in(&self, topic: &TopicName, position: &mut Position) {
        if let Some((old, new)) = self.epochs.get(topic)
            && position.epoch == *old
        {
            position.epoch = *new;
        }
    }
}

/// The bytes that are kept of a version.
fn versioned(number: u64, place: Position) -> Bytes {
    let mut bytes = Vec::with_capacity(8 + position::BYTES);
    bytes.put_u64(number);
    bytes.put_slice(&position::to_array(place));
    bytes.into()
}

/// A directory that is removed again unless it is finished.
pub(super) struct Unfinished(PathBuf);

impl Unfinished {
    /// Makes the directory.
    pub(super) fn create(path: PathBuf) -> Result<Self, OpenError> {
        file::create_private(&path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // What is left bears a name that tells what it is.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Writes a store as of a snapshot to the new directory `into`. Ends with an error if the store is to
/// be closed meanwhile.
pub(super) fn back_up(
    store: &Store,
    snapshot: &Snapshot,
    shared: &Shared,
    closings: u64,
    into: &Path,
) -> Result<Backup, BrokerError> {
    if into.exists() {
        let what = format!("{} is there already", into.display());
        return Err(BrokerError::Unavailable(what.into()));
    }
    let mut part = OsString::from(into);
    part.push(".part");
    let part = Unfinished::create(part.into()).map_err(OpenError::into_broker_error)?;
    let filled = || -> Result<ExportCounts, BrokerError> {
        let filling = Filling::new(part.path(), &shared.clock);
        let mut filling = filling.map_err(OpenError::into_broker_error)?;
        let mut renewal = Renewal::new(shared.clock.now_ms());
        store.contents(snapshot, shared.clock.steady_ms(), |item| {
            if shared.closings.load(Ordering::Relaxed) != closings {
                return Err(BrokerError::Unavailable(
                    "the store was closed meanwhile".into(),
                ));
            }
            filling.add(renewal.renew(item))
        })?;
        let counts = filling.counts;
        filling.finish().map_err(OpenError::into_broker_error)?;
        Ok(counts)
    };
    let ExportCounts {
        topics,
        publications,
    } = filled()?;
    let renamed = || {
        let bytes = file::size_of_tree(part.path())?;
        fs::rename(part.path(), into)?;
        sync_names(
            into.parent()
                .filter(|parent| !parent.as_os_str().is_empty())
                .unwrap_or(Path::new(".")),
        )?;
        Ok(bytes)
    };
    let bytes = renamed().map_err(|error| OpenError::Io(error).into_broker_error())?;
    Ok(Backup::new(topics, publications, bytes))
}
