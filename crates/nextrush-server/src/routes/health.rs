//! The state of the process, for load balancers.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use nextrush::Handle;
use serde::Serialize;

/// The route `/healthz`: 200, or 503 once the application closes or a part of it has
/// failed.
pub(crate) fn router(app: Handle) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .with_state(app)
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

async fn healthz(State(app): State<Handle>) -> (StatusCode, Json<Health>) {
    let status = match app.failure() {
        Some(_) => "failed",
        None if app.is_draining() => "draining",
        None => return (StatusCode::OK, Json(Health { status: "ok" })),
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status }))
}
