//! Promises about deletions.

use super::recorder::Recorder;
use super::{ALL, KEEP, fresh, history, offsets, subscribe, texts};
use crate::broker::Broker;
use crate::deletion::Deletion;
use crate::history::HistoryQuery;
use crate::owner::Owner;
use crate::publication::Publish;
use crate::topic_name::TopicName;

async fn publish_by(broker: &impl Broker, topic: &TopicName, text: &'static str, owner: &str) {
    let publish = Publish::new(text).retain(KEEP).by(Owner::new(owner));
    broker
        .publish(topic, publish)
        .await
        .expect("publish resolves without an error");
}

async fn delete(broker: &impl Broker, topic: &TopicName, which: Deletion) -> usize {
    broker
        .delete(topic, which)
        .await
        .expect("delete resolves without an error")
}

pub(super) async fn a_deletion_leaves_the_place(broker: &impl Broker) {
    let topic = fresh("deleted");
    for (text, owner) in [("a", "ada"), ("b", "bob"), ("c", "ada"), ("d", "eve")] {
        publish_by(broker, &topic, text, owner).await;
    }
    let before = history(broker, &topic, ALL).await;
    let owners = before.publications.iter().map(|kept| kept.owner.clone());
    assert!(
        owners.eq(["ada", "bob", "ada", "eve"].map(|name| Some(Owner::new(name)))),
        "publications carry their owners: {before:?}"
    );
    // What is deleted, the number, and what is left.
    let steps = [
        (Deletion::By(Owner::new("ada")), 2, ["", "b", "", "d"]),
        (Deletion::By(Owner::new("ada")), 0, ["", "b", "", "d"]),
        (Deletion::Unowned, 0, ["", "b", "", "d"]),
        (Deletion::Offsets(vec![2, 3, 99]), 1, ["", "", "", "d"]),
        (Deletion::All, 1, ["", "", "", ""]),
        (Deletion::All, 0, ["", "", "", ""]),
    ];
    for (which, count, left) in steps {
        let deleted = delete(broker, &topic, which.clone()).await;
        assert_eq!(deleted, count, "the number that {which:?} deletes");
        let after = history(broker, &topic, ALL).await;
        assert_eq!(
            texts(&after),
            left,
            "what is left of four after {which:?}, each in its place"
        );
        assert_eq!(
            offsets(&after),
            [1, 2, 3, 4],
            "no offset is missing after {which:?}"
        );
        assert!(
            after
                .publications
                .iter()
                .all(|kept| kept.is_deleted == kept.data.is_empty()
                    && kept.owner.is_none() == kept.is_deleted),
            "what was deleted says so, and nothing else does: {after:?}"
        );
        assert_eq!(
            after.position, before.position,
            "the position outlives what was deleted"
        );
    }
    let query = HistoryQuery::After {
        offset: 1,
        limit: 2,
    };
    let part = history(broker, &topic, query).await;
    assert_eq!(offsets(&part), [2, 3], "{query:?} counts what was deleted");
    publish_by(broker, &topic, "e", "ada").await;
    let after = history(broker, &topic, ALL).await;
    assert_eq!(after.position.epoch, before.position.epoch);
    assert_eq!(
        texts(&after),
        ["", "", "", "", "e"],
        "what is published later is kept"
    );
    let unowned = Publish::new("f").retain(KEEP);
    broker
        .publish(&topic, unowned)
        .await
        .expect("publish resolves without an error");
    assert_eq!(delete(broker, &topic, Deletion::Unowned).await, 1);
    let after = history(broker, &topic, ALL).await;
    assert_eq!(
        texts(&after),
        ["", "", "", "", "e", ""],
        "what has an owner stays where the rest is deleted"
    );
}

pub(super) async fn sinks_are_told_of_deletions(broker: &impl Broker) {
    let [topic, other] = [fresh("told"), fresh("untouched")];
    let recorder = Recorder::attach(broker);
    subscribe(broker, &topic).await;
    for topic in [&topic, &other] {
        publish_by(broker, topic, "a", "ada").await;
        publish_by(broker, topic, "b", "bob").await;
        publish_by(broker, topic, "c", "ada").await;
    }
    let by_ada = Deletion::By(Owner::new("ada"));
    delete(broker, &topic, by_ada.clone()).await;
    delete(broker, &topic, by_ada.clone()).await;
    let kept = history(broker, &topic, ALL).await;
    assert_eq!(
        recorder.deletions(&topic),
        [(kept.position.epoch, vec![1, 3])],
        "a sink is told once of what was deleted, by the time delete resolves"
    );
    let untouched = history(broker, &other, ALL).await;
    assert_eq!(
        texts(&untouched),
        ["a", "b", "c"],
        "a deletion concerns one topic"
    );
    delete(broker, &other, by_ada).await;
    assert!(
        recorder.deletions(&other).is_empty(),
        "a sink is told nothing of a topic without subscription"
    );
    let never = fresh("never-used");
    assert_eq!(
        delete(broker, &never, Deletion::All).await,
        0,
        "nothing is deleted of a topic without publications"
    );
}
