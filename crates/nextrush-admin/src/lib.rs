//! Health checks, metrics, an HTTP API for other servers and an inspector, for those who run a NextRush
//! application. Each is an axum router to merge into the application, or to nest below a path.
//!
//! ```no_run
//! use nextrush::{App, ChatServer, LiveUpdates};
//! use nextrush_admin::{HttpApi, Inspector, Metrics, health};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), nextrush::BoxError> {
//!     let mut app: App = App::new();
//!     let live = LiveUpdates::new(&app, "live");
//!     let chat = ChatServer::new(&app, "chat");
//!     // … the application's own routes …
//!     let (api_key, admin_key) = (std::env::var("API_KEY")?, std::env::var("ADMIN_KEY")?);
//!     let metrics_key = std::env::var("METRICS_KEY")?;
//!     app.merge(health(&app));
//!     app.merge(Metrics::new(&app, metrics_key).live(&live).chat(&chat).router());
//!     app.merge(HttpApi::new(&app, api_key).live(&live).chat(&chat).router());
//!     app.merge(Inspector::new(&app, admin_key).live(&live).chat(&chat).router());
//!     Ok(app.listen(3000).await?)
//! }
//! ```
//!
//! | | routes |
//! |---|---|
//! | [`health()`] | `/healthz`, `/readyz` |
//! | [`version`] | `/version` |
//! | [`HttpApi`] | `/api/v1/…`: publishing, histories, members, disconnecting, deleting |
//! | [`Metrics`] | `/metrics`, for Prometheus |
//! | [`Inspector`] | `/api/inspect/…`, the sockets of `/inspect`, and its page |
//!
//! A router of an application whose routes still need a state is merged after
//! [`App::with_state`](nextrush::App::with_state), or given that state itself, as
//! `health(&app).with_state(())`. Where nodes share a broker, all of them mount the same.

#![warn(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::must_use_candidate
)]

mod api;
mod api_key;
mod channels;
mod disconnect;
mod health;
mod inspector;
mod loopback;
mod metrics;
mod no_store;
mod others;
mod page_file;
mod parts;
mod refusal;
mod secret;
mod trace;

pub use api::HttpApi;
pub use api_key::{Action, ApiKey, ApiKeys, UnknownAction};
pub use health::{health, version};
pub use inspector::{Inspector, InspectorKey};
pub use loopback::only_this_machine;
pub use metrics::Metrics;
#[doc(hidden)]
pub use page_file::page_file;
pub use refusal::Refusal;
pub use secret::Secret;
