//! Telling HTTP/1 from HTTP/2 by the first bytes of a connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use crate::http::version::{PREFACE, Version};

/// Enough for the head of most requests, so that it comes with one read.
const READ: usize = 1024;

/// A stream whose first bytes have been read already.
#[derive(Debug)]
pub(crate) struct ReadAhead<S> {
    ahead: Bytes,
    stream: S,
}

impl<S: AsyncRead + Unpin> ReadAhead<S> {
    /// Reads as much as says which version of HTTP the client speaks. Waits for it without
    /// a limit of time.
    pub(crate) async fn new(mut stream: S) -> io::Result<(Self, Version)> {
        let mut ahead = BytesMut::with_capacity(READ);
        let version = loop {
            let compared = ahead.len().min(PREFACE.len());
            if ahead[..compared] != PREFACE[..compared] {
                break Version::Http1;
            }
            if compared == PREFACE.len() {
                break Version::Http2;
            }
            if stream.read_buf(&mut ahead).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        let ahead = ahead.freeze();
        Ok((Self { ahead, stream }, version))
    }
}

impl<S> ReadAhead<S> {
    /// The stream, and what is to be read before it.
    pub(crate) fn into_parts(self) -> (S, Bytes) {
        (self.stream, self.ahead)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let count = self.ahead.len().min(buffer.remaining());
        buffer.put_slice(&self.ahead[..count]);
        self.ahead.advance(count);
        if self.ahead.is_empty() {
            // Lets go of the memory.
            self.ahead = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
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
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn version_of(sent: &[u8]) -> io::Result<Version> {
        let (mut stream, version) = ReadAhead::new(sent).await?;
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await?;
        assert_eq!(read, sent, "nothing is lost");
        Ok(version)
    }

    #[tokio::test]
    async fn the_preface_alone_means_http2() {
        for (sent, expected) in [
            (PREFACE, Version::Http2),
            (&[PREFACE, b"and more"].concat(), Version::Http2),
            (b"GET / HTTP/1.1\r\n", Version::Http1),
            (b"PRIX", Version::Http1),
            (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", Version::Http1),
            (b"\r\n", Version::Http1),
        ] {
            assert_eq!(version_of(sent).await.unwrap(), expected, "{sent:?}");
        }
        let long = [PREFACE, &[b'x'; 5000]].concat();
        assert_eq!(version_of(&long).await.unwrap(), Version::Http2);
    }

    #[tokio::test]
    async fn an_end_within_the_preface_is_an_error() {
        for sent in [&PREFACE[..0], &PREFACE[..1], &PREFACE[..23]] {
            let error = version_of(sent).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
