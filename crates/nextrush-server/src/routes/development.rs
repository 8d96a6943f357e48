//! Development mode: tokens for whoever asks, on this machine only.

use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Request};
use axum::http::{StatusCode, header, uri::Authority};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use nextrush::{App, ErrorCode, ErrorMessage, Jwt, User};
use serde::Deserialize;
use serde_json::{Value, json};

use super::refusal::ApiError;

/// How long a minted token is valid.
const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);
/// The longest name in characters.
const NAME: usize = 40;

pub(crate) fn add(app: &mut App, jwt: Jwt) {
    let router = Router::new()
        .route("/api/dev", get(status))
        .route("/api/dev/token", post(mint))
        .layer(Extension(jwt))
        .layer(middleware::from_fn(only_this_machine));
    app.merge(router);
}

async fn status() -> Json<Value> {
    Json(json!({ "development": true }))
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

async fn mint(
    Extension(jwt): Extension<Jwt>,
    name: Result<Json<Name>, JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(Name { name }) = name?;
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME || name.chars().any(char::is_control) {
        let message = format!("a name has 1 to {NAME} characters");
        return Err(ApiError::Invalid(message));
    }
    // One name is one user, however it is written.
    let id: String = name
        .to_lowercase()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join("-");
    let user = User {
        email: format!("{id}@localhost"),
        id: id.into(),
    };
    let token = jwt.sign_for(&user, LIFETIME)?;
    let minted = json!({ "token": token, "user": user });
    Ok((StatusCode::CREATED, Json(minted)).into_response())
}

/// Refuses requests for another host's name: a web page elsewhere whose name was
/// made to point at this machine (DNS rebinding) must not get a token.
pub(crate) async fn only_this_machine(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    if host.is_some_and(|host| is_loopback(host.host())) {
        return next.run(request).await;
    }
    let refusal = ErrorMessage::new(
        ErrorCode::Forbidden,
        "development mode is for this machine only",
    );
    (StatusCode::FORBIDDEN, Json(refusal)).into_response()
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "example.com",
            "localhost.example.com",
            "10.0.0.1",
            "[::2]",
            "0.0.0.0",
            "",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
