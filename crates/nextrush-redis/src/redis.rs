//! The broker of a node.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nextrush_broker::{
    Attempt, BoxFuture, Broker, BrokerError, Bus, Claim, Claimed, Deletion, History, HistoryQuery,
    NodeName, Publish, Published, Rosters, SequencedBroker, SequencerCounts, SequencerOptions,
    Sink, TopicName,
};

use crate::bus::RedisBus;
use crate::options::RedisOptions;
use crate::rosters::RedisRosters;
use crate::store::{ConnectError, RedisStore};
use crate::url::RedisUrl;

/// The broker of a node whose topics are on a Redis or Valkey, where other nodes share them.
///
/// It is a [`SequencedBroker`] over a [`RedisStore`], and is given to an application's builder
/// as any other broker.
///
/// ```no_run
/// use nextrush_broker::{Broker, Publish, TopicName};
/// use nextrush_redis::Redis;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let redis = Redis::connect("redis://localhost").await?;
/// let topic = TopicName::try_from("posts")?;
/// redis.publish(&topic, Publish::new("hello, all nodes")).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Redis {
    broker: SequencedBroker<RedisStore>,
    bus: Option<Arc<RedisBus>>,
    rosters: Arc<RedisRosters>,
}

impl Redis {
    /// Connects with the default options.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] if `url` is no [`RedisUrl`], the server cannot be reached or refuses, its
    /// data is that of another version, or a living node has the name of this one.
    pub async fn connect(url: &str) -> Result<Self, ConnectError> {
        let url = url.parse().map_err(ConnectError::Url)?;
        Self::with_options(&url, RedisOptions::default()).await
    }

    /// Connects with other options.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn with_options(
        url: &RedisUrl,
        mut options: RedisOptions,
    ) -> Result<Self, ConnectError> {
        let node = options.node.get_or_insert_with(NodeName::random).clone();
        let store = RedisStore::connect(url, options).await?;
        Self::over(store, SequencerOptions::default())
            .join(node)
            .await
            .map_err(ConnectError::Nodes)
    }

    /// The broker over a store, with other options of its sequencer. It shares topics with other
    /// nodes, but is none of them and has no rosters before it [joins](Self::join) them.
    #[must_use]
    pub fn over(store: RedisStore, sequencer: SequencerOptions) -> Self {
        let store = Arc::new(store);
        Self {
            broker: SequencedBroker::new(Arc::clone(&store), sequencer),
            bus: None,
            rosters: Arc::new(RedisRosters::new(store)),
        }
    }

    /// The same, joined with the other nodes for what is volatile between them.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if the others cannot know of this node, or a living one has its name.
    pub async fn join(self, node: NodeName) -> Result<Self, BrokerError> {
        let bus = RedisBus::join(Arc::clone(self.broker.store()), node).await?;
        Ok(Self {
            bus: Some(Arc::new(bus)),
            ..self
        })
    }

    /// The number of times that the node had to do something about the server's pushes.
    #[must_use]
    pub fn counts(&self) -> SequencerCounts {
        self.broker.counts()
    }
}

impl Broker for Redis {
    fn attach(&self, sink: Arc<dyn Sink>) {
        self.broker.attach(sink);
    }

    fn publish(
        &self,
        topic: &TopicName,
        publish: Publish,
    ) -> BoxFuture<'_, Result<Published, BrokerError>> {
        self.broker.publish(topic, publish)
    }

    fn history(
        &self,
        topic: &TopicName,
        query: HistoryQuery,
    ) -> BoxFuture<'_, Result<History, BrokerError>> {
        self.broker.history(topic, query)
    }

    fn topics(
        &self,
        after: Option<&TopicName>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<TopicName>, BrokerError>> {
        self.broker.topics(after, limit)
    }

    fn subscribe(&self, topic: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.broker.subscribe(topic)
    }

    fn unsubscribe(&self, topic: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.broker.unsubscribe(topic)
    }

    fn claim(&self, attempt: Attempt) -> BoxFuture<'_, Result<Claim, BrokerError>> {
        self.broker.claim(attempt)
    }

    fn answer(&self, claimed: Claimed, answer: Bytes) -> BoxFuture<'_, Result<Bytes, BrokerError>> {
        self.broker.answer(claimed, answer)
    }

    fn delete(
        &self,
        topic: &TopicName,
        which: Deletion,
    ) -> BoxFuture<'_, Result<usize, BrokerError>> {
        self.broker.delete(topic, which)
    }

    fn away(&self) -> Option<Duration> {
        self.broker.away()
    }

    fn failed(&self) -> BoxFuture<'_, &'static str> {
        match &self.bus {
            Some(bus) => Box::pin(bus.displaced()),
            None => Box::pin(std::future::pending()),
        }
    }

    fn rosters(&self) -> Option<Arc<dyn Rosters>> {
        // Who is none of the nodes does not know which of them live.
        self.bus.as_ref()?;
        Some(Arc::<RedisRosters>::clone(&self.rosters))
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if let Some(bus) = &self.bus {
                bus.leave().await;
            }
            self.broker.shutdown().await;
        })
    }

    fn bus(&self) -> Option<Arc<dyn Bus>> {
        self.bus.clone().map(|bus| bus as Arc<dyn Bus>)
    }
}
