//! The example of an outbox: a process that dies between commit and publication loses nothing.

#[allow(
    unreachable_pub,
    dead_code,
    reason = "the example is a program of its own"
)]
#[path = "../../../../examples/outbox.rs"]
mod example;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use nextrush::App;
use nextrush::broker::simulated::SimulatedServer;
use nextrush::broker::{ManualClock, SequencedBroker, SequencerOptions};
use nextrush::testing::{Client, Network};
use serde_json::{Value, json};

use self::example::{Database, live_updates, publish_outbox, routes};
use crate::support::{all, next, subscribe, taken};

/// Names the file of the database to the process that is to die.
const CHILD: &str = "NEXTRUSH_TEST_OUTBOX";

/// A process of the example, over a broker that outlives it.
fn process(file: &Path, server: &SimulatedServer) -> (Network, impl Future<Output = ()> + use<>) {
    let database = Database::open(file).unwrap();
    // By the server's clock: the day on which tests run is another one.
    let clock = ManualClock::new(1_700_000_000_000);
    let store = Arc::new(server.connect());
    let broker = SequencedBroker::with_clock(store, SequencerOptions::default(), clock);
    let mut app: App = App::builder().broker(broker).build();
    let live = live_updates(&app, &database);
    routes(&mut app, Arc::clone(&database), live.clone());
    (Network::new(app), publish_outbox(database, live))
}

async fn subscribed(network: &Network) -> (Client, Value) {
    let mut client = network.connect("/live").await.unwrap();
    let answer = subscribe(&mut client, "cards").await;
    assert_eq!(answer["type"], "subscribed", "{answer}");
    (client, answer)
}

#[tokio::test(start_paused = true)]
async fn what_was_committed_before_a_crash_is_published_after_it() {
    if let Some(file) = std::env::var_os(CHILD) {
        // This is the process that dies: after the commit, and before it can publish anything.
        Database::open(Path::new(&file))
            .unwrap()
            .put(1, "Buy milk".to_owned())
            .unwrap();
        std::process::abort();
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cards.json");
    let name = "outbox::what_was_committed_before_a_crash_is_published_after_it";
    let child = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact"])
        .env(CHILD, &file)
        .output()
        .unwrap();
    assert!(!child.status.success());
    assert!(file.exists(), "{}", String::from_utf8_lossy(&child.stderr));

    let server = SimulatedServer::new(1);
    let (network, outbox) = process(&file, &server);
    let (mut client, answer) = subscribed(&network).await;
    assert_eq!(
        answer["data"],
        json!([{ "id": 1, "text": "Buy milk", "version": 1 }])
    );
    let outbox = tokio::spawn(outbox);
    let update = next(&mut client).await;
    assert_eq!(
        update["data"],
        json!({ "id": 1, "text": "Buy milk", "version": 1 })
    );
    assert!(taken(&network, &mut client).await.is_empty());
    outbox.abort();
}

#[tokio::test(start_paused = true)]
async fn what_was_published_before_a_crash_and_is_still_in_the_outbox_comes_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cards.json");
    let server = SimulatedServer::new(1);
    Database::open(&file)
        .unwrap()
        .put(1, "Buy milk".to_owned())
        .unwrap();
    // As it is where a process dies that has published, and not deleted yet.
    let before = std::fs::read(&file).unwrap();
    let (network, outbox) = process(&file, &server);
    let (mut client, answer) = subscribed(&network).await;
    let outbox = tokio::spawn(outbox);
    assert_eq!(next(&mut client).await["offset"], 1);
    network.settle().await;
    assert_ne!(std::fs::read(&file).unwrap(), before);
    outbox.abort();
    network.handle().broker().shutdown().await;
    drop((client, network));

    std::fs::write(&file, before).unwrap();
    let (network, outbox) = process(&file, &server);
    let outbox = tokio::spawn(outbox);
    let mut client = network.connect("/live").await.unwrap();
    let answer = crate::support::come_back(&mut client, "cards", &answer).await;
    assert_eq!(answer["recovered"], true, "{answer}");
    let put = http::Request::put("/cards/2")
        .body("Bake bread".into())
        .unwrap();
    assert_eq!(network.request(put).await.status(), http::StatusCode::OK);
    network.settle().await;
    let received = taken(&network, &mut client).await;
    assert_eq!(all(&received, "offset"), [1, 2]);
    outbox.abort();
}
