//! The line between nodes on Redis, for what is volatile.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use futures_util::future::join_all;
use nextrush_broker::{
    Answered, Asked, BoxFuture, BrokerError, Bus, BusReceiver, Leased, NodeName, TopicName,
};
use parking_lot::Mutex;
use redis::{Cmd, Value, cmd};
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout_at};

use crate::backoff::Backoff;
use crate::failure::Failure;
use crate::link::ServerId;
use crate::partition::Partition;
use crate::script::SCRIPTS;
use crate::store::RedisStore;
use crate::subscriber::{Ear, Target};

/// The time for which a node is known to live after it has said so.
const LEASE: Duration = Duration::from_secs(10);
/// The time between two signs of life.
const EVERY: Duration = Duration::from_secs(3);
/// The signs of life in a row that the server takes before a list without a node that was there
/// is believed: after a lack of memory each node has had the time for one.
const STEADY: u8 = 2;
/// The most casts that wait to be sent; more are lost, as casts may be.
const WAITING: usize = 16_384;
/// The most casts in one request.
const BATCH: usize = 64;
/// The version of messages between nodes.
const VERSION: u8 = 1;

/// The line between nodes that share a Redis.
///
/// A node says every 3 s that it lives, and counts as dead 10 s after the last time. Casts and
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
    store: Arc<RedisStore>,
    receiver: OnceLock<Arc<dyn BusReceiver>>,
    state: Mutex<State>,
    /// Told when there is a channel to subscribe to, and when one was.
    changed: Notify,
    casts: mpsc::Sender<(Partition, Cmd)>,
    this: Weak<Self>,
}

#[derive(Default)]
struct State {
    rooms: HashMap<TopicName, Room>,
    is_inbox_heard: bool,
    questions: HashMap<u64, Question>,
    /// The members that this node holds, to be put again if it counted as dead.
    leases: HashMap<(TopicName, String), Bytes>,
    /// The signs of life in a row that the server has taken, up to [`STEADY`].
    renewed: u8,
    /// The nodes that lived when the server took them steadily.
    steady: Vec<NodeName>,
}

#[derive(Default)]
struct Room {
    interests: usize,
    is_heard: bool,
}

/// A question that some nodes have not answered.
struct Question {
    left: HashSet<NodeName>,
    answers: Vec<(NodeName, Bytes)>,
    changed: Arc<Notify>,
}

/// The kinds of messages between nodes.
#[derive(Clone, Copy)]
enum Kind {
    Cast = 1,
    Question = 2,
    Answer = 3,
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
            store,
            receiver: OnceLock::new(),
            state: Mutex::default(),
            changed: Notify::new(),
            casts,
            this: Weak::clone(this),
        });
        let ear: Weak<dyn Ear> = Weak::<Line>::clone(&line.this);
        line.store.requests.connector.feed.set_ear(ear);
        // Of a node that has died nobody hears what it is sent.
        if line.send(&line.node, Kind::Answer, 0, &[]).await {
            let taken = format!("a living node has the name {} already", line.node);
            return Err(BrokerError::Unavailable(taken.into()));
        }
        line.live().await?;
        line.state.lock().renewed = STEADY;
        line.listen_to(Target::Inbox).await?;
        line.state.lock().is_inbox_heard = true;
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
        let released = leases
            .keys()
            .map(|(set, member)| self.line.take_out(set, member));
        // Otherwise they learn it when the lease ends.
        join_all(released).await;
        let key = self.line.store.keys.nodes();
        let mut gone = cmd("ZREM");
        gone.arg(key).arg(self.line.node.as_str());
        let _ = self.line.store.request(Partition::FIRST, &gone).await;
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

/// The nodes that are known.
struct Known {
    is_new: bool,
    living: Vec<NodeName>,
    /// The nodes that died less than an hour ago.
    dead: Vec<NodeName>,
}

impl Line {
    /// Says that this node lives, and puts its members again if it counted as dead.
    async fn live(&self) -> Result<(), Failure> {
        let known = self.known(self.node.as_str()).await;
        self.note(&known);
        if !known?.is_new {
            return Ok(());
        }
        let leases = self.state.lock().leases.clone();
        for ((set, member), value) in leases {
            self.put(&set, &member, &value).await?;
        }
        Ok(())
    }

    /// Notes whether the server has taken a sign of life.
    fn note(&self, known: &Result<Known, Failure>) {
        let mut state = self.state.lock();
        let before = match known {
            Ok(known) if known.is_new => 0,
            Ok(_) => state.renewed,
            Err(_) => {
                state.renewed = 0;
                return;
            }
        };
        state.renewed = (before + 1).min(STEADY);
        if let Ok(known) = known
            && (state.renewed == STEADY || state.steady.is_empty())
        {
            state.steady.clone_from(&known.living);
        }
    }

    /// Reads which nodes live.
    ///
    /// # Errors
    ///
    /// Also if living nodes may be missing in the list: this one is, or one that is gone since the
    /// server does not take this node's signs of life, and then perhaps nobody's.
    async fn nodes(&self) -> Result<Known, Failure> {
        let known = self.known("").await?;
        let is_missing = |node: &NodeName| !known.living.contains(node);
        let mut state = self.state.lock();
        let is_doubtful = state.renewed < STEADY && state.steady.iter().any(is_missing);
        if is_doubtful || is_missing(&self.node) {
            return Err(Failure::Unlisted);
        }
        if state.renewed == STEADY {
            let new = known
                .living
                .iter()
                .filter(|node| !state.steady.contains(node));
            let new: Vec<_> = new.cloned().collect();
            state.steady.extend(new);
        }
        drop(state);
        Ok(known)
    }

    /// Reads which nodes are listed; `node` lives, if it is not empty.
    async fn known(&self, node: &str) -> Result<Known, Failure> {
        let keys = [self.store.keys.nodes()];
        let lease = crate::format::whole_ms(LEASE);
        let call = |_: ServerId, in_full: bool| {
            let mut call = SCRIPTS.nodes.call_either(&keys, in_full);
            call.arg(lease).arg(node);
            call
        };
        let reply = self
            .store
            .requests
            .run(Partition::FIRST, call, None)
            .await?;
        let reply = redis::from_redis_value::<(u8, Vec<String>, Vec<String>)>(reply);
        let (is_new, living, dead) =
            reply.map_err(|_| Failure::Damaged("the list of nodes".to_owned()))?;
        let names = |names: Vec<String>| {
            let mut names: Vec<_> = names
                .iter()
                .filter_map(|name| NodeName::try_from(&**name).ok())
                .collect();
            names.sort();
            names
        };
        Ok(Known {
            is_new: is_new == 1,
            living: names(living),
            dead: names(dead),
        })
    }

    /// Takes back one interest in a room; `true` if it was the last.
    fn give_back(&self, room: &TopicName) -> bool {
        let mut state = self.state.lock();
        let Some(known) = state.rooms.get_mut(room) else {
            return false;
        };
        known.interests = known.interests.saturating_sub(1);
        let is_last = known.interests == 0;
        if is_last {
            state.rooms.remove(room);
        }
        is_last
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

    async fn listen_to(&self, target: Target) -> Result<(), Failure> {
        let (partition, channel) = self.channel(&target);
        let channels = || vec![(channel.clone(), target.clone())];
        self.store.requests.watch(partition, channels).await
    }

    fn message(&self, channel: String, kind: Kind, id: u64, data: &[u8]) -> Cmd {
        let node = self.node.as_str();
        let mut message = vec![VERSION, kind as u8];
        message.extend(id.to_be_bytes());
        // A name has 64 bytes at most.
        message.push(u8::try_from(node.len()).unwrap_or_default());
        message.extend(node.as_bytes());
        message.extend(data);
        let mut publish = cmd(self.store.publish_command());
        publish.arg(channel).arg(message);
        publish
    }

    /// Sends a message to a node. Resolves with `false` if it listens to nothing.
    async fn send(&self, to: &NodeName, kind: Kind, id: u64, data: &[u8]) -> bool {
        let (partition, inbox) = self.inbox(to);
        let message = self.message(inbox, kind, id, data);
        let sent = self.store.request(partition, &message).await;
        matches!(sent, Ok(Value::Int(1..)))
    }

    async fn put(&self, set: &TopicName, member: &str, value: &Bytes) -> Result<(), Failure> {
        let mut put = cmd("HSET");
        put.arg(self.store.keys.leases(set)).arg(self.field(member));
        put.arg::<&[u8]>(value);
        let partition = Partition::of(set.as_str());
        self.store.request(partition, &put).await.map(drop)
    }

    async fn take_out(&self, set: &TopicName, member: &str) -> Result<(), Failure> {
        let mut take = cmd("HDEL");
        take.arg(self.store.keys.leases(set))
            .arg(self.field(member));
        let partition = Partition::of(set.as_str());
        self.store.request(partition, &take).await.map(drop)
    }

    /// The name of a member of this node in its set.
    fn field(&self, member: &str) -> String {
        // No name of a node has a blank.
        format!("{} {member}", self.node)
    }

    async fn members(&self, set: &TopicName) -> Result<Vec<Leased>, Failure> {
        let key = self.store.keys.leases(set);
        let partition = Partition::of(set.as_str());
        let mut all = cmd("HGETALL");
        all.arg(&key);
        let fields = self.store.request(partition, &all).await?;
        let fields = redis::from_redis_value::<Vec<(String, Vec<u8>)>>(fields)
            .map_err(|_| Failure::Damaged("a set of nodes".to_owned()))?;
        let known = self.nodes().await?;
        let mut members = Vec::new();
        let mut forgotten = Vec::new();
        for (field, value) in fields {
            let parts = field.split_once(' ');
            let parts =
                parts.and_then(|(node, member)| Some((NodeName::try_from(node).ok()?, member)));
            match parts {
                Some((node, member)) if known.living.contains(&node) => {
                    members.push(Leased::new(node, member, value.into()));
                }
                // It may come back, and would not know that its member is gone.
                Some((node, _)) if known.dead.contains(&node) => {}
                _ => forgotten.push(field),
            }
        }
        if !forgotten.is_empty() {
            let mut forget = cmd("HDEL");
            forget.arg(&key).arg(&forgotten);
            // The next reader tries it again.
            let _ = self.store.request(partition, &forget).await;
        }
        members.sort_by(|one, other| (&one.node, &one.member).cmp(&(&other.node, &other.member)));
        Ok(members)
    }

    async fn ask(&self, nodes: Vec<NodeName>, question: Bytes, until: Instant) -> Answered {
        let id: u64 = rand::random();
        let changed = Arc::new(Notify::new());
        let asked = Question {
            left: nodes.iter().cloned().collect(),
            answers: Vec::new(),
            changed: Arc::clone(&changed),
        };
        self.state.lock().questions.insert(id, asked);
        let guard = Asking { line: self, id };
        let mut deaf = Vec::new();
        let asking = async {
            let sent = nodes.iter().map(|node| async {
                let is_own = *node == self.node;
                if is_own {
                    self.answer_own(id, question.clone()).await;
                }
                is_own || self.send(node, Kind::Question, id, &question).await
            });
            for (node, is_sent) in nodes.iter().zip(join_all(sent).await) {
                let mut state = self.state.lock();
                if let Some(question) = state.questions.get_mut(&id)
                    && !is_sent
                    && question.left.remove(node)
                {
                    deaf.push(node.clone());
                }
            }
            loop {
                let answered = changed.notified();
                let is_answered = |question: &Question| question.left.is_empty();
                if self.state.lock().questions.get(&id).is_none_or(is_answered) {
                    return;
                }
                answered.await;
            }
        };
        // At the deadline those who are left are silent.
        let _ = timeout_at(until, asking).await;
        let question = guard.end();
        let silent = question.left.into_iter().chain(deaf).collect();
        Answered::new(question.answers, silent)
    }

    async fn answer_own(&self, id: u64, question: Bytes) {
        let answer = match self.receiver.get() {
            Some(receiver) => receiver.asked(&self.node, question).await,
            None => None,
        };
        if let Some(answer) = answer {
            self.answered(&self.node, id, answer);
        }
    }

    fn answered(&self, node: &NodeName, id: u64, answer: Bytes) {
        let mut state = self.state.lock();
        if let Some(question) = state.questions.get_mut(&id)
            && question.left.remove(node)
        {
            question.answers.push((node.clone(), answer));
            question.changed.notify_one();
        }
    }
}

/// An interest in a room that is taken back if nothing comes of it.
struct Interest<'a> {
    line: &'a Line,
    room: &'a TopicName,
    is_kept: bool,
}

impl Drop for Interest<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.line.give_back(self.room);
        }
    }
}

/// A question that is forgotten if nobody waits for its answers any more.
struct Asking<'a> {
    line: &'a Line,
    id: u64,
}

impl Asking<'_> {
    fn end(self) -> Question {
        let question = self.line.state.lock().questions.remove(&self.id);
        question.unwrap_or_else(|| Question {
            left: HashSet::new(),
            answers: Vec::new(),
            changed: Arc::default(),
        })
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.line.state.lock().questions.remove(&self.id);
    }
}

impl Ear for Line {
    fn hear(&self, target: &Target, message: Bytes) {
        let Some((kind, id, from, data)) = read_message(message) else {
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
            (Target::Inbox, 2) => {
                let (Some(line), receiver) = (self.this.upgrade(), Arc::clone(receiver)) else {
                    return;
                };
                tokio::spawn(async move {
                    if let Some(answer) = receiver.asked(&from, data).await {
                        line.send(&from, Kind::Answer, id, &answer).await;
                    }
                });
            }
            (Target::Inbox, 3) => self.answered(&from, id, data),
            _ => {}
        }
    }

    fn deafened(&self, targets: Vec<Target>) {
        let mut state = self.state.lock();
        for target in targets {
            match target {
                Target::Room(room) => {
                    if let Some(room) = state.rooms.get_mut(&room) {
                        room.is_heard = false;
                    }
                }
                Target::Inbox => state.is_inbox_heard = false,
                Target::Topic(_) | Target::Roster(_) => {}
            }
        }
        drop(state);
        self.changed.notify_one();
    }
}

fn read_message(mut message: Bytes) -> Option<(u8, u64, NodeName, Bytes)> {
    if message.try_get_u8().ok()? != VERSION {
        return None;
    }
    let kind = message.try_get_u8().ok()?;
    let id = message.try_get_u64().ok()?;
    let length = usize::from(message.try_get_u8().ok()?);
    if message.len() < length {
        return None;
    }
    let from = message.split_to(length);
    let from = NodeName::try_from(std::str::from_utf8(&from).ok()?).ok()?;
    Some((kind, id, from, message))
}

/// Says every 3 s that the node lives.
async fn keep_living(line: Weak<Line>) {
    loop {
        sleep(EVERY).await;
        let Some(line) = line.upgrade() else {
            return;
        };
        if let Err(failure) = line.live().await {
            tracing::debug!("other nodes do not know that this one lives: {failure}");
        }
    }
}

/// Subscribes again to channels that a lost connection had.
async fn keep_listening(line: Arc<Line>) {
    let mut backoff = Backoff::default();
    loop {
        let unheard: Vec<_> = {
            let state = line.state.lock();
            state
                .rooms
                .iter()
                .filter(|(_, room)| !room.is_heard)
                .map(|(room, _)| Target::Room(room.clone()))
                .chain((!state.is_inbox_heard).then_some(Target::Inbox))
                .collect()
        };
        if unheard.is_empty() {
            line.changed.notified().await;
            continue;
        }
        let heard = join_all(unheard.iter().map(|target| line.listen_to(target.clone()))).await;
        let mut is_failed = false;
        for (target, heard) in unheard.iter().zip(heard) {
            is_failed |= heard.is_err();
            let mut state = line.state.lock();
            match target {
                Target::Room(room) => {
                    if let Some(room) = state.rooms.get_mut(room) {
                        room.is_heard = heard.is_ok();
                    }
                }
                Target::Inbox => state.is_inbox_heard = heard.is_ok(),
                Target::Topic(_) | Target::Roster(_) => {}
            }
        }
        if is_failed {
            sleep(backoff.next()).await;
        } else {
            backoff = Backoff::default();
        }
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
            self.line
                .state
                .lock()
                .rooms
                .entry(room.clone())
                .or_default()
                .interests += 1;
            let mut interest = Interest {
                line: &self.line,
                room: &room,
                is_kept: false,
            };
            self.line.listen_to(Target::Room(room.clone())).await?;
            interest.is_kept = true;
            if let Some(room) = self.line.state.lock().rooms.get_mut(&room) {
                room.is_heard = true;
            }
            Ok(())
        })
    }

    fn unlisten(&self, room: &TopicName) -> BoxFuture<'_, ()> {
        let room = room.clone();
        Box::pin(async move {
            if !self.line.give_back(&room) {
                return;
            }
            let (partition, channel) = self.line.channel(&Target::Room(room));
            let master = self.line.store.requests.masters.of(partition);
            if let Some(subscriber) = master.and_then(|master| master.subscriber()) {
                // What is cast nevertheless is dropped.
                let _ = subscriber.unwatch(vec![channel]).await;
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
            Ok(self.line.put(&set, &member, &value).await?)
        })
    }

    fn release(&self, set: &TopicName, member: &str) -> BoxFuture<'_, Result<(), BrokerError>> {
        let (set, member) = (set.clone(), member.to_owned());
        Box::pin(async move {
            let key = (set.clone(), member.clone());
            self.line.state.lock().leases.remove(&key);
            Ok(self.line.take_out(&set, &member).await?)
        })
    }

    fn leased(&self, set: &TopicName) -> BoxFuture<'_, Result<Vec<Leased>, BrokerError>> {
        let set = set.clone();
        Box::pin(async move { Ok(self.line.members(&set).await?) })
    }
}
