//! Sockets that listen, and the connections that they take.

use std::convert::Infallible;
#[cfg(unix)]
use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
#[cfg(unix)]
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
#[cfg(unix)]
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

use crate::addr::{BoundAddr, ListenAddr};
use crate::error::{Error, Result};

/// Connections that the kernel may hold until they are accepted.
const ACCEPT_QUEUE: u32 = 4096;
/// The mode of a Unix socket: every user may connect that its directory lets through.
#[cfg(unix)]
const UNIX_MODE: u32 = 0o666;

/// A socket that listens.
#[derive(Debug)]
pub(super) struct Listener {
    socket: Socket,
    /// True if somebody else has opened the socket, and keeps it.
    is_adopted: bool,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    /// Without its file if somebody else has made that.
    #[cfg(unix)]
    Unix(UnixListener, Option<SocketFile>),
}

/// A socket that listens already, as a service manager hands it over; for
/// [`Listen::sockets`](crate::Listen::sockets).
///
/// Made from a [`std::net::TcpListener`] or a [`std::os::unix::net::UnixListener`].
#[derive(Debug)]
pub struct OpenSocket(Open);

#[derive(Debug)]
enum Open {
    Tcp(std::net::TcpListener),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener),
}

impl From<std::net::TcpListener> for OpenSocket {
    fn from(socket: std::net::TcpListener) -> Self {
        Self(Open::Tcp(socket))
    }
}

#[cfg(unix)]
impl From<std::os::unix::net::UnixListener> for OpenSocket {
    fn from(socket: std::os::unix::net::UnixListener) -> Self {
        Self(Open::Unix(socket))
    }
}

impl OpenSocket {
    /// True if nobody outside of this machine can connect: a loopback address or a Unix socket.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match &self.0 {
            Open::Tcp(socket) => {
                let address = socket.local_addr();
                address.is_ok_and(|address| address.ip().to_canonical().is_loopback())
            }
            #[cfg(unix)]
            Open::Unix(_) => true,
        }
    }
}

/// A connection that was accepted.
pub(super) enum Accepted {
    Tcp(TcpStream, SocketAddr),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Listener {
    fn bound(socket: Socket) -> Self {
        let is_adopted = false;
        Self { socket, is_adopted }
    }

    /// The sockets of an address: several for a name that has several addresses.
    pub(super) async fn bind(addr: &ListenAddr) -> Result<Vec<Self>> {
        let bound = match addr {
            ListenAddr::Exactly(addr) => bind_tcp(*addr).map(|listener| vec![listener]),
            // One socket for both families; IPv4 alone where there is no IPv6.
            ListenAddr::Port(port) => bind_tcp((Ipv6Addr::UNSPECIFIED, *port).into())
                .or_else(|_| bind_tcp((Ipv4Addr::UNSPECIFIED, *port).into()))
                .map(|listener| vec![listener]),
            ListenAddr::Name(name, port) => bind_name(name, *port).await,
            #[cfg(unix)]
            ListenAddr::Unix(path) => bind_unix(path).map(|listener| vec![listener]),
            #[cfg(not(unix))]
            ListenAddr::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        };
        bound.map_err(|source| Error::Bind {
            addr: addr.clone(),
            source,
        })
    }

    /// Listens on a socket that listens already.
    pub(super) fn adopt(socket: OpenSocket) -> Result<Self> {
        let adopted = match socket.0 {
            Open::Tcp(socket) => socket
                .set_nonblocking(true)
                .and_then(|()| TcpListener::from_std(socket))
                .map(Socket::Tcp),
            #[cfg(unix)]
            Open::Unix(socket) => socket
                .set_nonblocking(true)
                .and_then(|()| UnixListener::from_std(socket))
                .map(|socket| Socket::Unix(socket, None)),
        };
        let socket = adopted.map_err(Error::Adopt)?;
        let is_adopted = true;
        Ok(Self { socket, is_adopted })
    }

    /// The address, with the port that was given.
    pub(super) fn address(&self) -> io::Result<BoundAddr> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().map(BoundAddr::Tcp),
            #[cfg(unix)]
            Socket::Unix(socket, _) => {
                let address = socket.local_addr()?;
                let path = address.as_pathname().map(Path::to_owned);
                Ok(BoundAddr::Unix(path.unwrap_or_default()))
            }
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok(Accepted::Tcp(stream, peer))
            }
            #[cfg(unix)]
            Socket::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok(Accepted::Unix(stream))
            }
        }
    }

    /// Stops listening. Gives the connections in the queue, whose clients believe that they are
    /// connected and have perhaps sent a request; the kernel would reset them. Those of a socket that is
    /// somebody else's wait there for the next process.
    pub(super) fn close(self) -> Vec<Accepted> {
        if self.is_adopted {
            return Vec::new();
        }
        let mut waiting = Vec::new();
        if let Err(error) = self.take_waiting(&mut waiting)
            && error.kind() != io::ErrorKind::WouldBlock
        {
            tracing::warn!(%error, "cannot accept connections that wait");
        }
        waiting
    }

    /// Accepts connections until there are no more (`WouldBlock`) or it fails.
    fn take_waiting(self, waiting: &mut Vec<Accepted>) -> io::Result<Infallible> {
        // Tokio may not have noticed yet that there are any.
        match self.socket {
            Socket::Tcp(listener) => {
                let listener = listener.into_std()?;
                loop {
                    let (stream, peer) = listener.accept()?;
                    stream.set_nonblocking(true)?;
                    waiting.push(Accepted::Tcp(TcpStream::from_std(stream)?, peer));
                }
            }
            #[cfg(unix)]
            Socket::Unix(listener, _file) => {
                let listener = listener.into_std()?;
                loop {
                    let (stream, _) = listener.accept()?;
                    stream.set_nonblocking(true)?;
                    waiting.push(Accepted::Unix(UnixStream::from_std(stream)?));
                }
            }
        }
    }
}

fn bind_tcp(addr: SocketAddr) -> io::Result<Listener> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A restarted server gets its port back while old connections linger.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    let listener = socket.listen(ACCEPT_QUEUE)?;
    Ok(Listener::bound(Socket::Tcp(listener)))
}

/// Listens on all addresses of a name that this machine has.
async fn bind_name(name: &str, port: u16) -> io::Result<Vec<Listener>> {
    let mut bound: Vec<Listener> = Vec::new();
    let mut absent = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for mut addr in lookup_host((name, port)).await? {
        // A free port is the same on all of them.
        if let Some(BoundAddr::Tcp(first)) = bound.first().and_then(|it| it.address().ok()) {
            addr.set_port(first.port());
        }
        if bound
            .iter()
            .any(|it| it.address().ok() == Some(BoundAddr::Tcp(addr)))
        {
            continue;
        }
        match bind_tcp(addr) {
            Ok(listener) => bound.push(listener),
            Err(error) if is_absent(&error) => absent = error,
            Err(error) => return Err(error),
        }
    }
    match bound.is_empty() {
        true => Err(absent),
        false => Ok(bound),
    }
}

/// Returns whether this machine has no such address, or no such family of addresses.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
    ) || error.raw_os_error() == Some(NO_FAMILY)
}

/// `EAFNOSUPPORT`.
#[cfg(target_os = "linux")]
const NO_FAMILY: i32 = 97;
#[cfg(all(unix, not(target_os = "linux")))]
const NO_FAMILY: i32 = 47;
#[cfg(not(unix))]
const NO_FAMILY: i32 = 10_047;

/// Listens on a Unix socket, in place of one whose process is gone.
#[cfg(unix)]
fn bind_unix(path: &Path) -> io::Result<Listener> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let in_place = fs::symlink_metadata(path)?.file_type();
            if !in_place.is_socket() {
                let message = "there is a file that is no socket";
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
            }
            // Whoever listens there takes the connection, or would if its queue were not full.
            match std::os::unix::net::UnixStream::connect(path) {
                Err(gone) if gone.kind() == io::ErrorKind::ConnectionRefused => {}
                Ok(_) | Err(_) => return Err(error),
            }
            fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    }?;
    let file = SocketFile::new(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(UNIX_MODE))?;
    Ok(Listener::bound(Socket::Unix(listener, Some(file))))
}

/// The file of a Unix socket, which goes with its listener.
#[cfg(unix)]
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// The device and the number of the file, by which it is known from one of another process
    /// that has taken its place.
    identity: (u64, u64),
}

#[cfg(unix)]
impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        Ok(Self {
            identity: identity(path)?,
            path: path.to_owned(),
        })
    }
}

#[cfg(unix)]
impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity)
            && let Err(error) = fs::remove_file(&self.path)
        {
            let path = self.path.display();
            tracing::warn!(%error, "the socket {path} cannot be removed");
        }
    }
}

#[cfg(unix)]
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}
