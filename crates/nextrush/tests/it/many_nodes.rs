//! Two nodes of an application on one store, as their clients see them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Path;
use nextrush::broker::simulated::{SimulatedServer, SimulatedStore};
use nextrush::broker::{Retention, SequencedBroker, SequencerOptions};
use nextrush::live::{ChannelPolicies, ChannelPolicy};
use nextrush::testing::{Client, Network};
use nextrush::{App, LiveUpdates, Socket};
use serde_json::{Value, json};

use crate::schema;

/// A node with live channels and plain topics.
struct Node {
    store: Arc<SimulatedStore>,
    network: Network,
    live: LiveUpdates,
}

impl Node {
    fn new(server: &SimulatedServer) -> Self {
        let store = Arc::new(server.connect());
        let options = SequencerOptions::default().seed(1);
        let broker = SequencedBroker::new(Arc::clone(&store), options);
        let mut app: App = App::builder().broker(broker).build();
        let hour = Duration::from_secs(3600);
        let kept = ChannelPolicy::new().history(100, hour);
        let live = LiveUpdates::builder()
            .policies(ChannelPolicies::new().policy("news", kept))
            .build(&app, "live");
        let connect = live.clone();
        app.ws("/live", move |socket: Socket| connect.connect(&socket));
        app.ws(
            "/topics/:name",
            async |socket: Socket, Path(name): Path<String>| {
                let topic = socket.app().topic(&name).retain(Retention::count(9));
                let subscribed = topic.subscribe(&socket, None).await;
                assert!(subscribed.is_ok(), "{subscribed:?}");
            },
        );
        Self {
            store,
            network: Network::new(app),
            live,
        }
    }

    async fn publish(&self, text: &str) -> u64 {
        let publish = self.live.publish("news", text);
        let published = self.network.run_until(publish).await;
        published.unwrap().offset
    }

    async fn subscribe(&self, since: Option<&Value>) -> (Client, Value) {
        let mut client = self.network.connect("/live").await.unwrap();
        client.send_json(&json!({ "type": "subscribe", "channel": "news", "since": since }));
        let answer = client.json().await;
        assert_eq!(answer["type"], "subscribed", "{answer}");
        (client, answer)
    }
}

fn position(answer: &Value) -> Value {
    json!({ "epoch": answer["epoch"], "offset": answer["offset"] })
}

async fn assert_update(client: &mut Client, offset: u64, text: &str) {
    let update = client.json().await;
    assert_eq!(update["type"], "update", "{update}");
    assert_eq!(
        (&update["offset"], &update["data"]),
        (&offset.into(), &text.into())
    );
}

#[tokio::test(start_paused = true)]
async fn what_one_node_publishes_reaches_the_clients_of_all() {
    let server = SimulatedServer::new(1);
    let [here, there] = [Node::new(&server), Node::new(&server)];
    let (mut ada, _) = here.subscribe(None).await;
    let (mut bob, answer) = there.subscribe(None).await;
    here.publish("one").await;
    there.publish("two").await;
    for client in [&mut ada, &mut bob] {
        assert_update(client, 1, "one").await;
        assert_update(client, 2, "two").await;
    }
    // Who comes back elsewhere has missed nothing.
    let (mut bob, answer) = here.subscribe(Some(&position(&answer))).await;
    assert_eq!(answer["recovered"], true);
    assert_update(&mut bob, 1, "one").await;
    assert_update(&mut bob, 2, "two").await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_the_store_costs_a_client_nothing() {
    let server = SimulatedServer::new(1);
    let [here, there] = [Node::new(&server), Node::new(&server)];
    let (mut ada, before) = here.subscribe(None).await;
    let mut plain = here.network.connect("/topics/news").await.unwrap();
    assert_eq!(plain.json().await["type"], "subscribed");
    here.publish("one").await;
    assert_update(&mut ada, 1, "one").await;

    server.restart();
    there.publish("two").await;
    let renewed = ada.json().await;
    schema::check_sent(&renewed);
    let expected = json!({
        "type": "renewed", "channel": "news", "epoch": renewed["epoch"], "offset": 1,
    });
    assert_eq!(renewed, expected);
    assert_ne!(renewed["epoch"], before["epoch"]);
    assert_update(&mut ada, 2, "two").await;
    assert_eq!(plain.json().await["type"], "renewed");

    // Also one that ignored the message, up to where the earlier epoch ended.
    let old = json!({ "epoch": before["epoch"], "offset": 1 });
    let (mut ada, answer) = there.subscribe(Some(&old)).await;
    assert_eq!(answer["recovered"], true);
    assert_eq!(
        position(&answer),
        json!({ "epoch": renewed["epoch"], "offset": 2 })
    );
    assert_update(&mut ada, 2, "two").await;
}

#[tokio::test(start_paused = true)]
async fn a_client_is_told_what_a_failover_took_back() {
    let server = SimulatedServer::new(1);
    let [ahead, behind] = [Node::new(&server), Node::new(&server)];
    let (mut ada, before) = ahead.subscribe(None).await;
    let (mut bob, _) = behind.subscribe(None).await;
    ahead.publish("one").await;
    for client in [&mut ada, &mut bob] {
        assert_update(client, 1, "one").await;
    }
    behind.store.cut();
    server.detach_replica();
    for (offset, text) in [(2, "lost"), (3, "lost too")] {
        ahead.publish(text).await;
        assert_update(&mut ada, offset, text).await;
    }
    server.fail_over();
    behind.store.mend();
    assert_eq!(behind.publish("two").await, 2);

    let gap = ada.json().await;
    schema::check_sent(&gap);
    let expected = json!({
        "type": "gap", "channel": "news", "from": 1, "to": 1, "epoch": gap["epoch"],
    });
    assert_eq!(gap, expected);
    assert_update(&mut ada, 2, "two").await;
    // Who had nothing of it goes on.
    assert_eq!(bob.json().await["type"], "renewed");
    assert_update(&mut bob, 2, "two").await;
    // Nobody recovers who has something else.
    let lost = json!({ "epoch": before["epoch"], "offset": 3 });
    let (_ada, answer) = behind.subscribe(Some(&lost)).await;
    assert_eq!(
        (&answer["recovered"], &answer["reason"]),
        (&false.into(), &"epoch".into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_is_told_of_a_store_that_has_lost_everything() {
    let server = SimulatedServer::new(1);
    let node = Node::new(&server);
    let (mut ada, _) = node.subscribe(None).await;
    for (offset, text) in [(1, "one"), (2, "two")] {
        node.publish(text).await;
        assert_update(&mut ada, offset, text).await;
    }
    server.restart_empty();
    node.publish("new").await;
    let gap = ada.json().await;
    assert_eq!(
        (&gap["type"], &gap["to"]),
        (&"gap".into(), &0.into()),
        "{gap}"
    );
    assert_update(&mut ada, 1, "new").await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_slow_while_the_store_restarts_gets_everything() {
    let server = SimulatedServer::new(1);
    let [here, there] = [Node::new(&server), Node::new(&server)];
    let (mut ada, before) = here.subscribe(None).await;
    let large = "x".repeat(30_000);
    ada.stall();
    for number in 1..=40 {
        if number == 20 {
            server.restart();
            here.network.advance(Duration::from_secs(1)).await;
        }
        assert_eq!(there.publish(&large).await, number);
        here.network.settle().await;
    }
    ada.resume();
    let mut offsets = Vec::new();
    while offsets.last() != Some(&40) {
        let message = ada.json().await;
        match message["type"].as_str().unwrap() {
            "update" => offsets.push(message["offset"].as_u64().unwrap()),
            "renewed" => assert_ne!(message["epoch"], before["epoch"]),
            other => panic!("{other}: {message}"),
        }
    }
    assert_eq!(offsets, (1..=40).collect::<Vec<_>>());
}
