//! Networks with live channels, and their clients.

use std::io;
use std::sync::{Arc, Mutex, Once};

use axum::extract::Path;
use nextrush::live::ChannelPolicies;
use nextrush::testing::{Client, Network};
use nextrush::{App, LiveUpdates, Socket, User};
use serde_json::{Value, json};

use crate::schema;

/// Lets clients name their user in the path of the route `/live/:user`.
pub(crate) fn route(app: &mut App, live: &LiveUpdates) {
    let live = live.clone();
    app.ws(
        "/live/:user",
        move |socket: Socket, Path(user): Path<String>| {
            let identified = socket.identify(User::new(&*user, ""));
            assert!(identified.is_ok(), "{identified:?}");
            live.connect(&socket);
        },
    );
}

pub(crate) fn network_with(policies: ChannelPolicies) -> (Network, LiveUpdates) {
    let mut app = App::new();
    let live = LiveUpdates::builder()
        .policies(policies)
        .build(&app, "live");
    route(&mut app, &live);
    (Network::new(app), live)
}

pub(crate) async fn enter(network: &Network, user: &str) -> Client {
    network.connect(&format!("/live/{user}")).await.unwrap()
}

/// The next message, which is as the schema says.
pub(crate) async fn next(client: &mut Client) -> Value {
    let message = client.json().await;
    schema::check_sent(&message);
    message
}

pub(crate) async fn ask(client: &mut Client, message: Value) -> Value {
    client.send_json(&message);
    next(client).await
}

pub(crate) async fn subscribe(client: &mut Client, channel: &str) -> Value {
    ask(client, json!({ "type": "subscribe", "channel": channel })).await
}

/// The messages that have arrived by now.
pub(crate) async fn taken(network: &Network, client: &mut Client) -> Vec<Value> {
    network.settle().await;
    std::iter::from_fn(|| client.try_recv())
        .map(|message| {
            let message = serde_json::from_str(&message.to_string()).unwrap();
            schema::check_sent(&message);
            message
        })
        .collect()
}

/// The lines that the process logs from now on; those of other tests are among them.
pub(crate) struct Log(Arc<Mutex<String>>);

static LOG: Mutex<Vec<Arc<Mutex<String>>>> = Mutex::new(Vec::new());

impl Log {
    pub(crate) fn capture() -> Self {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            tracing_subscriber::fmt()
                .with_ansi(false)
                .with_writer(|| Line)
                .init();
        });
        let log = Arc::<Mutex<String>>::default();
        LOG.lock().unwrap().push(Arc::clone(&log));
        Self(log)
    }

    pub(crate) fn line_with(&self, text: &str) -> String {
        let log = self.0.lock().unwrap();
        let line = log.lines().find(|line| line.contains(text));
        line.unwrap_or_else(|| panic!("{text:?} is not in {log}"))
            .to_owned()
    }
}

struct Line;

impl io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for log in LOG.lock().unwrap().iter() {
            log.lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(bytes));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
