//! The error message that clients get.

use serde::Serialize;

use crate::message::Outgoing;

/// `{"type":"error","message":…}`, with `details`, `code` and `retryAfterMs` where
/// they are known.
///
/// ```
/// use nextrush::{ErrorMessage, Socket};
///
/// fn refuse(socket: &Socket) {
///     socket.send(ErrorMessage::new("Rate limit exceeded"));
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "error")]
pub struct ErrorMessage {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(rename = "retryAfterMs", skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl ErrorMessage {
    /// An error with a text for people.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            details: None,
            code: None,
            retry_after_ms: None,
        }
    }

    /// Adds what exactly is wrong.
    #[must_use]
    pub fn details(mut self, details: impl Into<String>) -> Self {
        self.details = Some(details.into());
        self
    }

    /// Adds a name for programs.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Adds how long to wait before the next try, in milliseconds.
    #[must_use]
    pub fn retry_after_ms(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
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
        let error = ErrorMessage::new("m")
            .details("d")
            .code("c")
            .retry_after_ms(5);
        assert_eq!(
            serde_json::to_string(&error).unwrap(),
            r#"{"type":"error","message":"m","details":"d","code":"c","retryAfterMs":5}"#
        );
        assert_eq!(
            serde_json::to_string(&ErrorMessage::new("m")).unwrap(),
            r#"{"type":"error","message":"m"}"#
        );
    }
}
