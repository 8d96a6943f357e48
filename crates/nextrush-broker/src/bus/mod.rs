//! The line between the nodes of an application, for what is volatile: casts, questions, leases.

mod node_name;
mod one_node;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

pub use node_name::{NodeName, NodeNameError};
pub use one_node::OneNode;

use crate::error::BrokerError;
use crate::topic_name::TopicName;

/// The line between the nodes of an application.
///
/// Messages over it are volatile: each may be lost, and none comes twice. Those that have to
/// arrive go through a [`Broker`](crate::Broker). A returned future does nothing before it is
/// polled. [`OneNode`] is the bus of an application on a single node.
pub trait Bus: Send + Sync + 'static {
    /// The name of this node, which no other living node has.
    fn node(&self) -> &NodeName;

    /// The living nodes by name, this one among them. A node that has died is left out about 10 s
    /// later.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if the nodes cannot be known, as while this one does not count as living
    /// itself.
    fn nodes(&self) -> BoxFuture<'_, Result<Vec<NodeName>, BrokerError>>;

    /// Sets the receiver of what other nodes cast and ask. Called once, before anything else. The
    /// bus owns it: let the receiver hold no more than a [`Weak`](std::sync::Weak) of the bus.
    fn attach(&self, receiver: Arc<dyn BusReceiver>);

    /// Receives what is cast to a room from the moment on at which this resolves. Counted as
    /// [`Broker::subscribe`](crate::Broker::subscribe) is.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if it is not certain; it does not count then.
    fn listen(&self, room: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>>;

    /// Takes back one [`listen`](Self::listen).
    fn unlisten(&self, room: &TopicName) -> BoxFuture<'_, ()>;

    /// Casts a message to all other nodes that listen to a room, without waiting for anything. The
    /// messages that a node casts to a room arrive in their order, each once or not at all.
    fn cast(&self, room: &TopicName, message: Bytes);

    /// Asks nodes a question. Resolves when all of them have answered, and at the deadline. The
    /// nodes that are asked are known from the beginning: nobody waits for one that is not among
    /// them.
    fn ask(
        &self,
        nodes: &Asked,
        question: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'_, Result<Answered, BrokerError>>;

    /// Puts a member into a set that all nodes can read, for as long as this node lives or until
    /// it [releases](Self::release) it. A later value replaces an earlier one; members of the
    /// same name that other nodes hold are others.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if it is uncertain whether others can read it.
    fn lease(
        &self,
        set: &TopicName,
        member: &str,
        value: Bytes,
    ) -> BoxFuture<'_, Result<(), BrokerError>>;

    /// Takes a member of this node out of a set.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if it is uncertain whether others can still read it.
    fn release(&self, set: &TopicName, member: &str) -> BoxFuture<'_, Result<(), BrokerError>>;

    /// Reads a set: what living nodes have put there, by node and member.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if the set cannot be read.
    fn leased(&self, set: &TopicName) -> BoxFuture<'_, Result<Vec<Leased>, BrokerError>>;
}

/// The receiver of what other nodes say.
pub trait BusReceiver: Send + Sync + 'static {
    /// Takes a message that another node has cast to a room. Calls for a room come one at a
    /// time; return quickly.
    fn cast(&self, from: &NodeName, room: &TopicName, message: Bytes);

    /// Answers a question of a node, also of this one. `None` does not answer it, as of a kind
    /// of question that this version does not know: the node counts as silent.
    fn asked(&self, from: &NodeName, question: Bytes) -> BoxFuture<'static, Option<Bytes>>;
}

/// The nodes that a question goes to.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Asked {
    /// All living nodes, this one among them.
    All,
    /// The nodes with these names, living or not.
    Nodes(Vec<NodeName>),
}

/// The answers to a question.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Answered {
    /// The answers, by the names of the nodes.
    pub answers: Vec<(NodeName, Bytes)>,
    /// The nodes that have not answered by the deadline, by name.
    pub silent: Vec<NodeName>,
}

impl Answered {
    /// Sorts answers and those that are missing. For implementers of buses.
    #[must_use]
    pub fn new(mut answers: Vec<(NodeName, Bytes)>, mut silent: Vec<NodeName>) -> Self {
        answers.sort();
        silent.sort();
        Self { answers, silent }
    }
}

/// A member of a set.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Leased {
    /// The node that holds it.
    pub node: NodeName,
    /// The name of the member.
    pub member: String,
    /// The value that the node gave last.
    pub value: Bytes,
}

impl Leased {
    /// A member of a set. For implementers of buses.
    #[must_use]
    pub fn new(node: NodeName, member: impl Into<String>, value: Bytes) -> Self {
        Self {
            node,
            member: member.into(),
            value,
        }
    }
}
