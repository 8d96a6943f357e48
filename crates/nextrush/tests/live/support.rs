//! Networks with live channels, and their clients.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use axum::extract::Path;
use nextrush::broker::{
    Attempt, BoxFuture, Broker, BrokerError, Bytes, Claim, Claimed, History, HistoryQuery,
    MemoryBroker, Publish, Published, Sink, TopicName,
};
use nextrush::live::{ChannelPolicies, ChannelPolicy, SubscribeContext};
use nextrush::testing::{Client, Network};
use nextrush::{App, LiveUpdates, Socket, User};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::schema;

/// Lets clients name their user in the path of the route `/live/:user`.
pub(crate) fn route(app: &mut App, live: &LiveUpdates) {
    let live = live.clone();
    app.ws(
        "/live/:user",
        move |socket: Socket, Path(user): Path<String>| {
            let identified = socket.identify(User::new(&*user, ""));
            assert!(identified.is_ok(), "{identified:?}");
            live.connect(&socket);
        },
    );
}

/// An application with one policy for the channels of a pattern.
pub(crate) fn network(pattern: &str, policy: ChannelPolicy) -> (Network, LiveUpdates) {
    network_with(ChannelPolicies::new().policy(pattern, policy))
}

pub(crate) fn network_with(policies: ChannelPolicies) -> (Network, LiveUpdates) {
    let mut app = App::new();
    let live = LiveUpdates::builder()
        .policies(policies)
        .build(&app, "live");
    route(&mut app, &live);
    (Network::new(app), live)
}

pub(crate) async fn enter(network: &Network, user: &str) -> Client {
    network.connect(&format!("/live/{user}")).await.unwrap()
}

/// The next message, which is as the schema says.
pub(crate) async fn next(client: &mut Client) -> Value {
    let message = client.json().await;
    schema::check_sent(&message);
    message
}

pub(crate) async fn ask(client: &mut Client, message: Value) -> Value {
    client.send_json(&message);
    next(client).await
}

pub(crate) async fn subscribe(client: &mut Client, channel: &str) -> Value {
    ask(client, json!({ "type": "subscribe", "channel": channel })).await
}

/// Comes back with the position of an answer, or of an update in its stream.
pub(crate) async fn come_back(client: &mut Client, channel: &str, since: &Value) -> Value {
    let since = json!({ "epoch": since["epoch"], "offset": since["offset"] });
    ask(
        client,
        json!({ "type": "subscribe", "channel": channel, "since": since }),
    )
    .await
}

/// The messages that have arrived by now.
pub(crate) async fn taken(network: &Network, client: &mut Client) -> Vec<Value> {
    network.settle().await;
    std::iter::from_fn(|| client.try_recv())
        .map(|message| {
            let message = serde_json::from_str(&message.to_string()).unwrap();
            schema::check_sent(&message);
            message
        })
        .collect()
}

/// The field of each of some messages.
pub(crate) fn all<'a>(messages: &'a [Value], field: &str) -> Vec<&'a Value> {
    messages.iter().map(|message| &message[field]).collect()
}

/// The lines that the process logs from now on; those of other tests are among them.
pub(crate) struct Log(Arc<Mutex<String>>);

static LOG: Mutex<Vec<Arc<Mutex<String>>>> = Mutex::new(Vec::new());

impl Log {
    pub(crate) fn capture() -> Self {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            tracing_subscriber::fmt()
                .with_ansi(false)
                .with_writer(|| Line)
                .init();
        });
        let log = Arc::<Mutex<String>>::default();
        LOG.lock().unwrap().push(Arc::clone(&log));
        Self(log)
    }

    pub(crate) fn line_with(&self, text: &str) -> String {
        let log = self.0.lock().unwrap();
        let line = log.lines().find(|line| line.contains(text));
        line.unwrap_or_else(|| panic!("{text:?} is not in {log}"))
            .to_owned()
    }
}

struct Line;

impl io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for log in LOG.lock().unwrap().iter() {
            log.lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(bytes));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The names that a rule lets in.
#[derive(Clone, Default)]
pub(crate) struct Allowed(Arc<Mutex<BTreeSet<String>>>);

impl Allowed {
    pub(crate) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let names = names.into_iter().map(str::to_owned).collect();
        Self(Arc::new(Mutex::new(names)))
    }

    pub(crate) fn set(&self, name: &str, is_in: bool) {
        let mut names = self.0.lock().unwrap();
        match is_in {
            true => drop(names.insert(name.to_owned())),
            false => drop(names.remove(name)),
        }
    }

    pub(crate) fn has(&self, user: Option<&User>) -> bool {
        user.is_some_and(|user| self.has_name(&user.id.to_string()))
    }

    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.0.lock().unwrap().contains(name)
    }

    /// A channel with a history, for these.
    pub(crate) fn policy(&self) -> ChannelPolicy {
        let allowed = self.clone();
        ChannelPolicy::new()
            .history(100, Duration::from_secs(3600))
            .may_subscribe(async move |context: SubscribeContext| {
                allowed.has(context.user.as_ref())
            })
    }
}

/// A broker with faults.
#[derive(Default)]
pub(crate) struct Faulty {
    inner: Arc<MemoryBroker>,
    pub(crate) faults: Arc<Faults>,
}

#[derive(Default)]
pub(crate) struct Faults {
    pub(crate) publishing_fails: AtomicBool,
    pub(crate) reading_fails: AtomicBool,
    /// A history is told a second after it was read.
    pub(crate) histories_are_late: AtomicBool,
}

impl Broker for Faulty {
    fn attach(&self, sink: Arc<dyn Sink>) {
        self.inner.attach(sink);
    }

    fn publish(
        &self,
        topic: &TopicName,
        publish: Publish,
    ) -> BoxFuture<'_, Result<Published, BrokerError>> {
        if self.faults.publishing_fails.load(Ordering::Relaxed) {
            return Box::pin(async { Err(BrokerError::Unavailable("no answer".into())) });
        }
        self.inner.publish(topic, publish)
    }

    fn history(
        &self,
        topic: &TopicName,
        query: HistoryQuery,
    ) -> BoxFuture<'_, Result<History, BrokerError>> {
        if self.faults.reading_fails.load(Ordering::Relaxed) {
            return Box::pin(async { Err(BrokerError::Unavailable("no answer".into())) });
        }
        let history = self.inner.history(topic, query);
        let is_late = self.faults.histories_are_late.load(Ordering::Relaxed);
        Box::pin(async move {
            let history = history.await;
            if is_late {
                sleep(Duration::from_secs(1)).await;
            }
            history
        })
    }

    fn topics(
        &self,
        after: Option<&TopicName>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<TopicName>, BrokerError>> {
        self.inner.topics(after, limit)
    }

    fn subscribe(&self, topic: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.inner.subscribe(topic)
    }

    fn unsubscribe(&self, topic: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.inner.unsubscribe(topic)
    }

    fn claim(&self, attempt: Attempt) -> BoxFuture<'_, Result<Claim, BrokerError>> {
        self.inner.claim(attempt)
    }

    fn answer(&self, claimed: Claimed, answer: Bytes) -> BoxFuture<'_, Result<Bytes, BrokerError>> {
        self.inner.answer(claimed, answer)
    }
}
