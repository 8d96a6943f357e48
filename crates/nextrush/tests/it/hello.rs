//! Clients ask what they have to know of their connection.

use std::time::Duration;

use axum::extract::Path;
use nextrush::limits::{Heartbeat, Limits};
use nextrush::{
    App, Authenticated, ChatServer, Jwt, LiveUpdates, RoomName, Server, Socket, SocketOptions, User,
};
use serde_json::{Value, json};

use crate::support::{Client, SECRET, is_timestamp, serve, token};

async fn server() -> Server {
    let mut app = App::new();
    app.jwt(Jwt::hs256(SECRET));
    let chat = ChatServer::builder()
        .show_user(|_: &Socket, user: &User| json!({ "id": user.id, "name": "A." }))
        .build(&app, "chat");
    let live = LiveUpdates::new(&app, "live");
    app.ws(
        "/chat/:roomId",
        async move |socket: Socket, Path(room): Path<RoomName>, user: Authenticated| {
            chat.connect(&socket, room, user.admit(&socket)).await;
        },
    );
    let open = live.clone();
    app.ws("/open", move |socket: Socket| open.connect(&socket));
    app.ws("/live", move |socket: Socket, user: Authenticated| {
        user.admit(&socket);
        live.connect(&socket);
    });
    serve(app).await
}

async fn connect(server: &Server, path: &str) -> Client {
    let token = token("ada", "ada@example.com");
    Client::connect(server, &format!("{path}?token={token}")).await
}

async fn ask(client: &mut Client, question: Value) -> Value {
    client.send_json(question).await;
    client.json().await
}

#[tokio::test]
async fn a_client_that_asks_is_told_what_it_has_to_know() {
    let server = server().await;
    let mut room = connect(&server, "/chat/lobby").await;
    assert!(room.text().await.contains("room-history"));
    for (client, user) in [
        (room, json!({ "id": "ada", "name": "A." })),
        (
            connect(&server, "/live").await,
            json!({ "id": "ada", "email": "ada@example.com" }),
        ),
        (connect(&server, "/open").await, json!(null)),
    ] {
        let mut client = client;
        let mut hello = ask(&mut client, json!({ "type": "hello", "id": "h" })).await;
        let fields = hello.as_object_mut().unwrap();
        assert!(is_timestamp(&fields.remove("time").unwrap()));
        let expected = json!({
            "type": "hello",
            "id": "h",
            "user": user,
            "maxMessageBytes": 65_536,
            "pingIntervalMs": 25_000,
            "windowMs": 120_000,
            "version": "0.1.0",
        });
        assert_eq!(hello, expected);
        let pong = ask(&mut client, json!({ "type": "ping", "id": "p" })).await;
        assert_eq!(pong, json!({ "type": "pong", "id": "p" }));
        let pong = ask(&mut client, json!({ "type": "ping" })).await;
        assert_eq!(pong, json!({ "type": "pong" }));
        for id in [json!(5), json!(""), json!("x".repeat(65))] {
            for kind in ["ping", "hello"] {
                let refusal = ask(&mut client, json!({ "type": kind, "id": id })).await;
                assert_eq!(refusal["code"], "invalid-format", "{kind} {id}");
            }
        }
    }
}

#[tokio::test]
async fn what_a_client_is_told_is_of_its_own_endpoint() {
    let often = Heartbeat::default().interval(Duration::from_secs(7));
    let options = SocketOptions::default().limits(Limits::message(1000));
    for (options, interval) in [
        (options.clone().heartbeat(often), Some(json!(7000))),
        (options.heartbeat(None), None),
    ] {
        let mut app = App::new();
        let live = LiveUpdates::new(&app, "live");
        app.options(options);
        app.ws("/live", move |socket: Socket| live.connect(&socket));
        let server = serve(app).await;
        let mut client = Client::connect(&server, "/live").await;
        let hello = ask(&mut client, json!({ "type": "hello" })).await;
        assert_eq!(hello["maxMessageBytes"], 1000);
        assert_eq!(hello.get("pingIntervalMs"), interval.as_ref());
    }
}
