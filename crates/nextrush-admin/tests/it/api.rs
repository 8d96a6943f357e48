//! The HTTP API of applications with other parts than the server program, in other places.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use nextrush::live::{ChannelPolicies, ChannelPolicy};
use nextrush::testing::Network;
use nextrush::{App, ChatServer, LiveUpdates};
use nextrush_admin::{HttpApi, Inspector};
use serde_json::{Value, json};

use crate::support::{KEY, fetch, get, post, subscribed, ticket};

/// Live updates whose channels remember, below `/live/<name>`.
fn live(app: &mut App, name: &str) -> LiveUpdates {
    let hour = Duration::from_secs(3600);
    let policies = ChannelPolicies::new().policy("kept", ChannelPolicy::new().history(100, hour));
    let live = LiveUpdates::builder().policies(policies).build(app, name);
    let connect = live.clone();
    app.ws(&format!("/live/{name}"), move |socket: nextrush::Socket| {
        connect.connect(&socket);
    });
    live
}

#[tokio::test(start_paused = true)]
async fn it_is_served_below_the_path_where_it_is_nested() {
    let mut app = App::new();
    let live = live(&mut app, "live");
    app.nest("/internal", HttpApi::new(&app, KEY).live(&live).router());
    let network = Network::new(app);
    let mut ada = subscribed(&network, "/live/live", "kept").await;
    let body = json!({ "channel": "kept", "data": { "n": 1 } });
    let place = post(&network, KEY, "/internal/api/v1/publish", body.clone()).await;
    assert_eq!((place.0, &place.1["offset"]), (200, &json!(1)));
    assert_eq!(ada.json().await["data"], json!({ "n": 1 }));
    let (_, history) = get(&network, KEY, "/internal/api/v1/history?channel=kept").await;
    assert_eq!(history["publications"][0]["data"], json!({ "n": 1 }));
    let (_, channels) = get(&network, KEY, "/internal/api/v1/channels").await;
    let expected = json!({ "channels": [{ "channel": "kept", "subscribers": 1 }] });
    assert_eq!(channels, expected);
    let (status, _, _) = fetch(
        &network,
        Request::get("/internal/api/v1/openapi.json")
            .body(Body::empty())
            .unwrap(),
    )
    .await;
    assert_eq!(status, 200);
    assert_eq!(
        post(&network, KEY, "/api/v1/publish", body.clone()).await.0,
        404
    );
    let (status, refusal) = post(&network, &KEY[1..], "/internal/api/v1/publish", body).await;
    assert_eq!((status, &refusal["code"]), (401, &json!("invalid-token")));

    // The protocol of live updates, with the key.
    let request = Request::get("/internal/api/v1/live")
        .header(header::AUTHORIZATION, format!("Bearer {KEY}"));
    let mut server = network
        .connect_with(request.body(()).unwrap())
        .await
        .unwrap();
    server.send_json(&json!({ "type": "subscribe", "channel": "kept" }));
    assert_eq!(server.json().await["type"], "subscribed");
    let mut stranger = network.connect("/internal/api/v1/live").await.unwrap();
    assert_eq!(stranger.json().await["code"], "authentication-required");
    assert_eq!(stranger.closed().await.unwrap().code(), 1008.into());
}

#[tokio::test(start_paused = true)]
async fn a_history_is_answered_in_a_hundred_publications_and_a_thousand_at_most() {
    let mut app = App::new();
    let hour = Duration::from_secs(3600);
    let policy = ChannelPolicy::new().history(1100, hour);
    let policies = ChannelPolicies::new().policy("kept", policy);
    let live = LiveUpdates::builder()
        .policies(policies)
        .build(&app, "live");
    app.merge(HttpApi::new(&app, KEY).live(&live).router());
    let network = Network::new(app);
    for number in 0..1100 {
        live.publish("kept", &number).await.unwrap();
    }
    for (asked, count, first) in [
        ("", 100, 1000),
        ("&limit=2000", 1000, 100),
        ("&after=0&limit=2000", 1000, 0),
    ] {
        let path = format!("/api/v1/history?channel=kept{asked}");
        let (_, history) = get(&network, KEY, &path).await;
        let publications = history["publications"].as_array().unwrap();
        assert_eq!(publications.len(), count, "{asked}");
        assert_eq!(publications[0]["data"], first, "{asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_live_updates_or_a_chat_what_is_about_them_is_not_found() {
    let mut app = App::new();
    app.merge(HttpApi::new(&app, KEY).router());
    let network = Network::new(app);
    let not_found = |message: &str| {
        (
            404,
            json!({ "type": "error", "message": message, "code": "not-found" }),
        )
    };
    let no_live = not_found("no live updates have this name");
    for (path, body) in [
        ("publish", json!({ "channel": "a", "data": 1 })),
        ("broadcast", json!({ "channels": ["a"], "data": 1 })),
        ("purge", json!({ "channel": "a" })),
    ] {
        let path = format!("/api/v1/{path}");
        assert_eq!(post(&network, KEY, &path, body).await, no_live, "{path}");
    }
    for path in ["history?channel=a", "presence?channel=a", "channels"] {
        let path = format!("/api/v1/{path}");
        assert_eq!(get(&network, KEY, &path).await, no_live, "{path}");
    }
    let no_chat = not_found("no chat has this name");
    let purged = post(&network, KEY, "/api/v1/purge", json!({ "room": "a" })).await;
    assert_eq!(purged, no_chat);
    let request =
        Request::get("/api/v1/live").header(header::AUTHORIZATION, format!("Bearer {KEY}"));
    let mut server = network
        .connect_with(request.body(()).unwrap())
        .await
        .unwrap();
    assert_eq!(server.json().await, no_live.1);
    assert_eq!(server.closed().await.unwrap().code(), 1008.into());
    // What is about users is there in any case.
    let user = json!({ "userId": "ada" });
    let (status, purged) = post(&network, KEY, "/api/v1/purge", user.clone()).await;
    assert_eq!((status, purged), (200, json!({ "deleted": 0 })));
    let disconnected = post(&network, KEY, "/api/v1/disconnect", user).await;
    assert_eq!(disconnected, (200, json!({ "disconnected": 0 })));
}

#[tokio::test(start_paused = true)]
async fn of_several_live_updates_and_chats_a_request_names_one_or_means_the_first() {
    let mut app = App::new();
    let (orders, news) = (live(&mut app, "orders"), live(&mut app, "news"));
    let [support, lobby] = ["support", "lobby"].map(|name| ChatServer::new(&app, name));
    let api = HttpApi::new(&app, KEY).live(&orders).live(&news);
    app.merge(api.chat(&support).chat(&lobby).router());
    let network = Network::new(app);
    let mut of_orders = subscribed(&network, "/live/orders", "kept").await;
    let mut of_news = subscribed(&network, "/live/news", "kept").await;
    let publish = async |name: Option<&str>, data: u64| {
        let body = json!({ "channel": "kept", "data": data, "live": name });
        post(&network, KEY, "/api/v1/publish", body).await.0
    };
    assert_eq!(publish(None, 1).await, 200);
    assert_eq!(publish(Some("news"), 2).await, 200);
    assert_eq!(publish(Some("orders"), 3).await, 200);
    assert_eq!(publish(Some("other"), 4).await, 404);
    let broadcast = json!({ "channels": ["kept"], "data": 5, "live": "news" });
    assert_eq!(
        post(&network, KEY, "/api/v1/broadcast", broadcast).await.0,
        200
    );
    for (client, expected) in [(&mut of_orders, [1, 3]), (&mut of_news, [2, 5])] {
        for data in expected {
            assert_eq!(client.json().await["data"], data);
        }
    }
    let data = async |query: &str| {
        let path = format!("/api/v1/history?channel=kept{query}");
        let (_, kept) = get(&network, KEY, &path).await;
        let kept = kept["publications"].as_array().unwrap().clone();
        kept.iter()
            .map(|each| each["data"].clone())
            .collect::<Vec<Value>>()
    };
    assert_eq!(data("").await, [1, 3]);
    assert_eq!(data("&live=news").await, [2, 5]);
    let body = json!({ "channel": "kept", "live": "news" });
    let purged = post(&network, KEY, "/api/v1/purge", body).await;
    assert_eq!(purged, (200, json!({ "deleted": 2 })));
    assert_eq!(data("").await, [1, 3]);
    for (body, status) in [
        (json!({ "room": "a" }), 200),
        (json!({ "room": "a", "chat": "lobby" }), 200),
        (json!({ "room": "a", "chat": "other" }), 404),
        (json!({ "room": "a", "live": "news" }), 400),
        (json!({ "channel": "a", "chat": "lobby" }), 400),
        (json!({ "userId": "ada", "live": "news" }), 400),
        (json!({ "chat": "lobby" }), 400),
    ] {
        let (answered, _) = post(&network, KEY, "/api/v1/purge", body.clone()).await;
        assert_eq!(answered, status, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_a_newer_version_is_answered_as_outdated() {
    let mut app = App::new();
    let live = live(&mut app, "live");
    app.merge(HttpApi::new(&app, KEY).live(&live).router());
    let network = Network::new(app);
    let publish = async |more: Value| {
        let mut body = json!({ "channel": "kept", "data": 1 });
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        post(&network, KEY, "/api/v1/publish", body).await
    };
    for (more, offset, outdated) in [
        (json!({ "version": 7 }), 1, None),
        (json!({ "version": 6 }), 1, Some(true)),
        (json!({ "version": 7 }), 1, Some(true)),
        (json!({ "version": 1, "key": "row 1" }), 2, None),
        (json!({ "version": 1, "key": "row 2" }), 3, None),
        (json!({ "version": 1, "key": "row 1" }), 2, Some(true)),
        (json!({}), 4, None),
    ] {
        let (status, place) = publish(more.clone()).await;
        assert_eq!(status, 200, "{place}");
        assert_eq!(place["offset"], offset, "{more}");
        assert_eq!(
            place.get("outdated").and_then(Value::as_bool),
            outdated,
            "{more}"
        );
        assert_eq!(place["repeated"], false);
    }
    for more in [
        json!({ "version": 0 }),
        json!({ "version": -1 }),
        json!({ "version": "7" }),
        json!({ "key": "row 1" }),
        json!({ "version": 8, "key": "" }),
        json!({ "version": 8, "key": "x".repeat(256) }),
    ] {
        let (status, refusal) = publish(more.clone()).await;
        assert!(matches!(status, 400 | 422), "{more}: {status}");
        assert_eq!(refusal["code"], "invalid-format", "{more}");
    }
    // Each channel of a broadcast by itself; a repeat is known by its key, and not by its version.
    let broadcast = async |version: u64| {
        let body =
            json!({ "channels": ["kept", "other"], "data": 2, "version": version }).to_string();
        let request = Request::post("/api/v1/broadcast")
            .header(header::AUTHORIZATION, format!("Bearer {KEY}"))
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", version.to_string())
            .body(Body::from(body));
        let (_, _, text) = fetch(&network, request.unwrap()).await;
        let answer: Value = serde_json::from_str(&text).unwrap();
        ["repeated", "outdated"]
            .map(|field| [0, 1].map(|n| answer["results"][n][field].as_bool().unwrap_or_default()))
    };
    assert_eq!(broadcast(7).await, [[false, false], [true, false]]);
    assert_eq!(broadcast(8).await, [[false, false], [false, false]]);
    assert_eq!(broadcast(8).await, [[true, true], [false, false]]);
}

#[tokio::test(start_paused = true)]
async fn bytes_are_published_kept_and_read_in_base64() {
    let mut app = App::new();
    let live = live(&mut app, "live");
    app.merge(HttpApi::new(&app, KEY).live(&live).router());
    let network = Network::new(app);
    let mut ada = subscribed(&network, "/live/live", "kept").await;
    network
        .run_until(live.publish_bytes("kept", [0, 255]))
        .await
        .unwrap();
    let publish = async |data: Value, version: u64| {
        let body =
            json!({ "channel": "kept", "data": data, "encoding": "base64", "version": version });
        post(&network, KEY, "/api/v1/publish", body).await
    };
    assert_eq!(publish(json!("AQID"), 2).await.0, 200);
    assert_eq!(publish(json!("AQID"), 1).await.1["outdated"], true);
    let body = json!({ "channels": ["kept"], "data": "/w==", "encoding": "base64" });
    assert_eq!(post(&network, KEY, "/api/v1/broadcast", body).await.0, 200);
    for expected in ["AP8=", "AQID", "/w=="] {
        let update = ada.json().await;
        assert_eq!(
            (&update["data"], &update["encoding"]),
            (&json!(expected), &json!("base64"))
        );
    }
    let (status, history) = get(&network, KEY, "/api/v1/history?channel=kept").await;
    assert_eq!(status, 200, "{history}");
    let kept = history["publications"].as_array().unwrap().iter();
    let kept: Vec<_> = kept
        .map(|update| [&update["data"], &update["encoding"]])
        .collect();
    assert_eq!(
        kept,
        [["AP8=", "base64"], ["AQID", "base64"], ["/w==", "base64"]]
    );
    for data in [json!("AQI"), json!(7), json!("_w==")] {
        let (status, refusal) = publish(data.clone(), 3).await;
        assert_eq!(
            (status, &refusal["code"]),
            (400, &json!("invalid-format")),
            "{data}"
        );
    }
    let largest = |bytes: usize| json!("AAAA".repeat(bytes / 3));
    assert_eq!(publish(largest(65_535), 4).await.0, 200);
    let (status, refusal) = publish(largest(65_538), 5).await;
    assert_eq!((status, &refusal["code"]), (400, &json!("too-large")));
    let body = json!({ "channel": "kept", "data": "AQID", "encoding": "hex" });
    let (status, refusal) = post(&network, KEY, "/api/v1/publish", body).await;
    assert_eq!((status, &refusal["code"]), (422, &json!("invalid-format")));
}

#[tokio::test(start_paused = true)]
async fn it_says_what_became_of_a_publication_for_each_socket() {
    let mut app = App::new();
    let live = live(&mut app, "live");
    let chat = ChatServer::new(&app, "chat");
    let api = HttpApi::new(&app, KEY).live(&live).chat(&chat);
    let inspector = Inspector::new(&app, KEY).live(&live).chat(&chat);
    app.merge(api.router());
    app.merge(inspector.router());
    let network = Network::new(app);
    let _ada = subscribed(&network, "/live/live", "kept").await;
    let body = json!({ "channel": "kept", "data": 1 });
    let (_, place) = post(&network, KEY, "/api/v1/publish", body).await;
    network.settle().await;
    let position = format!("{}:{}", place["epoch"].as_str().unwrap(), place["offset"]);
    let trace = |of: String| format!("/api/v1/trace?position={position}&{of}");

    let (status, traced) = get(&network, KEY, &trace("channel=kept".to_owned())).await;
    assert_eq!(status, 200, "{traced}");
    assert_eq!(traced["published"], "kept");
    assert_eq!(traced["counts"], json!({ "sent": 1 }));
    let socket = &traced["sockets"][0];
    assert_eq!(socket["verdict"], "sent");
    assert!(socket["text"].as_str().unwrap().starts_with("sent at "));
    let (_, traced) = get(&network, KEY, &trace("channel=kept&user=eve".to_owned())).await;
    assert_eq!(traced["sockets"], json!([]));

    let ticket = ticket(&network, "").await;
    let path = trace("channel=kept".to_owned()).replace("/api/v1/", "/api/inspect/");
    let (status, traced) = get(&network, &ticket, &path).await;
    assert_eq!((status, &traced["counts"]), (200, &json!({ "sent": 1 })));

    let (status, traced) = get(&network, KEY, &trace("room=lobby".to_owned())).await;
    assert_eq!((status, &traced["published"]), (200, &json!("other-epoch")));
    for (path, code) in [
        (trace(String::new()), "invalid-format"),
        (
            trace("channel=kept&room=lobby".to_owned()),
            "invalid-format",
        ),
        (trace("room=lobby&live=live".to_owned()), "invalid-format"),
        (trace("room=%00".to_owned()), "invalid-name"),
        (trace("channel=%00".to_owned()), "invalid-name"),
        (
            "/api/v1/trace?channel=kept&position=7".to_owned(),
            "invalid-position",
        ),
        (
            format!(
                "/api/v1/trace?channel=kept&position={}:0",
                place["epoch"].as_str().unwrap()
            ),
            "invalid-position",
        ),
    ] {
        let (status, refusal) = get(&network, KEY, &path).await;
        assert_eq!((status, &refusal["code"]), (400, &json!(code)), "{path}");
    }
}
