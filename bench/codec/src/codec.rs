use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::sample::Sample;
use crate::socket::Socket;
use crate::work::Work;

/// An implementation of WebSocket.
pub trait Codec {
    /// Its name in commands and tables.
    const NAME: &'static str;

    /// Its end of a connection.
    type Connection: Connection;

    /// Its end of a connection whose handshake is done, as is best for `work`.
    fn connect(work: &Work, socket: Socket) -> Self::Connection;
}

/// A codec's end of an open connection.
pub trait Connection {
    /// A message as the codec likes to be given it. Making it is not measured.
    type Outgoing;

    /// Receives `count` messages, and shows each to `each`.
    fn receive(&mut self, count: usize, each: impl FnMut(&[u8]));

    /// Puts `sample` into the form that [`send`](Self::send) wants.
    fn outgoing(sample: &Sample) -> Self::Outgoing;

    /// Sends the message `count` times, and flushes.
    fn send(&mut self, message: &Self::Outgoing, count: usize);

    /// The other end, to see what it was told; `None` if the codec does not give it back.
    fn into_socket(self) -> Option<Socket>;
}

/// Runs a future that never waits, as those on a [`Socket`] do.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("a socket in memory is always ready"),
    }
}
