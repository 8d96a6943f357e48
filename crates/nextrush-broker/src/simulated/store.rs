//! A node's lines to a simulated server.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::rosters::{RosterEar, SimulatedRosters, hear_again};
use super::server::SimulatedServer;
use crate::claim::{Attempt, Claim, Claimed};
use crate::deletion::Deletion;
use crate::error::BrokerError;
use crate::history::HistoryQuery;
use crate::publication::Publish;
use crate::shared::{Appended, Deleted, Feed, SharedStore, StoredHistory, Top, Unwatched};
use crate::topic_name::TopicName;

/// The time after which a caller learns that no reply came.
const DEADLINE: Duration = Duration::from_secs(5);

/// A node's store, over lines of its own to a [`SimulatedServer`]. Made by
/// [`SimulatedServer::connect`].
pub struct SimulatedStore {
    server: SimulatedServer,
    line: Arc<Line>,
    /// Held while a group is on its way, so that groups arrive in their order.
    order: Arc<tokio::sync::Mutex<()>>,
}

/// The lines between a node and the server.
pub(super) struct Line(Mutex<Ends>);

struct Ends {
    feed: Option<Arc<dyn Feed>>,
    watched: BTreeSet<TopicName>,
    rosters: Option<(SimulatedServer, Weak<RosterEar>)>,
    /// The moment since which the line is cut, if it is.
    cut_since: Option<Instant>,
    /// `true` if pushes get lost without anybody noticing.
    is_deaf: bool,
    /// The number of times that the line was lost: replies to what was sent before do not come.
    breaks: u64,
}

impl Line {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Ends {
            feed: None,
            watched: BTreeSet::new(),
            rosters: None,
            cut_since: None,
            is_deaf: false,
            breaks: 0,
        }))
    }

    /// The node's feed, if the topic is pushed to it.
    pub(super) fn watched_by(&self, topic: &TopicName) -> Option<Arc<dyn Feed>> {
        let ends = self.0.lock();
        let is_pushed = ends.watched.contains(topic) && !ends.is_deaf && ends.cut_since.is_none();
        ends.feed.clone().filter(|_| is_pushed)
    }

    /// The node's receiver of changes, if those of the roster are pushed to it.
    pub(super) fn roster_ear(&self, topic: &TopicName) -> Option<Arc<RosterEar>> {
        let ear = {
            let ends = self.0.lock();
            let is_pushed = !ends.is_deaf && ends.cut_since.is_none();
            ends.rosters.as_ref().filter(|_| is_pushed)?.1.upgrade()
        };
        ear.filter(|ear| ear.hears(topic))
    }

    pub(super) fn break_down(&self, topics: &Unwatched) {
        let (feed, rosters) = {
            let mut ends = self.0.lock();
            let mut rosters = None;
            match topics {
                Unwatched::All => {
                    ends.breaks += 1;
                    ends.is_deaf = false;
                    ends.watched.clear();
                    rosters = ends.rosters.as_ref().and_then(|(_, ear)| ear.upgrade());
                }
                Unwatched::Topics(topics) => {
                    for topic in topics {
                        ends.watched.remove(topic);
                    }
                }
            }
            (ends.feed.clone(), rosters)
        };
        // Not under the lock, which is taken under that of the ear.
        if let Some(ear) = rosters {
            ear.deafen();
        }
        if let Some(feed) = feed {
            feed.unwatched(topics.clone());
        }
    }

    pub(super) fn resume(self: &Arc<Self>) {
        let (feed, rosters) = {
            let ends = self.0.lock();
            (ends.feed.clone(), ends.rosters.clone())
        };
        if let Some(feed) = feed {
            feed.resumed();
        }
        if let Some((server, ear)) = rosters
            && let Some(ear) = ear.upgrade()
        {
            let store = SimulatedStore::new(server, Arc::clone(self));
            tokio::spawn(hear_again(store, ear));
        }
    }

    fn set_cut(&self, is_cut: bool) {
        let mut ends = self.0.lock();
        ends.cut_since = match is_cut {
            true => ends.cut_since.or_else(|| Some(Instant::now())),
            false => None,
        };
    }

    pub(super) fn is_cut(&self) -> bool {
        self.0.lock().cut_since.is_some()
    }

    pub(super) fn breaks(&self) -> u64 {
        self.0.lock().breaks
    }
}

impl SimulatedStore {
    pub(super) fn new(server: SimulatedServer, line: Arc<Line>) -> Self {
        Self {
            server,
            line,
            order: Arc::default(),
        }
    }

    /// The rosters of the node, over the same lines. Once for a store.
    #[must_use]
    pub fn rosters(&self) -> SimulatedRosters {
        SimulatedRosters::new(Self::new(self.server.clone(), Arc::clone(&self.line)))
    }

    pub(super) fn line(&self) -> Arc<Line> {
        Arc::clone(&self.line)
    }

    pub(super) fn set_roster_ear(&self, ear: &Arc<RosterEar>) {
        let ear = Arc::downgrade(ear);
        self.line.0.lock().rosters = Some((self.server.clone(), ear));
    }

    /// Cuts the node off: its requests fail, and it is pushed nothing.
    pub fn cut(&self) {
        self.line.set_cut(true);
        self.line.break_down(&Unwatched::All);
    }

    /// Ends a [cut](Self::cut).
    pub fn mend(&self) {
        self.line.set_cut(false);
        self.line.resume();
    }

    /// Ends the pushes of some topics, as when a partition moves.
    pub fn unwatch_suddenly(&self, topics: Vec<TopicName>) {
        self.line.break_down(&Unwatched::Topics(topics));
    }

    /// Loses all pushes to this node without a word, until the line breaks or
    /// [`undeafen`](Self::undeafen) is called.
    pub fn deafen(&self) {
        self.line.0.lock().is_deaf = true;
    }

    /// Ends [`deafen`](Self::deafen).
    pub fn undeafen(&self) {
        self.line.0.lock().is_deaf = false;
    }

    /// Sends a request to the server and waits for the reply.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        is_ordered: bool,
        act: impl FnOnce(&SimulatedServer) -> T + Send + 'static,
    ) -> Result<T, BrokerError> {
        let faults = self.server.faults();
        let chance = self.server.chance();
        if self.line.is_cut() || chance.happens(faults.refused) {
            let refused = "the simulated line is cut, or the request was refused";
            return Err(BrokerError::Unavailable(refused.into()));
        }
        let is_lost = chance.happens(faults.lost_reply);
        let [there, back] = [0, 1].map(|_| chance.time(faults.delay));
        let (reply, replied) = oneshot::channel();
        let (server, line) = (self.server.clone(), Arc::clone(&self.line));
        let order = is_ordered.then(|| Arc::clone(&self.order));
        let breaks = line.breaks();
        let process = server.process();
        tokio::spawn(async move {
            let in_order = match &order {
                Some(order) => Some(order.lock().await),
                None => None,
            };
            travel(there).await;
            server.wait_until_thawed().await;
            if server.process() != process {
                return;
            }
            let result = act(&server);
            drop(in_order);
            travel(back).await;
            if !is_lost && line.breaks() == breaks {
                // A caller that has stopped waiting does not need the reply.
                let _ = reply.send(result);
            }
        });
        match timeout(DEADLINE, replied).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) if is_lost => {
                sleep(DEADLINE).await;
                Err(BrokerError::InDoubt("the simulated reply was lost".into()))
            }
            Ok(Err(error)) => Err(BrokerError::InDoubt(error.into())),
            Err(error) => Err(BrokerError::InDoubt(error.into())),
        }
    }

    /// A request with a result for each of so many topics.
    async fn ask_for_each<T: Send + 'static>(
        &self,
        count: usize,
        act: impl FnOnce(&SimulatedServer) -> Vec<T> + Send + 'static,
    ) -> Vec<Result<T, BrokerError>> {
        match self.ask(false, act).await {
            Ok(results) => results.into_iter().map(Ok).collect(),
            Err(error) => {
                let text = error.to_string();
                let failed = || Err(BrokerError::Unavailable(text.clone().into()));
                std::iter::repeat_with(failed).take(count).collect()
            }
        }
    }
}

/// Takes a while. Times below a millisecond are none, as the runtime's timer is no finer.
async fn travel(time: Duration) {
    if time >= Duration::from_millis(1) {
        sleep(time).await;
    }
}

impl SharedStore for SimulatedStore {
    fn connect(&self, feed: Arc<dyn Feed>) {
        self.line.0.lock().feed = Some(feed);
    }

    fn publish(
        &self,
        topic: &TopicName,
        group: Vec<Publish>,
    ) -> BoxFuture<'_, Result<Appended, BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            self.ask(true, move |server| {
                server.memory()?;
                Ok(server.publish(&topic, group))
            })
            .await?
        })
    }

    fn history(
        &self,
        topic: &TopicName,
        query: HistoryQuery,
    ) -> BoxFuture<'_, Result<StoredHistory, BrokerError>> {
        let topic = topic.clone();
        Box::pin(self.ask(false, move |server| server.history(&topic, query)))
    }

    fn tops(&self, topics: &[TopicName]) -> BoxFuture<'_, Vec<Result<Option<Top>, BrokerError>>> {
        let topics = topics.to_vec();
        Box::pin(self.ask_for_each(topics.len(), move |server| {
            topics.iter().map(|topic| server.top(topic)).collect()
        }))
    }

    fn watch(&self, topics: &[TopicName]) -> BoxFuture<'_, Vec<Result<(), BrokerError>>> {
        let topics = topics.to_vec();
        let line = Arc::clone(&self.line);
        let breaks = line.breaks();
        Box::pin(self.ask_for_each(topics.len(), move |_| {
            let mut ends = line.0.lock();
            // A subscription on a line that has broken is gone with it.
            if ends.breaks == breaks {
                ends.watched.extend(topics.iter().cloned());
            }
            vec![(); topics.len()]
        }))
    }

    fn unwatch(&self, topics: &[TopicName]) -> BoxFuture<'_, ()> {
        let topics = topics.to_vec();
        let line = Arc::clone(&self.line);
        Box::pin(async move {
            let count = topics.len();
            let unwatch = move |_: &SimulatedServer| {
                let mut ends = line.0.lock();
                for topic in &topics {
                    ends.watched.remove(topic);
                }
                vec![(); count]
            };
            drop(self.ask_for_each(count, unwatch).await);
        })
    }

    fn topics(
        &self,
        after: Option<&TopicName>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<TopicName>, BrokerError>> {
        let after = after.cloned();
        Box::pin(self.ask(false, move |server| server.topics(after.as_ref(), limit)))
    }

    fn claim(&self, attempt: Attempt) -> BoxFuture<'_, Result<Claim, BrokerError>> {
        Box::pin(async move {
            self.ask(false, |server| {
                server.memory()?;
                server.claim(attempt)
            })
            .await?
        })
    }

    fn answer(&self, claimed: Claimed, answer: Bytes) -> BoxFuture<'_, Result<Bytes, BrokerError>> {
        Box::pin(self.ask(false, |server| server.answer(claimed, answer)))
    }

    fn delete(
        &self,
        topic: &TopicName,
        which: Deletion,
    ) -> BoxFuture<'_, Result<Deleted, BrokerError>> {
        let topic = topic.clone();
        Box::pin(self.ask(true, move |server| server.delete(&topic, &which)))
    }

    fn away(&self) -> Option<Duration> {
        let since = self.line.0.lock().cut_since;
        since.map(|since| since.elapsed())
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.line.set_cut(true);
            let mut ends = self.line.0.lock();
            ends.watched.clear();
            ends.feed = None;
            ends.rosters = None;
        })
    }
}

impl fmt::Debug for SimulatedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedStore")
            .field("server", &self.server)
            .field("is_cut", &self.line.is_cut())
            .finish_non_exhaustive()
    }
}
