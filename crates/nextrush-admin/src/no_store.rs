//! The header of answers that hold a token or a ticket.

use axum::http::{HeaderName, HeaderValue, header};

/// Keeps an answer out of every cache, on the way and in the browser.
pub(crate) const NO_STORE: [(HeaderName, HeaderValue); 1] =
    [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
