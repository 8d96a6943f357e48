use std::io::{IoSlice, Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use nextrush_protocol::handshake::client::Opening;
use nextrush_protocol::handshake::server;
use nextrush_protocol::{
    Decoder, DeflateConfig, DeflateContext, DeflateParams, Deflater, Event, Frame, FrameHead,
    Inflater, Limits, Opcode, Role, encode_masked,
};

use crate::codec::{Codec, Connection};
use crate::sample::Sample;
use crate::socket::Socket;
use crate::work::{Coding, Direction, Work};

/// `nextrush-protocol`, messages lent from the read buffer.
#[derive(Debug)]
pub struct NextRush;

/// `nextrush-protocol`, each message moved into memory of its own, as a caller does who
/// keeps it.
#[derive(Debug)]
pub struct NextRushOwned;

/// The length of the read buffer, as in the engine, where all connections of a thread share
/// one.
const READ_BUFFER: usize = 256 * 1024;
/// The most that is read at once, as in the engine.
const READ: usize = 64 * 1024 + 14;
/// The peers' default, so that nobody refuses anything.
const LIMIT: usize = 64 * 1024 * 1024;

/// `OWNED` is whether messages are moved out of the read buffer.
#[derive(Debug)]
pub struct NextRushConnection<const OWNED: bool> {
    socket: Socket,
    decoder: Decoder,
    read_buffer: Box<[u8]>,
    /// The start of what is still to be decoded in the read buffer.
    start: usize,
    end: usize,
    /// The bytes that are missing to the whole of a message that has begun in the read buffer.
    missing: usize,
    is_client: bool,
    write_buffer: Vec<u8>,
    inflater: Inflater,
    /// The compression, if it has been agreed on.
    deflate: Option<Deflate>,
}

/// The compressors of a server and of a client, and the parameters of both.
#[derive(Debug)]
struct Deflate {
    params: DeflateParams,
    config: DeflateConfig,
    deflater: Deflater,
    context: DeflateContext,
}

impl Deflate {
    /// The compressors by the defaults: each message by itself, at level 1.
    fn new() -> Self {
        let config = DeflateConfig::default();
        let params = agreed(config);
        Self {
            params,
            config,
            deflater: Deflater::new(),
            context: DeflateContext::new(Role::Client, params, &config),
        }
    }
}

fn agreed(config: DeflateConfig) -> DeflateParams {
    let opening = Opening::new([0; 16]).deflate(config);
    let mut request = opening.headers();
    request.insert("host", http::HeaderValue::from_static("example.com"));
    let method = http::Method::GET;
    let mut accepted =
        server::accept(&method, http::Version::HTTP_11, &request).expect("a right request");
    accepted.negotiate_deflate(&config).expect("an offer")
}

impl Codec for NextRush {
    const NAME: &'static str = "nextrush";
    type Connection = NextRushConnection<false>;

    fn connect(work: &Work, socket: Socket) -> Self::Connection {
        NextRushConnection::new(work, socket)
    }
}

impl Codec for NextRushOwned {
    const NAME: &'static str = "nextrush-owned";
    type Connection = NextRushConnection<true>;

    fn connect(work: &Work, socket: Socket) -> Self::Connection {
        NextRushConnection::new(work, socket)
    }
}

impl<const OWNED: bool> NextRushConnection<OWNED> {
    fn new(work: &Work, socket: Socket) -> Self {
        let is_client = matches!(
            work.direction,
            Direction::ClientReceives | Direction::ClientSends
        );
        let role = if is_client {
            Role::Client
        } else {
            Role::Server
        };
        let deflate = (work.coding == Coding::Deflate).then(Deflate::new);
        let mut decoder = Decoder::new(role, Limits::message(LIMIT));
        if let Some(deflate) = &deflate {
            decoder = decoder.with_deflate(deflate.params);
        }
        Self {
            socket,
            decoder,
            read_buffer: vec![0; READ_BUFFER].into(),
            start: 0,
            end: 0,
            missing: 0,
            is_client,
            write_buffer: Vec::new(),
            inflater: Inflater::new(),
            deflate,
        }
    }

    fn send_masked(&mut self, opcode: Opcode, payload: &[u8]) {
        let deflate = self.deflate.as_mut();
        let deflated = deflate.and_then(|deflate| deflate.context.deflate(payload));
        let (head, payload) = match &deflated {
            Some(deflated) => (FrameHead::from(opcode).compressed(true), &deflated[..]),
            None => (opcode.into(), payload),
        };
        self.write_buffer.clear();
        encode_masked(head, payload, rand::random(), &mut self.write_buffer);
        self.socket
            .write_all(&self.write_buffer)
            .expect("in memory");
    }

    fn send_frame(&mut self, mut frame: Frame) {
        if let Some(deflate) = &mut self.deflate {
            frame = frame.deflated(deflate.params, &deflate.config, &mut deflate.deflater);
        }
        let sent = match frame.whole() {
            Some(bytes) => self.socket.write(bytes),
            None => {
                let (header, payload) = (frame.header(), frame.payload());
                let pieces = [IoSlice::new(&header), IoSlice::new(payload)];
                self.socket.write_vectored(&pieces)
            }
        };
        assert_eq!(sent.expect("in memory"), frame.len());
    }

    /// Reads as the engine does: on to the end of a message that has begun in the buffer, or of one
    /// that has a place of its own, else what there is.
    fn read(&mut self) {
        if self.missing > 0 {
            if self.end + self.missing > READ_BUFFER {
                self.read_buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            }
            let place = self.end..self.end + self.missing;
            self.end += self
                .socket
                .read(&mut self.read_buffer[place])
                .expect("in memory");
            return;
        }
        let socket = &mut self.socket;
        let read = self.decoder.read_payload(|message| socket.read_to(message));
        self.start = 0;
        self.end = match read {
            Some(()) => 0,
            None => socket
                .read(&mut self.read_buffer[..READ])
                .expect("in memory"),
        };
    }
}

/// A message as an application has it.
#[derive(Debug)]
pub enum Payload {
    /// The payload of a text message.
    Text(Arc<str>),
    /// The payload of a binary message.
    Binary(Bytes),
}

impl<const OWNED: bool> Connection for NextRushConnection<OWNED> {
    type Outgoing = Payload;

    fn receive(&mut self, count: usize, mut each: impl FnMut(&[u8])) {
        let mut received = 0;
        while received < count {
            if self.start == self.end || self.missing > 0 {
                self.read();
            }
            let mut input = &mut self.read_buffer[self.start..self.end];
            while received < count
                && let Some(event) = self
                    .decoder
                    .decode_within(&mut input, READ_BUFFER, &mut self.inflater)
                    .expect("valid frames")
            {
                let event = if OWNED { event.into_owned() } else { event };
                match &event {
                    Event::Text(text) => each(text.as_bytes()),
                    Event::Binary(data) => each(data),
                    other => unreachable!("only messages are sent: {other:?}"),
                }
                received += 1;
            }
            self.start = self.end - input.len();
            self.missing = match received < count {
                true => self.decoder.missing(input),
                false => 0,
            };
        }
    }

    fn outgoing(sample: &Sample) -> Self::Outgoing {
        match sample.text() {
            Some(text) => Payload::Text(text.into()),
            None => Payload::Binary(sample.payload()),
        }
    }

    fn send(&mut self, message: &Self::Outgoing, count: usize) {
        for _ in 0..count {
            match message {
                Payload::Text(text) if self.is_client => {
                    self.send_masked(Opcode::Text, text.as_bytes());
                }
                Payload::Binary(data) if self.is_client => self.send_masked(Opcode::Binary, data),
                Payload::Text(text) => self.send_frame(Frame::from_text(Arc::clone(text))),
                Payload::Binary(data) => self.send_frame(Frame::from_binary(data.clone())),
            }
        }
    }

    fn into_socket(self) -> Option<Socket> {
        Some(self.socket)
    }
}
