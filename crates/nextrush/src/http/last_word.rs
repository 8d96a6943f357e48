//! Answers to clients whose requests are not waited for any longer.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::http::refusal::too_many_connections;
use crate::http::traffic::Traffic;
use crate::message::{ErrorCode, ErrorMessage};

/// A stream that speaks HTTP/1.1. Once the [time for a request is over](Traffic::end) it answers a
/// client that has begun one with 408, and ends for whoever reads from it.
///
/// hyper ends such a connection without a word.
#[derive(Debug)]
pub(crate) struct LastWord<S> {
    stream: S,
    traffic: Arc<Traffic>,
    /// True if bytes have come since the last answer.
    is_asked: bool,
}

impl<S> LastWord<S> {
    pub(crate) fn new(stream: S, traffic: Arc<Traffic>) -> Self {
        Self {
            stream,
            traffic,
            is_asked: false,
        }
    }

    /// The stream without this.
    pub(crate) fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncWrite + Unpin> LastWord<S> {
    /// Says that the request did not come in time, as far as the kernel takes it at once: nobody
    /// waits for such a client.
    fn say(&mut self, context: &mut Context<'_>) {
        let message = "The request did not come in time";
        let error = ErrorMessage::new(ErrorCode::BadRequest, message);
        let answer = in_full(StatusCode::REQUEST_TIMEOUT, &error);
        if let Poll::Ready(Ok(_)) = Pin::new(&mut self.stream).poll_write(context, &answer) {
            // With an error the client has gone.
            let _ = Pin::new(&mut self.stream).poll_flush(context);
        }
    }
}

/// Tells a client that its address has far too many connections, without waiting for what it asks,
/// and drops it.
pub(crate) fn turn_away(stream: TcpStream) {
    let answer = too_many();
    // With an error the client has gone. Nothing waits: tokio's sockets do not block.
    let _ = stream.into_std().and_then(|mut stream| {
        stream.write_all(&answer)?;
        stream.shutdown(Shutdown::Write)?;
        // Bytes that nobody has read would make the kernel take the answer back.
        stream.read(&mut [0; 1024])
    });
}

/// The answer to far too many connections of an address.
pub(crate) fn too_many() -> Vec<u8> {
    in_full(StatusCode::TOO_MANY_REQUESTS, &too_many_connections())
}

/// An error as an answer of HTTP/1.1 that ends its connection.
fn in_full(status: StatusCode, error: &ErrorMessage) -> Vec<u8> {
    let body = serde_json::to_vec(error).expect("an error message has string keys only");
    let retry = error.retry_after().map_or_else(String::new, |after| {
        let seconds = after.as_millis().div_ceil(1000);
        format!("retry-after: {seconds}\r\n")
    });
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         {retry}connection: close\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for LastWord<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.traffic.is_over() {
            if std::mem::take(&mut self.is_asked) {
                self.say(context);
                self.traffic.refuse();
            }
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.is_asked = true;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LastWord<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.is_asked = false;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.is_asked = false;
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
