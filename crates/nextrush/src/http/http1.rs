//! HTTP/1.1 as it is spoken here.

use std::time::Duration;

use hyper::server::conn::http1::Builder;
use hyper_util::rt::TokioTimer;

use crate::http::HEAD_LIMIT;

/// Connections whose requests' heads may take `head_timeout` each.
pub(crate) fn builder(head_timeout: Duration) -> Builder {
    let mut builder = Builder::new();
    builder
        // Without a timer hyper ignores the timeout silently.
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_buf_size(HEAD_LIMIT);
    builder
}
