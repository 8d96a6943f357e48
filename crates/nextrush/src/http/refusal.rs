//! Refusals over HTTP, before the upgrade: the right status, and a JSON body of
//! the same shape as every other error message.

use std::borrow::Cow;

use axum::body::to_bytes;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use nextrush_protocol::handshake::{ConnectError, HandshakeError};

use crate::message::invisible::ROOM_NAME_RULE;
use crate::message::{ErrorCode, ErrorMessage};

/// Longer texts of rejections are not passed on.
const TEXT_LIMIT: usize = 4096;

/// The time after which a client may come again for which there was no place. Whoever is in its
/// place may stay for long: this only keeps it from trying all the time.
const NO_PLACE_MS: u64 = 5_000;

/// The answer to one connection too many of an address.
pub(crate) fn too_many_connections() -> ErrorMessage {
    let message = "Too many connections from this address";
    ErrorMessage::new(ErrorCode::TooManyConnections, message).retry_after_ms(NO_PLACE_MS)
}

/// The answer to one connection too many of all, or to one that comes while the server closes.
pub(crate) fn no_more_connections() -> ErrorMessage {
    let message = "no more connections are accepted";
    ErrorMessage::new(ErrorCode::Unavailable, message).retry_after_ms(NO_PLACE_MS)
}

pub(crate) fn new(
    status: StatusCode,
    code: ErrorCode,
    message: impl Into<Cow<'static, str>>,
) -> Response {
    let mut response = ErrorMessage::new(code, message).into_response();
    *response.status_mut() = status;
    response
}

/// The answer to a request that is no valid opening handshake, with the headers
/// that RFC 6455 §4.2.2 and RFC 9110 §15.5.22 ask for.
pub(crate) fn of_handshake(error: HandshakeError) -> Response {
    with_body(error.into_response(), error.to_string())
}

/// The same over HTTP/2 (RFC 8441 §5).
pub(crate) fn of_connect(error: ConnectError) -> Response {
    with_body(error.into_response(), error.to_string())
}

fn with_body(answer: http::Response<()>, message: String) -> Response {
    let (parts, ()) = answer.into_parts();
    let mut response = new(parts.status, ErrorCode::InvalidHandshake, message);
    for (name, value) in &parts.headers {
        response.headers_mut().insert(name, value.clone());
    }
    response
}

/// An extractor's rejection, its text wrapped in JSON unless it is JSON already.
pub(crate) async fn as_json(rejection: Response) -> Response {
    let (mut parts, mut body) = rejection.into_parts();
    if !is_json(&parts.headers) && !parts.status.is_redirection() {
        let text = match to_bytes(body, TEXT_LIMIT).await {
            Ok(text) if !text.is_empty() => String::from_utf8_lossy(&text).into_owned(),
            _ => parts.status.to_string(),
        };
        // An extractor's text is all that is left of why it refused.
        let code = match text.contains(ROOM_NAME_RULE) {
            true => ErrorCode::InvalidName,
            false => ErrorCode::of_status(parts.status),
        };
        let json = ErrorMessage::new(code, text).into_response();
        parts.extensions.extend(json.extensions().clone());
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.extend(json.headers().clone());
        body = json.into_body();
    }
    Response::from_parts(parts, body)
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/json"))
}

/// A refusal that ends its connection, where one connection is one request after the
/// other: a proxy that takes any answer to an upgrade for its success must not tunnel what
/// follows.
pub(crate) fn ending_connection(mut response: Response, version: Version) -> Response {
    if version < Version::HTTP_2 {
        response
            .headers_mut()
            .entry(header::CONNECTION)
            .or_insert(HeaderValue::from_static("close"));
    }
    response
}
