//! The size of a store.

use std::path::Path;

use fjall::Keyspace;

use super::census;
use super::error::OpenError;
use super::file;
use super::journal;
use super::store::Store;
use crate::exported::Exported;
use crate::topic_name::TopicName;

/// The size of a store and of what is in it: see [`StoppedStore::stats`](crate::StoppedStore::stats).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct StoreStats {
    /// The number of topics.
    pub topics: u64,
    /// The number of remembered publications, deleted and expired ones too.
    pub publications: u64,
    /// The number of those that were deleted.
    pub deleted: u64,
    /// The bytes of their data.
    pub data_bytes: u64,
    /// The number of keys of publications that happen once.
    pub once: u64,
    /// The number of parts of topics with a version, and of topics with one.
    pub versions: u64,
    /// The number of commands with a remembered answer.
    pub commands: u64,
    /// The time of the oldest remembered publication, in milliseconds since 1970.
    pub oldest_ms: Option<u64>,
    /// The time of the newest remembered publication, in milliseconds since 1970.
    pub newest_ms: Option<u64>,
    /// The bytes of the files.
    pub bytes: StoreBytes,
    /// The topics with the most bytes of data, the largest first.
    pub largest: Vec<TopicStats>,
}

/// The bytes that the files of a store take on the disk, by what is in them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct StoreBytes {
    /// Journals: what was written last, before it is in tables.
    pub journals: u64,
    /// Tables of histories.
    pub histories: u64,
    /// Tables of topics, with their positions.
    pub topics: u64,
    /// Tables of answers, keys and versions.
    pub answers: u64,
    /// All other files.
    pub other: u64,
}

impl StoreBytes {
    /// The bytes of all files.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.journals + self.histories + self.topics + self.answers + self.other
    }

    /// The sizes of the files of a store that another one, which is open, is a copy of.
    pub(super) fn of(directory: &Path, copy: &Store) -> Result<Self, OpenError> {
        let keyspace = |keyspace: &Keyspace| {
            let path = format!("data/keyspaces/{}", keyspace.id());
            // One that was made with the copy takes nothing.
            file::size_of_tree(&directory.join(path)).unwrap_or_default()
        };
        let mut bytes = Self {
            histories: keyspace(&copy.runs),
            topics: keyspace(&copy.named.topics),
            answers: keyspace(&copy.named.answers),
            ..Self::default()
        };
        for id in census::journals(directory)? {
            bytes.journals += file::size_of(&directory.join(journal::path(id)))?;
        }
        bytes.other = file::size_of_tree(directory)?.saturating_sub(bytes.total());
        Ok(bytes)
    }
}

/// The size of a topic.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TopicStats {
    /// Its name.
    pub topic: TopicName,
    /// The number of its remembered publications.
    pub publications: u64,
    /// The bytes of their data.
    pub bytes: u64,
}

impl StoreStats {
    /// Counts an item, of which the `most` largest topics are kept.
    pub(super) fn add(&mut self, item: &Exported, most: usize) {
        match item {
            Exported::Topic(topic) => {
                let data = topic.publications.iter().map(|kept| kept.data.len() as u64);
                let of_topic = TopicStats {
                    topic: topic.topic.clone(),
                    publications: topic.publications.len() as u64,
                    bytes: data.sum(),
                };
                let deleted = topic.publications.iter().filter(|kept| kept.is_deleted);
                let times = || topic.publications.iter().map(|kept| kept.time_ms);
                self.topics += 1;
                self.publications += of_topic.publications;
                self.deleted += deleted.count() as u64;
                self.data_bytes += of_topic.bytes;
                self.versions += u64::from(topic.version.is_some());
                self.oldest_ms = self.oldest_ms.into_iter().chain(times()).min();
                self.newest_ms = self.newest_ms.into_iter().chain(times()).max();
                let place = self
                    .largest
                    .partition_point(|other| other.bytes >= of_topic.bytes);
                self.largest.insert(place, of_topic);
                self.largest.truncate(most);
            }
            Exported::Once(_) => self.once += 1,
            Exported::Version(_) => self.versions += 1,
            Exported::Command(_) => self.commands += 1,
            Exported::Unborn(_) => {}
        }
    }
}
