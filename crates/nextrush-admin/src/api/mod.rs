//! The HTTP API for other servers: publishing, history, presence, disconnecting, tickets.

mod backup;
mod history;
mod publish;
mod purge;
mod tokens;
mod trace_context;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use nextrush::auth::GivenUserId;
use nextrush::live::PresenceSnapshot;
use nextrush::room::RoomName;
use nextrush::topic::PublishError;
use nextrush::trace::Trace;
use nextrush::{ChatServer, Handle, LiveUpdates, Socket, UserId, ws};
use serde::Deserialize;

use self::backup::back_up;
use self::history::history;
use self::publish::{broadcast, publish};
use self::purge::purge;
use self::tokens::{revoke, ticket};
use crate::api_key::{Action, ApiKey, ApiKeys, Caller};
use crate::channels::ChannelList;
use crate::disconnect::{Disconnected, disconnect};
use crate::parts::{OfLive, Parts};
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::trace::TraceOf;

/// The largest body of a request: the data of a publication, and as much again around it.
const BODY_BYTES: usize = 128 * 1024;

/// The routes that ask what a key may do.
const RESTRICTED: [&str; 11] = [
    "publish",
    "broadcast",
    "history",
    "presence",
    "channels",
    "disconnect",
    "purge",
    "trace",
    "ticket",
    "revoke",
    "backup",
];

const OPENAPI: &str = include_str!("../../schema/openapi.json");

/// An HTTP API for other servers, below `/api/v1`: they publish to channels, read histories and
/// members, list channels, disconnect users and revoke their tokens, issue tickets, and delete what
/// was published. Each request has a key, as `Authorization: Bearer <key>`. What keys did is in the
/// log with the target `nextrush::audit`: publishing and reading at `debug`, everything else, and
/// what a key may not do, at `info`.
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
    keys: ApiKeys,
    backup_dir: Option<PathBuf>,
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
            keys: ApiKeys::new([ApiKey::new("api-key", key)]),
            backup_dir: None,
        }
    }

    /// An API for those who have one of these keys, each of which may do what it is allowed to. Requests for more
    /// are refused with 403 and `forbidden`.
    pub fn with_keys(app: &impl AsRef<Handle>, keys: &ApiKeys) -> Self {
        Self {
            parts: Parts::new(app),
            keys: keys.clone(),
            backup_dir: None,
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

    /// Sets the directory for backups of the broker's store: without one `POST /api/v1/backup` makes
    /// none. It is made with the first backup. Each backup is a directory with a store, named by its
    /// time as `nextrush-2026-11-29T081000.123Z`.
    pub fn backup_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.backup_dir = Some(directory.into());
        self
    }

    /// The routes below `/api/v1`.
    pub fn router(self) -> Router {
        router(Api {
            parts: self.parts,
            keys: self.keys,
            backup_dir: self.backup_dir.map(Arc::from),
        })
    }
}

/// The state of the routes.
#[derive(Clone)]
struct Api {
    parts: Parts,
    keys: ApiKeys,
    backup_dir: Option<Arc<Path>>,
}

fn router(api: Api) -> Router {
    Router::new()
        .route("/api/v1/publish", post(publish))
        .route("/api/v1/broadcast", post(broadcast))
        .route("/api/v1/history", get(history))
        .route("/api/v1/presence", get(presence))
        .route("/api/v1/trace", get(trace))
        .route("/api/v1/channels", get(channels))
        .route("/api/v1/disconnect", post(disconnect_user))
        .route("/api/v1/ticket", post(ticket))
        .route("/api/v1/revoke", post(revoke))
        .route("/api/v1/purge", post(purge))
        .route("/api/v1/backup", post(back_up))
        // Of the routes alone: axum would give the layers of a router that is merged to what the
        // application answers where nothing is.
        .route_layer(DefaultBodyLimit::max(BODY_BYTES))
        .route_layer(middleware::from_fn_with_state(api.clone(), only_with_key))
        .route("/api/v1/live", ws(follow))
        .route("/api/v1/openapi.json", get(openapi))
        .with_state(api)
}

/// Speaks the protocol of live updates without a user.
fn follow(
    socket: Socket,
    State(Api { parts, keys, .. }): State<Api>,
    headers: HeaderMap,
    query: Result<Query<OfLive>, QueryRejection>,
) {
    let caller = match keys.of(&headers) {
        Ok(caller) => caller,
        Err(refusal) => return refusal.close(&socket),
    };
    let allowed = caller.may_everywhere(Action::Read);
    let followed = allowed.and_then(|()| OfLive::of(&query, &parts));
    caller.audit(Action::Read, "/api/v1/live", &followed);
    match followed {
        Ok(live) => {
            caller.limit(&socket);
            live.connect(&socket);
        }
        Err(refusal) => refusal.close(&socket),
    }
}

async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}

async fn only_with_key(
    State(api): State<Api>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let caller = api.keys.of(request.headers())?;
    let path = request.uri().path().to_owned();
    let route = path.rsplit('/').next().unwrap_or_default();
    // A route that knows nothing of restrictions is for keys that have none.
    let is_known = RESTRICTED.contains(&route);
    if caller.is_restricted() && !is_known {
        return Err(caller.refused(&path));
    }
    request.extensions_mut().insert(caller.clone());
    let response = next.run(request).await;
    if !is_known {
        caller.audit_other(route, response.status());
    }
    Ok(response)
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
    Extension(caller): Extension<Caller>,
    query: Result<Query<PresenceOf>, QueryRejection>,
) -> Result<Json<PresenceSnapshot>, Refusal> {
    let Query(query) = query?;
    let read = members(&parts, &caller, &query).await;
    caller.audit(Action::Read, &query.channel, &read);
    read
}

async fn members(
    parts: &Parts,
    caller: &Caller,
    query: &PresenceOf,
) -> Result<Json<PresenceSnapshot>, Refusal> {
    let PresenceOf {
        live,
        channel,
        after,
    } = query;
    caller.may(Action::Read)?;
    caller.touches(channel)?;
    let live = parts.live(live.as_deref())?;
    if RoomName::new(channel).is_err() {
        return Err(PublishError::InvalidName.into());
    }
    let members = match after {
        Some(device) => live.members_after(channel, *device).await,
        None => live.members(channel).await,
    };
    Ok(Json(members.map_err(PublishError::from)?))
}

async fn trace(
    State(Api { parts, .. }): State<Api>,
    Extension(caller): Extension<Caller>,
    query: Result<Query<TraceOf>, QueryRejection>,
) -> Result<Json<Trace>, Refusal> {
    let Query(of) = query?;
    let on = of.on();
    let allowed = caller.may(Action::Read).and_then(|()| match &of.channel {
        Some(channel) => caller.touches(channel),
        None => caller.is_for_all_channels(),
    });
    let traced = match allowed {
        Ok(()) => parts.trace(of).await,
        Err(refusal) => Err(refusal),
    };
    caller.audit(Action::Read, &on, &traced);
    traced
}

async fn channels(
    State(Api { parts, .. }): State<Api>,
    Extension(caller): Extension<Caller>,
    query: Result<Query<OfLive>, QueryRejection>,
) -> Result<Json<ChannelList>, Refusal> {
    let allowed = caller.may(Action::Read);
    let live = allowed.and_then(|()| OfLive::of(&query, &parts));
    caller.audit(Action::Read, "channels", &live);
    let mut found = live?.channels().await;
    found
        .channels
        .retain(|(channel, _)| caller.may_touch(channel));
    Ok(Json(found.into()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Disconnect {
    user_id: GivenUserId,
}

async fn disconnect_user(
    State(Api { parts, .. }): State<Api>,
    Extension(caller): Extension<Caller>,
    body: Result<Json<Disconnect>, JsonRejection>,
) -> Result<Json<Disconnected>, Refusal> {
    let Json(Disconnect { user_id }) = body?;
    let user = UserId::try_from(user_id)?;
    let done = match caller.may_everywhere(Action::Disconnect) {
        Ok(()) => Ok(Json(disconnect(&parts.app, &user).await)),
        Err(refusal) => Err(refusal),
    };
    caller.audit(Action::Disconnect, &format!("user {user}"), &done);
    done
}
