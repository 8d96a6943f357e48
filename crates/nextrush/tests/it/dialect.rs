//! A dialect of an application's own, the guide's order book, and names that never meet.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::Path;
use http::{Request, StatusCode};
use nextrush::broker::{HistoryQuery, Retention};
use nextrush::testing::{Client, Network};
use nextrush::{App, ChatServer, LiveUpdates, RoomName, Socket, User};
use serde_json::{Value, json};

#[path = "../../../../examples/order_book.rs"]
#[allow(dead_code, reason = "a test uses a part of the example")]
mod example;

async fn set(network: &Network, price: u64, size: u64) {
    let uri = format!("/books/ACME/{price}/{size}");
    let request = Request::put(uri).body(Body::empty()).unwrap();
    let response = network.request(request).await;
    assert_eq!(response.status(), StatusCode::OK);
}

async fn come_back(network: &Network, position: &Value) -> Client {
    let epoch = position["epoch"].as_str().unwrap();
    let offset = &position["offset"];
    let path = format!("/books/ACME?epoch={epoch}&offset={offset}");
    network.connect(&path).await.unwrap()
}

/// A client's copy of the book.
#[derive(Default)]
struct Copy {
    sizes: BTreeMap<u64, u64>,
    position: Value,
    snapshots: usize,
    changes: usize,
}

impl Copy {
    /// Takes everything that has come. Offsets have to follow one another.
    fn take_all(&mut self, client: &mut Client) {
        while let Some(message) = client.try_recv() {
            let message: Value = message.json().unwrap();
            if message["type"] == "snapshot" {
                self.position = message["at"].clone();
                let sizes: Option<_> = serde_json::from_value(message["sizes"].clone()).unwrap();
                self.sizes = sizes.unwrap_or_default();
                self.snapshots += 1;
                continue;
            }
            assert_eq!(message["type"], "change");
            let offset = message["offset"].as_u64().unwrap();
            assert_eq!(self.position["offset"], offset - 1);
            self.position["offset"] = offset.into();
            let number = |field: &str| message[field].as_u64().unwrap();
            self.sizes.insert(number("price"), number("size"));
            self.changes += 1;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_subscriber_gets_a_snapshot_and_then_the_changes_in_order() {
    let network = Network::new(example::app());
    let mut early = network.connect("/books/ACME").await.unwrap();
    let empty = early.json().await;
    assert_eq!(empty["type"], "snapshot");
    assert_eq!(empty["at"]["offset"], 0);
    assert_eq!(empty["sizes"], Value::Null);

    for (price, size) in [(101, 5), (102, 7), (101, 0)] {
        set(&network, price, size).await;
    }
    let mut late = network.connect("/books/ACME").await.unwrap();
    let mut other = network.connect("/books/OTHER").await.unwrap();
    set(&network, 103, 1).await;

    for (offset, price, size) in [(1, 101, 5), (2, 102, 7), (3, 101, 0), (4, 103, 1)] {
        let change = json!({ "type": "change", "offset": offset, "price": price, "size": size });
        assert_eq!(early.json().await, change);
    }
    let snapshot = late.json().await;
    assert_eq!(snapshot["at"]["epoch"], empty["at"]["epoch"]);
    assert_eq!(snapshot["at"]["offset"], 3);
    assert_eq!(snapshot["sizes"], json!({ "101": 0, "102": 7 }));
    let change = json!({ "type": "change", "offset": 4, "price": 103, "size": 1 });
    assert_eq!(late.json().await, change);

    assert_eq!(other.json().await["sizes"], Value::Null);
    network.settle().await;
    assert_eq!(other.try_recv(), None);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_back_gets_what_it_missed_or_a_new_snapshot() {
    let network = Network::new(example::app());
    let mut client = network.connect("/books/ACME").await.unwrap();
    let position = client.json().await["at"].clone();
    client.cut();

    for price in 1..=300 {
        set(&network, price, 1).await;
    }
    let mut client = come_back(&network, &position).await;
    for offset in 1..=300 {
        assert_eq!(client.json().await["offset"], offset);
    }
    client.cut();

    // One more than a client can come back with.
    set(&network, 301, 1).await;
    let mut client = come_back(&network, &position).await;
    let snapshot = client.json().await;
    assert_eq!(snapshot["type"], "snapshot");
    assert_eq!(snapshot["at"]["offset"], 301);
    assert_eq!(snapshot["sizes"].as_object().unwrap().len(), 301);

    let foreign = json!({ "epoch": "of-another-stream", "offset": 301 });
    let mut client = come_back(&network, &foreign).await;
    assert_eq!(client.json().await["type"], "snapshot");
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_catches_up_with_changes_or_with_a_new_snapshot() {
    // How much is published while it does not read, and whether all of that is remembered.
    for (count, snapshots) in [(1_500, 1), (4_000, 2)] {
        let network = Network::new(example::app());
        let mut slow = network.connect("/books/ACME").await.unwrap();
        let mut copy = Copy::default();
        network.settle().await;
        copy.take_all(&mut slow);
        slow.set_window(1_000);
        slow.stall();

        for number in 1..=count {
            set(&network, number % 50, number).await;
        }
        slow.resume();
        network.settle().await;
        copy.take_all(&mut slow);

        assert_eq!(copy.snapshots, snapshots, "{count}");
        assert_eq!(copy.position["offset"], count);
        let newest = (count - 49..=count).map(|number| (number % 50, number));
        assert_eq!(copy.sizes, newest.collect::<BTreeMap<_, _>>());
        match snapshots {
            1 => assert_eq!(copy.changes, 1_500),
            _ => assert!(copy.changes < 4_000, "{} changes", copy.changes),
        }
    }
}

/// A socket in each of three families that have a topic `x`.
fn families() -> App {
    let mut app = App::new();
    let chat = ChatServer::new(&app, "chat");
    let live = LiveUpdates::new(&app, "live");
    app.ws("/chat", async move |socket: Socket| {
        let room = RoomName::new("x").unwrap();
        let ada = User::new("ada", "ada@example.com");
        chat.connect(&socket, room, ada).await;
    });
    let subscribed = live.clone();
    app.ws("/live", async move |socket: Socket| {
        subscribed.subscribe("x", &socket).await.map(drop)
    });
    app.ws("/topic", async |socket: Socket| {
        let topic = socket.app().topic("x");
        topic.subscribe(&socket, None).await.map(drop)
    });
    app.post(
        "/publish/:where",
        async move |Path(place): Path<String>, app: nextrush::Handle| match place.as_str() {
            "topic" => app.topic("x").publish("to the topic").await.map(drop),
            _ => live.publish("x", "to the channel").await.map(drop),
        },
    );
    app
}

#[tokio::test(start_paused = true)]
async fn a_topic_remembers_a_hundred_publications_unless_it_is_told_otherwise() {
    let app: App = App::new();
    let usual = app.topic("usual");
    let few = app.topic("few").retain(Retention::count(2));
    for number in 1..=101 {
        usual.publish(&number).await.unwrap();
        few.publish(&number).await.unwrap();
    }
    for (topic, count, first) in [(usual, 100, 2), (few, 2, 100)] {
        let history = topic.history(HistoryQuery::Latest(1000)).await.unwrap();
        assert_eq!(history.publications.len(), count);
        assert_eq!(history.publications[0].offset, first);
    }
}

#[tokio::test(start_paused = true)]
async fn topics_of_one_name_in_different_families_never_meet() {
    let network = Network::new(families());
    let mut in_chat = network.connect("/chat").await.unwrap();
    let mut in_live = network.connect("/live").await.unwrap();
    let mut in_topic = network.connect("/topic").await.unwrap();
    assert_eq!(in_chat.json().await["type"], "room-history");
    assert_eq!(in_topic.json().await["type"], "subscribed");

    in_chat.send_json(&json!({ "type": "chat", "text": "to the room" }));
    assert_eq!(in_chat.json().await["text"], "to the room");
    for place in ["topic", "live"] {
        let publish = Request::post(format!("/publish/{place}")).body(Body::empty());
        let response = network.request(publish.unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK);
    }

    assert_eq!(in_topic.json().await["data"], "to the topic");
    assert_eq!(in_live.json().await["data"], "to the channel");
    network.settle().await;
    for client in [&mut in_chat, &mut in_live, &mut in_topic] {
        assert_eq!(client.try_recv(), None);
    }
    assert_eq!(network.handle().topic("x").local_subscribers(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_publication_that_fails_is_answered_with_a_code() {
    let network = Network::new(example::app());
    let name = "x".repeat(256);
    let request = Request::put(format!("/books/{name}/1/1")).body(Body::empty());
    let response = network.request(request.unwrap()).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let body = axum::body::to_bytes(response.into_body(), 1_000).await;
    let error: Value = serde_json::from_slice(&body.unwrap()).unwrap();
    assert_eq!(error["code"], "invalid-name");
}
