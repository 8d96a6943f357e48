//! HTTP/1.1 as it is spoken here.

use std::time::Duration;

use hyper::server::conn::http1::Builder;
use hyper_util::rt::TokioTimer;

/// Later than the end of the time for a head, which a client is told of: hyper ends its connection
/// without a word.
const MARGIN: Duration = Duration::from_secs(1);

/// The least buffer that hyper reads with.
const LEAST_HEAD: usize = 8 * 1024;

/// Connections on which the time from one request to the end of the next one's head may be `pause`,
/// and a head may have `head` bytes.
pub(crate) fn builder(pause: Duration, head: usize) -> Builder {
    let mut builder = Builder::new();
    builder
        // Without a timer hyper ignores the timeout silently.
        .timer(TokioTimer::new())
        .header_read_timeout(pause + MARGIN)
        .max_buf_size(head.max(LEAST_HEAD));
    builder
}
