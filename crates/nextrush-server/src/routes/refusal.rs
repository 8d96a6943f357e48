//! Refusals of requests over HTTP: status, code and text in one place.

use std::borrow::Cow;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use nextrush::auth::InvalidUserId;
use nextrush::broker::BrokerError;
use nextrush::limits::{Exceeded, Seldom};
use nextrush::topic::PublishError;
use nextrush::{BoxError, ErrorCode, ErrorMessage};

/// A refused request: a status, and `{"type":"error","message":…,"code":…}` as the body.
#[derive(Debug)]
pub(super) struct Refusal {
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
    pub(super) fn new(
        status: StatusCode,
        code: ErrorCode,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            later: None,
            cause: None,
        }
    }

    /// Refuses a request that is one too many for now.
    pub(super) fn later(message: impl Into<Cow<'static, str>>, exceeded: Exceeded) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self {
            later: Some(exceeded),
            ..Self::new(status, ErrorCode::RateLimited, message)
        }
    }

    /// Refuses a well-formed value that is out of its bounds.
    pub(super) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::InvalidFormat, message)
    }

    /// Refuses a request that may be made again later.
    pub(super) fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, ErrorCode::Unavailable, message)
    }

    /// Refuses a request without the right key.
    pub(super) fn wrong_key(headers: &HeaderMap, message: &'static str) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            code_of_wrong_key(headers),
            message,
        )
    }

    /// Adds the cause of a failure, for the log.
    pub(super) fn because(mut self, cause: impl Into<BoxError>) -> Self {
        self.cause = Some(Cause::Other(cause.into()));
        self
    }

    /// Adds the failure of the broker as the cause, and when to try again. Where it is not known
    /// what became of the request, the code says so.
    pub(super) fn because_of_broker(mut self, error: BrokerError) -> Self {
        if let BrokerError::InDoubt(_) = error {
            self.code = ErrorCode::InDoubt;
        }
        self.later = error.retry_after().map(Exceeded::new);
        self.cause = Some(Cause::Broker(error.into()));
        self
    }

    /// Adds the failure of a publication as the cause, as
    /// [`because_of_broker`](Self::because_of_broker) does.
    pub(super) fn because_of(self, error: PublishError) -> Self {
        match error {
            PublishError::Broker(error) => self.because_of_broker(error),
            error => self.because(error),
        }
    }

    pub(super) fn code(&self) -> ErrorCode {
        self.code
    }

    /// The time after which another try helps, in milliseconds.
    pub(super) fn retry_after_ms(&self) -> Option<u64> {
        self.later.as_ref().map(Exceeded::retry_after_ms)
    }

    pub(super) fn into_message(self) -> Cow<'static, str> {
        self.message
    }
}

/// The code of a refusal without the right key.
pub(super) fn code_of_wrong_key(headers: &HeaderMap) -> ErrorCode {
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
            return (self.status, Json(body)).into_response();
        };
        let ms = exceeded.retry_after_ms();
        let seconds = HeaderValue::from(ms.div_ceil(1000));
        let headers = [(header::RETRY_AFTER, seconds)];
        (self.status, headers, Json(body.retry_after_ms(ms))).into_response()
    }
}
