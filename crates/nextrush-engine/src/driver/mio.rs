//! Shards on real sockets and real time: a thread for each, which waits in the operating
//! system's poll.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
#[cfg(feature = "tls")]
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use mio::event::{Event, Source};
use mio::net::TcpStream;
#[cfg(unix)]
use mio::net::UnixStream;
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use tokio::runtime;

#[cfg(feature = "tls")]
use super::tls::{TlsStream, Unfinished};
use super::watchdog;
use crate::chunked::Chunked;
use crate::link::Link;
use crate::moment::Moment;
use crate::shard::Shard;
use crate::shared::Shared;
use crate::transport::{Io, Readiness, Transport};

/// The transports that may be reported at once; more are reported in the next turn.
const EVENTS: usize = 1024;

/// The bytes that the kernel may hold unsent for one connection. Without this bound it takes
/// up to 4 MB for a client that does not read; bytes that stay with us can still be dropped.
#[cfg(any(target_os = "linux", target_os = "android"))]
const NOT_SENT: u32 = 16 * 1024;

/// `true` if a read that does not fill the buffer has emptied the socket. On other systems mio
/// reports only bytes that come after a read that would have blocked.
pub(super) const SHORT_READ_DRAINS: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// The waker's token. No slot has this number: a shard that large would not fit into memory.
const WAKE: Token = Token(usize::MAX);

/// Starts a thread for each shard, inside `runtime`. On an error the caller has to stop those
/// that have started.
pub(crate) fn start(shared: &Arc<Shared>, runtime: &runtime::Handle) -> io::Result<()> {
    for link in &shared.links {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        link.inbox.set_waker(Box::new(move || {
            if let Err(error) = waker.wake() {
                tracing::error!(%error, "a shard could not be woken");
            }
        }));
        let registry = poll.registry().try_clone()?;
        #[cfg(feature = "tls")]
        let unfinished_registry = poll.registry().try_clone()?;
        let running = Shared::count_shard(shared);
        let (link, runtime) = (Arc::clone(link), runtime.clone());
        let alarm = Alarm(Arc::clone(shared));
        thread::Builder::new()
            .name(format!("nextrush-shard-{}", link.index()))
            .spawn(move || {
                // Dropped last, when the shard has told its connections of their end.
                let _alarm = alarm;
                let _runtime = runtime.enter();
                #[cfg(feature = "tls")]
                let unfinished = Rc::new(Unfinished::new(unfinished_registry));
                let sockets = Sockets {
                    registry,
                    streams: Chunked::default(),
                    #[cfg(feature = "tls")]
                    unfinished: Rc::clone(&unfinished),
                };
                let shard = Shard::new(sockets, Arc::clone(&link), running);
                run(
                    shard,
                    poll,
                    &link,
                    #[cfg(feature = "tls")]
                    &unfinished,
                );
            })?;
    }
    watchdog::start(shared)
}

/// Tells the engine when a shard's thread ends without having been told to: by a panic, or as
/// its sockets cannot be polled.
struct Alarm(Arc<Shared>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if !self.0.is_shutting_down() {
            self.0.fail("a shard's thread");
        }
    }
}

fn run(
    mut shard: Shard<Sockets>,
    mut poll: Poll,
    link: &Link,
    #[cfg(feature = "tls")] unfinished: &Unfinished,
) {
    let start = Instant::now();
    let mut events = Events::with_capacity(EVENTS);
    let mut turn_began = None;
    while !shard.is_stopped() {
        let now = Moment::new(start.elapsed());
        if let Some(began) = turn_began {
            link.board.count_turn(now.since(began));
        }
        let wait_until = if shard.doze() {
            shard.next_turn()
        } else {
            Some(now)
        };
        #[cfg(feature = "tls")]
        let wait_until = match unfinished.has_readable() {
            true => Some(now),
            false => wait_until,
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
        #[cfg(feature = "tls")]
        let ready = with_unfinished(ready, unfinished);
        let now = Moment::new(start.elapsed());
        turn_began = Some(now);
        shard.turn(now, ready);
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

#[cfg(feature = "tls")]
fn with_unfinished(
    ready: impl Iterator<Item = Readiness>,
    unfinished: &Unfinished,
) -> impl Iterator<Item = Readiness> {
    let readable = unfinished
        .take_readable()
        .into_iter()
        .map(|Token(slot)| Readiness {
            slot: u32::try_from(slot).expect("it was made of a slot"),
            readable: true,
            // The end may be all that is left to read.
            hangup: true,
            ..Readiness::default()
        });
    let ready = ready.map(|ready| Readiness {
        writable: ready.writable && unfinished.send(token(ready.slot)),
        ..ready
    });
    ready.chain(readable)
}

/// The sockets of a shard, registered with its poll under their slots.
struct Sockets {
    registry: Registry,
    streams: Chunked<Option<Stream>>,
    #[cfg(feature = "tls")]
    unfinished: Rc<Unfinished>,
}

enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    #[cfg(feature = "tls")]
    Tls(TlsStream),
}

impl Io for Sockets {
    const SHORT_READ_DRAINS: bool = SHORT_READ_DRAINS;

    fn register(&mut self, slot: u32, transport: Transport) -> io::Result<()> {
        let mut stream = self.open(transport)?;
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
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.read(buffer),
        }
    }

    fn read_to(&mut self, slot: u32, message: &mut Vec<u8>) -> io::Result<usize> {
        match self.stream(slot)? {
            #[cfg(unix)]
            Stream::Tcp(stream) => stream.try_io(|| fill(&*stream, message)),
            #[cfg(not(unix))]
            Stream::Tcp(stream) => fill_zeroed(stream, message),
            #[cfg(unix)]
            Stream::Unix(stream) => stream.try_io(|| fill(&*stream, message)),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => fill_zeroed(stream, message),
        }
    }

    fn write(&mut self, slot: u32, bytes: &[u8]) -> io::Result<usize> {
        match self.stream(slot)? {
            Stream::Tcp(stream) => stream.write(bytes),
            #[cfg(unix)]
            Stream::Unix(stream) => stream.write(bytes),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.write(bytes),
        }
    }

    fn write_both(&mut self, slot: u32, header: &[u8], payload: &[u8]) -> io::Result<usize> {
        let both = [IoSlice::new(header), IoSlice::new(payload)];
        match self.stream(slot)? {
            Stream::Tcp(stream) => stream.write_vectored(&both),
            #[cfg(unix)]
            Stream::Unix(stream) => stream.write_vectored(&both),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.write_both(header, payload),
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
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.shutdown_write(),
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
    fn open(&self, transport: Transport) -> io::Result<Stream> {
        match transport {
            Transport::Tcp(stream) => Ok(Stream::Tcp(tcp(stream)?)),
            #[cfg(unix)]
            Transport::Unix(stream) => {
                stream.set_nonblocking(true)?;
                #[cfg(any(target_os = "linux", target_os = "android"))]
                socket2::SockRef::from(&stream).set_send_buffer_size(NOT_SENT as usize)?;
                Ok(Stream::Unix(UnixStream::from_std(stream)))
            }
            #[cfg(feature = "tls")]
            Transport::Tls(stream, session) => {
                let unfinished = Rc::clone(&self.unfinished);
                let stream = TlsStream::new(tcp(stream)?, session, unfinished);
                Ok(Stream::Tls(stream))
            }
            #[cfg(feature = "sim")]
            Transport::Simulated(_) => Err(ErrorKind::Unsupported.into()),
        }
    }

    fn stream(&mut self, slot: u32) -> io::Result<&mut Stream> {
        let stream = self.streams.get_mut(slot as usize).and_then(Option::as_mut);
        stream.ok_or_else(|| ErrorKind::NotConnected.into())
    }
}

/// Reads into the spare capacity, without the zeros that a slice would have to be filled with.
#[cfg(unix)]
fn fill(stream: impl std::os::fd::AsFd, message: &mut Vec<u8>) -> io::Result<usize> {
    Ok(rustix::io::read(
        stream,
        rustix::buffer::spare_capacity(message),
    )?)
}

/// The same for streams that read into slices alone.
#[cfg(any(not(unix), feature = "tls"))]
fn fill_zeroed(stream: &mut impl Read, message: &mut Vec<u8>) -> io::Result<usize> {
    let start = message.len();
    message.resize(message.capacity(), 0);
    let read = stream.read(&mut message[start..]);
    message.truncate(start + *read.as_ref().unwrap_or(&0));
    read
}

fn tcp(stream: std::net::TcpStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket2::SockRef::from(&stream).set_tcp_notsent_lowat(NOT_SENT)?;
    Ok(TcpStream::from_std(stream))
}

impl Stream {
    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(stream) => stream,
            #[cfg(unix)]
            Self::Unix(stream) => stream,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream,
        }
    }
}

fn token(slot: u32) -> Token {
    Token(slot as usize)
}
