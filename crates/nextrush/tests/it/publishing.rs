//! Clients that publish to channels.

use std::time::Duration;

use nextrush::live::{ChannelPolicies, ChannelPolicy, PublishContext};
use nextrush::{App, Authenticated, Jwt, LiveUpdates, Server, Socket};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Client, SECRET, error, serve, token, without_timestamp};

/// A server where a user may publish to its own channel in `notes-:id`, everybody in `wall`,
/// and nobody elsewhere.
async fn server() -> Server {
    let own = ChannelPolicy::new().may_publish(async |context: PublishContext| {
        let user = context.user.map(|user| user.id.to_string());
        user.as_deref() == context.channel.param("id")
    });
    let wall = ChannelPolicy::new()
        .history(10, Duration::from_secs(60))
        .may_publish(async |_: PublishContext| true);
    let channels = ChannelPolicies::new()
        .policy("notes-:id", own)
        .policy("wall", wall)
        .policy("news", ChannelPolicy::new());
    let mut app = App::new();
    app.jwt(Jwt::hs256(SECRET));
    let live = LiveUpdates::builder()
        .policies(channels)
        .build(&app, "live");
    let anonymous = live.clone();
    app.ws("/live", move |socket: Socket, user: Authenticated| {
        user.admit(&socket);
        live.connect(&socket);
    });
    let closed = LiveUpdates::new(&app, "closed");
    app.ws("/closed", move |socket: Socket| closed.connect(&socket));
    app.ws("/anonymous", move |socket: Socket| {
        anonymous.connect(&socket);
    });
    serve(app).await
}

async fn enter(server: &Server, name: &str) -> Client {
    let token = token(name, &format!("{name}@example.com"));
    Client::connect(server, &format!("/live?token={token}")).await
}

async fn subscribe(client: &mut Client, channel: &str) {
    let subscribe = json!({ "type": "subscribe", "channel": channel });
    client.send_json(subscribe).await;
    assert_eq!(client.json().await["type"], "subscribed");
}

fn publish(channel: &str, data: Value) -> Value {
    json!({ "type": "publish", "channel": channel, "data": data })
}

fn with_id(mut message: Value, id: &str) -> Value {
    message["id"] = json!(id);
    message
}

#[tokio::test]
async fn what_a_client_publishes_reaches_all_subscribers_as_it_came() {
    let server = server().await;
    let mut ada = enter(&server, "ada").await;
    let mut bob = enter(&server, "bob").await;
    subscribe(&mut bob, "wall").await;
    // The order of keys, and numbers that no float holds.
    let data = r#"{"b":12345678901234567890123,"a":[1.0,"é"]}"#;
    ada.send(format!(
        r#"{{"type":"publish","channel":"wall","data":{data},"id":"p"}}"#
    ))
    .await;
    let update = bob.text().await;
    assert!(update.contains(&format!(r#""data":{data},"#)), "{update}");
    let ack = ada.json().await;
    assert_eq!(
        (&ack["type"], &ack["id"], &ack["offset"]),
        (&json!("ack"), &json!("p"), &json!(1))
    );

    // Without an id there is no answer: the next one is to the next message.
    ada.send_json(publish("wall", json!(2))).await;
    ada.send_json(with_id(publish("wall", json!(3)), "q")).await;
    let ack = ada.json().await;
    assert_eq!((&ack["id"], &ack["offset"]), (&json!("q"), &json!(3)));
    let expected = json!({ "type": "update", "channel": "wall", "data": 2, "offset": 2 });
    assert_eq!(without_timestamp(bob.json().await), expected);
}

#[tokio::test]
async fn a_repeat_is_published_once() {
    let server = server().await;
    let mut ada = enter(&server, "ada").await;
    let message = with_id(publish("wall", json!(1)), "p");
    ada.send_json(message.clone()).await;
    let first = ada.json().await;
    ada.cut();
    let mut ada = enter(&server, "ada").await;
    ada.send_json(message.clone()).await;
    assert_eq!(ada.json().await, first);
    // The same id of somebody else is another publication.
    let mut bob = enter(&server, "bob").await;
    bob.send_json(message).await;
    assert_eq!(bob.json().await["offset"], 2);
}

#[tokio::test]
async fn who_has_no_user_publishes_each_time() {
    let server = server().await;
    let mut nobody = Client::connect(&server, "/anonymous").await;
    for offset in 1..=2 {
        nobody
            .send_json(with_id(publish("wall", json!(1)), "p"))
            .await;
        assert_eq!(nobody.json().await["offset"], offset);
    }
}

#[tokio::test]
async fn clients_publish_only_where_the_policy_lets_them() {
    let server = server().await;
    let mut ada = enter(&server, "ada").await;
    for channel in ["notes-bob", "news", "other"] {
        ada.send_json(with_id(publish(channel, json!(1)), "p"))
            .await;
        let refused = with_id(error("publish-refused", "Publishing refused"), "p");
        assert_eq!(ada.json().await, refused, "{channel}");
    }
    ada.send_json(with_id(publish("notes-ada", json!(1)), "p"))
        .await;
    assert_eq!(ada.json().await["type"], "ack");
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let server = server().await;
    let mut ada = enter(&server, "ada").await;
    for (message, expected) in [
        (
            json!({ "type": "publish", "channel": "wall" }),
            "invalid-format",
        ),
        (json!({ "type": "publish", "data": 1 }), "invalid-format"),
        (publish("", json!(1)), "invalid-name"),
        (publish("a\n", json!(1)), "invalid-name"),
        (publish(&"x".repeat(256), json!(1)), "invalid-name"),
    ] {
        ada.send_json(message.clone()).await;
        assert_eq!(ada.json().await["code"], expected, "{message}");
    }
}

#[tokio::test]
async fn where_no_policy_lets_clients_publish_the_message_is_unknown() {
    let server = server().await;
    let mut client = Client::connect(&server, "/closed").await;
    for message in [publish("wall", json!(1)), json!({ "type": "publish" })] {
        client.send_json(message.clone()).await;
        let unknown = error("unknown-type", "Unknown message type");
        assert_eq!(client.json().await, unknown, "{message}");
    }
}

#[tokio::test]
async fn binary_data_that_is_not_utf_8_is_refused_and_not_published() {
    let server = server().await;
    let mut ada = enter(&server, "ada").await;
    subscribe(&mut ada, "wall").await;
    let broken = b"{\"type\":\"publish\",\"channel\":\"wall\",\"data\":\"\xff\"}";
    ada.send_message(Message::binary(broken.to_vec())).await;
    assert_eq!(ada.json().await["code"], "invalid-format");
    ada.send_json(json!({ "type": "publish", "channel": "wall", "data": 1 }))
        .await;
    assert_eq!(ada.json().await["offset"], 1);
}

#[tokio::test]
async fn a_command_that_is_not_utf_8_does_not_reach_its_handler() {
    #[derive(serde::Deserialize)]
    #[serde(tag = "type", rename_all = "kebab-case")]
    enum Command {
        Say { text: String },
    }

    let mut app: App = App::new();
    app.ws("/say", |socket: Socket| {
        socket.on_command(|socket: Socket, command: Command| match command {
            Command::Say { text } => socket.send(text),
        });
    });
    let server = serve(app).await;
    let mut client = Client::connect(&server, "/say").await;
    let broken = b"{\"type\":\"say\",\"text\":\"\xff\"}".to_vec();
    client.send_message(Message::binary(broken)).await;
    assert_eq!(client.json().await["code"], "invalid-format");
}
