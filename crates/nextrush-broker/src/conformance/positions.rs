//! Promises about offsets, epochs and the names of topics.

use super::{ALL, KEEP, fresh, history, publish, subscribe, texts};
use crate::broker::Broker;
use crate::history::HistoryQuery;
use crate::position::Position;
use crate::retention::Retention;
use crate::topic_name::TopicName;

pub(super) async fn offsets_count_from_one(broker: &impl Broker) {
    let topic = fresh("offsets");
    let first = publish(broker, &topic, "1", KEEP).await;
    assert_eq!(
        first.offset, 1,
        "the first publication of a topic has offset 1"
    );
    for offset in 2..=50 {
        let position = publish(broker, &topic, "n", KEEP).await;
        assert_eq!(
            position,
            Position::new(first.epoch, offset),
            "each publication's offset is one more, in the same epoch"
        );
        let history = history(broker, &topic, HistoryQuery::Latest(0)).await;
        assert_eq!(
            history.position, position,
            "history's position is that of the newest"
        );
    }
}

pub(super) async fn a_topic_has_a_position_before_its_first_publication(broker: &impl Broker) {
    let topic = fresh("unpublished");
    subscribe(broker, &topic).await;
    let before = history(broker, &topic, ALL).await;
    assert_eq!(
        before.position.offset, 0,
        "a topic without publications is at offset 0"
    );
    assert_eq!(
        before.publications,
        [],
        "a topic without publications has no history"
    );
    let again = history(broker, &topic, ALL).await;
    assert_eq!(again, before, "reading a topic does not change it");
    let first = publish(broker, &topic, "1", KEEP).await;
    assert_eq!(
        first,
        Position::new(before.position.epoch, 1),
        "the first publication belongs to the epoch that was read before it"
    );
}

pub(super) async fn topics_are_independent(broker: &impl Broker) {
    let [one, other] = [fresh("one"), fresh("other")];
    publish(broker, &one, "a", KEEP).await;
    publish(broker, &one, "b", KEEP).await;
    let position = publish(broker, &other, "c", Retention::NOTHING).await;
    assert_eq!(
        position.offset, 1,
        "a topic's offsets don't count another topic's publications"
    );
    let history = history(broker, &one, ALL).await;
    assert_eq!(
        texts(&history),
        ["a", "b"],
        "a topic's history holds its own publications only"
    );
}

pub(super) async fn topics_are_listed_in_order(broker: &impl Broker) {
    let mut expected = [fresh("listed"), fresh("listed"), fresh("listed")];
    for topic in &expected {
        publish(broker, topic, "x", Retention::NOTHING).await;
    }
    let mut listed: Vec<TopicName> = Vec::new();
    loop {
        let page = broker
            .topics(listed.last(), 2)
            .await
            .expect("topics resolves without an error");
        assert!(page.len() <= 2, "a page has no more topics than asked for");
        if page.is_empty() {
            break;
        }
        listed.extend(page);
        assert!(
            listed.is_sorted_by(|one, other| one < other),
            "topics are listed in the order of their names, each once: {listed:?}"
        );
    }
    if listed.is_empty() {
        // Listing topics is optional.
        return;
    }
    expected.sort();
    listed.retain(|topic| expected.contains(topic));
    assert_eq!(listed, expected, "topics with publications are listed");
}
