//! Deleting what was published: in a room, in a channel, or by a user.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::{Extension, Json};
use nextrush::auth::GivenUserId;
use nextrush::broker::BrokerError;
use nextrush::room::RoomName;
use nextrush::{ErrorCode, UserId};
use serde::{Deserialize, Serialize};

use super::Api;
use crate::api_key::{Action, Caller};
use crate::parts::Parts;
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
    Extension(caller): Extension<Caller>,
    body: Result<Json<Purge>, JsonRejection>,
) -> Result<Json<Purged>, Refusal> {
    let Json(purge) = body?;
    let on = purge.on();
    let deleted = match allowed(&caller, &purge) {
        Ok(()) => delete(&parts, purge).await,
        Err(refusal) => Err(refusal),
    };
    caller.audit(Action::Purge, &on, &deleted);
    let deleted = deleted?;
    tracing::info!(deleted, "purged");
    Ok(Json(Purged { deleted }))
}

impl Purge {
    /// The object, for the audit log.
    fn on(&self) -> String {
        match (&self.room, &self.channel, &self.user_id) {
            (Some(room), None, None) => format!("room {room}"),
            (None, Some(channel), None) => channel.clone(),
            (None, None, Some(user)) => match UserId::try_from(user.clone()) {
                Ok(user) => format!("user {user}"),
                Err(_) => "user".to_owned(),
            },
            _ => String::new(),
        }
    }
}

/// Refuses what the key may not delete.
fn allowed(caller: &Caller, purge: &Purge) -> Result<(), Refusal> {
    caller.may(Action::Purge)?;
    match &purge.channel {
        Some(channel) => caller.touches(channel),
        None => caller.is_for_all_channels(),
    }
}

async fn delete(parts: &Parts, purge: Purge) -> Result<usize, Refusal> {
    Ok(match purge {
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
    })
}

fn not_purged(error: BrokerError) -> Refusal {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let message = "not all could be deleted: try again";
    Refusal::new(status, ErrorCode::Unavailable, message).because_of_broker(error)
}
