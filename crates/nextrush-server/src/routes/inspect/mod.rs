//! The operators' view: live figures, the connections, and a way to end them.

mod connections;
mod nodes;
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
use nextrush::node::NodeName;
use nextrush::socket::{ConnectionId, InvalidConnectionId};
use nextrush::topic::SlowReaderCounts;
use nextrush::{AuthRejection, ChatServer, ErrorCode, Handle, LiveUpdates, Socket, UserId, ws};
use serde::{Deserialize, Serialize};

use self::connections::{List, Listed};
use self::nodes::Question;
use self::sample::{Sample, Sampler};
use self::ticket::Tickets;
use super::channels::{ChannelList, added};
use super::disconnect::{Disconnected, disconnect};
use super::loopback::only_this_machine;
use super::no_store::NO_STORE;
use super::others::{Answers, Nodes, Silence};
use super::refusal::Refusal;
use crate::secret::Secret;

/// The largest body of a request.
const REQUEST_BYTES: usize = 4 * 1024;
/// The most rooms and channels that are listed.
const LISTED: usize = 1000;

/// The right to look.
#[derive(Clone, Debug)]
pub(crate) enum Access {
    /// Everybody on this machine, in development mode, with the secret of users' tokens; `None`
    /// if it is random.
    Open(Option<Secret>),
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
    let sampler = Sampler::start(inspected.clone(), metrics.clone());
    nodes::answer(&sampler);
    let view = View {
        sampler,
        metrics,
        inspected,
        tickets: Tickets::new(&access),
        access,
    };
    let router = Router::new()
        .route("/api/inspect/nodes", get(list_nodes))
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
        Access::Open(_) => router.layer(middleware::from_fn(only_this_machine)),
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
        Access::Open(_) => "open",
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

/// The node that a question is about; all without it.
#[derive(Deserialize)]
struct Of {
    node: Option<String>,
}

impl Of {
    fn nodes(&self) -> Result<Nodes, Refusal> {
        Nodes::named(self.node.as_deref())
    }
}

/// The nodes with their newest figures.
#[derive(Serialize)]
struct NodeList {
    /// The node that answers.
    node: String,
    nodes: Vec<Node>,
    #[serde(flatten)]
    silence: Silence,
}

#[derive(Serialize)]
struct Node {
    node: String,
    /// Absent in the first second of a node.
    #[serde(skip_serializing_if = "Option::is_none")]
    sample: Option<Sample>,
}

async fn list_nodes(State(view): State<View>) -> Result<Json<NodeList>, Refusal> {
    let Answers { answers, silence } = view.sampler.ask(&Nodes::All, &Question::Newest).await?;
    let node = |(node, sample): (NodeName, _)| Node {
        node: node.to_string(),
        sample,
    };
    Ok(Json(NodeList {
        node: view.inspected.app.node().to_string(),
        nodes: answers.into_iter().map(node).collect(),
        silence,
    }))
}

#[derive(Serialize)]
struct Samples {
    samples: Vec<Sample>,
    #[serde(flatten)]
    silence: Silence,
}

async fn latest(
    State(View { sampler, .. }): State<View>,
    of: Result<Query<Of>, QueryRejection>,
) -> Result<Json<Samples>, Refusal> {
    let nodes = of?.0.nodes()?;
    let told = sampler.ask(&nodes, &Question::Samples).await?;
    let all = told.answers.into_iter();
    let mut samples: Vec<Sample> = all.flat_map(|(_, samples): (_, Vec<_>)| samples).collect();
    samples.sort_by_key(|sample| sample.at);
    Ok(Json(Samples {
        samples,
        silence: told.silence,
    }))
}

#[derive(Serialize)]
struct Connections {
    #[serde(flatten)]
    listed: Listed,
    #[serde(flatten)]
    silence: Silence,
}

async fn connections(
    State(View {
        inspected, sampler, ..
    }): State<View>,
    query: Result<Query<List>, QueryRejection>,
) -> Result<Json<Connections>, Refusal> {
    let Query(list) = query?;
    let mut nodes = Nodes::named(list.node.as_deref())?;
    if let Some(after) = &list.after {
        after.parse::<ConnectionId>()?;
        if let Nodes::All = nodes {
            nodes = Nodes::One(inspected.app.node().clone());
        }
    }
    let question = Question::Connections(list.clone());
    let Answers { answers, silence } = sampler.ask(&nodes, &question).await?;
    Ok(Json(Connections {
        listed: list.joined(answers),
        silence,
    }))
}

#[derive(Serialize)]
struct Rooms {
    rooms: Vec<Room>,
    #[serde(flatten)]
    silence: Silence,
}

#[derive(Serialize)]
struct Room {
    room: String,
    members: usize,
}

async fn rooms(
    State(View { sampler, .. }): State<View>,
    of: Result<Query<Of>, QueryRejection>,
) -> Result<Json<Rooms>, Refusal> {
    let nodes = of?.0.nodes()?;
    let Answers { answers, silence } = sampler.ask(&nodes, &Question::Rooms).await?;
    Ok(Json(Rooms {
        rooms: largest(added(answers).collect())
            .into_iter()
            .map(|(room, members)| Room { room, members })
            .collect(),
        silence,
    }))
}

async fn channels(
    State(View { sampler, .. }): State<View>,
    of: Result<Query<Of>, QueryRejection>,
) -> Result<Json<ChannelList>, Refusal> {
    let nodes = of?.0.nodes()?;
    let Answers { answers, silence } = sampler.ask(&nodes, &Question::Channels).await?;
    let largest = largest(added(answers).collect());
    Ok(Json(ChannelList::of(largest, silence)))
}

/// Counts of slow readers since the start.
#[derive(Default, Deserialize, Serialize)]
struct SlowReaders {
    chat: Counts,
    /// The channels' counts by pattern.
    channels: Vec<OfPattern>,
}

#[derive(Deserialize, Serialize)]
struct OfPattern {
    pattern: String,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Clone, Copy, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    recovered: u64,
    sent_later: u64,
    missed: u64,
}

impl From<SlowReaderCounts> for Counts {
    fn from(counts: SlowReaderCounts) -> Self {
        Self {
            recovered: counts.recovered,
            sent_later: counts.sent_later,
            missed: counts.missed,
        }
    }
}

impl Counts {
    fn add(&mut self, more: Self) {
        self.recovered += more.recovered;
        self.sent_later += more.sent_later;
        self.missed += more.missed;
    }
}

impl SlowReaders {
    /// The counts of this node.
    fn of(chat: &ChatServer, live: &LiveUpdates) -> Self {
        let of_pattern = |(pattern, counts): (_, SlowReaderCounts)| OfPattern {
            pattern,
            counts: counts.into(),
        };
        Self {
            chat: chat.slow_readers().into(),
            channels: live.slow_readers().into_iter().map(of_pattern).collect(),
        }
    }

    /// Adds the counts of another node.
    fn add(&mut self, more: Self) {
        self.chat.add(more.chat);
        for OfPattern { pattern, counts } in more.channels {
            match self.channels.iter_mut().find(|of| of.pattern == pattern) {
                Some(of) => of.counts.add(counts),
                None => self.channels.push(OfPattern { pattern, counts }),
            }
        }
    }
}

#[derive(Serialize)]
struct AllSlowReaders {
    #[serde(flatten)]
    counts: SlowReaders,
    #[serde(flatten)]
    silence: Silence,
}

async fn slow_readers(
    State(View { sampler, .. }): State<View>,
    of: Result<Query<Of>, QueryRejection>,
) -> Result<Json<AllSlowReaders>, Refusal> {
    let nodes = of?.0.nodes()?;
    let Answers { answers, silence } = sampler.ask(&nodes, &Question::SlowReaders).await?;
    let mut counts = SlowReaders::default();
    for (_, more) in answers {
        counts.add(more);
    }
    Ok(Json(AllSlowReaders { counts, silence }))
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
    /// The node of the connection; this one without it.
    node: Option<String>,
}

async fn disconnect_some(
    State(View {
        inspected, sampler, ..
    }): State<View>,
    body: Result<Json<Disconnect>, JsonRejection>,
) -> Result<Json<Disconnected>, Refusal> {
    let Json(Disconnect {
        user_id,
        connection_id,
        node,
    }) = body?;
    Ok(Json(match (user_id, connection_id) {
        (Some(user), None) => disconnect(&inspected.app, &UserId::try_from(user)?).await,
        (None, Some(id)) => {
            let connection = id.parse::<ConnectionId>()?.into();
            let node = match Nodes::named(node.as_deref())? {
                Nodes::One(node) => node,
                Nodes::All => inspected.app.node().clone(),
            };
            let question = Question::Disconnect { connection };
            let disconnected = sampler.ask_one(node, &question).await?;
            Disconnected::of(disconnected, Silence::default())
        }
        (None, None) | (Some(_), Some(_)) => {
            let message = "either `userId` or `connectionId` says who is to be disconnected";
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return Err(Refusal::new(status, ErrorCode::InvalidFormat, message));
        }
    }))
}
