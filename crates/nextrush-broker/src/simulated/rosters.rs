//! Rosters on a simulated server.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, sleep_until};

use super::server::SimulatedServer;
use super::store::SimulatedStore;
use crate::error::BrokerError;
use crate::roster::{Committed, Roster, RosterChange, RosterRevision, RosterSink, Rosters};
use crate::topic_name::TopicName;

/// The time after which a node that could not watch its rosters again tries anew.
const PAUSE: Duration = Duration::from_millis(100);

/// A roster, as a process of the server keeps it.
#[derive(Clone, Debug, Default)]
pub(super) struct KeptRoster {
    revision: RosterRevision,
    head: Bytes,
    members: BTreeMap<u64, Bytes>,
}

impl KeptRoster {
    pub(super) fn revision(&self) -> RosterRevision {
        self.revision
    }

    pub(super) fn read(&self, time_ms: u64) -> Roster {
        let members = self.members.iter();
        Roster {
            revision: self.revision,
            head: self.head.clone(),
            members: members
                .map(|(number, member)| (*number, member.clone()))
                .collect(),
            time_ms,
        }
    }

    /// Makes a change. `false` if it goes out from another revision.
    pub(super) fn commit(&mut self, change: &RosterChange) -> bool {
        if self.revision != change.from {
            return false;
        }
        self.revision = change.to;
        self.head = change.head.clone();
        for number in &change.removed {
            self.members.remove(number);
        }
        self.members.extend(change.put.iter().cloned());
        true
    }
}

/// The rosters of a node, over the lines of its [`SimulatedStore`]. Made by
/// [`SimulatedStore::rosters`].
///
/// Pushes arrive in the order of the changes, however long each takes; none comes twice. After a
/// lost line the node watches its rosters again, and then tells the sink of the
/// [interruption](RosterSink::interrupted).
pub struct SimulatedRosters {
    store: SimulatedStore,
    ear: Arc<RosterEar>,
}

/// The receiver of changes at the node's end of a line.
#[derive(Default)]
pub(super) struct RosterEar {
    sink: OnceLock<Arc<dyn RosterSink>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    interests: BTreeMap<TopicName, usize>,
    /// The rosters whose changes the server pushes.
    heard: BTreeSet<TopicName>,
    /// The changes under way, in their order, and when each arrives.
    under_way: VecDeque<(Instant, TopicName, Arc<RosterChange>)>,
    is_telling: bool,
}

impl RosterEar {
    /// Returns `true` if changes of the roster are pushed.
    pub(super) fn hears(&self, topic: &TopicName) -> bool {
        self.state.lock().heard.contains(topic)
    }

    /// Sends a change on its way, which takes this long or until those before have arrived.
    pub(super) fn push(
        self: &Arc<Self>,
        topic: &TopicName,
        change: &Arc<RosterChange>,
        delay: Duration,
    ) {
        let mut state = self.state.lock();
        let arrives = Instant::now() + delay;
        state
            .under_way
            .push_back((arrives, topic.clone(), Arc::clone(change)));
        if !std::mem::replace(&mut state.is_telling, true) {
            tokio::spawn(Arc::clone(self).tell());
        }
    }

    async fn tell(self: Arc<Self>) {
        loop {
            let arrives = match self.state.lock().under_way.front() {
                Some((arrives, ..)) => *arrives,
                None => Instant::now(),
            };
            if arrives > Instant::now() {
                sleep_until(arrives).await;
            }
            let (topic, change) = {
                let mut state = self.state.lock();
                let Some((_, topic, change)) = state.under_way.pop_front() else {
                    state.is_telling = false;
                    return;
                };
                if !state.interests.contains_key(&topic) {
                    continue;
                }
                (topic, change)
            };
            if let Some(sink) = self.sink.get() {
                sink.changed(&topic, &change);
            }
        }
    }

    /// Loses what is under way, and what is watched.
    pub(super) fn deafen(&self) {
        let mut state = self.state.lock();
        state.heard.clear();
        state.under_way.clear();
    }

    fn unheard(&self) -> Vec<TopicName> {
        let state = self.state.lock();
        let unheard = state
            .interests
            .keys()
            .filter(|topic| !state.heard.contains(*topic));
        unheard.cloned().collect()
    }

    fn give_back(&self, topic: &TopicName) {
        let mut state = self.state.lock();
        if let Some(count) = state.interests.get_mut(topic) {
            *count -= 1;
            if *count == 0 {
                state.interests.remove(topic);
                state.heard.remove(topic);
            }
        }
    }
}

/// An interest in a roster that is taken back if nothing comes of it.
struct Interest<'a> {
    ear: &'a RosterEar,
    topic: &'a TopicName,
    is_kept: bool,
}

impl Drop for Interest<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.ear.give_back(self.topic);
        }
    }
}

impl SimulatedRosters {
    pub(super) fn new(store: SimulatedStore) -> Self {
        let ear = Arc::<RosterEar>::default();
        store.set_roster_ear(&ear);
        Self { store, ear }
    }
}

/// Asks the server to push the changes of rosters, those that the node is interested in.
async fn hear(
    store: &SimulatedStore,
    ear: &Arc<RosterEar>,
    topics: Vec<TopicName>,
) -> Result<(), BrokerError> {
    let (line, ear) = (store.line(), Arc::clone(ear));
    let breaks = line.breaks();
    let watch = move |_: &_| {
        let mut state = ear.state.lock();
        // What is watched on a line that has broken is gone with it.
        if line.breaks() == breaks {
            let wanted = topics
                .into_iter()
                .filter(|topic| state.interests.contains_key(topic));
            let wanted: Vec<_> = wanted.collect();
            state.heard.extend(wanted);
        }
    };
    store.ask(false, watch).await
}

/// Watches all rosters of a node again after a lost line, and tells that changes may be missing.
pub(super) async fn hear_again(store: SimulatedStore, ear: Arc<RosterEar>) {
    loop {
        let unheard = ear.unheard();
        if unheard.is_empty() {
            break;
        }
        if hear(&store, &ear, unheard).await.is_err() {
            if store.line().is_cut() {
                // The end of the cut begins this anew.
                return;
            }
            sleep(PAUSE).await;
        }
    }
    if let Some(sink) = ear.sink.get() {
        sink.interrupted();
    }
}

impl Rosters for SimulatedRosters {
    fn attach(&self, sink: Arc<dyn RosterSink>) {
        self.ear.sink.get_or_init(|| sink);
    }

    fn watch(&self, topic: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            *self
                .ear
                .state
                .lock()
                .interests
                .entry(topic.clone())
                .or_default() += 1;
            let mut interest = Interest {
                ear: &self.ear,
                topic: &topic,
                is_kept: false,
            };
            if !self.ear.hears(&topic) {
                hear(&self.store, &self.ear, vec![topic.clone()]).await?;
            }
            interest.is_kept = true;
            Ok(())
        })
    }

    fn unwatch(&self, topic: &TopicName) -> BoxFuture<'_, ()> {
        let topic = topic.clone();
        Box::pin(async move { self.ear.give_back(&topic) })
    }

    fn read(&self, topic: &TopicName) -> BoxFuture<'_, Result<Roster, BrokerError>> {
        let topic = topic.clone();
        Box::pin(self.store.ask(false, move |server| server.roster(&topic)))
    }

    fn commit(
        &self,
        topic: &TopicName,
        change: Arc<RosterChange>,
    ) -> BoxFuture<'_, Result<Committed, BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            let commit = move |server: &SimulatedServer| {
                server.memory()?;
                Ok(server.commit(&topic, &change))
            };
            self.store.ask(false, commit).await?
        })
    }

    fn revisions(
        &self,
        topics: &[TopicName],
    ) -> BoxFuture<'_, Result<Vec<RosterRevision>, BrokerError>> {
        let topics = topics.to_vec();
        Box::pin(self.store.ask(false, move |server| {
            topics
                .iter()
                .map(|topic| server.roster_revision(topic))
                .collect()
        }))
    }
}

impl fmt::Debug for SimulatedRosters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let watched: Vec<_> = self.ear.state.lock().interests.keys().cloned().collect();
        f.debug_tuple("SimulatedRosters").field(&watched).finish()
    }
}
