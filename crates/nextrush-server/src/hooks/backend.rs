//! A backend that is asked over HTTP.

use std::error::Error as _;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use nextrush::limits::Seldom;
use nextrush::{ErrorCode, ErrorMessage};
use nextrush_admin::Secret;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::answer;
use super::settings::{HookSettings, HookUrl};
use super::signature;

/// The longest call in bytes: a message, the claims of the client and its headers are below.
const CALL_BYTES: usize = 256 * 1024;
/// The longest answer in bytes.
pub(super) const ANSWER_BYTES: usize = 64 * 1024;
/// The time after which a client may try again, in milliseconds.
const RETRY_MS: u64 = 1_000;

/// The backend of one hook, with its bounds.
pub(crate) struct Backend {
    name: &'static str,
    url: HookUrl,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    secret: Secret,
    timeout: Duration,
    /// The calls that may still be made at once.
    free: Semaphore,
    failing: Seldom,
}

/// The reason why a backend gave no answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Failure {
    /// The backend has not begun.
    NotBegun,
    /// The backend may have done what it was asked.
    Unknown,
}

impl Failure {
    /// The word to a client that may ask again: what it wanted was not let through.
    pub(super) fn to_refusal(self) -> ErrorMessage {
        ErrorMessage::new(ErrorCode::Unavailable, "The backend does not answer")
            .retry_after_ms(RETRY_MS)
    }
}

impl Backend {
    pub(super) fn new(
        name: &'static str,
        url: HookUrl,
        client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
        settings: &HookSettings,
    ) -> Self {
        Self {
            name,
            url,
            client,
            secret: settings.secret.clone(),
            timeout: settings.timeout,
            free: Semaphore::new(settings.calls.get().min(Semaphore::MAX_PERMITS)),
            failing: Seldom::new(),
        }
    }

    /// The time in which the backend answers or has failed.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Asks: the result, or the backend's refusal as the client is told it.
    ///
    /// Whoever is asked for waits here, one call for each socket, and nobody else.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        call: &(impl Serialize + Sync),
    ) -> Result<Result<T, ErrorMessage>, Failure> {
        let read = |body: Bytes| answer::read(&body).map_err(|why| (Failure::Unknown, why));
        self.exchange(call)
            .await
            .and_then(read)
            .map_err(|(failure, reason)| {
                if self.failing.is_due() {
                    let Self { name, url, .. } = self;
                    tracing::error!(hook = name, %url, reason, "a backend gave no answer");
                }
                failure
            })
    }

    async fn exchange(&self, call: &(impl Serialize + Sync)) -> Result<Bytes, (Failure, String)> {
        let until = Instant::now() + self.timeout;
        let not_begun = |reason: String| (Failure::NotBegun, reason);
        let timeout = self.timeout;
        // It fails in time only: nobody closes the semaphore.
        let permit = timeout_at(until, self.free.acquire()).await;
        let _permit =
            permit.map_err(|_| not_begun(format!("no other call has ended within {timeout:?}")))?;
        let body = serde_json::to_vec(call).map_err(|error| not_begun(error.to_string()))?;
        if body.len() > CALL_BYTES {
            return Err(not_begun(format!(
                "the call is longer than {CALL_BYTES} bytes"
            )));
        }
        let exchange = async {
            let response = self.client.request(self.request(body)).await;
            let response = response.map_err(|error| {
                let failure = match error.is_connect() {
                    true => Failure::NotBegun,
                    false => Failure::Unknown,
                };
                (failure, with_sources(&error))
            })?;
            self.body_of(response).await
        };
        timeout_at(until, exchange)
            .await
            .map_err(|_| (Failure::Unknown, format!("no answer within {timeout:?}")))?
    }

    fn request(&self, body: Vec<u8>) -> Request<Full<Bytes>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_secs());
        let signature = signature::sign(&self.secret, now, &body);
        Request::post(self.url.uri().clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(
                header::USER_AGENT,
                concat!("nextrush/", env!("CARGO_PKG_VERSION")),
            )
            .header(signature::HEADER, signature)
            .body(Full::new(Bytes::from(body)))
            .expect("an address that was checked, and headers of visible characters")
    }

    async fn body_of(&self, response: Response<Incoming>) -> Result<Bytes, (Failure, String)> {
        let status = response.status();
        if status != StatusCode::OK {
            let failure = match status {
                // These say that nothing was done.
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                    Failure::NotBegun
                }
                _ => Failure::Unknown,
            };
            return Err((failure, format!("the backend answered with {status}")));
        }
        let body = Limited::new(response.into_body(), ANSWER_BYTES)
            .collect()
            .await;
        let body = body.map_err(|error| {
            let reason = format!("an answer of {ANSWER_BYTES} bytes at most is expected: {error}");
            (Failure::Unknown, reason)
        });
        Ok(body?.to_bytes())
    }
}

/// An error of the client with its causes.
fn with_sources(error: &hyper_util::client::legacy::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend")
            .field("name", &self.name)
            .field("url", &format_args!("{}", self.url))
            .finish_non_exhaustive()
    }
}
