//! Requests and WebSockets over HTTP/1.1.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Collected, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use nextrush_protocol::handshake::client::Opening;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time;

use super::error::ClientError;
use super::target::Target;
use super::tls;

/// The time that a server may take for its answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The part of an answer that is read, in bytes.
const BODY_LIMIT: usize = 4096;

/// Opens a WebSocket.
pub(crate) async fn open(
    target: &Target,
    headers: HeaderMap,
) -> Result<TokioIo<Upgraded>, ClientError> {
    in_time(target, async {
        let mut client = connect(target).await?;
        let opening = Opening::new(rand::random());
        let mut request = Request::new(Full::default());
        *request.headers_mut() = opening.headers();
        request.headers_mut().extend(headers);
        let response = send(&mut client, target, request).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(refused(response).await);
        }
        opening.verify(response.status(), response.headers())?;
        let upgraded = hyper::upgrade::on(response).await;
        Ok(TokioIo::new(upgraded.map_err(http_error(target))?))
    })
    .await
}

/// Gets what is there, of so many bytes at most, over a connection of its own. It has no deadline,
/// and follows no redirections.
pub(crate) async fn get(
    target: &Target,
    headers: HeaderMap,
    limit: usize,
) -> Result<Bytes, ClientError> {
    let mut client = connect(target).await?;
    let mut request = Request::new(Full::default());
    let agent = concat!("nextrush/", env!("CARGO_PKG_VERSION"));
    *request.headers_mut() = headers;
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let response = send(&mut client, target, request).await?;
    if response.status() != StatusCode::OK {
        return Err(refused(response).await);
    }
    Limited::new(response.into_body(), limit)
        .collect()
        .await
        .map(Collected::to_bytes)
        .map_err(|source| ClientError::Body {
            authority: target.authority(),
            source,
        })
}

/// The calls of one server, over one connection as long as that stays open.
#[derive(Debug)]
pub(crate) struct Call {
    client: Option<SendRequest<Full<Bytes>>>,
}

impl Call {
    pub(crate) fn new() -> Self {
        Self { client: None }
    }

    /// Posts a request and returns the beginning of the answer. The request must be safe to
    /// repeat: a server may close an idle connection at any time, so if a connection breaks
    /// that was used before, the request is sent again on a new one.
    pub(crate) async fn post(
        &mut self,
        target: &Target,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Bytes, ClientError> {
        let used = self.client.take();
        if let Some(mut client) = used {
            match post_with(&mut client, target, &headers, &body).await {
                Err(ClientError::Http { .. }) => {}
                posted => {
                    self.client = Some(client);
                    return posted;
                }
            }
        }
        let mut client = in_time(target, connect(target)).await?;
        let posted = post_with(&mut client, target, &headers, &body).await;
        self.client = Some(client);
        posted
    }
}

async fn post_with(
    client: &mut SendRequest<Full<Bytes>>,
    target: &Target,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Bytes, ClientError> {
    let mut request = Request::new(Full::new(body.clone()));
    *request.method_mut() = Method::POST;
    *request.headers_mut() = headers.clone();
    in_time(target, async {
        let response = send(client, target, request).await?;
        if !response.status().is_success() {
            return Err(refused(response).await);
        }
        let body = Limited::new(response.into_body(), BODY_LIMIT)
            .collect()
            .await;
        Ok(body.map(Collected::to_bytes).unwrap_or_default())
    })
    .await
}

/// Waits for an answer as long as commands do.
pub(crate) async fn in_time<T>(
    target: &Target,
    asked: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    match time::timeout(TIMEOUT, asked).await {
        Ok(answered) => answered,
        Err(_) => Err(ClientError::Timeout {
            authority: target.authority(),
        }),
    }
}

pub(super) async fn connect(target: &Target) -> Result<SendRequest<Full<Bytes>>, ClientError> {
    let connect_error = |source| ClientError::Connect {
        authority: target.authority(),
        source,
    };
    let stream = TcpStream::connect(target.address())
        .await
        .map_err(connect_error)?;
    stream.set_nodelay(true).map_err(connect_error)?;
    if target.is_tls() {
        let (host, _) = target.address();
        let stream = tls::connect(stream, host).await.map_err(connect_error)?;
        return shake_hands(target, stream).await;
    }
    shake_hands(target, stream).await
}

async fn shake_hands(
    target: &Target,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<SendRequest<Full<Bytes>>, ClientError> {
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (client, connection) = handshake.map_err(http_error(target))?;
    // The request reports its errors.
    tokio::spawn(connection.with_upgrades());
    Ok(client)
}

pub(super) async fn send(
    client: &mut SendRequest<Full<Bytes>>,
    target: &Target,
    mut request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, ClientError> {
    let host = HeaderValue::from_str(&target.authority());
    let host = host.expect("an authority of a URL is visible ASCII");
    *request.uri_mut() = target.path().parse().expect("a path of a URL is a URI");
    // The caller may have set another one.
    request.headers_mut().entry(HOST).or_insert(host);
    client
        .send_request(request)
        .await
        .map_err(http_error(target))
}

fn http_error(target: &Target) -> impl FnOnce(hyper::Error) -> ClientError + use<> {
    let authority = target.authority();
    |source| ClientError::Http { authority, source }
}

/// The refusal that a response is, with the beginning of its body.
async fn refused(response: Response<Incoming>) -> ClientError {
    let status = response.status();
    let body = match Limited::new(response.into_body(), BODY_LIMIT)
        .collect()
        .await
    {
        Ok(body) => in_words(&body.to_bytes()),
        Err(error) => error.to_string(),
    };
    ClientError::Refused { status, body }
}

/// A refusal of a server of this program in words, or the body as it is.
fn in_words(body: &[u8]) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Refusal {
        message: String,
        code: String,
        details: Option<String>,
        retry_after_ms: Option<u64>,
    }

    let Ok(refusal) = serde_json::from_slice(body) else {
        return String::from_utf8_lossy(body).trim().to_owned();
    };
    let Refusal {
        message,
        code,
        details,
        retry_after_ms,
    } = refusal;
    let details = details.map_or_else(String::new, |details| format!(": {details}"));
    let later = retry_after_ms.map_or_else(String::new, |ms| {
        let seconds = Duration::from_millis(ms).as_secs_f64();
        format!("; try again in {seconds} s")
    });
    format!("{message}{details} ({code}){later}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_words() {
        for (body, words) in [
            (
                r#"{"type":"error","message":"Invalid API key","code":"invalid-token"}"#,
                "Invalid API key (invalid-token)",
            ),
            (
                r#"{"type":"error","message":"Channel unavailable","code":"unavailable","details":"no answer","retryAfterMs":2500}"#,
                "Channel unavailable: no answer (unavailable); try again in 2.5 s",
            ),
            (" not found\n", "not found"),
            (r#"{"error":"other"}"#, r#"{"error":"other"}"#),
        ] {
            assert_eq!(in_words(body.as_bytes()), words);
        }
    }
}
