//! Development mode: a token for anybody who asks, on this machine only.

use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::{get, post};
use axum::{Json, Router};
use nextrush::{ErrorCode, Jwt, User};
use serde::{Deserialize, Serialize};

use super::loopback::only_this_machine;
use super::refusal::Refusal;

/// The lifetime of a minted token.
const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);
/// The largest body of a request.
const REQUEST_BYTES: usize = 4 * 1024;
/// The longest name in characters.
const NAME: usize = 40;

/// The routes below `/api/dev`, which sign tokens with the key.
pub(crate) fn router(jwt: Jwt) -> Router {
    Router::new()
        .route("/api/dev", get(status))
        .route("/api/dev/token", post(mint))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES))
        .layer(middleware::from_fn(only_this_machine))
        .with_state(jwt)
}

#[derive(Serialize)]
struct Status {
    development: bool,
}

async fn status() -> Json<Status> {
    Json(Status { development: true })
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

#[derive(Serialize)]
struct Minted {
    token: String,
    user: User,
}

async fn mint(
    State(jwt): State<Jwt>,
    name: Result<Json<Name>, JsonRejection>,
) -> Result<(StatusCode, Json<Minted>), Refusal> {
    let Json(Name { name }) = name?;
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME || name.chars().any(char::is_control) {
        let message = format!("a name has 1 to {NAME} characters");
        return Err(Refusal::invalid(message));
    }
    // A name is one user, in any spelling of case and spaces.
    let id: String = name
        .to_lowercase()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join("-");
    let email = format!("{id}@localhost");
    let user = User::new(id, email);
    let token = jwt.sign_for(&user, LIFETIME).map_err(|error| {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Refusal::new(status, ErrorCode::Internal, "a token could not be signed").because(error)
    })?;
    Ok((StatusCode::CREATED, Json(Minted { token, user })))
}
