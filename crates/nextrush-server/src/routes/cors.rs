//! The headers that let pages of other origins read answers (CORS).

use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, header};
use nextrush::OriginPolicy;
use nextrush::limits::Origin;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::current::Current;

/// The time for which a browser need not ask again.
const MAX_AGE: Duration = Duration::from_secs(10 * 60);

/// Lets pages of the listed origins read answers, also of refused handshakes; `None` where only
/// the server's own pages may connect. Tokens are in `Authorization`, so no cookies are let through.
pub(crate) fn layer(current: &Current) -> Option<CorsLayer> {
    if !matches!(current.origins(), OriginPolicy::List(_)) {
        return None;
    }
    let current = current.clone();
    let is_listed = move |origin: &HeaderValue, _: &Parts| {
        let origin = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.parse::<Origin>().ok());
        match (current.origins(), origin) {
            (OriginPolicy::List(list), Some(origin)) => list.contains(&origin),
            _ => false,
        }
    };
    Some(
        CorsLayer::new()
            .allow_origin(AllowOrigin::predicate(is_listed))
            .allow_methods([Method::GET, Method::POST, Method::PUT])
            .allow_headers([
                header::AUTHORIZATION,
                header::CONTENT_TYPE,
                HeaderName::from_static("idempotency-key"),
            ])
            .expose_headers([header::RETRY_AFTER])
            .max_age(MAX_AGE),
    )
}
