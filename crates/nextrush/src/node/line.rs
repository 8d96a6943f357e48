//! A node's line to the others: who it is, what it asks and tells, and what it does about that.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use nextrush_broker::{
    Answered, Asked, Broker, BrokerError, Bus, BusReceiver, NodeName, OneNode, TopicName,
};
use parking_lot::RwLock;

use super::living::{Living, LivingNode};
use super::wire;

/// The time for which a node waits for the answers of others.
pub(crate) const DEADLINE: Duration = Duration::from_secs(2);

/// The room in which all nodes hear each other.
const ALL: &str = "all";

/// The node that a message came from.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct From {
    /// Its name.
    pub node: NodeName,
    /// `true` if it is the node that hears it.
    pub is_this: bool,
}

type Answer = Arc<dyn Fn(From, Bytes) -> BoxFuture<'static, Option<Bytes>> + Send + Sync>;
type Hear = Arc<dyn Fn(&From, Bytes) + Send + Sync>;

/// A node's line to the others.
pub(crate) struct Line {
    bus: Arc<dyn Bus>,
    /// A random number that no other start of a node has.
    boot: u64,
    is_shared: bool,
    pub(super) living: Living,
    all: TopicName,
    answers: RwLock<HashMap<Box<str>, Answer>>,
    hearers: RwLock<HashMap<Box<str>, Hear>>,
}

impl Line {
    /// The line of a broker's node, or that of an application on a single node. `version` is the
    /// highest version of messages that it writes.
    pub(crate) fn new(broker: &dyn Broker, version: u8) -> Arc<Self> {
        let shared = broker.bus();
        let is_shared = shared.is_some();
        let bus = shared.unwrap_or_else(|| Arc::new(OneNode::new(NodeName::random())));
        let line = Arc::new(Self {
            boot: rand::random(),
            is_shared,
            living: Living::new(version),
            all: TopicName::try_from(ALL).expect("a plain name"),
            answers: RwLock::default(),
            hearers: RwLock::default(),
            bus,
        });
        line.bus.attach(Arc::new(Receiver(Arc::downgrade(&line))));
        line
    }

    pub(crate) fn bus(&self) -> &Arc<dyn Bus> {
        &self.bus
    }

    /// Returns whether there may be other nodes.
    pub(crate) fn is_shared(&self) -> bool {
        self.is_shared
    }

    pub(crate) fn boot(&self) -> u64 {
        self.boot
    }

    pub(super) fn all(&self) -> &TopicName {
        &self.all
    }

    /// Sets what the node answers to questions of a kind, in place of what it answered before.
    /// The line must not keep the application alive.
    pub(crate) fn answer<F>(
        &self,
        kind: &str,
        answer: impl Fn(From, Bytes) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = Option<Bytes>> + Send + 'static,
    {
        let answer: Answer = Arc::new(move |from, body| answer(from, body).boxed());
        self.answers.write().insert(kind_name(kind), answer);
    }

    /// Sets what the node does about casts of a kind, in place of what it did before.
    pub(crate) fn hear(&self, kind: &str, hear: impl Fn(&From, Bytes) + Send + Sync + 'static) {
        self.hearers.write().insert(kind_name(kind), Arc::new(hear));
    }

    /// Asks nodes a question of a kind.
    pub(crate) async fn ask(
        &self,
        kind: &str,
        nodes: &Asked,
        body: &[u8],
    ) -> Result<Answered, BrokerError> {
        let question = wire::write(self.living.written(), kind, body);
        self.bus.ask(nodes, question, DEADLINE).await
    }

    /// Casts to the nodes that listen to a room.
    pub(crate) fn cast(&self, room: &TopicName, kind: &str, body: &[u8]) {
        if self.is_shared {
            let message = wire::write(self.living.written(), kind, body);
            self.bus.cast(room, message);
        }
    }

    /// Casts to all other nodes.
    pub(crate) fn cast_to_all(&self, kind: &str, body: &[u8]) {
        self.cast(&self.all, kind, body);
    }

    /// Reads which nodes live, with the starts of theirs.
    pub(crate) async fn living(&self) -> Result<Vec<LivingNode>, BrokerError> {
        if self.is_shared {
            return self.living.read(&*self.bus).await;
        }
        Ok(vec![LivingNode::new(
            self.bus.node().clone(),
            self.boot,
            self.living.newest(),
        )])
    }

    fn from(&self, node: &NodeName) -> From {
        From {
            node: node.clone(),
            is_this: node == self.bus.node(),
        }
    }

    fn heard(&self, from: &NodeName, message: Bytes) {
        let Some(envelope) = wire::read(message) else {
            return;
        };
        if !self.living.reads(envelope.version) {
            return self.living.warn_of(from, envelope.version);
        }
        let hear = self.hearers.read().get(&*envelope.kind).cloned();
        if let Some(hear) = hear {
            hear(&self.from(from), envelope.body);
        }
    }

    fn asked(&self, from: &NodeName, question: Bytes) -> Option<BoxFuture<'static, Option<Bytes>>> {
        let envelope = wire::read(question)?;
        if !self.living.reads(envelope.version) {
            self.living.warn_of(from, envelope.version);
            return None;
        }
        let answer = self.answers.read().get(&*envelope.kind).cloned()?;
        Some(answer(self.from(from), envelope.body))
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("node", self.bus.node())
            .field("others", &self.known_others())
            .finish_non_exhaustive()
    }
}

/// The line as the bus sees it, which must not keep it alive.
struct Receiver(Weak<Line>);

impl BusReceiver for Receiver {
    fn cast(&self, from: &NodeName, _: &TopicName, message: Bytes) {
        if let Some(line) = self.0.upgrade() {
            line.heard(from, message);
        }
    }

    fn asked(&self, from: &NodeName, question: Bytes) -> BoxFuture<'static, Option<Bytes>> {
        self.0
            .upgrade()
            .and_then(|line| line.asked(from, question))
            .unwrap_or_else(|| std::future::ready(None).boxed())
    }
}

/// The longest name of a kind in bytes.
const KIND_BYTES: usize = 64;

pub(crate) fn kind_name(kind: &str) -> Box<str> {
    assert!(
        (1..=KIND_BYTES).contains(&kind.len()),
        "a kind of messages between nodes has a name of 1 to {KIND_BYTES} bytes, {kind:?} has {}",
        kind.len()
    );
    kind.into()
}
