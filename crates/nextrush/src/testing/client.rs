//! Clients of a simulated network.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use nextrush_engine::sim;
use nextrush_protocol::{
    CloseCode, CloseFrame, Decoder, Event, Limits, Opcode, Role, encode_masked,
};
use serde::Serialize;
use serde_json::Value;
use tokio::time::timeout;

use super::network::Network;
use crate::message::Message;

/// The time for which something is waited for. More than any answer takes, and less than a client
/// may be silent.
const PATIENCE: Duration = Duration::from_secs(10);
/// The mask of frames. Here it need not be unpredictable, only different from zero.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A client on the simulated [`Network`].
///
/// Like any WebSocket client it reads by itself, answers pings, and answers a close frame;
/// [`stall`](Self::stall) stops that. Dropping it breaks the connection.
pub struct Client {
    network: Network,
    reader: Rc<RefCell<Reader>>,
}

impl Client {
    pub(super) fn new(network: Network, reader: Rc<RefCell<Reader>>) -> Self {
        Self { network, reader }
    }

    /// Sends a text message. It is under way when something is awaited.
    pub fn send(&self, text: &str) {
        self.send_frame(Opcode::Text, text.as_bytes());
    }

    /// Sends `value` as a JSON text message.
    ///
    /// # Panics
    ///
    /// Panics when it cannot be written as JSON.
    pub fn send_json<T: Serialize + ?Sized>(&self, value: &T) {
        self.send(&serde_json::to_string(value).expect("a value with string keys"));
    }

    /// Sends a binary message.
    pub fn send_binary(&self, data: &[u8]) {
        self.send_frame(Opcode::Binary, data);
    }

    /// Sends bytes as they are, whatever RFC 6455 thinks of them.
    pub fn send_bytes(&self, bytes: &[u8]) {
        self.reader.borrow().pipe.send(bytes);
    }

    /// The next message; `None` when the connection has ended and all that came before has
    /// been taken.
    ///
    /// # Panics
    ///
    /// Panics when nothing comes within 10 s of the network's time.
    pub async fn recv(&mut self) -> Option<Message> {
        let reader = &self.reader;
        let next = poll_fn(|context| reader.borrow_mut().poll_next(context));
        self.network
            .run_until(timeout(PATIENCE, next))
            .await
            .expect("a message or the end within 10 s")
    }

    /// The next message if it has come already; it lets nothing happen.
    pub fn try_recv(&mut self) -> Option<Message> {
        self.reader.borrow_mut().messages.pop_front()
    }

    /// The next message, which has to be a text.
    ///
    /// # Panics
    ///
    /// Panics when something else comes, the connection ends, or nothing comes within 10 s.
    pub async fn text(&mut self) -> String {
        match self.recv().await {
            Some(Message::Text(text)) => text,
            other => panic!("expected a text message, got {other:?}"),
        }
    }

    /// The next message, which has to be a text with JSON.
    ///
    /// # Panics
    ///
    /// As [`text`](Self::text), and when it is no JSON.
    pub async fn json(&mut self) -> Value {
        let text = self.text().await;
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("expected JSON, got {text:?}: {error}"))
    }

    /// Closes the connection with a code and a reason, of which 123 bytes are sent; see
    /// [`closed`](Self::closed) for the answer.
    pub fn close(&self, code: impl Into<CloseCode>, reason: &str) {
        let frame = CloseFrame::new(code.into(), reason);
        self.reader.borrow_mut().send_close(Some(&frame));
    }

    /// Waits for the end, passing over what comes before: the server's close frame, or
    /// `None` if the connection ended without one.
    ///
    /// # Panics
    ///
    /// Panics when nothing comes within 10 s of the network's time.
    pub async fn closed(&mut self) -> Option<CloseFrame> {
        while self.recv().await.is_some() {}
        self.close_frame()
    }

    /// `true` if the server has closed or broken the connection, as far as it was read.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.reader.borrow().end.is_some()
    }

    /// The close frame that the server has sent, as far as it was read.
    #[must_use]
    pub fn close_frame(&self) -> Option<CloseFrame> {
        match self.reader.borrow().end.as_ref() {
            Some(End::Closed(frame)) => frame.clone(),
            Some(End::Broken) | None => None,
        }
    }

    /// Breaks the connection without a close frame.
    pub fn cut(self) {
        drop(self);
    }

    /// Is not there any more without anybody noticing: sends nothing and reads nothing,
    /// as after a cable was pulled.
    pub fn fall_silent(&self) {
        let mut reader = self.reader.borrow_mut();
        reader.pipe.ignore();
        reader.is_silent = true;
    }

    /// Stops reading. What the server sends waits on the way, up to the
    /// [window](Self::set_window), then at the server.
    pub fn stall(&self) {
        self.reader.borrow_mut().is_stalled = true;
    }

    /// Reads on after [`stall`](Self::stall).
    pub fn resume(&self) {
        self.reader.borrow_mut().is_stalled = false;
    }

    /// Reads so many bytes, if they are there, although it is stalled; returns how many it
    /// was.
    #[must_use]
    pub fn read(&self, bytes: usize) -> usize {
        self.reader.borrow_mut().read(bytes)
    }

    /// Sets how many bytes may be on the way to the client before it reads them: what the
    /// kernels of both sides take. Default: 256 KiB.
    pub fn set_window(&self, bytes: usize) {
        self.reader.borrow().pipe.set_window(bytes);
    }

    fn send_frame(&self, opcode: Opcode, payload: &[u8]) {
        self.reader.borrow().send(opcode, payload);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let reader = self.reader.borrow();
        if !reader.is_silent {
            reader.pipe.reset();
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reader = self.reader.borrow();
        f.debug_struct("Client")
            .field("unread", &reader.messages.len())
            .field("closed", &reader.end.is_some())
            .finish_non_exhaustive()
    }
}

/// The part of a client that runs by itself.
pub(super) struct Reader {
    pipe: sim::Client,
    decoder: Decoder,
    messages: VecDeque<Message>,
    end: Option<End>,
    has_closed: bool,
    is_stalled: bool,
    is_silent: bool,
    waiting: Option<Waker>,
}

enum End {
    Closed(Option<CloseFrame>),
    Broken,
}

impl Reader {
    pub(super) fn new(pipe: sim::Client) -> Self {
        Self {
            pipe,
            decoder: Decoder::new(Role::Client, Limits::message(usize::MAX)),
            messages: VecDeque::new(),
            end: None,
            has_closed: false,
            is_stalled: false,
            is_silent: false,
            waiting: None,
        }
    }

    /// Reads what has come unless it does not want to; whether there was something.
    pub(super) fn read_if_willing(&mut self) -> bool {
        if self.is_stalled || self.is_silent {
            return false;
        }
        self.read(usize::MAX) > 0
    }

    fn read(&mut self, bytes: usize) -> usize {
        let mut bytes = self.pipe.take_up_to(bytes);
        let count = bytes.len();
        self.take(&mut bytes);
        if count == 0 && self.pipe.is_shut() && self.end.is_none() {
            self.end(End::Broken);
        }
        count
    }

    fn take(&mut self, mut bytes: &mut [u8]) {
        while self.end.is_none()
            && let Some(event) = self
                .decoder
                .decode(&mut bytes)
                .expect("the server keeps to RFC 6455")
        {
            match event {
                Event::Text(text) => self.receive(Message::Text(text.into_owned())),
                Event::Binary(data) => {
                    self.receive(Message::Binary(Bytes::from(data.into_owned())));
                }
                Event::Ping(payload) => self.send(Opcode::Pong, &payload),
                Event::Pong(_) => {}
                Event::Close(frame) => {
                    self.send_close(frame.as_ref());
                    self.end(End::Closed(frame));
                }
            }
        }
    }

    fn receive(&mut self, message: Message) {
        self.messages.push_back(message);
        self.wake();
    }

    fn end(&mut self, end: End) {
        self.end = Some(end);
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    fn poll_next(&mut self, context: &Context<'_>) -> Poll<Option<Message>> {
        match self.messages.pop_front() {
            Some(message) => Poll::Ready(Some(message)),
            None if self.end.is_some() => Poll::Ready(None),
            None => {
                self.waiting = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    fn send(&self, opcode: Opcode, payload: &[u8]) {
        let mut bytes = Vec::new();
        encode_masked(opcode, payload, MASK, &mut bytes);
        self.pipe.send(&bytes);
    }

    /// Once: it is the last frame (RFC 6455 §5.5.1).
    fn send_close(&mut self, frame: Option<&CloseFrame>) {
        if !std::mem::replace(&mut self.has_closed, true) {
            let payload = frame.map(|frame| {
                let code = frame.code().as_u16().to_be_bytes();
                [&code, frame.reason().as_bytes()].concat()
            });
            self.send(Opcode::Close, &payload.unwrap_or_default());
        }
    }
}
