//! Signing in and out: a session in the database, and its id in a cookie.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use nextrush::auth::{self, Authenticate};
use nextrush::{AuthRejection, Authenticated, CloseCode, ErrorMessage, Handle, User};
use rusqlite::OptionalExtension;
use serde_json::Value;

use crate::Boards;
use crate::store::{Store, one};

/// Tells whose cookie it is.
impl Authenticate for Store {
    async fn authenticate(&self, request: &Parts) -> Result<Option<Authenticated>, AuthRejection> {
        let Some(session) = auth::cookie(request, "session").map(str::to_owned) else {
            return Ok(None);
        };
        let found = self.transaction(move |db| {
            let sql = "SELECT user, expires FROM sessions WHERE id = ?1 AND expires > unixepoch()";
            let found = db.query_row(sql, [&session], |row| Ok((row.get(0)?, row.get(1)?)));
            let Some((user, expires)) = found.optional()? else {
                return Ok(None);
            };
            let user = User::new(String::as_str(&user), "");
            let user = Authenticated::new(user, Some(i64::try_into(expires)?));
            Ok(Some(user.session(session)))
        });
        found.await.map_err(AuthRejection::unavailable)
    }
}

pub(crate) async fn sign_in(
    State(boards): State<Boards>,
    Json(name): Json<String>,
) -> Result<impl IntoResponse, ErrorMessage> {
    // Here a password would be checked. Nobody guesses a session of 128 random bits.
    let session = format!("{:032x}", rand::random::<u128>());
    let cookie = format!("session={session}; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000");
    let signed_in = boards.store.transaction(move |db| {
        let sql = "INSERT INTO users (name, picture)
            SELECT ?1, '/pictures/' || (count(*) % 6) || '.svg' FROM users WHERE true
            ON CONFLICT DO UPDATE SET name = name RETURNING json";
        let me: Value = one(db, sql, [name.trim()])?;
        let sql = "INSERT INTO sessions (id, user) VALUES (?1, ?2)";
        db.execute(sql, (session, me["id"].as_str()))?;
        Ok(me)
    });
    Ok(([(SET_COOKIE, cookie)], Json(signed_in.await?)))
}

/// The user of the session, or `null`.
pub(crate) async fn who_am_i(
    State(boards): State<Boards>,
    user: Option<Authenticated>,
) -> Result<Json<Value>, ErrorMessage> {
    let Some(user) = user else {
        return Ok(Json(Value::Null));
    };
    Ok(Json(boards.person(user.claims.id.to_string()).await?))
}

pub(crate) async fn sign_out(
    State(boards): State<Boards>,
    app: Handle,
    user: Authenticated,
) -> Result<StatusCode, ErrorMessage> {
    let session = user.session.unwrap_or_default();
    let ended = session.clone();
    let delete = "DELETE FROM sessions WHERE id = ?1";
    let deleted = boards
        .store
        .transaction(move |db| Ok(db.execute(delete, [ended])?));
    deleted.await?;
    // The tabs of a browser share a session.
    let code = CloseCode::POLICY_VIOLATION;
    app.disconnect_session(&session, code, "Signed out").await;
    Ok(StatusCode::NO_CONTENT)
}
