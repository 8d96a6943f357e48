//! An application with what those who run it need: histories on disk, a log, health checks, metrics, an
//! HTTP API for other servers, and an inspector.
//!
//! `cargo run -p nextrush --features embedded --example operators -- data 3000` with `API_KEY`,
//! `ADMIN_KEY` and `METRICS_KEY`, keys of 32 bytes or more; port 0 picks a free one. The inspector is at
//! `/ops/inspect`, and Prometheus reads `/metrics`.

use std::env;
use std::time::Duration;

use nextrush::broker::EmbeddedBroker;
use nextrush::live::{ChannelPolicies, ChannelPolicy};
use nextrush::{App, BoxError, ErrorCode, LiveUpdates, Socket};
use nextrush_admin::{HttpApi, Inspector, Metrics, health};
use serde::Deserialize;
use serde_json::json;

/// A question of a client.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Ask {
    Readers { channel: String },
}

/// The application.
fn app(store: &str, api_key: &str, admin_key: &str, metrics_key: &str) -> Result<App, BoxError> {
    let mut app: App = App::builder().broker(EmbeddedBroker::open(store)?).build();
    let day = Duration::from_secs(24 * 60 * 60);
    let policies = ChannelPolicies::new().policy("news", ChannelPolicy::new().history(100, day));
    let live = LiveUpdates::builder()
        .policies(policies)
        .build(&app, "live");

    let follow = live.clone();
    app.ws("/live", move |socket: Socket| {
        follow.connect(&socket);
        let live = follow.clone();
        socket.on_request(
            move |_: Socket, Ask::Readers { channel }: Ask| match &*channel {
                "news" => Ok(json!({ "readers": live.local_subscribers(&channel) })),
                _ => Err(ErrorCode::NotFound),
            },
        );
    });

    let api = HttpApi::new(&app, api_key).live(&live);
    let inspector = Inspector::new(&app, admin_key).live(&live);
    let metrics = Metrics::new(&app, metrics_key).live(&live);
    app.merge(health(&app));
    app.merge(api.router());
    app.merge(metrics.router());
    app.nest("/ops", inspector.router());
    Ok(app)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_env_filter("info").init();
    let [store, port] = [1, 2].map(|n| env::args().nth(n).unwrap_or_default());
    let [api_key, admin_key, metrics_key] =
        ["API_KEY", "ADMIN_KEY", "METRICS_KEY"].map(|name| env::var(name).unwrap_or_default());
    let app = app(&store, &api_key, &admin_key, &metrics_key)?;
    let server = app.listen(port.parse::<u16>()?).start().await?;
    println!("listening on port {}", server.address().port());
    server.run_until_signal().await?;
    Ok(())
}
