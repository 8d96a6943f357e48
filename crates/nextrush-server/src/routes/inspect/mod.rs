//! The operators' view: live figures, the connections, and a way to end them.

mod connections;
mod sample;
mod ticket;

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use nextrush::auth::GivenUserId;
use nextrush::live::{ChannelPolicies, ChannelPolicy};
use nextrush::message::Timestamp;
use nextrush::socket::{ConnectionId, InvalidConnectionId};
use nextrush::topic::SlowReaderCounts;
use nextrush::{
    AuthRejection, ChatServer, ErrorCode, Handle, LiveUpdates, RoomName, Socket, UserId, ws,
};
use serde::{Deserialize, Serialize};

use self::connections::{List, Listed};
use self::sample::{Sample, Sampler};
use self::ticket::Tickets;
use super::channels::ChannelList;
use super::disconnect::{Disconnected, disconnect};
use super::loopback::only_this_machine;
use super::no_store::NO_STORE;
use super::refusal::Refusal;
use crate::secret::Secret;

/// The largest body of a request.
const REQUEST_BYTES: usize = 4 * 1024;
/// The most rooms and channels that are listed.
const LISTED: usize = 1000;

/// The right to look.
#[derive(Clone, Debug)]
pub(crate) enum Access {
    /// Everybody on this machine, in development mode.
    Open,
    /// Everybody with the key.
    Key(Secret),
}

/// The parts of an application that the view shows.
#[derive(Clone)]
pub(crate) struct Inspected {
    pub(crate) app: Handle,
    pub(crate) chat: ChatServer,
    pub(crate) live: LiveUpdates,
}

/// The state of the routes.
#[derive(Clone)]
struct View {
    inspected: Inspected,
    access: Access,
    tickets: Tickets,
    metrics: LiveUpdates,
    sampler: Arc<Sampler>,
}

/// The live updates to which the view publishes its samples.
pub(crate) fn metrics(app: &Handle) -> LiveUpdates {
    LiveUpdates::builder()
        .policies(only(sample::CHANNEL))
        .build(app, "inspect")
}

/// The routes below `/api/inspect` and the sockets of `/inspect`. They sample the application
/// each second from now on.
pub(crate) fn router(inspected: Inspected, metrics: LiveUpdates, access: Access) -> Router {
    let view = View {
        sampler: Sampler::start(inspected.clone(), metrics.clone()),
        metrics,
        inspected,
        tickets: Tickets::new(&access),
        access,
    };
    let router = Router::new()
        .route("/api/inspect/metrics", get(latest))
        .route("/api/inspect/connections", get(connections))
        .route("/api/inspect/rooms", get(rooms))
        .route("/api/inspect/channels", get(channels))
        .route("/api/inspect/slow-readers", get(slow_readers))
        .route("/api/inspect/disconnect", post(disconnect_some))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES))
        .layer(middleware::from_fn_with_state(
            view.clone(),
            only_with_ticket,
        ))
        .route("/api/inspect", get(status))
        .route("/api/inspect/token", post(mint));
    let router = match view.access {
        Access::Open => router.layer(middleware::from_fn(only_this_machine)),
        Access::Key(_) => router,
    };
    router
        .route("/inspect", ws(follow_metrics))
        .route("/inspect/tail", ws(follow_channels))
        .with_state(view)
}

fn only(channel: &str) -> ChannelPolicies {
    ChannelPolicies::new()
        .policy(channel, ChannelPolicy::new())
        .refuse_others()
}

fn follow_metrics(socket: Socket, State(view): State<View>, request: Parts) {
    view.connect(&socket, &request, &view.metrics);
}

fn follow_channels(socket: Socket, State(view): State<View>, request: Parts) {
    view.connect(&socket, &request, &view.inspected.live);
}

impl View {
    /// Speaks the protocol of live updates about these channels, if the request has a ticket.
    fn connect(&self, socket: &Socket, request: &Parts, channels: &LiveUpdates) {
        match self.tickets.check(request) {
            Ok(ticket) => {
                ticket.limit(socket);
                socket.filter(self.tickets.refresh());
                channels.connect(socket);
            }
            Err(rejection) => rejection.reject(socket),
        }
    }
}

async fn only_with_ticket(
    State(View { tickets, .. }): State<View>,
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

async fn status(State(View { access, .. }): State<View>) -> Json<Status> {
    let access = match access {
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
    State(View {
        access, tickets, ..
    }): State<View>,
    request: Parts,
) -> Result<impl IntoResponse, Refusal> {
    if let Access::Key(key) = &access
        && !key.is_bearer_of(&request.headers)
    {
        return Err(Refusal::wrong_key(&request.headers, "Invalid admin key"));
    }
    let (token, expires_at) = tickets.mint().map_err(|error| {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Refusal::new(status, ErrorCode::Internal, "a ticket could not be signed").because(error)
    })?;
    let minted = Json(Minted { token, expires_at });
    Ok((StatusCode::CREATED, NO_STORE, minted))
}

impl From<InvalidConnectionId> for Refusal {
    fn from(error: InvalidConnectionId) -> Self {
        Self::invalid(error.to_string())
    }
}

#[derive(Serialize)]
struct Samples {
    samples: Vec<Sample>,
}

async fn latest(State(View { sampler, .. }): State<View>) -> Json<Samples> {
    Json(Samples {
        samples: sampler.samples(),
    })
}

async fn connections(
    State(View { inspected, .. }): State<View>,
    query: Result<Query<List>, QueryRejection>,
) -> Result<Json<Listed>, Refusal> {
    let Query(list) = query?;
    Ok(Json(list.of(&inspected.app)?))
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

async fn rooms(State(View { inspected, .. }): State<View>) -> Json<Rooms> {
    Json(Rooms {
        rooms: largest(inspected.chat.local_rooms())
            .into_iter()
            .map(|(room, members)| Room { room, members })
            .collect(),
    })
}

async fn channels(State(View { inspected, .. }): State<View>) -> Json<ChannelList> {
    Json(
        largest(inspected.live.local_channels())
            .into_iter()
            .collect(),
    )
}

/// Counts of slow readers since the start.
#[derive(Serialize)]
struct SlowReaders {
    chat: SlowReaderCounts,
    /// The channels' counts by pattern.
    channels: Vec<OfPattern>,
}

#[derive(Serialize)]
struct OfPattern {
    pattern: String,
    #[serde(flatten)]
    counts: SlowReaderCounts,
}

async fn slow_readers(State(View { inspected, .. }): State<View>) -> Json<SlowReaders> {
    Json(SlowReaders {
        chat: inspected.chat.slow_readers(),
        channels: inspected
            .live
            .slow_readers()
            .into_iter()
            .map(|(pattern, counts)| OfPattern { pattern, counts })
            .collect(),
    })
}

/// The names with the highest counts; equal ones in the order of their names.
fn largest<N: Ord>(mut counts: Vec<(N, usize)>) -> Vec<(N, usize)> {
    counts.sort_unstable_by(|(one, more), (other, less)| less.cmp(more).then(one.cmp(other)));
    counts.truncate(LISTED);
    counts
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Disconnect {
    user_id: Option<GivenUserId>,
    connection_id: Option<String>,
}

async fn disconnect_some(
    State(View { inspected, .. }): State<View>,
    body: Result<Json<Disconnect>, JsonRejection>,
) -> Result<Json<Disconnected>, Refusal> {
    let Json(Disconnect {
        user_id,
        connection_id,
    }) = body?;
    let sockets = match (user_id, connection_id) {
        (Some(user), None) => {
            let user = UserId::try_from(user)?;
            inspected.app.user(&user).local_members()
        }
        (None, Some(id)) => inspected
            .app
            .local_socket(id.parse::<ConnectionId>()?)
            .into_iter()
            .collect(),
        (None, None) | (Some(_), Some(_)) => {
            let message = "either `userId` or `connectionId` says who is to be disconnected";
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return Err(Refusal::new(status, ErrorCode::InvalidFormat, message));
        }
    };
    Ok(Json(disconnect(&sockets)))
}
