//! Promises about repeats and remembered answers.

use std::time::Duration;

use bytes::Bytes;

use super::recorder::Recorder;
use super::{ALL, KEEP, LONG, fresh, fresh_key, history, publish, publish_once, subscribe, texts};
use crate::answer::{CommandKey, Fingerprint};
use crate::broker::Broker;
use crate::claim::{Attempt, Claim, Claimed};
use crate::error::BrokerError;
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
    let attempt = |key: &CommandKey| Attempt::new(key.clone()).window(LONG);
    // Claims end at once, so that each of them is a claim to execute.
    let first = mine(broker, attempt(&key).lease(Duration::ZERO)).await;
    let second = mine(broker, attempt(&key).lease(Duration::ZERO)).await;
    for (claimed, text) in [
        (first.clone(), "first"),
        (second, "second"),
        (first, "first"),
    ] {
        assert_eq!(
            answer(broker, claimed, text).await,
            "first",
            "the first answer is in force"
        );
    }
    assert_eq!(
        claim(broker, attempt(&key)).await,
        Claim::Answered("first".into()),
        "an answer is remembered"
    );
    let claimed = claim(broker, attempt(&other)).await;
    let Claim::Mine(claimed) = claimed else {
        panic!("an answer belongs to its key: {claimed:?}");
    };
    answer(broker, claimed, "other").await;
    let key_of_none = fresh_key("answer");
    for _ in 0..2 {
        let attempt = attempt(&key_of_none).window(Duration::ZERO);
        let claimed = claim(broker, attempt).await;
        let Claim::Mine(claimed) = claimed else {
            panic!("with a window of 0 no answer is remembered: {claimed:?}");
        };
        assert_eq!(
            answer(broker, claimed, "").await,
            "",
            "an answer may be empty"
        );
    }

    // Keys of publications and keys of commands are independent.
    let topic = fresh("answer");
    let published = publish_once(broker, &topic, "a", &key, LONG).await;
    assert!(
        !published.is_repeat,
        "a command's answer makes no publication a repeat"
    );
}

pub(super) async fn a_command_is_executed_by_one(broker: &impl Broker) {
    let key = fresh_key("claim");
    let attempt = |body: &[u8]| {
        Attempt::new(key.clone())
            .lease(LONG)
            .window(LONG)
            .fingerprint(Fingerprint::of(body))
    };
    let claimed = mine(broker, attempt(b"body")).await;
    for again in [attempt(b"body"), Attempt::new(key.clone())] {
        assert_eq!(
            claim(broker, again).await,
            Claim::Running,
            "one at a time executes a command"
        );
    }
    for answered in [false, true] {
        if answered {
            answer(broker, claimed.clone(), "done").await;
        }
        let refused = broker.claim(attempt(b"another body")).await;
        assert!(
            matches!(refused, Err(BrokerError::Reused)),
            "another fingerprint is another command: {refused:?}"
        );
    }
    assert_eq!(
        claim(broker, attempt(b"body")).await,
        Claim::Answered("done".into()),
        "others get the answer"
    );

    let key = fresh_key("claim");
    for _ in 0..2 {
        let attempt = Attempt::new(key.clone()).lease(Duration::ZERO);
        let claimed = claim(broker, attempt).await;
        assert!(
            matches!(claimed, Claim::Mine(_)),
            "a claim ends with its lease: {claimed:?}"
        );
    }
}

pub(super) async fn a_command_is_executed_at_most_once(broker: &impl Broker) {
    let [key, unanswered] = [fresh_key("at-most-once"), fresh_key("at-most-once")];
    let attempt = |key: &CommandKey, body: &[u8]| {
        Attempt::new(key.clone())
            .fingerprint(Fingerprint::of(body))
            .window(LONG)
            .at_most_once()
    };
    // While it runs, and when it is answered, it is a command like any other.
    let claimed = mine(broker, attempt(&key, b"body").lease(LONG)).await;
    let running = claim(broker, attempt(&key, b"body").lease(LONG)).await;
    assert_eq!(running, Claim::Running, "one at a time executes a command");
    assert_eq!(
        answer(broker, claimed, "done").await,
        "done",
        "the answer takes the place of the claim"
    );
    assert_eq!(
        claim(broker, attempt(&key, b"body")).await,
        Claim::Answered("done".into()),
        "others get the answer"
    );

    // With a window of 0 the answer ends the claim, and nothing is remembered.
    let refused = fresh_key("at-most-once");
    for text in ["not yet", "not yet", "done"] {
        let mut claimed = mine(broker, attempt(&refused, text.as_bytes()).lease(LONG)).await;
        if text != "done" {
            claimed.attempt.window = Duration::ZERO;
        }
        assert_eq!(answer(broker, claimed, text).await, text);
    }
    assert_eq!(
        claim(broker, attempt(&refused, b"done")).await,
        Claim::Answered("done".into()),
        "the answer that is to be remembered is"
    );

    let claimed = mine(broker, attempt(&unanswered, b"body").lease(Duration::ZERO)).await;
    for lease in [Duration::ZERO, LONG] {
        assert_eq!(
            claim(broker, attempt(&unanswered, b"body").lease(lease)).await,
            Claim::InDoubt,
            "a claim that ended without an answer is not given out again"
        );
    }
    let refused = broker.claim(attempt(&unanswered, b"another body")).await;
    assert!(
        matches!(refused, Err(BrokerError::Reused)),
        "another fingerprint is another command: {refused:?}"
    );
    assert_eq!(
        answer(broker, claimed, "late").await,
        "late",
        "its holder may still answer"
    );
    assert_eq!(
        claim(broker, attempt(&unanswered, b"body")).await,
        Claim::Answered("late".into()),
        "an answer ends the doubt"
    );
}

async fn claim(broker: &impl Broker, attempt: Attempt) -> Claim {
    broker
        .claim(attempt)
        .await
        .expect("claim resolves without an error")
}

async fn mine(broker: &impl Broker, attempt: Attempt) -> Claimed {
    match claim(broker, attempt).await {
        Claim::Mine(claimed) => claimed,
        other => panic!("a command without a lease or an answer can be claimed: {other:?}"),
    }
}

async fn answer(broker: &impl Broker, claimed: Claimed, text: &'static str) -> Bytes {
    broker
        .answer(claimed, Bytes::from_static(text.as_bytes()))
        .await
        .expect("answer resolves without an error")
}
