//! The refusal of a request without a valid token.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use super::error::AuthError;
use crate::error::BoxError;
use crate::message::{ErrorCode, ErrorMessage};

/// The reason why [`Authenticated`](crate::Authenticated) refused a request.
///
/// As a response: `{"type":"error","message":…,"code":…}` with 401 and `WWW-Authenticate`
/// (RFC 6750 §3), 403 for [`Forbidden`](Self::Forbidden), 503 with `Retry-After` for
/// [`Unavailable`](Self::Unavailable), 500 for [`NotConfigured`](Self::NotConfigured), or what fits
/// the message of [`Told`](Self::Told). Neither the response nor the `Debug` form holds the token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthRejection {
    /// There is no token in the request.
    #[error("Authentication required")]
    MissingToken,
    /// There is one that is not accepted. The cause is for the server's own log.
    #[error("Invalid token")]
    InvalidToken(#[source] AuthError),
    /// The client is known, but may not do this. Made by the application, for
    /// [ways of its own](crate::auth::Authenticate).
    #[error("Forbidden")]
    Forbidden,
    /// Nobody can say who the client is, as while a database is away. The cause is for the
    /// server's own log.
    #[error("Authentication is not available")]
    Unavailable(#[source] BoxError),
    /// The client is told this message. Made by the application, for
    /// [ways of its own](crate::auth::Authenticate).
    #[error("{0}")]
    Told(ErrorMessage),
    /// The application was given no [`Jwt`](crate::Jwt): a fault of the server.
    #[error("Authentication is not configured")]
    NotConfigured,
}

/// The advice to a client of whom nobody can say who it is, in milliseconds.
const RETRY_MS: u64 = 1_000;

impl AuthRejection {
    /// The refusal for this cause.
    pub fn unavailable(cause: impl Into<BoxError>) -> Self {
        Self::Unavailable(cause.into())
    }

    /// The code that the client is told; for a message of [`Told`](Self::Told) that has a code of its
    /// own, `Forbidden`, which is not told.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::MissingToken => ErrorCode::AuthenticationRequired,
            Self::InvalidToken(error) => error.code(),
            Self::Forbidden => ErrorCode::Forbidden,
            Self::Unavailable(_) => ErrorCode::Unavailable,
            Self::Told(message) => message.known_code().unwrap_or(ErrorCode::Forbidden),
            Self::NotConfigured => ErrorCode::Internal,
        }
    }

    pub(super) fn to_message(&self) -> ErrorMessage {
        match self {
            Self::Told(message) => message.clone(),
            Self::Unavailable(_) => {
                ErrorMessage::new(self.code(), self.to_string()).retry_after_ms(RETRY_MS)
            }
            _ => ErrorMessage::new(self.code(), self.to_string()),
        }
    }

    /// Returns whether the same client may be let in a little later.
    pub(super) fn is_passing(&self) -> bool {
        self.to_message().retry_after().is_some()
    }
}

impl From<AuthError> for AuthRejection {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::KeysUnavailable => Self::unavailable(error),
            error => Self::InvalidToken(error),
        }
    }
}

impl IntoResponse for AuthRejection {
    fn into_response(self) -> Response {
        let body = self.to_message();
        let challenge = match self {
            Self::MissingToken => "Bearer",
            Self::InvalidToken(_) => r#"Bearer error="invalid_token""#,
            Self::Unavailable(_) | Self::Told(_) => return body.into_response(),
            Self::Forbidden => return with_status(StatusCode::FORBIDDEN, body),
            Self::NotConfigured => {
                return with_status(StatusCode::INTERNAL_SERVER_ERROR, body);
            }
        };
        let challenge = [(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static(challenge),
        )];
        (challenge, with_status(StatusCode::UNAUTHORIZED, body)).into_response()
    }
}

fn with_status(status: StatusCode, body: ErrorMessage) -> Response {
    let mut response = body.into_response();
    *response.status_mut() = status;
    response
}
