//! A server that nodes share, in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::bus::SimulatedNodes;
use super::faults::SimulatedFaults;
use super::node::SimulatedNode;
use super::rosters::KeptRoster;
use super::store::{Line, SimulatedStore};
use super::topic::Topic;
use crate::answer::{CommandKey, Fingerprint};
use crate::bus::NodeName;
use crate::chance::Chance;
use crate::claim::{Attempt, Claim, Claimed};
use crate::clock::whole_ms;
use crate::deletion::Deletion;
use crate::error::BrokerError;
use crate::history::HistoryQuery;
use crate::leases::held_for;
use crate::publication::Publish;
use crate::roster::{Committed, Roster, RosterChange, RosterRevision};
use crate::shared::{Appended, Deleted, Push, SequencerOptions, StoredHistory, Top, Unwatched};
use crate::topic_name::TopicName;

/// A server that several nodes share, in memory. Its time is that of the tokio runtime, which a
/// test may [pause](https://docs.rs/tokio/latest/tokio/time/fn.pause.html); with the same seed
/// and on a runtime of one thread, everything happens again in the same way.
///
/// A cheap handle: its clones are the same server.
#[derive(Clone)]
pub struct SimulatedServer(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    nodes: SimulatedNodes,
    chance: Chance,
    begun: Instant,
    /// Wakes requests that wait while the server is frozen.
    thawed: Notify,
}

/// The data of a process of the server, or of a replica.
#[derive(Clone, Default)]
struct Data {
    topics: BTreeMap<TopicName, Topic>,
    claims: BTreeMap<CommandKey, Held>,
    rosters: BTreeMap<TopicName, KeptRoster>,
}

struct State {
    data: Data,
    /// The data of a replica whose line was cut, if it was.
    replica: Option<Data>,
    /// The identity of the process.
    process: u64,
    /// The latest time that a life was named by.
    life_ms: u64,
    faults: SimulatedFaults,
    is_frozen: bool,
    is_full: bool,
    lines: Vec<Weak<Line>>,
}

#[derive(Clone)]
struct Held {
    token: u128,
    fingerprint: Option<Fingerprint>,
    answer: Option<Bytes>,
    ends_ms: u64,
    /// The end of the time in which the outcome is in doubt.
    doubt_ends_ms: u64,
}

/// The time of day at which a simulated server starts.
const BEGINNING_MS: u64 = 1_700_000_000_000;

impl SimulatedServer {
    /// An empty server without faults.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                data: Data::default(),
                replica: None,
                process: 1,
                life_ms: 0,
                faults: SimulatedFaults::default(),
                is_frozen: false,
                is_full: false,
                lines: Vec::new(),
            }),
            nodes: SimulatedNodes::new(),
            chance: Chance::new(seed),
            begun: Instant::now(),
            thawed: Notify::new(),
        }))
    }

    /// A node's store, with lines of its own to the server.
    #[must_use]
    pub fn connect(&self) -> SimulatedStore {
        let line = Arc::new(Line::new());
        self.0.state.lock().lines.push(Arc::downgrade(&line));
        SimulatedStore::new(self.clone(), line)
    }

    /// A new node: a broker whose clock is the server's, over a [store](Self::connect) of its own, with
    /// a line to the other nodes and rosters.
    ///
    /// # Panics
    ///
    /// Panics if a living node has the name, or outside a tokio runtime.
    #[must_use]
    pub fn join(&self, name: NodeName, options: SequencerOptions) -> SimulatedNode {
        SimulatedNode::new(self.clone(), name, options)
    }

    /// The nodes that have [joined](Self::join).
    #[must_use]
    pub fn nodes(&self) -> &SimulatedNodes {
        &self.0.nodes
    }

    /// Sets the faults from now on.
    pub fn set_faults(&self, faults: SimulatedFaults) {
        self.0.state.lock().faults = faults;
    }

    /// Stops the process, as SIGSTOP does: lines stay up, and requests that come are answered
    /// when it goes on. Callers learn after 5 s that nothing came.
    pub fn freeze(&self) {
        self.0.state.lock().is_frozen = true;
    }

    /// Lets a frozen process go on.
    pub fn thaw(&self) {
        self.0.state.lock().is_frozen = false;
        self.0.thawed.notify_waiters();
    }

    /// Takes the server's memory, or gives it back: without any, publications, claims and changes of
    /// rosters fail as [`Full`](BrokerError::Full), and reading goes on.
    pub fn set_full(&self, is_full: bool) {
        self.0.state.lock().is_full = is_full;
    }

    /// Makes sure that there is memory.
    pub(super) fn memory(&self) -> Result<(), BrokerError> {
        match self.0.state.lock().is_full {
            true => Err(BrokerError::Full(
                "the simulated server has no memory left".into(),
            )),
            false => Ok(()),
        }
    }

    /// Ends the process, and starts another one with the same data.
    pub fn restart(&self) {
        self.replace(|_| ());
    }

    /// Ends the process, and starts another one without data.
    pub fn restart_empty(&self) {
        self.replace(|state| state.data = Data::default());
    }

    /// Forgets all data, as `FLUSHALL` does: the process goes on, and lines stay up.
    pub fn flush(&self) {
        self.0.state.lock().data = Data::default();
    }

    /// Cuts the line between the server and its replica, which has everything up to now.
    pub fn detach_replica(&self) {
        let mut state = self.0.state.lock();
        state.replica = Some(state.data.clone());
    }

    /// Ends the process, and promotes the replica. What was written since it was
    /// [detached](Self::detach_replica) is lost; without that, nothing is.
    pub fn fail_over(&self) {
        self.replace(|state| {
            if let Some(replica) = state.replica.take() {
                state.data = replica;
            }
        });
    }

    /// The texts of all publications of a topic that are kept, with their offsets: for a test to
    /// compare.
    #[must_use]
    pub fn kept(&self, topic: &TopicName) -> Option<StoredHistory> {
        let mut state = self.0.state.lock();
        let topic = state.data.topics.get_mut(topic)?;
        Some(topic.read(HistoryQuery::Latest(usize::MAX)))
    }

    fn replace(&self, change: impl FnOnce(&mut State)) {
        let lines: Vec<_> = {
            let mut state = self.0.state.lock();
            change(&mut state);
            state.process += 1;
            state.is_frozen = false;
            state.lines.retain(|line| line.strong_count() > 0);
            state.lines.iter().filter_map(Weak::upgrade).collect()
        };
        self.0.thawed.notify_waiters();
        for line in lines {
            line.break_down(&Unwatched::All);
            line.resume();
        }
    }

    pub(super) fn chance(&self) -> &Chance {
        &self.0.chance
    }

    pub(super) fn faults(&self) -> SimulatedFaults {
        self.0.state.lock().faults
    }

    /// Waits while the process is stopped.
    pub(super) async fn wait_until_thawed(&self) {
        loop {
            let mut thawed = std::pin::pin!(self.0.thawed.notified());
            thawed.as_mut().enable();
            if !self.0.state.lock().is_frozen {
                return;
            }
            thawed.await;
        }
    }

    /// The identity of the process, by which a request is recognised that came to one before.
    pub(super) fn process(&self) -> u64 {
        self.0.state.lock().process
    }

    pub(super) fn now_ms(&self) -> u64 {
        BEGINNING_MS + whole_ms(self.0.begun.elapsed())
    }

    fn enter<R>(&self, topic: &TopicName, act: impl FnOnce(&mut Topic) -> R) -> R {
        let now_ms = self.now_ms();
        let mut state = self.0.state.lock();
        let process = state.process;
        // Lives sort by the times at which they began, for a test to compare.
        state.life_ms = now_ms.max(state.life_ms + 1);
        let life_ms = state.life_ms;
        let topic = state
            .data
            .topics
            .entry(topic.clone())
            .or_insert_with(|| Topic::begin(process, life_ms, now_ms));
        topic.enter(process, life_ms, now_ms);
        act(topic)
    }

    pub(super) fn publish(&self, topic: &TopicName, group: Vec<Publish>) -> Appended {
        let (outcomes, pushed, continues) = self.enter(topic, |topic| {
            let (outcomes, pushed) = topic.append(group);
            (outcomes, pushed, topic.continues())
        });
        if let Some(pushed) = pushed {
            self.push(topic, &Push::Published(pushed));
        }
        Appended::new(outcomes, continues)
    }

    pub(super) fn delete(&self, topic: &TopicName, which: &Deletion) -> Deleted {
        let deleted = self.enter(topic, |topic| topic.delete(which));
        if !deleted.offsets.is_empty() {
            self.push(topic, &Push::Deleted(deleted.clone()));
        }
        deleted
    }

    pub(super) fn history(&self, topic: &TopicName, query: HistoryQuery) -> StoredHistory {
        self.enter(topic, |topic| topic.read(query))
    }

    pub(super) fn top(&self, topic: &TopicName) -> Option<Top> {
        let exists = self.0.state.lock().data.topics.contains_key(topic);
        exists.then(|| self.enter(topic, |topic| topic.top()))
    }

    pub(super) fn topics(&self, after: Option<&TopicName>, limit: usize) -> Vec<TopicName> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let state = self.0.state.lock();
        state
            .data
            .topics
            .range((after, Bound::Unbounded))
            .filter(|(_, topic)| topic.has_begun())
            .map(|(name, _)| name.clone())
            .take(limit)
            .collect()
    }

    pub(super) fn claim(&self, attempt: Attempt) -> Result<Claim, BrokerError> {
        let now_ms = self.now_ms();
        let mut state = self.0.state.lock();
        let claims = &mut state.data.claims;
        if let Some(held) = claims.get(&attempt.key)
            && held.doubt_ends_ms > now_ms
        {
            let both = held.fingerprint.zip(attempt.fingerprint);
            if both.is_some_and(|(before, now)| before != now) {
                return Err(BrokerError::Reused);
            }
            return Ok(match &held.answer {
                Some(answer) => Claim::Answered(answer.clone()),
                None if held.ends_ms > now_ms => Claim::Running,
                None => Claim::InDoubt,
            });
        }
        let token = claims.get(&attempt.key).map_or(0, |held| held.token) + 1;
        let held = Held {
            token,
            fingerprint: attempt.fingerprint,
            answer: None,
            ends_ms: now_ms.saturating_add(whole_ms(attempt.lease)),
            doubt_ends_ms: now_ms.saturating_add(whole_ms(held_for(&attempt))),
        };
        claims.insert(attempt.key.clone(), held);
        Ok(Claim::Mine(Claimed::new(attempt, token)))
    }

    pub(super) fn answer(&self, claimed: Claimed, answer: Bytes) -> Bytes {
        let now_ms = self.now_ms();
        let mut state = self.0.state.lock();
        let claims = &mut state.data.claims;
        if let Some(held) = claims.get(&claimed.attempt.key)
            && held.ends_ms > now_ms
            && let Some(earlier) = &held.answer
        {
            return earlier.clone();
        }
        let ends_ms = now_ms.saturating_add(whole_ms(claimed.attempt.window));
        let held = Held {
            token: claimed.token,
            fingerprint: claimed.attempt.fingerprint,
            answer: Some(answer.clone()),
            ends_ms,
            doubt_ends_ms: ends_ms,
        };
        claims.insert(claimed.attempt.key, held);
        answer
    }

    pub(super) fn roster(&self, topic: &TopicName) -> Roster {
        let now_ms = self.now_ms();
        let state = self.0.state.lock();
        state
            .data
            .rosters
            .get(topic)
            .cloned()
            .unwrap_or_default()
            .read(now_ms)
    }

    pub(super) fn roster_revision(&self, topic: &TopicName) -> RosterRevision {
        let state = self.0.state.lock();
        state
            .data
            .rosters
            .get(topic)
            .map(KeptRoster::revision)
            .unwrap_or_default()
    }

    pub(super) fn commit(&self, topic: &TopicName, change: &Arc<RosterChange>) -> Committed {
        let time_ms = self.now_ms();
        let mut state = self.0.state.lock();
        let roster = state.data.rosters.entry(topic.clone()).or_default();
        if !roster.commit(change) {
            let revision = roster.revision();
            return Committed::Conflict { revision };
        }
        // Under the lock, so that all nodes are told in the order of the changes.
        let faults = state.faults;
        for line in state.lines.iter().filter_map(Weak::upgrade) {
            if let Some(ear) = line.roster_ear(topic)
                && !self.chance().happens(faults.lost_push)
            {
                ear.push(topic, change, self.chance().time(faults.push_delay));
            }
        }
        Committed::Done { time_ms }
    }

    /// Pushes to all nodes that watch a topic.
    fn push(&self, topic: &TopicName, push: &Push) {
        let (lines, faults): (Vec<_>, _) = {
            let state = self.0.state.lock();
            let lines = state.lines.iter().filter_map(Weak::upgrade);
            (lines.collect(), state.faults)
        };
        for line in lines {
            let Some(feed) = line.watched_by(topic) else {
                continue;
            };
            let chance = self.chance();
            if chance.happens(faults.lost_push) {
                continue;
            }
            let copies = if chance.happens(faults.doubled_push) {
                2
            } else {
                1
            };
            for _ in 0..copies {
                let delay = chance.time(faults.push_delay);
                if delay < Duration::from_millis(1) {
                    feed.pushed(topic, push.clone());
                    continue;
                }
                let (feed, topic, push) = (Arc::clone(&feed), topic.clone(), push.clone());
                tokio::spawn(async move {
                    sleep(delay).await;
                    feed.pushed(&topic, push);
                });
            }
        }
    }
}

impl fmt::Debug for SimulatedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state.lock();
        f.debug_struct("SimulatedServer")
            .field("process", &state.process)
            .field("topics", &state.data.topics.len())
            .field("faults", &state.faults)
            .finish_non_exhaustive()
    }
}
