//! Load, then follow: initial states of channels.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nextrush::live::{ChannelPolicies, ChannelPolicy, SubscribeContext};
use nextrush::topic::SlowReaders;
use nextrush::{ErrorMessage, LiveUpdates};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::{all, ask, come_back, enter, network, network_with, next, subscribe, taken};

const SECOND: Duration = Duration::from_secs(1);

/// A policy whose hook takes a second, and counts how often it was asked.
fn loading(asked: &Arc<AtomicUsize>) -> ChannelPolicy {
    let asked = Arc::clone(asked);
    ChannelPolicy::new()
        .history(3, Duration::from_secs(3600))
        .on_subscribe(async move |context: SubscribeContext| {
            let number = asked.fetch_add(1, Ordering::Relaxed) + 1;
            sleep(SECOND).await;
            Ok::<_, ErrorMessage>(json!({ "load": number, "of": context.channel.param("id") }))
        })
}

#[tokio::test(start_paused = true)]
async fn a_new_subscriber_gets_the_state_and_all_that_was_published_since_it_was_loaded() {
    let asked = Arc::default();
    let (network, live) = network("board-:id", loading(&asked));
    live.publish("board-7", "before").await.unwrap();
    let mut ada = enter(&network, "ada").await;
    ada.send_json(&json!({ "type": "subscribe", "channel": "board-7" }));
    network.advance(SECOND / 2).await;
    live.publish("board-7", "meanwhile").await.unwrap();
    let answer = next(&mut ada).await;
    assert_eq!(answer["data"], json!({ "load": 1, "of": "7" }));
    assert_eq!(answer["offset"], 1);
    live.publish("board-7", "after").await.unwrap();
    let received = taken(&network, &mut ada).await;
    assert_eq!(all(&received, "data"), ["meanwhile", "after"]);
    assert_eq!(all(&received, "offset"), [2, 3]);
    // It follows, and needs no state.
    assert_eq!(subscribe(&mut ada, "board-7").await.get("data"), None);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_recovers_needs_no_state_and_one_that_cannot_gets_it() {
    let asked = Arc::default();
    let (network, live) = network("board-:id", loading(&asked));
    let mut ada = enter(&network, "ada").await;
    let position = subscribe(&mut ada, "board-7").await;
    ada.cut();
    for text in ["one", "two", "three"] {
        live.publish("board-7", text).await.unwrap();
    }
    let mut ada = enter(&network, "ada").await;
    let answer = come_back(&mut ada, "board-7", &position).await;
    assert_eq!(
        (&answer["recovered"], answer.get("data")),
        (&json!(true), None)
    );
    let received = taken(&network, &mut ada).await;
    assert_eq!(all(&received, "data"), ["one", "two", "three"]);
    ada.cut();
    live.publish("board-7", "four").await.unwrap();
    let mut ada = enter(&network, "ada").await;
    let answer = come_back(&mut ada, "board-7", &position).await;
    assert_eq!(answer["recovered"], false);
    assert_eq!(answer["data"]["load"], 2);
    assert!(taken(&network, &mut ada).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_refuses_or_fails_lets_nobody_in() {
    let refuses = ChannelPolicy::new().on_subscribe(async |_: SubscribeContext| {
        Err::<(), _>(ErrorMessage::new("no-such-board", "No such board"))
    });
    let panics = ChannelPolicy::new().on_subscribe(
        async |_: SubscribeContext| -> Result<(), ErrorMessage> { panic!("on purpose") },
    );
    let hangs = ChannelPolicy::new().on_subscribe(async |_: SubscribeContext| {
        sleep(60 * SECOND).await;
        Ok::<_, ErrorMessage>(())
    });
    let long = ChannelPolicy::new()
        .on_subscribe(async |_: SubscribeContext| Ok::<_, ErrorMessage>("x".repeat(512 * 1024)));
    let policies = ChannelPolicies::new()
        .policy("refuses", refuses)
        .policy("panics", panics)
        .policy("hangs", hangs)
        .policy("long", long);
    let (network, live) = network_with(policies);
    let mut ada = enter(&network, "ada").await;
    for (channel, code) in [
        ("refuses", "no-such-board"),
        ("panics", "internal"),
        ("hangs", "unavailable"),
        ("long", "internal"),
    ] {
        assert_eq!(
            subscribe(&mut ada, channel).await["code"],
            code,
            "{channel}"
        );
        assert_eq!(live.local_subscribers(channel), 0, "{channel}");
        live.publish(channel, &1).await.unwrap();
    }
    assert!(taken(&network, &mut ada).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_state_takes_the_place_of_the_latest_value_and_comes_before_presence() {
    let asked = Arc::default();
    let policy = loading(&asked).latest_value().presence();
    let (network, live) = network("board-:id", policy);
    live.publish("board-7", "old").await.unwrap();
    let mut ada = enter(&network, "ada").await;
    ada.send_json(&json!({ "type": "subscribe", "channel": "board-7" }));
    network.advance(SECOND / 2).await;
    live.publish("board-7", "meanwhile").await.unwrap();
    network.advance(SECOND).await;
    let received = taken(&network, &mut ada).await;
    let kinds = all(&received, "type");
    assert_eq!(
        kinds,
        ["subscribed", "presence-diff", "update"],
        "{received:?}"
    );
    assert_eq!(received[0]["data"]["load"], 1);
    assert_eq!(received[2]["data"], "meanwhile");
}

/// Publishes 3 MB while a client's state is loaded, more than may wait for any socket.
async fn much_meanwhile(slow_readers: SlowReaders) -> Vec<Value> {
    let asked = Arc::default();
    let policy = loading(&asked)
        .history(1000, Duration::from_secs(3600))
        .key("/key")
        .slow_readers(slow_readers);
    let (network, live) = network("board-:id", policy);
    let mut ada = enter(&network, "ada").await;
    ada.send_json(&json!({ "type": "subscribe", "channel": "board-7" }));
    network.advance(SECOND / 2).await;
    publish_much(&live).await;
    network.advance(SECOND).await;
    let mut received = taken(&network, &mut ada).await;
    for _ in 0..100 {
        received.extend(taken(&network, &mut ada).await);
    }
    assert!(!ada.is_closed(), "{:?}", ada.close_frame());
    assert_eq!(received.remove(0)["data"]["load"], 1);
    received
}

async fn publish_much(live: &LiveUpdates) {
    for number in 0..300 {
        let data = json!({ "key": number % 3, "text": "x".repeat(10_000) });
        live.publish("board-7", &data).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_channel_closes_nobody_whose_state_is_being_loaded() {
    let received = much_meanwhile(SlowReaders::Heal).await;
    let offsets = (1..=300).map(|offset| json!(offset));
    assert!(
        all(&received, "offset")
            .into_iter()
            .eq(&offsets.collect::<Vec<_>>())
    );
    let received = much_meanwhile(SlowReaders::Latest).await;
    assert_eq!(all(&received, "offset"), [298, 299, 300]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_while_its_state_is_loaded_is_no_subscriber() {
    let asked = Arc::default();
    let (network, live) = network("board-:id", loading(&asked));
    let mut ada = enter(&network, "ada").await;
    ada.send_json(&json!({ "type": "subscribe", "channel": "board-7", "id": "1" }));
    ada.send_json(&json!({ "type": "unsubscribe", "channel": "board-7", "id": "2" }));
    let [first, second] = [next(&mut ada).await, next(&mut ada).await];
    assert_eq!((&first["id"], &second["id"]), (&json!("1"), &json!("2")));
    assert_eq!(live.local_subscribers("board-7"), 0);
    ada.send_json(&json!({ "type": "subscribe", "channel": "board-7" }));
    network.advance(SECOND / 2).await;
    ada.cut();
    network.advance(2 * SECOND).await;
    assert_eq!(live.local_subscribers("board-7"), 0);
    let mut bob = enter(&network, "bob").await;
    let answer = ask(
        &mut bob,
        json!({ "type": "subscribe", "channel": "board-7" }),
    )
    .await;
    assert_eq!(answer["data"]["load"], 3);
}
