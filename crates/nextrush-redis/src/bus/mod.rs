//! The line between nodes on Redis, for what is volatile.

mod leases;
mod listening;
mod living;
mod message;
mod questions;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use nextrush_broker::{
    Answered, Asked, BoxFuture, BrokerError, Bus, BusReceiver, Leased, NodeName, TopicName,
};
use parking_lot::Mutex;
use redis::{Cmd, Value, cmd};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use self::listening::{Room, keep_listening};
use self::living::{Signs, keep_living};
use self::message::Kind;
use self::questions::Question;
use crate::failure::Failure;
use crate::partition::Partition;
use crate::store::RedisStore;
use crate::subscriber::{Ear, Target};

/// The most casts that wait to be sent; more are lost, as casts may be.
const WAITING: usize = 16_384;
/// The most casts in one request.
const BATCH: usize = 64;

/// The line between nodes that share a Redis.
///
/// A node says every 3 s that it lives, and counts as dead 10 s after the last time. From then on
/// another process may have its name: a process that finds this out is no node any more, and fails
/// at whatever concerns others. Casts and
/// questions are published on channels of rooms and nodes, which a node subscribes to again after
/// each lost connection: what is cast meanwhile is lost. A node that nobody listens for is
/// silent at once. The prefix and the database are those of the store.
pub struct RedisBus {
    line: Arc<Line>,
    tasks: [AbortHandle; 3],
}

/// The state of a bus, which its tasks and the connections for pushes share.
struct Line {
    node: NodeName,
    /// A random number that no other process has, and the newest layout that this one knows.
    process: [u8; 17],
    store: Arc<RedisStore>,
    receiver: OnceLock<Arc<dyn BusReceiver>>,
    state: Mutex<State>,
    /// Told when there is a channel to subscribe to, and when one was.
    changed: Notify,
    casts: mpsc::Sender<(Partition, Cmd)>,
    /// `true` once another process has the node's name, or the layout is a newer one.
    displaced: watch::Sender<bool>,
    this: Weak<Self>,
}

#[derive(Default)]
struct State {
    rooms: HashMap<TopicName, Room>,
    is_inbox_heard: bool,
    questions: HashMap<u64, Question>,
    /// The members that this node holds, to be put again if it counted as dead.
    leases: HashMap<(TopicName, String), Bytes>,
    signs: Signs,
}

impl RedisBus {
    /// Joins the nodes that share the store's Redis.
    ///
    /// # Errors
    ///
    /// [`BrokerError`] if the others cannot know of this node, or a living one has its name.
    pub async fn join(store: Arc<RedisStore>, node: NodeName) -> Result<Self, BrokerError> {
        let (casts, waiting) = mpsc::channel(WAITING);
        let line = Arc::new_cyclic(|this| Line {
            node,
            process: living::process(),
            store,
            receiver: OnceLock::new(),
            state: Mutex::default(),
            changed: Notify::new(),
            casts,
            displaced: watch::channel(false).0,
            this: Weak::clone(this),
        });
        let ear: Weak<dyn Ear> = Weak::<Line>::clone(&line.this);
        line.store.requests.connector.feed.set_ear(ear);
        line.take_name().await?;
        if let Err(failure) = line.begin().await {
            line.give_name_back().await;
            return Err(failure.into());
        }
        let tasks = [
            tokio::spawn(keep_living(Weak::clone(&line.this))).abort_handle(),
            tokio::spawn(keep_listening(Arc::clone(&line))).abort_handle(),
            tokio::spawn(send_casts(Arc::clone(&line), waiting)).abort_handle(),
        ];
        Ok(Self { line, tasks })
    }

    /// Leaves the other nodes: they know at once that this one does not live any more.
    pub async fn leave(&self) {
        let leases = std::mem::take(&mut self.line.state.lock().leases);
        for task in &self.tasks {
            task.abort();
        }
        // What has the name of another process is not this one's to take out.
        if self.line.hold_name().await.is_ok() {
            let released = leases
                .keys()
                .map(|(set, member)| self.line.take_out(set, member));
            // Otherwise the others learn it when the lease ends.
            join_all(released).await;
        }
        self.line.give_name_back().await;
    }

    /// Resolves when another process has the node's name, with the name of what has ended.
    pub(crate) async fn displaced(&self) -> &'static str {
        let mut displaced = self.line.displaced.subscribe();
        // The sender is the line's.
        let _ = displaced.wait_for(|is_displaced| *is_displaced).await;
        "the lease of the node's name"
    }
}

impl Drop for RedisBus {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl fmt::Debug for RedisBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisBus").field(&self.line.node).finish()
    }
}

impl Line {
    /// Begins to hear what the node is sent, under a name that it has taken.
    async fn begin(&self) -> Result<(), Failure> {
        self.state.lock().is_inbox_heard = true;
        self.listen_to(Target::Inbox).await?;
        // One that started at the same moment has heard nobody and may have the name.
        self.live().await
    }

    /// The channel of a room or of this node.
    fn channel(&self, target: &Target) -> (Partition, String) {
        let keys = &self.store.keys;
        match target {
            Target::Topic(topic) => (Partition::of(topic.as_str()), keys.channel(topic)),
            Target::Roster(topic) => (Partition::of(topic.as_str()), keys.roster_channel(topic)),
            Target::Room(room) => (Partition::of(room.as_str()), keys.room(room)),
            Target::Inbox => self.inbox(&self.node),
        }
    }

    fn inbox(&self, node: &NodeName) -> (Partition, String) {
        (
            Partition::of(node.as_str()),
            self.store.keys.inbox(node.as_str()),
        )
    }

    fn message(&self, channel: String, kind: Kind, id: u64, data: &[u8]) -> Cmd {
        let message = message::write(&self.node, kind, id, data);
        let mut publish = cmd(self.store.publish_command());
        publish.arg(channel).arg(message);
        publish
    }

    /// Sends a message to a node. Resolves with `false` if it listens to nothing.
    async fn send(&self, to: &NodeName, kind: Kind, id: u64, data: &[u8]) -> Result<bool, Failure> {
        let (partition, inbox) = self.inbox(to);
        let message = self.message(inbox, kind, id, data);
        let sent = self.store.request(partition, &message).await?;
        Ok(matches!(sent, Value::Int(1..)))
    }
}

impl Ear for Line {
    fn hear(&self, target: &Target, message: Bytes) {
        let Some((kind, id, from, data)) = message::read(message) else {
            // From a newer node.
            return;
        };
        let Some(receiver) = self.receiver.get() else {
            return;
        };
        match (target, kind) {
            (Target::Room(room), 1) if from != self.node => {
                let is_wanted = self.state.lock().rooms.contains_key(room);
                if is_wanted {
                    receiver.cast(&from, room, data);
                }
            }
            (Target::Inbox, 2) if !*self.displaced.borrow() => {
                let (Some(line), receiver) = (self.this.upgrade(), Arc::clone(receiver)) else {
                    return;
                };
                tokio::spawn(async move {
                    if let Some(answer) = receiver.asked(&from, data).await {
                        // The node that asked waits until its deadline.
                        let _ = line.send(&from, Kind::Answer, id, &answer).await;
                    }
                });
            }
            (Target::Inbox, 3) => self.answered(&from, id, data),
            _ => {}
        }
    }

    fn deafened(&self, targets: Vec<Target>) {
        for target in &targets {
            self.set_heard(target, false);
        }
        self.changed.notify_one();
    }
}

/// Sends casts in their order, those that wait together.
async fn send_casts(line: Arc<Line>, mut waiting: mpsc::Receiver<(Partition, Cmd)>) {
    let mut batch = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        let sent = batch
            .iter()
            .map(|(partition, cast)| line.store.requests.once(*partition, cast));
        // A cast that failed is lost: sent again it might come twice.
        join_all(sent).await;
        batch.clear();
    }
}

impl Bus for RedisBus {
    fn node(&self) -> &NodeName {
        &self.line.node
    }

    fn nodes(&self) -> BoxFuture<'_, Result<Vec<NodeName>, BrokerError>> {
        Box::pin(async move { Ok(self.line.nodes().await?.living) })
    }

    fn attach(&self, receiver: Arc<dyn BusReceiver>) {
        self.line.receiver.get_or_init(|| receiver);
    }

    fn listen(&self, room: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>> {
        let room = room.clone();
        Box::pin(async move {
            let interest = self.line.take_interest(&room);
            self.line.listen_to(Target::Room(room.clone())).await?;
            interest.keep();
            Ok(())
        })
    }

    fn unlisten(&self, room: &TopicName) -> BoxFuture<'_, ()> {
        let room = room.clone();
        Box::pin(async move {
            if !self.line.give_back(&room) {
                return;
            }
            let (partition, channel) = self.line.channel(&Target::Room(room.clone()));
            let master = self.line.store.requests.masters.of(partition);
            if let Some(subscriber) = master.and_then(|master| master.subscriber()) {
                let is_unwanted = || !self.line.state.lock().rooms.contains_key(&room);
                // What is cast nevertheless is dropped.
                let _ = subscriber.unwatch_if(vec![channel], is_unwanted).await;
            }
        })
    }

    fn cast(&self, room: &TopicName, message: Bytes) {
        let (partition, channel) = self.line.channel(&Target::Room(room.clone()));
        let cast = self.line.message(channel, Kind::Cast, 0, &message);
        // If too many wait, this one is lost, as a cast may be.
        let _ = self.line.casts.try_send((partition, cast));
    }

    fn ask(
        &self,
        nodes: &Asked,
        question: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'_, Result<Answered, BrokerError>> {
        let nodes = nodes.clone();
        Box::pin(async move {
            let until = Instant::now() + deadline;
            let nodes = match nodes {
                Asked::Nodes(nodes) => nodes,
                _ => self.line.nodes().await?.living,
            };
            Ok(self.line.ask(nodes, question, until).await)
        })
    }

    fn lease(
        &self,
        set: &TopicName,
        member: &str,
        value: Bytes,
    ) -> BoxFuture<'_, Result<(), BrokerError>> {
        let (set, member) = (set.clone(), member.to_owned());
        Box::pin(async move {
            let key = (set.clone(), member.clone());
            self.line.state.lock().leases.insert(key, value.clone());
            self.line.hold_name().await?;
            Ok(self.line.put(&set, &member, &value).await?)
        })
    }

    fn release(&self, set: &TopicName, member: &str) -> BoxFuture<'_, Result<(), BrokerError>> {
        let (set, member) = (set.clone(), member.to_owned());
        Box::pin(async move {
            let key = (set.clone(), member.clone());
            self.line.state.lock().leases.remove(&key);
            self.line.hold_name().await?;
            Ok(self.line.take_out(&set, &member).await?)
        })
    }

    fn leased(&self, set: &TopicName) -> BoxFuture<'_, Result<Vec<Leased>, BrokerError>> {
        let set = set.clone();
        Box::pin(async move { Ok(self.line.members(&set).await?) })
    }
}
