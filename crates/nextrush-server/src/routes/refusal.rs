//! Errors of the HTTP API.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use nextrush::{ErrorCode, ErrorMessage, PublishError, SignError};

/// An error as the API answers it: a status and
/// `{"type":"error","message":…}`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Json(#[from] JsonRejection),
    #[error(transparent)]
    Path(#[from] PathRejection),
    #[error("no post has the id {0}")]
    NoSuchPost(u64),
    #[error("too many posts")]
    TooManyPosts,
    #[error("a token could not be signed")]
    Sign(#[from] SignError),
    #[error("the change could not be saved")]
    Save(#[source] PublishError),
    #[error("the change is saved but could not be published")]
    Publish(#[from] PublishError),
}

impl ApiError {
    fn code(&self, status: StatusCode) -> ErrorCode {
        match self {
            Self::Invalid(_) => ErrorCode::InvalidFormat,
            Self::TooManyPosts | Self::Save(_) => ErrorCode::NotStored,
            Self::Json(_)
            | Self::Path(_)
            | Self::NoSuchPost(_)
            | Self::Sign(_)
            | Self::Publish(_) => ErrorCode::of_status(status),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Json(rejection) => rejection.status(),
            Self::Path(rejection) => rejection.status(),
            Self::NoSuchPost(_) => StatusCode::NOT_FOUND,
            Self::TooManyPosts => StatusCode::INSUFFICIENT_STORAGE,
            Self::Sign(error) => {
                tracing::error!(%error, "cannot sign a token");
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::Save(error) => {
                tracing::error!(%error, "cannot save a post");
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Publish(error) => {
                tracing::error!(%error, "cannot publish a change");
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
