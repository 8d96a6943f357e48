//! Publications with a version.

use std::sync::Arc;

use futures_util::future::join_all;

use super::recorder::Recorder;
use super::{ALL, KEEP, LONG, fresh, fresh_key, history, publish, subscribe, texts};
use crate::broker::Broker;
use crate::position::Position;
use crate::publication::{Publish, Published};
use crate::topic_name::TopicName;

fn versioned(number: u64) -> Publish {
    Publish::new(format!("version {number}"))
        .retain(KEEP)
        .version(number)
}

async fn try_publish(broker: &impl Broker, topic: &TopicName, publish: Publish) -> Published {
    broker
        .publish(topic, publish)
        .await
        .expect("publish resolves without an error")
}

/// Publishes something that has to be new.
async fn publish_new(broker: &impl Broker, topic: &TopicName, publish: Publish) -> Position {
    let text = format!("{publish:?}");
    let published = try_publish(broker, topic, publish).await;
    assert!(
        !published.is_outdated && !published.is_repeat,
        "a higher version is published: {text}"
    );
    published.position
}

async fn is_dropped(broker: &impl Broker, topic: &TopicName, publish: Publish, newer: Position) {
    let text = format!("{publish:?}");
    let published = try_publish(broker, topic, publish).await;
    assert!(
        published.is_outdated && !published.is_repeat,
        "a version that is not higher is dropped: {text}"
    );
    assert_eq!(
        published.position, newer,
        "a dropped publication has the position of the newer one"
    );
}

pub(super) async fn an_older_version_is_dropped(broker: &impl Broker) {
    let topic = fresh("versions");
    let recorder = Recorder::attach(broker);
    subscribe(broker, &topic).await;
    publish(broker, &topic, "without", KEEP).await;
    let second = publish_new(broker, &topic, versioned(2)).await;
    publish(broker, &topic, "without", KEEP).await;
    for number in [1, 2] {
        is_dropped(broker, &topic, versioned(number), second).await;
    }
    publish_new(broker, &topic, versioned(3)).await;
    let close = [1 << 53, (1 << 53) + 1, u64::MAX - 1, u64::MAX];
    for number in close {
        let newest = publish_new(broker, &topic, versioned(number)).await;
        is_dropped(broker, &topic, versioned(number), newest).await;
        is_dropped(broker, &topic, versioned(number - 1), newest).await;
    }
    publish_new(broker, &topic, versioned(0)).await;
    assert_eq!(
        texts(&history(broker, &topic, ALL).await)[..5],
        [
            "without",
            "version 2",
            "without",
            "version 3",
            "version 9007199254740992"
        ],
        "histories have what was published"
    );
    let offsets: Vec<_> = (1..=9).collect();
    assert_eq!(
        recorder.offsets(&topic),
        offsets,
        "what is dropped is not delivered"
    );
    let other = fresh("versions");
    publish_new(broker, &other, versioned(1)).await;
}

pub(super) async fn versions_belong_to_keys(broker: &impl Broker) {
    let topic = fresh("versions");
    let [a, b] = [fresh_key("a"), fresh_key("b")];
    let of = |key: &crate::answer::CommandKey, number| {
        Publish::new("keyed")
            .retain(KEEP)
            .version_of(key.clone(), number)
    };
    let first = publish_new(broker, &topic, of(&a, 7)).await;
    publish_new(broker, &topic, of(&b, 3)).await;
    publish_new(broker, &topic, versioned(2)).await;
    is_dropped(broker, &topic, of(&a, 7), first).await;
    publish_new(broker, &topic, of(&b, 5)).await;
    let last = publish_new(broker, &topic, of(&a, 8)).await;
    is_dropped(broker, &topic, of(&a, 7), last).await;
    publish_new(broker, &fresh("versions"), of(&a, 1)).await;
    // A key of a version is none of a publication that happens once.
    let once = Publish::new("once").retain(KEEP).once(a.clone(), LONG);
    let once = publish_new(broker, &topic, once.version(4)).await;
    let again = Publish::new("once").retain(KEEP).once(a, LONG).version(4);
    let again = try_publish(broker, &topic, again).await;
    assert_eq!(
        again,
        Published::repeat(once),
        "a repeat is one, whatever its version"
    );
}

pub(super) async fn concurrent_versions_end_with_the_highest<B: Broker>(broker: Arc<B>) {
    let topic = fresh("versions");
    let publishers = (1..=40_u64).map(|number| {
        let (broker, topic) = (Arc::clone(&broker), topic.clone());
        // 1 to 40 in another order.
        let publish = versioned(number * 7 % 41);
        tokio::spawn(async move { try_publish(&*broker, &topic, publish).await })
    });
    for published in join_all(publishers).await {
        published.expect("a publisher does not panic");
    }
    let texts = texts(&history(&*broker, &topic, ALL).await);
    let numbers: Vec<u64> = texts
        .iter()
        .filter_map(|text| text.strip_prefix("version ")?.parse().ok())
        .collect();
    assert!(
        numbers.is_sorted_by(|one, other| one < other) && numbers.last() == Some(&40),
        "versions rise, and the highest is the last: {numbers:?}"
    );
}
