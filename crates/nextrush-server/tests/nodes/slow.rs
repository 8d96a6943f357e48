//! A server that does not read what its Redis sends, until that gives up.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::KEY;
use crate::away::Node;
use crate::servers::{Server as Redis, programs};
use crate::support::{Http, signal};

const CHANNELS: usize = 8;
/// More rounds fill no buffer that the others have not filled.
const ROUNDS: usize = 100;

async fn publish(http: &Http, channel: &str, data: &str) {
    let body = json!({ "channel": channel, "data": data });
    let (status, published) = http.post("/api/v1/publish", body).await;
    assert_eq!(status, 200, "{published}");
}

#[tokio::test]
async fn a_server_that_its_redis_cuts_off_for_not_reading_misses_nothing_and_says_it_once() {
    for program in programs() {
        let redis = Redis::start(program, &[]).await;
        let limit = [
            "CONFIG",
            "SET",
            "client-output-buffer-limit",
            "pubsub 65536 0 0",
        ];
        redis.ask::<()>(&limit).await;
        let slow = Node::named(&redis, "slow").await;
        let other = Node::named(&redis, "other").await;
        let channels: Vec<_> = (0..CHANNELS).map(|one| format!("post-{one}")).collect();
        let mut client = slow.client("/live", "ada").await;
        for channel in &channels {
            client
                .send(json!({ "type": "subscribe", "channel": channel }))
                .await;
            client.json_of("subscribed").await;
        }
        signal(&slow.program, "STOP").await;
        let is_cut_off = async || {
            let clients: String = redis.ask(&["CLIENT", "LIST", "TYPE", "pubsub"]).await;
            assert!(clients.contains("name=other-pushes"), "{clients}");
            !clients.contains("name=slow-pushes")
        };
        let http = Http::at(other.port, KEY);
        let large = "x".repeat(60_000);
        let mut rounds = 0;
        while !is_cut_off().await {
            assert!(rounds < ROUNDS, "the Redis does not give up");
            for channel in &channels {
                publish(&http, channel, &large).await;
            }
            rounds += 1;
        }
        signal(&slow.program, "CONT").await;
        for channel in &channels {
            publish(&http, channel, "last").await;
        }
        let mut heard: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let mut missing = CHANNELS;
        while missing > 0 {
            let message = client.json().await;
            assert_eq!(message["type"], "update", "{message}");
            missing -= usize::from(message["data"] == "last");
            let channel = message["channel"].as_str().unwrap().to_owned();
            heard
                .entry(channel)
                .or_default()
                .push(message["offset"].clone());
        }
        let all: Vec<_> = (1..=rounds + 1).map(|offset| json!(offset)).collect();
        for channel in &channels {
            assert_eq!(heard[channel], all, "{channel}");
        }
        let log = slow.log();
        let count = |text: &str| log.lines().filter(|line| line.contains(text)).count();
        let lost = [
            count("the connection for pushes from"),
            count("the connection to Redis at"),
        ];
        // What stands still for longer finds its other connection lost as well.
        assert!([[1, 0], [0, 1], [1, 1]].contains(&lost), "{log}");
        assert!(count("again") <= 2, "{log}");
    }
}
