//! The route by which a load balancer sees whether the process serves.

use axum::Json;
use axum::http::StatusCode;
use nextrush::{App, Handle};
use serde_json::{Value, json};

pub(crate) fn add(app: &mut App) {
    app.get("/healthz", healthz);
}

async fn healthz(app: Handle) -> (StatusCode, Json<Value>) {
    if app.is_draining() {
        let status = json!({ "status": "draining" });
        return (StatusCode::SERVICE_UNAVAILABLE, Json(status));
    }
    (StatusCode::OK, Json(json!({ "status": "ok" })))
}
