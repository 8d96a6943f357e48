//! The store that nodes share.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use nextrush_broker::{
    Appended, Attempt, BoxFuture, BrokerError, Claim, Claimed, Deleted, Deletion, Epoch, Feed,
    History, HistoryQuery, Publication, Publish, SharedStore, StoredHistory, Top, TopicName,
};
use redis::{Cmd, Value, cmd};

use crate::checks::warn_of_losses;
use crate::dial::Dialer;
use crate::failure::{DialError, Failure};
use crate::format::{
    KeyNumbers, bounded, bounded_offset, bytes_of, print_bytes, publication_head, read_deleted,
    read_history, read_published, read_tops, whole_ms,
};
use crate::keys::Keys;
use crate::link::ServerId;
use crate::listing::Listing;
use crate::master::Connector;
use crate::options::RedisOptions;
use crate::partition::{PARTITIONS, Partition};
use crate::requests::{Masters, Requests};
use crate::script::{SCRIPTS, Script};
use crate::subscriber::{FeedSlot, Target};
use crate::turns::{Turn, Turns};
use crate::url::{RedisUrl, RedisUrlError, Service};

/// The newest version of the forms of keys and values. A node reads this one and the one before, and
/// writes the one that `nodes.lua` replies: this one once all living nodes know it.
pub(crate) const LAYOUT: u8 = 1;

/// The most entries of a history in one reply.
const PART: usize = 256;

/// The approximate cost of an answer beside its text, in a share.
const ANSWER_OVERHEAD: u64 = 256;

/// Topics on a Redis or Valkey that several nodes share.
///
/// It is the store below a sequencer, which gives each node every publication once and in order:
/// [`Redis`](crate::Redis) is both.
///
/// # What may be lost
///
/// A publication is acknowledged when the master has it in memory. What survives a crash of that
/// master, or a failover to a replica, is decided by the server's settings and not here. Where
/// something was lost, positions tell: the topic's epoch changes, and the new one remembers
/// where the old one ended.
pub struct RedisStore {
    pub(crate) requests: Requests,
    pub(crate) keys: Keys,
    turns: Turns,
    listing: Listing,
    pub(crate) idle_ms: u64,
    share: u64,
}

/// The reason why no store could be reached when a node started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address is not one.
    #[error("the address of the Redis cannot be read")]
    Url(#[source] RedisUrlError),
    /// The prefix of keys is empty, longer than 64 bytes, or has braces, blanks or control
    /// characters.
    #[error(
        "the prefix of keys in Redis has 1 to 64 bytes without blanks, braces and control \
         characters"
    )]
    Prefix,
    /// The certificate authorities for TLS could not be read.
    #[error("the certificate authorities for the connection to Redis cannot be read")]
    Authorities(#[source] io::Error),
    /// No connection, or one on which the first commands failed.
    #[error("cannot use the Redis at {place}")]
    Server {
        /// The address without credentials.
        place: String,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The data below the prefix has another form: another version of NextRush wrote it.
    #[error(
        "the data below {prefix} in Redis has layout {found:?}, which this program cannot read (it \
         writes \"{LAYOUT} {PARTITIONS}\"): update this node, or give it another prefix"
    )]
    Layout {
        /// The prefix of the keys.
        prefix: String,
        /// The layout of the data.
        found: String,
    },
    /// The node cannot be one of those that share the Redis.
    #[error("cannot join the nodes that share the Redis")]
    Nodes(#[source] BrokerError),
}

impl RedisStore {
    /// Connects to the server, and checks that the data there has a form that this program
    /// knows. Warns in the log of settings with which the server loses data.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] if a setting is wrong, the server cannot be reached or refuses, or its
    /// data is that of another version.
    pub async fn connect(url: &RedisUrl, options: RedisOptions) -> Result<Self, ConnectError> {
        let is_plain = |char: char| !matches!(char, '{' | '}') && char.is_ascii_graphic();
        let prefix = &options.prefix;
        if !(1..=64).contains(&prefix.len()) || !prefix.chars().all(is_plain) {
            return Err(ConnectError::Prefix);
        }
        let dialer = Dialer::new(url, options.node.as_ref(), options.deadlines.connect);
        let connector = Arc::new(Connector {
            dialer: dialer.map_err(ConnectError::Authorities)?,
            deadlines: options.deadlines,
            feed: FeedSlot::default(),
            is_sharded: matches!(url.service, Service::Cluster(_)),
        });
        let keys = Keys::new(prefix, url.database);
        let failed = |error: DialError| ConnectError::Server {
            place: url.to_string(),
            source: Box::new(error),
        };
        let masters = Masters::connect(&url.service, &connector, &keys).await;
        let store = Self {
            requests: Requests::new(masters.map_err(failed)?, connector),
            keys,
            turns: Turns::default(),
            listing: Listing::default(),
            idle_ms: whole_ms(options.idle).max(1),
            share: options.share,
        };
        let checked = store.check(url, prefix).await;
        if checked.is_err() {
            store.requests.stop();
        }
        checked.map(|()| store)
    }

    /// Compares the form of the data, and looks at the settings of the servers.
    async fn check(&self, url: &RedisUrl, prefix: &str) -> Result<(), ConnectError> {
        let layout = format!("{LAYOUT} {PARTITIONS}");
        let key = self.keys.layout();
        let mut set = cmd("SET");
        set.arg(&key).arg(&layout).arg("NX").arg("GET");
        let found = self.request(Partition::FIRST, &set).await;
        let found = found.map_err(|failure| ConnectError::Server {
            place: url.to_string(),
            source: Box::new(failure),
        })?;
        if let Value::BulkString(found) = found {
            let found = String::from_utf8_lossy(&found).into_owned();
            if !can_read(&found, LAYOUT) {
                let prefix = prefix.to_owned();
                return Err(ConnectError::Layout { prefix, found });
            }
        }
        for master in self.requests.masters.all() {
            if let Some(link) = master.link() {
                warn_of_losses(&link).await;
            }
        }
        Ok(())
    }

    /// Makes a request without a script. It may be repeated if it had no effect.
    pub(crate) async fn request(
        &self,
        partition: Partition,
        command: &Cmd,
    ) -> Result<Value, Failure> {
        let again = |_: ServerId, _: bool| command.clone();
        self.requests.run(partition, again, None).await
    }

    /// Runs a script. `arguments` come after the identity of the server.
    pub(crate) async fn script(
        &self,
        partition: Partition,
        script: &Script,
        keys: &[String],
        arguments: impl Fn(&mut Cmd),
        turn: Option<&Turn<'_>>,
    ) -> Result<Value, Failure> {
        let call = |server: ServerId, in_full: bool| {
            let mut call = script.call_either(keys, in_full);
            call.arg(&server.0);
            arguments(&mut call);
            call
        };
        self.requests.run(partition, call, turn).await
    }

    /// The topics in groups of which each is one request's: all on one server, or those of a
    /// partition of a cluster.
    pub(crate) fn grouped(&self, topics: &[TopicName]) -> Vec<Group> {
        let mut groups: BTreeMap<Partition, Group> = BTreeMap::new();
        for (index, topic) in topics.iter().enumerate() {
            let partition = self.request_partition(topic);
            let group = groups.entry(partition).or_insert_with(|| Group {
                partition,
                topics: Vec::new(),
                indexes: Vec::new(),
            });
            group.topics.push(topic.clone());
            group.indexes.push(index);
        }
        groups.into_values().collect()
    }

    /// The partition of requests that concern a topic, which those of one server share.
    pub(crate) fn request_partition(&self, topic: &TopicName) -> Partition {
        match self.requests.masters {
            Masters::One(_) => Partition::FIRST,
            Masters::Cluster(_) => Partition::of(topic.as_str()),
        }
    }

    /// The command that pushes to a channel.
    pub(crate) fn publish_command(&self) -> &'static str {
        if self.requests.connector.is_sharded {
            "SPUBLISH"
        } else {
            "PUBLISH"
        }
    }

    async fn append(
        &self,
        topic: &TopicName,
        group: Vec<Publish>,
    ) -> Result<Appended, BrokerError> {
        let turn = self.turns.take(topic).await;
        let mut keys = vec![self.keys.topic(topic), self.keys.history(topic)];
        let mut arguments = Vec::with_capacity(group.len() * 2);
        for publish in &group {
            let mut number_of = |key: Option<String>| match key {
                Some(key) => {
                    keys.push(key);
                    u16::try_from(keys.len() - 2).unwrap_or(u16::MAX)
                }
                None => 0,
            };
            let once = publish.once.as_ref();
            let owner = once
                .map(|once| once.key.owner())
                .filter(|owner| !owner.is_empty());
            let share = number_of(owner.map(|owner| self.key_of_share(topic, owner)));
            let once = number_of(once.map(|once| self.keys.once(topic, once.key.as_str())));
            let version = publish.version.as_ref();
            let version = version.and_then(|version| version.key.as_ref());
            let version = number_of(version.map(|key| self.keys.version(topic, key.as_str())));
            let numbers = KeyNumbers {
                once,
                version,
                share,
            };
            arguments.push(publication_head(publish, numbers).into());
            arguments.push(publish.data.clone());
        }
        let channel = self.keys.channel(topic);
        let add = |call: &mut Cmd| {
            call.arg(fresh_epoch()).arg(&channel);
            call.arg(self.publish_command()).arg(self.idle_ms);
            call.arg(self.share);
            for argument in &arguments {
                call.arg::<&[u8]>(argument);
            }
        };
        let partition = Partition::of(topic.as_str());
        let reply = self.script(partition, &SCRIPTS.publish, &keys, add, Some(&turn));
        let (outcomes, earlier) = read_published(bytes_of(reply.await?)?, group.len(), self.share)?;
        Ok(Appended::new(outcomes, earlier))
    }

    /// The key that counts what the keys of an owner's publications take. In a cluster it is that of
    /// the topic's partition, as a script has one.
    fn key_of_share(&self, topic: &TopicName, owner: &str) -> String {
        let partition = match self.requests.masters {
            Masters::One(_) => Partition::of(owner),
            Masters::Cluster(_) => Partition::of(topic.as_str()),
        };
        self.keys.publisher(partition, owner)
    }

    /// Reads a history part by part, as of the moment of the first part.
    pub(crate) async fn read(
        &self,
        topic: &TopicName,
        query: HistoryQuery,
    ) -> Result<StoredHistory, BrokerError> {
        'again: loop {
            let (kind, number, mut left) = match query {
                HistoryQuery::Latest(count) => ("latest", bounded(count), count),
                HistoryQuery::After { offset, limit } => ("after", bounded_offset(offset), limit),
            };
            let first = self.part(topic, kind, number, left.min(PART)).await?;
            // The position is that of the first part; what comes later is read later.
            let top = first.position.offset;
            let mut publications = first.publications;
            left = left.saturating_sub(entries(first.first, first.next));
            let mut next = first.next;
            while next <= top && left > 0 {
                let part = self.part(topic, "after", next - 1, left.min(PART)).await?;
                if part.position.epoch != first.position.epoch {
                    continue 'again;
                }
                if part.first != next {
                    // The parts before are trimmed by now: the history has to be unbroken.
                    publications.clear();
                }
                if part.next == part.first {
                    break;
                }
                left = left.saturating_sub(entries(part.first, part.next));
                next = part.next;
                publications.extend(part.publications);
            }
            publications.retain(|publication: &Arc<Publication>| publication.offset <= top);
            let history = History::new(first.position, publications).continuing(first.earlier);
            return Ok(StoredHistory::new(history, Some(first.retention)));
        }
    }

    async fn part(
        &self,
        topic: &TopicName,
        kind: &str,
        number: u64,
        most: usize,
    ) -> Result<crate::format::Part, Failure> {
        let keys = [self.keys.topic(topic), self.keys.history(topic)];
        let add = |call: &mut Cmd| {
            call.arg(fresh_epoch()).arg(self.idle_ms);
            call.arg(kind).arg(number).arg(most);
        };
        let partition = Partition::of(topic.as_str());
        let reply = self.script(partition, &SCRIPTS.history, &keys, add, None);
        read_history(reply.await?)
    }

    async fn tops_of(&self, group: &Group) -> Result<Vec<Option<Top>>, Failure> {
        let keys: Vec<_> = group
            .topics
            .iter()
            .map(|topic| self.keys.topic(topic))
            .collect();
        let add = |call: &mut Cmd| {
            call.arg(fresh_epoch()).arg(self.idle_ms);
        };
        let reply = self.script(group.partition, &SCRIPTS.tops, &keys, add, None);
        read_tops(bytes_of(reply.await?)?, group.topics.len())
    }

    async fn watch_group(&self, group: &Group) -> Result<Vec<()>, Failure> {
        let channel = |topic: &TopicName| (self.keys.channel(topic), Target::Topic(topic.clone()));
        let channels = || group.topics.iter().map(channel).collect();
        self.requests.watch(group.partition, channels).await?;
        Ok(vec![(); group.topics.len()])
    }

    async fn unwatch_group(&self, group: &Group) {
        let master = self.requests.masters.of(group.partition);
        if let Some(subscriber) = master.and_then(|master| master.subscriber()) {
            let channels = group.topics.iter().map(|topic| self.keys.channel(topic));
            // What is pushed nevertheless is dropped.
            let _ = subscriber.unwatch(channels.collect()).await;
        }
    }

    async fn claim_command(&self, attempt: Attempt) -> Result<Claim, BrokerError> {
        let owner = attempt.key.owner();
        let keys = [
            self.keys.command(owner, attempt.key.as_str()),
            self.keys.share(owner),
        ];
        let token: u128 = rand::random();
        let expected = bounded(attempt.answer_bytes) + ANSWER_OVERHEAD;
        // What has no owner has no share.
        let share = if owner.is_empty() {
            u64::MAX >> 16
        } else {
            self.share
        };
        let doubt_ms = match attempt.is_at_most_once {
            true => whole_ms(attempt.window),
            false => 0,
        };
        let call = |_: ServerId, in_full: bool| {
            let mut call = SCRIPTS.claim.call_either(&keys, in_full);
            call.arg(u8::from(attempt.fingerprint.is_some()));
            call.arg(&print_bytes(attempt.fingerprint));
            call.arg(&token.to_be_bytes());
            call.arg(whole_ms(attempt.lease)).arg(expected).arg(share);
            call.arg(doubt_ms);
            call
        };
        let reply = self.requests.run(Partition::of(owner), call, None).await?;
        let mut reply = bytes_of(reply)?;
        let kind = reply.split_to(reply.len().min(1));
        match &kind[..] {
            b"M" => Ok(Claim::Mine(Claimed::new(attempt, token))),
            b"R" => Ok(Claim::Running),
            b"D" => Ok(Claim::InDoubt),
            b"A" => Ok(Claim::Answered(reply)),
            b"X" => Err(BrokerError::Reused),
            b"F" => Err(Failure::Share(self.share).into()),
            _ => Err(Failure::Damaged("the reply to a claim".to_owned()).into()),
        }
    }

    async fn answer_command(&self, claimed: Claimed, answer: Bytes) -> Result<Bytes, BrokerError> {
        let Attempt {
            key,
            fingerprint,
            window,
            ..
        } = &claimed.attempt;
        let owner = key.owner();
        let keys = [
            self.keys.command(owner, key.as_str()),
            self.keys.share(owner),
        ];
        let cost = bounded(answer.len()) + ANSWER_OVERHEAD;
        let call = |_: ServerId, in_full: bool| {
            let mut call = SCRIPTS.answer.call_either(&keys, in_full);
            call.arg(u8::from(fingerprint.is_some()));
            call.arg(&print_bytes(*fingerprint));
            call.arg::<&[u8]>(&answer).arg(whole_ms(*window)).arg(cost);
            call
        };
        let reply = self.requests.run(Partition::of(owner), call, None).await?;
        Ok(bytes_of(reply)?)
    }

    async fn delete_publications(
        &self,
        topic: &TopicName,
        which: Deletion,
    ) -> Result<Deleted, BrokerError> {
        let (kind, what) = match which {
            Deletion::All => ("all", Vec::new()),
            Deletion::Unowned => ("owner", Vec::new()),
            Deletion::By(owner) => ("owner", owner.as_str().as_bytes().to_vec()),
            Deletion::Offsets(mut offsets) => {
                offsets.sort_unstable();
                let bytes = offsets.iter().flat_map(|offset| offset.to_be_bytes());
                ("offsets", bytes.collect())
            }
        };
        let keys = [self.keys.topic(topic), self.keys.history(topic)];
        let channel = self.keys.channel(topic);
        let add = |call: &mut Cmd| {
            call.arg(fresh_epoch()).arg(&channel);
            call.arg(self.publish_command()).arg(self.idle_ms);
            call.arg(kind).arg(&what);
        };
        let partition = Partition::of(topic.as_str());
        let reply = self.script(partition, &SCRIPTS.purge, &keys, add, None);
        Ok(read_deleted(bytes_of(reply.await?)?)?)
    }
}

/// Returns `true` if a program whose layout is `newest` reads what has the layout `found`: a version
/// and the number of partitions. While nodes are updated one after the other, data has the version
/// before; no node knows one to come.
fn can_read(found: &str, newest: u8) -> bool {
    let parts = found.split_once(' ');
    let version = parts
        .filter(|(_, partitions)| *partitions == PARTITIONS.to_string())
        .and_then(|(version, _)| version.parse::<u8>().ok());
    version.is_some_and(|version| version > 0 && (newest - 1..=newest).contains(&version))
}

/// Topics that one request can concern, and their places among those that were asked for.
pub(crate) struct Group {
    pub(crate) partition: Partition,
    pub(crate) topics: Vec<TopicName>,
    indexes: Vec<usize>,
}

/// The results for topics in their order, from the replies for groups of them.
pub(crate) fn scattered<T>(
    groups: &[Group],
    replies: Vec<Result<Vec<T>, Failure>>,
) -> Vec<Result<T, BrokerError>> {
    let count = groups.iter().map(|group| group.indexes.len()).sum();
    let mut results: Vec<_> = (0..count).map(|_| None).collect();
    for (group, reply) in groups.iter().zip(replies) {
        let replies: Vec<_> = match reply {
            Ok(replies) => replies.into_iter().map(Ok).collect(),
            Err(failure) => {
                let error = |_| Err(failure.clone().into());
                group.indexes.iter().map(error).collect()
            }
        };
        for (index, reply) in group.indexes.iter().zip(replies) {
            results[*index] = Some(reply);
        }
    }
    results.into_iter().flatten().collect()
}

/// The bytes of an epoch that no other has. The script sets its time.
fn fresh_epoch() -> Vec<u8> {
    Epoch::begin(0).as_bytes().to_vec()
}

fn entries(first: u64, next: u64) -> usize {
    usize::try_from(next - first).unwrap_or(usize::MAX)
}

impl SharedStore for RedisStore {
    fn connect(&self, feed: Arc<dyn Feed>) {
        self.requests.connector.feed.set(Some(feed));
    }

    fn publish(
        &self,
        topic: &TopicName,
        group: Vec<Publish>,
    ) -> BoxFuture<'_, Result<Appended, BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move { self.append(&topic, group).await })
    }

    fn history(
        &self,
        topic: &TopicName,
        query: HistoryQuery,
    ) -> BoxFuture<'_, Result<StoredHistory, BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move { self.read(&topic, query).await })
    }

    fn tops(&self, topics: &[TopicName]) -> BoxFuture<'_, Vec<Result<Option<Top>, BrokerError>>> {
        let groups = self.grouped(topics);
        Box::pin(async move {
            let replies = join_all(groups.iter().map(|group| self.tops_of(group))).await;
            scattered(&groups, replies)
        })
    }

    fn watch(&self, topics: &[TopicName]) -> BoxFuture<'_, Vec<Result<(), BrokerError>>> {
        let groups = self.grouped(topics);
        Box::pin(async move {
            let replies = join_all(groups.iter().map(|group| self.watch_group(group))).await;
            scattered(&groups, replies)
        })
    }

    fn unwatch(&self, topics: &[TopicName]) -> BoxFuture<'_, ()> {
        let groups = self.grouped(topics);
        Box::pin(async move {
            join_all(groups.iter().map(|group| self.unwatch_group(group))).await;
        })
    }

    fn topics(
        &self,
        after: Option<&TopicName>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<TopicName>, BrokerError>> {
        let after = after.cloned();
        Box::pin(async move {
            let links = self.requests.all_links();
            let page = self.listing.page(after.as_ref(), limit, links, &self.keys);
            Ok(page.await?)
        })
    }

    fn claim(&self, attempt: Attempt) -> BoxFuture<'_, Result<Claim, BrokerError>> {
        Box::pin(self.claim_command(attempt))
    }

    fn answer(&self, claimed: Claimed, answer: Bytes) -> BoxFuture<'_, Result<Bytes, BrokerError>> {
        Box::pin(self.answer_command(claimed, answer))
    }

    fn delete(
        &self,
        topic: &TopicName,
        which: Deletion,
    ) -> BoxFuture<'_, Result<Deleted, BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move { self.delete_publications(&topic, which).await })
    }

    fn away(&self) -> Option<Duration> {
        self.requests
            .masters
            .all()
            .iter()
            .filter_map(|master| master.away())
            .max()
    }

    fn away_from(&self, topic: &TopicName) -> Option<Duration> {
        self.requests.away_from(self.request_partition(topic))
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.requests.finish())
    }
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        self.requests.stop();
    }
}

impl std::fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let places: Vec<_> = self
            .requests
            .masters
            .all()
            .iter()
            .map(|master| master.place())
            .collect();
        f.debug_struct("RedisStore")
            .field("masters", &places)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_reads_its_layout_and_the_one_before() {
        for (found, newest) in [("1 256", 1), ("1 256", 2), ("2 256", 2), ("6 256", 7)] {
            assert!(can_read(found, newest), "{found} {newest}");
        }
        let others = [
            "1 256", "4 256", "5 256", "3 128", "3", "", "3 256 x", "x 256",
        ];
        for found in others {
            assert!(!can_read(found, 3), "{found}");
        }
        assert!(!can_read("0 256", 1));
    }
}
