//! HTTP/1.1 as it is spoken here.

use std::time::Duration;

use hyper::server::conn::http1::Builder;
use hyper_util::rt::TokioTimer;

use crate::http::HEAD_LIMIT;

/// Connections on which the time from one request to the end of the next one's head may be `pause`.
pub(crate) fn builder(pause: Duration) -> Builder {
    let mut builder = Builder::new();
    builder
        // Without a timer hyper ignores the timeout silently.
        .timer(TokioTimer::new())
        .header_read_timeout(pause)
        .max_buf_size(HEAD_LIMIT);
    builder
}
