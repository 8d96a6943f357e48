//! Requests both ways: of clients, executed once, and of the server.

use std::num::ParseIntError;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::Path;
use nextrush::broker::{Broker, EmbeddedBroker, MemoryBroker};
use nextrush::testing::{Client, Network};
use nextrush::{App, BoxError, ErrorCode, ErrorMessage, Message, RequestError, Socket, User};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::schema::check_sent;

#[path = "../../../../examples/requests.rs"]
#[allow(dead_code, reason = "a test uses a part of the example")]
mod example;

#[tokio::test(start_paused = true)]
async fn the_example_answers_and_asks() {
    let network = Network::new(example::app());
    let mut client = network.connect("/").await.unwrap();
    let request = client.json().await;
    assert_eq!(request["name"], "name");
    let sum = ask(
        &mut client,
        json!({ "type": "add", "id": "1", "a": 1, "b": 2 }),
    )
    .await;
    assert_eq!(sum, reply("1", json!(3)));
    let too_large = json!({ "type": "add", "id": "2", "a": i32::MAX, "b": 1 });
    let refusal = ask(&mut client, too_large).await;
    assert_eq!(refusal["code"], "overflow");
    client.send_json(&json!({ "type": "response", "id": request["id"], "data": "Ada" }));
    assert_eq!(client.text().await, "Hello, Ada");
}

/// The deadline of the handlers.
const DEADLINE: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Command {
    Add {
        amount: u64,
    },
    Nothing,
    /// Adds 1, and answers so much later.
    Slow {
        seconds: u64,
    },
    Refuse,
    Full,
    /// Adds 1, and is refused for a while if that was the first.
    Busy,
    Fail,
    Panic,
    /// Adds 1, and is not done.
    Hang,
}

#[derive(Debug, thiserror::Error)]
enum BoardError {
    #[error("the password of the database is 1234")]
    Secret(#[from] ParseIntError),
}

impl From<BoardError> for ErrorMessage {
    fn from(error: BoardError) -> Self {
        Self::new("board", error.to_string())
    }
}

/// The sum that the handlers add to.
type Total = Arc<AtomicU64>;

async fn execute(total: &Total, command: Command) -> Result<Value, ErrorMessage> {
    let add = |amount| total.fetch_add(amount, Ordering::Relaxed) + amount;
    match command {
        Command::Add { amount } => Ok(json!({ "total": add(amount) })),
        Command::Nothing => Ok(Value::Null),
        Command::Slow { seconds } => {
            let total = add(1);
            sleep(Duration::from_secs(seconds)).await;
            Ok(json!({ "total": total }))
        }
        Command::Refuse => {
            let error = ErrorMessage::new("no", "Not you")
                .details("really")
                .retry_after_ms(5);
            Err(error)
        }
        Command::Full => Err(ErrorMessage::new(ErrorCode::OverQuota, "Full")),
        Command::Busy => match add(1) {
            1 => Err(ErrorMessage::new("busy", "Later").retry_after_ms(100)),
            total => Ok(json!({ "total": total })),
        },
        Command::Fail => {
            "x".parse::<u32>().map_err(BoardError::from)?;
            Ok(Value::Null)
        }
        Command::Panic => panic!("a secret"),
        Command::Hang => {
            add(1);
            std::future::pending().await
        }
    }
}

fn serve(broker: impl Broker, total: &Total) -> Network {
    let mut app: App = App::builder().broker(broker).build();
    let total = Arc::clone(total);
    let connected = move |socket: &Socket| {
        let total = Arc::clone(&total);
        socket.on_request(async move |_: Socket, command: Command| execute(&total, command).await);
    };
    let anonymous = connected.clone();
    app.ws("/", move |socket: Socket| anonymous(&socket));
    let other = connected.clone();
    app.ws(
        "/other/:user",
        move |socket: Socket, Path(user): Path<String>| {
            socket.identify(User::new(user, "")).unwrap();
            other(&socket);
        },
    );
    app.ws(
        "/users/:user",
        move |socket: Socket, Path(user): Path<String>| {
            socket.identify(User::new(user, "")).unwrap();
            connected(&socket);
        },
    );
    app.ws("/errors", |socket: Socket| {
        socket.identify(User::new("ada", "")).unwrap();
        socket.on_request(|_: Socket, Text { kind }: Text| match &*kind {
            "code" => Err(Box::<dyn std::error::Error + Send + Sync>::from("a secret")),
            _ => Ok(kind),
        });
    });
    app.ws("/codes", |socket: Socket| {
        socket.on_request(|_: Socket, _: Text| Err::<(), _>(ErrorCode::NotFound));
    });
    Network::new(app)
}

/// A request of any type.
#[derive(Deserialize)]
struct Text {
    #[serde(rename = "type")]
    kind: String,
}

async fn ask(client: &mut Client, request: Value) -> Value {
    client.send_json(&request);
    let answer = client.json().await;
    check_sent(&answer);
    answer
}

fn add(id: &str, amount: u64) -> Value {
    json!({ "type": "add", "id": id, "amount": amount })
}

fn total_of(total: &Total) -> u64 {
    total.load(Ordering::Relaxed)
}

fn reply(id: &str, data: Value) -> Value {
    json!({ "type": "reply", "id": id, "data": data })
}

#[tokio::test(start_paused = true)]
async fn a_request_is_answered_with_its_id_and_refused_with_it() {
    let total = Total::default();
    let network = serve(MemoryBroker::new(), &total);
    for path in ["/", "/users/ada"] {
        let mut client = network.connect(path).await.unwrap();
        let before = total_of(&total);
        assert_eq!(
            ask(&mut client, add("a", 5)).await,
            reply("a", json!({ "total": before + 5 }))
        );
        for (request, answer) in [
            (
                json!({ "type": "nothing", "id": "b" }),
                reply("b", Value::Null),
            ),
            (
                json!({ "type": "refuse", "id": "c" }),
                json!({
                    "type": "error", "id": "c", "code": "no", "message": "Not you",
                    "details": "really", "retryAfterMs": 5,
                }),
            ),
            (
                json!({ "type": "full", "id": "d" }),
                json!({ "type": "error", "id": "d", "code": "over-quota", "message": "Full" }),
            ),
            (
                json!({ "type": "dance", "id": "e" }),
                json!({
                    "type": "error", "id": "e", "code": "unknown-type",
                    "message": "Unknown message type",
                }),
            ),
            (
                json!({ "type": "add", "id": "f" }),
                json!({
                    "type": "error", "id": "f", "code": "invalid-format",
                    "message": "Invalid message format",
                }),
            ),
            (
                json!({ "type": "ping", "id": "g" }),
                json!({ "type": "pong", "id": "g" }),
            ),
        ] {
            assert_eq!(ask(&mut client, request).await, answer, "{path}");
        }
        let wrong = ask(&mut client, json!({ "type": "nothing", "id": 7 })).await;
        assert_eq!(wrong["code"], "invalid-format");
        let hello = ask(&mut client, json!({ "type": "hello" })).await;
        assert_eq!(hello["type"], "hello");
    }
    let mut codes = network.connect("/codes").await.unwrap();
    assert_eq!(
        ask(&mut codes, json!({ "type": "any", "id": "a" })).await,
        json!({ "type": "error", "id": "a", "code": "not-found", "message": "not found" })
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_id_is_executed_and_told_of_errors_alone() {
    let total = Total::default();
    let network = serve(MemoryBroker::new(), &total);
    let mut client = network.connect("/users/ada").await.unwrap();
    client.send_json(&json!({ "type": "add", "amount": 3 }));
    client.send_json(&json!({ "type": "add", "amount": 3 }));
    let error = ask(&mut client, json!({ "type": "full" })).await;
    assert_eq!(
        error,
        json!({ "type": "error", "code": "over-quota", "message": "Full" })
    );
    assert_eq!(total_of(&total), 6);
}

#[tokio::test(start_paused = true)]
async fn the_text_of_an_error_that_is_not_for_clients_is_not_told() {
    let network = serve(MemoryBroker::new(), &Total::default());
    let mut client = network.connect("/errors").await.unwrap();
    let internal = json!({
        "type": "error", "id": "a", "code": "internal", "message": "Internal error",
    });
    assert_eq!(
        ask(&mut client, json!({ "type": "code", "id": "a" })).await,
        internal
    );
    let other = ask(&mut client, json!({ "type": "x", "id": "b" })).await;
    assert_eq!(other, reply("b", json!("x")));
    // An error that converts into a message is told.
    let mut client = network.connect("/users/ada").await.unwrap();
    let told = ask(&mut client, json!({ "type": "fail", "id": "a" })).await;
    assert_eq!(told["code"], "board");
}

#[tokio::test(start_paused = true)]
async fn a_function_refuses_in_its_own_words_among_any_errors() {
    let mut app: App = App::new();
    app.ws("/", |socket: Socket| {
        socket.on_request(|_: Socket, request: Value| -> Result<u64, BoxError> {
            let amount = request["amount"].as_str().unwrap_or_default().parse()?;
            match amount {
                0 => Err(ErrorMessage::new("nothing", "Take something").into()),
                amount => Ok(amount),
            }
        });
    });
    let network = Network::new(app);
    let mut client = network.connect("/").await.unwrap();
    let take = |id: &str, amount: &str| json!({ "type": "take", "id": id, "amount": amount });
    assert_eq!(ask(&mut client, take("a", "7")).await, reply("a", json!(7)));
    assert_eq!(
        ask(&mut client, take("b", "0")).await,
        json!({ "type": "error", "id": "b", "code": "nothing", "message": "Take something" })
    );
    assert_eq!(
        ask(&mut client, take("c", "x")).await,
        json!({ "type": "error", "id": "c", "code": "internal", "message": "Internal error" })
    );
}

#[tokio::test(start_paused = true)]
async fn a_repeat_gets_the_first_answer_and_is_not_executed() {
    let total = Total::default();
    let network = serve(MemoryBroker::new(), &total);
    let mut client = network.connect("/users/ada").await.unwrap();
    let first = ask(&mut client, add("a", 1)).await;
    let refused = ask(&mut client, json!({ "type": "refuse", "id": "r" })).await;
    client.cut();
    let mut client = network.connect("/users/ada").await.unwrap();
    for repeat in [
        add("a", 1).to_string(),
        r#"{"id":"a","amount":1,"type":"add"}"#.to_owned(),
    ] {
        client.send(&repeat);
        assert_eq!(client.json().await, first);
    }
    let again = ask(&mut client, json!({ "type": "refuse", "id": "r" })).await;
    assert_eq!(again, refused);
    for other in [add("a", 2), json!({ "type": "nothing", "id": "a" })] {
        assert_eq!(ask(&mut client, other).await["code"], "id-reused");
    }
    assert_eq!(total_of(&total), 1);

    // The id belongs to the user and the endpoint.
    for (path, expected) in [("/users/bob", 2), ("/other/ada", 3)] {
        let mut client = network.connect(path).await.unwrap();
        let answer = ask(&mut client, add("a", 1)).await;
        assert_eq!(answer, reply("a", json!({ "total": expected })), "{path}");
    }
}

async fn assert_executed_again(broker: impl Broker, path: &str) {
    let total = Total::default();
    let network = serve(broker, &total);
    let mut client = network.connect(path).await.unwrap();
    let busy = json!({ "type": "busy", "id": "b" });
    let refusal = ask(&mut client, busy.clone()).await;
    assert_eq!(
        (&refusal["code"], &refusal["retryAfterMs"]),
        (&json!("busy"), &json!(100))
    );
    let done = ask(&mut client, busy.clone()).await;
    assert_eq!(done, reply("b", json!({ "total": 2 })), "{path}");
    assert_eq!(ask(&mut client, busy).await, done);
    assert_eq!(total_of(&total), 2);
}

#[tokio::test]
async fn a_request_that_is_refused_for_a_while_is_executed_when_it_comes_again() {
    let directory = tempfile::tempdir().unwrap();
    assert_executed_again(MemoryBroker::new(), "/").await;
    assert_executed_again(MemoryBroker::new(), "/users/ada").await;
    assert_executed_again(open(directory.path()), "/users/ada").await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_of_requests_may_be_never() {
    let mut app = App::new();
    app.ws("/", |socket: Socket| {
        socket.identify(User::new("ada", "")).unwrap();
        socket.on_request_within(Duration::MAX, |_: Socket, Text { kind }: Text| {
            Ok::<_, ErrorMessage>(kind)
        });
    });
    let network = Network::new(app);
    let mut client = network.connect("/").await.unwrap();
    let answer = ask(&mut client, json!({ "type": "x", "id": "1" })).await;
    assert_eq!(answer, reply("1", json!("x")));
}

#[tokio::test(start_paused = true)]
async fn a_repeat_waits_for_the_first_which_goes_on_without_its_socket() {
    let total = Total::default();
    let network = serve(MemoryBroker::new(), &total);
    let slow = json!({ "type": "slow", "seconds": 20, "id": "a" });
    let client = network.connect("/users/ada").await.unwrap();
    client.send_json(&slow);
    network.advance(Duration::from_secs(1)).await;
    let socket = network.handle().local_sockets().pop().unwrap();
    socket.close(4000, "go on elsewhere");
    client.cut();
    let mut client = network.connect("/users/ada").await.unwrap();
    client.send_json(&slow);
    network.advance(Duration::from_secs(18)).await;
    assert_eq!(client.try_recv(), None);
    network.advance(Duration::from_secs(2)).await;
    assert_eq!(client.json().await, reply("a", json!({ "total": 1 })));
    assert_eq!(total_of(&total), 1);
    assert_eq!(network.handle().metrics().requests.late_replies, 1);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_or_hangs_refuses_its_request_and_the_socket_goes_on() {
    let total = Total::default();
    let network = serve(MemoryBroker::new(), &total);
    for path in ["/users/ada", "/"] {
        let before = total_of(&total);
        let mut client = network.connect(path).await.unwrap();
        for _ in 0..2 {
            let error = ask(&mut client, json!({ "type": "panic", "id": "p" })).await;
            assert_eq!(
                error,
                json!({ "type": "error", "id": "p", "code": "internal", "message": "Internal error" })
            );
        }
        client.send_json(&json!({ "type": "hang", "id": "h" }));
        network.advance(DEADLINE - Duration::from_secs(1)).await;
        assert_eq!(client.try_recv(), None);
        network.advance(Duration::from_secs(2)).await;
        let error = client.json().await;
        assert_eq!(error["code"], "in-doubt");
        assert_eq!(
            ask(&mut client, json!({ "type": "hang", "id": "h" })).await,
            error
        );
        assert_eq!(total_of(&total), before + 1, "it is not executed again");
        let nothing = ask(&mut client, json!({ "type": "nothing", "id": "n" })).await;
        assert_eq!(nothing["type"], "reply");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_user_is_executed_once_on_its_socket() {
    let total = Total::default();
    let network = serve(MemoryBroker::new(), &total);
    let mut client = network.connect("/").await.unwrap();
    let first = ask(&mut client, add("a", 1)).await;
    assert_eq!(ask(&mut client, add("a", 1)).await, first);
    assert_eq!(ask(&mut client, add("a", 2)).await["code"], "id-reused");
    let mut other = network.connect("/").await.unwrap();
    let second = ask(&mut other, add("a", 1)).await;
    assert_eq!(second, reply("a", json!({ "total": 2 })));
}

#[tokio::test(start_paused = true)]
async fn the_requests_of_a_socket_are_executed_one_after_the_other() {
    let total = Total::default();
    let network = serve(MemoryBroker::new(), &total);
    let mut client = network.connect("/users/ada").await.unwrap();
    client.send_json(&json!({ "type": "slow", "seconds": 5, "id": "a" }));
    client.send_json(&add("b", 1));
    network.advance(Duration::from_secs(4)).await;
    assert_eq!(total_of(&total), 1);
    assert_eq!(client.json().await["id"], "a");
    assert_eq!(client.json().await, reply("b", json!({ "total": 2 })));
}

/// A durable broker on the files of a process that has ended.
fn open(path: &FilePath) -> EmbeddedBroker {
    // The writer of the one before may still be ending.
    loop {
        match EmbeddedBroker::open(path) {
            Ok(broker) => return broker,
            Err(error) => {
                assert!(error.to_string().contains("in use"), "{error}");
                std::thread::yield_now();
            }
        }
    }
}

#[tokio::test]
async fn after_a_restart_a_repeat_is_answered_or_in_doubt_and_never_executed() {
    let directory = tempfile::tempdir().unwrap();
    let total = Total::default();
    let network = serve(open(directory.path()), &total);
    let mut client = network.connect("/users/ada").await.unwrap();
    let first = ask(&mut client, add("a", 1)).await;
    client.send_json(&json!({ "type": "hang", "id": "h" }));
    network
        .run_until(async {
            while total_of(&total) < 2 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    // The process dies between the effect and the answer.
    drop((client, network));

    let network = serve(open(directory.path()), &total);
    let mut client = network.connect("/users/ada").await.unwrap();
    assert_eq!(ask(&mut client, add("a", 1)).await, first);
    for _ in 0..2 {
        let error = ask(&mut client, json!({ "type": "hang", "id": "h" })).await;
        assert_eq!(error["code"], "in-doubt");
    }
    let other = ask(&mut client, json!({ "type": "nothing", "id": "h" })).await;
    assert_eq!(other["code"], "id-reused");
    assert_eq!(total_of(&total), 2);
}

/// An endpoint that asks its clients: `<name> <seconds> <data>` starts a request, and its outcome
/// comes back as a text.
fn asking() -> Network {
    let mut app = App::new();
    app.ws("/", |socket: Socket| {
        socket.on_message(|socket: Socket, message: Message| {
            let text = message.to_string();
            let mut words = text.splitn(3, ' ').map(str::to_owned);
            let [name, seconds, data] = [(); 3].map(|()| words.next().unwrap());
            let timeout = Duration::from_secs(seconds.parse().unwrap());
            tokio::spawn(async move {
                let answer = socket.request::<u32>(&name, &data, timeout).await;
                socket.send(format!("{answer:?}"));
            });
        });
    });
    app.ws("/loop", async |socket: Socket| {
        let asking = socket.clone();
        tokio::spawn(async move {
            let answer = asking.request::<String>("name", &(), DEADLINE).await;
            asking.send(answer.unwrap());
        });
        while let Some(message) = socket.recv().await {
            socket.send(message);
        }
    });
    app.ws("/waiting", |socket: Socket| {
        socket.on_message(async |socket: Socket, message: Message| {
            let name = socket.request::<String>("name", &(), DEADLINE).await;
            socket.send(format!("{message} {name:?}"));
        });
    });
    Network::new(app)
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_wait_for_a_response_while_other_messages_wait_for_it() {
    let network = asking();
    let mut client = network.connect("/waiting").await.unwrap();
    for text in ["one", "two", "three"] {
        client.send(text);
    }
    for (id, text) in [("1", "one"), ("2", "two"), ("3", "three")] {
        let request = client.json().await;
        assert_eq!(request["id"], id);
        client.send_json(&json!({ "type": "response", "id": id, "data": "Ada" }));
        assert_eq!(client.text().await, format!("{text} Ok(\"Ada\")"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_is_asked_and_its_response_comes_back() {
    let network = asking();
    let mut client = network.connect("/").await.unwrap();
    let respond = |fields: Value| {
        let mut response = json!({ "type": "response" });
        let fields = fields.as_object().unwrap().clone();
        response.as_object_mut().unwrap().extend(fields);
        response
    };
    for (index, (fields, outcome)) in [
        (json!({ "data": 7 }), "Ok(7)"),
        (
            json!({ "error": { "code": "no-handler", "message": "No handler" } }),
            "Err(Refused { code: \"no-handler\", message: \"No handler\" })",
        ),
        (
            json!({ "error": { "message": "No" } }),
            "Err(Refused { code: \"\", message: \"No\" })",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        client.send("sum 5 data");
        let request = client.json().await;
        check_sent(&request);
        let id = (index + 1).to_string();
        assert_eq!(
            request,
            json!({ "type": "request", "id": id, "name": "sum", "data": "data" })
        );
        let mut response = respond(fields);
        response["id"] = json!(id);
        client.send_json(&response);
        assert_eq!(client.text().await, outcome);
    }
    client.send("sum 5 x");
    client.json().await;
    client.send_json(&json!({ "type": "response", "id": "4", "data": "no number" }));
    let invalid = client.text().await;
    assert!(invalid.starts_with("Err(Invalid("), "{invalid}");

    let mut looping = network.connect("/loop").await.unwrap();
    assert_eq!(looping.json().await["name"], "name");
    looping.send("said meanwhile");
    looping.send_json(&json!({ "type": "response", "id": "1", "data": "Ada" }));
    assert_eq!(looping.text().await, "said meanwhile");
    assert_eq!(looping.text().await, "Ada");
}

#[tokio::test(start_paused = true)]
async fn a_response_that_nobody_waits_for_is_dropped_and_counted() {
    let network = asking();
    let late = || network.handle().metrics().requests.late_responses;
    let mut client = network.connect("/").await.unwrap();
    client.send("sum 5 x");
    client.json().await;
    network.advance(Duration::from_secs(6)).await;
    assert_eq!(client.text().await, "Err(Timeout)");
    for id in [json!("1"), json!("99"), json!(7), json!("x")] {
        client.send_json(&json!({ "type": "response", "id": id, "data": 1 }));
    }
    network.settle().await;
    assert_eq!(late(), 4);
    assert_eq!(client.try_recv(), None);
    client.send("sum 5 x");
    client.json().await;
    for _ in 0..2 {
        client.send_json(&json!({ "type": "response", "id": "2", "data": 1 }));
    }
    assert_eq!(client.text().await, "Ok(1)");
    network.settle().await;
    assert_eq!(late(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_closes_has_no_response() {
    let network = asking();
    let client = network.connect("/").await.unwrap();
    let socket = network.handle().local_sockets().pop().unwrap();
    let response = tokio::spawn({
        let socket = socket.clone();
        async move { socket.request::<u32>("sum", "x", DEADLINE).await }
    });
    network.settle().await;
    client.cut();
    let outcome = network.run_until(response).await.unwrap();
    assert_eq!(outcome, Err(RequestError::Closed));
    let outcome = network
        .run_until(socket.request::<u32>("sum", "x", DEADLINE))
        .await;
    assert_eq!(outcome, Err(RequestError::Closed));
}
