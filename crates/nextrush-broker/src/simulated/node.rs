//! A node of a simulated application.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::bus::SimulatedBus;
use super::rosters::SimulatedRosters;
use super::server::SimulatedServer;
use super::store::SimulatedStore;
use crate::broker::{Broker, Sink};
use crate::bus::{Bus, NodeName};
use crate::claim::{Attempt, Claim, Claimed};
use crate::clock::Clock;
use crate::deletion::Deletion;
use crate::error::BrokerError;
use crate::history::{History, HistoryQuery};
use crate::publication::{Publish, Published};
use crate::roster::Rosters;
use crate::shared::{SequencedBroker, SequencerOptions};
use crate::topic_name::TopicName;

/// The broker of a node on a [`SimulatedServer`], with its line to the other nodes and its
/// rosters. Made by [`SimulatedServer::join`].
///
/// A cheap handle: its clones are the same node, so that a test can cut the node off whose
/// broker an application has.
///
/// ```
/// use nextrush_broker::simulated::SimulatedServer;
/// use nextrush_broker::{Broker, NodeName, SequencerOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = SimulatedServer::new(7);
/// let node = server.join(NodeName::try_from("a")?, SequencerOptions::default().seed(7));
/// assert!(node.bus().is_some() && node.rosters().is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SimulatedNode(Arc<Parts>);

struct Parts {
    server: SimulatedServer,
    broker: SequencedBroker<SimulatedStore>,
    bus: Arc<SimulatedBus>,
    rosters: Arc<SimulatedRosters>,
}

/// The clock of a node, which agrees with that of the server: ages end in virtual time.
struct ServersClock(SimulatedServer);

impl Clock for ServersClock {
    fn now_ms(&self) -> u64 {
        self.0.now_ms()
    }
}

impl SimulatedNode {
    pub(super) fn new(server: SimulatedServer, name: NodeName, options: SequencerOptions) -> Self {
        let bus = Arc::new(server.nodes().join(name));
        let store = Arc::new(server.connect());
        let rosters = Arc::new(store.rosters());
        Self(Arc::new(Parts {
            broker: SequencedBroker::with_clock(store, options, ServersClock(server.clone())),
            server,
            bus,
            rosters,
        }))
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &NodeName {
        self.0.bus.node()
    }

    /// The lines to the server.
    #[must_use]
    pub fn store(&self) -> &Arc<SimulatedStore> {
        self.0.broker.store()
    }

    /// Cuts the node off from the server and the other nodes: its requests fail, and it is pushed
    /// nothing. After 10 s it does not count as living.
    pub fn cut(&self) {
        self.0.server.nodes().set_cut(self.name(), true);
        self.store().cut();
    }

    /// Ends a [cut](Self::cut).
    pub fn mend(&self) {
        self.0.server.nodes().set_cut(self.name(), false);
        self.store().mend();
    }

    /// Ends the node as a crash does: nothing reaches it, nothing comes from it, and the others
    /// notice after 10 s. A new node may have its name at once.
    pub fn crash(&self) {
        self.0.server.nodes().crash(self.name());
        self.store().cut();
    }
}

impl Broker for SimulatedNode {
    fn attach(&self, sink: Arc<dyn Sink>) {
        self.0.broker.attach(sink);
    }

    fn publish(
        &self,
        topic: &TopicName,
        publish: Publish,
    ) -> BoxFuture<'_, Result<Published, BrokerError>> {
        self.0.broker.publish(topic, publish)
    }

    fn history(
        &self,
        topic: &TopicName,
        query: HistoryQuery,
    ) -> BoxFuture<'_, Result<History, BrokerError>> {
        self.0.broker.history(topic, query)
    }

    fn topics(
        &self,
        after: Option<&TopicName>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<TopicName>, BrokerError>> {
        self.0.broker.topics(after, limit)
    }

    fn subscribe(&self, topic: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.0.broker.subscribe(topic)
    }

    fn unsubscribe(&self, topic: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.0.broker.unsubscribe(topic)
    }

    fn claim(&self, attempt: Attempt) -> BoxFuture<'_, Result<Claim, BrokerError>> {
        self.0.broker.claim(attempt)
    }

    fn answer(&self, claimed: Claimed, answer: Bytes) -> BoxFuture<'_, Result<Bytes, BrokerError>> {
        self.0.broker.answer(claimed, answer)
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.0.broker.shutdown().await;
            self.0.server.nodes().end(self.name());
        })
    }

    fn away(&self) -> Option<Duration> {
        self.0.broker.away()
    }

    fn bus(&self) -> Option<Arc<dyn Bus>> {
        Some(Arc::<SimulatedBus>::clone(&self.0.bus))
    }

    fn rosters(&self) -> Option<Arc<dyn Rosters>> {
        Some(Arc::<SimulatedRosters>::clone(&self.0.rosters))
    }

    fn delete(
        &self,
        topic: &TopicName,
        which: Deletion,
    ) -> BoxFuture<'_, Result<usize, BrokerError>> {
        self.0.broker.delete(topic, which)
    }
}

impl fmt::Debug for SimulatedNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimulatedNode").field(self.name()).finish()
    }
}
