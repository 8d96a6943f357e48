//! A bus between nodes in one process.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::bus::{Answered, Asked, Bus, BusReceiver, Leased, NodeName};
use crate::error::BrokerError;
use crate::topic_name::TopicName;

/// The nodes of a simulated application, with a bus between them.
///
/// A cheap handle: its clones are the same nodes.
///
/// ```
/// use nextrush_broker::{Bus, NodeName};
/// use nextrush_broker::simulated::SimulatedNodes;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let nodes = SimulatedNodes::new();
/// let [a, b] = [NodeName::try_from("a")?, NodeName::try_from("b")?];
/// let bus = nodes.join(a.clone());
/// let other = nodes.join(b.clone());
/// assert_eq!(bus.nodes().await?, [a.clone(), b.clone()]);
/// nodes.end(&b);
/// assert_eq!(bus.nodes().await?, [a]);
/// # drop(other);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct SimulatedNodes(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    nodes: BTreeMap<NodeName, Member>,
    leased: BTreeMap<(TopicName, NodeName, String), Bytes>,
}

#[derive(Default)]
struct Member {
    receiver: Option<Arc<dyn BusReceiver>>,
    rooms: BTreeMap<TopicName, usize>,
    /// The moment since which the node hears and answers nothing.
    silent_since: Option<Instant>,
    /// `true` if the node's own requests fail.
    is_cut: bool,
    /// `true` if the node has ended and nobody has noticed it yet.
    has_crashed: bool,
}

/// The time for which a node counts as living that says nothing, as of real buses.
const LEASE: Duration = Duration::from_secs(10);

impl Member {
    fn counts_as_living(&self) -> bool {
        self.silent_since
            .is_none_or(|since| since.elapsed() < LEASE)
    }

    fn set_silent(&mut self, is_silent: bool) {
        self.silent_since = match is_silent || self.has_crashed {
            true => self.silent_since.or_else(|| Some(Instant::now())),
            false => None,
        };
    }
}

impl State {
    fn living(&self) -> Vec<NodeName> {
        let living = self
            .nodes
            .iter()
            .filter(|(_, member)| member.counts_as_living());
        living.map(|(node, _)| node.clone()).collect()
    }

    /// The living nodes for one that is among them: a list without it is none.
    fn listed(&self, node: &NodeName) -> Result<Vec<NodeName>, BrokerError> {
        let living = self.living();
        if living.contains(node) {
            Ok(living)
        } else {
            let missing = format!("the simulated node {node} does not count as living");
            Err(BrokerError::Unavailable(missing.into()))
        }
    }

    fn remove(&mut self, node: &NodeName) {
        self.nodes.remove(node);
        self.leased.retain(|(_, holder, _), _| holder != node);
    }
}

impl SimulatedNodes {
    /// An application without nodes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The bus of a new node.
    ///
    /// # Panics
    ///
    /// Panics if a living node has the name.
    #[must_use]
    pub fn join(&self, node: NodeName) -> SimulatedBus {
        let mut state = self.0.lock();
        if state
            .nodes
            .get(&node)
            .is_some_and(|before| before.has_crashed)
        {
            state.remove(&node);
        }
        let before = state.nodes.insert(node.clone(), Member::default());
        assert!(before.is_none(), "two living nodes have the name {node}");
        SimulatedBus {
            nodes: self.clone(),
            node,
        }
    }

    /// Ends a node as a crash does that the others have noticed: it is none of the nodes, and its
    /// leases are gone.
    pub fn end(&self, node: &NodeName) {
        self.0.lock().remove(node);
    }

    /// Ends a node as a crash does: it hears and answers nothing, and the others notice after
    /// 10 s. A new node may have its name at once.
    pub fn crash(&self, node: &NodeName) {
        if let Some(member) = self.0.lock().nodes.get_mut(node) {
            member.set_silent(true);
            member.has_crashed = true;
            member.receiver = None;
        }
    }

    /// Lets a node hear and answer nothing, as a process that is stopped, or lets it go on. After
    /// 10 s of silence it does not count as living, and its leases are not read.
    pub fn set_silent(&self, node: &NodeName, is_silent: bool) {
        if let Some(member) = self.0.lock().nodes.get_mut(node) {
            member.set_silent(is_silent || member.is_cut);
        }
    }

    /// Cuts a node off from the others, or ends that: it is [silent](Self::set_silent), and its
    /// own requests fail.
    pub fn set_cut(&self, node: &NodeName, is_cut: bool) {
        if let Some(member) = self.0.lock().nodes.get_mut(node) {
            member.is_cut = is_cut;
            member.set_silent(is_cut);
        }
    }

    fn receiver(&self, node: &NodeName) -> Option<Arc<dyn BusReceiver>> {
        let state = self.0.lock();
        let member = state.nodes.get(node)?;
        member
            .receiver
            .clone()
            .filter(|_| member.silent_since.is_none())
    }
}

impl fmt::Debug for SimulatedNodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes: BTreeSet<_> = self.0.lock().nodes.keys().cloned().collect();
        f.debug_tuple("SimulatedNodes").field(&nodes).finish()
    }
}

/// The bus of a simulated node. Made by [`SimulatedNodes::join`].
#[derive(Debug)]
pub struct SimulatedBus {
    nodes: SimulatedNodes,
    node: NodeName,
}

impl SimulatedBus {
    /// Changes this node's part, if it is one of the living nodes.
    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> Result<R, BrokerError> {
        let mut state = self.nodes.0.lock();
        let is_up = |member: &Member| !member.is_cut && !member.has_crashed;
        if state.nodes.get(&self.node).is_some_and(is_up) {
            Ok(change(&mut state))
        } else {
            let ended = format!("the simulated node {} has ended or is cut off", self.node);
            Err(BrokerError::Unavailable(ended.into()))
        }
    }
}

impl Bus for SimulatedBus {
    fn node(&self) -> &NodeName {
        &self.node
    }

    fn nodes(&self) -> BoxFuture<'_, Result<Vec<NodeName>, BrokerError>> {
        Box::pin(async { self.change(|state| state.listed(&self.node))? })
    }

    fn attach(&self, receiver: Arc<dyn BusReceiver>) {
        if let Some(member) = self.nodes.0.lock().nodes.get_mut(&self.node) {
            member.receiver.get_or_insert(receiver);
        }
    }

    fn listen(&self, room: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>> {
        let room = room.clone();
        Box::pin(async move {
            self.change(|state| {
                if let Some(member) = state.nodes.get_mut(&self.node) {
                    *member.rooms.entry(room).or_default() += 1;
                }
            })
        })
    }

    fn unlisten(&self, room: &TopicName) -> BoxFuture<'_, ()> {
        let room = room.clone();
        Box::pin(async move {
            let mut state = self.nodes.0.lock();
            if let Some(member) = state.nodes.get_mut(&self.node)
                && let Some(count) = member.rooms.get_mut(&room)
            {
                *count -= 1;
                if *count == 0 {
                    member.rooms.remove(&room);
                }
            }
        })
    }

    fn cast(&self, room: &TopicName, message: Bytes) {
        let receivers: Vec<_> = {
            let state = self.nodes.0.lock();
            if state
                .nodes
                .get(&self.node)
                .is_none_or(|member| member.silent_since.is_some())
            {
                return;
            }
            let is_heard = |node: &NodeName, member: &Member| {
                let is_silent = member.silent_since.is_some();
                *node != self.node && !is_silent && member.rooms.contains_key(room)
            };
            state
                .nodes
                .iter()
                .filter(|(node, member)| is_heard(node, member))
                .filter_map(|(_, member)| member.receiver.clone())
                .collect()
        };
        for receiver in receivers {
            receiver.cast(&self.node, room, message.clone());
        }
    }

    fn ask(
        &self,
        nodes: &Asked,
        question: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'_, Result<Answered, BrokerError>> {
        let asked = nodes.clone();
        Box::pin(async move {
            let nodes = match asked {
                Asked::All => self.change(|state| state.listed(&self.node))??,
                Asked::Nodes(nodes) => nodes,
            };
            let answers = nodes.iter().map(|node| {
                let asked: BoxFuture<'static, Option<Bytes>> = match self.nodes.receiver(node) {
                    Some(receiver) => receiver.asked(&self.node, question.clone()),
                    None => Box::pin(std::future::pending()),
                };
                tokio::time::timeout(deadline, asked)
            });
            let answers = join_all(answers).await;
            let (mut answered, mut silent) = (Vec::new(), Vec::new());
            for (node, answer) in nodes.into_iter().zip(answers) {
                match answer.ok().flatten() {
                    Some(answer) => answered.push((node, answer)),
                    None => silent.push(node),
                }
            }
            Ok(Answered::new(answered, silent))
        })
    }

    fn lease(
        &self,
        set: &TopicName,
        member: &str,
        value: Bytes,
    ) -> BoxFuture<'_, Result<(), BrokerError>> {
        let key = (set.clone(), self.node.clone(), member.to_owned());
        Box::pin(async move { self.change(|state| drop(state.leased.insert(key, value))) })
    }

    fn release(&self, set: &TopicName, member: &str) -> BoxFuture<'_, Result<(), BrokerError>> {
        let key = (set.clone(), self.node.clone(), member.to_owned());
        Box::pin(async move { self.change(|state| drop(state.leased.remove(&key))) })
    }

    fn leased(&self, set: &TopicName) -> BoxFuture<'_, Result<Vec<Leased>, BrokerError>> {
        let leased = self.change(|state| {
            let living = state.listed(&self.node)?;
            let members = state.leased.iter().filter(|((of, ..), _)| of == set);
            let living = members.filter(|((_, node, _), _)| living.contains(node));
            let leased = living.map(|((_, node, member), value)| {
                Leased::new(node.clone(), member.as_str(), value.clone())
            });
            Ok(leased.collect())
        });
        Box::pin(ready(leased.flatten()))
    }
}
