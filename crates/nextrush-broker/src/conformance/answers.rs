//! Promises about repeats and remembered answers.

use std::time::Duration;

use bytes::Bytes;

use super::recorder::Recorder;
use super::{ALL, KEEP, LONG, fresh, fresh_key, history, publish, publish_once, subscribe, texts};
use crate::answer::{CommandKey, Fingerprint};
use crate::broker::{Broker, BrokerError};
use crate::publication::{Publish, Published};

pub(super) async fn a_publication_happens_once_per_key(broker: &impl Broker) {
    let topic = fresh("once");
    let [key, other] = [fresh_key("once"), fresh_key("once")];
    let recorder = Recorder::attach(broker);
    subscribe(broker, &topic).await;
    let first = publish_once(broker, &topic, "a", &key, LONG).await;
    assert!(
        !first.is_repeat,
        "the first publication with a key is no repeat"
    );
    publish(broker, &topic, "b", KEEP).await;
    for text in ["a", "something else"] {
        let repeat = publish_once(broker, &topic, text, &key, LONG).await;
        assert_eq!(
            repeat,
            Published {
                is_repeat: true,
                ..first
            },
            "a repeat resolves with the position of the first"
        );
    }
    let next = publish_once(broker, &topic, "c", &other, LONG).await;
    assert!(!next.is_repeat, "another key is no repeat");
    assert_eq!(
        texts(&history(broker, &topic, ALL).await),
        ["a", "b", "c"],
        "a repeat publishes nothing"
    );
    assert_eq!(
        recorder.offsets(&topic),
        [1, 2, 3],
        "a repeat is not delivered"
    );
}

pub(super) async fn a_key_with_another_fingerprint_is_refused(broker: &impl Broker) {
    let topic = fresh("fingerprint");
    let key = fresh_key("fingerprint");
    let say = |text: &'static str, body: Option<&str>| {
        let publish = Publish::new(text).retain(KEEP).once(key.clone(), LONG);
        let publish = match body {
            Some(body) => publish.fingerprint(Fingerprint::of(body.as_bytes())),
            None => publish,
        };
        broker.publish(&topic, publish)
    };
    let first = say("a", Some("body"))
        .await
        .expect("publish resolves without an error");
    for (text, body) in [("a", Some("body")), ("b", Some("body")), ("a", None)] {
        let repeat = say(text, body).await.expect("a repeat is no error");
        assert!(
            repeat.is_repeat && repeat.position == first.position,
            "the same fingerprint, or none, makes a repeat: {repeat:?}"
        );
    }
    let refused = say("a", Some("another body")).await;
    assert!(
        matches!(refused, Err(BrokerError::Reused)),
        "another fingerprint is another publication: {refused:?}"
    );
    assert_eq!(
        texts(&history(broker, &topic, ALL).await),
        ["a"],
        "a key that is reused publishes nothing"
    );

    let key = fresh_key("fingerprint");
    publish_once(broker, &topic, "c", &key, LONG).await;
    let publish = Publish::new("d").retain(KEEP).once(key, LONG);
    let repeat = publish.fingerprint(Fingerprint::of(b"body"));
    let repeat = broker.publish(&topic, repeat).await;
    assert!(
        repeat.is_ok_and(|repeat| repeat.is_repeat),
        "one that was published without a fingerprint has any"
    );
}

pub(super) async fn a_key_counts_within_its_topic_and_window(broker: &impl Broker) {
    let [one, other] = [fresh("keys"), fresh("keys")];
    let key = fresh_key("topic");
    publish_once(broker, &one, "a", &key, LONG).await;
    let elsewhere = publish_once(broker, &other, "a", &key, LONG).await;
    assert!(
        !elsewhere.is_repeat,
        "the same key in another topic is no repeat"
    );
    let key = fresh_key("window");
    for expected in [2, 3] {
        let published = publish_once(broker, &one, "b", &key, Duration::ZERO).await;
        assert!(
            !published.is_repeat && published.position.offset == expected,
            "with a window of 0 nothing is a repeat: {published:?}"
        );
    }
}

pub(super) async fn the_first_answer_to_a_command_stays(broker: &impl Broker) {
    let [key, other] = [fresh_key("answer"), fresh_key("answer")];
    assert_eq!(
        recall(broker, &key).await,
        None,
        "a command without an answer has none"
    );
    for late in ["first", "second", "first"] {
        assert_eq!(
            remember(broker, &key, late, LONG).await,
            "first",
            "the first answer is in force"
        );
    }
    assert_eq!(
        recall(broker, &key).await.as_deref(),
        Some("first".as_bytes()),
        "an answer is remembered"
    );
    assert_eq!(
        recall(broker, &other).await,
        None,
        "an answer belongs to its key"
    );
    assert_eq!(
        remember(broker, &other, "", Duration::ZERO).await,
        "",
        "an answer may be empty"
    );
    assert_eq!(
        recall(broker, &other).await,
        None,
        "with a window of 0 no answer is remembered"
    );

    // Keys of publications and keys of commands are independent.
    let topic = fresh("answer");
    let published = publish_once(broker, &topic, "a", &key, LONG).await;
    assert!(
        !published.is_repeat,
        "a command's answer makes no publication a repeat"
    );
}

async fn remember(broker: &impl Broker, key: &CommandKey, text: &str, window: Duration) -> Bytes {
    broker
        .remember(key, Bytes::copy_from_slice(text.as_bytes()), window)
        .await
        .expect("remember resolves without an error")
}

async fn recall(broker: &impl Broker, key: &CommandKey) -> Option<Bytes> {
    broker
        .recall(key)
        .await
        .expect("recall resolves without an error")
}
