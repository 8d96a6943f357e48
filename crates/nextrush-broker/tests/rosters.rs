//! Rosters keep their promises, and stores that break one are found out.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use nextrush_broker::conformance::{
    SharedBrokers, StoreFault, pair_conformance, roster_conformance, roster_pair_conformance,
};
use nextrush_broker::simulated::{SimulatedFaults, SimulatedNode, SimulatedServer};
use nextrush_broker::{
    BoxFuture, Broker, BrokerError, Bytes, Committed, MemoryRosters, NodeName, Roster,
    RosterChange, RosterRevision, RosterSink, Rosters, SequencerOptions, TopicName,
};
use parking_lot::Mutex;

/// Nodes on a simulated server.
struct Simulation {
    server: SimulatedServer,
    nodes: Mutex<Vec<SimulatedNode>>,
}

impl Simulation {
    fn new() -> Self {
        Self {
            server: SimulatedServer::new(11),
            nodes: Mutex::default(),
        }
    }

    fn node(&self, number: usize) -> SimulatedNode {
        self.nodes.lock()[number].clone()
    }
}

impl SharedBrokers for Simulation {
    type Broker = SimulatedNode;

    async fn connect(&self, node: usize) -> SimulatedNode {
        let name = NodeName::try_from(&*format!("node-{node}")).unwrap();
        let node = self.server.join(name, SequencerOptions::default().seed(11));
        self.nodes.lock().push(node.clone());
        node
    }

    async fn fault(&self, fault: StoreFault) -> bool {
        match fault {
            StoreFault::Cut(node) => self.node(node).cut(),
            StoreFault::Mend(node) => self.node(node).mend(),
            StoreFault::Freeze => self.server.freeze(),
            StoreFault::Thaw => self.server.thaw(),
            StoreFault::Restart => self.server.restart(),
            StoreFault::RestartEmpty => self.server.restart_empty(),
            StoreFault::DetachReplica => self.server.detach_replica(),
            StoreFault::FailOver => self.server.fail_over(),
            _ => return false,
        }
        true
    }
}

#[tokio::test(start_paused = true)]
async fn simulated_nodes_keep_every_promise() {
    roster_pair_conformance(async || Simulation::new()).await;
    pair_conformance(async || Simulation::new()).await;
    roster_conformance(async || {
        let node = Simulation::new().connect(0).await;
        node.rosters().unwrap()
    })
    .await;
}

/// A sink that keeps the numbers of the changes that it is told of.
#[derive(Default)]
struct Numbers {
    told: Mutex<Vec<u64>>,
    interruptions: AtomicUsize,
}

impl RosterSink for Numbers {
    fn changed(&self, _: &TopicName, change: &Arc<RosterChange>) {
        self.told.lock().push(change.to.number);
    }

    fn interrupted(&self) {
        self.interruptions.fetch_add(1, Ordering::Relaxed);
    }
}

/// Two nodes of a simulation, and what the second is told of a roster.
async fn watched() -> (Simulation, Arc<dyn Rosters>, TopicName, Arc<Numbers>) {
    let simulation = Simulation::new();
    let rosters = [0, 1].map(|node| {
        let node = simulation.connect(node).now_or_never().unwrap();
        node.rosters().unwrap()
    });
    let topic = TopicName::try_from("lobby").unwrap();
    let numbers = Arc::new(Numbers::default());
    rosters[1].attach(numbers.clone());
    rosters[1].watch(&topic).await.unwrap();
    let [here, _] = rosters;
    (simulation, here, topic, numbers)
}

fn next(number: u64) -> Arc<RosterChange> {
    let revision = |number| RosterRevision::new(number, number);
    Arc::new(RosterChange::new(revision(number - 1), revision(number)))
}

#[tokio::test(start_paused = true)]
async fn simulated_changes_are_late_or_lost_and_keep_their_order() {
    let (simulation, here, topic, numbers) = watched().await;
    let faults = SimulatedFaults::default()
        .push_delay(Duration::from_millis(500))
        .lost_push(0.3)
        .doubled_push(0.5);
    simulation.server.set_faults(faults);
    for number in 1..=100 {
        let committed = here.commit(&topic, next(number)).await.unwrap();
        assert!(matches!(committed, Committed::Done { .. }));
    }
    assert!(numbers.told.lock().len() < 50, "pushes take their time");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let told = numbers.told.lock().clone();
    assert!((50..90).contains(&told.len()), "some are lost: {told:?}");
    assert!(told.is_sorted_by(|one, other| one < other), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_simulated_change_whose_reply_is_lost_is_in_doubt() {
    let (simulation, here, topic, _) = watched().await;
    simulation
        .server
        .set_faults(SimulatedFaults::default().lost_reply(1.0));
    let committed = here.commit(&topic, next(1)).await;
    assert!(
        matches!(committed, Err(BrokerError::InDoubt(_))),
        "{committed:?}"
    );
    simulation
        .server
        .set_faults(SimulatedFaults::default().refused(1.0));
    let committed = here.commit(&topic, next(2)).await;
    assert!(
        matches!(committed, Err(BrokerError::Unavailable(_))),
        "{committed:?}"
    );
    simulation.server.set_faults(SimulatedFaults::default());
    let revision = here.read(&topic).await.unwrap().revision;
    assert_eq!(revision, RosterRevision::new(1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_simulated_node_that_hears_nothing_is_not_told_until_its_line_breaks() {
    let (simulation, here, topic, numbers) = watched().await;
    let there = simulation.node(1);
    there.store().deafen();
    here.commit(&topic, next(1)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(numbers.interruptions.load(Ordering::Relaxed), 0);
    there.cut();
    there.mend();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(numbers.interruptions.load(Ordering::Relaxed), 1);
    here.commit(&topic, next(2)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(*numbers.told.lock(), [2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rosters_in_memory_keep_every_promise() {
    roster_conformance(async || Arc::new(MemoryRosters::new()) as Arc<dyn Rosters>).await;
}

#[tokio::test]
async fn a_plain_store_keeps_every_promise() {
    roster_conformance(async || Arc::new(Plain::default()) as Arc<dyn Rosters>).await;
}

#[tokio::test]
async fn the_suite_says_which_promise_a_store_of_rosters_breaks() {
    let cases = [
        (Fault::NumbersAlone, "a change of"),
        (Fault::TagsAlone, "a change of"),
        (Fault::EmptyIsAnyRevision, "has revision 0"),
        (Fault::RefusesAndChanges, "what is refused changes nothing"),
        (Fault::TellsOtherRevision, "with the revision of the roster"),
        (Fault::TakesNever, "has its revision and head"),
        (Fault::TakesAfterItPuts, "members leave before others come"),
        (Fault::ReplacesAll, "members leave before others come"),
        (Fault::KeepsTheFirstHead, "has its revision and head"),
        (Fault::AltersBytes, "the head has the bytes"),
        (Fault::AnyOrder, "in the order of their numbers"),
        (Fault::OneRosterForAll, "is none of another"),
        (Fault::RisesByOne, "may rise by more than 1"),
        (Fault::RoundsTags, "the revision is that of the change"),
        (Fault::ForgetsEmpty, "has its revision and head"),
        (Fault::SortsRevisions, "come in the order of the topics"),
        (Fault::TimeFalls, "the time of the store does not fall"),
        (
            Fault::CommitsUnpolled,
            "a future that is not polled does nothing",
        ),
        (Fault::Few, "2,501 members are kept"),
        (Fault::Unavailable, "resolves without an error"),
        (Fault::AllAtOnce, "one is made"),
    ];
    let mut wrong = Vec::new();
    for (fault, expected) in cases {
        let make = async || {
            let plain = Plain {
                fault: Some(fault),
                ..Plain::default()
            };
            Arc::new(plain) as Arc<dyn Rosters>
        };
        let verdict = AssertUnwindSafe(roster_conformance(make))
            .catch_unwind()
            .await;
        let panic = verdict.expect_err(&format!("{fault:?} goes unnoticed"));
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        let text = text.expect("a panic with a text");
        if !text.contains(expected) {
            wrong.push(format!("{fault:?} is reported as: {text}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    NumbersAlone,
    TagsAlone,
    EmptyIsAnyRevision,
    RefusesAndChanges,
    TellsOtherRevision,
    TakesNever,
    TakesAfterItPuts,
    ReplacesAll,
    KeepsTheFirstHead,
    AltersBytes,
    AnyOrder,
    OneRosterForAll,
    RisesByOne,
    RoundsTags,
    ForgetsEmpty,
    SortsRevisions,
    TimeFalls,
    CommitsUnpolled,
    Few,
    Unavailable,
    AllAtOnce,
}

/// A minimal store of rosters that can break each promise.
#[derive(Default)]
struct Plain {
    fault: Option<Fault>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rosters: BTreeMap<TopicName, Kept>,
    calls: u64,
}

#[derive(Clone, Default)]
struct Kept {
    revision: RosterRevision,
    head: Bytes,
    members: BTreeMap<u64, Bytes>,
}

impl Plain {
    fn lies(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn key(&self, topic: &TopicName) -> TopicName {
        if self.lies(Fault::OneRosterForAll) {
            TopicName::try_from("all").unwrap()
        } else {
            topic.clone()
        }
    }

    fn time_ms(&self) -> u64 {
        let mut state = self.state.lock();
        state.calls += 1;
        if self.lies(Fault::TimeFalls) {
            1_000_000 - state.calls
        } else {
            state.calls
        }
    }

    fn check(&self) -> Result<(), BrokerError> {
        match self.lies(Fault::Unavailable) {
            true => Err(BrokerError::Unavailable("no server".into())),
            false => Ok(()),
        }
    }

    fn bytes(&self, bytes: &Bytes) -> Bytes {
        match self.lies(Fault::AltersBytes) {
            true => String::from_utf8_lossy(bytes).into_owned().into(),
            false => bytes.clone(),
        }
    }

    fn make(&self, topic: &TopicName, change: &RosterChange) -> Result<Committed, BrokerError> {
        self.check()?;
        let time_ms = self.time_ms();
        let mut state = self.state.lock();
        let kept = state.rosters.entry(self.key(topic)).or_default();
        let before = kept.revision;
        let is_same = match self.fault {
            Some(Fault::NumbersAlone) => change.from.number == before.number,
            Some(Fault::TagsAlone) => change.from.tag == before.tag,
            Some(Fault::EmptyIsAnyRevision) if before.number == 0 => true,
            Some(Fault::AllAtOnce) if before.number == change.to.number => true,
            _ => change.from == before,
        };
        if !is_same {
            if self.lies(Fault::RefusesAndChanges) {
                kept.head = change.head.clone();
            }
            let revision = match self.lies(Fault::TellsOtherRevision) && before.number > 0 {
                true => change.from,
                false => before,
            };
            return Ok(Committed::Conflict { revision });
        }
        kept.revision = change.to;
        if self.lies(Fault::RisesByOne) {
            kept.revision.number = before.number + 1;
        }
        if self.lies(Fault::RoundsTags) {
            kept.revision.tag &= !0xff;
        }
        if !self.lies(Fault::KeepsTheFirstHead) || before.number == 0 {
            kept.head = self.bytes(&change.head);
        }
        if self.lies(Fault::ReplacesAll) {
            kept.members.clear();
        }
        let take = |kept: &mut Kept| {
            if !self.lies(Fault::TakesNever) {
                kept.members
                    .retain(|number, _| !change.removed.contains(number));
            }
        };
        let is_late = self.lies(Fault::TakesAfterItPuts);
        if !is_late {
            take(kept);
        }
        let most = match self.lies(Fault::Few) {
            true => 1000,
            false => usize::MAX,
        };
        let put = change.put.iter().take(most);
        kept.members
            .extend(put.map(|(number, bytes)| (*number, self.bytes(bytes))));
        if is_late {
            take(kept);
        }
        if self.lies(Fault::ForgetsEmpty) && kept.members.is_empty() {
            *kept = Kept::default();
        }
        Ok(Committed::Done { time_ms })
    }
}

impl Rosters for Plain {
    fn attach(&self, _: Arc<dyn RosterSink>) {}

    fn watch(&self, _: &TopicName) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(async { self.check() })
    }

    fn unwatch(&self, _: &TopicName) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn read(&self, topic: &TopicName) -> BoxFuture<'_, Result<Roster, BrokerError>> {
        let topic = topic.clone();
        Box::pin(async move {
            self.check()?;
            let mut roster = Roster::default();
            roster.time_ms = self.time_ms();
            if let Some(kept) = self.state.lock().rosters.get(&self.key(&topic)) {
                roster.revision = kept.revision;
                roster.head = kept.head.clone();
                roster.members.extend(kept.members.clone());
            }
            if self.lies(Fault::AnyOrder) {
                roster.members.reverse();
            }
            Ok(roster)
        })
    }

    fn commit(
        &self,
        topic: &TopicName,
        change: Arc<RosterChange>,
    ) -> BoxFuture<'_, Result<Committed, BrokerError>> {
        if self.lies(Fault::CommitsUnpolled) {
            return Box::pin(std::future::ready(self.make(topic, &change)));
        }
        let topic = topic.clone();
        Box::pin(async move { self.make(&topic, &change) })
    }

    fn revisions(
        &self,
        topics: &[TopicName],
    ) -> BoxFuture<'_, Result<Vec<RosterRevision>, BrokerError>> {
        let mut topics = topics.to_vec();
        if self.lies(Fault::SortsRevisions) {
            topics.sort();
        }
        Box::pin(async move {
            self.check()?;
            let state = self.state.lock();
            let revision = |topic: &TopicName| {
                let kept = state.rosters.get(&self.key(topic));
                kept.map_or(RosterRevision::default(), |kept| kept.revision)
            };
            Ok(topics.iter().map(revision).collect())
        })
    }
}
