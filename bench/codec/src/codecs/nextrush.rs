use std::io::{Read, Write};

use nextrush_protocol::{Decoder, Event, Frame, Limits, Opcode, Role, encode_masked};

use crate::codec::{Codec, Connection};
use crate::sample::Sample;
use crate::socket::Socket;
use crate::work::{Direction, Work};

/// `nextrush-protocol`, messages lent from the read buffer.
#[derive(Debug)]
pub struct NextRush;

/// `nextrush-protocol`, each message moved into memory of its own, as a caller does who
/// keeps it.
#[derive(Debug)]
pub struct NextRushOwned;

/// As much as the engine reads at once; there all connections of a thread share one.
const READ_BUFFER: usize = 64 * 1024;
/// The peers' default, so that nobody refuses anything.
const LIMIT: usize = 64 * 1024 * 1024;

/// `OWNED` is whether messages are moved out of the read buffer.
#[derive(Debug)]
pub struct NextRushConnection<const OWNED: bool> {
    socket: Socket,
    decoder: Decoder,
    read_buffer: Box<[u8]>,
    /// What of the read buffer is still to be decoded.
    start: usize,
    end: usize,
    is_client: bool,
    write_buffer: Vec<u8>,
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
        Self {
            socket,
            decoder: Decoder::new(role, Limits::message(LIMIT)),
            read_buffer: vec![0; READ_BUFFER].into(),
            start: 0,
            end: 0,
            is_client,
            write_buffer: Vec::new(),
        }
    }

    fn send_masked(&mut self, opcode: Opcode, payload: &[u8]) {
        self.write_buffer.clear();
        encode_masked(opcode, payload, rand::random(), &mut self.write_buffer);
        self.socket
            .write_all(&self.write_buffer)
            .expect("in memory");
    }
}

/// A message as an application has it.
#[derive(Debug)]
pub enum Payload {
    /// Of a text message.
    Text(String),
    /// Of a binary message.
    Binary(Vec<u8>),
}

impl<const OWNED: bool> Connection for NextRushConnection<OWNED> {
    type Outgoing = Payload;

    fn receive(&mut self, count: usize, mut each: impl FnMut(&[u8])) {
        let mut received = 0;
        while received < count {
            if self.start == self.end {
                self.start = 0;
                self.end = self.socket.read(&mut self.read_buffer).expect("in memory");
            }
            let mut input = &mut self.read_buffer[self.start..self.end];
            while received < count
                && let Some(event) = self.decoder.decode(&mut input).expect("valid frames")
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
        }
    }

    fn outgoing(sample: &Sample) -> Self::Outgoing {
        match sample.text() {
            Some(text) => Payload::Text(text),
            None => Payload::Binary(sample.payload().into()),
        }
    }

    fn send(&mut self, message: &Self::Outgoing, count: usize) {
        for _ in 0..count {
            match message {
                Payload::Text(text) if self.is_client => {
                    self.send_masked(Opcode::Text, text.as_bytes());
                }
                Payload::Binary(data) if self.is_client => self.send_masked(Opcode::Binary, data),
                Payload::Text(text) => {
                    let frame = Frame::text(text);
                    self.socket.write_all(frame.as_bytes()).expect("in memory");
                }
                Payload::Binary(data) => {
                    let frame = Frame::binary(data);
                    self.socket.write_all(frame.as_bytes()).expect("in memory");
                }
            }
        }
    }

    fn into_socket(self) -> Socket {
        self.socket
    }
}
