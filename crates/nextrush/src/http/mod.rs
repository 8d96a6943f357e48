//! A client, as long as it speaks HTTP.

pub(crate) mod address;
pub(crate) mod base_path;
pub(crate) mod connection;
mod forwarded;
pub(crate) mod hidden;
mod host;
mod http1;
mod http2;
pub(crate) mod last_word;
pub(crate) mod origin;
pub(crate) mod proxies;
mod proxy_header;
pub(crate) mod read_ahead;
pub(crate) mod refusal;
pub(crate) mod request_body;
pub(crate) mod subprotocol;
#[cfg(feature = "tls")]
pub(crate) mod tls;
pub(crate) mod traffic;
mod version;

use http::HeaderName;

/// The header in which a proxy says the scheme that its client used.
pub(crate) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The largest head of a request in bytes, unless the application says otherwise; a larger one is
/// answered with 431.
pub(crate) const HEAD_LIMIT: usize = 16 * 1024;
