//! The state of the process, for load balancers and whoever watches it.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use nextrush::Handle;
use serde::Serialize;

/// The time for which a shared store may be out of reach before other nodes are to be preferred.
/// Shorter failures heal before a balancer has noticed them.
const AWAY: Duration = Duration::from_secs(15);

/// The routes `/healthz` and `/readyz`, for load balancers and whoever starts the process.
///
/// `/healthz` says whether the process is to be left alone: 200 with `{"status":"ok"}`, or 503 with
/// the status `draining` from SIGTERM on and `failed` once a part of it has ended without which it
/// cannot serve. It stays 200 while a shared store is away: to end all processes would help nobody.
///
/// `/readyz` says whether clients are to be sent here: 200 with `{"status":"ok"}`, or 503 with
/// `{"status":"unready","reasons":[…]}`, of `failed`, `draining` and `store-away`, the last once a
/// shared store has been out of reach for 15 s.
///
/// ```
/// use nextrush::App;
///
/// let mut app: App = App::new();
/// app.merge(nextrush_admin::health(&app));
/// # let _: axum::Router = app.into_router();
/// ```
pub fn health(app: &impl AsRef<Handle>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(app.as_ref().clone())
}

/// The route `/version`: `{"name":"…","version":"…"}` of the program, so that whoever deploys sees
/// which one answers.
///
/// ```
/// use nextrush::App;
/// use nextrush_admin::version;
///
/// let mut app: App = App::new();
/// app.merge(version("shop", env!("CARGO_PKG_VERSION")));
/// # let _: axum::Router = app.into_router();
/// ```
pub fn version(name: &'static str, version: &'static str) -> Router {
    let version = Version { name, version };
    Router::new().route("/version", get(async move || Json(version)))
}

#[derive(Clone, Copy, Serialize)]
struct Version {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// Tells whether the process is to be left alone: 200, or 503 once it closes or a part of it has
/// failed. Not while a shared store is away: to end all processes would help nobody.
async fn healthz(State(app): State<Handle>) -> (StatusCode, Json<Health>) {
    let status = match app.failure() {
        Some(_) => "failed",
        None if app.is_draining() => "draining",
        None => return (StatusCode::OK, Json(Health { status: "ok" })),
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status }))
}

#[derive(Serialize)]
struct Readiness {
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<Unready>,
}

/// A reason to send clients elsewhere.
#[derive(Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Unready {
    /// A part without which the process cannot serve has ended.
    Failed,
    /// The clients are being sent away.
    Draining,
    /// The store that nodes share has been out of reach for [`AWAY`].
    StoreAway,
}

/// Tells whether clients are to be sent here: 200, or 503 with the reasons why not.
async fn readyz(State(app): State<Handle>) -> (StatusCode, Json<Readiness>) {
    let reasons = reasons(
        app.failure().is_some(),
        app.is_draining(),
        app.broker().away(),
    );
    let (code, status) = match reasons.is_empty() {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unready"),
    };
    (code, Json(Readiness { status, reasons }))
}

fn reasons(has_failed: bool, is_draining: bool, away: Option<Duration>) -> Vec<Unready> {
    let is_away = away.is_some_and(|away| away >= AWAY);
    [
        (has_failed, Unready::Failed),
        (is_draining, Unready::Draining),
        (is_away, Unready::StoreAway),
    ]
    .into_iter()
    .filter_map(|(is_so, reason)| is_so.then_some(reason))
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_store_that_is_away_for_15_seconds_makes_a_node_unready() {
        let away = |ms| Some(Duration::from_millis(ms));
        for (failed, draining, away, expected) in [
            (false, false, None, json!([])),
            (false, false, away(14_999), json!([])),
            (false, false, away(15_000), json!(["store-away"])),
            (false, true, None, json!(["draining"])),
            (
                true,
                true,
                away(60_000),
                json!(["failed", "draining", "store-away"]),
            ),
        ] {
            let reasons = reasons(failed, draining, away);
            assert_eq!(serde_json::to_value(reasons).unwrap(), expected);
        }
    }
}
