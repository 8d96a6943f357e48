//! The connection for pushes from one server process.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use nextrush_broker::{Feed, TopicName, Unwatched};
use parking_lot::{Mutex, RwLock};
use redis::{Cmd, PushKind, RedisError, Value, cmd};
use tokio::io::{AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::{Mutex as AsyncMutex, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::dial::{Dialer, Stream};
use crate::failure::{DialError, Failure};
use crate::format::read_push;
use crate::link::ServerId;
use crate::url::Address;

/// The receivers of pushes, once there are any.
#[derive(Clone, Default)]
pub(crate) struct FeedSlot(Arc<RwLock<Receivers>>);

#[derive(Default)]
struct Receivers {
    feed: Option<Arc<dyn Feed>>,
    ear: Option<Weak<dyn Ear>>,
    roster_ear: Option<Weak<dyn Ear>>,
}

impl FeedSlot {
    pub(crate) fn set(&self, feed: Option<Arc<dyn Feed>>) {
        self.0.write().feed = feed;
    }

    pub(crate) fn get(&self) -> Option<Arc<dyn Feed>> {
        self.0.read().feed.clone()
    }

    pub(crate) fn set_ear(&self, ear: Weak<dyn Ear>) {
        self.0.write().ear = Some(ear);
    }

    pub(crate) fn set_roster_ear(&self, ear: Weak<dyn Ear>) {
        self.0.write().roster_ear = Some(ear);
    }

    /// Forgets the receivers other than the feed.
    pub(crate) fn deafen(&self) {
        let mut receivers = self.0.write();
        (receivers.ear, receivers.roster_ear) = (None, None);
    }

    /// The receiver of what comes on a channel; `None` of topics, whose pushes the feed takes.
    fn ear_of(&self, target: &Target) -> Option<Arc<dyn Ear>> {
        let receivers = self.0.read();
        let ear = match target {
            Target::Topic(_) => return None,
            Target::Roster(_) => &receivers.roster_ear,
            Target::Room(_) | Target::Inbox => &receivers.ear,
        };
        ear.as_ref()?.upgrade()
    }

    fn hear(&self, target: &Target, message: Bytes) {
        if let Some(ear) = self.ear_of(target) {
            ear.hear(target, message);
        }
    }

    /// Tells the receivers which channels are not watched any more.
    fn tell_unwatched(&self, targets: Vec<Target>) {
        let mut topics = Vec::new();
        let mut rosters = Vec::new();
        let mut others = Vec::new();
        for target in targets {
            match target {
                Target::Topic(topic) => topics.push(topic),
                Target::Roster(_) => rosters.push(target),
                Target::Room(_) | Target::Inbox => others.push(target),
            }
        }
        if !topics.is_empty()
            && let Some(feed) = self.get()
        {
            feed.unwatched(Unwatched::Topics(topics));
        }
        for targets in [rosters, others] {
            if let Some(ear) = targets.first().and_then(|target| self.ear_of(target)) {
                ear.deafened(targets);
            }
        }
    }
}

/// The receiver of what nodes say to each other, or of the changes of rosters.
pub(crate) trait Ear: Send + Sync {
    /// Takes a message. Returns quickly.
    fn hear(&self, target: &Target, message: Bytes);

    /// Takes note that these channels are not watched any more.
    fn deafened(&self, targets: Vec<Target>);
}

/// The meaning of a channel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Target {
    /// The publications of a topic.
    Topic(TopicName),
    /// The casts to a room.
    Room(TopicName),
    /// The changes of a roster.
    Roster(TopicName),
    /// The questions and answers to this node.
    Inbox,
}

/// A connection for pushes.
///
/// It is no connection of the `redis` crate, which takes an `sunsubscribe` that a cluster sends on
/// its own for the reply to a command, and which has no bound for pushes that wait. Here the
/// task that reads calls the feed and then reads on: a node that is too slow is cut off by the
/// server, at its limit.
pub(crate) struct Subscriber {
    pub(crate) server: ServerId,
    address: Address,
    /// True for channels that belong to the slots of a cluster.
    is_sharded: bool,
    writer: AsyncMutex<WriteHalf<Stream>>,
    state: Mutex<State>,
    heard: Mutex<Instant>,
    closed: watch::Sender<bool>,
    reader: Mutex<Option<AbortHandle>>,
    feed: FeedSlot,
    deadline: Duration,
}

#[derive(Default)]
struct State {
    /// The channels that are watched, or will be when the server has said so.
    watched: HashMap<String, Target>,
    /// The commands that the server has not answered, in their order.
    awaited: VecDeque<Awaited>,
    is_closed: bool,
}

/// A command that the server has not answered.
struct Awaited {
    kind: Asked,
    channels: HashSet<String>,
    done: oneshot::Sender<Result<(), Failure>>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Asked {
    Watch,
    Unwatch,
    Ping,
}

/// A command of which a part may be written: nothing could follow it if the rest is not.
struct Writing<'a>(&'a Subscriber);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

type Reader = ReadHalf<Stream>;

impl Subscriber {
    /// Connects to a server.
    pub(crate) async fn open(
        dialer: &Dialer,
        address: &Address,
        is_sharded: bool,
        feed: FeedSlot,
        deadline: Duration,
    ) -> Result<Arc<Self>, DialError> {
        let late = |_| DialError::Late {
            address: address.to_string(),
            after: dialer.deadline,
        };
        let greeted = timeout(dialer.deadline, greet(dialer, address)).await;
        let (reader, writer, server) = greeted.map_err(late)??;
        let subscriber = Arc::new(Self {
            server,
            address: address.clone(),
            is_sharded,
            writer: AsyncMutex::new(writer),
            state: Mutex::default(),
            heard: Mutex::new(Instant::now()),
            closed: watch::channel(false).0,
            reader: Mutex::default(),
            feed,
            deadline,
        });
        let task = tokio::spawn(Arc::clone(&subscriber).read(reader));
        *subscriber.reader.lock() = Some(task.abort_handle());
        Ok(subscriber)
    }

    /// Watches channels, which belong to one slot if they are sharded.
    pub(crate) async fn watch(&self, channels: Vec<(String, Target)>) -> Result<(), Failure> {
        let names: Vec<String> = channels.iter().map(|(name, _)| name.clone()).collect();
        let command = if self.is_sharded {
            "SSUBSCRIBE"
        } else {
            "SUBSCRIBE"
        };
        let note = |state: &mut State| {
            state.watched.extend(channels);
            true
        };
        let watched = self.ask(Asked::Watch, command, names.clone(), note).await;
        if matches!(watched, Err(Failure::Refused(_) | Failure::Failed(_))) {
            let mut state = self.state.lock();
            for name in &names {
                state.watched.remove(name);
            }
        }
        watched
    }

    /// Ends watching channels.
    pub(crate) async fn unwatch(&self, channels: Vec<String>) -> Result<(), Failure> {
        self.unwatch_if(channels, || true).await
    }

    /// Ends watching channels, unless it turns out, when it is this command's turn, that they are
    /// wanted: whoever wants them sends a command after that.
    pub(crate) async fn unwatch_if(
        &self,
        channels: Vec<String>,
        is_unwanted: impl FnOnce() -> bool,
    ) -> Result<(), Failure> {
        let command = if self.is_sharded {
            "SUNSUBSCRIBE"
        } else {
            "UNSUBSCRIBE"
        };
        let names = channels.clone();
        let note = |state: &mut State| {
            let is_unwanted = is_unwanted();
            if is_unwanted {
                for name in &names {
                    state.watched.remove(name);
                }
            }
            is_unwanted
        };
        self.ask(Asked::Unwatch, command, channels, note).await
    }

    /// Sends a command and waits for its answer. `note` changes the state as the command will,
    /// in the order in which commands are sent, or returns `false` if nothing is to be sent.
    async fn ask(
        &self,
        kind: Asked,
        command: &str,
        channels: Vec<String>,
        note: impl FnOnce(&mut State) -> bool,
    ) -> Result<(), Failure> {
        let (done, answered) = oneshot::channel();
        let packed = cmd(command).arg(&channels).get_packed_command();
        let asked = async {
            let mut writer = self.writer.lock().await;
            {
                let mut state = self.state.lock();
                if state.is_closed {
                    return Err(Failure::NotConnected(self.address.to_string()));
                }
                if !note(&mut state) {
                    return Ok(false);
                }
                let channels = channels.into_iter().collect();
                state.awaited.push_back(Awaited {
                    kind,
                    channels,
                    done,
                });
            }
            let writing = Writing(self);
            writer
                .write_all(&packed)
                .await
                .map_err(|error| Failure::Lost(error.into()))?;
            std::mem::forget(writing);
            Ok(true)
        };
        let answered = async {
            if !asked.await? {
                return Ok(());
            }
            let lost =
                || Failure::Lost(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into());
            answered.await.unwrap_or_else(|_| Err(lost()))
        };
        match timeout(self.deadline, answered).await {
            Ok(answered) => answered,
            Err(_) => {
                self.close();
                Err(Failure::Late(self.deadline))
            }
        }
    }

    /// Reads until the connection is lost, then tells which topics are not watched any more.
    async fn read(self: Arc<Self>, mut reader: Reader) {
        let mut decoder = Default::default();
        while let Ok(value) = redis::parse_redis_value_async(&mut decoder, &mut reader).await {
            *self.heard.lock() = Instant::now();
            self.receive(value);
        }
        self.close();
    }

    fn receive(&self, value: Value) {
        match value {
            Value::Push { kind, data } => self.receive_push(&kind, data),
            Value::SimpleString(_) | Value::Okay => {
                self.answer(Asked::Ping, None, Ok(()));
            }
            Value::ServerError(error) => {
                let error = Value::ServerError(error).extract_error();
                if let Err(error) = error {
                    self.refuse(error);
                }
            }
            _ => {}
        }
    }

    fn receive_push(&self, kind: &PushKind, data: Vec<Value>) {
        let mut data = data.into_iter();
        let Some(Value::BulkString(channel)) = data.next() else {
            return;
        };
        let Ok(channel) = String::from_utf8(channel) else {
            return;
        };
        match kind {
            PushKind::Message | PushKind::SMessage => {
                if let Some(Value::BulkString(message)) = data.next() {
                    self.deliver(&channel, message.into());
                }
            }
            PushKind::Subscribe | PushKind::SSubscribe => {
                self.answer(Asked::Watch, Some(&channel), Ok(()));
            }
            // If nobody has asked for it the server says it on its own: the slot has moved.
            PushKind::Unsubscribe | PushKind::SUnsubscribe
                if !self.answer(Asked::Unwatch, Some(&channel), Ok(())) =>
            {
                let moved = self.state.lock().watched.remove(&channel);
                self.feed.tell_unwatched(moved.into_iter().collect());
            }
            _ => {}
        }
    }

    fn deliver(&self, channel: &str, message: Bytes) {
        let Some(target) = self.state.lock().watched.get(channel).cloned() else {
            return;
        };
        let topic = match target {
            Target::Topic(topic) => topic,
            other => return self.feed.hear(&other, message),
        };
        let Some(feed) = self.feed.get() else {
            return;
        };
        match read_push(message) {
            Some(push) => feed.pushed(&topic, push),
            // From a newer node. The sequencer reads what it does not get pushed.
            None => tracing::debug!(%topic, "a push of another version was left out"),
        }
    }

    /// Takes note of a part of an answer, or of all of it. Returns `false` if it is not that to the
    /// command that has waited longest.
    fn answer(&self, kind: Asked, channel: Option<&str>, answer: Result<(), Failure>) -> bool {
        let mut state = self.state.lock();
        let Some(awaited) = state.awaited.front_mut() else {
            return false;
        };
        if awaited.kind != kind {
            return false;
        }
        if let Some(channel) = channel
            && !awaited.channels.remove(channel)
        {
            return false;
        }
        if awaited.channels.is_empty()
            && let Some(awaited) = state.awaited.pop_front()
        {
            // Whoever asked may have given up.
            let _ = awaited.done.send(answer);
        }
        true
    }

    /// Takes note of an error, which is the answer to the command that has waited longest.
    fn refuse(&self, error: RedisError) {
        if let Some(awaited) = self.state.lock().awaited.pop_front() {
            // Whoever asked may have given up.
            let _ = awaited.done.send(Err(Failure::of_sent(error)));
        }
    }

    /// Asks for a sign of life when there was none for a while. Resolves when the connection is
    /// lost.
    pub(crate) async fn keep_alive(&self, silence: Duration) {
        let mut closed = self.closed.subscribe();
        let check = async {
            loop {
                sleep(silence / 4).await;
                let silent = self.heard.lock().elapsed();
                if silent >= silence {
                    return;
                }
                if silent >= silence / 2 {
                    let ping = self.ask(Asked::Ping, "PING", Vec::new(), |_| true);
                    if timeout(silence / 2, ping).await.is_err() {
                        return;
                    }
                }
            }
        };
        tokio::select! {
            () = check => self.close(),
            _ = closed.wait_for(|is_closed| *is_closed) => {}
        }
    }

    /// Ends the connection and tells the feed which topics are not watched any more.
    pub(crate) fn close(&self) {
        let targets: Vec<_> = {
            let mut state = self.state.lock();
            state.is_closed = true;
            state.awaited.clear();
            state.watched.drain().map(|(_, target)| target).collect()
        };
        self.closed.send_replace(true);
        if let Some(reader) = self.reader.lock().take() {
            reader.abort();
        }
        self.feed.tell_unwatched(targets);
    }
}

async fn greet(
    dialer: &Dialer,
    address: &Address,
) -> Result<(Reader, WriteHalf<Stream>, ServerId), DialError> {
    let refused = |error| DialError::Refused {
        address: address.to_string(),
        error,
    };
    let stream = dialer.connect(address).await?;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut hello = cmd("HELLO");
    hello.arg(3);
    if let (user, Some(password)) = dialer.login() {
        hello
            .arg("AUTH")
            .arg(user.unwrap_or("default"))
            .arg(password);
    }
    let mut name = cmd("CLIENT");
    name.arg("SETNAME").arg(format!("{}-pushes", dialer.node));
    let mut info = cmd("INFO");
    info.arg("server");
    let packed: Vec<u8> = [hello, name, info]
        .iter()
        .flat_map(Cmd::get_packed_command)
        .collect();
    writer
        .write_all(&packed)
        .await
        .map_err(|error| refused(error.into()))?;
    let mut decoder = Default::default();
    let mut reply = async || {
        redis::parse_redis_value_async(&mut decoder, &mut reader)
            .await
            .map_err(refused)
    };
    reply().await?.extract_error().map_err(refused)?;
    // The name may not be allowed, and nothing depends on it.
    reply().await?;
    let info = reply().await?.extract_error().map_err(refused)?;
    let info: String =
        redis::from_redis_value(info).map_err(|_| DialError::NoIdentity(address.to_string()))?;
    let server =
        ServerId::in_info(&info).ok_or_else(|| DialError::NoIdentity(address.to_string()))?;
    Ok((reader, writer, server))
}
