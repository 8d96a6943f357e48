//! The promises of brokers that share a store, as a test.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::{ALL, KEEP, LONG, fresh, fresh_key, history, subscribe};
use crate::answer::Fingerprint;
use crate::broker::{Broker, Interrupt, Sink};
use crate::claim::{Attempt, Claim};
use crate::error::BrokerError;
use crate::position::{Epoch, Position};
use crate::publication::{Publication, Publish};
use crate::topic_name::TopicName;

/// Brokers of several nodes on one store, whose faults a test makes.
///
/// Implemented for each engine, over a server that the test starts.
pub trait SharedBrokers: Send + Sync {
    /// The broker of a node.
    type Broker: Broker;

    /// Makes the broker of node 0, 1, …, each once.
    fn connect(&self, node: usize) -> impl Future<Output = Self::Broker> + Send;

    /// Makes a fault, and resolves once it has happened. `false` if this store cannot have it:
    /// the checks that need it are left out then.
    fn fault(&self, fault: StoreFault) -> impl Future<Output = bool> + Send;
}

/// A fault of a store, or its end.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum StoreFault {
    /// Nothing gets through between this node and the store.
    Cut(usize),
    /// The end of a [`Cut`](Self::Cut).
    Mend(usize),
    /// The server's process is stopped: connections stay up, and nothing is answered.
    Freeze,
    /// The end of a [`Freeze`](Self::Freeze).
    Thaw,
    /// The server's process is ended, and another one started with all data.
    Restart,
    /// The server's process is ended, and another one started without data.
    RestartEmpty,
    /// The line between the server and its replica is cut; the replica has everything until now.
    DetachReplica,
    /// The server's process is ended, and its replica promoted.
    FailOver,
}

/// Checks the promises of brokers that share a store, on stores made by `make`, one for each
/// promise.
///
/// The stores may be one and the same: all topics and keys are new. No check takes longer than
/// the healing of the faults that it makes, for which there are 60 s; on a paused clock none
/// takes any time.
///
/// # Panics
///
/// If a promise is broken, with a text that names it; or outside a tokio runtime.
pub async fn pair_conformance<S: SharedBrokers>(make: impl AsyncFn() -> S) {
    nodes_share_one_order(&make().await).await;
    a_key_counts_on_all_nodes(&make().await).await;
    a_command_is_executed_on_one_node(&make().await).await;
    a_node_that_was_cut_off_gets_everything(&make().await).await;
    a_node_without_the_store_says_so(&make().await).await;
    a_restart_costs_nothing(&make().await).await;
    an_empty_store_is_told(&make().await).await;
    what_a_failover_lost_is_told_to_those_who_had_it(&make().await).await;
    what_is_in_doubt_happens_once(&make().await).await;
}

/// The time within which everything has to heal.
pub(super) const HEALED: Duration = Duration::from_secs(60);

async fn nodes_share_one_order(store: &impl SharedBrokers) {
    let [here, there] = pair(store).await;
    let topic = fresh("order");
    let sinks = [
        Witness::at(&here, &topic).await,
        Witness::at(&there, &topic).await,
    ];
    let publishers = (0..40).map(async |number: usize| {
        let broker = if number.is_multiple_of(2) {
            &here
        } else {
            &there
        };
        say(broker, &topic, &number.to_string()).await
    });
    join_all(publishers).await;
    let expected: Vec<_> = (1..=40).collect();
    for sink in &sinks {
        let told = sink.wait(|told| told.offsets().len() >= 40).await;
        assert_eq!(told.offsets(), expected, "each node has one order");
    }
    let texts = sinks.map(|sink| sink.told().texts());
    assert_eq!(texts[0], texts[1], "all nodes have the same order");
    let histories = [
        history(&here, &topic, ALL).await,
        history(&there, &topic, ALL).await,
    ];
    assert_eq!(
        histories[0], histories[1],
        "all nodes have the same history"
    );
    assert_eq!(
        super::texts(&histories[0]),
        texts[0],
        "sinks and history agree"
    );
}

async fn a_key_counts_on_all_nodes(store: &impl SharedBrokers) {
    let nodes = pair(store).await;
    let topic = fresh("once");
    let sink = Witness::at(&nodes[0], &topic).await;
    let key = fresh_key("once");
    let publishers = (0..20).map(|number: usize| {
        let publish = Publish::new("once").retain(KEEP).once(key.clone(), LONG);
        nodes[number % 2].publish(&topic, publish)
    });
    let published: Vec<_> = join_all(publishers)
        .await
        .into_iter()
        .map(|published| published.expect("publish resolves without an error"))
        .collect();
    let new = published.iter().filter(|published| !published.is_repeat);
    assert_eq!(new.count(), 1, "of all nodes, one publishes");
    let same = published[0].position;
    assert!(
        published.iter().all(|published| published.position == same),
        "a repeat on another node has the position of the first"
    );
    say(&nodes[1], &topic, "next").await;
    let told = sink.wait(|told| told.offsets().len() >= 2).await;
    assert_eq!(told.texts(), ["once", "next"], "a repeat is not delivered");
    let other = Publish::new("x")
        .once(key, LONG)
        .fingerprint(Fingerprint::of(b"x"));
    let first = nodes[0].publish(&topic, other).await;
    assert!(
        first.is_ok_and(|first| first.is_repeat),
        "a key without a fingerprint has any"
    );
}

async fn a_command_is_executed_on_one_node(store: &impl SharedBrokers) {
    let nodes = pair(store).await;
    let key = fresh_key("claim");
    let attempt = |body: &[u8]| {
        Attempt::new(key.clone())
            .lease(LONG)
            .window(LONG)
            .fingerprint(Fingerprint::of(body))
    };
    let claims = (0..20).map(|number: usize| nodes[number % 2].claim(attempt(b"a")));
    let mut mine = Vec::new();
    for claim in join_all(claims).await {
        match claim.expect("claim resolves without an error") {
            Claim::Mine(claimed) => mine.push(claimed),
            Claim::Running => {}
            other @ (Claim::Answered(_) | Claim::InDoubt) => panic!("{other:?} too early"),
        }
    }
    assert_eq!(mine.len(), 1, "of all nodes, one executes a command");
    let claimed = mine.pop().expect("there is one");
    nodes[0]
        .answer(claimed, "done".into())
        .await
        .expect("answer resolves without an error");
    for node in &nodes {
        let claim = node.claim(attempt(b"a")).await;
        assert!(
            matches!(&claim, Ok(Claim::Answered(answer)) if answer == "done"),
            "all nodes have the answer: {claim:?}"
        );
        let claim = node.claim(attempt(b"b")).await;
        assert!(
            matches!(claim, Err(BrokerError::Reused)),
            "another fingerprint is another command on all nodes: {claim:?}"
        );
    }

    let attempt = Attempt::new(fresh_key("at-most-once")).window(LONG);
    let attempt = attempt.lease(Duration::ZERO).at_most_once();
    let claim = nodes[0].claim(attempt.clone()).await;
    assert!(
        matches!(claim, Ok(Claim::Mine(_))),
        "a new command can be claimed: {claim:?}"
    );
    for node in &nodes {
        let claim = node.claim(attempt.clone()).await;
        assert!(
            matches!(claim, Ok(Claim::InDoubt)),
            "on no node is a claim given out again that ended without an answer: {claim:?}"
        );
    }
}

async fn a_node_that_was_cut_off_gets_everything(store: &impl SharedBrokers) {
    let [here, there] = pair(store).await;
    let topic = fresh("cut");
    let sink = Witness::at(&there, &topic).await;
    say(&here, &topic, "before").await;
    sink.wait(|told| told.offsets() == [1]).await;
    if !store.fault(StoreFault::Cut(1)).await {
        return;
    }
    for _ in 0..5 {
        say(&here, &topic, "meanwhile").await;
    }
    store.fault(StoreFault::Mend(1)).await;
    sink.wait(|told| told.offsets() == [1, 2, 3, 4, 5, 6]).await;
    say(&here, &topic, "after").await;
    let told = sink.wait(|told| told.offsets().len() >= 7).await;
    assert_eq!(
        told.interrupts,
        [],
        "a node that was cut off is told of nothing that it has"
    );
}

async fn a_node_without_the_store_says_so(store: &impl SharedBrokers) {
    let [here, _there] = pair(store).await;
    let topic = fresh("away");
    let sink = Witness::at(&here, &topic).await;
    if !store.fault(StoreFault::Cut(0)).await {
        return;
    }
    let publish = Publish::new("x").retain(KEEP).once(fresh_key("away"), LONG);
    let published = timeout(HEALED, here.publish(&topic, publish.clone()))
        .await
        .expect("publish resolves without the store");
    assert!(
        matches!(
            published,
            Err(BrokerError::Unavailable(_) | BrokerError::InDoubt(_))
        ),
        "publish fails without the store: {published:?}"
    );
    let subscribed = timeout(HEALED, here.subscribe(&fresh("away")))
        .await
        .expect("subscribe resolves without the store");
    assert!(subscribed.is_err(), "nobody subscribes without the store");
    store.fault(StoreFault::Mend(0)).await;
    until_done(&here, &topic, &publish).await;
    let told = sink.wait(|told| !told.offsets().is_empty()).await;
    assert_eq!(told.texts(), ["x"], "a repeat is safe");
}

async fn a_restart_costs_nothing(store: &impl SharedBrokers) {
    let [here, there] = pair(store).await;
    let topic = fresh("restart");
    let sinks = [
        Witness::at(&here, &topic).await,
        Witness::at(&there, &topic).await,
    ];
    let first = say(&here, &topic, "1").await;
    say(&there, &topic, "2").await;
    for sink in &sinks {
        sink.wait(|told| told.offsets() == [1, 2]).await;
    }
    if !store.fault(StoreFault::Restart).await {
        return;
    }
    let third = Publish::new("3")
        .retain(KEEP)
        .once(fresh_key("restart"), LONG);
    until_done(&there, &topic, &third).await;
    for sink in &sinks {
        let told = sink.wait(|told| told.offsets().len() >= 3).await;
        assert_eq!(
            told.texts(),
            ["1", "2", "3"],
            "offsets go on after a restart"
        );
        let continued = |interrupt: &Interrupt| matches!(interrupt, Interrupt::Continued { .. });
        assert!(
            told.interrupts.iter().all(continued),
            "a restart that lost nothing is a life that continues: {:?}",
            told.interrupts
        );
    }
    let after = history(&here, &topic, ALL).await;
    assert!(
        after.position.epoch == first.epoch
            || after
                .continues
                .is_some_and(|end| end.epoch == first.epoch && end.offset >= 2),
        "positions of before the restart count: {after:?}"
    );
}

async fn an_empty_store_is_told(store: &impl SharedBrokers) {
    let [here, there] = pair(store).await;
    let topic = fresh("empty");
    let sink = Witness::at(&there, &topic).await;
    for text in ["1", "2"] {
        say(&here, &topic, text).await;
    }
    sink.wait(|told| told.offsets() == [1, 2]).await;
    if !store.fault(StoreFault::RestartEmpty).await {
        return;
    }
    let again = Publish::new("new")
        .retain(KEEP)
        .once(fresh_key("empty"), LONG);
    until_done(&here, &topic, &again).await;
    let told = sink
        .wait(|told| {
            let began = |interrupt: &Interrupt| matches!(interrupt, Interrupt::Began { .. });
            told.interrupts.iter().any(began)
        })
        .await;
    let Some(Interrupt::Began { position }) = told.interrupts.last() else {
        panic!("a new stream is told last: {:?}", told.interrupts);
    };
    let now = history(&there, &topic, ALL).await;
    assert_eq!(position.epoch, now.position.epoch, "the new stream is told");
    assert_eq!(now.continues, None, "an empty store continues nothing");
    let told = sink
        .wait(|told| told.position() == Some(now.position))
        .await;
    let new = told.texts()[2..].to_vec();
    assert!(
        new.len() as u64 + position.offset == now.position.offset,
        "what is not told is delivered: {told:?}"
    );
}

async fn what_a_failover_lost_is_told_to_those_who_had_it(store: &impl SharedBrokers) {
    let [ahead, behind] = pair(store).await;
    let topic = fresh("failover");
    let had = Witness::at(&ahead, &topic).await;
    let had_not = Witness::at(&behind, &topic).await;
    let mut before = say(&ahead, &topic, "1").await;
    before.offset = 3;
    for text in ["2", "3"] {
        say(&ahead, &topic, text).await;
    }
    had_not.wait(|told| told.offsets() == [1, 2, 3]).await;
    if !store.fault(StoreFault::Cut(1)).await || !store.fault(StoreFault::DetachReplica).await {
        return;
    }
    for text in ["4", "5", "6"] {
        say(&ahead, &topic, text).await;
    }
    store.fault(StoreFault::FailOver).await;
    store.fault(StoreFault::Mend(1)).await;
    let other = Publish::new("other 4")
        .retain(KEEP)
        .once(fresh_key("failover"), LONG);
    until_done(&behind, &topic, &other).await;
    let told = had
        .wait(|told| told.texts().last().is_some_and(|text| text == "other 4"))
        .await;
    let [Interrupt::TakenBack { epoch, offsets }] = &told.interrupts[..] else {
        panic!("what was taken back is told once: {:?}", told.interrupts);
    };
    assert_eq!(*offsets, 4..=6, "what was taken back is told");
    let told = had_not.wait(|told| told.offsets().len() >= 4).await;
    assert_eq!(told.texts(), ["1", "2", "3", "other 4"], "the others go on");
    assert!(
        matches!(told.interrupts[..], [Interrupt::Continued { .. }]),
        "who had nothing that was lost is told of no loss: {:?}",
        told.interrupts
    );
    let now = history(&behind, &topic, ALL).await;
    assert_eq!(
        now.position,
        Position::new(*epoch, 4),
        "offsets go on from what is left"
    );
    assert_eq!(
        now.continues,
        Some(before),
        "the end of the life before is known"
    );
}

async fn what_is_in_doubt_happens_once(store: &impl SharedBrokers) {
    let [here, there] = pair(store).await;
    let topic = fresh("doubt");
    let sink = Witness::at(&there, &topic).await;
    let publish = Publish::new("x")
        .retain(KEEP)
        .once(fresh_key("doubt"), LONG);
    if !store.fault(StoreFault::Freeze).await {
        return;
    }
    let published = timeout(HEALED, here.publish(&topic, publish.clone()))
        .await
        .expect("publish resolves without a reply of the store");
    assert!(
        published.is_err(),
        "nothing was acknowledged: {published:?}"
    );
    store.fault(StoreFault::Thaw).await;
    until_done(&here, &topic, &publish).await;
    say(&here, &topic, "next").await;
    let told = sink.wait(|told| told.offsets().len() >= 2).await;
    assert_eq!(
        told.texts(),
        ["x", "next"],
        "a publication in doubt happens once"
    );
}

async fn pair<S: SharedBrokers>(store: &S) -> [S::Broker; 2] {
    [store.connect(0).await, store.connect(1).await]
}

async fn say(broker: &impl Broker, topic: &TopicName, text: &str) -> Position {
    super::publish(broker, topic, text, KEEP).await
}

/// Publishes again and again until it is acknowledged, as a client with a key does.
async fn until_done(broker: &impl Broker, topic: &TopicName, publish: &Publish) {
    let attempts = async {
        while let Err(error) = broker.publish(topic, publish.clone()).await {
            assert!(
                matches!(error, BrokerError::Unavailable(_) | BrokerError::InDoubt(_)),
                "a store that is away is no other error: {error:?}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(HEALED, attempts)
        .await
        .expect("publishing succeeds when the store is back");
}

/// A sink that keeps everything about a topic, and can be waited for.
struct Witness {
    topic: TopicName,
    told: Mutex<Told>,
    changed: Notify,
}

/// Everything that a sink was given and told of a topic.
#[derive(Clone, Debug, Default)]
struct Told {
    publications: Vec<(Epoch, Arc<Publication>)>,
    interrupts: Vec<Interrupt>,
    position: Option<Position>,
}

impl Told {
    fn offsets(&self) -> Vec<u64> {
        let offset = |(_, publication): &(Epoch, Arc<Publication>)| publication.offset;
        self.publications.iter().map(offset).collect()
    }

    fn texts(&self) -> Vec<String> {
        let text = |(_, publication): &(Epoch, Arc<Publication>)| {
            String::from_utf8_lossy(&publication.data).into_owned()
        };
        self.publications.iter().map(text).collect()
    }

    fn position(&self) -> Option<Position> {
        self.position
    }
}

impl Witness {
    /// Attaches and subscribes.
    async fn at(broker: &impl Broker, topic: &TopicName) -> Arc<Self> {
        let witness = Arc::new(Self {
            topic: topic.clone(),
            told: Mutex::default(),
            changed: Notify::new(),
        });
        broker.attach(witness.clone());
        subscribe(broker, topic).await;
        witness
    }

    fn told(&self) -> Told {
        self.told.lock().clone()
    }

    /// Waits until the sink was told enough.
    async fn wait(&self, enough: impl Fn(&Told) -> bool) -> Told {
        let told = async {
            loop {
                let mut changed = std::pin::pin!(self.changed.notified());
                changed.as_mut().enable();
                let told = self.told();
                if enough(&told) {
                    return told;
                }
                changed.await;
            }
        };
        match timeout(HEALED, told).await {
            Ok(told) => told,
            Err(_) => panic!("a node gets what the others have; it has {:?}", self.told()),
        }
    }
}

impl Sink for Witness {
    fn deliver(&self, topic: &TopicName, epoch: Epoch, publication: &Arc<Publication>) {
        if *topic == self.topic {
            let mut told = self.told.lock();
            told.publications.push((epoch, Arc::clone(publication)));
            told.position = Some(Position::new(epoch, publication.offset));
            drop(told);
            self.changed.notify_waiters();
        }
    }

    fn interrupt(&self, topic: &TopicName, interrupt: &Interrupt) {
        if *topic == self.topic {
            let mut told = self.told.lock();
            told.interrupts.push(interrupt.clone());
            told.position = Some(interrupt.position());
            drop(told);
            self.changed.notify_waiters();
        }
    }
}
