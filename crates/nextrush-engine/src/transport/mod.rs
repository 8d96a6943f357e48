//! The byte streams that connections run on.

mod io;
#[cfg(feature = "sim")]
pub(crate) mod pipe;

use std::fmt;
use std::net::TcpStream;
#[cfg(unix)]
use std::os::unix::net::UnixStream;

pub(crate) use self::io::{Io, Readiness};
#[cfg(feature = "sim")]
use self::pipe::Pipe;

/// A byte stream to a client whose opening handshake is done.
///
/// The engine makes it non-blocking; a TCP one gets `TCP_NODELAY` and, on Linux, a
/// `TCP_NOTSENT_LOWAT` of 16 KiB: without it the kernel takes up to 4 MB for a client that
/// does not read. A Unix one gets a send buffer of that size there.
#[non_exhaustive]
pub enum Transport {
    /// A TCP connection.
    Tcp(TcpStream),
    /// A Unix stream socket: a local connection, or one end of a pair through which another
    /// kind of stream is copied.
    #[cfg(unix)]
    Unix(UnixStream),
    /// A TCP connection with TLS, whose TLS handshake is done. Bytes that the TLS connection
    /// holds in either direction are not lost. The engine sets its
    /// [buffer limit](rustls::ServerConnection#method.set_buffer_limit) to 16 KiB.
    #[cfg(feature = "tls")]
    Tls(TcpStream, Box<rustls::ServerConnection>),
    /// The server's end of a pipe of the simulated network.
    #[cfg(feature = "sim")]
    #[doc(hidden)]
    Simulated(Pipe),
}

impl From<TcpStream> for Transport {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

#[cfg(unix)]
impl From<UnixStream> for Transport {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(stream) => stream.fmt(f),
            #[cfg(unix)]
            Self::Unix(stream) => stream.fmt(f),
            #[cfg(feature = "tls")]
            Self::Tls(stream, _) => f.debug_tuple("Tls").field(stream).finish(),
            #[cfg(feature = "sim")]
            Self::Simulated(_) => f.write_str("Simulated"),
        }
    }
}
