//! Figures of an application for Prometheus.

mod collector;
mod exposition;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use nextrush::{ChatServer, ErrorCode, Handle, LiveUpdates};
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

use self::collector::Collector;
use crate::no_store::NO_STORE;
use crate::parts::Parts;
use crate::refusal::Refusal;
use crate::secret::Secret;

/// The type of the answer.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Figures of an application for Prometheus, and whatever else reads OpenMetrics: `GET /metrics`.
///
/// ```no_run
/// # async fn example() -> Result<(), nextrush::BoxError> {
/// use nextrush::{App, ChatServer, LiveUpdates};
/// use nextrush_admin::Metrics;
///
/// let mut app: App = App::new();
/// let live = LiveUpdates::new(&app, "live");
/// let chat = ChatServer::new(&app, "chat");
/// let key = std::env::var("METRICS_KEY")?;
/// app.merge(Metrics::new(&app, key).live(&live).chat(&chat).router());
/// Ok(app.listen(3000).await?)
/// # }
/// ```
///
/// The figures are read when they are asked for, and are those of this node: each node is a target
/// of its own. Counting costs what [`Handle::metrics`] costs, asked for or not. The guide's page
/// *Metrics* has all names.
///
/// Labels have values of the application alone, never of clients: so nobody outside can make more
/// series.
#[derive(Clone, Debug)]
#[must_use = "metrics are not there before their router is merged into the application"]
pub struct Metrics {
    parts: Parts,
    key: Option<Secret>,
}

impl Metrics {
    /// Figures for those who have the key, as `Authorization: Bearer <key>`.
    ///
    /// # Panics
    ///
    /// Panics on a key of fewer than 32 bytes.
    #[track_caller]
    pub fn new(app: &impl AsRef<Handle>, key: impl Into<Secret>) -> Self {
        Self {
            parts: Parts::new(app),
            key: Some(key.into().into_key()),
        }
    }

    /// Figures for everybody: for an address that only those reach who may see them.
    pub fn without_key(app: &impl AsRef<Handle>) -> Self {
        Self {
            parts: Parts::new(app),
            key: None,
        }
    }

    /// Adds live updates whose channels and slow readers are counted.
    pub fn live(mut self, live: &LiveUpdates) -> Self {
        self.parts.live.push(live.clone());
        self
    }

    /// Adds a chat whose rooms and slow readers are counted.
    pub fn chat(mut self, chat: &ChatServer) -> Self {
        self.parts.chats.push(chat.clone());
        self
    }

    /// The route `/metrics`.
    pub fn router(self) -> Router {
        let mut registry = Registry::with_prefix("nextrush");
        registry.register_collector(Box::new(Collector::new(self.parts)));
        let exposed = Exposed {
            registry: Arc::new(registry),
            key: self.key,
        };
        Router::new()
            .route("/metrics", get(scrape))
            .with_state(exposed)
    }
}

/// The state of the route.
#[derive(Clone)]
struct Exposed {
    registry: Arc<Registry>,
    key: Option<Secret>,
}

async fn scrape(
    State(Exposed { registry, key }): State<Exposed>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    if let Some(key) = key
        && !key.is_bearer_of(&headers)
    {
        return Err(Refusal::wrong_key(&headers, "Invalid metrics key"));
    }
    let mut text = String::new();
    text::encode(&mut text, &registry).map_err(|error| {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Refusal::new(status, ErrorCode::Internal, "the figures cannot be written").because(error)
    })?;
    let headers = [(header::CONTENT_TYPE, OPEN_METRICS)];
    Ok((NO_STORE, headers, text).into_response())
}
