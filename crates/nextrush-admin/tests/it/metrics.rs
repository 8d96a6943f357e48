//! The figures for Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use nextrush::broker::EmbeddedBroker;
use nextrush::live::{ChannelPolicies, ChannelPolicy};
use nextrush::testing::{Client, Network};
use nextrush::topic::SlowReaders;
use nextrush::{App, ChatServer, ErrorCode, ErrorMessage, LiveUpdates, RoomName, Socket, User};
use nextrush_admin::Metrics;
use serde::Deserialize;
use serde_json::json;

use crate::support::{KEY, fetch, subscribed};

const GUIDE: &str = include_str!("../../../../docs/guide/src/metrics.md");

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Ask {
    Fine,
    Refuse,
    Fail,
    Sleep,
}

/// An application with a chat, channels and requests, and the figures of all of them.
fn app(mut app: App) -> (App, LiveUpdates) {
    let policies = ChannelPolicies::new()
        .policy(
            "news",
            ChannelPolicy::new().history(2, Duration::from_secs(60)),
        )
        .policy(
            "prices",
            ChannelPolicy::new().slow_readers(SlowReaders::Drop),
        )
        .refuse_others();
    let live = LiveUpdates::builder()
        .policies(policies)
        .build(&app, "live");
    let chat = ChatServer::new(&app, "chat");
    let connect = live.clone();
    app.ws("/live", move |socket: Socket| connect.connect(&socket));
    let enter = chat.clone();
    app.ws("/chat", async move |socket: Socket| {
        let ada = User::new("ada", "ada@example.com");
        enter
            .connect(&socket, RoomName::new("den").unwrap(), ada)
            .await;
    });
    app.ws("/ask", |socket: Socket| {
        socket.on_request(async |_: Socket, ask: Ask| match ask {
            Ask::Fine => Ok(1),
            Ask::Refuse => Err(ErrorMessage::new("board-full", "The board is full")),
            Ask::Fail => Err(ErrorMessage::from(ErrorCode::RateLimited)),
            Ask::Sleep => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                Ok(2)
            }
        });
    });
    app.merge(Metrics::without_key(&app).live(&live).chat(&chat).router());
    (app, live)
}

/// The metrics as they are scraped.
struct Scraped {
    text: String,
}

impl Scraped {
    async fn of(network: &Network) -> Self {
        let request = Request::builder().uri("/metrics").body(Body::empty());
        let (status, headers, text) = fetch(network, request.unwrap()).await;
        assert_eq!(status, 200, "{text}");
        let kind = headers[header::CONTENT_TYPE].to_str().unwrap();
        assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
        Self { text }
    }

    /// The value of a series.
    fn value(&self, series: &str) -> f64 {
        let mut lines = self.text.lines();
        let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        let value = value.unwrap_or_else(|| panic!("no {series} in\n{}", self.text));
        value.parse().unwrap()
    }

    /// A row for each metric: its name, its type, its labels and its help.
    fn table(&self) -> String {
        let mut rows: Vec<(String, &str, String)> = Vec::new();
        let mut labels: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut helps = BTreeMap::new();
        for line in self.text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').unwrap();
                helps.insert(name, help);
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                let suffix = match kind {
                    "counter" => "_total",
                    "info" => "_info",
                    _ => "",
                };
                rows.push((name.to_owned(), kind, format!("{name}{suffix}")));
            } else if !line.starts_with('#') {
                let name = rows.last().unwrap().2.clone();
                let of_name = labels.entry(name).or_default();
                let inner = line.split_once('{').map_or("", |(_, rest)| rest);
                for label in inner
                    .split("\",")
                    .filter_map(|label| label.split_once("=\""))
                {
                    let label = label.0.trim_matches(',').to_owned();
                    if label != "le" && !of_name.contains(&label) {
                        of_name.push(label);
                    }
                }
            }
        }
        let mut table = String::from("| name | type | labels | |\n|---|---|---|---|\n");
        for (name, kind, full) in rows {
            let labels = labels.get(&full).map(|all| {
                let all: Vec<_> = all.iter().map(|label| format!("`{label}`")).collect();
                all.join(", ")
            });
            let (labels, help) = (labels.unwrap_or_default(), helps[&*name]);
            writeln!(table, "| `{full}` | {kind} | {labels} | {help} |").unwrap();
        }
        table
    }
}

/// Sends something of everything that is counted.
async fn use_everything(network: &Network, live: &LiveUpdates) -> Client {
    let mut reader = subscribed(network, "/live", "news").await;
    for n in 0..5 {
        network.run_until(live.publish("news", &n)).await.unwrap();
        assert_eq!(reader.json().await["data"], n);
    }
    for (epoch, offset) in [("e", 1), (&*reader_epoch(network).await, 1)] {
        let mut back = network.connect("/live").await.unwrap();
        let since = json!({ "epoch": epoch, "offset": offset });
        back.send_json(&json!({ "type": "subscribe", "channel": "news", "since": since }));
        assert_eq!(back.json().await["recovered"], false);
    }
    let mut asking = network.connect("/ask").await.unwrap();
    for (id, kind) in ["fine", "refuse", "fail", "made-up"].iter().enumerate() {
        asking.send_json(&json!({ "type": kind, "id": id.to_string() }));
        asking.json().await;
    }
    asking.send_json(&json!({ "type": "sleep", "id": "late" }));
    network.advance(Duration::from_secs(31)).await;
    assert_eq!(asking.json().await["code"], "in-doubt");
    asking
}

async fn reader_epoch(network: &Network) -> String {
    let mut client = network.connect("/live").await.unwrap();
    client.send_json(&json!({ "type": "subscribe", "channel": "news" }));
    client.json().await["epoch"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn the_guide_lists_all_metrics_as_they_are_scraped() {
    let directory = tempfile::tempdir().unwrap();
    let broker = EmbeddedBroker::open(directory.path()).unwrap();
    let (app, _) = app(App::builder().broker(broker).build());
    let network = Network::new(app);
    let mut asking = network.connect("/ask").await.unwrap();
    asking.send_json(&json!({ "type": "fine", "id": "1" }));
    asking.json().await;
    let _member = network.connect("/chat").await.unwrap();
    network.settle().await;
    let scraped = Scraped::of(&network).await;
    assert!(scraped.value("nextrush_store_limit_bytes") > 0.0);
    let table = scraped.table();
    assert!(
        GUIDE.contains(&table),
        "the guide's table has to be\n{table}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_clients_did_is_counted() {
    let (app, live) = app(App::new());
    let network = Network::new(app);
    let _still_open = use_everything(&network, &live).await;
    network.settle().await;
    let scraped = Scraped::of(&network).await;
    for (series, expected) in [
        ("nextrush_connections", 1.0),
        ("nextrush_connections_accepted_total", 5.0),
        ("nextrush_publications_total", 5.0),
        ("nextrush_deliveries_total", 5.0),
        ("nextrush_channels{part=\"live\"}", 0.0),
        ("nextrush_nodes", 1.0),
        ("nextrush_recoveries_total{outcome=\"epoch\"}", 1.0),
        ("nextrush_recoveries_total{outcome=\"history\"}", 1.0),
        ("nextrush_recoveries_total{outcome=\"recovered\"}", 0.0),
        ("nextrush_refusals_total{code=\"unknown-type\"}", 1.0),
        ("nextrush_refusals_total{code=\"rate-limited\"}", 1.0),
        ("nextrush_refusals_total{code=\"in-doubt\"}", 1.0),
        ("nextrush_refusals_total{code=\"other\"}", 1.0),
        (
            "nextrush_request_duration_seconds_count{type=\"fine\",outcome=\"answered\"}",
            1.0,
        ),
        (
            "nextrush_request_duration_seconds_count{type=\"refuse\",outcome=\"refused\"}",
            1.0,
        ),
        (
            "nextrush_request_duration_seconds_count{type=\"fail\",outcome=\"refused\"}",
            1.0,
        ),
        (
            "nextrush_request_duration_seconds_sum{type=\"sleep\",outcome=\"timed-out\"}",
            30.0,
        ),
        (
            "nextrush_request_duration_seconds_bucket{le=\"30.0\",type=\"sleep\",outcome=\"timed-out\"}",
            1.0,
        ),
        ("nextrush_slow_readers_total{policy=\"heal\"}", 0.0),
        // A broker in memory does not wait.
        ("nextrush_publish_duration_seconds_count", 0.0),
    ] {
        assert_eq!(scraped.value(series), expected, "{series}");
    }
    for rises in [
        "nextrush_messages_sent_total",
        "nextrush_received_bytes_total",
        "nextrush_sent_bytes_total",
    ] {
        assert!(scraped.value(rises) >= 5.0, "{rises}");
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_over_http_are_counted() {
    let (app, _) = app(App::new());
    let network = Network::new(app);
    let request = Request::builder()
        .uri("/live")
        .header("host", "example.com")
        .header("origin", "https://evil.example")
        .body(Body::empty());
    let (status, _, text) = fetch(&network, request.unwrap()).await;
    assert_eq!(status, 403, "{text}");
    let scraped = Scraped::of(&network).await;
    assert_eq!(
        scraped.value("nextrush_refusals_total{code=\"origin-refused\"}"),
        1.0
    );
}

#[tokio::test(start_paused = true)]
async fn a_hostile_client_cannot_make_series() {
    let (app, _) = app(App::new());
    let network = Network::new(app);
    let mut client = network.connect("/ask").await.unwrap();
    let mut other = network.connect("/live").await.unwrap();
    let send = async |round: usize, client: &mut Client, other: &mut Client| {
        for n in 0..20 {
            let made_up = format!("made-up-{round}-{n}\"}}\n");
            client.send_json(&json!({ "type": made_up, "id": format!("{round}-{n}") }));
            client.json().await;
            other.send_json(&json!({ "type": "subscribe", "channel": made_up }));
            other.json().await;
            let request = Request::builder()
                .uri(format!("/no/{round}/{n}"))
                .body(Body::empty());
            fetch(&network, request.unwrap()).await;
        }
    };
    send(0, &mut client, &mut other).await;
    let before = Scraped::of(&network).await.text.lines().count();
    send(1, &mut client, &mut other).await;
    let after = Scraped::of(&network).await;
    assert_eq!(after.text.lines().count(), before);
    assert!(!after.text.contains("made-up"), "{}", after.text);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_asked_for_where_there_is_one() {
    let mut app: App = App::new();
    app.merge(Metrics::new(&app, KEY).router());
    let network = Network::new(app);
    for (bearer, expected) in [(None, 401), (Some("wrong"), 401), (Some(KEY), 200)] {
        let mut request = Request::builder().uri("/metrics");
        if let Some(bearer) = bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        }
        let (status, _, text) = fetch(&network, request.body(Body::empty()).unwrap()).await;
        assert_eq!(status, expected, "{text}");
    }
}
