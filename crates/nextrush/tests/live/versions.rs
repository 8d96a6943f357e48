//! Publications with versions.

use std::time::Duration;

use nextrush::broker::CommandKey;
use nextrush::live::{ChannelPolicy, PublishOptions};
use nextrush::topic::PublishError;
use serde_json::json;

use crate::support::{all, enter, network, subscribe, taken};

#[tokio::test(start_paused = true)]
async fn what_comes_after_a_newer_version_is_dropped_and_its_writer_is_told() {
    let (network, live) = network("row", ChannelPolicy::new());
    let mut ada = enter(&network, "ada").await;
    subscribe(&mut ada, "row").await;
    let mut outdated = Vec::new();
    for version in [1, 3, 2, 3, 4] {
        let published = live.publish_version("row", &json!(version), version).await;
        outdated.push(published.unwrap().is_outdated);
    }
    assert_eq!(outdated, [false, false, true, true, false]);
    // Without a version it is published in any case.
    live.publish("row", &0).await.unwrap();
    assert_eq!(all(&taken(&network, &mut ada).await, "data"), [1, 3, 4, 0]);
    let invalid = live.publish_version("", &1, 1).await;
    assert!(
        matches!(invalid, Err(PublishError::InvalidName)),
        "{invalid:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn versions_are_those_of_a_key_where_the_channel_has_one() {
    let hour = Duration::from_secs(3600);
    let policy = ChannelPolicy::new().history(100, hour).key("/id");
    let (network, live) = network("rows", policy);
    let mut ada = enter(&network, "ada").await;
    subscribe(&mut ada, "rows").await;
    for (id, version) in [
        (json!(1), 5),
        (json!("1"), 2),
        (json!(1), 4),
        (json!("1"), 3),
    ] {
        let data = json!({ "id": id, "version": version });
        live.publish_version("rows", &data, version).await.unwrap();
    }
    let received = taken(&network, &mut ada).await;
    let versions: Vec<_> = received
        .iter()
        .map(|update| &update["data"]["version"])
        .collect();
    assert_eq!(versions, [5, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_version_may_be_that_of_a_key_that_is_given_and_a_repeat_is_known() {
    let hour = Duration::from_secs(3600);
    let policy = ChannelPolicy::new().history(100, hour).key("/id");
    let (network, live) = network("rows", policy);
    let mut ada = enter(&network, "ada").await;
    subscribe(&mut ada, "rows").await;
    let key = |key: &str| CommandKey::try_from(key).unwrap();
    let publish = async |data: u64, options: PublishOptions| {
        let published = live.publish_with("rows", &json!(data), options).await;
        let published = published.unwrap();
        (published.is_repeat, published.is_outdated)
    };
    let options = PublishOptions::new;
    let (new, repeat, outdated) = ((false, false), (true, false), (false, true));
    let first = options().once(key("a")).version(5).key(key("one"));
    assert_eq!(publish(1, first.clone()).await, new);
    assert_eq!(publish(1, first).await, repeat);
    assert_eq!(
        publish(2, options().version(4).key(key("one"))).await,
        outdated
    );
    assert_eq!(
        publish(3, options().version(4).key(key("other"))).await,
        new
    );
    // Without a key it is that of the data, and of the channel where they have none.
    assert_eq!(publish(4, options().version(1)).await, new);
    assert_eq!(publish(5, options().version(1)).await, outdated);
    assert_eq!(publish(6, options().key(key("one"))).await, new);
    assert_eq!(all(&taken(&network, &mut ada).await, "data"), [1, 3, 4, 6]);
}
