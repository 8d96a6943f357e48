//! Refusals of requests over HTTP: status, code and text in one place.

use std::borrow::Cow;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use nextrush::auth::InvalidUserId;
use nextrush::broker::BrokerError;
use nextrush::limits::{Exceeded, Seldom};
use nextrush::topic::PublishError;
use nextrush::{BoxError, ErrorCode, ErrorMessage, Socket};

/// A refused request: a status, and `{"type":"error","message":…,"code":…}` as the body.
///
/// The error of handlers whose refusals are to look like those of this crate's routes.
///
/// ```
/// use axum::http::StatusCode;
/// use nextrush::ErrorCode;
/// use nextrush_admin::Refusal;
///
/// async fn article() -> Result<&'static str, Refusal> {
///     let status = StatusCode::NOT_FOUND;
///     Err(Refusal::new(status, ErrorCode::NotFound, "no article has this id"))
/// }
/// ```
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    code: ErrorCode,
    message: Cow<'static, str>,
    /// The time after which the request may be made again.
    later: Option<Exceeded>,
    /// The cause of a failure of the server, for the log only.
    cause: Option<Cause>,
}

#[derive(Debug)]
enum Cause {
    /// A broker that fails, fails for everybody: the log says so once a minute.
    Broker(BoxError),
    Other(BoxError),
}

static BROKER_FAILED: Seldom = Seldom::new();

impl Refusal {
    /// Refuses a request with a status, a code for programs, and a message for people.
    #[must_use]
    pub fn new(status: StatusCode, code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            later: None,
            cause: None,
        }
    }

    /// Refuses a request that is one too many for now: 429, with `Retry-After` and `retryAfterMs`.
    #[must_use]
    pub fn later(message: impl Into<Cow<'static, str>>, exceeded: Exceeded) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self {
            later: Some(exceeded),
            ..Self::new(status, ErrorCode::RateLimited, message)
        }
    }

    /// Refuses a well-formed value that is out of its bounds: 400.
    #[must_use]
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::InvalidFormat, message)
    }

    /// Refuses a request that may be made again later: 503.
    #[must_use]
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, ErrorCode::Unavailable, message)
    }

    /// Refuses a request without the right key.
    pub(crate) fn wrong_key(headers: &HeaderMap, message: &'static str) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            code_of_wrong_key(headers),
            message,
        )
    }

    /// Adds the cause of a failure, for the log.
    #[must_use]
    pub fn because(mut self, cause: impl Into<BoxError>) -> Self {
        self.cause = Some(Cause::Other(cause.into()));
        self
    }

    /// Adds the failure of the broker as the cause, and when to try again. Where it is not known
    /// what became of the request, the code says so. The log has such failures once a minute.
    #[must_use]
    pub fn because_of_broker(mut self, error: BrokerError) -> Self {
        if let BrokerError::InDoubt(_) = error {
            self.code = ErrorCode::InDoubt;
        }
        self.later = error.retry_after().map(Exceeded::new);
        self.cause = Some(Cause::Broker(error.into()));
        self
    }

    /// Adds the failure of a publication as the cause, as
    /// [`because_of_broker`](Self::because_of_broker) does.
    #[must_use]
    pub fn because_of(self, error: PublishError) -> Self {
        match error {
            PublishError::Broker(error) => self.because_of_broker(error),
            error => self.because(error),
        }
    }

    /// The code for programs.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// Refuses a socket: with the body of the answer, and code 1008.
    pub(crate) fn close(self, socket: &Socket) {
        let message = self.message.clone();
        socket.send(ErrorMessage::new(self.code, self.message));
        socket.close(1008, &message);
    }

    /// The time after which another try helps, in milliseconds.
    pub(crate) fn retry_after_ms(&self) -> Option<u64> {
        self.later.as_ref().map(Exceeded::retry_after_ms)
    }

    pub(crate) fn into_message(self) -> Cow<'static, str> {
        self.message
    }
}

/// The code of a refusal without the right key.
pub(crate) fn code_of_wrong_key(headers: &HeaderMap) -> ErrorCode {
    match headers.contains_key(header::AUTHORIZATION) {
        true => ErrorCode::InvalidToken,
        false => ErrorCode::AuthenticationRequired,
    }
}

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        let code = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::TooLarge,
            _ => ErrorCode::InvalidFormat,
        };
        Self::new(rejection.status(), code, rejection.to_string())
    }
}

impl From<InvalidUserId> for Refusal {
    fn from(error: InvalidUserId) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self::new(status, error.code(), error.to_string())
    }
}

impl From<QueryRejection> for Refusal {
    fn from(rejection: QueryRejection) -> Self {
        let code = ErrorCode::of_status(rejection.status());
        Self::new(rejection.status(), code, rejection.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self.cause {
            Some(Cause::Broker(_)) if !BROKER_FAILED.is_due() => {}
            Some(Cause::Broker(error) | Cause::Other(error)) => {
                tracing::error!(%error, "{}", self.message);
            }
            None => {}
        }
        let body = ErrorMessage::new(self.code, self.message);
        let Some(exceeded) = self.later else {
            return with_status(self.status, body);
        };
        let ms = exceeded.retry_after_ms();
        with_status(self.status, body.retry_after_ms(ms))
    }
}

/// The body as an answer, which says itself when to come again.
fn with_status(status: StatusCode, body: ErrorMessage) -> Response {
    let mut response = body.into_response();
    *response.status_mut() = status;
    response
}
