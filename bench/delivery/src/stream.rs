//! The connection of one of many clients: plain, over a Unix socket, or with TLS.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// The clients that connect from one address: fewer than the server allows.
const PER_ADDRESS: usize = 5_000;
/// `EINPROGRESS` of Linux.
const IN_PROGRESS: i32 = 115;

/// The way in which a client reaches the server. Shown as the `Host` of its requests.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    Tcp(SocketAddr),
    Tls(SocketAddr, Arc<ClientConfig>),
    Unix(PathBuf),
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) | Self::Tls(addr, _) => write!(f, "{addr}"),
            Self::Unix(_) => f.write_str("localhost"),
        }
    }
}

/// A connection that never blocks.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    Unix(UnixStream),
}

impl Stream {
    /// Begins to connect; `receive_buffer` is what the kernel takes for the client.
    pub(crate) fn connect(
        way: &Way,
        client: usize,
        receive_buffer: Option<usize>,
    ) -> io::Result<Self> {
        let connect = |domain, protocol, to: &SockAddr| {
            let socket = Socket::new(domain, Type::STREAM, protocol)?;
            socket.set_nonblocking(true)?;
            if let Some(bytes) = receive_buffer {
                socket.set_recv_buffer_size(bytes)?;
            }
            if domain == Domain::IPV4 {
                socket.set_tcp_nodelay(true)?;
                // One that is cut leaves nothing behind: its port is needed again.
                socket.set_linger(Some(Duration::ZERO))?;
                let own = u8::try_from(2 + client / PER_ADDRESS).unwrap_or(u8::MAX);
                socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, own), 0)).into())?;
            }
            match socket.connect(to) {
                Err(error) if error.raw_os_error() != Some(IN_PROGRESS) => Err(error),
                _ => Ok(socket),
            }
        };
        let tcp = |addr: &SocketAddr| {
            let socket = connect(Domain::IPV4, Some(Protocol::TCP), &(*addr).into())?;
            io::Result::Ok(TcpStream::from_std(socket.into()))
        };
        Ok(match way {
            Way::Tcp(addr) => Self::Tcp(tcp(addr)?),
            Way::Tls(addr, config) => {
                let name = ServerName::from(addr.ip());
                let session =
                    ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
                Self::Tls(Box::new(StreamOwned::new(session, tcp(addr)?)))
            }
            Way::Unix(path) => {
                let socket = connect(Domain::UNIX, None, &SockAddr::unix(path)?)?;
                Self::Unix(UnixStream::from_std(socket.into()))
            }
        })
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(stream) => stream,
            Self::Tls(stream) => &mut stream.sock,
            Self::Unix(stream) => stream,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tls(stream) => stream.flush(),
            // Nothing is held back.
            Self::Tcp(_) | Self::Unix(_) => Ok(()),
        }
    }
}

impl Source for Stream {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        self.source().register(registry, token, interests)
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        self.source().reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.source().deregister(registry)
    }
}
