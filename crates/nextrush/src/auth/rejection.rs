//! The refusal of a request without a valid token.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use super::error::AuthError;
use crate::error::BoxError;
use crate::message::{ErrorCode, ErrorMessage};

/// The reason why [`Authenticated`](crate::Authenticated) refused a request.
///
/// As a response: `{"type":"error","message":…,"code":…}` with 401 and `WWW-Authenticate`
/// (RFC 6750 §3), 403 for [`Forbidden`](Self::Forbidden), 503 for
/// [`Unavailable`](Self::Unavailable) or 500 for [`NotConfigured`](Self::NotConfigured). Neither the response nor
/// the `Debug` form holds the token.
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
    /// The application was given no [`Jwt`](crate::Jwt): a fault of the server.
    #[error("Authentication is not configured")]
    NotConfigured,
}

impl AuthRejection {
    /// The refusal for this cause.
    pub fn unavailable(cause: impl Into<BoxError>) -> Self {
        Self::Unavailable(cause.into())
    }

    /// The code that the client is told.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::MissingToken => ErrorCode::AuthenticationRequired,
            Self::InvalidToken(error) => error.code(),
            Self::Forbidden => ErrorCode::Forbidden,
            Self::Unavailable(_) => ErrorCode::Unavailable,
            Self::NotConfigured => ErrorCode::Internal,
        }
    }

    pub(super) fn to_message(&self) -> ErrorMessage {
        ErrorMessage::new(self.code(), self.to_string())
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
            Self::Forbidden => return with_status(StatusCode::FORBIDDEN, body),
            Self::Unavailable(_) => {
                return with_status(StatusCode::SERVICE_UNAVAILABLE, body);
            }
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
