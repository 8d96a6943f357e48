//! The operators' view.

use nextrush::Server;
use serde_json::{Value, json};

use crate::support::{Client, Http, serve, serve_with, token, within};

const KEY: &str = "the key of operators, also of 32 bytes or more";

async fn with_key() -> Server {
    serve(&["--admin-key", KEY]).await
}

async fn ticket(server: &Server) -> String {
    let (status, minted) = Http::with(server, KEY)
        .post("/api/inspect/token", Value::Null)
        .await;
    assert_eq!(status, 201);
    minted["token"].as_str().unwrap().to_owned()
}

const WITH_TICKET: [(&str, &str); 5] = [
    ("GET", "/api/inspect/metrics"),
    ("GET", "/api/inspect/connections"),
    ("GET", "/api/inspect/rooms"),
    ("GET", "/api/inspect/channels"),
    ("POST", "/api/inspect/disconnect"),
];

#[tokio::test]
async fn without_a_key_and_out_of_development_it_is_not_there() {
    let server = serve(&[]).await;
    let http = Http::with(&server, KEY);
    assert_eq!(http.get("/api/inspect").await.0, 404);
    assert_eq!(http.post("/api/inspect/token", Value::Null).await.0, 404);
    for (method, path) in WITH_TICKET {
        assert_eq!(http.call(method, path, &Value::Null).await.0, 404, "{path}");
    }
    for path in ["/inspect", "/inspect/tail"] {
        assert_eq!(http.get(path).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn a_ticket_is_had_for_the_key_alone() {
    let server = with_key().await;
    let (status, access) = Http::of(&server).get("/api/inspect").await;
    assert_eq!((status, access), (200, json!({ "access": "key" })));
    for bearer in [None, Some(""), Some("another key"), Some(&KEY[1..])] {
        let http = Http {
            bearer: bearer.map(str::to_owned),
            ..Http::of(&server)
        };
        let (status, refusal) = http.post("/api/inspect/token", Value::Null).await;
        let code = match bearer {
            None => "authentication-required",
            Some(_) => "invalid-token",
        };
        assert_eq!((status, &refusal["code"]), (401, &json!(code)));
    }
    // Neither a user's token nor a ticket is the key.
    for bearer in [token("ada"), ticket(&server).await] {
        let http = Http::with(&server, &bearer);
        assert_eq!(http.post("/api/inspect/token", Value::Null).await.0, 401);
    }
}

#[tokio::test]
async fn nothing_is_shown_without_a_ticket() {
    let server = with_key().await;
    for (method, path) in WITH_TICKET {
        let (status, refusal) = Http::of(&server).call(method, path, &Value::Null).await;
        assert_eq!(status, 401, "{path}");
        assert_eq!(refusal["code"], "authentication-required");
        for bearer in [KEY, &token("ada")] {
            let http = Http::with(&server, bearer);
            let (status, refusal) = http.call(method, path, &Value::Null).await;
            assert_eq!(status, 401, "{path} {bearer}");
            assert_eq!(refusal["code"], "invalid-token");
        }
    }
    for path in ["/inspect", "/inspect/tail"] {
        for (query, message, code) in [
            (
                String::new(),
                "Authentication required",
                "authentication-required",
            ),
            (
                format!("?token={}", token("ada")),
                "Invalid token",
                "invalid-token",
            ),
        ] {
            let mut client = Client::connect(&server, &format!("{path}{query}")).await;
            let expected = json!({ "type": "error", "message": message, "code": code });
            assert_eq!(client.json().await, expected);
            assert_eq!(client.closed().await, (1008, message.into()));
        }
    }
}

#[tokio::test]
async fn a_ticket_is_no_users_token() {
    let server = with_key().await;
    let ticket = ticket(&server).await;
    let mut client = Client::connect(&server, &format!("/chat/lobby?token={ticket}")).await;
    assert_eq!(client.json().await["code"], "invalid-token");
    assert_eq!(Http::with(&server, &ticket).get("/api/posts").await.0, 401);
}

#[tokio::test]
async fn development_mode_is_open_to_this_machine() {
    let server = serve_with(&["--dev", "--no-store", "--jwt-secret", ""]).await;
    let http = Http::of(&server);
    assert_eq!(
        http.get("/api/inspect").await,
        (200, json!({ "access": "open" }))
    );
    let (status, minted) = http.post("/api/inspect/token", Value::Null).await;
    assert_eq!(status, 201);
    let http = Http::with(&server, minted["token"].as_str().unwrap());
    assert_eq!(
        http.get("/api/inspect/rooms").await,
        (200, json!({ "rooms": [] }))
    );
    for path in ["/api/inspect", "/api/inspect/rooms"] {
        let foreign = http.call_with(("host", "example.com"), "GET", path, &Value::Null);
        assert_eq!(foreign.await.0, 403, "{path}");
    }
    let foreign = http.call_with(
        ("host", "example.com"),
        "POST",
        "/api/inspect/token",
        &Value::Null,
    );
    assert_eq!(foreign.await.0, 403);
}

#[tokio::test]
async fn a_key_holds_in_development_mode_too() {
    let server = serve_with(&["--dev", "--no-store", "--admin-key", KEY]).await;
    let http = Http::of(&server);
    assert_eq!(http.get("/api/inspect").await.1, json!({ "access": "key" }));
    assert_eq!(http.post("/api/inspect/token", Value::Null).await.0, 401);
}

#[tokio::test]
async fn each_second_brings_a_sample() {
    let server = with_key().await;
    let ticket = ticket(&server).await;
    let mut ada = Client::connect(&server, &format!("/chat/lobby?token={}", token("ada"))).await;
    ada.json_of("room-history").await;

    let mut inspector = Client::connect(&server, &format!("/inspect?token={ticket}")).await;
    inspector
        .send(json!({ "type": "subscribe", "channel": "metrics" }))
        .await;
    assert_eq!(inspector.json().await["type"], "subscribed");
    inspector.json_of("update").await;
    ada.send(json!({ "type": "chat", "text": "hello" })).await;
    ada.json_of("chat-message").await;
    let (mut samples, mut published, mut received) = (Vec::new(), 0, 0);
    while published == 0 || received == 0 {
        let sample = inspector.json_of("update").await["data"].take();
        published += sample["published"].as_u64().unwrap();
        received += sample["messagesIn"].as_u64().unwrap();
        samples.push(sample);
        assert!(samples.len() < 10, "{samples:?}");
    }
    // The samples themselves are not counted.
    assert_eq!((published, received), (1, 1), "{samples:?}");
    let last = samples.last().unwrap();
    assert_eq!(
        (&last["connections"], &last["rooms"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(last["channels"], 0);
    assert_eq!(last["slowReaders"]["waiting"], 0);
    assert_eq!(last["slowReaders"]["lagging"], 0);
    assert_eq!(last["slowReaders"]["closed"], 0);
    assert_eq!(last["backlogBytes"], 0);
    let turn = |name: &str| last["turn"][name].as_u64().unwrap();
    assert!(turn("p50Us") <= turn("p99Us") && turn("p99Us") <= turn("maxUs"));
    assert!(turn("maxUs") > 0);

    let (status, kept) = Http::with(&server, &ticket)
        .get("/api/inspect/metrics")
        .await;
    assert_eq!(status, 200);
    let kept = kept["samples"].as_array().unwrap();
    let times: Vec<_> = kept
        .iter()
        .map(|sample| sample["at"].as_str().unwrap())
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    assert!(kept.contains(&samples[0]), "{kept:?}");
}

#[tokio::test]
async fn the_only_channel_of_figures_is_that_of_the_samples() {
    let server = with_key().await;
    let path = format!("/inspect?token={}", ticket(&server).await);
    let mut inspector = Client::connect(&server, &path).await;
    inspector
        .send(json!({ "type": "subscribe", "channel": "posts" }))
        .await;
    assert_eq!(inspector.json().await["code"], "subscribe-refused");
    inspector
        .send(json!({ "type": "refresh", "token": ticket(&server).await, "id": "r" }))
        .await;
    assert_eq!(inspector.json().await["type"], "refreshed");
    inspector
        .send(json!({ "type": "refresh", "token": token("ada") }))
        .await;
    assert_eq!(inspector.json().await["code"], "invalid-token");
}

#[tokio::test]
async fn what_is_published_in_a_channel_can_be_looked_at() {
    let server = serve(&["--admin-key", KEY, "--api-key", KEY]).await;
    let ticket = ticket(&server).await;
    let mut tail = Client::connect(&server, &format!("/inspect/tail?token={ticket}")).await;
    tail.send(json!({ "type": "subscribe", "channel": "news" }))
        .await;
    assert_eq!(tail.json().await["type"], "subscribed");
    let body = json!({ "channel": "news", "data": { "n": 1 } });
    let (status, _) = Http::with(&server, KEY).post("/api/v1/publish", body).await;
    assert_eq!(status, 200);
    assert_eq!(tail.json().await["data"], json!({ "n": 1 }));
    let channels = Http::with(&server, &ticket)
        .get("/api/inspect/channels")
        .await;
    let expected = json!({ "channels": [{ "channel": "news", "subscribers": 1 }] });
    assert_eq!(channels, (200, expected));
    let (status, slow) = Http::with(&server, &ticket)
        .get("/api/inspect/slow-readers")
        .await;
    assert_eq!(status, 200);
    let nothing = json!({ "recovered": 0, "sentLater": 0, "missed": 0 });
    assert_eq!(slow["chat"], nothing);
    let mut posts = nothing;
    posts["pattern"] = json!("posts");
    assert_eq!(slow["channels"][0], posts);
}

#[tokio::test]
async fn connections_are_listed_with_their_users() {
    let server = with_key().await;
    let http = Http::with(&server, &ticket(&server).await);
    let before = nextrush::message::Timestamp::now().unix_ms() / 1000 * 1000;
    let mut sockets = Vec::new();
    for (path, user) in [
        ("/chat/lobby", "ada"),
        ("/live", "ada"),
        ("/chat/lobby", "bob"),
    ] {
        let path = format!("{path}?token={}", token(user));
        sockets.push(Client::connect(&server, &path).await);
    }
    sockets[1]
        .send(json!({ "type": "subscribe", "channel": "a" }))
        .await;
    sockets[1]
        .send(json!({ "type": "subscribe", "channel": "b" }))
        .await;
    let path = format!("/private-chat/den?token={}", token("cyd"));
    sockets.push(Client::connect(&server, &path).await);
    for (client, kind) in [
        (0, "room-history"),
        (1, "subscribed"),
        (1, "subscribed"),
        (2, "room-history"),
        (3, "authenticated"),
    ] {
        sockets[client].json_of(kind).await;
    }
    let list = async |query: &str| {
        let (status, list) = http.get(&format!("/api/inspect/connections{query}")).await;
        assert_eq!(status, 200, "{list}");
        list
    };
    // The handshake is answered before the shard has the connection, and a client may receive
    // a message before the shard has counted it as written.
    let all = within(async {
        loop {
            let all = list("").await;
            let mut connections = all["connections"].as_array().unwrap().iter();
            if all["total"] == 4 && connections.all(|each| each["backlogBytes"] == 0) {
                return all;
            }
        }
    })
    .await;
    let connections = all["connections"].as_array().unwrap();
    let mut shown: Vec<_> = connections
        .iter()
        .map(|each| {
            (
                each["endpoint"].as_str().unwrap(),
                each["user"]["id"].as_str(),
                each["rooms"].as_u64().unwrap(),
            )
        })
        .collect();
    shown.sort_unstable();
    let expected = [
        ("/chat/:roomId", Some("ada"), 1),
        ("/chat/:roomId", Some("bob"), 1),
        ("/live", Some("ada"), 2),
        ("/private-chat/:roomId", Some("cyd"), 0),
    ];
    assert_eq!(shown, expected);
    for each in connections {
        assert_eq!(each["address"], "127.0.0.1");
        let since = each["connectedAt"].as_str().unwrap();
        let since: nextrush::message::Timestamp = since.parse().unwrap();
        assert!(
            (before..=before + 60_000).contains(&since.unix_ms()),
            "{each}"
        );
    }

    let ids = |list: &Value| -> Vec<String> {
        let ids = list["connections"].as_array().unwrap().iter();
        ids.map(|each| each["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let of_ada = list("?user=ada").await;
    assert_eq!((of_ada["total"].as_u64(), ids(&of_ada).len()), (Some(2), 2));
    assert_eq!(
        list("?user=nobody").await,
        json!({ "connections": [], "total": 0 })
    );
    let all = ids(&all);
    let first = list("?limit=3").await;
    assert_eq!(
        (ids(&first), &first["total"]),
        (all[..3].to_vec(), &json!(4))
    );
    let rest = list(&format!("?after={}", all[2])).await;
    assert_eq!((ids(&rest), &rest["total"]), (all[3..].to_vec(), &json!(4)));
    assert_eq!(ids(&list("?slow=true").await), all);
    for query in ["?limit=-1", "?after=x", "?slow=7"] {
        let (status, _) = http.get(&format!("/api/inspect/connections{query}")).await;
        assert_eq!(status, 400, "{query}");
    }

    let rooms = http.get("/api/inspect/rooms").await;
    let expected = json!({ "rooms": [{ "room": "lobby", "members": 2 }] });
    assert_eq!(rooms, (200, expected));
}

#[tokio::test]
async fn users_and_single_connections_are_disconnected() {
    let server = with_key().await;
    let http = Http::with(&server, &ticket(&server).await);
    let mut clients = Vec::new();
    for user in ["ada", "ada", "bob"] {
        let path = format!("/chat/lobby?token={}", token(user));
        let mut client = Client::connect(&server, &path).await;
        client.json_of("room-history").await;
        clients.push(client);
    }
    let disconnect = async |body: Value| http.post("/api/inspect/disconnect", body).await;
    let (_, of_bob) = http.get("/api/inspect/connections?user=bob").await;
    let bob = of_bob["connections"][0]["id"].clone();
    let done = |count: u64| (200, json!({ "disconnected": count }));
    assert_eq!(disconnect(json!({ "userId": "ada" })).await, done(2));
    assert_eq!(disconnect(json!({ "connectionId": bob })).await, done(1));
    for client in &mut clients {
        assert_eq!(client.end().await, (1008, "Disconnected".into()));
    }
    assert_eq!(disconnect(json!({ "userId": "nobody" })).await, done(0));
    assert_eq!(
        disconnect(json!({ "connectionId": "9-9-9" })).await,
        done(0)
    );
    for (body, status) in [
        (json!({}), 422),
        (json!({ "userId": "a", "connectionId": "0-0-0" }), 422),
        (json!({ "connectionId": "x" }), 400),
        (json!({ "userId": [] }), 422),
        (json!({ "userId": 9_007_199_254_740_993_u64 }), 422),
    ] {
        assert_eq!(disconnect(body.clone()).await.0, status, "{body}");
    }
}
