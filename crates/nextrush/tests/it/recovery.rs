//! Coming back to channels and rooms.

use std::time::Duration;

use axum::extract::Path;
use http::StatusCode;
use nextrush::live::{ChannelPolicies, ChannelPolicy, SubscribeContext};
use nextrush::{App, Authenticated, ChatServer, Jwt, LiveUpdates, RoomName, Server, Since, Socket};
use serde_json::{Value, json};

use crate::support::{Client, SECRET, serve, token};

const HOUR: Duration = Duration::from_secs(3600);

/// A channel with a history of five, one of 1,000, one that is closed, and others.
async fn live() -> (Server, LiveUpdates) {
    let mut app = App::new();
    let closed = ChannelPolicy::new().may_subscribe(async |context: SubscribeContext| {
        // A rule may wait.
        tokio::task::yield_now().await;
        context.channel.param("id") == Some("open")
    });
    let channels = ChannelPolicies::new()
        .policy("short", ChannelPolicy::new().history(5, HOUR))
        .policy("long-:id", ChannelPolicy::new().history(1000, HOUR))
        .policy("closed-:id", closed);
    let live = LiveUpdates::builder()
        .policies(channels)
        .build(&app, "live");
    let connect = live.clone();
    app.ws("/live", move |socket: Socket| connect.connect(&socket));
    (serve(app).await, live)
}

async fn subscribe(client: &mut Client, channel: &str, since: Option<&Value>) -> Value {
    let mut message = json!({ "type": "subscribe", "channel": channel });
    if let Some(since) = since {
        message["since"] = since.clone();
    }
    client.send_json(message).await;
    client.json().await
}

fn position(answer: &Value) -> Value {
    json!({ "epoch": answer["epoch"], "offset": answer["offset"] })
}

async fn publish(live: &LiveUpdates, channel: &str, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        live.publish(channel, &number).await.unwrap();
    }
}

async fn assert_updates(client: &mut Client, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        let update = client.json().await;
        assert_eq!(update["type"], "update");
        assert_eq!(update["offset"], number);
        assert_eq!(update["data"], number);
    }
}

#[tokio::test]
async fn whoever_comes_back_gets_what_it_missed_and_then_what_is_new() {
    let (server, live) = live().await;
    let mut client = Client::connect(&server, "/live").await;
    let answer = subscribe(&mut client, "short", None).await;
    assert_eq!(answer["offset"], 0);
    assert_eq!(answer.get("recovered"), None);
    publish(&live, "short", 1..=2).await;
    assert_updates(&mut client, 1..=2).await;
    client.cut();

    publish(&live, "short", 3..=7).await;
    let mut client = Client::connect(&server, "/live").await;
    let seen = json!({ "epoch": answer["epoch"], "offset": 2 });
    let answer = subscribe(&mut client, "short", Some(&seen)).await;
    assert_eq!(answer["recovered"], true);
    assert_eq!(answer["offset"], 7);
    assert_eq!(answer.get("reason"), None);
    publish(&live, "short", 8..=9).await;
    assert_updates(&mut client, 3..=9).await;
}

#[tokio::test]
async fn whoever_cannot_have_what_it_missed_is_told_why_and_where_it_is() {
    let (server, live) = live().await;
    let mut client = Client::connect(&server, "/live").await;
    let epoch = subscribe(&mut client, "short", None).await["epoch"].clone();
    publish(&live, "short", 1..=7).await;
    publish(&live, "long-1", 1..=301).await;
    assert_updates(&mut client, 1..=7).await;
    let other = subscribe(&mut client, "long-1", None).await["epoch"].clone();
    client.cut();
    for (channel, epoch, offset, reason) in [
        // The history holds 3 to 7.
        ("short", epoch.clone(), 1, "history"),
        ("short", epoch.clone(), 100, "ahead"),
        ("short", epoch.clone(), u64::MAX, "ahead"),
        ("short", other.clone(), 7, "epoch"),
        ("short", json!(""), 7, "epoch"),
        // 301 are one too many.
        ("long-1", other.clone(), 0, "history"),
        // Nothing was ever there.
        ("other", epoch, 0, "epoch"),
    ] {
        let mut client = Client::connect(&server, "/live").await;
        let since = json!({ "epoch": epoch, "offset": offset });
        let answer = subscribe(&mut client, channel, Some(&since)).await;
        assert_eq!(answer["type"], "subscribed", "{channel} {since}");
        assert_eq!(answer["recovered"], false, "{channel} {since}");
        assert_eq!(answer["reason"], reason, "{channel} {since}");
        // From there on it is live.
        let next = answer["offset"].as_u64().unwrap() + 1;
        live.publish(channel, &next).await.unwrap();
        assert_updates(&mut client, next..=next).await;
        client.cut();
    }
    let mut client = Client::connect(&server, "/live").await;
    let since = json!({ "epoch": other, "offset": 2 });
    let answer = subscribe(&mut client, "long-1", Some(&since)).await;
    assert_eq!(answer["recovered"], true);
    assert_updates(&mut client, 3..=301).await;
}

#[tokio::test]
async fn an_idle_client_comes_back_to_a_channel_without_a_history() {
    let (server, live) = live().await;
    let mut client = Client::connect(&server, "/live").await;
    let nothing = position(&subscribe(&mut client, "other", None).await);
    client.cut();
    let mut client = Client::connect(&server, "/live").await;
    let answer = subscribe(&mut client, "other", Some(&nothing)).await;
    assert_eq!(answer["recovered"], true);
    publish(&live, "other", 1..=1).await;
    assert_updates(&mut client, 1..=1).await;
    client.cut();
    let seen = json!({ "epoch": nothing["epoch"], "offset": 1 });
    for (since, recovered) in [(&seen, true), (&nothing, false)] {
        let mut client = Client::connect(&server, "/live").await;
        let answer = subscribe(&mut client, "other", Some(since)).await;
        assert_eq!(answer["recovered"], recovered);
        client.cut();
    }
}

#[tokio::test]
async fn a_position_that_is_none_is_refused_and_changes_nothing() {
    let (server, live) = live().await;
    let mut client = Client::connect(&server, "/live").await;
    for since in [
        json!({ "epoch": "e", "offset": -1 }),
        json!({ "epoch": "e", "offset": "1" }),
        json!({ "epoch": "e", "offset": 1.5 }),
        json!({ "epoch": "e", "offset": 1e300 }),
        json!({ "epoch": 7, "offset": 1 }),
        json!({ "epoch": "e" }),
        json!({ "offset": 1 }),
        json!("e"),
    ] {
        let answer = subscribe(&mut client, "short", Some(&since)).await;
        assert_eq!(answer["code"], "invalid-format", "{since}");
    }
    assert_eq!(live.local_subscribers("short"), 0);
    // Null is as good as none.
    let answer = subscribe(&mut client, "short", Some(&Value::Null)).await;
    assert_eq!(answer["type"], "subscribed");
    assert_eq!(answer.get("recovered"), None);
}

#[tokio::test]
async fn a_second_subscription_is_told_its_place_and_changes_nothing() {
    let (server, live) = live().await;
    let mut client = Client::connect(&server, "/live").await;
    let first = subscribe(&mut client, "short", None).await;
    publish(&live, "short", 1..=3).await;
    assert_updates(&mut client, 1..=3).await;
    let again = subscribe(&mut client, "short", Some(&position(&first))).await;
    assert_eq!(again["offset"], 3);
    assert_eq!(again["epoch"], first["epoch"]);
    assert_eq!(again.get("recovered"), None);
    publish(&live, "short", 4..=4).await;
    assert_updates(&mut client, 4..=4).await;
    assert_eq!(live.local_subscribers("short"), 1);
}

#[tokio::test]
async fn a_policy_says_who_may_subscribe() {
    let (server, live) = live().await;
    let mut client = Client::connect(&server, "/live").await;
    let answer = subscribe(&mut client, "closed-off", None).await;
    assert_eq!(answer["code"], "subscribe-refused");
    assert_eq!(live.local_subscribers("closed-off"), 0);
    let answer = subscribe(&mut client, "closed-open", None).await;
    assert_eq!(answer["type"], "subscribed");
}

async fn chat() -> Server {
    let mut app = App::new();
    app.jwt(Jwt::hs256(SECRET));
    let chat = ChatServer::new(&app, "chat");
    app.ws(
        "/chat/:roomId",
        async move |socket: Socket,
                    Path(room): Path<RoomName>,
                    since: Option<Since>,
                    user: Authenticated| {
            let user = user.admit(&socket);
            chat.connect(&socket, room, user).since(since).await;
        },
    );
    serve(app).await
}

async fn join(server: &Server, query: &str) -> (Client, Value) {
    let token = token(1, "ada@example.com");
    let mut client = Client::connect(server, &format!("/chat/lobby?token={token}{query}")).await;
    let history = client.json().await;
    assert_eq!(history["type"], "room-history");
    (client, history)
}

/// Says these numbers and reads each when it comes back.
async fn say(client: &mut Client, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        let text = number.to_string();
        client
            .send_json(json!({ "type": "chat", "text": text }))
            .await;
        let said = client.json().await;
        assert_eq!(said["offset"], number);
        assert_eq!(said["text"], text);
    }
}

fn offsets(history: &Value) -> Vec<u64> {
    let messages = history["messages"].as_array().unwrap();
    let offset = |message: &Value| message["offset"].as_u64().unwrap();
    messages.iter().map(offset).collect()
}

#[tokio::test]
async fn whoever_comes_back_to_a_room_gets_exactly_what_it_missed() {
    let server = chat().await;
    let (mut ada, history) = join(&server, "").await;
    let epoch = history["epoch"].as_str().unwrap();
    assert_eq!(history["offset"], 0);
    assert_eq!(history.get("recovered"), None);
    say(&mut ada, 1..=120).await;
    for (offset, first, reason) in [
        (120, 121, None),
        (119, 120, None),
        (60, 61, None),
        // The room keeps 21 to 120.
        (20, 21, None),
        (19, 71, Some("history")),
        (121, 71, Some("ahead")),
    ] {
        let (client, history) = join(&server, &format!("&epoch={epoch}&offset={offset}")).await;
        assert_eq!(history["offset"], 120);
        assert_eq!(offsets(&history), Vec::from_iter(first..=120), "{offset}");
        assert_eq!(history["recovered"], reason.is_none(), "{offset}");
        assert_eq!(history.get("reason").and_then(Value::as_str), reason);
        client.close().await;
    }
    let (_, history) = join(&server, "&epoch=x&offset=120").await;
    assert_eq!(history["reason"], "epoch");
    assert_eq!(offsets(&history), Vec::from_iter(71..=120));
}

#[tokio::test]
async fn half_a_position_in_a_query_is_refused_before_the_upgrade() {
    let server = chat().await;
    let token = token(1, "ada@example.com");
    for query in [
        "epoch=e",
        "offset=1",
        "epoch=e&offset=",
        "epoch=e&offset=-1",
        "epoch=e&offset=1.5",
        "epoch=e&offset=99999999999999999999",
    ] {
        let path = format!("/chat/lobby?token={token}&{query}");
        assert_eq!(
            Client::refused(&server, &path).await,
            StatusCode::BAD_REQUEST,
            "{query}"
        );
    }
}
