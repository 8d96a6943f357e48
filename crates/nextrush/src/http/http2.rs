//! HTTP/2 as it is spoken here, with sockets over its streams (RFC 8441).

use hyper::server::conn::http2::Builder;
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// The most requests and sockets that one connection has open at once.
const STREAMS: u32 = 128;
/// The most bytes of one stream that a client sends before they are read.
const STREAM_WINDOW: u32 = 64 * 1024;
/// The same of all streams together.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// The most bytes kept of one stream that its client does not read.
const STREAM_SEND_BUFFER: usize = 64 * 1024;
/// The most streams that a client resets before they were looked at, and the most that are
/// reset because it broke the rules. The next one ends the connection (CVE-2023-44487).
const RESET_STREAMS: usize = 20;

/// Connections with bounded streams, windows and buffers, on which the headers of a request may have
/// `head` bytes.
pub(crate) fn builder(head: usize) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .enable_connect_protocol()
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(STREAM_SEND_BUFFER)
        .max_pending_accept_reset_streams(RESET_STREAMS)
        .max_local_error_reset_streams(RESET_STREAMS);
    builder
}
