//! The operators' view: live figures, the connections, and a way to end them.

mod connections;
mod key;
mod largest;
mod nodes;
mod page;
mod sample;
mod slow_readers;
mod ticket;

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts as RequestParts;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use nextrush::auth::GivenUserId;
use nextrush::live::{ChannelPolicies, ChannelPolicy};
use nextrush::message::Timestamp;
use nextrush::node::NodeName;
use nextrush::socket::{ConnectionId, InvalidConnectionId};
use nextrush::trace::Trace;
use nextrush::{
    AuthRejection, ChatServer, ErrorCode, Handle, LiveUpdates, Message, Socket, UserId, ws,
};
use serde::{Deserialize, Serialize};

use self::connections::{List, Listed};
pub use self::key::InspectorKey;
use self::largest::{channels, rooms};
use self::nodes::Question;
use self::sample::{Sample, Sampler};
use self::slow_readers::slow_readers;
use self::ticket::Tickets;
use crate::api_key::AUDIT;
use crate::disconnect::{Disconnected, disconnect};
use crate::loopback::only_this_machine;
use crate::no_store::NO_STORE;
use crate::others::{Answers, Nodes, Silence};
use crate::parts::{OfLive, Parts};
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::trace::TraceOf;

/// The largest body of a request.
const REQUEST_BYTES: usize = 4 * 1024;

/// The name of the live updates of the figures.
const METRICS: &str = "inspect";

/// The operators' view of an application: live figures, rooms, channels and connections on all
/// nodes, what is published in a channel, and a way to disconnect users.
///
/// ```no_run
/// # async fn example() -> Result<(), nextrush::BoxError> {
/// use nextrush::{App, ChatServer, LiveUpdates};
/// use nextrush_admin::Inspector;
///
/// let mut app: App = App::new();
/// let live = LiveUpdates::new(&app, "live");
/// let chat = ChatServer::new(&app, "chat");
/// let key = std::env::var("ADMIN_KEY")?;
/// app.merge(Inspector::new(&app, key).live(&live).chat(&chat).router());
/// Ok(app.listen(3000).await?)
/// # }
/// ```
///
/// At `/inspect/` is a page for people. It uses `/api/inspect/…` and the sockets of `/inspect` and
/// `/inspect/tail`, which the guide's page *The messages on the wire* describes. `GET
/// /api/inspect/metrics` has the figures of the last five minutes as JSON.
///
/// The key buys a ticket for ten minutes, and only that opens the other routes. A ticket holds on
/// all nodes with the same key.
///
/// The figures are a channel of live updates with the name `inspect`, so an application has one
/// inspector, and nothing else of that name.
///
/// # Several live updates or chats, or none
///
/// The lists are of all that were given, with the name of each where there are several. Without any
/// they are empty; the figures and the connections are there in any case.
///
/// # Below another path
///
/// `app.nest("/internal", inspector.router())` serves `/internal/inspect`, `/internal/api/inspect/…`
/// and so on.
#[derive(Clone, Debug)]
#[must_use = "an inspector is not there before its router is merged into the application"]
pub struct Inspector {
    parts: Parts,
    access: Access,
    has_page: bool,
}

impl Inspector {
    /// An inspector for those who have the key.
    ///
    /// # Panics
    ///
    /// Panics on a key of fewer than 32 bytes: who guesses it sees everything.
    #[track_caller]
    pub fn new(app: &impl AsRef<Handle>, key: impl Into<Secret>) -> Self {
        Self {
            parts: Parts::new(app),
            access: Access::Key(InspectorKey::new(key.into())),
            has_page: true,
        }
    }

    /// Its key, which can be changed while it serves; `None` for one [without](Self::without_key).
    #[must_use]
    pub fn key(&self) -> Option<InspectorKey> {
        match &self.access {
            Access::Open(_) => None,
            Access::Key(key) => Some(key.clone()),
        }
    }

    /// An inspector without a key, for everybody on this machine: for development, on a server that
    /// listens on a loopback address. Requests for the name of another host are refused with 403.
    ///
    /// Its tickets hold for the life of the process, unless they get
    /// [a secret](Self::ticket_secret).
    pub fn without_key(app: &impl AsRef<Handle>) -> Self {
        Self {
            parts: Parts::new(app),
            access: Access::Open(None),
            has_page: true,
        }
    }

    /// Sets a secret from which the key of tickets is derived where there is no other key, so that a
    /// ticket of one node holds on all that have the same. An inspector with a key derives it from that.
    pub fn ticket_secret(mut self, secret: impl Into<Secret>) -> Self {
        if let Access::Open(of_tickets) = &mut self.access {
            *of_tickets = Some(secret.into());
        }
        self
    }

    /// Adds live updates whose channels are shown.
    pub fn live(mut self, live: &LiveUpdates) -> Self {
        self.parts.live.push(live.clone());
        self
    }

    /// Adds a chat whose rooms are shown.
    pub fn chat(mut self, chat: &ChatServer) -> Self {
        self.parts.chats.push(chat.clone());
        self
    }

    /// Leaves out the page, for an application that has one of its own for the same routes.
    pub fn without_page(mut self) -> Self {
        self.has_page = false;
        self
    }

    /// The routes. The application is sampled each second from now on, for as long as they live.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, and when a part of the application has the name `inspect`,
    /// as another inspector.
    #[track_caller]
    pub fn router(self) -> Router {
        let metrics = LiveUpdates::builder()
            .policies(only(sample::CHANNEL))
            .build(&self.parts.app, METRICS);
        router(self.parts, metrics, self.access, self.has_page)
    }
}

/// The right to look.
#[derive(Clone, Debug)]
enum Access {
    /// Everybody on this machine, with the secret for tickets; `None` if it is random.
    Open(Option<Secret>),
    /// Everybody with the key.
    Key(InspectorKey),
}

/// The state of the routes.
#[derive(Clone)]
struct View {
    parts: Parts,
    access: Access,
    /// The tickets of an inspector without a key; one with a key has those of the key of the moment.
    open_tickets: Tickets,
    metrics: LiveUpdates,
    sampler: Arc<Sampler>,
}

fn router(parts: Parts, metrics: LiveUpdates, access: Access, has_page: bool) -> Router {
    let sampler = Sampler::start(parts.clone(), metrics.clone());
    nodes::answer(&sampler);
    let view = View {
        sampler,
        metrics,
        parts,
        open_tickets: Tickets::new(&access),
        access,
    };
    let router = Router::new()
        .route("/api/inspect/nodes", get(list_nodes))
        .route("/api/inspect/metrics", get(latest))
        .route("/api/inspect/connections", get(connections))
        .route("/api/inspect/rooms", get(rooms))
        .route("/api/inspect/channels", get(channels))
        .route("/api/inspect/slow-readers", get(slow_readers))
        .route("/api/inspect/trace", get(trace))
        .route("/api/inspect/disconnect", post(disconnect_some))
        // Of the routes alone, as in the API.
        .route_layer(DefaultBodyLimit::max(REQUEST_BYTES))
        .route_layer(middleware::from_fn_with_state(
            view.clone(),
            only_with_ticket,
        ))
        .route("/api/inspect", get(status))
        .route("/api/inspect/token", post(mint));
    let router = match view.access {
        Access::Open(_) => router.route_layer(middleware::from_fn(only_this_machine)),
        Access::Key(_) => router,
    };
    let router = router.route("/inspect/tail", ws(follow_channels));
    let router = if has_page {
        let sockets = ws(follow_metrics).layer(middleware::from_fn(page::lead_to_page));
        router.route("/inspect", sockets).merge(page::router())
    } else {
        router.route("/inspect", ws(follow_metrics))
    };
    router.with_state(view)
}

fn only(channel: &str) -> ChannelPolicies {
    ChannelPolicies::new()
        .policy(channel, ChannelPolicy::new())
        .refuse_others()
}

fn follow_metrics(socket: Socket, State(view): State<View>, request: RequestParts) {
    view.connect(&socket, &request, Ok(&view.metrics));
}

fn follow_channels(
    socket: Socket,
    State(view): State<View>,
    query: Result<Query<OfLive>, QueryRejection>,
    request: RequestParts,
) {
    view.connect(&socket, &request, OfLive::of(&query, &view.parts));
}

impl View {
    /// The tickets of the moment.
    fn tickets(&self) -> Tickets {
        match &self.access {
            Access::Open(_) => self.open_tickets.clone(),
            Access::Key(_) => Tickets::new(&self.access),
        }
    }

    /// Speaks the protocol of live updates about these channels, if the request has a ticket.
    fn connect(
        &self,
        socket: &Socket,
        request: &RequestParts,
        channels: Result<&LiveUpdates, Refusal>,
    ) {
        match (self.tickets().check(request), channels) {
            (Ok(ticket), Ok(channels)) => {
                ticket.limit(socket);
                let view = self.clone();
                socket.filter(move |socket: &Socket, message: &Message| {
                    view.tickets().refresh()(socket, message)
                });
                channels.connect(socket);
            }
            (Ok(_), Err(refusal)) => refusal.close(socket),
            (Err(rejection), _) => rejection.reject(socket),
        }
    }
}

async fn only_with_ticket(
    State(view): State<View>,
    request: Request,
    next: Next,
) -> Result<Response, AuthRejection> {
    let (parts, body) = request.into_parts();
    view.tickets().check(&parts)?;
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
    State(view): State<View>,
    request: RequestParts,
) -> Result<impl IntoResponse, Refusal> {
    if let Access::Key(key) = &view.access
        && !key.is_bearer_of(&request.headers)
    {
        // At debug, since strangers could fill the log.
        tracing::debug!(target: AUDIT, who = "nobody", "a sign-in without the admin key");
        return Err(Refusal::wrong_key(&request.headers, "Invalid admin key"));
    }
    audit("sign-in", "", &Ok(()));
    let (token, expires_at) = view.tickets().mint().map_err(|error| {
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
        node: view.parts.app.node().to_string(),
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

async fn trace(
    State(View { parts, .. }): State<View>,
    query: Result<Query<TraceOf>, QueryRejection>,
) -> Result<Json<Trace>, Refusal> {
    let Query(of) = query?;
    parts.trace(of).await
}

#[derive(Serialize)]
struct Connections {
    #[serde(flatten)]
    listed: Listed,
    #[serde(flatten)]
    silence: Silence,
}

async fn connections(
    State(View { parts, sampler, .. }): State<View>,
    query: Result<Query<List>, QueryRejection>,
) -> Result<Json<Connections>, Refusal> {
    let Query(list) = query?;
    let mut nodes = Nodes::named(list.node.as_deref())?;
    if let Some(after) = &list.after {
        after.parse::<ConnectionId>()?;
        if let Nodes::All = nodes {
            nodes = Nodes::One(parts.app.node().clone());
        }
    }
    let question = Question::Connections(list.clone());
    let Answers { answers, silence } = sampler.ask(&nodes, &question).await?;
    Ok(Json(Connections {
        listed: list.joined(answers),
        silence,
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Disconnect {
    user_id: Option<GivenUserId>,
    connection_id: Option<String>,
    /// The node of the connection; this one without it.
    node: Option<String>,
}

/// Writes what an operator did into the audit log.
fn audit<T>(action: &str, on: &str, done: &Result<T, &Refusal>) {
    let result = match done {
        Ok(_) => "ok",
        Err(refusal) => refusal.code().as_str(),
    };
    tracing::info!(target: AUDIT, who = "operator", action, ?on, result, "inspector");
}

async fn disconnect_some(
    State(view): State<View>,
    body: Result<Json<Disconnect>, JsonRejection>,
) -> Result<Json<Disconnected>, Refusal> {
    let Json(whom) = body?;
    let on = match (&whom.user_id, &whom.connection_id) {
        (Some(GivenUserId::Text(user)), _) => format!("user {user}"),
        (Some(GivenUserId::Number(user)), _) => format!("user {user}"),
        (_, Some(connection)) => format!("connection {connection}"),
        _ => String::new(),
    };
    let done = disconnect_whom(view, whom).await;
    audit("disconnect", &on, &done.as_ref());
    done
}

async fn disconnect_whom(
    View { parts, sampler, .. }: View,
    whom: Disconnect,
) -> Result<Json<Disconnected>, Refusal> {
    let Disconnect {
        user_id,
        connection_id,
        node,
    } = whom;
    Ok(Json(match (user_id, connection_id) {
        (Some(user), None) => disconnect(&parts.app, &UserId::try_from(user)?).await,
        (None, Some(id)) => {
            let connection = id.parse::<ConnectionId>()?.into();
            let node = match Nodes::named(node.as_deref())? {
                Nodes::One(node) => node,
                Nodes::All => parts.app.node().clone(),
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
