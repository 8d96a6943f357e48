//! Several nodes of an application in one process.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use nextrush_broker::simulated::{SimulatedNode, SimulatedServer};
use nextrush_broker::{NodeName, SequencerOptions};

use super::network::{Neighbours, Network};
use crate::app::{App, AppBuilder};

/// Several nodes of an application in one process, over a store that they share, with every fault
/// that a real one has, in virtual time.
///
/// Each node is a [`Network`] with clients of its own. While a test awaits anything of one of them,
/// or of a client, all nodes run. With the same seed, and on a clock that is paused, everything
/// happens again in the same way.
///
/// ```
/// use nextrush::testing::Cluster;
/// use nextrush::{App, Message, Socket};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?.block_on(async {
/// // In a test: #[tokio::test(start_paused = true)]
/// let cluster = Cluster::new(7, ["a", "b"], |builder| {
///     let mut app = builder.build();
///     app.ws("/lobby", async |socket: Socket| {
///         socket.join("lobby")?;
///         socket.on_message(async |socket: Socket, message: Message| {
///             socket.app().room("lobby").send(message);
///         });
///         Ok::<(), nextrush::room::JoinError>(())
///     });
///     app
/// });
/// let mut ada = cluster.node("a").connect("/lobby").await?;
/// let mut bob = cluster.node("b").connect("/lobby").await?;
/// cluster.settle().await;
///
/// bob.send("hello from b");
/// assert_eq!(ada.text().await, "hello from b");
/// assert_eq!(bob.text().await, "hello from b");
///
/// // Another process takes over, and b comes back.
/// cluster.crash("b");
/// assert!(bob.recv().await.is_none());
/// cluster.start("b");
/// # Ok::<(), nextrush::testing::Refused>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Cluster {
    server: SimulatedServer,
    seed: u64,
    make: Box<dyn Fn(AppBuilder) -> App>,
    nodes: RefCell<BTreeMap<NodeName, Node>>,
    neighbours: Neighbours,
}

struct Node {
    broker: SimulatedNode,
    network: Network,
}

impl Cluster {
    /// A cluster whose nodes have these names and applications that `make` makes. The builder that
    /// it is given has the node's broker.
    ///
    /// # Panics
    ///
    /// Panics if a name is [invalid](NodeName) or comes twice, and outside a tokio runtime.
    #[must_use]
    pub fn new<'a>(
        seed: u64,
        nodes: impl IntoIterator<Item = &'a str>,
        make: impl Fn(AppBuilder) -> App + 'static,
    ) -> Self {
        let cluster = Self {
            server: SimulatedServer::new(seed),
            seed,
            make: Box::new(make),
            nodes: RefCell::default(),
            neighbours: Neighbours::default(),
        };
        for node in nodes {
            cluster.start(node);
        }
        cluster
    }

    /// Starts a node, also one that has crashed or stopped before.
    ///
    /// # Panics
    ///
    /// Panics if the name is [invalid](NodeName) or a running node has it.
    pub fn start(&self, name: &str) -> Network {
        let name = name_of(name);
        let mut nodes = self.nodes.borrow_mut();
        assert!(!nodes.contains_key(&name), "the node {name} runs already");
        let options = SequencerOptions::default().seed(self.seed);
        let broker = self.server.join(name.clone(), options);
        let app = (self.make)(App::builder().broker(broker.clone()));
        let network = Network::beside(app, &self.neighbours);
        let node = Node {
            broker,
            network: network.clone(),
        };
        nodes.insert(name, node);
        network
    }

    /// A running node.
    ///
    /// # Panics
    ///
    /// Panics if there is none of this name.
    #[must_use]
    pub fn node(&self, name: &str) -> Network {
        self.with(name, |node| node.network.clone())
    }

    /// The server that the nodes share: its faults, restarts and failovers.
    #[must_use]
    pub fn server(&self) -> &SimulatedServer {
        &self.server
    }

    /// Cuts a node off from the server and the other nodes. Its clients stay.
    ///
    /// # Panics
    ///
    /// As [`node`](Self::node).
    pub fn cut(&self, name: &str) {
        self.with(name, |node| node.broker.cut());
    }

    /// Ends a [cut](Self::cut).
    ///
    /// # Panics
    ///
    /// As [`node`](Self::node).
    pub fn mend(&self, name: &str) {
        self.with(name, |node| node.broker.mend());
    }

    /// Stops a node as SIGSTOP does: its sockets and their handlers stand still, and it hears
    /// nothing and answers nothing. Tasks that its application has started go on.
    ///
    /// # Panics
    ///
    /// As [`node`](Self::node).
    pub fn pause(&self, name: &str) {
        self.with(name, |node| {
            node.network.set_paused(true);
            self.server.nodes().set_silent(node.broker.name(), true);
            node.broker.store().deafen();
        });
    }

    /// Lets a node go on after a [pause](Self::pause).
    ///
    /// # Panics
    ///
    /// As [`node`](Self::node).
    pub fn resume(&self, name: &str) {
        self.with(name, |node| {
            node.network.set_paused(false);
            self.server.nodes().set_silent(node.broker.name(), false);
            node.broker.store().undeafen();
        });
    }

    /// Ends a node as a crash does: the connections of its clients break, and the other nodes
    /// notice after 10 s. It may be [started](Self::start) again at once.
    ///
    /// # Panics
    ///
    /// As [`node`](Self::node).
    pub fn crash(&self, name: &str) {
        let node = self.remove(name);
        node.broker.crash();
        node.network.end();
    }

    /// Drains a node and ends it in order; see [`Handle::drain`](crate::Handle::drain).
    ///
    /// # Panics
    ///
    /// As [`node`](Self::node).
    pub async fn stop(&self, name: &str, window: Duration) {
        let network = self.node(name);
        let handle = network.handle();
        let drained = async {
            handle.drain(window).await;
            handle.broker().shutdown().await;
        };
        network.run_until(drained).await;
        self.remove(name).network.end();
    }

    /// Lets the nodes run until `future` is done.
    pub async fn run_until<F: Future>(&self, future: F) -> F::Output {
        self.neighbours.run_until(future).await
    }

    /// Lets everything happen that can happen now, which takes a millisecond. Complete only
    /// where tokio's clock is paused.
    pub async fn settle(&self) {
        self.advance(super::network::MOMENT).await;
    }

    /// Lets so much time pass on all nodes, and everything happen in it.
    pub async fn advance(&self, duration: Duration) {
        self.run_until(tokio::time::sleep(duration)).await;
    }

    fn with<R>(&self, name: &str, act: impl FnOnce(&Node) -> R) -> R {
        let nodes = self.nodes.borrow();
        let node = nodes.get(&name_of(name));
        act(node.unwrap_or_else(|| panic!("no node {name} runs")))
    }

    fn remove(&self, name: &str) -> Node {
        let node = self.nodes.borrow_mut().remove(&name_of(name));
        node.unwrap_or_else(|| panic!("no node {name} runs"))
    }
}

fn name_of(name: &str) -> NodeName {
    NodeName::try_from(name).unwrap_or_else(|error| panic!("{name:?}: {error}"))
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("seed", &self.seed)
            .field("nodes", &self.nodes.borrow().keys())
            .finish_non_exhaustive()
    }
}
