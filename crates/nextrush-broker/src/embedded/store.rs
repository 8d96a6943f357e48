use std::{
    fs,
    io::{self, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use fjall::{
    Database, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable,
    config::BlockSizePolicy,
};
use uuid::Uuid;

use super::{
    cached::Found,
    damage::{self, Mark},
    error::{Contradiction, Failure, OpenError},
    record::{self, Answer, AnswerKey, TopicRecord},
};
use crate::{BrokerError, Topic};

/// Says what the directory is and holds the store's own mark.
const FORMAT_FILE: &str = "FORMAT";
const FORMAT: &str = "nextrush store 1";
/// Where fjall keeps its files.
const DATA: &str = "data";
/// Blocks that were read, of all keyspaces together. Histories have a cache of their own.
const BLOCK_CACHE_BYTES: u64 = 8 << 20;
/// What has not been written to tables yet, for each of the larger keyspaces.
const MEMTABLE_BYTES: u64 = 16 << 20;
const SMALL_MEMTABLE_BYTES: u64 = 4 << 20;
/// The least that fjall takes; what is written to its tables is deleted from there.
const JOURNAL_BYTES: u64 = 64 << 20;

/// The key in `state` whose value ends with the number of the newest group.
const GROUP: &[u8] = b"group";
/// The key in `state` of the number that the next new topic gets.
const NEXT_TOPIC: &[u8] = b"next-topic";

/// The files: what is in them, and how they are opened.
pub(super) struct Store {
    db: Database,
    /// Records of topics, by name.
    pub(super) topics: fjall::Keyspace,
    /// Publications, by the topic's number and the offset.
    pub(super) publications: fjall::Keyspace,
    /// Answers by their keys.
    pub(super) answers: fjall::Keyspace,
    /// When answers end: the time and the answer's key.
    pub(super) ends: fjall::Keyspace,
    state: fjall::Keyspace,
    mark: Mark,
}

impl Store {
    pub(super) fn open(directory: &Path) -> Result<Self, OpenError> {
        fs::create_dir_all(directory)?;
        let mark = read_format(directory)?;
        let data = directory.join(DATA);
        damage::refuse_known(directory)?;
        let last_group = damage::last_group(&data, mark)?;

        // fjall panics at some kinds of damage.
        let opened = catch_unwind(AssertUnwindSafe(|| Self::open_files(&data, mark)));
        let store = opened.unwrap_or_else(|_| {
            let what = "its files cannot be read (the reason has been printed)";
            Err(OpenError::Damaged(what.to_owned()))
        });
        let store = store.inspect_err(|error| damage::note(directory, error))?;
        damage::compare(directory, last_group, store.group()?)?;
        Ok(store)
    }

    fn open_files(data: &Path, mark: Mark) -> Result<Self, OpenError> {
        let db = Database::builder(data)
            .cache_size(BLOCK_CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .manual_journal_persist(true)
            .worker_threads(1)
            .open()?;
        let small = || KeyspaceCreateOptions::default().max_memtable_size(SMALL_MEMTABLE_BYTES);
        let large = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(MEMTABLE_BYTES)
                .data_block_size_policy(BlockSizePolicy::all(8 << 10))
        };
        Ok(Self {
            topics: db.keyspace("topics", small)?,
            publications: db.keyspace("publications", large)?,
            answers: db.keyspace("answers", small)?,
            ends: db.keyspace("ends", small)?,
            state: db.keyspace("state", small)?,
            db,
            mark,
        })
    }

    /// What is on disk of a topic.
    pub(super) fn load(&self, topic: &Topic) -> Result<Option<Found>, BrokerError> {
        // Both are read at one moment, as the writer may be trimming.
        let snapshot = self.db.snapshot();
        let Some(bytes) = snapshot.get(&self.topics, topic.as_str())? else {
            return Ok(None);
        };
        let record = TopicRecord::from_bytes(&bytes)?;
        let range = record::publication_key(record.id, record.first)
            ..=record::publication_key(record.id, record.top);
        let mut publications = Vec::new();
        for (pair, offset) in snapshot
            .range(&self.publications, range)
            .zip(record.first..)
        {
            let (key, value) = pair.into_inner()?;
            if record::offset_of(&key) != Some(offset) {
                return Err(missing(topic, offset));
            }
            let publication = record::publication_from_bytes(offset, &value)?;
            publications.push(Arc::new(publication));
        }
        let next = record.first + publications.len() as u64;
        if next != record.top + 1 {
            return Err(missing(topic, next));
        }
        Ok(Some(Found {
            record,
            publications,
        }))
    }

    /// An answer that has not ended.
    pub(super) fn answer(
        &self,
        key: &AnswerKey,
        now_ms: u64,
    ) -> Result<Option<Bytes>, BrokerError> {
        let Some(bytes) = self.answers.get(key.as_bytes())? else {
            return Ok(None);
        };
        let answer = Answer::from_bytes(&bytes)?;
        Ok((answer.ends_ms > now_ms).then_some(answer.data))
    }

    /// The number of the newest group, 0 before the first.
    pub(super) fn group(&self) -> Result<u64, BrokerError> {
        match self.state.get(GROUP)? {
            None => Ok(0),
            Some(value) => self.mark.group(&value).ok_or_else(|| {
                Contradiction("the number of the newest group cannot be read".to_owned()).into()
            }),
        }
    }

    /// The number that the next new topic gets.
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

    pub(super) fn batch(&self) -> OwnedWriteBatch {
        self.db.batch().durability(Some(PersistMode::SyncData))
    }

    /// A batch that gets to the disk with the next group.
    pub(super) fn unforced_batch(&self) -> OwnedWriteBatch {
        self.db.batch()
    }

    pub(super) fn set_next_topic(&self, batch: &mut OwnedWriteBatch, next: u64) {
        batch.insert(&self.state, NEXT_TOPIC, next.to_be_bytes());
    }

    /// Writes a group; returns when it is on disk. What is in it shows to readers at once
    /// and not before.
    pub(super) fn commit(&self, mut batch: OwnedWriteBatch, group: u64) -> Result<(), Failure> {
        batch.insert(&self.state, GROUP, self.mark.of_group(group));
        Ok(batch.commit()?)
    }
}

fn missing(topic: &Topic, offset: u64) -> BrokerError {
    Contradiction(format!("publication {offset} of {topic} is missing")).into()
}

/// The mark of the store in `directory`; made if the directory is empty.
fn read_format(directory: &Path) -> Result<Mark, OpenError> {
    let path = directory.join(FORMAT_FILE);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let wrong = || OpenError::Format(format!("{} says {text:?}", path.display()));
            let (format, mark) = text.trim_end().split_once('\n').ok_or_else(wrong)?;
            if format != FORMAT {
                return Err(wrong());
            }
            Ok(Mark::new(Uuid::try_parse(mark).map_err(|_| wrong())?))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if directory.join(DATA).exists() {
                let what = format!("{} is missing", path.display());
                return Err(OpenError::Damaged(what));
            }
            let mark = Uuid::now_v7();
            write_whole(directory, FORMAT_FILE, &format!("{FORMAT}\n{mark}\n"))?;
            Ok(Mark::new(mark))
        }
        Err(error) => Err(error.into()),
    }
}

/// Writes a small file so that it is there as a whole or not at all.
pub(super) fn write_whole(directory: &Path, name: &str, text: &str) -> io::Result<()> {
    let unfinished = directory.join(format!("{name}.new"));
    let mut file = fs::File::create(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, directory.join(name))?;
    // The name is durable when the directory is.
    #[cfg(unix)]
    fs::File::open(directory)?.sync_all()?;
    Ok(())
}
