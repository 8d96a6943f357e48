//! The promises of rosters that nodes share, as a test.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::fresh;
use super::pairs::{HEALED, SharedBrokers, StoreFault};
use super::rosters::{change, make, members, read, revision};
use crate::broker::Broker;
use crate::error::BrokerError;
use crate::roster::{Committed, Roster, RosterChange, RosterRevision, RosterSink, Rosters};
use crate::topic_name::TopicName;

/// Checks the promises of the [rosters](Broker::rosters) of nodes that share a store, on stores
/// made by `make`, one for each promise, as [`pair_conformance`](super::pair_conformance) checks
/// those of their topics.
///
/// # Panics
///
/// If a promise is broken, with a text that names it; if the brokers have no rosters; or outside
/// a tokio runtime.
pub async fn roster_pair_conformance<S: SharedBrokers>(make: impl AsyncFn() -> S) {
    nodes_see_all_changes_in_one_order(&make().await).await;
    watches_are_counted(&make().await).await;
    a_node_that_was_cut_off_is_told(&make().await).await;
    a_node_without_the_store_says_so(&make().await).await;
    a_change_in_doubt_is_made_once(&make().await).await;
    a_restart_changes_no_revision(&make().await).await;
    an_empty_store_has_no_revisions(&make().await).await;
    a_lost_change_is_told_by_the_revision(&make().await).await;
}

/// A node with its rosters, and everything that its sink was told.
struct Node<B> {
    /// Lets the node live.
    _broker: B,
    rosters: Arc<dyn Rosters>,
    ear: Arc<Ear>,
}

#[derive(Default)]
struct Ear {
    told: Mutex<Told>,
    changed: Notify,
}

#[derive(Clone, Debug, Default)]
struct Told {
    changes: Vec<(TopicName, Arc<RosterChange>)>,
    interruptions: usize,
}

impl RosterSink for Ear {
    fn changed(&self, topic: &TopicName, change: &Arc<RosterChange>) {
        let told = (topic.clone(), Arc::clone(change));
        self.told.lock().changes.push(told);
        self.changed.notify_waiters();
    }

    fn interrupted(&self) {
        self.told.lock().interruptions += 1;
        self.changed.notify_waiters();
    }
}

impl Told {
    fn of<'a>(&'a self, wanted: &TopicName) -> Vec<&'a Arc<RosterChange>> {
        let told = self.changes.iter().filter(|(topic, _)| topic == wanted);
        told.map(|(_, change)| change).collect()
    }

    fn revisions(&self, topic: &TopicName) -> Vec<RosterRevision> {
        self.of(topic).iter().map(|change| change.to).collect()
    }
}

impl<B: Broker> Node<B> {
    fn new(broker: B) -> Self {
        let rosters = broker.rosters().expect("the broker has rosters");
        let ear = Arc::<Ear>::default();
        rosters.attach(ear.clone());
        Self {
            _broker: broker,
            rosters,
            ear,
        }
    }

    async fn watch(&self, topic: &TopicName) {
        self.rosters
            .watch(topic)
            .await
            .expect("watch resolves without an error");
    }

    async fn change(&self, topic: &TopicName, from: u64, text: &str) {
        let next = change(revision(from), revision(from + 1), from, text);
        make(&*self.rosters, topic, next).await;
    }

    /// Waits until the sink was told enough.
    async fn wait(&self, what: &str, enough: impl Fn(&Told) -> bool) -> Told {
        let told = async {
            loop {
                let mut changed = std::pin::pin!(self.ear.changed.notified());
                changed.as_mut().enable();
                let told = self.ear.told.lock().clone();
                if enough(&told) {
                    return told;
                }
                changed.await;
            }
        };
        match timeout(HEALED, told).await {
            Ok(told) => told,
            Err(_) => panic!("{what}; it was told {:?}", self.ear.told.lock()),
        }
    }

    async fn wait_for_interruption(&self) {
        let told = |told: &Told| told.interruptions > 0;
        self.wait("a node is told that changes may be lost", told)
            .await;
    }

    /// Reads a roster again and again until the store is back.
    async fn read_at_last(&self, topic: &TopicName) -> Roster {
        let attempts = async {
            loop {
                match self.rosters.read(topic).await {
                    Ok(roster) => return roster,
                    Err(_) => sleep(Duration::from_millis(100)).await,
                }
            }
        };
        timeout(HEALED, attempts)
            .await
            .expect("reading succeeds when the store is back")
    }

    /// Makes a change again and again until it is made or refused.
    async fn commit_at_last(&self, topic: &TopicName, change: RosterChange) -> Committed {
        let change = Arc::new(change);
        let attempts = async {
            loop {
                match self.rosters.commit(topic, Arc::clone(&change)).await {
                    Ok(committed) => return committed,
                    Err(_) => sleep(Duration::from_millis(100)).await,
                }
            }
        };
        timeout(HEALED, attempts)
            .await
            .expect("committing succeeds when the store is back")
    }

    async fn revision(&self, topic: &TopicName) -> RosterRevision {
        let told = self.rosters.revisions(std::slice::from_ref(topic)).await;
        let told = told.expect("revisions resolves without an error");
        assert_eq!(told.len(), 1, "one topic has one revision");
        told[0]
    }
}

async fn pair<S: SharedBrokers>(store: &S) -> [Node<S::Broker>; 2] {
    [
        Node::new(store.connect(0).await),
        Node::new(store.connect(1).await),
    ]
}

async fn nodes_see_all_changes_in_one_order(store: &impl SharedBrokers) {
    let [here, there] = pair(store).await;
    let witness = Node::new(store.connect(2).await);
    let topic = fresh("roster");
    for node in [&here, &there, &witness] {
        node.watch(&topic).await;
    }
    let write = async |node: &Node<_>, name: u64| {
        let mut from = revision(0);
        for number in 0..20 {
            loop {
                let to = RosterRevision::new(from.number + 1, (name << 32) | (number + 1));
                let next = change(from, to, (name << 32) | number, "x");
                match super::rosters::commit(&*node.rosters, &topic, next).await {
                    Committed::Done { .. } => break from = to,
                    Committed::Conflict { revision } => from = revision,
                }
            }
        }
    };
    tokio::join!(write(&here, 1), write(&there, 2));
    let last = read(&*here.rosters, &topic).await;
    assert_eq!(
        (last.revision.number, last.members.len()),
        (40, 40),
        "each change is made once"
    );
    let is_last = |told: &Told| told.revisions(&topic).last() == Some(&last.revision);
    let told = witness.wait("a node that watches is told of all changes", is_last);
    let told = told.await;
    let mut at = revision(0);
    for change in told.of(&topic) {
        assert_eq!(change.from, at, "changes come in their order");
        at = change.to;
    }
    let mut told: Vec<_> = told
        .of(&topic)
        .iter()
        .flat_map(|change| change.put.clone())
        .collect();
    told.sort();
    assert_eq!(told, last.members, "changes come as they were made");
    for node in [&here, &there] {
        let told = node.ear.told.lock().revisions(&topic);
        let is_rising = told.windows(2).all(|pair| pair[0].number < pair[1].number);
        assert!(
            is_rising,
            "a node that writes is told in the order: {told:?}"
        );
    }
}

async fn watches_are_counted(store: &impl SharedBrokers) {
    let [here, there] = pair(store).await;
    let [topic, mark] = [fresh("roster"), fresh("roster")];
    here.change(&topic, 0, "before").await;
    there.watch(&topic).await;
    there.watch(&topic).await;
    there.watch(&mark).await;
    there.rosters.unwatch(&topic).await;
    here.change(&topic, 1, "watched").await;
    let told = |told: &Told| !told.revisions(&topic).is_empty();
    there.wait("one of two watches is left", told).await;
    there.rosters.unwatch(&topic).await;
    here.change(&topic, 2, "unwatched").await;
    here.change(&mark, 0, "mark").await;
    let is_marked = |told: &Told| !told.of(&mark).is_empty();
    let told = there
        .wait("another roster is watched still", is_marked)
        .await;
    assert_eq!(
        told.revisions(&topic),
        [revision(2)],
        "a node is told while it watches"
    );
    there.watch(&topic).await;
    here.change(&topic, 3, "watched again").await;
    let is_told = |told: &Told| told.revisions(&topic).last() == Some(&revision(4));
    there.wait("a watch begins again", is_told).await;
}

async fn a_node_that_was_cut_off_is_told(store: &impl SharedBrokers) {
    let [here, there] = pair(store).await;
    let topic = fresh("roster");
    there.watch(&topic).await;
    here.change(&topic, 0, "before").await;
    there
        .wait("changes are told", |told| told.of(&topic).len() == 1)
        .await;
    if !store.fault(StoreFault::Cut(1)).await {
        return;
    }
    here.change(&topic, 1, "meanwhile").await;
    store.fault(StoreFault::Mend(1)).await;
    there.wait_for_interruption().await;
    assert_eq!(
        there.revision(&topic).await,
        revision(2),
        "the revision tells what was missed"
    );
    here.change(&topic, 2, "after").await;
    let is_told = |told: &Told| told.revisions(&topic).last() == Some(&revision(3));
    there
        .wait("a node watches again what it watched", is_told)
        .await;
}

async fn a_node_without_the_store_says_so(store: &impl SharedBrokers) {
    let [here, there] = pair(store).await;
    let topic = fresh("roster");
    here.change(&topic, 0, "before").await;
    if !store.fault(StoreFault::Cut(0)).await {
        return;
    }
    let next = Arc::new(change(revision(1), revision(2), 2, "two"));
    let committed = timeout(HEALED, here.rosters.commit(&topic, Arc::clone(&next))).await;
    let committed = committed.expect("commit resolves without the store");
    assert!(
        matches!(
            committed,
            Err(BrokerError::Unavailable(_) | BrokerError::InDoubt(_))
        ),
        "commit fails without the store: {committed:?}"
    );
    let watched = timeout(HEALED, here.rosters.watch(&fresh("roster"))).await;
    let watched = watched.expect("watch resolves without the store");
    assert!(watched.is_err(), "nobody watches without the store");
    let read = timeout(HEALED, here.rosters.read(&topic)).await;
    let read = read.expect("read resolves without the store");
    assert!(read.is_err(), "nobody reads without the store");
    there.change(&topic, 1, "there").await;
    store.fault(StoreFault::Mend(0)).await;
    let roster = here.read_at_last(&topic).await;
    assert_eq!(
        members(&roster).last().map(|(_, text)| &**text),
        Some("there"),
        "a node that is back reads what others did"
    );
}

async fn a_change_in_doubt_is_made_once(store: &impl SharedBrokers) {
    let [here, there] = pair(store).await;
    let topic = fresh("roster");
    here.change(&topic, 0, "before").await;
    if !store.fault(StoreFault::Freeze).await {
        return;
    }
    let next = change(revision(1), revision(2), 1, "doubt");
    let committed = timeout(HEALED, here.rosters.commit(&topic, Arc::new(next.clone()))).await;
    let committed = committed.expect("commit resolves without a reply of the store");
    assert!(
        committed.is_err(),
        "nothing was acknowledged: {committed:?}"
    );
    store.fault(StoreFault::Thaw).await;
    match here.commit_at_last(&topic, next).await {
        Committed::Done { .. } => {}
        Committed::Conflict { revision: told } => {
            assert_eq!(
                told,
                revision(2),
                "a change in doubt was made, which its tag tells"
            );
        }
    }
    let roster = there.read_at_last(&topic).await;
    assert_eq!(
        (roster.revision, members(&roster).len()),
        (revision(2), 2),
        "a change in doubt is made once"
    );
}

async fn a_restart_changes_no_revision(store: &impl SharedBrokers) {
    let [here, there] = pair(store).await;
    let topic = fresh("roster");
    there.watch(&topic).await;
    here.change(&topic, 0, "one").await;
    here.change(&topic, 1, "two").await;
    let before = there.read_at_last(&topic).await;
    if !store.fault(StoreFault::Restart).await {
        return;
    }
    there.wait_for_interruption().await;
    let after = there.read_at_last(&topic).await;
    assert_eq!(
        (after.revision, after.head, after.members),
        (before.revision, before.head, before.members),
        "a restart that lost nothing changes nothing"
    );
    let next = change(revision(2), revision(3), 3, "three");
    let committed = here.commit_at_last(&topic, next).await;
    let is_made = match committed {
        Committed::Done { .. } => true,
        // The first attempt was in doubt.
        Committed::Conflict { revision: told } => told == revision(3),
    };
    assert!(is_made, "changes go on after a restart: {committed:?}");
    let is_told = |told: &Told| told.revisions(&topic).last() == Some(&revision(3));
    there
        .wait("a node watches again what it watched", is_told)
        .await;
}

async fn an_empty_store_has_no_revisions(store: &impl SharedBrokers) {
    let [here, there] = pair(store).await;
    let topic = fresh("roster");
    there.watch(&topic).await;
    here.change(&topic, 0, "one").await;
    if !store.fault(StoreFault::RestartEmpty).await {
        return;
    }
    there.wait_for_interruption().await;
    let roster = there.read_at_last(&topic).await;
    assert_eq!(
        (roster.revision, roster.members.len()),
        (revision(0), 0),
        "a store that has lost everything has empty rosters"
    );
    let stale = change(revision(1), revision(2), 2, "stale");
    let committed = there.commit_at_last(&topic, stale).await;
    let expected = Committed::Conflict {
        revision: revision(0),
    };
    assert_eq!(committed, expected, "a change of what was lost is refused");
    // What a node does then: it puts back what it has, above every number that it knows.
    let back = change(revision(0), revision(9), 1, "back");
    let committed = there.commit_at_last(&topic, back).await;
    assert!(
        matches!(committed, Committed::Done { .. }),
        "a roster begins again at a higher number: {committed:?}"
    );
}

async fn a_lost_change_is_told_by_the_revision(store: &impl SharedBrokers) {
    let [ahead, behind] = pair(store).await;
    let topic = fresh("roster");
    ahead.watch(&topic).await;
    for number in 0..3 {
        ahead.change(&topic, number, "kept").await;
    }
    if !store.fault(StoreFault::DetachReplica).await {
        return;
    }
    let lost = change(revision(3), revision(4), 7, "lost");
    make(&*ahead.rosters, &topic, lost).await;
    store.fault(StoreFault::FailOver).await;
    ahead.wait_for_interruption().await;
    let roster = ahead.read_at_last(&topic).await;
    assert_eq!(
        (roster.revision, roster.members.len()),
        (revision(3), 3),
        "what is left after a failover is a whole roster"
    );
    let stale = change(revision(4), revision(5), 8, "stale");
    let committed = ahead.commit_at_last(&topic, stale).await;
    let expected = Committed::Conflict {
        revision: revision(3),
    };
    assert_eq!(committed, expected, "a change of what was lost is refused");
    // Another one takes the number of the lost one.
    let other = RosterRevision::new(4, 4);
    let made = behind.commit_at_last(&topic, change(revision(3), other, 9, "other"));
    let is_made = match made.await {
        Committed::Done { .. } => true,
        Committed::Conflict { revision } => revision == other,
    };
    assert!(is_made, "changes go on after a failover");
    assert_eq!(
        ahead.read_at_last(&topic).await.revision,
        other,
        "two changes of one number differ in their tags"
    );
    let stale = change(revision(4), revision(5), 8, "stale");
    let committed = ahead.commit_at_last(&topic, stale).await;
    let expected = Committed::Conflict { revision: other };
    assert_eq!(committed, expected, "the number alone is no revision");
}
