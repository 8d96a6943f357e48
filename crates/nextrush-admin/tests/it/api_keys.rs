//! Keys of the API that may do some things only.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::extract::Request;
use axum::http::header;
use nextrush::testing::Network;
use nextrush::{App, ChatServer, CloseCode, LiveUpdates};
use nextrush_admin::{Action, ApiKey, ApiKeys, HttpApi};
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::support::{get, post};

const NARROW: &str = "a key for boards, thirty-two bytes and more";
const READER: &str = "a key that reads, thirty-two bytes and more";
const ISSUER: &str = "a key that issues tickets, thirty-two bytes and more";
const FULL: &str = "a key that may do all, thirty-two bytes or so";
const PAST: &str = "a key whose time is over, thirty-two bytes";

fn keys() -> ApiKeys {
    let now = SystemTime::now();
    ApiKeys::new([
        ApiKey::new("narrow", NARROW)
            .channels(["board-:id"])
            .unwrap(),
        ApiKey::new("reader", READER).only([Action::Read]),
        ApiKey::new("issuer", ISSUER).only([Action::Ticket]),
        ApiKey::new("full", FULL).expires(now + Duration::from_secs(3600)),
        ApiKey::new("past", PAST).expires(now),
    ])
}

fn network(keys: &ApiKeys) -> Network {
    let mut app: App = App::new();
    let live = LiveUpdates::new(&app, "live");
    let chat = ChatServer::new(&app, "chat");
    let api = HttpApi::with_keys(&app, keys).live(&live).chat(&chat);
    app.merge(api.router());
    Network::new(app)
}

#[tokio::test(start_paused = true)]
async fn each_key_may_do_what_it_is_for_and_nothing_else() {
    let network = network(&keys());
    let publish = |channel: &str| ("publish", json!({ "channel": channel, "data": 1 }));
    for (key, (route, body), expected) in [
        (NARROW, publish("board-1"), 200),
        (NARROW, publish("board-"), 403),
        (NARROW, publish("other"), 403),
        (NARROW, ("purge", json!({ "channel": "board-1" })), 200),
        (NARROW, ("purge", json!({ "channel": "other" })), 403),
        (NARROW, ("purge", json!({ "room": "board-1" })), 403),
        (NARROW, ("purge", json!({ "userId": 7 })), 403),
        (NARROW, ("disconnect", json!({ "userId": 7 })), 403),
        (NARROW, ("ticket", json!({ "user": 7 })), 403),
        (NARROW, ("revoke", json!({ "user": 7 })), 403),
        (NARROW, ("backup", json!(null)), 403),
        (READER, ("ticket", json!({ "user": 7 })), 403),
        (READER, ("revoke", json!({ "user": 7 })), 403),
        (READER, ("backup", json!(null)), 403),
        (ISSUER, ("ticket", json!({ "user": 7 })), 200),
        (ISSUER, ("disconnect", json!({ "userId": 7 })), 403),
        (READER, publish("board-1"), 403),
        (
            READER,
            ("broadcast", json!({ "channels": ["board-1"], "data": 1 })),
            403,
        ),
        (READER, ("purge", json!({ "channel": "board-1" })), 403),
        (READER, ("disconnect", json!({ "userId": 7 })), 403),
        (FULL, publish("other"), 200),
        (FULL, ("purge", json!({ "userId": 7 })), 200),
        (PAST, publish("other"), 401),
    ] {
        let path = format!("/api/v1/{route}");
        let (status, answer) = post(&network, key, &path, body.clone()).await;
        assert_eq!(status, expected, "{key} {route} {body}: {answer}");
        if expected == 403 {
            assert_eq!(answer["code"], "forbidden");
        }
    }
    let of = |what: &str| format!("trace?{what}&position=018bcfe5-6800-7abc-8def-0123456789ab:1");
    let [of_board, of_other, of_room] = ["channel=board-1", "channel=other", "room=a"].map(of);
    for (key, path, expected) in [
        (NARROW, "history?channel=board-1", 200),
        (NARROW, "history?channel=other", 403),
        (NARROW, "presence?channel=board-1", 200),
        (NARROW, "presence?channel=other", 403),
        (READER, "history?channel=other", 200),
        (NARROW, &of_board, 200),
        (NARROW, &of_other, 403),
        (NARROW, &of_room, 403),
        (ISSUER, &of_board, 403),
        (READER, &of_other, 200),
        (READER, "channels", 200),
        (PAST, "channels", 401),
    ] {
        let (status, answer) = get(&network, key, &format!("/api/v1/{path}")).await;
        assert_eq!(status, expected, "{key} {path}: {answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_follows_channels_ends_with_its_key() {
    let end = SystemTime::now() + Duration::from_secs(5);
    let network = network(&ApiKeys::new([
        ApiKey::new("full", FULL).expires(end),
        ApiKey::new("reader", READER).only([Action::Read]),
    ]));
    let follow = |key: &str| {
        let request = Request::get("/api/v1/live");
        let request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        request.body(()).unwrap()
    };
    let mut follower = network.connect_with(follow(FULL)).await.unwrap();
    follower.send(r#"{"type":"subscribe","channel":"news"}"#);
    assert!(follower.text().await.contains("subscribed"));
    assert!(follower.text().await.contains("token-expired"));
    let frame = follower.closed().await.unwrap();
    assert_eq!(frame.code(), CloseCode::POLICY_VIOLATION);
    // A key without an end has sockets without one.
    let mut reader = network.connect_with(follow(READER)).await.unwrap();
    network.advance(Duration::from_secs(20)).await;
    reader.send(r#"{"type":"subscribe","channel":"news"}"#);
    assert!(reader.text().await.contains("subscribed"));
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_goes_to_the_channels_of_the_key_alone() {
    let network = network(&keys());
    let body = json!({ "channels": ["board-1", "other"], "data": 1 });
    let (status, answer) = post(&network, NARROW, "/api/v1/broadcast", body).await;
    assert_eq!(status, 200);
    assert_eq!(answer["results"][0]["offset"], 1);
    assert_eq!(answer["results"][1]["code"], "forbidden");
}

#[tokio::test(start_paused = true)]
async fn keys_can_be_replaced_while_the_api_serves() {
    let keys = keys();
    let network = network(&keys);
    assert!(!keys.replace(keys.to_vec()));
    assert!(keys.replace([ApiKey::new("full", READER)]));
    let body = json!({ "channel": "x", "data": 1 });
    for (key, expected) in [(READER, 200), (FULL, 401), (NARROW, 401)] {
        let (status, _) = post(&network, key, "/api/v1/publish", body.clone()).await;
        assert_eq!(status, expected, "{key}");
    }
}

#[test]
#[should_panic(expected = "a key has 32 bytes or more")]
fn a_short_key_is_not_taken() {
    let _ = ApiKey::new("short", "x".repeat(31));
}

/// Keeps the lines of the audit log.
#[derive(Clone, Default)]
struct Audit(Arc<Mutex<Vec<String>>>);

impl Subscriber for Audit {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "nextrush::audit"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        struct Fields(String);
        impl Visit for Fields {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                if field.name() != "message" {
                    self.0 = format!("{} {}={value:?}", self.0, field.name());
                }
            }
        }
        let mut fields = Fields(event.metadata().level().to_string());
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn the_audit_log_says_who_did_what_on_what_with_which_result() {
    let audit = Audit::default();
    let _guard = tracing::subscriber::set_default(audit.clone());
    // A line that another test writes for the first time just now would be taken for one that nobody
    // wants: all of them are written once before.
    for (key, channel) in [(FULL, "a\nb"), (READER, "x")] {
        let body = json!({ "channel": channel, "data": 1 });
        post(&network(&keys()), key, "/api/v1/publish", body).await;
    }
    tracing::callsite::rebuild_interest_cache();
    audit.0.lock().unwrap().clear();
    let network = network(&keys());
    for (key, route, body) in [
        (
            FULL,
            "publish",
            json!({ "channel": "a\nb", "data": "secret" }),
        ),
        (READER, "publish", json!({ "channel": "x", "data": 1 })),
        (FULL, "purge", json!({ "channel": "x" })),
        (FULL, "disconnect", json!({ "userId": "ada" })),
        (FULL, "ticket", json!({ "user": "ada" })),
        (FULL, "revoke", json!({ "user": "ada" })),
        (READER, "revoke", json!({ "user": "ada" })),
        (PAST, "disconnect", json!({ "userId": "ada" })),
    ] {
        post(&network, key, &format!("/api/v1/{route}"), body).await;
    }
    let lines = audit.0.lock().unwrap().clone();
    let expected = [
        r#"DEBUG who="full" action="publish" on="a\nb" result="invalid-name""#,
        r#"INFO who="reader" action="publish" on="x" result="forbidden""#,
        r#"INFO who="full" action="purge" on="x" result="ok""#,
        r#"INFO who="full" action="disconnect" on="user ada" result="ok""#,
        r#"INFO who="full" action="ticket" on="user ada" result="ok""#,
        r#"INFO who="full" action="revoke" on="user ada" result="ok""#,
        r#"INFO who="reader" action="revoke" on="user ada" result="forbidden""#,
        r#"INFO who="past" action="use" on="" result="expired""#,
    ];
    assert_eq!(lines, expected);
}
