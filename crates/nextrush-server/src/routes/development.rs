//! Development mode: a token for anybody who asks, on this machine only.

use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use nextrush::auth::GivenUserId;
use nextrush::{ErrorCode, User, UserId};
use nextrush_admin::{Refusal, only_this_machine};
use serde::{Deserialize, Serialize};

use crate::current::Current;

/// The lifetime of a minted token.
const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);
/// The largest body of a request.
const REQUEST_BYTES: usize = 4 * 1024;
/// The longest name in characters.
const NAME: usize = 40;

/// The routes below `/api/dev`, which sign tokens with the key.
pub(crate) fn router(current: Current) -> Router {
    Router::new()
        .route("/api/dev", get(status))
        .route("/api/dev/token", post(mint))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES))
        .layer(middleware::from_fn(only_this_machine))
        .with_state(current)
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
    State(current): State<Current>,
    name: Result<Json<Name>, JsonRejection>,
) -> Result<impl IntoResponse, Refusal> {
    let Json(Name { name }) = name?;
    let name = name.trim();
    // A name is one user, in any spelling of case and spaces, with and without joiners.
    let shown = name
        .to_lowercase()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join("-");
    let id = shown.replace(['\u{200c}', '\u{200d}'], "");
    if id.is_empty() || name.chars().count() > NAME || name.chars().any(is_unseen) {
        let message = format!("a name has 1 to {NAME} characters, all of which can be seen");
        return Err(Refusal::invalid(message));
    }
    // No token is minted that would be refused.
    let id = UserId::try_from(GivenUserId::Text(id.into()))?;
    let email = format!("{shown}@localhost");
    let user = User::new(id, email);
    let token = current.jwt().sign_for(&user, LIFETIME).map_err(|error| {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Refusal::new(status, ErrorCode::Internal, "a token could not be signed").because(error)
    })?;
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    Ok((StatusCode::CREATED, no_store, Json(Minted { token, user })))
}

/// Returns whether nobody sees a character, or whether it moves the others: two names with and
/// without it look the same. The joiners of scripts and emoji are let through.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_nobody_sees_are_told_from_those_of_names() {
        for name in [
            "Ada",
            "Zoë",
            "محمد",
            "नमस्ते",
            "می\u{200c}خواهم",
            "👩\u{200d}🔬",
            "李 小龙",
        ] {
            assert!(!name.chars().any(is_unseen), "{name}");
        }
        for unseen in "\0\n\u{7f}\u{9b}\u{200b}\u{202e}\u{2066}\u{feff}\u{e0041}\u{3164}".chars() {
            assert!(is_unseen(unseen), "{unseen:?}");
        }
    }
}
