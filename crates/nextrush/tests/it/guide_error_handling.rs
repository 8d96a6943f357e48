//! The example of the guide's "Error Handling & Reconnection".

use std::time::Duration;

use nextrush::Server;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Client, serve};

#[path = "../../../../examples/error_handling.rs"]
#[allow(dead_code, reason = "a test uses a part of the example")]
mod example;

#[path = "../guide/error_handling.rs"]
mod suite;

use self::example::Times;

async fn server() -> Server {
    serve(example::app(Times::default())).await
}

#[tokio::test]
async fn the_connection_ends_after_its_time() {
    let times = Times {
        connection: Duration::from_millis(200),
        ..Times::default()
    };
    let server = serve(example::app(times)).await;
    let mut client = Client::connect(&server, "/robust-chat/lobby").await;
    assert_eq!(client.closed().await, (1000, "Connection timeout".into()));
}

#[tokio::test]
async fn the_times_are_a_minute_and_half_a_minute() {
    let times = Times::default();
    assert_eq!(times.connection, Duration::from_secs(60));
    assert_eq!(times.ping, Duration::from_secs(30));
}

#[tokio::test]
async fn the_server_pings_again_and_again() {
    let times = Times {
        ping: Duration::from_millis(50),
        ..Times::default()
    };
    let server = serve(example::app(times)).await;
    let mut client = Client::connect(&server, "/robust-chat/lobby").await;
    for _ in 0..3 {
        assert_eq!(client.next().await, Some(Message::Ping("".into())));
    }
}
