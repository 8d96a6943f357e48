//! Publishing to channels.

use std::borrow::Cow;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nextrush::broker::{BrokerError, CommandKey, Published};
use nextrush::live::{Encoding, PublishOptions};
use nextrush::topic::PublishError;
use nextrush::{ErrorCode, LiveUpdates};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tracing::{Instrument as _, Span};

use super::Api;
use super::trace_context::TraceContext;
use crate::api_key::{Action, Caller};
use crate::parts::Parts;
use crate::refusal::Refusal;

/// The target of the line that the log has for each publication of another server, at debug.
const PUBLICATIONS: &str = "nextrush::publications";

/// The longest data of a publication in bytes, as JSON or decoded: as long as a client's message.
const DATA_BYTES: usize = 64 * 1024;
/// The most channels of one broadcast.
const CHANNELS: usize = 100;
/// The longest key of a request or of a version in bytes.
const KEY_BYTES: usize = 255;

// The name is in answers to bodies that are no object.
#[derive(Deserialize)]
#[serde(rename = "Publication")]
pub(super) struct Publish {
    live: Option<String>,
    channel: String,
    data: Box<RawValue>,
    encoding: Option<Encoding>,
    version: Option<u64>,
    key: Option<String>,
}

/// The position of a publication.
#[derive(Serialize)]
pub(super) struct Place {
    epoch: String,
    offset: u64,
    /// True for a repeat, which was not published again.
    repeated: bool,
    /// True if there was a publication of the same or a higher version, and nothing was published.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    outdated: bool,
}

impl From<Published> for Place {
    fn from(published: Published) -> Self {
        let position = published.position;
        Self {
            epoch: position.epoch.to_string(),
            offset: position.offset,
            repeated: published.is_repeat,
            outdated: published.is_outdated,
        }
    }
}

pub(super) async fn publish(
    State(Api { parts, .. }): State<Api>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Result<Json<Publish>, JsonRejection>,
) -> Result<Json<Place>, Refusal> {
    let Json(publish) = body?;
    let channel = publish.channel.clone();
    let published = publish_one(&parts, &caller, &headers, publish).await;
    caller.audit(Action::Publish, &channel, &published);
    published
}

async fn publish_one(
    parts: &Parts,
    caller: &Caller,
    headers: &HeaderMap,
    publish: Publish,
) -> Result<Json<Place>, Refusal> {
    let Publish {
        live,
        channel,
        data,
        encoding,
        version,
        key,
    } = publish;
    caller.may(Action::Publish)?;
    caller.touches(&channel)?;
    let data = Data::new(data, encoding)?;
    let live = parts.live(live.as_deref())?;
    let options = options(headers, version, key.as_deref())?;
    let span = span_of(headers);
    let published = publish_to(live, &channel, &data, options);
    Ok(Json(published.instrument(span).await?))
}

async fn publish_to(
    live: &LiveUpdates,
    channel: &str,
    data: &Data,
    options: PublishOptions,
) -> Result<Place, Refusal> {
    data.check_size()?;
    let published = match data {
        Data::Json(json) => live.publish_with(channel, json, options).await?,
        Data::Bytes(bytes) => live.publish_bytes_with(channel, bytes, options).await?,
    };
    tracing::debug!(
        target: PUBLICATIONS,
        topic = format!("live/{}/{channel}", live.name()),
        position = %published.position,
        repeated = published.is_repeat,
        outdated = published.is_outdated,
        "published for another server"
    );
    Ok(published.into())
}

/// The span of the trace that a request belongs to; none without one.
fn span_of(headers: &HeaderMap) -> Span {
    TraceContext::of(headers).map_or_else(Span::none, |trace| trace.span())
}

/// The data of a publication.
enum Data {
    Json(Box<RawValue>),
    Bytes(Vec<u8>),
}

impl Data {
    fn new(data: Box<RawValue>, encoding: Option<Encoding>) -> Result<Self, Refusal> {
        match encoding {
            None => Ok(Self::Json(data)),
            Some(Encoding::Base64) => serde_json::from_str::<String>(data.get())
                .map_err(|_| Refusal::invalid("data in an encoding is a text"))
                .and_then(|text| {
                    STANDARD
                        .decode(text)
                        .map_err(|error| Refusal::invalid(format!("data is no base64: {error}")))
                })
                .map(Self::Bytes),
            Some(_) => Err(Refusal::invalid("the encoding is not known")),
        }
    }

    fn check_size(&self) -> Result<(), Refusal> {
        let (bytes, of) = match self {
            Self::Json(json) => (json.get().len(), " of JSON"),
            Self::Bytes(bytes) => (bytes.len(), ""),
        };
        if bytes <= DATA_BYTES {
            return Ok(());
        }
        let message = format!("data has at most {DATA_BYTES} bytes{of}");
        let status = StatusCode::BAD_REQUEST;
        Err(Refusal::new(status, ErrorCode::TooLarge, message))
    }
}

/// The conditions of a request to publish.
fn options(
    headers: &HeaderMap,
    version: Option<u64>,
    key: Option<&str>,
) -> Result<PublishOptions, Refusal> {
    let mut options = PublishOptions::new();
    if let Some(key) = idempotency_key(headers)? {
        options = options.once(key);
    }
    if let Some(version) = version {
        if version == 0 {
            return Err(Refusal::invalid("a version is a number from 1"));
        }
        options = options.version(version);
    }
    match key {
        Some(_) if version.is_none() => Err(Refusal::invalid("a key is that of a version")),
        Some(key) if key.is_empty() || key.len() > KEY_BYTES => {
            let message = format!("the key of a version has 1 to {KEY_BYTES} bytes");
            Err(Refusal::invalid(message))
        }
        Some(key) => CommandKey::try_from(key)
            .map(|key| options.key(key))
            .map_err(|error| Refusal::invalid(error.to_string())),
        None => Ok(options),
    }
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
pub(super) struct Broadcast {
    live: Option<String>,
    channels: Vec<String>,
    data: Box<RawValue>,
    encoding: Option<Encoding>,
    version: Option<u64>,
    key: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Results {
    results: Vec<ChannelResult>,
}

#[derive(Serialize)]
pub(super) struct ChannelResult {
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
pub(super) async fn broadcast(
    State(Api { parts, .. }): State<Api>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Result<Json<Broadcast>, JsonRejection>,
) -> Result<Json<Results>, Refusal> {
    let Json(Broadcast {
        live,
        channels,
        data,
        encoding,
        version,
        key,
    }) = body?;
    if let Err(refusal) = caller.may(Action::Publish) {
        let refused: Result<(), _> = Err(refusal);
        caller.audit(Action::Publish, "broadcast", &refused);
        refused?;
    }
    let data = Data::new(data, encoding)?;
    let live = parts.live(live.as_deref())?;
    if channels.len() > CHANNELS {
        let message = format!("a broadcast goes to {CHANNELS} channels at most");
        return Err(Refusal::invalid(message));
    }
    let options = options(&headers, version, key.as_deref())?;
    let span = span_of(&headers);
    let mut results = Vec::with_capacity(channels.len());
    for channel in channels {
        let published = match caller.touches(&channel) {
            Ok(()) => {
                publish_to(live, &channel, &data, options.clone())
                    .instrument(span.clone())
                    .await
            }
            Err(refusal) => Err(refusal),
        };
        caller.audit(Action::Publish, &channel, &published);
        results.push(ChannelResult::new(channel, published));
    }
    Ok(Json(Results { results }))
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

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

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
