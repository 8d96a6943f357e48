//! The HTTP API for other servers.

use nextrush::Server;
use serde_json::{Value, json};

use crate::support::{Http, serve};

const KEY: &str = "the key of the API, also of 32 bytes or more";
/// A channel that has a history.
const CHANNEL: &str = "posts";

async fn server() -> Server {
    serve(&["--api-key", KEY]).await
}

async fn publish(server: &Server, body: Value) -> (u16, Value) {
    Http::with(server, KEY).post("/api/v1/publish", body).await
}

#[tokio::test]
async fn what_is_published_is_in_the_history() {
    let server = server().await;
    for number in 1..=3 {
        let body = json!({ "channel": CHANNEL, "data": { "n": number } });
        let (status, place) = publish(&server, body).await;
        assert_eq!((status, &place["offset"]), (200, &json!(number)));
        assert_eq!(place["repeated"], false);
    }
    let history = async |query: &str| {
        let path = format!("/api/v1/history?channel={CHANNEL}{query}");
        let (status, kept) = Http::with(&server, KEY).get(&path).await;
        assert_eq!((status, &kept["offset"]), (200, &json!(3)));
        let publications = kept["publications"].as_array().unwrap().iter();
        let numbers = publications.map(|kept| kept["data"]["n"].as_u64().unwrap());
        numbers.collect::<Vec<u64>>()
    };
    assert_eq!(history("").await, [1, 2, 3]);
    assert_eq!(history("&limit=1").await, [3]);
    assert_eq!(history("&after=1").await, [2, 3]);
    assert_eq!(history("&after=0&limit=1").await, [1]);
}

#[tokio::test]
async fn a_request_with_the_same_idempotency_key_publishes_once() {
    let server = server().await;
    let publish = async |key: &str| {
        let body = json!({ "channel": CHANNEL, "data": 1 });
        Http::with(&server, KEY)
            .call_with(("idempotency-key", key), "POST", "/api/v1/publish", &body)
            .await
    };
    let (_, first) = publish("a").await;
    assert_eq!(first["repeated"], false);
    let (_, again) = publish("a").await;
    assert_eq!(again["repeated"], true);
    assert_eq!(again["offset"], first["offset"]);
    let other = json!({ "channel": CHANNEL, "data": 2 });
    let (status, refusal) = Http::with(&server, KEY)
        .call_with(("idempotency-key", "a"), "POST", "/api/v1/publish", &other)
        .await;
    assert_eq!((status, &refusal["code"]), (422, &json!("id-reused")));
    assert_eq!(publish("b").await.1["offset"], 2);
    for key in ["", &"x".repeat(256)] {
        let (status, refusal) = publish(key).await;
        assert_eq!((status, &refusal["code"]), (400, &json!("invalid-format")));
    }
}

#[tokio::test]
async fn a_broadcast_says_what_came_of_each_channel() {
    let server = server().await;
    let broadcast = async |body: Value| {
        let http = Http::with(&server, KEY);
        http.post("/api/v1/broadcast", body).await
    };
    let body = json!({ "channels": [CHANNEL, "", "more"], "data": [] });
    let (status, answer) = broadcast(body).await;
    assert_eq!(status, 200);
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results[0]["offset"], 1);
    let refused = json!({
        "channel": "", "error": "invalid channel name", "code": "invalid-name",
    });
    assert_eq!(results[1], refused);
    assert_eq!(results[2]["offset"], 1);
    let many = json!({ "channels": vec!["a"; 101], "data": 1 });
    let (status, refusal) = broadcast(many).await;
    assert_eq!((status, &refusal["code"]), (400, &json!("invalid-format")));
}

#[tokio::test]
async fn without_the_key_nothing_is_answered() {
    let server = server().await;
    let other = format!("{}!", &KEY[1..]);
    for bearer in [None, Some(""), Some(&*other), Some(&KEY[1..])] {
        for path in ["/api/v1/channels", "/api/v1/history?channel=a"] {
            let http = Http {
                bearer: bearer.map(str::to_owned),
                ..Http::of(&server)
            };
            let code = match bearer {
                None => "authentication-required",
                Some(_) => "invalid-token",
            };
            let refusal = json!({
                "type": "error", "message": "Invalid API key", "code": code,
            });
            assert_eq!(http.get(path).await, (401, refusal), "{bearer:?}");
        }
    }
    // The key itself is no bearer token.
    let (status, _) = Http::of(&server)
        .call_with(
            ("authorization", KEY),
            "GET",
            "/api/v1/channels",
            &Value::Null,
        )
        .await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let server = server().await;
    let long = |bytes| json!({ "channel": "a", "data": "x".repeat(bytes) });
    let history = "/api/v1/history";
    for (method, path, body, expected) in [
        (
            "POST",
            "/api/v1/publish",
            json!({ "channel": "", "data": 1 }),
            (400, "invalid-name"),
        ),
        (
            "POST",
            "/api/v1/publish",
            json!({ "channel": "a\n", "data": 1 }),
            (400, "invalid-name"),
        ),
        (
            "POST",
            "/api/v1/publish",
            json!({ "channel": "a" }),
            (422, "invalid-format"),
        ),
        ("POST", "/api/v1/publish", long(65_536), (400, "too-large")),
        ("POST", "/api/v1/publish", long(200_000), (413, "too-large")),
        (
            "POST",
            "/api/v1/disconnect",
            json!({ "userId": {} }),
            (422, "invalid-format"),
        ),
        (
            "GET",
            &format!("{history}?limit=1"),
            Value::Null,
            (400, "bad-request"),
        ),
        (
            "GET",
            &format!("{history}?channel=a&after=-1"),
            Value::Null,
            (400, "bad-request"),
        ),
    ] {
        let (status, refusal) = Http::with(&server, KEY).call(method, path, &body).await;
        let code = refusal["code"].as_str().unwrap();
        assert_eq!((status, code), expected, "{path} {refusal}");
    }
    let user = json!({ "userId": 9_007_199_254_740_993_u64 });
    let (status, refusal) = Http::with(&server, KEY)
        .post("/api/v1/disconnect", user)
        .await;
    assert_eq!((status, &refusal["code"]), (422, &json!("id-not-exact")));
    let user = json!({ "userId": "nobody" });
    let done = Http::with(&server, KEY)
        .post("/api/v1/disconnect", user)
        .await;
    assert_eq!(done, (200, json!({ "disconnected": 0 })));
}

#[tokio::test]
async fn presence_and_history_of_an_invalid_channel_are_refused() {
    let server = server().await;
    let http = Http::with(&server, KEY);
    let too_long = "x".repeat(256);
    for channel in ["", "a%00b", "a%0Ab", &too_long] {
        for what in ["presence", "history"] {
            let path = format!("/api/v1/{what}?channel={channel}");
            let (status, refusal) = http.get(&path).await;
            assert_eq!(
                (status, &refusal["code"]),
                (400, &json!("invalid-name")),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn the_description_names_every_route() {
    let server = server().await;
    let (status, description) = Http::of(&server).get("/api/v1/openapi.json").await;
    assert_eq!(status, 200);
    let paths = description["paths"].as_object().unwrap();
    let names: Vec<&str> = paths.keys().map(String::as_str).collect();
    let expected = [
        "/api/v1/backup",
        "/api/v1/broadcast",
        "/api/v1/channels",
        "/api/v1/disconnect",
        "/api/v1/history",
        "/api/v1/presence",
        "/api/v1/publish",
        "/api/v1/purge",
        "/api/v1/revoke",
        "/api/v1/ticket",
        "/api/v1/trace",
    ];
    assert_eq!(names, expected);
}
