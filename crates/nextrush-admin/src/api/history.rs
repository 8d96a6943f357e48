//! The histories of channels.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use nextrush::broker::{HistoryQuery, Publication};
use nextrush::live::{Encoding, Payload};
use nextrush::message::Timestamp;
use nextrush::topic::PublishError;
use serde::{Deserialize, Serialize};

use super::Api;
use crate::api_key::{Action, Caller};
use crate::parts::Parts;
use crate::refusal::Refusal;

/// The number of publications in an answer by default.
const HISTORY: usize = 100;
/// The highest number of publications in an answer.
const HISTORY_LIMIT: usize = 1000;

#[derive(Deserialize)]
pub(super) struct HistoryOf {
    live: Option<String>,
    channel: String,
    limit: Option<usize>,
    /// The offset after which the oldest publications are asked for; the newest without it.
    after: Option<u64>,
}

#[derive(Serialize)]
struct Kept<'a> {
    epoch: String,
    offset: u64,
    publications: Vec<Item<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Item<'a> {
    Update(Update<'a>),
    Deleted(Deleted),
}

/// The place of an update that was deleted.
#[derive(Serialize)]
#[serde(tag = "type", rename = "deleted")]
struct Deleted {
    offset: u64,
}

#[derive(Serialize)]
struct Update<'a> {
    offset: u64,
    timestamp: Timestamp,
    data: Payload<'a>,
    /// The encoding of the data, if it is bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<Encoding>,
}

impl<'a> Item<'a> {
    fn of(publication: &'a Publication) -> Result<Self, PublishError> {
        let offset = publication.offset;
        if publication.is_deleted {
            return Ok(Self::Deleted(Deleted { offset }));
        }
        let data = Payload::of(publication)?;
        Ok(Self::Update(Update {
            offset,
            timestamp: Timestamp::from_unix_ms(publication.time_ms),
            encoding: data.encoding(),
            data,
        }))
    }
}

pub(super) async fn history(
    State(Api { parts, .. }): State<Api>,
    Extension(caller): Extension<Caller>,
    query: Result<Query<HistoryOf>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(query) = query?;
    let read = read(&parts, &caller, &query).await;
    caller.audit(Action::Read, &query.channel, &read);
    read
}

async fn read(parts: &Parts, caller: &Caller, query: &HistoryOf) -> Result<Response, Refusal> {
    caller.may(Action::Read)?;
    caller.touches(&query.channel)?;
    let live = parts.live(query.live.as_deref())?;
    let limit = query.limit.unwrap_or(HISTORY).min(HISTORY_LIMIT);
    let read = match query.after {
        Some(offset) => HistoryQuery::After { offset, limit },
        None => HistoryQuery::Latest(limit),
    };
    let history = live.history(&query.channel, read).await?;
    let kept = Kept {
        epoch: history.position.epoch.to_string(),
        offset: history.position.offset,
        publications: history
            .publications
            .iter()
            .map(|publication| Item::of(publication))
            .collect::<Result<_, _>>()?,
    };
    Ok(Json(kept).into_response())
}
