//! The test kit: an application on the simulated network, in virtual time.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Path;
use http::{Request, StatusCode};
use nextrush::live::{ChannelPolicies, ChannelPolicy};
use nextrush::testing::{Client, CloseFrame, Network};
use nextrush::{App, CloseCode, ConnectionError, Handle, LiveUpdates, Message, Socket, User};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::log::Log;

fn rooms() -> App {
    let mut app = App::new();
    app.ws(
        "/rooms/:room",
        |socket: Socket, Path(room): Path<String>| {
            socket.join(&room).unwrap();
            socket.on_message(move |socket: Socket, message: Message| {
                socket.app().room(&room).except(&socket).send(message);
            });
        },
    );
    app.post(
        "/announce/:room",
        async |app: Handle, Path(room): Path<String>, text: String| {
            app.room(room).send(text);
        },
    );
    app
}

#[tokio::test(start_paused = true)]
async fn clients_and_requests_meet_in_the_applications_rooms() {
    let network = Network::new(rooms());
    let mut ada = network.connect("/rooms/a").await.unwrap();
    let bob = network.connect("/rooms/a").await.unwrap();
    let mut other = network.connect("/rooms/b").await.unwrap();
    bob.send("hello");
    assert_eq!(ada.text().await, "hello");
    bob.send_binary(b"\0\xff");
    assert_eq!(ada.recv().await.unwrap().as_bytes(), b"\0\xff");
    let announce = Request::post("/announce/a").body(Body::from("news"));
    let response = network.request(announce.unwrap()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(ada.text().await, "news");
    network.settle().await;
    assert_eq!(other.try_recv(), None);
}

#[tokio::test(start_paused = true)]
async fn a_refused_client_is_told_why() {
    let network = Network::new(rooms());
    let refused = network.connect("/nowhere").await.unwrap_err();
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    let foreign = Request::get("/rooms/a").header("origin", "https://evil.example");
    let refused = network.connect_with(foreign.body(()).unwrap()).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.body.contains("Origin not allowed"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn both_sides_can_close() {
    let network = Network::new(rooms());
    let mut ada = network.connect("/rooms/a").await.unwrap();
    ada.close(4001, "bye");
    let answer = CloseFrame::new(CloseCode::new(4001), "");
    assert_eq!(ada.closed().await, Some(answer));
    let mut bob = network.connect("/rooms/a").await.unwrap();
    let drain = network.handle().drain(Duration::from_secs(5));
    network.run_until(drain).await;
    let close = bob.closed().await.unwrap();
    assert_eq!(close.code(), CloseCode::SERVICE_RESTART);
    let mut carol = network.connect("/rooms/a").await.unwrap_err();
    carol.body.clear();
    assert_eq!(carol.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_pings_stays_and_a_silent_one_goes() {
    let network = Network::new(rooms());
    let ada = network.connect("/rooms/a").await.unwrap();
    let bob = network.connect("/rooms/a").await.unwrap();
    bob.fall_silent();
    network.advance(Duration::from_secs(34)).await;
    assert_eq!(network.handle().local_connections(), 2);
    network.advance(Duration::from_secs(6)).await;
    assert_eq!(network.handle().local_connections(), 1);
    network.advance(Duration::from_secs(3600)).await;
    assert!(!ada.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stalls_is_closed_after_the_age_of_its_backlog() {
    let network = Network::new(rooms());
    let mut ada = network.connect("/rooms/a").await.unwrap();
    ada.set_window(10);
    ada.stall();
    network.handle().room("a").send("more than ten bytes");
    network.advance(Duration::from_secs(9)).await;
    assert_eq!(network.handle().local_connections(), 1);
    assert_eq!(ada.read(4), 4);
    network.advance(Duration::from_millis(1100)).await;
    ada.resume();
    let close = ada.closed().await;
    assert_eq!(close.unwrap().code(), CloseCode::TRY_AGAIN_LATER);
}

#[tokio::test(start_paused = true)]
async fn presence_waits_for_whoever_is_lost_and_no_longer() {
    let mut app = App::new();
    let channels = ChannelPolicies::new().policy("team", ChannelPolicy::new().presence());
    let live = LiveUpdates::builder()
        .policies(channels)
        .build(&app, "live");
    app.ws(
        "/live/:name",
        move |socket: Socket, Path(name): Path<String>| {
            let email = format!("{name}@example.com");
            socket.identify(User::new(name, email)).unwrap();
            live.connect(&socket);
        },
    );
    let network = Network::new(app);
    let join = async |name: &str| {
        let mut client = network.connect(&format!("/live/{name}")).await.unwrap();
        client.send_json(&json!({ "type": "subscribe", "channel": "team" }));
        assert_eq!(client.json().await["type"], "subscribed");
        client
    };
    let diff = async |client: &mut Client| -> Value {
        let diff = client.json().await;
        assert_eq!(diff["type"], "presence-diff");
        diff
    };
    let mut ada = join("ada").await;
    assert_eq!(diff(&mut ada).await["joined"][0]["user"]["id"], "ada");
    let bob = join("bob").await;
    assert_eq!(diff(&mut ada).await["joined"][0]["user"]["id"], "bob");

    bob.cut();
    network.advance(Duration::from_secs(14)).await;
    let bob = join("bob").await;
    network.advance(Duration::from_secs(60)).await;
    assert_eq!(ada.try_recv(), None, "nobody hears of the interruption");

    let begun = Instant::now();
    bob.cut();
    network.advance(Duration::from_secs(12)).await;
    assert_eq!(diff(&mut ada).await["left"][0]["user"]["id"], "bob");
    let waited = begun.elapsed().as_secs_f64();
    assert!((15.0..15.1).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn the_log_says_once_that_presence_does_not_show_a_socket_without_a_user() {
    let mut log = Log::capture();
    let mut app = App::new();
    let channels = ChannelPolicies::new()
        .policy("unseen-:id", ChannelPolicy::new().presence())
        .policy("news", ChannelPolicy::new());
    let live = LiveUpdates::builder()
        .policies(channels)
        .build(&app, "live");
    app.ws("/forgotten", move |socket: Socket| live.connect(&socket));
    let network = Network::new(app);
    let mut client = network.connect("/forgotten").await.unwrap();
    for channel in ["news", "unseen-1", "unseen-2"] {
        client.send_json(&json!({ "type": "subscribe", "channel": channel }));
        assert_eq!(client.json().await["type"], "subscribed");
    }
    let lines = log.lines_with(r#"endpoint="/forgotten""#);
    let [line] = &*lines else { panic!("{lines:?}") };
    assert!(line.contains("a socket without a user"), "{line}");
    assert!(line.contains(r#"channel="unseen-1""#), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_reader_at_a_hundredth_of_the_speed_stays_and_has_everything_in_the_end() {
    let mut app = App::new();
    let hour = Duration::from_secs(3600);
    let channels = ChannelPolicies::new().policy("busy", ChannelPolicy::new().history(300, hour));
    let live = LiveUpdates::builder()
        .policies(channels)
        .build(&app, "live");
    let connect = live.clone();
    app.ws("/live", move |socket: Socket| {
        socket.on_error(|_: Socket, error: ConnectionError| eprintln!("{error}"));
        connect.connect(&socket);
    });
    let network = Network::new(app);
    let mut slow = network.connect("/live").await.unwrap();
    slow.send_json(&json!({ "type": "subscribe", "channel": "busy" }));
    assert_eq!(slow.json().await["type"], "subscribed");
    slow.set_window(32 * 1024);
    slow.stall();
    // For a minute, 4 times a second 32 KiB: 128 KiB a second, of which it reads 1.3.
    let padding = "x".repeat(32 * 1024);
    for step in 0..600 {
        if step % 5 == 0 {
            live.publish("busy", &padding).await.unwrap();
            live.publish("busy", &padding).await.unwrap();
        }
        network.advance(Duration::from_millis(100)).await;
        assert_eq!(slow.read(131), 131);
        assert!(!slow.is_closed(), "after {step} steps");
    }
    slow.resume();
    for offset in 1..=240 {
        assert_eq!(slow.json().await["offset"], offset);
    }
}

#[tokio::test]
async fn a_handler_that_waits_for_another_thread_is_tested_before_time_is_paused() {
    let mut app = App::new();
    app.ws("/notes", async |socket: Socket| {
        socket.on_message(async |socket: Socket, message: Message| {
            // As the pool of a database does.
            let kept = tokio::task::spawn_blocking(move || format!("kept {message}"));
            socket.send(kept.await.unwrap());
        });
    });
    let network = Network::new(app);
    let mut client = network.connect("/notes").await.unwrap();
    client.send("milk");
    assert_eq!(client.text().await, "kept milk");

    tokio::time::pause();
    client.fall_silent();
    network.advance(Duration::from_secs(40)).await;
    assert_eq!(network.handle().local_connections(), 0);
}
