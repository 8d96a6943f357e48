//! Publications that are deleted.

use std::time::Duration;

use axum::extract::Path;
use nextrush::auth::UserId;
use nextrush::broker::{Broker, EmbeddedBroker, MemoryBroker};
use nextrush::live::{ChannelPolicies, ChannelPolicy};
use nextrush::{
    App, Authenticated, ChatServer, Handle, Jwt, LiveUpdates, RoomName, Server, Since, Socket,
};
use serde_json::{Value, json};

use crate::support::{Client, SECRET, serve, token};

struct World {
    server: Server,
    app: Handle,
    chat: ChatServer,
    live: LiveUpdates,
}

async fn world(broker: impl Broker) -> World {
    let mut app = App::builder().broker(broker).build();
    app.jwt(Jwt::hs256(SECRET));
    let chat = ChatServer::new(&app, "chat");
    let history = ChannelPolicy::new().history(1000, Duration::from_secs(3600));
    let live = LiveUpdates::builder()
        .policies(ChannelPolicies::new().policy("news", history))
        .build(&app, "live");
    let (rooms, channels) = (chat.clone(), live.clone());
    app.ws(
        "/chat/:roomId",
        async move |socket: Socket,
                    Path(room): Path<RoomName>,
                    since: Option<Since>,
                    user: Authenticated| {
            let user = user.admit(&socket);
            rooms.connect(&socket, room, user).since(since).await;
        },
    );
    app.ws("/live", move |socket: Socket| channels.connect(&socket));
    let handle = app.handle().clone();
    World {
        server: serve(app).await,
        app: handle,
        chat,
        live,
    }
}

/// Joins the lobby; the first message is the room's history.
async fn join(world: &World, name: &str, since: Option<(&Value, u64)>) -> (Client, Value) {
    let token = token(name, &format!("{name}@example.com"));
    let since = since.map_or_else(String::new, |(epoch, offset)| {
        format!("&epoch={}&offset={offset}", epoch.as_str().unwrap())
    });
    let path = format!("/chat/lobby?token={token}{since}");
    let mut client = Client::connect(&world.server, &path).await;
    let history = client.json().await;
    assert_eq!(history["type"], "room-history");
    (client, history)
}

async fn next(client: &mut Client, kind: &str) -> Value {
    loop {
        let message = client.json().await;
        if message["type"] == kind {
            return message;
        }
    }
}

async fn say(client: &mut Client, text: &str) {
    let say = json!({ "type": "chat", "text": text, "id": text });
    client.send_json(say).await;
    next(client, "ack").await;
}

/// The texts of messages, and the offsets of those that were deleted.
fn items(history: &Value) -> Vec<String> {
    let item = |item: &Value| match item["type"].as_str() {
        Some("deleted") => format!("-{}", item["offset"]),
        _ => item["text"].as_str().unwrap().to_owned(),
    };
    history["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(item)
        .collect()
}

async fn what_a_user_said_is_deleted(broker: impl Broker) {
    let world = world(broker).await;
    let (mut ada, _) = join(&world, "ada", None).await;
    let (mut bob, _) = join(&world, "bob", None).await;
    say(&mut ada, "a").await;
    say(&mut bob, "b").await;
    say(&mut ada, "c").await;
    say(&mut bob, "d").await;

    let ada_id = UserId::from("ada");
    assert_eq!(world.app.purge_user(&ada_id).await.unwrap(), 2);
    assert_eq!(world.app.purge_user(&ada_id).await.unwrap(), 0);
    for offset in [1, 3] {
        let deleted = json!({ "type": "deleted", "offset": offset });
        assert_eq!(next(&mut bob, "deleted").await, deleted);
    }
    // Who comes for the first time does not count offsets, and finds what is left.
    let (mut eve, history) = join(&world, "eve", None).await;
    assert_eq!(
        (items(&history), &history["offset"]),
        (vec!["b".into(), "d".into()], &json!(4))
    );
    let older = json!({ "type": "history", "before": 4, "limit": 10 });
    eve.send_json(older).await;
    assert_eq!(items(&next(&mut eve, "history").await), ["b"]);
    // Who comes back gets the place of what it missed, and is told of what it has.
    let epoch = &history["epoch"];
    let (mut back, history) = join(&world, "back", Some((epoch, 2))).await;
    assert_eq!(history["recovered"], true);
    assert_eq!(items(&history), ["-3", "d"]);
    assert_eq!(back.json().await, json!({ "type": "deleted", "offset": 1 }));

    let lobby = RoomName::new("lobby").unwrap();
    assert_eq!(world.chat.purge(&lobby).await.unwrap(), 2);
    assert_eq!(next(&mut eve, "deleted").await["offset"], 2);
    say(&mut bob, "e").await;
    assert_eq!(next(&mut eve, "chat-message").await["offset"], 5);
}

#[tokio::test]
async fn what_a_user_said_is_deleted_from_memory() {
    what_a_user_said_is_deleted(MemoryBroker::new()).await;
}

#[tokio::test]
async fn what_a_user_said_is_deleted_from_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    what_a_user_said_is_deleted(EmbeddedBroker::open(directory.path()).unwrap()).await;
}

#[tokio::test]
async fn who_joins_is_sent_older_messages_in_the_place_of_deleted_ones() {
    let world = world(MemoryBroker::new()).await;
    let (mut ada, _) = join(&world, "ada", None).await;
    say(&mut ada, "old").await;
    let (mut spammer, _) = join(&world, "spammer", None).await;
    for number in 0..60 {
        say(&mut spammer, &number.to_string()).await;
    }
    let spammer = UserId::from("spammer");
    assert_eq!(world.app.purge_user(&spammer).await.unwrap(), 60);
    let (_, history) = join(&world, "bob", None).await;
    assert_eq!(items(&history), ["old"]);
}

#[tokio::test]
async fn subscribers_of_a_channel_are_told_what_was_deleted() {
    let world = world(MemoryBroker::new()).await;
    let mut client = Client::connect(&world.server, "/live").await;
    let subscribe = json!({ "type": "subscribe", "channel": "news" });
    client.send_json(subscribe).await;
    let epoch = client.json().await["epoch"].clone();
    let ada = UserId::from("ada");
    world.live.publish_by(&ada, "news", &1).await.unwrap();
    world.live.publish("news", &2).await.unwrap();
    assert_eq!(world.app.purge_user(&ada).await.unwrap(), 1);
    for _ in 0..2 {
        assert_eq!(client.json().await["type"], "update");
    }
    let deleted = |offset| json!({ "type": "deleted", "channel": "news", "offset": offset });
    assert_eq!(client.json().await, deleted(1));
    assert_eq!(world.live.purge("news").await.unwrap(), 1);
    assert_eq!(client.json().await, deleted(2));
    world.live.publish("news", &3).await.unwrap();

    let mut back = Client::connect(&world.server, "/live").await;
    let since = json!({ "epoch": epoch, "offset": 0 });
    let subscribe = json!({ "type": "subscribe", "channel": "news", "since": since });
    back.send_json(subscribe).await;
    assert_eq!(back.json().await["recovered"], true);
    assert_eq!(back.json().await, deleted(1));
    assert_eq!(back.json().await, deleted(2));
    assert_eq!(back.json().await["offset"], 3);
}

#[tokio::test]
async fn a_subscriber_that_lags_is_told_of_deletions_when_it_has_caught_up() {
    let world = world(MemoryBroker::new()).await;
    let mut slow = Client::connect_narrow(&world.server, "/live").await;
    let subscribe = json!({ "type": "subscribe", "channel": "news" });
    slow.send_json(subscribe).await;
    assert_eq!(slow.json().await["type"], "subscribed");
    let ada = UserId::from("ada");
    world.live.publish_by(&ada, "news", &"first").await.unwrap();
    // Together far more than kernel and server keep for one client.
    for _ in 0..300 {
        let filling = "x".repeat(30_000);
        world.live.publish("news", &filling).await.unwrap();
    }
    assert_eq!(world.app.purge_user(&ada).await.unwrap(), 1);
    world.live.publish("news", &"last").await.unwrap();
    let mut offset = 0;
    let mut is_told = false;
    while !is_told || offset < 302 {
        let message = slow.json().await;
        match message["type"].as_str().unwrap() {
            "update" => {
                offset += 1;
                assert_eq!(message["offset"], offset);
            }
            "deleted" => {
                assert_eq!(message["offset"], 1);
                is_told = true;
            }
            other => panic!("{other}"),
        }
    }
}

/// The deletions that a subscriber is told of up to this update, while it gets each update once or
/// is told that it was deleted.
async fn deletions_until(client: &mut Client, mut offset: u64, last: u64) -> Vec<u64> {
    let mut deletions = Vec::new();
    while offset < last {
        let message = client.json().await;
        let here = message["offset"].as_u64().unwrap();
        match message["type"].as_str().unwrap() {
            "update" => assert_eq!(here, offset + 1),
            "deleted" => deletions.push(here),
            other => panic!("{other}"),
        }
        offset = offset.max(here);
    }
    deletions.sort_unstable();
    deletions
}

/// Publishes more than kernel and server keep for one client, of which Ada publishes the middle.
async fn fill(world: &World, ada: &UserId) {
    let filling = "x".repeat(30_000);
    for number in 0..150 {
        match number {
            75 => world.live.publish_by(ada, "news", &filling).await,
            _ => world.live.publish("news", &filling).await,
        }
        .unwrap();
    }
}

#[tokio::test]
async fn a_subscriber_that_lags_is_told_of_each_deletion_once_whenever_it_happens() {
    let world = world(MemoryBroker::new()).await;
    let mut slow = Client::connect_narrow(&world.server, "/live").await;
    let subscribe = json!({ "type": "subscribe", "channel": "news" });
    slow.send_json(subscribe).await;
    assert_eq!(slow.json().await["type"], "subscribed");
    let ada = UserId::from("ada");
    world.live.publish_by(&ada, "news", &"first").await.unwrap();
    // What follows the deletions is more than one part of what it is given later.
    for _ in 0..2 {
        fill(&world, &ada).await;
        world.app.purge_user(&ada).await.unwrap();
    }
    fill(&world, &ada).await;
    world.app.purge_user(&ada).await.unwrap();
    fill(&world, &ada).await;
    assert_eq!(deletions_until(&mut slow, 0, 601).await, [1, 77, 227, 377]);
    // Nothing is told late.
    world.live.publish("news", &"last").await.unwrap();
    assert_eq!(deletions_until(&mut slow, 601, 602).await, [0_u64; 0]);
}
