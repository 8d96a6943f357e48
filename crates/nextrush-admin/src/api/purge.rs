//! Deleting what was published: in a room, in a channel, or by a user.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use nextrush::auth::GivenUserId;
use nextrush::broker::BrokerError;
use nextrush::room::RoomName;
use nextrush::{ErrorCode, UserId};
use serde::{Deserialize, Serialize};

use super::Api;
use crate::refusal::Refusal;

/// A room, a channel or a user.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Purge {
    chat: Option<String>,
    room: Option<String>,
    live: Option<String>,
    channel: Option<String>,
    user_id: Option<GivenUserId>,
}

#[derive(Serialize)]
pub(super) struct Purged {
    deleted: usize,
}

pub(super) async fn purge(
    State(Api { parts, .. }): State<Api>,
    body: Result<Json<Purge>, JsonRejection>,
) -> Result<Json<Purged>, Refusal> {
    let Json(purge) = body?;
    let deleted = match purge {
        Purge {
            chat,
            room: Some(room),
            live: None,
            channel: None,
            user_id: None,
        } => {
            let chat = parts.chat(chat.as_deref())?;
            let room = RoomName::new(&room)?;
            chat.purge(&room).await.map_err(not_purged)?
        }
        Purge {
            chat: None,
            room: None,
            live,
            channel: Some(channel),
            user_id: None,
        } => parts.live(live.as_deref())?.purge(&channel).await?,
        Purge {
            chat: None,
            room: None,
            live: None,
            channel: None,
            user_id: Some(user),
        } => {
            let user = UserId::try_from(user)?;
            let deleted = parts.app.purge_user(&user).await.map_err(not_purged)?;
            for live in &parts.live {
                live.purge_left_behind().await.map_err(not_purged)?;
            }
            deleted
        }
        _ => return Err(Refusal::invalid("give one of room, channel and userId")),
    };
    tracing::info!(deleted, "purged");
    Ok(Json(Purged { deleted }))
}

fn not_purged(error: BrokerError) -> Refusal {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let message = "not all could be deleted: try again";
    Refusal::new(status, ErrorCode::Unavailable, message).because_of_broker(error)
}
