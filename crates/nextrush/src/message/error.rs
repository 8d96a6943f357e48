//! The error message that clients get.

use std::borrow::Cow;
use std::time::Duration;

use nextrush_broker::BrokerError;
use serde::{Deserialize, Serialize};

use crate::message::{ErrorCode, Outgoing};

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
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "type", rename = "error")]
pub struct ErrorMessage {
    message: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<String>,
    code: Cow<'static, str>,
    #[serde(rename = "retryAfterMs", skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

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
        }
    }

    /// Adds the exact cause.
    #[must_use]
    pub fn details(mut self, details: impl Into<String>) -> Self {
        self.details = Some(details.into());
        self
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

impl From<ErrorMessage> for Outgoing {
    fn from(error: ErrorMessage) -> Self {
        Self::json(&error).expect("an error message has string keys only")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
