//! The rosters that a node watches.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use nextrush_broker::{BrokerError, RosterSink, TopicName};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::wire::read_change;
use crate::backoff::Backoff;
use crate::failure::Failure;
use crate::partition::Partition;
use crate::store::RedisStore;
use crate::subscriber::{Ear, Target};

/// The most channels in one command.
const BATCH: usize = 512;

/// The time for which the sink is not told that some rosters are watched again while others are
/// not: nodes compare all of them then.
const PATIENCE: Duration = Duration::from_millis(100);

/// The rosters that a node watches.
///
/// One task subscribes and unsubscribes, for each server one command after the other: what has
/// to be done meanwhile goes together in the next. It subscribes again to what a lost connection
/// had.
pub(super) struct Watching {
    store: Arc<RedisStore>,
    sink: OnceLock<Arc<dyn RosterSink>>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    rosters: HashMap<TopicName, Watched>,
    /// The rosters whose channels have to be subscribed to or unsubscribed from.
    due: HashMap<Partition, HashSet<TopicName>>,
    /// The number of rosters that a lost connection had and that are not heard again.
    lost: usize,
    /// The time at which the sink is told that changes may have been lost.
    tell_at: Option<Instant>,
}

#[derive(Default)]
struct Watched {
    interests: usize,
    is_heard: bool,
    is_lost: bool,
    /// The number of times that the channel was lost.
    losses: u64,
    waiting: Vec<oneshot::Sender<Result<(), Failure>>>,
}

/// The commands for one server at a time.
struct Work {
    partition: Partition,
    subscribe: Vec<TopicName>,
    /// The number of times that each of these was lost before.
    losses: Vec<u64>,
    unsubscribe: Vec<TopicName>,
}

/// An interest in a roster that is taken back if nothing comes of it.
struct Interest<'a> {
    watching: &'a Watching,
    topic: &'a TopicName,
    is_kept: bool,
}

impl Drop for Interest<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.watching.unwatch(self.topic);
        }
    }
}

impl Watching {
    pub(super) fn new(store: Arc<RedisStore>) -> Arc<Self> {
        Arc::new(Self {
            store,
            sink: OnceLock::new(),
            state: Mutex::default(),
            changed: Notify::new(),
        })
    }

    pub(super) fn attach(&self, sink: Arc<dyn RosterSink>) {
        self.sink.get_or_init(|| sink);
    }

    /// Watches a roster. Resolves when the server has said so.
    pub(super) async fn watch(&self, topic: &TopicName) -> Result<(), BrokerError> {
        let heard = {
            let mut state = self.state.lock();
            let watched = state.rosters.entry(topic.clone()).or_default();
            watched.interests += 1;
            if watched.is_heard {
                None
            } else {
                let (done, heard) = oneshot::channel();
                watched.waiting.push(done);
                self.mark_due(&mut state, topic);
                Some(heard)
            }
        };
        let mut interest = Interest {
            watching: self,
            topic,
            is_kept: false,
        };
        if let Some(heard) = heard {
            self.changed.notify_one();
            let deadline = self.store.requests.connector.deadlines.command;
            let away = self
                .store
                .requests
                .away_from(self.store.request_partition(topic));
            match timeout(deadline.saturating_sub(away.unwrap_or_default()), heard).await {
                Ok(Ok(heard)) => heard?,
                // The task has ended, as the rosters do.
                Ok(Err(_)) => return Err(Failure::NotConnected("Redis".to_owned()).into()),
                // Nothing was sent, or what was sent does no harm.
                Err(_) if away.is_some() => {
                    return Err(Failure::NotConnected("Redis".to_owned()).into());
                }
                Err(_) => return Err(Failure::Late(deadline).into()),
            }
        }
        interest.is_kept = true;
        Ok(())
    }

    /// Takes back one interest.
    pub(super) fn unwatch(&self, topic: &TopicName) {
        let mut state = self.state.lock();
        let Some(watched) = state.rosters.get_mut(topic) else {
            return;
        };
        watched.interests = watched.interests.saturating_sub(1);
        if watched.interests == 0 {
            self.mark_due(&mut state, topic);
            drop(state);
            self.changed.notify_one();
        }
    }

    fn mark_due(&self, state: &mut State, topic: &TopicName) {
        let partition = self.store.request_partition(topic);
        state
            .due
            .entry(partition)
            .or_default()
            .insert(topic.clone());
    }

    /// Takes what is to be done for servers at which nothing is under way.
    fn take_work(&self, busy: &HashSet<Partition>) -> Vec<Work> {
        let mut state = self.state.lock();
        let State {
            rosters, due, lost, ..
        } = &mut *state;
        let mut work = Vec::new();
        for (partition, topics) in due.iter_mut().filter(|(one, _)| !busy.contains(one)) {
            let mut part = Work {
                partition: *partition,
                subscribe: Vec::new(),
                losses: Vec::new(),
                unsubscribe: Vec::new(),
            };
            let some: Vec<_> = topics.iter().take(BATCH).cloned().collect();
            for topic in some {
                topics.remove(&topic);
                let Some(watched) = rosters.get(&topic) else {
                    continue;
                };
                match (watched.interests > 0, watched.is_heard) {
                    (true, false) => {
                        part.losses.push(watched.losses);
                        part.subscribe.push(topic);
                    }
                    (false, is_heard) => {
                        *lost -= usize::from(watched.is_lost);
                        rosters.remove(&topic);
                        if is_heard {
                            part.unsubscribe.push(topic);
                        }
                    }
                    (true, true) => {}
                }
            }
            work.push(part);
        }
        due.retain(|_, topics| !topics.is_empty());
        work
    }

    /// Takes note of what came of subscribing.
    fn settle(&self, work: &Work, subscribed: &Result<(), Failure>) {
        let mut state = self.state.lock();
        let mut is_found = false;
        for (topic, losses) in work.subscribe.iter().zip(&work.losses) {
            let Some(watched) = state.rosters.get_mut(topic) else {
                continue;
            };
            for waiting in watched.waiting.drain(..) {
                // Whoever waited may have given up.
                let _ = waiting.send(subscribed.clone());
            }
            // Lost meanwhile, it may be that of the connection before.
            watched.is_heard = subscribed.is_ok() && watched.losses == *losses;
            if watched.is_heard && std::mem::take(&mut watched.is_lost) {
                is_found = true;
                state.lost -= 1;
            }
            let watched = state.rosters.get(topic);
            if watched.is_some_and(|one| one.is_heard == (one.interests == 0)) {
                self.mark_due(&mut state, topic);
            }
        }
        if is_found {
            let patience = match state.lost {
                0 => Duration::ZERO,
                _ => PATIENCE,
            };
            let tell_at = Instant::now() + patience;
            let earlier = state
                .tell_at
                .map_or(tell_at, |earlier| earlier.min(tell_at));
            state.tell_at = Some(earlier);
        }
    }

    async fn carry_out(&self, work: Work, pause: Duration) -> (Partition, bool) {
        let partition = work.partition;
        let channel = |topic: &TopicName| self.store.keys.roster_channel(topic);
        if !work.unsubscribe.is_empty() {
            let master = self.store.requests.masters.of(partition);
            if let Some(subscriber) = master.and_then(|master| master.subscriber()) {
                // What is pushed nevertheless is dropped.
                let _ = subscriber
                    .unwatch(work.unsubscribe.iter().map(channel).collect())
                    .await;
            }
        }
        if work.subscribe.is_empty() {
            return (partition, true);
        }
        let channels = || {
            work.subscribe
                .iter()
                .map(|topic| (channel(topic), Target::Roster(topic.clone())))
                .collect()
        };
        let subscribed = self.store.requests.watch(partition, channels).await;
        self.settle(&work, &subscribed);
        if let Err(failure) = &subscribed {
            tracing::debug!("rosters are not watched yet: {failure}");
            sleep(pause).await;
        }
        (partition, subscribed.is_ok())
    }

    /// Tells the sink of an interruption if it is time.
    fn tell(&self) {
        let is_time = {
            let mut state = self.state.lock();
            let is_time = state.tell_at.is_some_and(|at| at <= Instant::now());
            if is_time {
                state.tell_at = None;
            }
            is_time
        };
        if is_time && let Some(sink) = self.sink.get() {
            sink.interrupted();
        }
    }

    /// Subscribes and unsubscribes, for ever.
    pub(super) async fn keep(self: Arc<Self>) {
        let mut under_way = FuturesUnordered::new();
        let mut busy = HashSet::new();
        let mut backoffs: HashMap<Partition, Backoff> = HashMap::new();
        loop {
            for work in self.take_work(&busy) {
                busy.insert(work.partition);
                let pause = backoffs.entry(work.partition).or_default().next();
                under_way.push(self.carry_out(work, pause));
            }
            self.tell();
            let tell_at = self.state.lock().tell_at;
            tokio::select! {
                Some((partition, is_done)) = under_way.next() => {
                    busy.remove(&partition);
                    if is_done {
                        backoffs.remove(&partition);
                    }
                }
                () = self.changed.notified() => {}
                () = until(tell_at) => {}
            }
        }
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

impl Ear for Watching {
    fn hear(&self, target: &Target, message: Bytes) {
        let (Target::Roster(topic), Some(sink)) = (target, self.sink.get()) else {
            return;
        };
        let is_wanted = self
            .state
            .lock()
            .rosters
            .get(topic)
            .is_some_and(|one| one.interests > 0);
        if !is_wanted {
            return;
        }
        match read_change(message) {
            Some(change) => sink.changed(topic, &Arc::new(change)),
            // From a newer node: it is missed, and the next check tells so.
            None => tracing::debug!(%topic, "a change of another version was left out"),
        }
    }

    fn deafened(&self, targets: Vec<Target>) {
        let mut state = self.state.lock();
        for target in targets {
            let Target::Roster(topic) = target else {
                continue;
            };
            let Some(watched) = state.rosters.get_mut(&topic) else {
                continue;
            };
            watched.is_heard = false;
            watched.losses += 1;
            if !std::mem::replace(&mut watched.is_lost, true) {
                state.lost += 1;
            }
            self.mark_due(&mut state, &topic);
        }
        drop(state);
        self.changed.notify_one();
    }
}
