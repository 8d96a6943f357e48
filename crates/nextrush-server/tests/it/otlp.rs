//! Spans at a collector of OpenTelemetry.

use std::process::Stdio;

use axum::Router;
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as OtelValue;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use crate::support::{Client, Http, SECRET, signal, token, within};

const KEY: &str = "the key of the API, also of 32 bytes or more";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A collector, and what it is sent.
async fn collector() -> (u16, mpsc::UnboundedReceiver<(HeaderMap, Bytes)>) {
    let (sent, received) = mpsc::unbounded_channel();
    let take = async move |headers: HeaderMap, body: Bytes| {
        // Whoever does not look needs none.
        let _ = sent.send((headers, body));
        StatusCode::OK
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().route("/otlp/v1/traces", post(take));
    tokio::spawn(async { axum::serve(listener, router).await });
    (port, received)
}

/// The program with more variables, and its port.
async fn program(variables: &[(&str, &str)]) -> (Child, u16) {
    let mut server = Command::new(env!("CARGO_BIN_EXE_nextrush"))
        .args([
            "--listen",
            "127.0.0.1:0",
            "--drain-delay",
            "0s",
            "--log",
            "error",
        ])
        .env_clear()
        .env("NEXTRUSH_CONFIG", "/dev/null")
        .env("JWT_SECRET", SECRET)
        .env("NEXTRUSH_API_KEY", KEY)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    loop {
        let line = within(lines.next_line()).await.unwrap().unwrap();
        if let Some(rest) = line.strip_prefix("Open http://localhost:") {
            return (server, rest.trim_end_matches('/').parse().unwrap());
        }
    }
}

fn text<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a str> {
    let attribute = attributes.iter().find(|one| one.key == name)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        OtelValue::StringValue(text) => Some(text),
        _ => None,
    }
}

#[tokio::test]
async fn a_publication_with_a_trace_is_a_span_at_the_collector_with_its_deliveries() {
    let (port, mut received) = collector().await;
    let endpoint = format!("http://127.0.0.1:{port}/otlp/");
    // Lines of the log and spans do not depend on each other.
    let (mut server, port) = program(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]).await;
    let mut reader = Client::connect_to(port, &format!("/live?token={}", token("ada"))).await;
    reader
        .send(json!({ "type": "subscribe", "channel": "news" }))
        .await;
    assert_eq!(reader.json().await["type"], "subscribed");

    let api = Http::at(port, KEY);
    let sampled = format!("00-{TRACE}-{PARENT}-01");
    let not_sampled = format!("00-{TRACE}-{PARENT}-00");
    let mut positions = Vec::new();
    for traceparent in [&*sampled, &*not_sampled, "made up"] {
        let body = json!({ "channel": "news", "data": traceparent });
        let header = ("traceparent", traceparent);
        let (status, place) = api
            .call_with(header, "POST", "/api/v1/publish", &body)
            .await;
        assert_eq!(status, 200, "{place}");
        assert_eq!(reader.json().await["data"], traceparent);
        let (epoch, offset) = (place["epoch"].as_str().unwrap(), &place["offset"]);
        positions.push(format!("{epoch}:{offset}"));
    }
    // The last spans are sent at the end.
    signal(&server, "TERM").await;
    assert!(within(server.wait()).await.unwrap().success());

    let (headers, body) = received.try_recv().unwrap();
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let sent = ExportTraceServiceRequest::decode(body).unwrap();
    let [of_service] = &sent.resource_spans[..] else {
        panic!("{sent:?}");
    };
    let resource = of_service.resource.as_ref().unwrap();
    assert_eq!(text(&resource.attributes, "service.name"), Some("nextrush"));
    let spans: Vec<_> = of_service
        .scope_spans
        .iter()
        .flat_map(|scope| &scope.spans)
        .collect();
    let [span] = spans[..] else {
        panic!("one publication is in a trace that is sampled: {spans:?}");
    };
    assert_eq!(span.name, "publish");
    assert_eq!(span.kind, SpanKind::Server as i32);
    let hex = |id: &[u8]| {
        id.iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    assert_eq!(hex(&span.trace_id), TRACE);
    assert_eq!(hex(&span.parent_span_id), PARENT);
    assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    let events: Vec<_> = span
        .events
        .iter()
        .map(|event| (&*event.name, text(&event.attributes, "position")))
        .collect();
    let position = Some(&*positions[0]);
    assert_eq!(
        events,
        [
            ("on the way to subscribers", position),
            ("published for another server", position)
        ]
    );
    assert!(received.try_recv().is_err());
}

#[tokio::test]
async fn a_collector_that_is_away_holds_nobody_up() {
    // Nobody listens there.
    let (mut server, port) = program(&[("NEXTRUSH_OTLP_ENDPOINT", "http://127.0.0.1:1")]).await;
    let api = Http::at(port, KEY);
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    let body = json!({ "channel": "news", "data": 1 });
    let header = ("traceparent", &*traceparent);
    let (status, place) = api
        .call_with(header, "POST", "/api/v1/publish", &body)
        .await;
    assert_eq!(status, 200, "{place}");
    signal(&server, "TERM").await;
    assert!(within(server.wait()).await.unwrap().success());
}
