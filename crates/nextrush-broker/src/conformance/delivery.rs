//! Promises about sinks and subscriptions.

use bytes::Bytes;

use super::recorder::Recorder;
use super::{ALL, KEEP, fresh, history, publish, subscribe, unsubscribe};
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
