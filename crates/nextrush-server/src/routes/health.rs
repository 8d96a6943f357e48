//! The state of the process, for load balancers.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use nextrush::Handle;
use serde::Serialize;

/// The route `/healthz`: 200, or 503 once the application closes.
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
    if app.is_draining() {
        let draining = Health { status: "draining" };
        return (StatusCode::SERVICE_UNAVAILABLE, Json(draining));
    }
    (StatusCode::OK, Json(Health { status: "ok" }))
}
