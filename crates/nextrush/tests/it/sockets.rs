use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nextrush::socket::ConnectionState;
use nextrush::{App, Authenticated, CloseReason, Jwt, Message as Received, Server, Socket};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::{Client, SECRET, error, serve, token, url, within};

async fn echo() -> Server {
    let mut app = App::new();
    app.ws("/", |socket: Socket| {
        socket.on_message(|socket: Socket, message: Received| socket.send(message));
    });
    serve(app).await
}

#[tokio::test]
async fn a_client_that_insists_on_a_subprotocol_connects_with_a_token_beside_it() {
    let mut app = App::new();
    app.jwt(Jwt::hs256(SECRET));
    app.ws("/", |socket: Socket, user: Authenticated| {
        let protocol = socket.protocol().unwrap_or("none");
        socket.send(format!("{} speaks {protocol}", user.claims.email));
    });
    let server = serve(app).await;
    let offers = format!(
        "nextrush.v1, nextrush.bearer.{}",
        token("ada", "ada@example.com")
    );
    let mut request = url(&server, "/").into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", offers.parse().unwrap());
    // Fails, as a browser does, if the server chooses none.
    let mut client = Client::request(request).await.unwrap();
    assert_eq!(client.text().await, "ada@example.com speaks nextrush.v1");
}

#[tokio::test]
async fn the_loop_style_receives_every_message_and_then_none() {
    let mut app = App::new();
    let (done, mut ended) = mpsc::unbounded_channel();
    app.ws("/", async move |socket: Socket| {
        let mut count = 0;
        while let Some(message) = socket.recv().await {
            count += 1;
            socket.send(message);
        }
        done.send((count, socket.state())).unwrap();
    });
    let server = serve(app).await;
    let mut client = Client::connect(&server, "/").await;
    for number in 0..1000 {
        client.send(number.to_string()).await;
    }
    for number in 0..1000 {
        assert_eq!(client.text().await, number.to_string());
    }
    client.close().await;
    let (count, state) = within(ended.recv()).await.unwrap();
    assert_eq!(count, 1000);
    assert_ne!(state, ConnectionState::Open);
}

#[tokio::test]
async fn no_message_is_lost_before_the_handler_is_registered() {
    let mut app = App::new();
    let (go, wait) = tokio::sync::watch::channel(false);
    app.ws("/", async move |socket: Socket| {
        socket.send("ready");
        wait.clone().wait_for(|go| *go).await.unwrap();
        socket.on_message(|socket: Socket, message: Received| socket.send(message));
    });
    let server = serve(app).await;
    let mut client = Client::connect(&server, "/").await;
    assert_eq!(client.text().await, "ready");
    client.send("early").await;
    client.send("bird").await;
    go.send(true).unwrap();
    assert_eq!(client.text().await, "early");
    assert_eq!(client.text().await, "bird");
}

#[tokio::test]
async fn handlers_of_one_socket_never_overlap() {
    let mut app = App::new();
    app.ws("/", |socket: Socket| {
        socket.on_message(async |socket: Socket, message: Received| {
            socket.send(format!("begin {message}"));
            // Pending long enough for the shard to read whatever it may read.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            socket.send(format!("end {message}"));
        });
    });
    let server = serve(app).await;
    let mut client = Client::connect(&server, "/").await;
    for number in 0..10 {
        client.send(number.to_string()).await;
    }
    for number in 0..10 {
        assert_eq!(client.text().await, format!("begin {number}"));
        assert_eq!(client.text().await, format!("end {number}"));
    }
}

#[tokio::test]
async fn a_panicking_handler_closes_its_own_socket_only() {
    let mut app = App::new();
    app.ws("/", |socket: Socket| {
        socket.on_message(|socket: Socket, message: Received| {
            assert_ne!(message.to_string(), "panic", "as asked");
            socket.send(message);
        });
    });
    app.ws("/open", |_: Socket| -> () { panic!("as asked") });
    let server = serve(app).await;
    let mut bystander = Client::connect(&server, "/").await;
    let mut victim = Client::connect(&server, "/").await;
    victim.send("panic").await;
    assert_eq!(victim.closed().await.0, 1011);
    let mut victim = Client::connect(&server, "/open").await;
    assert_eq!(victim.closed().await.0, 1011);
    bystander.send("still here").await;
    assert_eq!(bystander.text().await, "still here");
}

#[tokio::test]
async fn a_failing_handler_closes_its_own_socket() {
    let mut app = App::new();
    app.ws("/", |socket: Socket| {
        socket.on_message(async |_: Socket, _: Received| "no number".parse::<u32>().map(drop));
    });
    let server = serve(app).await;
    let mut client = Client::connect(&server, "/").await;
    client.send("hello").await;
    assert_eq!(client.closed().await.0, 1011);
}

#[tokio::test]
async fn a_message_over_the_limit_is_too_big() {
    let server = echo().await;
    let mut client = Client::connect(&server, "/").await;
    let limit = "x".repeat(64 * 1024);
    client.send(limit.clone()).await;
    assert_eq!(client.text().await, limit);
    client.send(limit + "x").await;
    assert_eq!(client.closed().await.0, 1009);
}

#[tokio::test]
async fn text_that_is_no_utf8_is_refused() {
    use tokio_tungstenite::tungstenite::protocol::frame::Frame;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

    let server = echo().await;
    let mut client = Client::connect(&server, "/").await;
    let frame = Frame::message(&b"\xff"[..], OpCode::Data(Data::Text), true);
    client.send_message(Message::Frame(frame)).await;
    assert_eq!(client.closed().await.0, 1007);
}

#[tokio::test]
async fn the_close_event_says_how_it_ended() {
    let mut app = App::new();
    let (sender, mut reasons) = mpsc::unbounded_channel();
    app.ws("/", move |socket: Socket| {
        let sender = sender.clone();
        socket.on_close(move |socket: Socket, reason: CloseReason| {
            assert!(socket.rooms().is_empty());
            sender.send(reason).unwrap();
        });
        socket.join("a room").unwrap();
        socket.send("open");
    });
    let server = serve(app).await;

    let mut client = Client::connect(&server, "/").await;
    client.text().await;
    client.close().await;
    let reason = within(reasons.recv()).await.unwrap();
    assert_eq!(reason.code.as_u16(), 1005);
    assert!(reason.clean);

    let mut client = Client::connect(&server, "/").await;
    client.text().await;
    client.cut();
    let reason = within(reasons.recv()).await.unwrap();
    assert_eq!(reason.code.as_u16(), 1006);
    assert!(!reason.clean);
}

#[tokio::test]
async fn a_close_function_registered_after_the_end_still_runs() {
    let mut app = App::new();
    let (first, first_ran) = oneshot::channel();
    let (second, second_ran) = oneshot::channel();
    let wait = std::sync::Mutex::new(Some((first, first_ran, second)));
    app.ws("/", async move |socket: Socket| {
        let (first, first_ran, second) = wait.lock().unwrap().take().unwrap();
        let first = std::sync::Mutex::new(Some(first));
        socket.on_close(move |_: Socket, _: CloseReason| {
            first.lock().unwrap().take().unwrap().send(()).unwrap();
        });
        socket.send("open");
        // Ends when the socket is closed; this handler is still running then.
        first_ran.await.unwrap();
        let second = std::sync::Mutex::new(Some(second));
        socket.on_close(move |_: Socket, _: CloseReason| {
            second.lock().unwrap().take().unwrap().send(()).unwrap();
        });
    });
    let server = serve(app).await;
    let mut client = Client::connect(&server, "/").await;
    client.text().await;
    // Nobody can receive yet, but an end is noticed all the same.
    client.cut();
    within(second_ran).await.unwrap();
}

/// Panics as `panic!` does, but returns a type that a handler may return.
fn fail(message: &str) {
    panic!("{message}");
}

#[tokio::test]
async fn every_close_function_is_called_in_order_whatever_the_others_do() {
    let mut app = App::new();
    let (called, mut calls) = mpsc::unbounded_channel();
    app.ws("/", move |socket: Socket| {
        let tell = |name: &'static str| {
            let called = called.clone();
            move || called.send(name).unwrap()
        };
        let first = tell("first");
        socket.on_close(move |_: Socket, _: CloseReason| {
            first();
            fail("as asked");
        });
        let second = tell("second");
        socket.on_close(async move |_: Socket, _: CloseReason| {
            second();
            fail("as asked");
        });
        let third = tell("third");
        socket.on_close(async move |_: Socket, _: CloseReason| {
            third();
            std::future::pending::<()>().await;
        });
        let (fourth, last) = (tell("fourth"), tell("last"));
        socket.on_close(move |socket: Socket, _: CloseReason| {
            fourth();
            let last = last.clone();
            socket.on_close(move |_: Socket, _: CloseReason| last());
        });
        socket.send("open");
    });
    let server = serve(app).await;
    let mut client = Client::connect(&server, "/").await;
    client.text().await;
    client.close().await;
    for expected in ["first", "second", "third", "fourth", "last"] {
        assert_eq!(within(calls.recv()).await, Some(expected));
    }
}

#[tokio::test]
async fn a_close_function_that_another_one_registers_runs_too() {
    let mut app = App::new();
    let (called, mut calls) = mpsc::unbounded_channel();
    app.ws("/", move |socket: Socket| {
        let called = called.clone();
        socket.on_close(move |socket: Socket, _: CloseReason| {
            let called = called.clone();
            socket.on_close(move |_: Socket, _: CloseReason| called.send(()));
        });
        socket.send("open");
    });
    let server = serve(app).await;
    let mut client = Client::connect(&server, "/").await;
    client.text().await;
    client.close().await;
    within(calls.recv()).await.unwrap();
}

/// Tells by its end that what holds it has been dropped.
struct Held(#[allow(dead_code, reason = "its end is what is watched")] mpsc::UnboundedSender<()>);

#[tokio::test]
async fn nothing_is_kept_of_a_socket_that_is_gone() {
    let mut app = App::new();
    let (held, mut end) = mpsc::unbounded_channel();
    let (late, mut late_sockets) = mpsc::unbounded_channel();
    app.ws("/", move |socket: Socket| {
        // Each of these captures its own socket, and something to see its end by.
        let held = || (socket.clone(), Arc::new(Held(held.clone())));
        let one = held();
        socket.on_message(move |_: Socket, _: Received| drop(one.clone()));
        let one = held();
        socket.on_pong(move |_: Socket, _: Bytes| drop(one.clone()));
        let one = held();
        socket.on_error(move |_: Socket, _: nextrush::ConnectionError| drop(one.clone()));
        let one = held();
        socket.on_close(move |_: Socket, _: CloseReason| drop(one.clone()));
        let one = held();
        socket.filter(move |_: &Socket, _: &Received| {
            drop(one.clone());
            std::ops::ControlFlow::Continue(())
        });
        let one = held();
        socket.every(Duration::from_secs(3600), move |_: Socket, ()| {
            drop(one.clone());
        });
        late.send((socket.clone(), held().1)).unwrap();
        socket.send("open");
    });
    let server = serve(app).await;
    let mut client = Client::connect(&server, "/").await;
    client.text().await;
    client.close().await;
    let (socket, held) = within(late_sockets.recv()).await.unwrap();
    // The whole application goes, and the functions with it.
    within(server.close()).await;
    // One that comes too late is not kept either.
    let one = (socket.clone(), held);
    socket.on_message(move |_: Socket, _: Received| drop(one.clone()));
    drop(socket);
    assert_eq!(within(end.recv()).await, None);
}

#[tokio::test]
async fn pings_are_answered_and_pongs_are_events() {
    let mut app = App::new();
    app.ws("/", |socket: Socket| {
        socket.on_pong(|socket: Socket, payload: Bytes| {
            socket.send(format!("pong {}", String::from_utf8_lossy(&payload)));
        });
        socket.ping("first");
    });
    let server = serve(app).await;
    let mut client = Client::connect(&server, "/").await;
    assert_eq!(client.next().await, Some(Message::Ping("first".into())));
    // The client library answers when it reads on.
    assert_eq!(client.text().await, "pong first");
    client.send_message(Message::Ping("mine".into())).await;
    assert_eq!(client.next().await, Some(Message::Pong("mine".into())));
    client.send_message(Message::Pong("unasked".into())).await;
    assert_eq!(client.text().await, "pong unasked");
}

#[tokio::test]
async fn data_of_a_type_of_ones_own_stays_with_the_socket() {
    #[derive(Clone)]
    struct Count(usize);

    let mut app = App::new();
    app.ws("/", |socket: Socket| {
        assert!(socket.data::<Count>().is_none());
        socket.set_data(Count(0));
        socket.set_data("another type");
        socket.on_message(|socket: Socket, _: Received| {
            let Count(count) = socket.data().unwrap();
            socket.set_data(Count(count + 1));
            socket.send((count + 1).to_string());
        });
    });
    let server = serve(app).await;
    let mut client = Client::connect(&server, "/").await;
    for expected in ["1", "2"] {
        client.send("").await;
        assert_eq!(client.text().await, expected);
    }
}

#[tokio::test]
async fn a_cancelled_timer_does_not_run() {
    let mut app = App::new();
    app.ws("/", |socket: Socket| {
        let early = socket.after(Duration::from_millis(1), |socket: Socket, ()| {
            socket.send("early");
        });
        early.cancel();
        let every = socket.every(Duration::from_millis(1), |socket: Socket, ()| {
            socket.send("tick");
        });
        socket.after(Duration::from_millis(30), move |socket: Socket, ()| {
            every.cancel();
            socket.send("late");
            socket.close(1000, "");
        });
    });
    let server = serve(app).await;
    let mut client = Client::connect(&server, "/").await;
    let mut ticks = 0;
    loop {
        match client.text().await.as_str() {
            "tick" => ticks += 1,
            "late" => break,
            other => panic!("{other}"),
        }
    }
    assert!(ticks > 0);
    assert_eq!(client.closed().await.0, 1000);
}

#[tokio::test]
async fn a_repeating_timer_that_is_cancelled_while_it_runs_does_not_go_on() {
    use std::sync::atomic::{AtomicU32, Ordering};

    const ROUNDS: usize = 30;
    const TIMERS: u32 = 300;

    let mut app = App::new();
    let handle = app.handle().clone();
    app.ws("/", |socket: Socket| {
        socket.send("open");
        socket.on_message(|socket: Socket, message: Received| socket.send(message));
    });
    let server = serve(app).await;
    let mut client = Client::connect(&server, "/").await;
    client.text().await;
    let socket = handle.local_sockets().remove(0);

    let ticks = Arc::new(AtomicU32::new(0));
    // What runs when it is cancelled may come to its end, but must not begin again. The
    // last word is that of a timer, which comes after all that were due before it.
    let settled = async |client: &mut Client| {
        socket.after(Duration::from_millis(2), |socket: Socket, ()| {
            socket.send("settled");
        });
        assert_eq!(client.text().await, "settled");
        ticks.load(Ordering::Relaxed)
    };
    // Cancelled by this thread while they run on the socket's own.
    for _ in 0..ROUNDS {
        let before = ticks.load(Ordering::Relaxed);
        let timers: Vec<_> = (0..TIMERS)
            .map(|_| {
                let ticks = Arc::clone(&ticks);
                socket.every(Duration::from_millis(1), move |_: Socket, ()| {
                    ticks.fetch_add(1, Ordering::Relaxed);
                })
            })
            .collect();
        while ticks.load(Ordering::Relaxed) - before < TIMERS {
            std::thread::yield_now();
        }
        for timer in timers {
            timer.cancel();
        }
        let once = settled(&mut client).await;
        assert_eq!(settled(&mut client).await, once);
    }
}

#[tokio::test]
async fn closing_the_server_says_going_away_to_every_socket() {
    let server = echo().await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        let mut client = Client::connect(&server, "/").await;
        client.send("in").await;
        client.text().await;
        clients.push(client);
    }
    let closing = tokio::spawn(server.close());
    for client in &mut clients {
        assert_eq!(client.closed().await.0, 1001);
    }
    for client in &mut clients {
        while client.next().await.is_some() {}
    }
    within(closing).await.unwrap();
}

#[tokio::test]
async fn what_is_no_command_is_answered_with_the_id_that_it_has() {
    #[derive(serde::Deserialize)]
    #[serde(tag = "type", rename_all = "kebab-case")]
    enum Command {
        Move { id: u32 },
    }

    let mut app = App::new();
    app.ws("/", |socket: Socket| {
        socket.on_command(|socket: Socket, command: Command| match command {
            Command::Move { id } => socket.send(format!("moved {id}")),
        });
    });
    let server = serve(app).await;
    let mut client = Client::connect(&server, "/").await;
    // An application's own `id` is no business of ours.
    client.send(r#"{"type":"move","id":7}"#).await;
    assert_eq!(client.text().await, "moved 7");
    let unknown = error("unknown-type", "Unknown message type");
    let invalid = error("invalid-format", "Invalid message format");
    for (sent, id, expected) in [
        (r#"{"type":"dance","id":"a"}"#, Some("a"), &unknown),
        (r#"{"type":"move","id":"b"}"#, Some("b"), &invalid),
        (r#"{"type":"dance","id":7}"#, None, &unknown),
        (r#"{"type":"dance"}"#, None, &unknown),
        ("{no json", None, &invalid),
    ] {
        client.send(sent).await;
        let mut answer = client.json().await;
        let found = answer.as_object_mut().unwrap().remove("id");
        assert_eq!(found, id.map(serde_json::Value::from), "{sent}");
        assert_eq!(answer, *expected, "{sent}");
    }
}
