//! Going back in a channel.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nextrush::broker::{EmbeddedBroker, HistoryQuery};
use nextrush::live::{ChannelPolicies, ChannelPolicy, Payload, SubscribeContext};
use nextrush::testing::{Client, Cluster, Network};
use nextrush::{App, LiveUpdates};
use serde_json::{Value, json};

use crate::support::{
    Allowed, Faulty, ask, enter, network, network_with, next, route, subscribe, taken,
};

const HOUR: Duration = Duration::from_secs(3600);

fn kept(count: usize) -> ChannelPolicy {
    ChannelPolicy::new().history(count, HOUR)
}

async fn publish(live: &LiveUpdates, channel: &str, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        live.publish(channel, &number).await.unwrap();
    }
}

async fn look_back(client: &mut Client, channel: &str, fields: &Value) -> Value {
    let mut question = json!({ "type": "channel-history", "channel": channel, "id": "h" });
    let fields = fields.as_object().unwrap().clone();
    question.as_object_mut().unwrap().extend(fields);
    let answer = ask(client, question).await;
    assert_eq!(answer["id"], "h");
    answer
}

/// The offsets of a page, which data says as well, and what it says of the next one.
fn page(answer: &Value) -> (Vec<u64>, bool, Option<u64>) {
    assert_eq!(answer["type"], "channel-history", "{answer}");
    let publications = answer["publications"].as_array().unwrap();
    let offset = |kept: &Value| {
        assert_eq!(kept["data"], kept["offset"]);
        kept["offset"].as_u64().unwrap()
    };
    let more = answer["more"].as_bool().unwrap();
    (
        publications.iter().map(offset).collect(),
        more,
        answer["next"].as_u64(),
    )
}

#[tokio::test(start_paused = true)]
async fn the_publications_before_one_come_oldest_first_and_page_by_page() {
    let (network, live) = network("news", kept(90));
    publish(&live, "news", 1..=100).await;
    let mut ada = enter(&network, "ada").await;
    let subscribed = subscribe(&mut ada, "news").await;
    let all = |from, to| (from..=to).collect::<Vec<u64>>();
    for (fields, expected) in [
        // 10 are forgotten.
        (json!({}), (all(51, 100), true, Some(51))),
        (json!({ "before": 51 }), (all(11, 50), false, None)),
        (
            json!({ "before": 51, "limit": 40 }),
            (all(11, 50), false, None),
        ),
        (
            json!({ "before": 51, "limit": 39 }),
            (all(12, 50), true, Some(12)),
        ),
        (
            json!({ "before": 12, "limit": 300 }),
            (all(11, 11), false, None),
        ),
        (json!({ "before": 11 }), (vec![], false, None)),
        (json!({ "before": 5, "limit": 3 }), (vec![], false, None)),
        (json!({ "before": 0 }), (vec![], false, None)),
        // As if it were the next one.
        (
            json!({ "before": 1000, "limit": 2 }),
            (all(99, 100), true, Some(99)),
        ),
        (
            json!({ "before": u64::MAX, "limit": 1 }),
            (all(100, 100), true, Some(100)),
        ),
        (
            json!({ "before": 101, "limit": 1 }),
            (all(100, 100), true, Some(100)),
        ),
        (
            json!({ "before": 50, "limit": 0 }),
            (vec![], true, Some(50)),
        ),
        (
            json!({ "before": null, "limit": 1_000_000 }),
            (all(11, 100), false, None),
        ),
    ] {
        let answer = look_back(&mut ada, "news", &fields).await;
        assert_eq!(page(&answer), expected, "{fields}");
        assert_eq!(
            (&answer["channel"], &answer["epoch"]),
            (&json!("news"), &subscribed["epoch"])
        );
    }
    let wrong = look_back(&mut ada, "news", &json!({ "before": -1 })).await;
    assert_eq!(wrong["code"], "invalid-format");
}

#[tokio::test(start_paused = true)]
async fn more_than_300_and_more_bytes_than_are_sent_take_several_pages() {
    let (network, live) = network("news", kept(1000));
    publish(&live, "news", 1..=400).await;
    let mut ada = enter(&network, "ada").await;
    let (offsets, more, next) = page(&look_back(&mut ada, "news", &json!({ "limit": 1000 })).await);
    assert_eq!((offsets.len(), more, next), (300, true, Some(101)));

    let lines = "x".repeat(200 * 1024);
    for _ in 0..4 {
        live.publish("news", &lines).await.unwrap();
    }
    let answer = look_back(&mut ada, "news", &json!({})).await;
    let offsets = |answer: &Value| -> Vec<u64> {
        let kept = answer["publications"].as_array().unwrap().iter();
        kept.map(|kept| kept["offset"].as_u64().unwrap()).collect()
    };
    assert_eq!(offsets(&answer), [403, 404]);
    // What is longer than a page is one.
    live.publish("news", &"x".repeat(600 * 1024)).await.unwrap();
    let answer = look_back(&mut ada, "news", &json!({})).await;
    assert_eq!(
        (offsets(&answer), &answer["next"]),
        (vec![405], &json!(405))
    );
}

#[tokio::test(start_paused = true)]
async fn a_deleted_publication_is_left_out_and_pages_go_on_before_it() {
    let (network, live) = network("news", kept(100));
    publish(&live, "news", 1..=2).await;
    let ada_id = "ada".into();
    for number in 3..=8 {
        live.publish_by(&ada_id, "news", &number).await.unwrap();
    }
    publish(&live, "news", 9..=9).await;
    assert_eq!(network.handle().purge_user(&ada_id).await.unwrap(), 6);
    let mut bob = enter(&network, "bob").await;
    let mut seen = Vec::new();
    let mut before = json!({ "limit": 3 });
    loop {
        let (offsets, more, next) = page(&look_back(&mut bob, "news", &before).await);
        seen.push(offsets);
        if !more {
            break;
        }
        before["before"] = json!(next);
    }
    assert_eq!(seen, [vec![9], vec![], vec![1, 2]]);
}

#[tokio::test(start_paused = true)]
async fn it_is_for_those_who_may_subscribe_and_a_subscriber_is_not_asked_about_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let policy = kept(10).may_subscribe(async move |context: SubscribeContext| {
        count.fetch_add(1, Ordering::Relaxed);
        context.user.is_some_and(|user| user.id == "ada".into())
    });
    let policies = ChannelPolicies::new()
        .policy("team", policy)
        .refuse_others();
    let (network, live) = network_with(policies);
    publish(&live, "team", 1..=1).await;
    let mut ada = enter(&network, "ada").await;
    let mut eve = enter(&network, "eve").await;
    assert_eq!(
        look_back(&mut eve, "team", &json!({})).await["code"],
        "subscribe-refused"
    );
    assert_eq!(
        look_back(&mut eve, "other", &json!({})).await["code"],
        "subscribe-refused"
    );
    assert_eq!(
        look_back(&mut eve, "", &json!({})).await["code"],
        "invalid-name"
    );
    assert_eq!(page(&look_back(&mut ada, "team", &json!({})).await).0, [1]);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    // She is no subscriber by that.
    publish(&live, "team", 2..=2).await;
    assert!(taken(&network, &mut ada).await.is_empty());
    subscribe(&mut ada, "team").await;
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    assert_eq!(
        page(&look_back(&mut ada, "team", &json!({})).await).0,
        [1, 2]
    );
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_taken_out_meanwhile_gets_nothing() {
    let broker = Faulty::default();
    let faults = Arc::clone(&broker.faults);
    let allowed = Allowed::new(["ada", "bob"]);
    let mut app: App = App::builder().broker(broker).build();
    let live = LiveUpdates::builder()
        .policies(ChannelPolicies::new().policy("team", allowed.policy()))
        .build(&app, "live");
    route(&mut app, &live);
    let network = Network::new(app);
    publish(&live, "team", 1..=1).await;
    let mut ada = enter(&network, "ada").await;
    subscribe(&mut ada, "team").await;
    let mut bob = enter(&network, "bob").await;
    faults.histories_are_late.store(true, Ordering::Relaxed);
    let question = json!({ "type": "channel-history", "channel": "team", "id": "h" });
    ada.send_json(&question);
    bob.send_json(&question);
    network.settle().await;
    allowed.set("ada", false);
    allowed.set("bob", false);
    live.kick(&"ada".into(), "team").await;
    live.recheck(&"bob".into()).await;
    assert_eq!(next(&mut ada).await["code"], "kicked");
    let answers = [next(&mut ada).await, next(&mut bob).await];
    let told = answers.map(|answer| json!([answer["id"], answer["code"]]));
    assert_eq!(
        told,
        [json!(["h", "kicked"]), json!(["h", "subscribe-refused"])]
    );
}

#[tokio::test(start_paused = true)]
async fn a_channel_without_a_history_says_so_and_a_forgotten_one_is_empty() {
    let policies = ChannelPolicies::new()
        .policy("kept", kept(10))
        .policy("newest", ChannelPolicy::new().latest_value());
    let (network, live) = network_with(policies);
    let mut ada = enter(&network, "ada").await;
    let refusal = look_back(&mut ada, "other", &json!({})).await;
    assert_eq!(
        (&refusal["code"], &refusal["message"]),
        (&json!("no-history"), &json!("No history in this channel"))
    );
    let answer = look_back(&mut ada, "kept", &json!({})).await;
    assert_eq!(page(&answer), (vec![], false, None));
    publish(&live, "newest", 1..=3).await;
    assert_eq!(
        page(&look_back(&mut ada, "newest", &json!({})).await).0,
        [3]
    );
}

#[tokio::test(start_paused = true)]
async fn what_one_reads_counts_for_it_and_for_nobody_else() {
    let (network, live) = network("news", kept(10));
    live.publish("news", &"x".repeat(500 * 1024)).await.unwrap();
    let mut ada = enter(&network, "ada").await;
    let mut bob = enter(&network, "bob").await;
    let mut allowed = 0;
    let refusal = loop {
        let answer = look_back(&mut ada, "news", &json!({})).await;
        if answer["type"] == "error" {
            break answer;
        }
        allowed += 1;
    };
    // 50,000 deliveries, each answer being 20 and 500.
    assert_eq!((allowed, &refusal["code"]), (96, &json!("rate-limited")));
    assert!(refusal["retryAfterMs"].as_u64().unwrap() > 0);
    let answer = look_back(&mut bob, "news", &json!({})).await;
    assert_eq!(answer["type"], "channel-history");
}

/// Two nodes with a channel that remembers.
#[tokio::test(start_paused = true)]
async fn a_history_is_the_same_on_all_nodes_bytes_included() {
    let cluster = Cluster::new(1, ["a", "b"], move |builder| {
        let mut app: App = builder.build();
        let policy = kept(10).may_publish(async |_| true);
        let live = LiveUpdates::builder()
            .policies(ChannelPolicies::new().policy("canvas", policy))
            .build(&app, "live");
        route(&mut app, &live);
        app
    });
    let mut ada = enter(&cluster.node("a"), "ada").await;
    let mut bob = enter(&cluster.node("b"), "bob").await;
    subscribe(&mut bob, "canvas").await;
    for (id, data, encoding) in [("1", "AP8=", json!("base64")), ("2", "AP8=", Value::Null)] {
        let message = json!({
            "type": "publish", "channel": "canvas", "data": data, "encoding": encoding, "id": id,
        });
        assert_eq!(ask(&mut ada, message).await["type"], "ack");
        let update = next(&mut bob).await;
        assert_eq!(
            (&update["data"], &update["encoding"]),
            (&json!("AP8="), &encoding)
        );
    }
    for client in [&mut ada, &mut bob] {
        let answer = look_back(client, "canvas", &json!({})).await;
        let kept = answer["publications"].as_array().unwrap().iter();
        let kept: Vec<_> = kept
            .map(|kept| (kept["offset"].clone(), kept["encoding"].clone()))
            .collect();
        assert_eq!(kept, [(json!(1), json!("base64")), (json!(2), Value::Null)]);
    }
}

#[tokio::test]
async fn a_history_outlives_the_process_bytes_included() {
    let directory = tempfile::tempdir().unwrap();
    let open = || {
        let app: App = App::builder()
            .broker(EmbeddedBroker::open(directory.path()).unwrap())
            .build();
        let policies = ChannelPolicies::new().policy("canvas", kept(10));
        let live = LiveUpdates::builder()
            .policies(policies)
            .build(&app, "live");
        (app, live)
    };
    let (app, live) = open();
    live.publish_bytes("canvas", [0, 0xff]).await.unwrap();
    live.publish("canvas", "AP8=").await.unwrap();
    drop((app, live));
    while EmbeddedBroker::open(directory.path()).is_err() {
        tokio::task::yield_now().await;
    }
    let (_app, live) = open();
    let history = live
        .history("canvas", HistoryQuery::Latest(9))
        .await
        .unwrap();
    let kept: Vec<_> = history
        .publications
        .iter()
        .map(|kept| Payload::of(kept).unwrap())
        .collect();
    assert!(
        matches!(kept[..], [Payload::Bytes([0, 0xff]), Payload::Json(json)] if json.get() == "\"AP8=\""),
        "{kept:?}"
    );
}
