//! The trace of an HTTP request, from publishing to the subscribers.

use std::io;
use std::sync::Arc;
use std::sync::Mutex;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use nextrush::testing::Network;
use nextrush::{App, LiveUpdates, Socket};
use nextrush_admin::HttpApi;
use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;

use crate::support::{KEY, fetch, subscribed};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The lines of a log as JSON.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// The lines of a target up to now.
    fn of(&self, target: &str) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["target"] == target).collect()
    }
}

async fn publish(network: &Network, path: &str, traceparent: &str, body: Value) {
    let request = Request::post(path)
        .header(header::AUTHORIZATION, format!("Bearer {KEY}"))
        .header(header::CONTENT_TYPE, "application/json")
        .header("traceparent", traceparent)
        .body(Body::from(body.to_string()));
    let (status, _, text) = fetch(network, request.unwrap()).await;
    assert_eq!(status, 200, "{text}");
}

#[tokio::test(start_paused = true)]
async fn the_trace_of_a_publication_is_in_the_log_with_where_it_went() {
    let lines = Lines::default();
    let writer = lines.clone();
    let filter = "off,nextrush::publications=debug,nextrush::deliveries=debug,nextrush_admin=info";
    let log = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(move || writer.clone())
        .finish();
    let _log = tracing::subscriber::set_default(log);
    let mut app: App = App::new();
    let live = LiveUpdates::new(&app, "live");
    let follow = live.clone();
    app.ws("/live", move |socket: Socket| follow.connect(&socket));
    app.merge(HttpApi::new(&app, KEY).live(&live).router());
    let network = Network::new(app);
    let mut reader = subscribed(&network, "/live", "news").await;
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let news = json!({ "channel": "news", "data": 1 });
    publish(&network, "/api/v1/publish", &traceparent, news.clone()).await;
    publish(&network, "/api/v1/publish", "made up\"} x", news).await;
    let to_all = json!({ "channels": ["news", "sport"], "data": 2 });
    publish(&network, "/api/v1/broadcast", &traceparent, to_all).await;
    for expected in [1, 1, 2] {
        assert_eq!(reader.json().await["data"], expected);
    }

    let published = lines.of("nextrush::publications");
    let traces: Vec<_> = published
        .iter()
        .map(|line| line["span"]["trace_id"].as_str())
        .collect();
    assert_eq!(traces, [Some(TRACE), None, Some(TRACE), Some(TRACE)]);
    assert_eq!(published[0]["span"]["parent_id"], "00f067aa0ba902b7");
    assert_eq!(published[0]["topic"], "live/live/news");
    // Nobody is subscribed to the channel of the last.
    let delivered = lines.of("nextrush::deliveries");
    let place = |line: &Value| (line["topic"].clone(), line["position"].clone());
    let places = |all: &[Value]| all.iter().map(place).collect::<Vec<_>>();
    assert_eq!(places(&delivered), places(&published[..3]));
    assert!(
        delivered.iter().all(|line| line["subscribers"] == 1),
        "{delivered:?}"
    );
}
