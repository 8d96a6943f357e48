//! Rosters on Redis.

mod watching;
mod wire;

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use futures_util::future::{BoxFuture, join_all};
use nextrush_broker::{
    BrokerError, Committed, Roster, RosterChange, RosterRevision, RosterSink, Rosters, TopicName,
};
use redis::Cmd;
use tokio::task::AbortHandle;

use self::watching::Watching;
use crate::failure::Failure;
use crate::link::ServerId;
use crate::partition::Partition;
use crate::script::{SCRIPTS, Script};
use crate::store::{Group, RedisStore, scattered};
use crate::subscriber::Ear;

/// The most rosters in one question for revisions, so that the server does not stand still.
const QUESTION: usize = 512;

/// The number of questions of which one sees to it that rosters are not forgotten. Each is asked
/// for every 10 s or so, and forgotten after hours.
const THOROUGH: u32 = 16;

/// The rosters that nodes share on a Redis or Valkey.
///
/// A roster is two keys: one with its revision and head, and a hash of its members. One script
/// makes a change and pushes it, so that nodes are told in the order of the changes. A roster that
/// nobody changes and nobody asks for its [revision](Rosters::revisions) is forgotten after the
/// time of [`RedisOptions::idle`](crate::RedisOptions::idle).
///
/// What the server loses is seen by the revision. A server that evicts one of the two keys has
/// lost the roster: it is empty then.
pub struct RedisRosters {
    store: Arc<RedisStore>,
    watching: Arc<Watching>,
    task: OnceLock<AbortHandle>,
}

impl RedisRosters {
    /// The rosters of a store, once for each.
    pub(crate) fn new(store: Arc<RedisStore>) -> Self {
        let watching = Watching::new(Arc::clone(&store));
        let ear: Weak<dyn Ear> = Arc::downgrade(&watching) as Weak<dyn Ear>;
        store.requests.connector.feed.set_roster_ear(ear);
        Self {
            store,
            watching,
            task: OnceLock::new(),
        }
    }

    async fn run(
        &self,
        partition: Partition,
        script: &Script,
        keys: &[String],
        arguments: impl Fn(&mut Cmd),
    ) -> Result<redis::Value, Failure> {
        let call = |_: ServerId, in_full: bool| {
            let mut call = script.call_either(keys, in_full);
            arguments(&mut call);
            call
        };
        self.store.requests.run(partition, call, None).await
    }

    fn keys(&self, topic: &TopicName) -> [String; 2] {
        [
            self.store.keys.roster(topic),
            self.store.keys.members(topic),
        ]
    }

    async fn read_one(&self, topic: &TopicName) -> Result<Roster, Failure> {
        let partition = Partition::of(topic.as_str());
        let keys = self.keys(topic);
        let reply = self.run(partition, &SCRIPTS.members, &keys, |_| ());
        wire::read_roster(reply.await?)
    }

    async fn commit_one(
        &self,
        topic: &TopicName,
        change: &RosterChange,
    ) -> Result<Committed, Failure> {
        let partition = Partition::of(topic.as_str());
        let keys = self.keys(topic);
        let channel = self.store.keys.roster_channel(topic);
        let packed = wire::write_change(change);
        let add = |call: &mut Cmd| {
            call.arg(&channel).arg(self.store.publish_command());
            call.arg(self.store.idle_ms).arg::<&[u8]>(&packed);
        };
        wire::read_committed(self.run(partition, &SCRIPTS.commit, &keys, add).await?)
    }

    async fn revisions_of(&self, group: &Group) -> Result<Vec<RosterRevision>, Failure> {
        let mut revisions = Vec::with_capacity(group.topics.len());
        for topics in group.topics.chunks(QUESTION) {
            let keys: Vec<_> = topics.iter().flat_map(|topic| self.keys(topic)).collect();
            let is_thorough = rand::random_ratio(1, THOROUGH);
            let add = |call: &mut Cmd| {
                call.arg(self.store.idle_ms).arg(u8::from(is_thorough));
            };
            let reply = self.run(group.partition, &SCRIPTS.revisions, &keys, add);
            revisions.extend(wire::read_revisions(reply.await?, topics.len())?);
        }
        Ok(revisions)
    }
}

impl Rosters for RedisRosters {
    fn attach(&self, sink: Arc<dyn RosterSink>) {
        self.watching.attach(sink);
    }

    fn watch(&self, topic: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            let keep = || tokio::spawn(Arc::clone(&self.watching).keep()).abort_handle();
            self.task.get_or_init(keep);
            self.watching.watch(&topic).await
        })
    }

    fn unwatch(&self, topic: &TopicName) -> BoxFuture<'_, ()> {
        let topic = topic.clone();
        Box::pin(async move { self.watching.unwatch(&topic) })
    }

    fn read(&self, topic: &TopicName) -> BoxFuture<'_, Result<Roster, BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move { Ok(self.read_one(&topic).await?) })
    }

    fn commit(
        &self,
        topic: &TopicName,
        change: Arc<RosterChange>,
    ) -> BoxFuture<'_, Result<Committed, BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move { Ok(self.commit_one(&topic, &change).await?) })
    }

    fn revisions(
        &self,
        topics: &[TopicName],
    ) -> BoxFuture<'_, Result<Vec<RosterRevision>, BrokerError>> {
        let groups = self.store.grouped(topics);
        Box::pin(async move {
            let replies = join_all(groups.iter().map(|group| self.revisions_of(group))).await;
            scattered(&groups, replies).into_iter().collect()
        })
    }
}

impl Drop for RedisRosters {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

impl fmt::Debug for RedisRosters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisRosters").field(&self.store).finish()
    }
}
