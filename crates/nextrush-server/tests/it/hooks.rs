//! Backends that are asked over HTTP.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use clap::Parser as _;
use http::{HeaderMap, StatusCode};
use nextrush::Server;
use nextrush_server::{Cli, Config, app};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Notify, mpsc};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::support::{Client, Http, SECRET, config, serve_with, token, within};

const KEY: &str = "the key of hooks, also of 32 bytes or more";
const COOKIE: &str = "session=s3cr3t";

/// The way in which the backend treats the calls of a type.
#[derive(Clone)]
enum Does {
    Answers(Value),
    Sends(StatusCode, String),
    Hangs,
    /// Waits for this before it lets the client.
    WaitsFor(Arc<Notify>),
}

/// A backend of a team that does not write Rust.
struct Backend {
    address: SocketAddr,
    does: Arc<Mutex<HashMap<String, Does>>>,
    calls: mpsc::UnboundedReceiver<(HeaderMap, Value)>,
    connections: Arc<AtomicUsize>,
    /// The calls that wait at once, and the most of them so far.
    at_once: Arc<[AtomicUsize; 2]>,
}

#[derive(Clone)]
struct Shared {
    does: Arc<Mutex<HashMap<String, Does>>>,
    calls: mpsc::UnboundedSender<(HeaderMap, Value)>,
    at_once: Arc<[AtomicUsize; 2]>,
}

async fn answer(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let call: Value = serde_json::from_slice(&body).unwrap();
    let does = shared.does.lock().await[call["type"].as_str().unwrap()].clone();
    let _ = shared.calls.send((headers, call));
    match does {
        Does::Answers(answer) => axum::Json(answer).into_response(),
        Does::Sends(status, text) => (status, text).into_response(),
        Does::Hangs => std::future::pending().await,
        Does::WaitsFor(end) => {
            let [now, most] = &*shared.at_once;
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            end.notified().await;
            now.fetch_sub(1, Ordering::SeqCst);
            axum::Json(json!({ "result": {} })).into_response()
        }
    }
}

impl Backend {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, calls) = mpsc::unbounded_channel();
        let user = json!({ "id": "ada", "email": "ada@example.com" });
        let does = HashMap::from([
            ("connect", json!({ "result": { "user": user } })),
            ("subscribe", json!({ "result": {} })),
            ("state", json!({ "result": { "data": null } })),
            ("publish", json!({ "result": {} })),
            ("request", json!({ "result": null })),
        ]);
        let does = does
            .into_iter()
            .map(|(kind, answer)| (kind.to_owned(), Does::Answers(answer)));
        let does = Arc::new(Mutex::new(does.collect()));
        let at_once = Arc::default();
        let shared = Shared {
            does: Arc::clone(&does),
            calls: sender,
            at_once: Arc::clone(&at_once),
        };
        let connections = Arc::new(AtomicUsize::new(0));
        let accepted = Arc::clone(&connections);
        let listener = listener.tap_io(move |_| {
            accepted.fetch_add(1, Ordering::SeqCst);
        });
        let router = Router::new().fallback(answer).with_state(shared);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            does,
            calls,
            connections,
            at_once,
        }
    }

    fn url(&self) -> String {
        format!("http://{}/hooks", self.address)
    }

    async fn does(&self, kind: &str, does: Does) {
        self.does.lock().await.insert(kind.to_owned(), does);
    }

    /// The next call.
    async fn call(&mut self) -> Value {
        within(self.calls.recv()).await.unwrap().1
    }

    /// A server that asks this backend everything, with these further arguments.
    async fn serve(&self, arguments: &[&str]) -> Server {
        let url = self.url();
        let hooks = ["connect", "subscribe", "publish", "request"].map(|it| format!("--hook-{it}"));
        let mut all = vec!["--hook-secret", KEY];
        for hook in &hooks {
            all.extend([hook.as_str(), &url]);
        }
        all.extend(arguments);
        serve_with(&all).await
    }
}

/// A client with a cookie.
async fn with_cookie(server: &Server, path: &str) -> Client {
    let url = format!("ws://localhost:{}{path}", server.address().port());
    let mut request = url.into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert("cookie", COOKIE.parse().unwrap());
    headers.insert("x-unnamed", "1".parse().unwrap());
    let (stream, _) = within(connect_async(request)).await.unwrap();
    Client::of(stream)
}

/// The part of the description that a JSON pointer leads to, as a schema.
fn schema(pointer: &str) -> jsonschema::Validator {
    let text = include_str!("../../schema/openapi.json");
    let description: Value = serde_json::from_str(text).unwrap();
    let mut schema = description.pointer(pointer).unwrap().clone();
    schema["components"] = description["components"].clone();
    jsonschema::validator_for(&schema).unwrap()
}

fn is_described(kind: &str, part: &str, value: &Value) -> bool {
    let pointer = match part {
        "call" => format!("/webhooks/{kind}/post/requestBody/content/application~1json/schema"),
        _ => format!("/webhooks/{kind}/post/responses/200/content/application~1json/schema"),
    };
    schema(&pointer).is_valid(value)
}

const CHANNEL: &str = "[[channel]]\npattern = \"board-:id\"\n\
                       hooks = [\"subscribe\", \"state\", \"publish\"]\nhistory = 10\n";

/// A file with channels that have hooks.
fn channels(text: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nextrush.toml");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

#[tokio::test]
async fn a_backend_is_asked_as_the_description_says() {
    let mut backend = Backend::start().await;
    let (_directory, file) = channels(CHANNEL);
    let server = backend.serve(&["--config", &file]).await;
    let known = json!({ "result": {
        "user": { "id": "ada", "email": "ada@example.com" },
        "claims": { "role": "admin" },
        "channels": ["board-7"],
    } });
    let state = json!({ "result": { "data": { "cards": [1] } } });
    let changed = json!({ "result": { "data": { "text": "hello", "id": 12 } } });
    let answer = json!({ "result": { "sum": 3 } });
    let answers = [
        ("connect", &known),
        ("state", &state),
        ("publish", &changed),
        ("request", &answer),
    ];
    for (kind, answer) in answers {
        assert!(is_described(kind, "answer", answer), "{answer}");
        backend.does(kind, Does::Answers(answer.clone())).await;
    }

    let mut ada = with_cookie(&server, "/live?room=1&a=%20").await;
    let call = backend.call().await;
    assert!(is_described("connect", "call", &call), "{call}");
    let expected = json!({
        "type": "connect", "path": "/live", "query": "room=1&a=+",
        "address": "127.0.0.1", "headers": { "cookie": COOKIE },
    });
    // On a machine with IPv6 "localhost" may be that.
    let address = call["address"].as_str().unwrap();
    assert!(["127.0.0.1", "::1"].contains(&address), "{address}");
    let mut without = call.clone();
    without["address"] = "127.0.0.1".into();
    assert_eq!(without, expected);

    // The server subscribes it, and the rule is not asked.
    let joined = ada.json_of("subscribed").await;
    assert_eq!(joined["channel"], "board-7");
    assert_eq!(joined["joined"], true);
    assert_eq!(joined["data"], json!({ "cards": [1] }));
    assert_eq!(backend.call().await["type"], "state");

    ada.send(json!({ "type": "subscribe", "channel": "board-8", "id": "1" }))
        .await;
    let call = backend.call().await;
    assert!(is_described("subscribe", "call", &call), "{call}");
    assert_eq!(call["channel"], "board-8");
    assert_eq!(call["user"]["id"], "ada");
    assert_eq!(call["claims"]["role"], "admin");
    let call = backend.call().await;
    assert!(is_described("state", "call", &call), "{call}");
    let subscribed = ada.json_of("subscribed").await;
    assert_eq!(subscribed["data"], json!({ "cards": [1] }));

    ada.send(
        json!({ "type": "publish", "channel": "board-8", "data": { "text": "HELLO" }, "id": "2" }),
    )
    .await;
    let call = backend.call().await;
    assert!(is_described("publish", "call", &call), "{call}");
    assert_eq!(call["data"], json!({ "text": "HELLO" }));
    assert_eq!(call["id"], "2");
    let update = ada.json_of("update").await;
    assert_eq!(update["data"], json!({ "text": "hello", "id": 12 }));

    ada.send(json!({ "type": "add", "id": "3", "a": 1, "b": 2 }))
        .await;
    let call = backend.call().await;
    assert!(is_described("request", "call", &call), "{call}");
    assert_eq!(
        call["message"],
        json!({ "type": "add", "id": "3", "a": 1, "b": 2 })
    );
    let reply = ada.json_of("reply").await;
    assert_eq!(
        reply,
        json!({ "type": "reply", "id": "3", "data": { "sum": 3 } })
    );
}

#[tokio::test]
async fn a_refusal_of_a_backend_is_told_as_it_says_it() {
    let backend = Backend::start().await;
    let server = backend.serve(&[]).await;
    let refusal = json!({ "error": { "code": "board-full", "message": "Full" } });
    for kind in ["subscribe", "publish", "request"] {
        assert!(is_described(kind, "answer", &refusal));
        backend.does(kind, Does::Answers(refusal.clone())).await;
    }
    let mut ada = with_cookie(&server, "/live").await;
    for message in [
        json!({ "type": "subscribe", "channel": "news", "id": "1" }),
        json!({ "type": "publish", "channel": "news", "data": 1, "id": "2" }),
        json!({ "type": "add", "id": "3" }),
    ] {
        ada.send(message.clone()).await;
        let told = ada.json().await;
        assert_eq!(told["code"], "board-full", "{message} {told}");
        assert_eq!(told["message"], "Full");
    }
    let refusal = json!({ "error": { "code": "banned", "message": "Go away" } });
    backend.does("connect", Does::Answers(refusal)).await;
    for path in ["/live", "/chat/den", "/private-chat/den"] {
        let mut eve = with_cookie(&server, path).await;
        let expected = json!({ "type": "error", "code": "banned", "message": "Go away" });
        assert_eq!(eve.json().await, expected, "{path}");
        assert_eq!(eve.closed().await, (1008, "Go away".to_owned()));
    }
}

#[tokio::test]
async fn a_backend_without_a_usable_answer_lets_nobody_in() {
    let backend = Backend::start().await;
    let server = backend.serve(&["--hook-timeout", "300ms"]).await;
    let long = json!({ "result": { "data": "x".repeat(64 * 1024) } }).to_string();
    let text = |text: &str| Does::Sends(StatusCode::OK, text.to_owned());
    let status = |status| Does::Sends(status, r#"{"result":{}}"#.to_owned());
    let mut ada = with_cookie(&server, "/live").await;
    let mut number = 0;
    for (does, has_begun) in [
        (Does::Hangs, true),
        (text(""), true),
        (text("{}"), true),
        (text("<html>welcome</html>"), true),
        (text(r#"{"ok":true}"#), true),
        (text(&long), true),
        (status(StatusCode::FOUND), true),
        (status(StatusCode::CREATED), true),
        (status(StatusCode::FORBIDDEN), true),
        (status(StatusCode::INTERNAL_SERVER_ERROR), true),
        (status(StatusCode::SERVICE_UNAVAILABLE), false),
        (status(StatusCode::TOO_MANY_REQUESTS), false),
    ] {
        for kind in ["connect", "subscribe", "publish", "request"] {
            backend.does(kind, does.clone()).await;
        }
        number += 1;
        for message in [
            json!({ "type": "subscribe", "channel": "news", "id": format!("s{number}") }),
            json!({ "type": "publish", "channel": "news", "data": 1, "id": format!("p{number}") }),
        ] {
            ada.send(message).await;
            let told = ada.json().await;
            assert_eq!(told["code"], "unavailable", "{number} {told}");
            // It is the hook that has given up, and not whoever waits for it a second longer.
            assert_eq!(told["message"], "The backend does not answer", "{number}");
            assert!(told["retryAfterMs"].is_u64(), "{told}");
        }
        ada.send(json!({ "type": "add", "id": format!("r{number}") }))
            .await;
        let told = ada.json().await;
        let code = if has_begun { "in-doubt" } else { "unavailable" };
        assert_eq!(told["code"], code, "{number} {told}");
        assert_eq!(told["retryAfterMs"].is_u64(), !has_begun, "{told}");
        let mut eve = with_cookie(&server, "/live").await;
        let told = eve.json().await;
        assert_eq!(told["code"], "unavailable", "{number} {told}");
        assert_eq!(told["message"], "The backend does not answer", "{number}");
        assert!(told["retryAfterMs"].is_u64(), "{told}");
        assert_eq!(eve.closed().await.0, 1013);
    }
    let (status, headers, body) = Http::of(&server)
        .full("POST", "/api/posts", &json!({}))
        .await;
    assert_eq!(status, 503, "{body}");
    assert!(headers.contains_key("retry-after"));
}

#[tokio::test]
async fn calls_at_once_are_bounded_and_those_who_wait_get_their_turn() {
    let mut backend = Backend::start().await;
    let server = backend
        .serve(&["--hook-calls", "2", "--hook-timeout", "30s"])
        .await;
    let end = Arc::new(Notify::new());
    let mut clients = Vec::new();
    for _ in 0..6 {
        clients.push(with_cookie(&server, "/live").await);
        backend.call().await;
    }
    backend
        .does("subscribe", Does::WaitsFor(Arc::clone(&end)))
        .await;
    for client in &mut clients {
        client
            .send(json!({ "type": "subscribe", "channel": "news", "id": "1" }))
            .await;
    }
    for _ in 0..2 {
        backend.call().await;
    }
    // Other hooks, and other sockets, do not wait for it.
    let mut other = with_cookie(&server, "/live").await;
    backend.call().await;
    other.send(json!({ "type": "add", "id": "1" })).await;
    assert_eq!(other.json().await["type"], "reply");
    backend.call().await;
    for _ in 2..clients.len() {
        end.notify_one();
        // The next comes when one has ended.
        backend.call().await;
    }
    end.notify_one();
    end.notify_one();
    for client in &mut clients {
        assert_eq!(client.json().await["type"], "subscribed");
    }
    assert_eq!(backend.at_once[1].load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn the_connection_to_a_backend_is_kept() {
    let backend = Backend::start().await;
    let server = backend.serve(&[]).await;
    let mut ada = with_cookie(&server, "/live").await;
    for number in 0..20 {
        ada.send(json!({ "type": "add", "id": number.to_string() }))
            .await;
        assert_eq!(ada.json().await["type"], "reply");
    }
    assert_eq!(backend.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_token_is_for_the_key_of_the_server_and_without_one_for_the_backend() {
    let mut backend = Backend::start().await;
    let server = backend.serve(&["--jwt-secret", SECRET]).await;
    let path = format!("/live?token={}", token("bob"));
    let mut bob = with_cookie(&server, &path).await;
    bob.send(json!({ "type": "add", "id": "1" })).await;
    let call = backend.call().await;
    assert_eq!(
        (&call["type"], &call["user"]["id"]),
        (&json!("request"), &json!("bob"))
    );
    assert_eq!(bob.json().await["type"], "reply");
    // One that is not accepted is refused, cookie or not.
    let mut eve = with_cookie(&server, "/live?token=no.to.ken").await;
    assert_eq!(eve.json().await["code"], "invalid-token");

    let server = backend.serve(&[]).await;
    let mut ada = with_cookie(&server, "/live?token=opaque&a=1").await;
    let call = backend.call().await;
    assert_eq!(
        (&call["token"], &call["query"]),
        (&json!("opaque"), &json!("a=1"))
    );
    ada.send(json!({ "type": "add", "id": "1" })).await;
    assert_eq!(ada.json().await["type"], "reply");
}

#[tokio::test]
async fn a_backend_is_asked_by_cookie_and_about_the_token_of_a_first_message_and_not_about_a_ticket()
 {
    let mut backend = Backend::start().await;
    let api_key = "the key of the API, also of 32 bytes or more";
    let server = backend
        .serve(&["--token-message", "--api-key", api_key])
        .await;
    let hello = json!({ "type": "hello", "id": "1" });
    let ada = json!({ "id": "ada", "email": "ada@example.com" });

    // A cookie alone, as ever.
    let mut client = with_cookie(&server, "/live").await;
    let call = backend.call().await;
    assert_eq!(
        (&call["headers"]["cookie"], &call["token"]),
        (&COOKIE.into(), &Value::Null)
    );
    client.send(hello.clone()).await;
    assert_eq!(client.json_of("hello").await["user"], ada);

    // Without a key of its own the server passes tokens on, and asks once the token has come.
    let mut client = with_cookie(&server, "/live?auth=message&room=1").await;
    client
        .send(json!({ "type": "auth", "token": "t0ken" }))
        .await;
    client.send(hello.clone()).await;
    assert_eq!(client.json_of("hello").await["user"], ada);
    let call = backend.call().await;
    assert_eq!(
        (&call["token"], &call["headers"]["cookie"]),
        (&"t0ken".into(), &COOKIE.into())
    );
    assert!(is_described("connect", "call", &call), "{call}");

    // What the backend refuses is told, whichever way it came.
    let refusal = json!({ "error": { "code": "banned", "message": "Go away" } });
    backend.does("connect", Does::Answers(refusal)).await;
    let mut client = with_cookie(&server, "/live?auth=message").await;
    client
        .send(json!({ "type": "auth", "token": "t0ken" }))
        .await;
    assert_eq!(client.json_of("error").await["code"], "banned");
    assert_eq!(client.closed().await, (1008, "Go away".to_owned()));
    assert_eq!(backend.call().await["token"], "t0ken");

    // A ticket says who its holder is, and nobody is asked.
    let api = Http::with(&server, api_key);
    let issued = api.post("/api/v1/ticket", json!({ "user": ada })).await;
    let ticket = issued.1["ticket"].as_str().unwrap();
    let mut client = with_cookie(&server, &format!("/live?ticket={ticket}")).await;
    client.send(hello).await;
    assert_eq!(client.json_of("hello").await["user"], ada);
    assert!(backend.calls.try_recv().is_err());
}

#[tokio::test]
async fn a_token_waits_for_the_keys_of_its_issuer_beside_a_backend_too() {
    let backend = Backend::start().await;
    let issuer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let keys = format!("http://{}/keys", issuer.local_addr().unwrap());
    let release = Arc::new(Notify::new());
    let released = Arc::clone(&release);
    let set = include_str!("../../../nextrush/tests/fixtures/keys/set.json");
    let router = Router::new().fallback(async move || {
        released.notified().await;
        set
    });
    tokio::spawn(async move { axum::serve(issuer, router).await });
    let server = backend.serve(&["--jwks-url", &keys]).await;
    let tokens = include_str!("../../../nextrush/tests/fixtures/keys/tokens.json");
    let tokens: Value = serde_json::from_str(tokens).unwrap();
    let path = format!("/live?token={}", tokens["ES256"].as_str().unwrap());
    let (mut client, ()) = tokio::join!(with_cookie(&server, &path), async {
        // The server has read the handshake by then.
        for _ in 0..20 {
            assert_eq!(Http::of(&server).get("/healthz").await.0, 200);
        }
        release.notify_one();
    });
    client.send(json!({ "type": "hello", "id": "1" })).await;
    assert_eq!(client.json().await["type"], "hello");
}

#[tokio::test]
async fn hooks_without_a_secret_or_an_address_are_faults_of_the_configuration() {
    let url = "http://127.0.0.1:1/";
    for (arguments, text, fault) in [
        (&["--hook-connect", url][..], "", "hooks need hook-secret"),
        (
            &["--hook-connect", url, "--hook-secret", "short"],
            "",
            "shorter than 32 bytes",
        ),
        (
            &["--hook-connect", "ftp://a/", "--hook-secret", KEY],
            "",
            "http://127.0.0.1:8000/nextrush",
        ),
        (
            &["--jwt-secret", SECRET],
            CHANNEL,
            "the hook \"publish\" needs hook-publish",
        ),
        (
            &["--jwt-secret", SECRET],
            "[[channel]]\npattern = \"a\"\nhooks = [\"subscribes\"]\n",
            "did you mean \"subscribe\"?",
        ),
        (&["--hook-timeout", "1m"], "", "100ms to 30s"),
        (&["--hook-header", "a b"], "", "\"a b\""),
    ] {
        let (_directory, file) = channels(text);
        let arguments = [&["nextrush", "--config", &file], arguments].concat();
        let error = Config::new(Cli::parse_from(arguments)).unwrap_err();
        assert!(error.to_string().contains(fault), "{fault:?} in {error}");
    }
    // A backend over TLS needs the system's authorities at the start, or is no reason not to.
    let config = config(&["--hook-connect", url, "--hook-secret", KEY]);
    assert!(app(&config).await.is_ok());
}
