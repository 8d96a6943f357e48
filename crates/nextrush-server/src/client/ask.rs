//! Requests over a connection of their own.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Collected, Full, Limited};

use super::connect::{connect, send};
use super::error::ClientError;
use super::target::Target;

/// The part of an answer that is read, in bytes.
const BODY_LIMIT: usize = 64 << 10;

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The beginning of the body.
    pub(crate) body: Bytes,
}

/// Makes a request without a body. It has no deadline.
pub(crate) async fn ask(
    method: Method,
    target: &Target,
    headers: HeaderMap,
) -> Result<Answer, ClientError> {
    let mut client = connect(target).await?;
    let mut request = Request::new(Full::default());
    *request.method_mut() = method;
    *request.headers_mut() = headers;
    let response = send(&mut client, target, request).await?;
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, BODY_LIMIT).collect().await;
    Ok(Answer {
        status: parts.status,
        headers: parts.headers,
        body: body.map(Collected::to_bytes).unwrap_or_default(),
    })
}
