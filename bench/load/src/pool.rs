//! Many client sockets on one thread.
//!
//! Nothing is decoded that need not be: what a server sends is unmasked, so a message is
//! found by its header and lent from the read buffer that all sockets share. Only where
//! compression was agreed on does the project's decoder read it.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use nextrush_protocol::handshake::client::Opening;
use nextrush_protocol::{
    Decoder, DeflateConfig, Event, Inflater, Limits, Opcode, Role, encode_masked,
};

use crate::dialect::{Dialect, Heard};
use crate::error::Error;

/// The silence after which a server counts as hung.
const PATIENCE: Duration = Duration::from_secs(15);
/// Opening handshakes under way at a time: below the accept queue of any server.
const AT_ONCE: usize = 64;
const BUFFER: usize = 256 * 1024;
/// The mask of all frames. It is not zero, so that a server has to unmask; it need not be
/// unpredictable here.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The sockets, and the means to wait for them.
#[derive(Debug)]
pub struct Pool {
    server: SocketAddr,
    dialect: Dialect,
    poll: Poll,
    events: Events,
    sockets: Vec<Socket>,
    opening: usize,
    buffer: Box<[u8]>,
    inflater: Inflater,
    started: Instant,
    last_heard: Instant,
    spins: bool,
}

#[derive(Debug)]
struct Socket {
    outbox: Outbox,
    inbox: Inbox,
}

#[derive(Debug)]
struct Inbox {
    /// The beginning of a frame that has not come as a whole.
    partial: Vec<u8>,
    /// The state of the handshake; `None` when it is done.
    opening: Option<Box<Begun>>,
    /// The decoder of compressed messages, if compression was agreed on.
    decoder: Option<Box<Decoder>>,
}

#[derive(Debug)]
struct Begun {
    opening: Opening,
    /// The answer to the upgrade has come, the dialect's greeting has not.
    upgraded: bool,
}

/// The way to a server, of one socket.
#[derive(Debug)]
pub struct Outbox {
    stream: TcpStream,
    dialect: Dialect,
    /// Bytes that the kernel has not taken yet.
    unsent: Vec<u8>,
    scratch: Vec<u8>,
}

impl Pool {
    /// A pool without sockets yet. A pool that `spins` asks the kernel again and again and
    /// never sleeps: its core is busy all the time, and the server need not wake it.
    ///
    /// # Errors
    ///
    /// If the operating system gives no epoll.
    pub fn new(server: SocketAddr, dialect: Dialect, spins: bool) -> Result<Self, Error> {
        Ok(Self {
            server,
            dialect,
            poll: Poll::new().map_err(Error::io("epoll"))?,
            events: Events::with_capacity(1024),
            sockets: Vec::new(),
            opening: 0,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            inflater: Inflater::new(),
            started: Instant::now(),
            last_heard: Instant::now(),
            spins,
        })
    }

    /// Sockets, all of them open.
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// The local port of a socket.
    ///
    /// # Errors
    ///
    /// If the operating system does not say.
    pub fn port(&self, index: usize) -> Result<u16, Error> {
        let address = self.sockets[index].outbox.stream.local_addr();
        Ok(address
            .map_err(Error::io("the address of a socket"))?
            .port())
    }

    /// Nanoseconds since the pool was made.
    pub fn now(&self) -> u64 {
        nanoseconds_since(self.started)
    }

    /// Opens one more socket for each path, and returns when all are open. What servers say
    /// meanwhile is passed over.
    ///
    /// # Errors
    ///
    /// If one of them cannot be opened.
    pub fn open(
        &mut self,
        paths: impl IntoIterator<Item = String>,
        deflate: Option<DeflateConfig>,
    ) -> Result<(), Error> {
        let mut paths = paths.into_iter();
        self.last_heard = Instant::now();
        loop {
            while self.opening < AT_ONCE
                && let Some(path) = paths.next()
            {
                self.connect(&path, deflate)?;
            }
            if self.opening == 0 {
                return Ok(());
            }
            self.turn(Some(Duration::from_millis(100)), |_, _, _, _| {})?;
        }
    }

    /// Sends bytes that are frames already.
    ///
    /// # Errors
    ///
    /// If the socket is broken.
    pub fn send(&mut self, index: usize, frames: &[u8]) -> Result<(), Error> {
        self.sockets[index].outbox.send(frames)
    }

    /// Appends a message to a socket's frames, in the words of the server's dialect.
    pub fn encode(&self, payload: &[u8], out: &mut Vec<u8>) {
        self.dialect.encode(payload, |payload| {
            encode_masked(Opcode::Text, payload, MASK, out);
        });
    }

    /// Reads nothing more from a socket.
    ///
    /// # Errors
    ///
    /// If the operating system refuses.
    pub fn pause(&mut self, index: usize) -> Result<(), Error> {
        let stream = &mut self.sockets[index].outbox.stream;
        let registry = self.poll.registry();
        registry.deregister(stream).map_err(Error::io("epoll"))
    }

    /// Waits for something, at most `timeout`, and hands out the messages that came: the
    /// socket's index, its outbox, the message, and the time.
    ///
    /// # Errors
    ///
    /// If a server closes a socket or breaks the protocol, and after 15 s in which
    /// nothing came although something was waited for without a timeout.
    pub fn turn(
        &mut self,
        timeout: Option<Duration>,
        mut receive: impl FnMut(usize, &mut Outbox, &[u8], u64),
    ) -> Result<(), Error> {
        let timeout = if self.spins {
            Some(Duration::ZERO)
        } else {
            timeout
        };
        match self
            .poll
            .poll(&mut self.events, Some(timeout.unwrap_or(PATIENCE)))
        {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(Error::io("epoll")(error)),
        }
        if !self.events.is_empty() {
            self.last_heard = Instant::now();
        } else if self.last_heard.elapsed() >= PATIENCE && (self.opening > 0 || timeout.is_none()) {
            return Err(Error::Silence(PATIENCE));
        }
        for event in &self.events {
            let index = event.token().0;
            let socket = &mut self.sockets[index];
            if event.is_writable() {
                socket.outbox.flush()?;
            }
            if !event.is_readable() {
                continue;
            }
            loop {
                let count = match socket.outbox.stream.read(&mut self.buffer) {
                    Ok(0) => return Err(Error::Closed(index)),
                    Ok(count) => count,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(Error::io("reading from the server")(error)),
                };
                let was_opening = socket.inbox.opening.is_some();
                let now = nanoseconds_since(self.started);
                let Socket { inbox, outbox } = socket;
                inbox
                    .take(
                        &mut self.buffer[..count],
                        outbox,
                        &mut self.inflater,
                        |outbox, message| {
                            receive(index, outbox, message, now);
                        },
                    )
                    .map_err(|error| match error {
                        Error::Closed(_) => Error::Closed(index),
                        other => other,
                    })?;
                if was_opening && socket.inbox.opening.is_none() {
                    self.opening -= 1;
                }
                // On Linux a short read means that nothing is left.
                if count < BUFFER {
                    break;
                }
            }
        }
        Ok(())
    }

    fn connect(&mut self, path: &str, deflate: Option<DeflateConfig>) -> Result<(), Error> {
        let stream = TcpStream::connect(self.server).map_err(Error::io("connecting"))?;
        let reference = socket2::SockRef::from(&stream);
        // Small frames leave at once, and a socket that is dropped leaves no TIME_WAIT: the
        // ports are needed again.
        reference
            .set_tcp_nodelay(true)
            .and_then(|()| reference.set_linger(Some(Duration::ZERO)))
            .map_err(Error::io("setting up a socket"))?;
        let index = self.sockets.len();
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&(index as u64).to_le_bytes());
        let mut opening = Opening::new(nonce);
        if let Some(config) = deflate {
            opening = opening.deflate(config);
        }
        let mut socket = Socket {
            outbox: Outbox {
                stream,
                dialect: self.dialect,
                unsent: self.dialect.request(path, self.server, &opening),
                scratch: Vec::new(),
            },
            inbox: Inbox {
                partial: Vec::new(),
                opening: Some(Box::new(Begun {
                    opening,
                    upgraded: false,
                })),
                decoder: None,
            },
        };
        self.poll
            .registry()
            .register(
                &mut socket.outbox.stream,
                Token(index),
                Interest::READABLE | Interest::WRITABLE,
            )
            .map_err(Error::io("epoll"))?;
        self.sockets.push(socket);
        self.opening += 1;
        Ok(())
    }
}

impl Outbox {
    /// Sends a message.
    ///
    /// # Errors
    ///
    /// If the socket is broken.
    pub fn message(&mut self, payload: &[u8]) -> Result<(), Error> {
        let mut frame = std::mem::take(&mut self.scratch);
        frame.clear();
        self.dialect.encode(payload, |payload| {
            encode_masked(Opcode::Text, payload, MASK, &mut frame);
        });
        let sent = self.send(&frame);
        self.scratch = frame;
        sent
    }

    fn control(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), Error> {
        let mut frame = Vec::new();
        encode_masked(opcode, payload, MASK, &mut frame);
        self.send(&frame)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let written = if self.unsent.is_empty() {
            self.write(bytes)?
        } else {
            0
        };
        self.unsent.extend_from_slice(&bytes[written..]);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        if !self.unsent.is_empty() {
            let unsent = std::mem::take(&mut self.unsent);
            let written = self.write(&unsent)?;
            self.unsent.extend_from_slice(&unsent[written..]);
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let mut written = 0;
        while written < bytes.len() {
            match self.stream.write(&bytes[written..]) {
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected
                    ) =>
                {
                    break;
                }
                Err(error) => return Err(Error::io("writing to the server")(error)),
            }
        }
        Ok(written)
    }
}

impl Inbox {
    fn take(
        &mut self,
        bytes: &mut [u8],
        outbox: &mut Outbox,
        inflater: &mut Inflater,
        mut receive: impl FnMut(&mut Outbox, &[u8]),
    ) -> Result<(), Error> {
        if self.opening.as_ref().is_some_and(|begun| !begun.upgraded) {
            self.partial.extend_from_slice(bytes);
            let mut answer = std::mem::take(&mut self.partial);
            match self.answered(&answer, outbox.dialect)? {
                Some(head) => {
                    return self.frames(&mut answer[head..], outbox, inflater, receive);
                }
                None => self.partial = answer,
            }
            return Ok(());
        }
        if let Some(decoder) = &mut self.decoder {
            return decoded(decoder, bytes, outbox, inflater, &mut receive);
        }
        if self.partial.is_empty() {
            return self.frames(bytes, outbox, inflater, receive);
        }
        let mut whole = std::mem::take(&mut self.partial);
        whole.extend_from_slice(bytes);
        self.frames(&mut whole, outbox, inflater, receive)
    }

    /// Judges the answer to the handshake if it is whole, and says how long it was.
    fn answered(&mut self, answer: &[u8], dialect: Dialect) -> Result<Option<usize>, Error> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) = response.parse(answer)? else {
            return Ok(None);
        };
        let status = response
            .code
            .and_then(|code| StatusCode::from_u16(code).ok());
        let headers: HeaderMap = response
            .headers
            .iter()
            .filter_map(|header| {
                let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
                Some((name, HeaderValue::from_bytes(header.value).ok()?))
            })
            .collect();
        if let Some(begun) = &mut self.opening {
            let agreed = begun.opening.verify(status.unwrap_or_default(), &headers)?;
            self.decoder = agreed.deflate.map(|params| {
                let limits = Limits::message(16 * 1024 * 1024);
                Box::new(Decoder::new(Role::Client, limits).with_deflate(params))
            });
            begun.upgraded = true;
        }
        if !dialect.greets() {
            self.opening = None;
        }
        Ok(Some(length))
    }

    fn frames(
        &mut self,
        bytes: &mut [u8],
        outbox: &mut Outbox,
        inflater: &mut Inflater,
        mut receive: impl FnMut(&mut Outbox, &[u8]),
    ) -> Result<(), Error> {
        if let Some(decoder) = &mut self.decoder {
            return decoded(decoder, bytes, outbox, inflater, &mut receive);
        }
        let mut rest = &*bytes;
        while let Some((first, payload, after)) = next_frame(rest) {
            match first {
                0x81 | 0x82 => match outbox.dialect.hear(payload) {
                    Heard::Message => receive(outbox, payload),
                    Heard::Answer(answer) => {
                        outbox.control(Opcode::Text, answer)?;
                    }
                    Heard::Greeting => self.opening = None,
                },
                0x89 => outbox.control(Opcode::Pong, payload)?,
                0x8a => {}
                // The caller knows which.
                0x88 => return Err(Error::Closed(0)),
                other => return Err(Error::Frame(other)),
            }
            rest = after;
        }
        self.partial.clear();
        self.partial.extend_from_slice(rest);
        Ok(())
    }
}

fn decoded(
    decoder: &mut Decoder,
    mut bytes: &mut [u8],
    outbox: &mut Outbox,
    inflater: &mut Inflater,
    receive: &mut impl FnMut(&mut Outbox, &[u8]),
) -> Result<(), Error> {
    while let Some(event) = decoder.decode_with(&mut bytes, inflater)? {
        match event {
            Event::Text(text) => receive(outbox, text.as_bytes()),
            Event::Binary(data) => receive(outbox, &data),
            Event::Ping(payload) => outbox.control(Opcode::Pong, &payload)?,
            Event::Pong(_) => {}
            Event::Close(_) => return Err(Error::Closed(0)),
        }
    }
    Ok(())
}

/// The first byte, the payload and what follows, of an unmasked frame that is whole.
fn next_frame(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let (&short, rest) = rest.split_first()?;
    let (length, rest) = match short & 0x7f {
        126 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (u64::from(u16::from_be_bytes(*length)), rest)
        }
        127 => {
            let (length, rest) = rest.split_first_chunk::<8>()?;
            (u64::from_be_bytes(*length), rest)
        }
        length => (u64::from(length), rest),
    };
    let (payload, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((first, payload, after))
}

fn nanoseconds_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_handed_out_when_it_is_whole() {
        assert_eq!(next_frame(b"\x81"), None);
        assert_eq!(next_frame(b"\x81\x02h"), None);
        let two = b"\x81\x02hi\x82\x00";
        assert_eq!(next_frame(two), Some((0x81, &b"hi"[..], &b"\x82\x00"[..])));
        let mut long = b"\x81\x7e\x01\x00".to_vec();
        long.extend([b'x'; 256]);
        assert_eq!(next_frame(&long[..200]), None);
        assert_eq!(next_frame(&long).unwrap().1.len(), 256);
    }
}
