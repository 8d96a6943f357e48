//! What operators see: live figures, who is connected, and a way to disconnect them.

mod connections;
mod sample;
mod ticket;

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Extension, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use nextrush::{
    App, AuthRejection, ChannelPolicy, Channels, ChatServer, ConnectionId, ErrorCode, ErrorMessage,
    Handle, InvalidConnectionId, LiveUpdates, RoomName, SignError, SlowReaderCounts, Socket,
    Timestamp, UserId,
};
use serde::{Deserialize, Serialize};

use self::connections::{List, Listed};
use self::sample::{Sample, Sampler};
use self::ticket::Tickets;
use crate::routes::development;
use crate::secret::Secret;

/// How many rooms and channels are listed.
const LISTED: usize = 1000;

/// Who may look.
#[derive(Clone, Debug)]
pub(crate) enum Access {
    /// Whoever is on this machine, in development mode.
    Open,
    /// Whoever has the key.
    Key(Secret),
}

/// What is looked at.
#[derive(Clone)]
pub(crate) struct Inspected {
    pub(crate) app: Handle,
    pub(crate) chat: ChatServer,
    pub(crate) live: LiveUpdates,
}

/// Adds the routes below `/api/inspect` and the sockets of `/inspect`, and takes a sample
/// each second from now on, while the application is there.
pub(crate) fn add(app: &mut App, inspected: Inspected, access: Access) {
    let tickets = Tickets::new();
    let metrics = LiveUpdates::with(app.handle(), only(sample::CHANNEL));
    let sampler = Sampler::start(inspected.clone(), metrics.clone());
    add_sockets(app, &inspected.live, &metrics, &tickets);

    let with_ticket = Router::new()
        .route("/api/inspect/metrics", get(latest))
        .route("/api/inspect/connections", get(connections))
        .route("/api/inspect/rooms", get(rooms))
        .route("/api/inspect/channels", get(channels))
        .route("/api/inspect/slow-readers", get(slow_readers))
        .route("/api/inspect/disconnect", post(disconnect))
        .layer(Extension(inspected))
        .layer(Extension(sampler))
        .layer(middleware::from_fn({
            let tickets = tickets.clone();
            move |request, next| only_with_ticket(tickets.clone(), request, next)
        }));
    let is_open = matches!(access, Access::Open);
    let access = Arc::new(access);
    let entrance = Router::new()
        .route("/api/inspect", get(status))
        .route("/api/inspect/token", post(mint))
        .layer(Extension(tickets))
        .layer(Extension(access));
    let mut router = entrance.merge(with_ticket);
    if is_open {
        router = router.layer(middleware::from_fn(development::only_this_machine));
    }
    app.merge(router);
}

fn only(channel: &str) -> Channels {
    let channels = Channels::new().channel(channel, ChannelPolicy::new());
    channels.expect("the name is a pattern").refuse_others()
}

/// The sockets speak the protocol of live updates, about two sets of channels.
fn add_sockets(app: &mut App, live: &LiveUpdates, metrics: &LiveUpdates, tickets: &Tickets) {
    for (path, channels) in [("/inspect", metrics), ("/inspect/tail", live)] {
        let channels = channels.clone();
        let tickets = tickets.clone();
        app.ws(path, move |socket: Socket, request: Parts| {
            match tickets.check(&request) {
                Ok(ticket) => {
                    ticket.limit(&socket);
                    socket.filter(tickets.refresh());
                    channels.connect(&socket);
                }
                Err(rejection) => rejection.refuse(&socket),
            }
        });
    }
}

async fn only_with_ticket(
    tickets: Tickets,
    request: Request,
    next: Next,
) -> Result<Response, AuthRejection> {
    let (parts, body) = request.into_parts();
    tickets.check(&parts)?;
    Ok(next.run(Request::from_parts(parts, body)).await)
}

#[derive(Serialize)]
struct Status {
    access: &'static str,
}

async fn status(Extension(access): Extension<Arc<Access>>) -> Json<Status> {
    let access = match *access {
        Access::Open => "open",
        Access::Key(_) => "key",
    };
    Json(Status { access })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Minted {
    token: String,
    expires_at: Timestamp,
}

async fn mint(
    Extension(access): Extension<Arc<Access>>,
    Extension(tickets): Extension<Tickets>,
    request: Parts,
) -> Result<(StatusCode, Json<Minted>), Refusal> {
    if let Access::Key(key) = &*access
        && !key.is_bearer_of(&request.headers)
    {
        return Err(Refusal::WrongKey);
    }
    let (token, expires_at) = tickets.mint()?;
    let minted = Minted { token, expires_at };
    Ok((StatusCode::CREATED, Json(minted)))
}

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("Invalid admin key")]
    WrongKey,
    #[error("a ticket could not be signed")]
    Sign(#[from] SignError),
    #[error(transparent)]
    Json(#[from] JsonRejection),
    #[error(transparent)]
    Query(#[from] QueryRejection),
    #[error(transparent)]
    Id(#[from] InvalidConnectionId),
    #[error("either `userId` or `connectionId` says who is to be disconnected")]
    Nobody,
}

impl Refusal {
    fn code(&self, status: StatusCode) -> ErrorCode {
        match self {
            Self::WrongKey => ErrorCode::InvalidToken,
            Self::Id(_) | Self::Nobody => ErrorCode::InvalidFormat,
            Self::Sign(_) | Self::Json(_) | Self::Query(_) => ErrorCode::of_status(status),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::WrongKey => StatusCode::UNAUTHORIZED,
            Self::Sign(error) => {
                tracing::error!(%error, "cannot sign a ticket");
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::Json(rejection) => rejection.status(),
            Self::Query(rejection) => rejection.status(),
            Self::Id(_) => StatusCode::BAD_REQUEST,
            Self::Nobody => StatusCode::UNPROCESSABLE_ENTITY,
        };
        (
            status,
            Json(ErrorMessage::new(self.code(status), self.to_string())),
        )
            .into_response()
    }
}

#[derive(Serialize)]
struct Samples {
    samples: Vec<Sample>,
}

async fn latest(Extension(sampler): Extension<Arc<Sampler>>) -> Json<Samples> {
    let samples = sampler.samples();
    Json(Samples { samples })
}

async fn connections(
    app: Handle,
    query: Result<Query<List>, QueryRejection>,
) -> Result<Json<Listed>, Refusal> {
    let Query(list) = query?;
    Ok(Json(list.of(&app)?))
}

#[derive(Serialize)]
struct Rooms {
    rooms: Vec<Room>,
}

#[derive(Serialize)]
struct Room {
    room: RoomName,
    members: usize,
}

async fn rooms(Extension(inspected): Extension<Inspected>) -> Json<Rooms> {
    let counts = inspected.chat.room_counts();
    let rooms = largest(counts).into_iter();
    Json(Rooms {
        rooms: rooms
            .map(|(room, members)| Room { room, members })
            .collect(),
    })
}

#[derive(Serialize)]
struct InUse {
    channels: Vec<Channel>,
}

#[derive(Serialize)]
struct Channel {
    channel: String,
    subscribers: usize,
}

async fn channels(Extension(inspected): Extension<Inspected>) -> Json<InUse> {
    let counts = inspected.live.channels();
    let channels = largest(counts).into_iter();
    let in_use = channels.map(|(channel, subscribers)| Channel {
        channel,
        subscribers,
    });
    Json(InUse {
        channels: in_use.collect(),
    })
}

/// How often somebody was too slow.
#[derive(Serialize)]
struct SlowReaders {
    chat: SlowReaderCounts,
    /// By pattern.
    channels: Vec<OfPattern>,
}

#[derive(Serialize)]
struct OfPattern {
    pattern: String,
    #[serde(flatten)]
    counts: SlowReaderCounts,
}

async fn slow_readers(Extension(inspected): Extension<Inspected>) -> Json<SlowReaders> {
    let channels = inspected.live.slow_readers().into_iter();
    Json(SlowReaders {
        chat: inspected.chat.slow_readers(),
        channels: channels
            .map(|(pattern, counts)| OfPattern { pattern, counts })
            .collect(),
    })
}

/// Those with the most, then by name.
fn largest<N: Ord>(mut counts: Vec<(N, usize)>) -> Vec<(N, usize)> {
    counts.sort_unstable_by(|(one, more), (other, less)| less.cmp(more).then(one.cmp(other)));
    counts.truncate(LISTED);
    counts
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Disconnect {
    user_id: Option<UserId>,
    connection_id: Option<String>,
}

#[derive(Serialize)]
struct Disconnected {
    disconnected: usize,
}

/// Closes sockets with 1008. Who has a token that is still valid can come back.
async fn disconnect(
    app: Handle,
    body: Result<Json<Disconnect>, JsonRejection>,
) -> Result<Json<Disconnected>, Refusal> {
    let Json(who) = body?;
    let sockets = match (who.user_id, who.connection_id) {
        (Some(user), None) => app.user(&user).local_members(),
        (None, Some(id)) => {
            let id: ConnectionId = id.parse()?;
            app.local_socket(id).into_iter().collect()
        }
        (None, None) | (Some(_), Some(_)) => return Err(Refusal::Nobody),
    };
    for socket in &sockets {
        socket.close(1008, "Disconnected");
    }
    Ok(Json(Disconnected {
        disconnected: sockets.len(),
    }))
}
