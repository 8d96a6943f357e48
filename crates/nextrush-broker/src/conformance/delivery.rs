//! Promises about sinks and subscriptions.

use bytes::Bytes;

use super::LONG;
use super::recorder::Recorder;
use super::{
    ALL, KEEP, fresh, fresh_key, history, publish, publish_once, subscribe, texts, unsubscribe,
};
use crate::broker::Broker;
use crate::publication::Publish;
use crate::retention::Retention;

pub(super) async fn sinks_get_subscribed_topics_only(broker: &impl Broker) {
    let [topic, other] = [fresh("subscribed"), fresh("unsubscribed")];
    let recorder = Recorder::attach(broker);
    publish(broker, &topic, "1", KEEP).await;
    assert_eq!(
        recorder.offsets(&topic),
        Vec::<u64>::new(),
        "a sink gets nothing before the subscription"
    );

    subscribe(broker, &topic).await;
    for (text, expected) in [("2", [2].as_slice()), ("3", &[2, 3])] {
        publish(broker, &topic, text, KEEP).await;
        assert_eq!(
            recorder.offsets(&topic),
            expected,
            "a sink has the publication once, by the time publish resolves"
        );
    }
    publish(broker, &topic, "4", Retention::NOTHING).await;
    assert_eq!(
        recorder.offsets(&topic),
        [2, 3, 4],
        "what is not kept is delivered as well"
    );
    publish(broker, &other, "1", KEEP).await;
    assert_eq!(
        recorder.offsets(&other),
        Vec::<u64>::new(),
        "a sink gets nothing of other topics"
    );

    unsubscribe(broker, &topic).await;
    publish(broker, &topic, "5", KEEP).await;
    assert_eq!(
        recorder.offsets(&topic),
        [2, 3, 4],
        "a sink gets nothing once unsubscribed"
    );
    subscribe(broker, &topic).await;
    publish(broker, &topic, "6", KEEP).await;
    assert_eq!(
        recorder.offsets(&topic),
        [2, 3, 4, 6],
        "a new subscription starts with the next publication"
    );
}

pub(super) async fn interests_are_counted(broker: &impl Broker) {
    let topic = fresh("counted");
    let recorder = Recorder::attach(broker);
    unsubscribe(broker, &topic).await;
    subscribe(broker, &topic).await;
    subscribe(broker, &topic).await;
    publish(broker, &topic, "1", KEEP).await;
    assert_eq!(
        recorder.offsets(&topic),
        [1],
        "unsubscribing without an interest does nothing, and two interests deliver once"
    );
    unsubscribe(broker, &topic).await;
    publish(broker, &topic, "2", KEEP).await;
    assert_eq!(
        recorder.offsets(&topic),
        [1, 2],
        "one of two interests is left"
    );
    unsubscribe(broker, &topic).await;
    publish(broker, &topic, "3", KEEP).await;
    assert_eq!(recorder.offsets(&topic), [1, 2], "no interest is left");
}

pub(super) async fn every_sink_gets_what_history_has(broker: &impl Broker) {
    let topic = fresh("content");
    let sinks = [Recorder::attach(broker), Recorder::attach(broker)];
    subscribe(broker, &topic).await;
    let payloads = [
        Bytes::new(),
        Bytes::from_static(b"\0\xff\xfe"),
        Bytes::from("text"),
        Bytes::from(vec![b'x'; 64 * 1024]),
    ];
    for payload in &payloads {
        broker
            .publish(&topic, Publish::new(payload.clone()).retain(KEEP))
            .await
            .expect("publish resolves without an error");
    }
    let history = history(broker, &topic, ALL).await;
    let kept: Vec<&Bytes> = history.publications.iter().map(|kept| &kept.data).collect();
    assert_eq!(
        kept,
        payloads.iter().collect::<Vec<_>>(),
        "history has the bytes as published"
    );
    for sink in sinks {
        let delivered = sink.of(&topic);
        assert!(
            delivered
                .iter()
                .all(|(epoch, _)| *epoch == history.position.epoch),
            "deliveries carry the topic's epoch"
        );
        let delivered: Vec<_> = delivered
            .into_iter()
            .map(|(_, publication)| publication)
            .collect();
        assert_eq!(
            delivered, history.publications,
            "each sink gets what history has"
        );
    }
}

/// Checks brokers that publish at once.
pub(super) async fn publishing_at_once_is_publishing(broker: &impl Broker) {
    let Some(immediate) = broker.immediate() else {
        return;
    };
    let topic = fresh("at-once");
    let recorder = Recorder::attach(broker);
    subscribe(broker, &topic).await;
    let key = fresh_key("at-once");
    for number in [1, 3, 5] {
        let text = number.to_string();
        let once = Publish::new(text).retain(KEEP).once(key.clone(), LONG);
        let published = immediate
            .publish_now(&topic, once.clone())
            .expect("publishing at once returns no error");
        assert_eq!(
            (published.position.offset, published.is_repeat),
            (1, number > 1),
            "a key that was published with is a repeat"
        );
        let text = (number + 1).to_string();
        let later = publish_once(broker, &topic, &text, &key, LONG).await;
        assert!(later.is_repeat, "a repeat is one whichever way it comes");
        publish(broker, &topic, &text, KEEP).await;
        let at_once = Publish::new(format!("{text}b")).retain(KEEP);
        immediate
            .publish_now(&topic, at_once)
            .expect("publishing at once returns no error");
    }
    assert_eq!(
        texts(&history(broker, &topic, ALL).await),
        ["1", "2", "2b", "4", "4b", "6", "6b"],
        "publishing at once and otherwise keep one order"
    );
    assert_eq!(
        recorder.offsets(&topic),
        [1, 2, 3, 4, 5, 6, 7],
        "a sink has what was published at once"
    );
}
