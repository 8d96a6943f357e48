//! Shards on real sockets and real time: a thread for each, which waits in the operating
//! system's poll.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use mio::event::{Event, Source};
use mio::net::TcpStream;
#[cfg(unix)]
use mio::net::UnixStream;
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use tokio::runtime;

use super::watchdog;
use crate::chunked::Chunked;
use crate::io::{Io, Readiness};
use crate::link::Link;
use crate::moment::Moment;
use crate::shard::Shard;
use crate::shared::Shared;
use crate::transport::Transport;

/// How many transports may be reported at once; more are reported in the next turn.
const EVENTS: usize = 1024;

/// What the kernel may hold unsent for one TCP connection, in bytes. Without this bound it
/// takes up to 4 MB for a client that does not read; what stays here can still be dropped.
#[cfg(any(target_os = "linux", target_os = "android"))]
const NOT_SENT: u32 = 16 * 1024;

/// No slot has this number: a shard that large would not fit into memory.
const WAKE: Token = Token(usize::MAX);

/// Starts a thread for each shard, inside `runtime`. If one cannot be started, the others
/// are left to be stopped.
pub(crate) fn start(shared: &Arc<Shared>, runtime: &runtime::Handle) -> io::Result<()> {
    for link in &shared.links {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        link.inbox.set_waker(Box::new(move || {
            if let Err(error) = waker.wake() {
                tracing::error!(%error, "a shard could not be woken");
            }
        }));
        let sockets = Sockets {
            registry: poll.registry().try_clone()?,
            streams: Chunked::default(),
        };
        let running = Shared::count_shard(shared);
        let (link, runtime) = (Arc::clone(link), runtime.clone());
        thread::Builder::new()
            .name(format!("nextrush-shard-{}", link.index()))
            .spawn(move || {
                let _runtime = runtime.enter();
                let shard = Shard::new(sockets, Arc::clone(&link), running);
                run(shard, poll, &link);
            })?;
    }
    watchdog::start(shared)
}

fn run(mut shard: Shard<Sockets>, mut poll: Poll, link: &Link) {
    let start = Instant::now();
    let mut events = Events::with_capacity(EVENTS);
    while !shard.is_stopped() {
        let now = Moment::new(start.elapsed());
        let wait_until = if link.inbox.doze() {
            shard.next_turn()
        } else {
            Some(now)
        };
        let timeout = wait_until.map(|until| until.since(now));
        if let Err(error) = poll.poll(&mut events, timeout) {
            if error.kind() != ErrorKind::Interrupted {
                tracing::error!(%error, "a shard ends: its sockets cannot be polled");
                return;
            }
            events.clear();
        }
        let ready = events.iter().filter_map(readiness);
        shard.turn(Moment::new(start.elapsed()), ready);
    }
}

fn readiness(event: &Event) -> Option<Readiness> {
    Some(Readiness {
        // The waker's token is no slot.
        slot: u32::try_from(event.token().0).ok()?,
        readable: event.is_readable() || event.is_error(),
        writable: event.is_writable() || event.is_error(),
        hangup: event.is_read_closed() || event.is_error(),
    })
}

/// The sockets of a shard, registered with its poll under their slots.
struct Sockets {
    registry: Registry,
    streams: Chunked<Option<Stream>>,
}

enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Io for Sockets {
    // Elsewhere mio reports only what comes after a read that would have blocked.
    const SHORT_READ_DRAINS: bool = cfg!(any(target_os = "linux", target_os = "android"));

    fn register(&mut self, slot: u32, transport: Transport) -> io::Result<()> {
        let mut stream = Stream::new(transport)?;
        self.registry
            .register(stream.source(), token(slot), Interest::READABLE)?;
        *self.streams.place(slot as usize) = Some(stream);
        Ok(())
    }

    fn read(&mut self, slot: u32, buffer: &mut [u8]) -> io::Result<usize> {
        match self.stream(slot)? {
            Stream::Tcp(stream) => stream.read(buffer),
            #[cfg(unix)]
            Stream::Unix(stream) => stream.read(buffer),
        }
    }

    fn write(&mut self, slot: u32, bytes: &[u8]) -> io::Result<usize> {
        match self.stream(slot)? {
            Stream::Tcp(stream) => stream.write(bytes),
            #[cfg(unix)]
            Stream::Unix(stream) => stream.write(bytes),
        }
    }

    fn watch_writable(&mut self, slot: u32, watch: bool) -> io::Result<()> {
        let interest = if watch {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        let stream = self.streams.get_mut(slot as usize).and_then(Option::as_mut);
        let stream = stream.ok_or(ErrorKind::NotConnected)?;
        self.registry
            .reregister(stream.source(), token(slot), interest)
    }

    fn shutdown_write(&mut self, slot: u32) -> io::Result<()> {
        match self.stream(slot)? {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            #[cfg(unix)]
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    fn close(&mut self, slot: u32) {
        let stream = self.streams.get_mut(slot as usize);
        if let Some(mut stream) = stream.and_then(Option::take)
            && let Err(error) = self.registry.deregister(stream.source())
        {
            tracing::debug!(%error, "a socket could not be deregistered");
        }
    }
}

impl Sockets {
    fn stream(&mut self, slot: u32) -> io::Result<&mut Stream> {
        let stream = self.streams.get_mut(slot as usize).and_then(Option::as_mut);
        stream.ok_or_else(|| ErrorKind::NotConnected.into())
    }
}

impl Stream {
    fn new(transport: Transport) -> io::Result<Self> {
        match transport {
            Transport::Tcp(stream) => {
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                #[cfg(any(target_os = "linux", target_os = "android"))]
                socket2::SockRef::from(&stream).set_tcp_notsent_lowat(NOT_SENT)?;
                Ok(Self::Tcp(TcpStream::from_std(stream)))
            }
            #[cfg(unix)]
            Transport::Unix(stream) => {
                stream.set_nonblocking(true)?;
                Ok(Self::Unix(UnixStream::from_std(stream)))
            }
            Transport::Simulated(_) => Err(ErrorKind::Unsupported.into()),
        }
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(stream) => stream,
            #[cfg(unix)]
            Self::Unix(stream) => stream,
        }
    }
}

fn token(slot: u32) -> Token {
    Token(slot as usize)
}
