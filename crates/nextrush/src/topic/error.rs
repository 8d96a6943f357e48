//! Errors of topics.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use nextrush_broker::BrokerError;

use crate::message::{ErrorCode, ErrorMessage};
use crate::seldom::Seldom;
use crate::socket::join::JoinError;

/// A name that no topic can have.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a topic's name has 1 to 255 bytes and no invisible characters")]
#[non_exhaustive]
pub struct InvalidTopicName;

/// The reason why something could not be published.
///
/// As the answer to a request it is an error message with a code: 400 for an invalid name, 507
/// when the store is full, 503 when the broker fails otherwise, and 500 for data that is no JSON.
/// Where another try helps, `retryAfterMs` and the header `Retry-After` say when.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The name is empty, longer than 255 bytes, or holds invisible characters.
    #[error("invalid channel name")]
    InvalidName,
    /// The data cannot be written as JSON.
    #[error("the data cannot be written as JSON")]
    Data(#[from] serde_json::Error),
    /// The broker failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl From<InvalidTopicName> for PublishError {
    fn from(_: InvalidTopicName) -> Self {
        Self::InvalidName
    }
}

static NOT_PUBLISHED: Seldom = Seldom::new();

impl IntoResponse for PublishError {
    fn into_response(self) -> Response {
        let (status, code) = match &self {
            Self::InvalidName => (StatusCode::BAD_REQUEST, ErrorCode::InvalidName),
            Self::Data(_) => (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Internal),
            Self::Broker(BrokerError::Full(_)) => {
                (StatusCode::INSUFFICIENT_STORAGE, ErrorCode::NotStored)
            }
            Self::Broker(BrokerError::InDoubt(_)) => {
                (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::InDoubt)
            }
            Self::Broker(_) => (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable),
        };
        let text = self.to_string();
        if status.is_server_error() && NOT_PUBLISHED.is_due() {
            tracing::error!(error = &self as &dyn std::error::Error, "cannot publish");
        }
        let refusal = ErrorMessage::new(code, text);
        let Self::Broker(error) = &self else {
            return (status, Json(refusal)).into_response();
        };
        let refusal = Json(refusal.advised(error));
        match error.retry_after() {
            Some(after) => {
                let seconds = HeaderValue::from(after.as_secs().max(1));
                (status, [(header::RETRY_AFTER, seconds)], refusal).into_response()
            }
            None => (status, refusal).into_response(),
        }
    }
}

/// The reason why a socket could not subscribe.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The name is empty, longer than 255 bytes, or holds invisible characters.
    #[error("invalid channel name")]
    InvalidName,
    /// The policy does not let the socket subscribe.
    #[error("the channel is not open to this client")]
    Refused(Option<Box<ErrorMessage>>),
    /// The socket has as many subscriptions as it may have.
    #[error("a socket can subscribe to {limit} channels at most")]
    TooManyChannels {
        /// The limit that was reached.
        limit: usize,
    },
    /// The socket was unsubscribed while it was being subscribed.
    #[error("the subscription was given up meanwhile")]
    GivenUp,
    /// The socket cannot be a member: it is closed, or it belongs to another
    /// application.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// The broker failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl From<InvalidTopicName> for SubscribeError {
    fn from(_: InvalidTopicName) -> Self {
        Self::InvalidName
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_publication_is_answered_with_its_status() {
        let data = serde_json::from_str::<()>("no json").unwrap_err();
        let full = BrokerError::Full("no space left".into());
        let doubt = BrokerError::InDoubt("no answer".into());
        let lost = BrokerError::Unavailable("connection lost".into());
        for (error, status, retry) in [
            (PublishError::InvalidName, 400, None),
            (PublishError::Data(data), 500, None),
            (PublishError::Broker(full), 507, None),
            (PublishError::Broker(lost), 503, Some("2")),
            (PublishError::Broker(doubt), 503, Some("2")),
        ] {
            let text = error.to_string();
            let answer = error.into_response();
            assert_eq!(answer.status(), status, "{text}");
            let after = answer.headers().get(header::RETRY_AFTER);
            assert_eq!(after.map(|after| after.to_str().unwrap()), retry, "{text}");
        }
    }
}
