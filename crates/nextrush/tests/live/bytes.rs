//! Publications that are bytes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nextrush::ErrorMessage;
use nextrush::live::{Accepted, ChannelPolicies, ChannelPolicy, PublishContext};
use nextrush::testing::Network;
use serde_json::{Value, json};

use crate::support::{all, ask, come_back, enter, network, network_with, next, subscribe, taken};

#[allow(
    unreachable_pub,
    dead_code,
    reason = "the example is a program of its own"
)]
#[path = "../../../../examples/canvas.rs"]
mod canvas;

const HOUR: Duration = Duration::from_secs(3600);

fn publish(channel: &str, data: &str, id: &str) -> Value {
    json!({ "type": "publish", "channel": channel, "data": data, "encoding": "base64", "id": id })
}

#[tokio::test(start_paused = true)]
async fn bytes_are_told_as_base64_with_a_mark_live_and_to_those_who_come_back() {
    let policy = ChannelPolicy::new()
        .history(10, HOUR)
        .may_publish(async |_| true);
    let (network, live) = network("canvas", policy);
    let mut ada = enter(&network, "ada").await;
    let subscribed = subscribe(&mut ada, "canvas").await;
    live.publish_bytes("canvas", [0xff, 0x00, 0x7f])
        .await
        .unwrap();
    live.publish_bytes("canvas", []).await.unwrap();
    let mut bob = enter(&network, "bob").await;
    let ack = ask(&mut bob, publish("canvas", "aGk=", "1")).await;
    assert_eq!((&ack["type"], &ack["offset"]), (&json!("ack"), &json!(3)));
    live.publish("canvas", "aGk=").await.unwrap();
    let updates = taken(&network, &mut ada).await;
    let data = |updates: &[Value]| -> Vec<Value> {
        updates
            .iter()
            .map(|update| json!([update["data"], update["encoding"]]))
            .collect()
    };
    let expected = [
        json!(["/wB/", "base64"]),
        json!(["", "base64"]),
        json!(["aGk=", "base64"]),
        json!(["aGk=", null]),
    ];
    assert_eq!(data(&updates), expected);

    let recovered = come_back(&mut bob, "canvas", &subscribed).await;
    assert_eq!(recovered["recovered"], true);
    assert_eq!(data(&taken(&network, &mut bob).await), expected);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_is_one_with_the_same_bytes_in_the_same_encoding() {
    let kept = || ChannelPolicy::new().history(10, HOUR);
    for policy in [
        kept().may_publish(async |_| true),
        kept().on_publish(async |_| Ok::<_, ErrorMessage>(())),
    ] {
        let (network, _) = network("canvas", policy);
        let mut ada = enter(&network, "ada").await;
        let ack = ask(&mut ada, publish("canvas", "aGk=", "1")).await;
        assert_eq!(ask(&mut ada, publish("canvas", "aGk=", "1")).await, ack);
        let text = json!({ "type": "publish", "channel": "canvas", "data": "aGk=", "id": "1" });
        assert_eq!(ask(&mut ada, text).await["code"], "id-reused");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_base64_is_refused_and_says_so() {
    let seen = Arc::new(Mutex::new(0));
    let count = Arc::clone(&seen);
    let policy = ChannelPolicy::new().may_publish(async move |_| {
        *count.lock().unwrap() += 1;
        true
    });
    let (network, _) = network("canvas", policy);
    let mut ada = enter(&network, "ada").await;
    for (data, encoding, details) in [
        (json!("AP8"), "base64", "data is no base64: Invalid padding"),
        (json!("!"), "base64", "data is no base64: "),
        (json!([1]), "base64", "data in an encoding is a text"),
        (
            json!("ff"),
            "hex",
            "unknown variant `hex`, expected `base64`",
        ),
    ] {
        let message = json!({
            "type": "publish", "channel": "canvas", "data": data, "encoding": encoding, "id": "1",
        });
        let refusal = ask(&mut ada, message).await;
        assert_eq!(
            (&refusal["code"], &refusal["id"]),
            (&json!("invalid-format"), &json!("1"))
        );
        let told = refusal["details"].as_str().unwrap();
        assert!(told.starts_with(details), "{told}");
    }
    assert_eq!(*seen.lock().unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn rules_and_hooks_see_the_bytes_and_may_publish_others() {
    let policy = ChannelPolicy::new()
        .history(10, HOUR)
        .may_publish(async |context: PublishContext| {
            context.bytes.is_none_or(|bytes| bytes.len() <= 3)
        })
        .on_publish(async |context: PublishContext| {
            let Some(bytes) = context.bytes else {
                return Ok::<_, ErrorMessage>(Accepted::bytes(context.data.get()));
            };
            // The text beside the bytes is what came.
            assert!(context.data.get().starts_with('"'));
            match &bytes[..] {
                b"hi" => Ok(Accepted::new()),
                _ => Ok(Accepted::data(&bytes.len()).unwrap().version(7)),
            }
        });
    let (network, _) = network_with(ChannelPolicies::new().policy("canvas", policy));
    let mut ada = enter(&network, "ada").await;
    let mut bob = enter(&network, "bob").await;
    subscribe(&mut bob, "canvas").await;
    assert_eq!(
        ask(&mut ada, publish("canvas", "AAAAAA==", "0")).await["code"],
        "publish-refused"
    );
    for (message, data, encoding) in [
        (
            publish("canvas", "aGk=", "1"),
            json!("aGk="),
            json!("base64"),
        ),
        (publish("canvas", "AAAA", "2"), json!(3), Value::Null),
        (
            json!({ "type": "publish", "channel": "canvas", "data": 1, "id": "3" }),
            json!("MQ=="),
            json!("base64"),
        ),
    ] {
        let ack = ask(&mut ada, message.clone()).await;
        assert_eq!(ack["type"], "ack", "{ack}");
        // A repeat gets what was decided, and publishes nothing.
        assert_eq!(ask(&mut ada, message).await, ack);
        let update = next(&mut bob).await;
        assert_eq!((&update["data"], &update["encoding"]), (&data, &encoding));
    }
    assert!(taken(&network, &mut bob).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn bounds_of_a_history_count_the_bytes_and_not_their_text() {
    // 3 bytes and one more, where the text has 4.
    let policy = ChannelPolicy::new().history(10, HOUR).history_bytes(12);
    let (network, live) = network("canvas", policy);
    for byte in 0..5 {
        live.publish_bytes("canvas", [byte; 3]).await.unwrap();
    }
    let mut ada = enter(&network, "ada").await;
    let question = json!({ "type": "channel-history", "channel": "canvas" });
    let answer = ask(&mut ada, question).await;
    let kept = answer["publications"].as_array().unwrap();
    assert_eq!(all(kept, "data"), ["AgIC", "AwMD", "BAQE"]);
}

#[tokio::test(start_paused = true)]
async fn the_newest_of_a_channel_may_be_bytes() {
    let policy = ChannelPolicy::new()
        .latest_value()
        .key("/id")
        .history(10, HOUR);
    let (network, live) = network("canvas", policy);
    live.publish("canvas", &json!({ "id": 1 })).await.unwrap();
    live.publish_bytes("canvas", b"old").await.unwrap();
    live.publish_bytes("canvas", b"new").await.unwrap();
    let mut ada = enter(&network, "ada").await;
    subscribe(&mut ada, "canvas").await;
    let newest = taken(&network, &mut ada).await;
    assert_eq!(all(&newest, "data"), [&json!({ "id": 1 }), &json!("bmV3")]);
}

#[tokio::test(start_paused = true)]
async fn the_canvas_takes_strokes_of_three_bytes_and_nothing_else() {
    let network = Network::new(canvas::app());
    let mut ada = network.connect("/live").await.unwrap();
    subscribe(&mut ada, "canvas").await;
    for (data, encoding) in [
        (json!("AAEC"), json!("base64")),
        (json!("AAECAw=="), json!("base64")),
        (json!("AAEC"), Value::Null),
        (json!([0, 1, 2]), Value::Null),
    ] {
        ada.send_json(&json!({
            "type": "publish", "channel": "canvas", "data": data, "encoding": encoding,
        }));
    }
    let told = taken(&network, &mut ada).await;
    let codes = ["no-stroke"; 3].map(Value::from);
    assert_eq!(
        all(&told, "data"),
        [&json!("AAEC"), &Value::Null, &Value::Null, &Value::Null]
    );
    assert!(
        all(&told, "code")[1..].iter().copied().eq(&codes),
        "{told:?}"
    );
}
