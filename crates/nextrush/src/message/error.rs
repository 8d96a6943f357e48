//! The error message that clients get.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use nextrush_broker::BrokerError;
use serde::{Deserialize, Serialize};

use crate::message::{ErrorCode, Outgoing, Refused};

/// The message that tells a client of an error: `{"type":"error","message":…,"code":…}`,
/// with `details` and `retryAfterMs` where they are known.
///
/// The text is for people and the code for programs: an [`ErrorCode`], or
/// a text of the application's own.
///
/// ```
/// use nextrush::{ErrorCode, ErrorMessage, Socket};
///
/// fn refuse(socket: &Socket) {
///     socket.send(ErrorMessage::new(ErrorCode::RateLimited, "Rate limit exceeded"));
///     socket.send(ErrorMessage::new("board-full", "The board is full"));
/// }
/// ```
///
/// It is an error like any other: a function that returns a [`BoxError`](crate::BoxError) may fail with a message that
/// is meant for the client, and with a `?` on anything else. Where that becomes an `ErrorMessage`
/// again it is the same message. Any other error becomes [`Internal`](ErrorCode::Internal), with the error as
/// its [`source`](Error::source), which is logged and which no client sees.
///
/// ```
/// use nextrush::{BoxError, ErrorMessage};
///
/// fn place_of(text: &str) -> Result<u8, BoxError> {
///     let place = text.parse()?;
///     if place > 9 {
///         return Err(ErrorMessage::new("board-full", "The board is full").into());
///     }
///     Ok(place)
/// }
///
/// let code = |text| {
///     let error: ErrorMessage = place_of(text).unwrap_err().into();
///     serde_json::to_value(error).unwrap()["code"].clone()
/// };
/// assert_eq!(code("10"), "board-full");
/// assert_eq!(code("ten"), "internal");
/// ```
///
/// As the response of an HTTP route it is the same JSON, with the status that fits its code, 400 for
/// those of the application's own, and with `Retry-After` where it says when to come again. A
/// source is logged.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "type", rename = "error")]
pub struct ErrorMessage {
    message: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<String>,
    code: Cow<'static, str>,
    #[serde(rename = "retryAfterMs", skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip)]
    cause: Cause,
}

/// The same as [`crate::BoxError`], whose module knows this one.
type BoxError = Box<dyn Error + Send + Sync>;

/// The error for which a client is told nothing but `internal`.
#[derive(Clone, Debug, Default)]
struct Cause(Option<Arc<dyn Error + Send + Sync>>);

/// Messages are the same if clients cannot tell them apart.
impl PartialEq for Cause {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Cause {}

/// The fields of an error message, for a message of another type that has a reason.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorFields<'a> {
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a str>,
    code: &'a str,
    #[serde(rename = "retryAfterMs", skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl ErrorMessage {
    /// An error with a code for programs and a text for people.
    #[must_use]
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            message: message.into(),
            details: None,
            code: code.into(),
            retry_after_ms: None,
            cause: Cause::default(),
        }
    }

    /// The word to a client where the application failed, and the reason for the log.
    fn internal(cause: BoxError) -> Self {
        let message = Self::new(ErrorCode::Internal, "Internal error");
        Self {
            cause: Cause(Some(cause.into())),
            ..message
        }
    }

    /// Adds the exact cause.
    #[must_use]
    pub fn details(mut self, details: impl Into<String>) -> Self {
        self.details = Some(details.into());
        self
    }

    /// The code for programs.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    pub(crate) fn fields(&self) -> ErrorFields<'_> {
        ErrorFields {
            message: &self.message,
            details: self.details.as_deref(),
            code: &self.code,
            retry_after_ms: self.retry_after_ms,
        }
    }

    /// The answer to a command of which the broker did not say what became of it.
    pub(crate) fn in_doubt(error: &BrokerError) -> Self {
        Self::new(ErrorCode::InDoubt, "The outcome is unknown").advised(error)
    }

    /// The refusal of something at which the broker failed: `not-stored` if it is full, otherwise
    /// `unavailable`.
    pub(crate) fn of_broker(message: impl Into<Cow<'static, str>>, error: &BrokerError) -> Self {
        let code = match error {
            BrokerError::Full(_) => ErrorCode::NotStored,
            _ => ErrorCode::Unavailable,
        };
        Self::new(code, message).advised(error)
    }

    /// Adds how long to wait after a failure of the broker, where that helps.
    pub(crate) fn advised(mut self, error: &BrokerError) -> Self {
        let advice = error.retry_after();
        self.retry_after_ms =
            advice.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// The code, unless it is one of the application's own.
    pub(crate) fn known_code(&self) -> Option<ErrorCode> {
        let mut known = ErrorCode::ALL.iter().copied();
        known.find(|code| code.as_str() == self.code)
    }

    /// The time after which the same message may come again, if that helps: nothing was done.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.retry_after_ms.map(Duration::from_millis)
    }

    /// Adds how long to wait before the next try, in milliseconds. It says that nothing was done: the
    /// JavaScript client then sends the same message again by itself.
    #[must_use]
    pub fn retry_after_ms(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }
}

/// The code's own words as the text, `rate limited`: for people who will read the code anyway.
impl From<ErrorCode> for ErrorMessage {
    fn from(code: ErrorCode) -> Self {
        Self::new(code, code.as_str().replace('-', " "))
    }
}

/// The text for people.
impl fmt::Display for ErrorMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for ErrorMessage {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let cause = self.cause.0.as_ref()?;
        Some(&**cause)
    }
}

/// The message that the error is, or [`ErrorCode::Internal`] with the error as its source.
impl From<BoxError> for ErrorMessage {
    fn from(error: BoxError) -> Self {
        match error.downcast() {
            Ok(message) => *message,
            Err(error) => Self::internal(error),
        }
    }
}

impl IntoResponse for ErrorMessage {
    fn into_response(self) -> Response {
        let status = self
            .known_code()
            .map_or(StatusCode::BAD_REQUEST, ErrorCode::to_status);
        if let Some(error) = self.source() {
            tracing::error!(error, "a request failed");
        }
        let mut response = (status, Json(&self)).into_response();
        response.extensions_mut().insert(Refused::of(&self.code));
        if let Some(ms) = self.retry_after_ms {
            let seconds = HeaderValue::from(ms.div_ceil(1000));
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        response
    }
}

impl From<ErrorMessage> for Outgoing {
    fn from(error: ErrorMessage) -> Self {
        Self::json(&error)
            .expect("an error message has string keys only")
            .refusing(&error.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_message_is_a_response_whose_status_fits_its_code() {
        for (code, status) in [
            ("board-full", 400),
            ("not-found", 404),
            ("forbidden", 403),
            ("invalid-format", 422),
            ("internal", 500),
            ("unavailable", 503),
            ("not-stored", 507),
        ] {
            let response = ErrorMessage::new(code, "m").into_response();
            assert_eq!(response.status(), status, "{code}");
            assert_eq!(response.headers().get(RETRY_AFTER), None);
        }
        let later = ErrorMessage::new("full", "m").retry_after_ms(1001);
        assert_eq!(later.into_response().headers()[RETRY_AFTER], "2");
    }

    #[test]
    fn a_message_is_the_same_after_it_was_any_error_and_others_are_internal() {
        let message = ErrorMessage::new("full", "m").details("d");
        let error: BoxError = message.clone().into();
        assert_eq!(error.to_string(), "m");
        assert_eq!(ErrorMessage::from(error), message);

        let error: BoxError = "x".parse::<u8>().unwrap_err().into();
        let internal = ErrorMessage::from(error);
        assert_eq!(
            serde_json::to_string(&internal).unwrap(),
            r#"{"type":"error","message":"Internal error","code":"internal"}"#
        );
        let cause = internal.source().map(ToString::to_string);
        assert_eq!(cause.as_deref(), Some("invalid digit found in string"));
    }

    #[test]
    fn an_error_message_has_the_documented_shape() {
        let error = ErrorMessage::new("c", "m").details("d").retry_after_ms(5);
        assert_eq!(
            serde_json::to_string(&error).unwrap(),
            r#"{"type":"error","message":"m","details":"d","code":"c","retryAfterMs":5}"#
        );
        assert_eq!(
            serde_json::to_string(&ErrorMessage::new(ErrorCode::NotFound, "m")).unwrap(),
            r#"{"type":"error","message":"m","code":"not-found"}"#
        );
        assert_eq!(
            serde_json::to_string(&ErrorMessage::from(ErrorCode::NotFound)).unwrap(),
            r#"{"type":"error","message":"not found","code":"not-found"}"#
        );
    }
}
