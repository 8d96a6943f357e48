//! The example of the guide's "Live Updates & Notifications".

use nextrush::{App, CloseReason, Jwt, LiveUpdates, Server, Socket};
use serde_json::json;

use crate::support::{Client, SECRET, serve, within};

#[path = "../../../../examples/live_updates.rs"]
#[allow(dead_code, reason = "a test uses a part of the example")]
mod example;

#[path = "../guide/live_updates.rs"]
mod suite;

async fn server() -> Server {
    serve(example::app(Jwt::hs256(SECRET))).await
}

#[tokio::test]
async fn a_closed_socket_is_unsubscribed_from_everything() {
    let mut app = App::new();
    let live = LiveUpdates::new(&app, "live");
    let (gone, mut was_gone) = tokio::sync::mpsc::unbounded_channel();
    let connect = live.clone();
    app.ws("/live", move |socket: Socket| {
        connect.connect(&socket);
        let gone = gone.clone();
        socket.on_close(move |_: Socket, _: CloseReason| gone.send(()));
    });
    let server = serve(app).await;
    let mut client = Client::connect(&server, "/live").await;
    client
        .send_json(json!({ "type": "subscribe", "channel": "posts" }))
        .await;
    client.json().await;
    assert_eq!(live.local_subscribers("posts"), 1);
    client.close().await;
    within(was_gone.recv()).await;
    assert_eq!(live.local_subscribers("posts"), 0);
}

#[tokio::test]
async fn a_subscription_is_acknowledged_before_its_first_update() {
    let mut app = App::new();
    let live = LiveUpdates::new(&app, "live");
    let connect = live.clone();
    app.ws("/live", move |socket: Socket| connect.connect(&socket));
    let server = serve(app).await;
    // From a thread of its own, so that it never waits for the client.
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let runtime = tokio::runtime::Handle::current();
    let publishing = std::thread::spawn(move || {
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            runtime.block_on(live.publish("posts", &1)).unwrap();
        }
    });
    let subscribe = json!({ "type": "subscribe", "channel": "posts" });
    for _ in 0..100 {
        let mut client = Client::connect(&server, "/live").await;
        client.send_json(subscribe.clone()).await;
        assert_eq!(client.json().await["type"], "subscribed");
        client.cut();
    }
    drop(stop);
    publishing.join().unwrap();
}
