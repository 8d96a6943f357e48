//! Subscribers that read more slowly than is published.

use std::time::Duration;

use axum::extract::Path;
use nextrush::live::{ChannelPolicies, ChannelPolicy};
use nextrush::topic::SlowReaders;
use nextrush::{App, Authenticated, ChatServer, Jwt, LiveUpdates, RoomName, Server, Socket, User};
use serde_json::{Value, json};

use crate::support::{Client, SECRET, serve, token};

const HOUR: Duration = Duration::from_secs(3600);
/// Together far more than kernel and server keep for one client.
const UPDATES: u64 = 300;
const SIZE: usize = 30_000;

async fn live(policy: ChannelPolicy) -> (Server, LiveUpdates) {
    let mut app = App::new();
    let channels = ChannelPolicies::new().policy("busy", policy);
    let live = LiveUpdates::builder()
        .policies(channels)
        .build(&app, "live");
    let connect = live.clone();
    app.ws("/live", move |socket: Socket| {
        socket
            .identify(User::new("ada", "ada@example.com"))
            .unwrap();
        connect.connect(&socket);
    });
    (serve(app).await, live)
}

async fn subscribe(server: &Server, channel: &str) -> (Client, Value) {
    let mut client = Client::connect_narrow(server, "/live").await;
    let subscribe = json!({ "type": "subscribe", "channel": channel });
    client.send_json(subscribe).await;
    let answer = client.json().await;
    assert_eq!(answer["type"], "subscribed");
    (client, answer)
}

async fn publish(live: &LiveUpdates, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        let data = json!({ "n": number, "key": number % 3, "filling": "x".repeat(SIZE) });
        live.publish("busy", &data).await.unwrap();
    }
}

fn counts(live: &LiveUpdates) -> Value {
    let counts = live.slow_readers();
    let (pattern, counts) = &counts[0];
    assert_eq!(pattern, "busy");
    serde_json::to_value(counts).unwrap()
}

#[tokio::test]
async fn a_slow_subscriber_gets_everything_once_and_in_order_on_the_same_socket() {
    let (server, live) = live(ChannelPolicy::new().history(1000, HOUR)).await;
    let (mut slow, _) = subscribe(&server, "busy").await;
    let (mut quick, _) = subscribe(&server, "busy").await;
    let reader = tokio::spawn(async move {
        for number in 1..=UPDATES {
            assert_eq!(quick.json().await["offset"], number);
        }
    });
    publish(&live, 1..=UPDATES).await;
    reader.await.unwrap();
    for number in 1..=UPDATES {
        let update = slow.json().await;
        assert_eq!(update["type"], "update");
        assert_eq!(update["offset"], number);
        assert_eq!(update["data"]["n"], number);
    }
    publish(&live, UPDATES + 1..=UPDATES + 1).await;
    assert_eq!(slow.json().await["offset"], UPDATES + 1);
    let counts = counts(&live);
    assert!(counts["recovered"].as_u64() >= Some(1), "{counts}");
    assert!(counts["sentLater"].as_u64() > Some(UPDATES / 2), "{counts}");
    assert_eq!(counts["missed"], 0);
}

#[tokio::test]
async fn where_the_history_does_not_reach_back_a_gap_says_what_is_missing() {
    let (server, live) = live(ChannelPolicy::new().history(5, HOUR)).await;
    let (mut slow, answer) = subscribe(&server, "busy").await;
    publish(&live, 1..=UPDATES).await;
    let mut next = 1;
    let mut missed = 0;
    while next <= UPDATES {
        let message = slow.json().await;
        if message["type"] == "gap" {
            assert_eq!(message["channel"], "busy");
            assert_eq!(message["from"], next);
            assert_eq!(message["epoch"], answer["epoch"]);
            let to = message["to"].as_u64().unwrap();
            missed += to + 1 - next;
            next = to + 1;
        } else {
            assert_eq!(message["offset"], next);
            next += 1;
        }
    }
    assert!(missed > 0);
    assert_eq!(counts(&live)["missed"], missed);
}

#[tokio::test]
async fn with_drop_a_gap_says_what_was_left_out() {
    let (server, live) = live(ChannelPolicy::new().slow_readers(SlowReaders::Drop)).await;
    let (mut slow, _) = subscribe(&server, "busy").await;
    publish(&live, 1..=UPDATES).await;
    let mut next = 1;
    let gap = loop {
        let message = slow.json().await;
        if message["type"] == "gap" {
            break message;
        }
        assert_eq!(message["offset"], next);
        next += 1;
    };
    assert_eq!([&gap["from"], &gap["to"]], [next, UPDATES]);
    publish(&live, UPDATES + 1..=UPDATES + 1).await;
    assert_eq!(slow.json().await["offset"], UPDATES + 1);
}

#[tokio::test]
async fn with_latest_only_the_newest_of_each_key_comes_in_the_end() {
    let policy = ChannelPolicy::new().slow_readers(SlowReaders::Latest);
    for (policy, expected) in [
        (policy.clone(), vec![UPDATES]),
        (policy.key("/key"), vec![UPDATES - 2, UPDATES - 1, UPDATES]),
    ] {
        let (server, live) = live(policy).await;
        let (mut slow, answer) = subscribe(&server, "busy").await;
        assert_eq!(answer["latest"], true);
        publish(&live, 1..=UPDATES).await;
        let mut offsets = Vec::new();
        while offsets.last() != Some(&UPDATES) {
            offsets.push(slow.json().await["offset"].as_u64().unwrap());
        }
        assert!(offsets.ends_with(&expected), "{offsets:?}");
        assert!(offsets.is_sorted_by(|one, other| one < other));
        assert!(offsets.len() < 100, "{offsets:?}");
    }
}

#[tokio::test]
async fn with_close_a_slow_subscriber_is_closed_with_1013() {
    let (server, live) = live(ChannelPolicy::new().slow_readers(SlowReaders::Close)).await;
    let (mut slow, _) = subscribe(&server, "busy").await;
    publish(&live, 1..=UPDATES).await;
    let mut next = 1;
    let close = loop {
        match slow.next().await {
            Some(tokio_tungstenite::tungstenite::Message::Close(Some(frame))) => break frame,
            Some(_) => next += 1,
            None => panic!("there was no close frame"),
        }
    };
    assert_eq!(u16::from(close.code), 1013);
    assert!(next < UPDATES);
}

#[tokio::test]
async fn whoever_was_behind_is_told_who_is_there_now() {
    let (server, live) = live(ChannelPolicy::new().history(1000, HOUR).presence()).await;
    let (mut slow, _) = subscribe(&server, "busy").await;
    publish(&live, 1..=UPDATES).await;
    let (_second, _) = subscribe(&server, "busy").await;
    let mut next = 1;
    loop {
        let message = slow.json().await;
        match message["type"].as_str().unwrap() {
            "update" => {
                assert_eq!(message["offset"], next);
                next += 1;
            }
            "presence" => {
                assert_eq!(
                    message["members"][0]["devices"].as_array().unwrap().len(),
                    2
                );
                break;
            }
            "presence-diff" => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!(next, UPDATES + 1);
}

#[tokio::test]
async fn a_channel_of_latest_values_gives_the_newest_to_whoever_comes() {
    let newest = ChannelPolicy::new().latest_value();
    let keyed = ChannelPolicy::new()
        .history(100, HOUR)
        .latest_value()
        .key("/key");
    for (policy, offset, expected) in [(newest, 6, vec![7]), (keyed, 4, vec![5, 6, 7])] {
        let (server, live) = live(policy).await;
        for key in 1..=7 {
            let data = json!({ "key": key % 3 });
            live.publish("busy", &data).await.unwrap();
        }
        let (mut client, answer) = subscribe(&server, "busy").await;
        assert_eq!(answer["offset"], offset);
        assert_eq!(answer["latest"], true);
        for offset in expected {
            assert_eq!(client.json().await["offset"], offset);
        }
        live.publish("busy", &json!({})).await.unwrap();
        assert_eq!(client.json().await["offset"], 8);
    }
}

#[tokio::test]
async fn a_channel_of_latest_values_gives_the_newest_to_whoever_cannot_recover() {
    let (server, live) = live(ChannelPolicy::new().latest_value()).await;
    let (client, answer) = subscribe(&server, "busy").await;
    client.cut();
    for number in 1..=3 {
        live.publish("busy", &number).await.unwrap();
    }
    let mut client = Client::connect(&server, "/live").await;
    let since = json!({ "epoch": answer["epoch"], "offset": 0 });
    client
        .send_json(json!({ "type": "subscribe", "channel": "busy", "since": since }))
        .await;
    assert_eq!(client.json().await["recovered"], false);
    assert_eq!(client.json().await["data"], 3);
}

#[tokio::test]
async fn a_slow_member_of_a_chat_gets_the_room_again_with_what_it_missed() {
    let mut app = App::new();
    app.jwt(Jwt::hs256(SECRET));
    let chat = ChatServer::new(&app, "chat");
    let connect = chat.clone();
    app.ws(
        "/chat/:roomId",
        async move |socket: Socket, Path(room): Path<RoomName>, user: Authenticated| {
            connect.connect(&socket, room, user.admit(&socket)).await;
        },
    );
    let server = serve(app).await;
    let path = |user: &str| format!("/chat/busy?token={}", token(user, user));
    let mut slow = Client::connect_narrow(&server, &path("slow")).await;
    let history = slow.json().await;
    assert_eq!(history["offset"], 0);
    let mut busy = Client::connect(&server, &path("busy")).await;
    let text = "x".repeat(SIZE);
    for id in 1..=90 {
        busy.send_json(json!({ "type": "chat", "text": text, "id": id.to_string() }))
            .await;
        while busy.json().await["type"] != "ack" {}
    }
    let mut offsets = Vec::new();
    let mut refills = 0;
    while offsets.last() != Some(&90) {
        let message = slow.json().await;
        match message["type"].as_str().unwrap() {
            "chat-message" => offsets.push(message["offset"].as_u64().unwrap()),
            "room-history" => {
                refills += 1;
                assert_eq!(message["recovered"], true);
                assert_eq!(message["epoch"], history["epoch"]);
                assert_eq!(message["users"].as_array().unwrap().len(), 2);
                let messages = message["messages"].as_array().unwrap();
                offsets.extend(
                    messages
                        .iter()
                        .map(|message| message["offset"].as_u64().unwrap()),
                );
                assert_eq!(offsets.last().copied(), message["offset"].as_u64());
            }
            "user-joined" => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!(offsets, (1..=90).collect::<Vec<_>>());
    assert!(refills > 0);
    assert!(chat.slow_readers().recovered > 0);
}

#[tokio::test]
async fn a_client_with_many_channels_comes_back_on_a_slow_line() {
    const CHANNELS: usize = 60;
    let mut app = App::new();
    let policy = ChannelPolicy::new().history(1000, HOUR);
    let channels = ChannelPolicies::new().policy("busy-:id", policy);
    let live = LiveUpdates::builder()
        .policies(channels)
        .build(&app, "live");
    let connect = live.clone();
    app.ws("/live", move |socket: Socket| connect.connect(&socket));
    let server = serve(app).await;
    let names: Vec<String> = (0..CHANNELS).map(|id| format!("busy-{id}")).collect();
    let mut epochs = Vec::new();
    for name in &names {
        let (_, answer) = subscribe(&server, name).await;
        epochs.push(answer["epoch"].clone());
        for number in 1..=16 {
            let data = json!({ "n": number, "filling": "x".repeat(6_000) });
            live.publish(name, &data).await.unwrap();
        }
    }
    let mut client = Client::connect_narrow(&server, "/live").await;
    for (name, epoch) in names.iter().zip(&epochs) {
        let since = json!({ "epoch": epoch, "offset": 0 });
        client
            .send_json(json!({ "type": "subscribe", "channel": name, "since": since }))
            .await;
    }
    let mut offsets = [0; CHANNELS];
    let mut confirmed = 0;
    while offsets.iter().sum::<u64>() < 16 * CHANNELS as u64 {
        let message = client.json().await;
        if message["type"] == "subscribed" {
            assert_eq!(message["recovered"], true);
            confirmed += 1;
            continue;
        }
        let channel = message["channel"].as_str().unwrap();
        let channel = names.iter().position(|name| name == channel).unwrap();
        offsets[channel] += 1;
        assert_eq!(message["offset"], offsets[channel]);
    }
    assert_eq!(confirmed, CHANNELS);
    live.publish(&names[0], &17).await.unwrap();
    assert_eq!(client.json().await["data"], 17);
}
