//! The inspector of applications with other parts than the server program, in other places.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use nextrush::live::{ChannelPolicies, ChannelPolicy};
use nextrush::testing::Network;
use nextrush::{App, ChatServer, LiveUpdates, RoomName, Socket, User};
use nextrush_admin::Inspector;
use serde_json::json;

use crate::support::{KEY, fetch, get, post, subscribed, ticket};

/// Live updates at `/live/<name>`.
fn live(app: &mut App, name: &str) -> LiveUpdates {
    let policies = ChannelPolicies::new().policy("a", ChannelPolicy::new());
    let live = LiveUpdates::builder().policies(policies).build(app, name);
    let connect = live.clone();
    app.ws(&format!("/live/{name}"), move |socket: Socket| {
        connect.connect(&socket);
    });
    live
}

/// A chat at `/chat/<name>`, where all are Ada in the room `den`.
fn chat(app: &mut App, name: &str) -> ChatServer {
    let chat = ChatServer::new(app, name);
    let connect = chat.clone();
    app.ws(&format!("/chat/{name}"), async move |socket: Socket| {
        let ada = User::new("ada", "ada@example.com");
        connect
            .connect(&socket, RoomName::new("den").unwrap(), ada)
            .await;
    });
    chat
}

#[tokio::test(start_paused = true)]
async fn it_is_served_below_the_path_where_it_is_nested() {
    let mut app = App::new();
    let (live, chat) = (live(&mut app, "live"), chat(&mut app, "chat"));
    let inspector = Inspector::new(&app, KEY).live(&live).chat(&chat);
    app.nest("/ops", inspector.router());
    let network = Network::new(app);
    let _member = network.connect("/chat/chat").await.unwrap();
    network.settle().await;
    let ticket = ticket(&network, "/ops").await;
    let rooms = get(&network, &ticket, "/ops/api/inspect/rooms").await;
    let expected = json!({ "rooms": [{ "room": "den", "members": 1 }] });
    assert_eq!(rooms, (200, expected));
    let path = format!("/ops/inspect?token={ticket}");
    let mut figures = subscribed(&network, &path, "metrics").await;
    network.advance(Duration::from_secs(1)).await;
    let sample = figures.json().await["data"].take();
    assert_eq!(
        (&sample["rooms"], &sample["connections"]),
        (&json!(1), &json!(2))
    );
    let path = format!("/ops/inspect/tail?token={ticket}");
    let mut tail = subscribed(&network, &path, "news").await;
    network.run_until(live.publish("news", &1)).await.unwrap();
    assert_eq!(tail.json().await["data"], 1);
    assert_eq!(get(&network, &ticket, "/api/inspect/rooms").await.0, 404);
    // The key itself opens nothing but the way to a ticket.
    assert_eq!(get(&network, KEY, "/ops/api/inspect/rooms").await.0, 401);
}

#[tokio::test(start_paused = true)]
async fn without_live_updates_and_chats_there_are_the_connections_and_the_figures() {
    let mut app: App = App::new();
    app.ws("/echo", |socket: Socket| socket.send("hello"));
    app.merge(Inspector::new(&app, KEY).router());
    let network = Network::new(app);
    let ticket = ticket(&network, "").await;
    let _client = network.connect("/echo").await.unwrap();
    network.advance(Duration::from_secs(2)).await;
    let show = async |what: &str| {
        let (status, shown) = get(&network, &ticket, &format!("/api/inspect/{what}")).await;
        assert_eq!(status, 200, "{shown}");
        shown
    };
    assert_eq!(show("rooms").await, json!({ "rooms": [] }));
    assert_eq!(show("channels").await, json!({ "channels": [] }));
    let nothing = json!({ "recovered": 0, "sentLater": 0, "missed": 0 });
    let expected = json!({ "chat": nothing, "channels": [] });
    assert_eq!(show("slow-readers").await, expected);
    let connections = show("connections").await;
    assert_eq!(connections["connections"][0]["endpoint"], "/echo");
    let metrics = show("metrics").await;
    let newest = metrics["samples"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .clone();
    assert_eq!(
        (&newest["connections"], &newest["rooms"]),
        (&json!(1), &json!(0))
    );
    let path = format!("/inspect/tail?token={ticket}");
    let mut tail = network.connect(&path).await.unwrap();
    assert_eq!(tail.json().await["code"], "not-found");
    assert_eq!(tail.closed().await.unwrap().code(), 1008.into());
}

#[tokio::test(start_paused = true)]
async fn where_there_are_several_each_room_and_channel_has_the_name_of_its_part() {
    let mut app = App::new();
    let [orders, news] = ["orders", "news"].map(|name| live(&mut app, name));
    let [support, lobby] = ["support", "lobby"].map(|name| chat(&mut app, name));
    let inspector = Inspector::new(&app, KEY).live(&orders).live(&news);
    app.merge(inspector.chat(&support).chat(&lobby).router());
    let network = Network::new(app);
    let mut open = vec![
        subscribed(&network, "/live/orders", "a").await,
        subscribed(&network, "/live/news", "a").await,
        subscribed(&network, "/live/news", "a").await,
    ];
    for path in ["/chat/support", "/chat/lobby", "/chat/lobby"] {
        open.push(network.connect(path).await.unwrap());
    }
    network.settle().await;
    let ticket = ticket(&network, "").await;
    let (_, rooms) = get(&network, &ticket, "/api/inspect/rooms").await;
    let expected = json!({ "rooms": [
        { "chat": "lobby", "room": "den", "members": 2 },
        { "chat": "support", "room": "den", "members": 1 },
    ] });
    assert_eq!(rooms, expected);
    let (_, channels) = get(&network, &ticket, "/api/inspect/channels").await;
    let expected = json!({ "channels": [
        { "live": "news", "channel": "a", "subscribers": 2 },
        { "live": "orders", "channel": "a", "subscribers": 1 },
    ] });
    assert_eq!(channels, expected);
    let (_, slow) = get(&network, &ticket, "/api/inspect/slow-readers").await;
    let names: Vec<_> = slow["channels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| &of["live"])
        .collect();
    assert_eq!(names, ["orders", "news"]);

    let follow = async |query: &str| {
        let path = format!("/inspect/tail?token={ticket}{query}");
        subscribed(&network, &path, "a").await
    };
    let (mut first, mut second) = (follow("").await, follow("&live=news").await);
    for (live, data) in [(&orders, 1), (&news, 2)] {
        network.run_until(live.publish("a", &data)).await.unwrap();
    }
    assert_eq!(first.json().await["data"], 1);
    assert_eq!(second.json().await["data"], 2);
    let path = format!("/inspect/tail?token={ticket}&live=other");
    let mut other = network.connect(&path).await.unwrap();
    assert_eq!(other.json().await["code"], "not-found");
}

#[tokio::test(start_paused = true)]
async fn without_a_key_it_is_for_this_machine_and_its_tickets_hold_where_the_secret_is_the_same() {
    let network = |secret: Option<&str>| {
        let mut app: App = App::new();
        let mut inspector = Inspector::without_key(&app);
        if let Some(secret) = secret {
            inspector = inspector.ticket_secret(secret);
        }
        app.merge(inspector.router());
        Network::new(app)
    };
    let one = network(Some("a secret"));
    let (status, access) = get(&one, "", "/api/inspect").await;
    assert_eq!((status, access), (200, json!({ "access": "open" })));
    let foreign = Request::get("/api/inspect").header(header::HOST, "example.com");
    assert_eq!(
        fetch(&one, foreign.body(Body::empty()).unwrap()).await.0,
        403
    );
    let (_, minted) = post(&one, "", "/api/inspect/token", json!(null)).await;
    let ticket = minted["token"].as_str().unwrap();
    for (secret, status) in [(Some("a secret"), 200), (Some("another"), 401), (None, 401)] {
        let other = network(secret);
        let answered = get(&other, ticket, "/api/inspect/rooms").await;
        assert_eq!(answered.0, status, "{secret:?}");
    }
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "inspect")]
async fn an_application_has_one_inspector() {
    let mut app: App = App::new();
    app.merge(Inspector::new(&app, KEY).router());
    app.nest("/more", Inspector::new(&app, KEY).router());
}
