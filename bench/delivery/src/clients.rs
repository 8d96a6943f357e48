//! Many lean clients on one thread: between messages a client is a socket, a decoder of a few
//! bytes, and a place in a table.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use mio::{Events, Interest, Poll, Token};
use nextrush_protocol::handshake::client::Opening;
use nextrush_protocol::{CloseFrame, Decoder, Event, Limits, Opcode, Role, encode_masked};

use crate::error::Error;
use crate::stream::{Stream, Way};

const BUFFER: usize = 64 * 1024;
/// The mask of all frames; it need not be unpredictable here.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The clients, by number.
#[derive(Debug)]
pub(crate) struct Clients {
    way: Way,
    poll: Poll,
    events: Events,
    links: Vec<Option<Link>>,
    buffer: Box<[u8]>,
}

/// An event that a client hears of.
#[derive(Debug)]
pub(crate) enum Heard<'a> {
    /// The upgrade.
    Open,
    Text(&'a str),
    /// The connection has ended, with what the server said last.
    Closed(Option<CloseFrame>),
}

/// A client's connection.
#[derive(Debug)]
pub(crate) struct Link {
    stream: Stream,
    decoder: Decoder,
    /// Bytes that the kernel has not taken yet.
    unsent: Vec<u8>,
    /// The handshake, and what has come of its answer; `None` when it is done.
    opening: Option<Box<(Opening, Vec<u8>)>>,
    /// True if the client reads only when asked to.
    is_paced: bool,
}

impl Clients {
    pub(crate) fn new(server: SocketAddr, count: usize) -> Result<Self, Error> {
        Ok(Self {
            way: Way::Tcp(server),
            poll: Poll::new().map_err(Error::io("epoll"))?,
            events: Events::with_capacity(1024),
            links: (0..count).map(|_| None).collect(),
            buffer: vec![0; BUFFER].into_boxed_slice(),
        })
    }

    /// Connects a client to a path; `receive_buffer` is what its kernel takes for it.
    pub(crate) fn connect(
        &mut self,
        client: usize,
        path: &str,
        receive_buffer: Option<usize>,
    ) -> Result<(), Error> {
        let way = self.way.clone();
        self.connect_by(&way, client, path, receive_buffer)
    }

    /// The same by a way of its own.
    pub(crate) fn connect_by(
        &mut self,
        way: &Way,
        client: usize,
        path: &str,
        receive_buffer: Option<usize>,
    ) -> Result<(), Error> {
        let stream = Stream::connect(way, client, receive_buffer);
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&(client as u64).to_le_bytes());
        let opening = Opening::new(nonce);
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: {way}\r\n").into_bytes();
        for (name, value) in &opening.headers() {
            request.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        request.extend_from_slice(b"\r\n");
        let mut link = Link {
            stream: stream.map_err(Error::io("connecting"))?,
            decoder: Decoder::new(Role::Client, Limits::message(16 * 1024 * 1024)),
            unsent: request,
            opening: Some(Box::new((opening, Vec::new()))),
            is_paced: false,
        };
        let both = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        registry
            .register(&mut link.stream, Token(client), both)
            .map_err(Error::io("epoll"))?;
        self.links[client] = Some(link);
        Ok(())
    }

    /// Sends a text, if there is a connection.
    pub(crate) fn text(&mut self, client: usize, text: &str) -> Result<(), Error> {
        match &mut self.links[client] {
            Some(link) => link.text(text),
            None => Ok(()),
        }
    }

    /// Breaks a client's connection.
    pub(crate) fn cut(&mut self, client: usize) {
        self.links[client] = None;
    }

    /// Sets whether a client reads only when [`read`](Self::read) is called.
    pub(crate) fn pace(&mut self, client: usize, is_paced: bool) {
        if let Some(link) = &mut self.links[client] {
            link.is_paced = is_paced;
        }
    }

    /// Reads what has come for a client, at most `most` bytes, and returns how many it was.
    pub(crate) fn read(
        &mut self,
        client: usize,
        most: usize,
        mut receive: impl FnMut(usize, &mut Link, Heard<'_>) -> Result<(), Error>,
    ) -> Result<usize, Error> {
        let mut count = 0;
        let mut ended = None;
        if let Some(link) = &mut self.links[client] {
            let room = most.min(BUFFER);
            let read = link.read(&mut self.buffer[..room], |link, heard| {
                receive(client, link, heard)
            })?;
            match read {
                Progress::Some(bytes) => count = bytes,
                Progress::Nothing => {}
                Progress::End(close) => ended = Some((self.links[client].take(), close)),
            }
        }
        if let Some((Some(mut link), close)) = ended {
            receive(client, &mut link, Heard::Closed(close))?;
        }
        Ok(count)
    }

    /// Waits for something, at most until `deadline`, and hands it to `receive`.
    pub(crate) fn turn(
        &mut self,
        deadline: Instant,
        mut receive: impl FnMut(usize, &mut Link, Heard<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let timeout = deadline.saturating_duration_since(Instant::now());
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(Error::io("epoll")(error));
            }
            _ => {}
        }
        let ready: Vec<_> = self
            .events
            .iter()
            .map(|event| (event.token().0, event.is_writable()))
            .collect();
        for (client, is_writable) in ready {
            let Some(link) = &mut self.links[client] else {
                continue;
            };
            if is_writable {
                link.flush()?;
            }
            // The edge that was passed over is made up for by reading.
            while let Some(link) = &self.links[client]
                && !link.is_paced
            {
                let is_encrypted = link.stream.is_encrypted();
                let count = self.read(client, BUFFER, &mut receive)?;
                // TLS gives one record at a time.
                if count == 0 || (count < BUFFER && !is_encrypted) {
                    break;
                }
            }
            if let Some(link) = &mut self.links[client]
                && !link.unsent.is_empty()
            {
                link.flush()?;
            }
        }
        Ok(())
    }
}

enum Progress {
    Some(usize),
    Nothing,
    End(Option<CloseFrame>),
}

impl Link {
    /// Sends a text.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Error> {
        self.send(Opcode::Text, text.as_bytes())
    }

    /// Begins to close the connection.
    pub(crate) fn close(&mut self) -> Result<(), Error> {
        self.send(Opcode::Close, &1000_u16.to_be_bytes())
    }

    fn send(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), Error> {
        encode_masked(opcode, payload, MASK, &mut self.unsent);
        if self.opening.is_none() {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Its end is noticed when it is read.
                Err(_) => break,
            }
        }
        if self.unsent.is_empty() {
            self.unsent = Vec::new();
        }
        // TLS may hold back what the kernel did not take; its end is noticed when it is read.
        let _ = self.stream.flush();
        Ok(())
    }

    fn read(
        &mut self,
        buffer: &mut [u8],
        mut receive: impl FnMut(&mut Self, Heard<'_>) -> Result<(), Error>,
    ) -> Result<Progress, Error> {
        let count = loop {
            match self.stream.read(buffer) {
                Ok(0) => return Ok(Progress::End(None)),
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected
                    ) =>
                {
                    return Ok(Progress::Nothing);
                }
                Err(_) => return Ok(Progress::End(None)),
            }
        };
        let mut bytes = &mut buffer[..count];
        let mut head;
        if let Some(mut opening) = self.opening.take() {
            opening.1.extend_from_slice(bytes);
            let Some(length) = answered(&opening.0, &opening.1)? else {
                self.opening = Some(opening);
                return Ok(Progress::Some(count));
            };
            head = opening.1.split_off(length);
            bytes = &mut head;
            receive(self, Heard::Open)?;
            self.flush()?;
        }
        while let Some(event) = self.decoder.decode(&mut bytes)? {
            match event {
                Event::Text(text) => receive(self, Heard::Text(&text))?,
                Event::Ping(payload) => self.send(Opcode::Pong, &payload)?,
                Event::Close(frame) => {
                    let code = frame
                        .as_ref()
                        .map(|frame| frame.code().as_u16().to_be_bytes());
                    self.send(Opcode::Close, code.as_ref().map_or(&[], |code| code))?;
                    return Ok(Progress::End(frame));
                }
                Event::Binary(_) | Event::Pong(_) => {}
            }
        }
        Ok(Progress::Some(count))
    }
}

/// Judges the answer to the handshake if it is whole, and says how long it was.
fn answered(opening: &Opening, answer: &[u8]) -> Result<Option<usize>, Error> {
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
    opening.verify(status.unwrap_or_default(), &headers)?;
    Ok(Some(length))
}
