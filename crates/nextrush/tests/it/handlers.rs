//! The threads that handlers run on: that of their socket, or others.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use axum::extract::Path;
use nextrush::limits::EngineConfig;
use nextrush::{App, BoxError, Message, Server, Socket, User, blocking, offload, place_by};

use crate::log::Log;
use crate::support::{Client, serve};

fn app_of_shards(shards: usize) -> App {
    let config = EngineConfig::default().shards(NonZeroUsize::new(shards).unwrap());
    App::builder().engine(config).build()
}

fn thread_name() -> String {
    thread::current().name().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn an_offloaded_handler_runs_elsewhere_and_keeps_the_order_of_messages() {
    let mut app = App::new();
    app.ws("/here", |socket: Socket| {
        socket.on_message(|socket: Socket, _: Message| socket.send(thread_name()));
    });
    app.ws("/offloaded", |socket: Socket| {
        socket.on_message(offload(|socket: Socket, message: Message| async move {
            socket.send(thread_name());
            tokio::task::yield_now().await;
            socket.send(message);
        }));
    });
    app.ws("/blocking", |socket: Socket| {
        socket.on_message(blocking(|socket: Socket, message: Message| {
            socket.send(thread_name());
            socket.send(message);
        }));
    });
    let server = serve(app).await;

    let mut here = Client::connect(&server, "/here").await;
    here.send("").await;
    assert!(here.text().await.starts_with("nextrush-shard-"));
    for path in ["/offloaded", "/blocking"] {
        let mut client = Client::connect(&server, path).await;
        for number in 0..100 {
            client.send(number.to_string()).await;
        }
        for number in 0..100 {
            assert!(!client.text().await.starts_with("nextrush-shard-"));
            assert_eq!(client.text().await, number.to_string());
        }
    }
}

#[tokio::test]
async fn a_panic_away_from_the_socket_closes_it_with_1011() {
    let mut app = App::new();
    app.ws("/offloaded", |socket: Socket| {
        socket.on_message(offload(async |_: Socket, _: Message| -> () {
            panic!("this panic is part of the test")
        }));
    });
    app.ws("/blocking", |socket: Socket| {
        socket.on_message(blocking(|_: Socket, _: Message| {
            Err::<(), _>("this error is part of the test")
        }));
    });
    let server = serve(app).await;
    for path in ["/offloaded", "/blocking"] {
        let mut client = Client::connect(&server, path).await;
        client.send("").await;
        assert_eq!(client.closed().await.0, 1011);
    }
}

#[tokio::test]
async fn sockets_of_one_key_share_a_thread_and_others_are_spread() {
    let mut app = app_of_shards(4);
    app.ws("/games/:gameId", |socket: Socket| {
        socket.send(thread_name());
    });
    app.layer(place_by(|request| request.uri().path().to_owned()));
    app.ws("/spread", |socket: Socket| socket.send(thread_name()));
    let server = serve(app).await;

    let thread_of = async |server: &Server, path: &str, held: &mut Vec<Client>| {
        let mut client = Client::connect(server, path).await;
        let thread = client.text().await;
        held.push(client);
        thread
    };
    let mut held = Vec::new();
    let mut threads = Vec::new();
    for game in 0..20 {
        let path = format!("/games/{game}");
        let first = thread_of(&server, &path, &mut held).await;
        for _ in 0..3 {
            assert_eq!(thread_of(&server, &path, &mut held).await, first);
        }
        threads.push(first);
    }
    threads.sort_unstable();
    threads.dedup();
    assert!(threads.len() > 1, "every game on one thread");
    held.clear();
}

#[tokio::test]
async fn a_handler_that_fails_or_panics_is_in_the_log_with_its_endpoint() {
    let mut log = Log::capture();
    let mut app = App::new();
    app.ws(
        "/failing/:how",
        |socket: Socket, Path(how): Path<String>| {
            socket.identify(User::new("ada", "ada@example.com"))?;
            assert_ne!(how, "panic", "ended on purpose");
            Err::<(), BoxError>("failed on purpose".into())
        },
    );
    let server = serve(app).await;
    for (how, expected) in [
        ("fail", ["a handler failed", "user=Some(\"ada\")"]),
        ("panic", ["a handler panicked", "ended on purpose"]),
    ] {
        Client::connect(&server, &format!("/failing/{how}")).await;
        let line = log.line_with("on purpose").await;
        assert!(line.contains("endpoint=\"/failing/:how\""), "{line}");
        assert!(expected.iter().all(|part| line.contains(part)), "{line}");
    }
}

#[tokio::test]
async fn a_handler_that_blocks_is_named_in_the_log_and_the_other_threads_go_on() {
    let mut log = Log::capture();
    let (release, blocked) = mpsc::channel::<()>();
    let blocked = Arc::new(Mutex::new(blocked));
    let mut app = app_of_shards(2);
    app.ws("/slow/:what", move |socket: Socket| {
        let blocked = Arc::clone(&blocked);
        socket.on_message(move |socket: Socket, message: Message| {
            blocked.lock().unwrap().recv().unwrap();
            socket.send(message);
        });
    });
    app.ws("/echo", |socket: Socket| {
        socket.on_message(|socket: Socket, message: Message| socket.send(message));
    });
    let server = serve(app).await;
    // One on each thread.
    let mut slow = Client::connect(&server, "/slow/thing").await;
    let mut other = Client::connect(&server, "/echo").await;

    // A watchdog that panics goes on.
    #[cfg(feature = "testing")]
    {
        server.handle().end_watchdog();
        log.line_with("the watchdog panicked").await;
    }
    slow.send("done").await;
    let line = log.line_with("blocks its shard").await;
    assert!(line.contains("endpoint=\"/slow/:what\""), "{line}");
    other.send("still here").await;
    assert_eq!(other.text().await, "still here");
    release.send(()).unwrap();
    assert_eq!(slow.text().await, "done");
}
