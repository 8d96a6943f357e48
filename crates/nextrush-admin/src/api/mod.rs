//! The HTTP API for other servers: publishing, history, presence, disconnecting.

mod purge;

use std::borrow::Cow;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use nextrush::auth::GivenUserId;
use nextrush::broker::{BrokerError, CommandKey, HistoryQuery, Publication, Published};
use nextrush::live::PresenceSnapshot;
use nextrush::message::Timestamp;
use nextrush::room::RoomName;
use nextrush::topic::PublishError;
use nextrush::{
    ChatServer, ErrorCode, ErrorMessage, Handle, LiveUpdates, Position, Socket, UserId, ws,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use self::purge::purge;
use crate::channels::ChannelList;
use crate::disconnect::{Disconnected, disconnect};
use crate::parts::Parts;
use crate::refusal::{Refusal, code_of_wrong_key};
use crate::secret::Secret;

/// The largest body of a request: the data of a publication, and as much again around it.
const BODY_BYTES: usize = 128 * 1024;
/// The longest data of a publication in bytes of JSON, as long as a client's message.
const DATA_BYTES: usize = 64 * 1024;
/// The most channels of one broadcast.
const CHANNELS: usize = 100;
/// The number of publications in an answer by default.
const HISTORY: usize = 100;
/// The highest number of publications in an answer.
const HISTORY_LIMIT: usize = 1000;
/// The longest idempotency key in bytes.
const KEY_BYTES: usize = 255;

/// The message of a refusal without the key.
const WRONG_KEY: &str = "Invalid API key";

const OPENAPI: &str = include_str!("../../schema/openapi.json");

/// An HTTP API for other servers, below `/api/v1`: they publish to channels, read histories and
/// members, list channels, disconnect users, and delete what was published. Each request has a key,
/// as `Authorization: Bearer <key>`.
///
/// The guide's page *The messages on the wire* has the requests and answers, and
/// `/api/v1/openapi.json` describes them for programs, without the key. `/api/v1/live` speaks the protocol of
/// [live updates](LiveUpdates::connect) to whoever has it.
///
/// ```
/// use nextrush::{App, ChatServer, LiveUpdates};
/// use nextrush_admin::HttpApi;
///
/// let mut app: App = App::new();
/// let live = LiveUpdates::new(&app, "live");
/// let chat = ChatServer::new(&app, "chat");
/// let key = "as long as `openssl rand -base64 32` prints";
/// app.merge(HttpApi::new(&app, key).live(&live).chat(&chat).router());
/// # let _: axum::Router = app.into_router();
/// ```
///
/// # Several live updates or chats, or none
///
/// A request is about the first that was given, unless it has the name of another one, as
/// `"live":"orders"` or `"chat":"support"` beside its other fields, in the query of a `GET`. Without any,
/// such requests are refused with `not-found`.
///
/// # Below another path
///
/// `app.nest("/internal", api.router())` serves `/internal/api/v1/…`.
#[derive(Clone, Debug)]
#[must_use = "an API is not there before its router is merged into the application"]
pub struct HttpApi {
    parts: Parts,
    key: Secret,
}

impl HttpApi {
    /// An API for those who have the key.
    ///
    /// # Panics
    ///
    /// Panics on a key of fewer than 32 bytes: who guesses it may say anything to anybody.
    #[track_caller]
    pub fn new(app: &impl AsRef<Handle>, key: impl Into<Secret>) -> Self {
        Self {
            parts: Parts::new(app),
            key: key.into().into_key(),
        }
    }

    /// Adds live updates whose channels are published to.
    pub fn live(mut self, live: &LiveUpdates) -> Self {
        self.parts.live.push(live.clone());
        self
    }

    /// Adds a chat whose messages may be deleted.
    pub fn chat(mut self, chat: &ChatServer) -> Self {
        self.parts.chats.push(chat.clone());
        self
    }

    /// The routes below `/api/v1`.
    pub fn router(self) -> Router {
        router(Api {
            parts: self.parts,
            key: self.key,
        })
    }
}

/// The state of the routes.
#[derive(Clone)]
struct Api {
    parts: Parts,
    key: Secret,
}

fn router(api: Api) -> Router {
    Router::new()
        .route("/api/v1/publish", post(publish))
        .route("/api/v1/broadcast", post(broadcast))
        .route("/api/v1/history", get(history))
        .route("/api/v1/presence", get(presence))
        .route("/api/v1/channels", get(channels))
        .route("/api/v1/disconnect", post(disconnect_user))
        .route("/api/v1/purge", post(purge))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn_with_state(api.clone(), only_with_key))
        .route("/api/v1/live", ws(follow))
        .route("/api/v1/openapi.json", get(openapi))
        .with_state(api)
}

/// The live updates that a request is about; the first without a name.
#[derive(Deserialize)]
pub(crate) struct OfLive {
    live: Option<String>,
}

impl OfLive {
    /// The live updates of a query.
    pub(crate) fn of<'a>(
        query: &Result<Query<Self>, QueryRejection>,
        parts: &'a Parts,
    ) -> Result<&'a LiveUpdates, Refusal> {
        let Query(Self { live }) = query
            .as_ref()
            .map_err(|error| Refusal::invalid(error.to_string()))?;
        parts.live(live.as_deref())
    }
}

/// Speaks the protocol of live updates without a user.
fn follow(
    socket: Socket,
    State(Api { parts, key }): State<Api>,
    headers: HeaderMap,
    query: Result<Query<OfLive>, QueryRejection>,
) {
    if !key.is_bearer_of(&headers) {
        socket.send(ErrorMessage::new(code_of_wrong_key(&headers), WRONG_KEY));
        return socket.close(1008, WRONG_KEY);
    }
    match OfLive::of(&query, &parts) {
        Ok(live) => live.connect(&socket),
        Err(refusal) => refusal.close(&socket),
    }
}

async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}

async fn only_with_key(
    State(api): State<Api>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    if api.key.is_bearer_of(request.headers()) {
        Ok(next.run(request).await)
    } else {
        Err(Refusal::wrong_key(request.headers(), WRONG_KEY))
    }
}

impl From<PublishError> for Refusal {
    fn from(error: PublishError) -> Self {
        let message = error.to_string();
        match error {
            PublishError::InvalidName => {
                Self::new(StatusCode::BAD_REQUEST, ErrorCode::InvalidName, message)
            }
            PublishError::Data(_) => Self::invalid(message),
            PublishError::Broker(BrokerError::Reused) => {
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                let message = "the idempotency key belongs to a publication with other data";
                Self::new(status, ErrorCode::IdReused, message)
            }
            error @ PublishError::Broker(BrokerError::Full(_)) => {
                let status = StatusCode::INSUFFICIENT_STORAGE;
                Self::new(status, ErrorCode::NotStored, message).because(error)
            }
            error => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                Self::new(status, ErrorCode::Unavailable, message).because_of(error)
            }
        }
    }
}

// The name is in answers to bodies that are no object.
#[derive(Deserialize)]
#[serde(rename = "Publication")]
struct Publish {
    live: Option<String>,
    channel: String,
    data: Box<RawValue>,
}

/// The position of a publication.
#[derive(Serialize)]
struct Place {
    epoch: String,
    offset: u64,
    /// True for a repeat, which was not published again.
    repeated: bool,
}

impl Place {
    fn new(position: Position, repeated: bool) -> Self {
        Self {
            epoch: position.epoch.to_string(),
            offset: position.offset,
            repeated,
        }
    }
}

async fn publish(
    State(Api { parts, .. }): State<Api>,
    headers: HeaderMap,
    body: Result<Json<Publish>, JsonRejection>,
) -> Result<Json<Place>, Refusal> {
    let Json(Publish {
        live,
        channel,
        data,
    }) = body?;
    let live = parts.live(live.as_deref())?;
    let key = idempotency_key(&headers)?;
    Ok(Json(publish_to(live, &channel, &data, key).await?))
}

async fn publish_to(
    live: &LiveUpdates,
    channel: &str,
    data: &RawValue,
    key: Option<CommandKey>,
) -> Result<Place, Refusal> {
    if data.get().len() > DATA_BYTES {
        let message = format!("data has at most {DATA_BYTES} bytes of JSON");
        let status = StatusCode::BAD_REQUEST;
        return Err(Refusal::new(status, ErrorCode::TooLarge, message));
    }
    let (position, repeated) = match key {
        Some(key) => {
            let Published {
                position,
                is_repeat,
                ..
            } = live.publish_once(channel, data, key).await?;
            (position, is_repeat)
        }
        None => (live.publish(channel, data).await?, false),
    };
    Ok(Place::new(position, repeated))
}

/// The key under which a repeat of the request is recognised.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<CommandKey>, Refusal> {
    let Some(key) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let invalid = || {
        let message = format!("an idempotency key has 1 to {KEY_BYTES} visible characters");
        Refusal::invalid(message)
    };
    let key = key.to_str().map_err(|_| invalid())?;
    if key.is_empty() || key.len() > KEY_BYTES {
        return Err(invalid());
    }
    // The keys of users' commands have another prefix.
    CommandKey::try_from(&*format!("api/{key}"))
        .map(Some)
        .map_err(|_| invalid())
}

#[derive(Deserialize)]
struct Broadcast {
    live: Option<String>,
    channels: Vec<String>,
    data: Box<RawValue>,
}

#[derive(Serialize)]
struct Results {
    results: Vec<ChannelResult>,
}

#[derive(Serialize)]
struct ChannelResult {
    channel: String,
    #[serde(flatten)]
    place: Option<Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<ErrorCode>,
    #[serde(rename = "retryAfterMs", skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl ChannelResult {
    fn new(channel: String, published: Result<Place, Refusal>) -> Self {
        match published {
            Ok(place) => Self {
                channel,
                place: Some(place),
                error: None,
                code: None,
                retry_after_ms: None,
            },
            Err(refusal) => Self {
                channel,
                place: None,
                code: Some(refusal.code()),
                retry_after_ms: refusal.retry_after_ms(),
                error: Some(refusal.into_message()),
            },
        }
    }
}

/// Publishes to each channel by itself: a failure does not stop the others.
async fn broadcast(
    State(Api { parts, .. }): State<Api>,
    headers: HeaderMap,
    body: Result<Json<Broadcast>, JsonRejection>,
) -> Result<Json<Results>, Refusal> {
    let Json(Broadcast {
        live,
        channels,
        data,
    }) = body?;
    let live = parts.live(live.as_deref())?;
    if channels.len() > CHANNELS {
        let message = format!("a broadcast goes to {CHANNELS} channels at most");
        return Err(Refusal::invalid(message));
    }
    let key = idempotency_key(&headers)?;
    let mut results = Vec::with_capacity(channels.len());
    for channel in channels {
        let published = publish_to(live, &channel, &data, key.clone()).await;
        results.push(ChannelResult::new(channel, published));
    }
    Ok(Json(Results { results }))
}

#[derive(Deserialize)]
struct HistoryOf {
    live: Option<String>,
    channel: String,
    limit: Option<usize>,
    /// The offset after which the oldest publications are asked for; the newest without it.
    after: Option<u64>,
}

#[derive(Serialize)]
struct Kept {
    epoch: String,
    offset: u64,
    publications: Vec<Item>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Item {
    Update(Update),
    Deleted(Deleted),
}

/// The place of an update that was deleted.
#[derive(Serialize)]
#[serde(tag = "type", rename = "deleted")]
struct Deleted {
    offset: u64,
}

#[derive(Serialize)]
struct Update {
    offset: u64,
    timestamp: Timestamp,
    data: Box<RawValue>,
}

impl Item {
    fn of(publication: &Publication) -> Result<Self, PublishError> {
        let offset = publication.offset;
        if publication.is_deleted {
            return Ok(Self::Deleted(Deleted { offset }));
        }
        Ok(Self::Update(Update {
            offset,
            timestamp: Timestamp::from_unix_ms(publication.time_ms),
            data: serde_json::from_slice(&publication.data)?,
        }))
    }
}

async fn history(
    State(Api { parts, .. }): State<Api>,
    query: Result<Query<HistoryOf>, QueryRejection>,
) -> Result<Json<Kept>, Refusal> {
    let Query(query) = query?;
    let live = parts.live(query.live.as_deref())?;
    let limit = query.limit.unwrap_or(HISTORY).min(HISTORY_LIMIT);
    let read = match query.after {
        Some(offset) => HistoryQuery::After { offset, limit },
        None => HistoryQuery::Latest(limit),
    };
    let history = live.history(&query.channel, read).await?;
    Ok(Json(Kept {
        epoch: history.position.epoch.to_string(),
        offset: history.position.offset,
        publications: history
            .publications
            .iter()
            .map(|publication| Item::of(publication))
            .collect::<Result<_, _>>()?,
    }))
}

#[derive(Deserialize)]
struct PresenceOf {
    live: Option<String>,
    channel: String,
    /// The place at which the wanted page begins; everybody without it.
    after: Option<u64>,
}

async fn presence(
    State(Api { parts, .. }): State<Api>,
    query: Result<Query<PresenceOf>, QueryRejection>,
) -> Result<Json<PresenceSnapshot>, Refusal> {
    let Query(PresenceOf {
        live,
        channel,
        after,
    }) = query?;
    let live = parts.live(live.as_deref())?;
    if RoomName::new(&channel).is_err() {
        return Err(PublishError::InvalidName.into());
    }
    let members = match after {
        Some(device) => live.members_after(&channel, device).await,
        None => live.members(&channel).await,
    };
    Ok(Json(members.map_err(PublishError::from)?))
}

async fn channels(
    State(Api { parts, .. }): State<Api>,
    query: Result<Query<OfLive>, QueryRejection>,
) -> Result<Json<ChannelList>, Refusal> {
    let live = OfLive::of(&query, &parts)?;
    Ok(Json(live.channels().await.into()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Disconnect {
    user_id: GivenUserId,
}

async fn disconnect_user(
    State(Api { parts, .. }): State<Api>,
    body: Result<Json<Disconnect>, JsonRejection>,
) -> Result<Json<Disconnected>, Refusal> {
    let Json(Disconnect { user_id }) = body?;
    let user = UserId::try_from(user_id)?;
    Ok(Json(disconnect(&parts.app, &user).await))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_full_store_refuses_is_told_by_its_own_code() {
        let full = BrokerError::Full("no space left".into());
        let lost = BrokerError::Unavailable("connection lost".into());
        for (error, status, code) in [
            (full, StatusCode::INSUFFICIENT_STORAGE, ErrorCode::NotStored),
            (
                lost,
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorCode::Unavailable,
            ),
        ] {
            let refusal = Refusal::from(PublishError::Broker(error));
            assert_eq!(refusal.code(), code);
            assert_eq!(refusal.into_response().status(), status);
        }
    }
}
