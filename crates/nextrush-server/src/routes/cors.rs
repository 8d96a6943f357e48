//! The headers that let pages of other origins read answers (CORS).

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header};
use nextrush::OriginPolicy;
use tower_http::cors::{AllowOrigin, CorsLayer};

/// The time for which a browser need not ask again.
const MAX_AGE: Duration = Duration::from_secs(10 * 60);

/// Lets pages of the listed origins read answers, also of refused handshakes; `None` where only
/// the server's own pages may connect. Tokens are in `Authorization`, so no cookies are let through.
pub(crate) fn layer(origins: &OriginPolicy) -> Option<CorsLayer> {
    let OriginPolicy::List(origins) = origins else {
        return None;
    };
    let origins = origins
        .iter()
        .filter_map(|origin| HeaderValue::try_from(origin.to_string()).ok());
    Some(
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins))
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
