//! The HTTP API for other servers: publishing from outside, and looking in.

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Extension, Query, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use nextrush::{
    App, CommandKey, ErrorCode, ErrorMessage, Handle, HistoryQuery, LiveUpdates, PresenceSnapshot,
    PublishError, Published, Socket, Timestamp, UserId,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::secret::Secret;

/// The largest body of a request: the data of a publication, and as much again around it.
const BODY_BYTES: usize = 128 * 1024;
/// The longest data of a publication in bytes of JSON, as long as a client's message.
const DATA_BYTES: usize = 64 * 1024;
/// The most channels of one broadcast.
const CHANNELS: usize = 100;
/// How many publications of a history are answered unless fewer are asked for.
const HISTORY: usize = 100;
/// The most that can be asked for.
const HISTORY_LIMIT: usize = 1000;
/// The longest idempotency key in bytes.
const KEY_BYTES: usize = 255;

/// What is told to whoever has not the key.
const WRONG_KEY: &str = "Invalid API key";

const OPENAPI: &str = include_str!("../../schema/openapi.json");

/// Adds the routes below `/api/v1`, for whoever has the key.
pub(crate) fn add(app: &mut App, live: LiveUpdates, key: Secret) {
    add_socket(app, live.clone(), key.clone());
    let router = Router::new()
        .route("/api/v1/publish", post(publish))
        .route("/api/v1/broadcast", post(broadcast))
        .route("/api/v1/history", get(history))
        .route("/api/v1/presence", get(presence))
        .route("/api/v1/channels", get(channels))
        .route("/api/v1/disconnect", post(disconnect))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(Extension(live))
        .layer(middleware::from_fn(move |request, next| {
            only_with(key.clone(), request, next)
        }))
        .route("/api/v1/openapi.json", get(openapi));
    app.merge(router);
}

/// A socket that speaks the protocol of live updates, and is no user.
fn add_socket(app: &mut App, live: LiveUpdates, key: Secret) {
    app.ws("/api/v1/live", move |socket: Socket, headers: HeaderMap| {
        if key.is_bearer_of(&headers) {
            live.connect(&socket);
        } else {
            socket.send(ErrorMessage::new(ErrorCode::InvalidToken, WRONG_KEY));
            socket.close(1008, WRONG_KEY);
        }
    });
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn only_with(key: Secret, request: Request, next: Next) -> Response {
    if key.is_bearer_of(request.headers()) {
        return next.run(request).await;
    }
    let refusal = ErrorMessage::new(ErrorCode::InvalidToken, WRONG_KEY);
    (StatusCode::UNAUTHORIZED, Json(refusal)).into_response()
}

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Json(#[from] JsonRejection),
    #[error(transparent)]
    Query(#[from] QueryRejection),
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl Refusal {
    fn code(&self, status: StatusCode) -> ErrorCode {
        match self {
            Self::Invalid(_) | Self::Publish(PublishError::Data(_)) => ErrorCode::InvalidFormat,
            Self::Publish(PublishError::InvalidName) => ErrorCode::InvalidName,
            Self::Json(_) | Self::Query(_) | Self::Publish(_) => ErrorCode::of_status(status),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Json(rejection) => rejection.status(),
            Self::Query(rejection) => rejection.status(),
            Self::Invalid(_) | Self::Publish(PublishError::InvalidName | PublishError::Data(_)) => {
                StatusCode::BAD_REQUEST
            }
            Self::Publish(error) => {
                tracing::error!(%error, "the HTTP API cannot reach the broker");
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        (
            status,
            Json(ErrorMessage::new(self.code(status), self.to_string())),
        )
            .into_response()
    }
}

#[derive(Deserialize)]
struct Publication {
    channel: String,
    data: Box<RawValue>,
}

/// Where a publication is.
#[derive(Serialize)]
struct Place {
    epoch: String,
    offset: u64,
    /// Whether it was there already.
    repeated: bool,
}

impl From<Published> for Place {
    fn from(published: Published) -> Self {
        Self {
            epoch: published.position.epoch.to_string(),
            offset: published.position.offset,
            repeated: published.is_repeat,
        }
    }
}

async fn publish(
    Extension(live): Extension<LiveUpdates>,
    headers: HeaderMap,
    body: Result<Json<Publication>, JsonRejection>,
) -> Result<Json<Place>, Refusal> {
    let Json(Publication { channel, data }) = body?;
    let key = idempotency_key(&headers)?;
    Ok(Json(publish_to(&live, &channel, &data, key).await?))
}

async fn publish_to(
    live: &LiveUpdates,
    channel: &str,
    data: &RawValue,
    key: Option<CommandKey>,
) -> Result<Place, Refusal> {
    if data.get().len() > DATA_BYTES {
        let message = format!("data has at most {DATA_BYTES} bytes of JSON");
        return Err(Refusal::Invalid(message));
    }
    match key {
        Some(key) => Ok(live.publish_once(channel, data, key).await?.into()),
        None => {
            let position = live.publish(channel, data).await?;
            Ok(Place {
                epoch: position.epoch.to_string(),
                offset: position.offset,
                repeated: false,
            })
        }
    }
}

/// The key under which a repeat of the request is recognised.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<CommandKey>, Refusal> {
    let Some(key) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let invalid = || {
        let message = format!("an idempotency key has 1 to {KEY_BYTES} visible characters");
        Refusal::Invalid(message)
    };
    let key = key.to_str().map_err(|_| invalid())?;
    if key.is_empty() || key.len() > KEY_BYTES {
        return Err(invalid());
    }
    // Apart from the commands of users, whose keys begin otherwise.
    let key = CommandKey::try_from(&*format!("api/{key}"));
    key.map(Some).map_err(|_| invalid())
}

#[derive(Deserialize)]
struct Broadcast {
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
    error: Option<String>,
}

/// Publishes to each channel by itself: one that fails does not keep the others.
async fn broadcast(
    Extension(live): Extension<LiveUpdates>,
    headers: HeaderMap,
    body: Result<Json<Broadcast>, JsonRejection>,
) -> Result<Json<Results>, Refusal> {
    let Json(Broadcast { channels, data }) = body?;
    if channels.len() > CHANNELS {
        let message = format!("a broadcast goes to {CHANNELS} channels at most");
        return Err(Refusal::Invalid(message));
    }
    let key = idempotency_key(&headers)?;
    let mut results = Vec::with_capacity(channels.len());
    for channel in channels {
        let published = publish_to(&live, &channel, &data, key.clone()).await;
        let (place, error) = match published {
            Ok(place) => (Some(place), None),
            Err(error) => (None, Some(error.to_string())),
        };
        results.push(ChannelResult {
            channel,
            place,
            error,
        });
    }
    Ok(Json(Results { results }))
}

#[derive(Deserialize)]
struct HistoryOf {
    channel: String,
    limit: Option<usize>,
    /// The oldest after this offset, instead of the newest.
    after: Option<u64>,
}

#[derive(Serialize)]
struct Kept {
    epoch: String,
    offset: u64,
    publications: Vec<Update>,
}

#[derive(Serialize)]
struct Update {
    offset: u64,
    timestamp: Timestamp,
    data: Box<RawValue>,
}

async fn history(
    Extension(live): Extension<LiveUpdates>,
    query: Result<Query<HistoryOf>, QueryRejection>,
) -> Result<Json<Kept>, Refusal> {
    let Query(query) = query?;
    let limit = query.limit.unwrap_or(HISTORY).min(HISTORY_LIMIT);
    let read = match query.after {
        Some(offset) => HistoryQuery::After { offset, limit },
        None => HistoryQuery::Latest(limit),
    };
    let history = live.history(&query.channel, read).await?;
    let update = |publication: &std::sync::Arc<nextrush::Publication>| {
        Ok(Update {
            offset: publication.offset,
            timestamp: Timestamp::from_unix_ms(publication.time_ms),
            data: serde_json::from_slice(&publication.data)?,
        })
    };
    let publications: Result<_, serde_json::Error> =
        history.publications.iter().map(update).collect();
    Ok(Json(Kept {
        epoch: history.position.epoch.to_string(),
        offset: history.position.offset,
        publications: publications.map_err(PublishError::Data)?,
    }))
}

#[derive(Deserialize)]
struct PresenceOf {
    channel: String,
}

async fn presence(
    Extension(live): Extension<LiveUpdates>,
    query: Result<Query<PresenceOf>, QueryRejection>,
) -> Result<Json<PresenceSnapshot>, Refusal> {
    let Query(PresenceOf { channel }) = query?;
    Ok(Json(live.members(&channel)))
}

#[derive(Serialize)]
struct Channels {
    channels: Vec<InUse>,
}

#[derive(Serialize)]
struct InUse {
    channel: String,
    subscribers: usize,
}

async fn channels(Extension(live): Extension<LiveUpdates>) -> Json<Channels> {
    let channels = live.channels().into_iter();
    let in_use = channels.map(|(channel, subscribers)| InUse {
        channel,
        subscribers,
    });
    Json(Channels {
        channels: in_use.collect(),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Disconnect {
    user_id: UserId,
}

#[derive(Serialize)]
struct Disconnected {
    disconnected: usize,
}

/// Closes all sockets of a user with 1008. A token that is still valid lets it come back.
async fn disconnect(
    app: Handle,
    body: Result<Json<Disconnect>, JsonRejection>,
) -> Result<Json<Disconnected>, Refusal> {
    let Json(Disconnect { user_id }) = body?;
    let sockets = app.user(&user_id).local_members();
    for socket in &sockets {
        socket.close(1008, "Disconnected");
    }
    Ok(Json(Disconnected {
        disconnected: sockets.len(),
    }))
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use nextrush::ChannelPolicy;
    use serde_json::{Value, json};
    use std::time::Duration;
    use tower::ServiceExt;

    use super::*;

    fn router() -> Router {
        let mut app = App::new();
        let policy = ChannelPolicy::new().history(9, Duration::from_secs(60));
        let channels = nextrush::Channels::new().channel("news", policy).unwrap();
        let live = LiveUpdates::with(app.handle(), channels);
        add(&mut app, live, Secret::from("key".to_owned()));
        app.into_router()
    }

    async fn call(router: &Router, method: &str, path: &str, body: Value) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", "Bearer key")
            .header("content-type", "application/json");
        answer(router, request.body(Body::from(body.to_string())).unwrap()).await
    }

    async fn answer(router: &Router, request: Request) -> (u16, Value) {
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    #[tokio::test]
    async fn what_is_published_is_in_the_history() {
        let router = router();
        for number in 1..=3 {
            let body = json!({ "channel": "news", "data": { "n": number } });
            let (status, place) = call(&router, "POST", "/api/v1/publish", body).await;
            assert_eq!((status, &place["offset"]), (200, &json!(number)));
            assert_eq!(place["repeated"], false);
        }
        let get = async |query: &str| {
            let path = format!("/api/v1/history?channel=news{query}");
            let (status, kept) = call(&router, "GET", &path, Value::Null).await;
            assert_eq!((status, &kept["offset"]), (200, &json!(3)));
            let publications = kept["publications"].as_array().unwrap().iter();
            let numbers = publications.map(|kept| kept["data"]["n"].as_u64().unwrap());
            numbers.collect::<Vec<u64>>()
        };
        assert_eq!(get("").await, [1, 2, 3]);
        assert_eq!(get("&limit=1").await, [3]);
        assert_eq!(get("&after=1").await, [2, 3]);
        assert_eq!(get("&after=0&limit=1").await, [1]);
    }

    #[tokio::test]
    async fn a_request_with_the_same_idempotency_key_publishes_once() {
        let router = router();
        let publish = async |key: &str| {
            let body = json!({ "channel": "news", "data": 1 }).to_string();
            let request = Request::builder()
                .method("POST")
                .uri("/api/v1/publish")
                .header("authorization", "Bearer key")
                .header("content-type", "application/json")
                .header("idempotency-key", key);
            answer(&router, request.body(Body::from(body)).unwrap()).await
        };
        let (_, first) = publish("a").await;
        assert_eq!(first["repeated"], false);
        let (_, again) = publish("a").await;
        assert_eq!(again["repeated"], true);
        assert_eq!(again["offset"], first["offset"]);
        assert_eq!(publish("b").await.1["offset"], 2);
        assert_eq!(publish("").await.0, 400);
        assert_eq!(publish(&"x".repeat(256)).await.0, 400);
    }

    #[tokio::test]
    async fn a_broadcast_says_what_came_of_each_channel() {
        let router = router();
        let body = json!({ "channels": ["news", "", "more"], "data": [] });
        let (status, answer) = call(&router, "POST", "/api/v1/broadcast", body).await;
        assert_eq!(status, 200);
        let results = answer["results"].as_array().unwrap();
        assert_eq!(results[0]["offset"], 1);
        assert_eq!(results[1]["error"], "invalid channel name");
        assert_eq!(results[2]["offset"], 1);
        let many = json!({ "channels": vec!["a"; 101], "data": 1 });
        let (status, _) = call(&router, "POST", "/api/v1/broadcast", many).await;
        assert_eq!(status, 400);
    }

    #[tokio::test]
    async fn without_the_key_nothing_is_answered() {
        let router = router();
        for given in [None, Some("Bearer "), Some("Bearer kez"), Some("key")] {
            for path in ["/api/v1/channels", "/api/v1/history?channel=a"] {
                let mut request = Request::builder().uri(path);
                if let Some(given) = given {
                    request = request.header("authorization", given);
                }
                let (status, body) = answer(&router, request.body(Body::empty()).unwrap()).await;
                assert_eq!(status, 401, "{given:?}");
                assert_eq!(body["message"], "Invalid API key");
            }
        }
    }

    #[tokio::test]
    async fn what_does_not_fit_is_refused() {
        let router = router();
        for (path, body, expected) in [
            ("publish", json!({ "channel": "", "data": 1 }), 400),
            ("publish", json!({ "channel": "a\n", "data": 1 }), 400),
            ("publish", json!({ "channel": "a" }), 422),
            (
                "publish",
                json!({ "channel": "a", "data": "x".repeat(65_536) }),
                400,
            ),
            (
                "publish",
                json!({ "channel": "a", "data": "x".repeat(200_000) }),
                413,
            ),
            ("disconnect", json!({ "userId": {} }), 422),
        ] {
            let (status, body) = call(&router, "POST", &format!("/api/v1/{path}"), body).await;
            assert_eq!(status, expected, "{body}");
        }
        let (status, _) = call(&router, "GET", "/api/v1/history?limit=1", Value::Null).await;
        assert_eq!(status, 400);
        let path = "/api/v1/history?channel=a&after=-1";
        assert_eq!(call(&router, "GET", path, Value::Null).await.0, 400);
        let user = json!({ "userId": "nobody" });
        let (status, answer) = call(&router, "POST", "/api/v1/disconnect", user).await;
        assert_eq!((status, answer), (200, json!({ "disconnected": 0 })));
    }

    #[tokio::test]
    async fn the_description_names_every_route() {
        let (status, description) = answer(
            &router(),
            Request::builder()
                .uri("/api/v1/openapi.json")
                .body(Body::empty())
                .unwrap(),
        )
        .await;
        assert_eq!(status, 200);
        let paths = description["paths"].as_object().unwrap();
        let names: Vec<&str> = paths.keys().map(String::as_str).collect();
        let expected = [
            "/api/v1/broadcast",
            "/api/v1/channels",
            "/api/v1/disconnect",
            "/api/v1/history",
            "/api/v1/presence",
            "/api/v1/publish",
        ];
        assert_eq!(names, expected);
    }
}
