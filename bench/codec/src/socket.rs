use std::io::{self, IoSlice, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::sample::Sample;
use crate::work::{Arrival, Coding, Direction, Work};

/// The other end of a connection, in memory. It never blocks: what it says begins again at
/// its end, and it takes whatever it is told.
///
/// Like a kernel it copies in both directions, so that nobody gets around moving the bytes.
#[derive(Debug)]
pub struct Socket {
    incoming: Vec<u8>,
    at: usize,
    /// The most that one read gets.
    piece: usize,
    outgoing: Vec<u8>,
}

/// The bytes that are read before they repeat: so many that a decoder does not meet the same
/// ones in its nearest cache.
const INCOMING: usize = 256 * 1024;
/// The room for sent bytes: as much as Linux lets a socket hold before it grows.
const OUTGOING: usize = 256 * 1024;

impl Socket {
    /// The other end for `work`.
    pub fn new(work: &Work) -> Self {
        let sample = Sample::new(work.kind, work.size);
        let mut incoming = Vec::new();
        let mut piece = usize::MAX;
        let mut mask = 0x9E37_79B9_u32;
        while incoming.len() < INCOMING {
            mask = mask.wrapping_mul(0x915F_77F5).wrapping_add(1);
            let mask = match work.direction {
                Direction::ClientReceives => None,
                _ => Some(mask.to_be_bytes()),
            };
            let frame = match work.coding {
                Coding::Plain => sample.frame(mask),
                Coding::Deflate => sample.deflated_frame(mask),
            };
            if work.arrival == Arrival::OneByOne {
                piece = frame.len();
            }
            incoming.extend(frame);
        }
        Self {
            incoming,
            at: 0,
            piece,
            outgoing: Vec::with_capacity(OUTGOING.max(work.size + 1024)),
        }
    }

    /// The bytes that were sent here last.
    pub fn outgoing(&self) -> &[u8] {
        &self.outgoing
    }

    /// Reads behind what is in `message`, as much as that has spare capacity for.
    pub fn read_to(&mut self, message: &mut Vec<u8>) {
        let room = message.capacity() - message.len();
        message.extend_from_slice(self.next_piece(room));
    }

    fn next_piece(&mut self, room: usize) -> &[u8] {
        let left = self.incoming.len() - self.at;
        let piece = &self.incoming[self.at..][..left.min(room).min(self.piece)];
        self.at += piece.len();
        if self.at == self.incoming.len() {
            self.at = 0;
        }
        piece
    }

    fn accept(&mut self, bytes: &[u8]) {
        if self.outgoing.len() + bytes.len() > self.outgoing.capacity() {
            self.outgoing.clear();
        }
        self.outgoing.extend_from_slice(bytes);
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.next_piece(buffer.len());
        buffer[..piece.len()].copy_from_slice(piece);
        Ok(piece.len())
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.accept(bytes);
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        for slice in slices {
            self.accept(slice);
        }
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        buffer.put_slice(self.next_piece(buffer.remaining()));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.accept(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
