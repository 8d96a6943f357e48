//! A simulated network with clients that speak the protocol and handlers that write their calls
//! down.

use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use nextrush_engine::sim::{Client, Network};
use nextrush_engine::{
    CloseReason, Connection, ConnectionError, EngineConfig, Handler, Handover, Incoming,
    SocketOptions, Traffic, Unsent, Work,
};
use nextrush_protocol::{
    CloseCode, CloseFrame, Decoder, Event, Frame, Limits, Opcode, Role, encode_masked,
};

pub(crate) struct World {
    network: Network,
}

/// A network whose engine has so many shards.
pub(crate) fn world(shards: usize) -> World {
    World::of(&EngineConfig::default().shards(NonZeroUsize::new(shards).unwrap()))
}

impl World {
    /// A network whose engine has these settings.
    pub(crate) fn of(config: &EngineConfig) -> Self {
        Self {
            network: Network::new(config),
        }
    }

    /// Connects a client whose handler only writes its calls down.
    pub(crate) fn connect(&mut self) -> Peer {
        self.connect_to(Script::default())
    }

    pub(crate) fn connect_to(&mut self, script: Script) -> Peer {
        let log = Log::default();
        let options = Arc::new(script.options.clone());
        let handover = handover()
            .counted(script.is_counted)
            .first_message(script.first_message);
        let handler = script.handler(log.clone());
        let connect = self.network.connect_with(&options, handover, handler);
        let (client, id) = connect.unwrap();
        self.network.run();
        let connection = self.network.engine().connection(id).unwrap();
        Peer {
            client,
            decoder: Decoder::new(Role::Client, Limits::message(64 << 20)),
            connection,
            log,
        }
    }

    pub(crate) fn seconds(&mut self, seconds: u64) {
        self.network.advance(Duration::from_secs(seconds));
    }

    pub(crate) fn millis(&mut self, millis: u64) {
        self.network.advance(Duration::from_millis(millis));
    }
}

impl Deref for World {
    type Target = Network;

    fn deref(&self) -> &Network {
        &self.network
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut Network {
        &mut self.network
    }
}

/// Both sides of a connection: the client, and the calls that its handler got.
pub(crate) struct Peer {
    pub(crate) client: Client,
    decoder: Decoder,
    /// The server's handle.
    pub(crate) connection: Connection,
    pub(crate) log: Log,
}

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

impl Peer {
    pub(crate) fn send(&self, opcode: Opcode, payload: &[u8]) {
        self.client.send(&masked(opcode, payload));
    }

    pub(crate) fn text(&self, text: &str) {
        self.send(Opcode::Text, text.as_bytes());
    }

    pub(crate) fn ping(&self, payload: &str) {
        self.send(Opcode::Ping, payload.as_bytes());
    }

    pub(crate) fn close(&self, code: u16, reason: &str) {
        let mut payload = code.to_be_bytes().to_vec();
        payload.extend_from_slice(reason.as_bytes());
        self.send(Opcode::Close, &payload);
    }

    /// Takes all that has been sent to the client.
    pub(crate) fn received(&mut self) -> Vec<String> {
        let bytes = self.client.take();
        self.decode(bytes)
    }

    fn decode(&mut self, mut bytes: Vec<u8>) -> Vec<String> {
        let mut input = bytes.as_mut_slice();
        let mut events = Vec::new();
        while let Some(event) = self.decoder.decode(&mut input).unwrap() {
            let event = match event {
                Event::Text(text) => text.into_owned(),
                Event::Binary(data) => format!("binary of {}", data.len()),
                Event::Ping(payload) => format!("ping {}", String::from_utf8_lossy(&payload)),
                Event::Pong(payload) => format!("pong {}", String::from_utf8_lossy(&payload)),
                Event::Close(None) => "close".into(),
                Event::Close(Some(frame)) => {
                    format!("close {} {}", frame.code().as_u16(), frame.reason())
                }
            };
            events.push(event.trim_end().to_owned());
        }
        events
    }

    pub(crate) fn send_text(&self, text: &str) {
        self.connection.send(Frame::text(text));
    }
}

/// A frame as a client sends it.
pub(crate) fn masked(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_masked(opcode, payload, MASK, &mut bytes);
    bytes
}

pub(crate) fn close_frame(code: u16, reason: &str) -> Option<CloseFrame> {
    Some(CloseFrame::new(CloseCode::new(code), reason))
}

/// The calls that a handler got, in order.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn add(&self, entry: impl Into<String>) {
        self.0.lock().unwrap().push(entry.into());
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

type OnOpen = Box<dyn FnMut(&Connection) -> Work + Send>;
type OnMessage = Box<dyn FnMut(&Connection, &str) -> Work + Send>;
type OnClose = Box<dyn FnMut(&Connection) -> Work + Send>;

/// The deeds of a handler besides writing its calls down.
pub(crate) struct Script {
    pub(crate) options: SocketOptions,
    pub(crate) open: OnOpen,
    pub(crate) message: OnMessage,
    pub(crate) error: OnOpen,
    pub(crate) close: OnClose,
    pub(crate) is_counted: bool,
    pub(crate) first_message: Option<Limits>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            options: SocketOptions::default(),
            open: Box::new(|_| None),
            message: Box::new(|_, _| None),
            error: Box::new(|_| None),
            close: Box::new(|_| None),
            is_counted: false,
            first_message: None,
        }
    }
}

impl Script {
    pub(crate) fn on_open(
        mut self,
        open: impl FnMut(&Connection) -> Work + Send + 'static,
    ) -> Self {
        self.open = Box::new(open);
        self
    }

    pub(crate) fn on_message(
        mut self,
        message: impl FnMut(&Connection, &str) -> Work + Send + 'static,
    ) -> Self {
        self.message = Box::new(message);
        self
    }

    pub(crate) fn on_error(
        mut self,
        error: impl FnMut(&Connection) -> Work + Send + 'static,
    ) -> Self {
        self.error = Box::new(error);
        self
    }

    pub(crate) fn on_close(
        mut self,
        close: impl FnMut(&Connection) -> Work + Send + 'static,
    ) -> Self {
        self.close = Box::new(close);
        self
    }

    pub(crate) fn counted(self) -> Self {
        let is_counted = true;
        Self { is_counted, ..self }
    }

    /// Makes the first message say who the client is.
    pub(crate) fn first_message(self, limits: Limits) -> Self {
        let first_message = Some(limits);
        Self {
            first_message,
            ..self
        }
    }

    pub(crate) fn handler(self, log: Log) -> impl Handler {
        let Self {
            open,
            message,
            error,
            close,
            ..
        } = self;
        Scripted {
            open: Mutex::new(open),
            message: Mutex::new(message),
            error: Mutex::new(error),
            close: Mutex::new(close),
            log,
        }
    }

    pub(crate) fn options(mut self, change: impl FnOnce(&mut SocketOptions)) -> Self {
        change(&mut self.options);
        self
    }
}

struct Scripted {
    open: Mutex<OnOpen>,
    message: Mutex<OnMessage>,
    error: Mutex<OnOpen>,
    close: Mutex<OnClose>,
    log: Log,
}

/// Locks a function that may have panicked in an earlier call.
fn lock<T>(function: &Mutex<T>) -> MutexGuard<'_, T> {
    function.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A handover that opens a script's handler.
pub(crate) fn handover() -> Handover {
    Handover::default().open(|connection| {
        let scripted = connection.handler::<Scripted>()?;
        scripted.log.add("open");
        lock(&scripted.open)(connection)
    })
}

impl Handler for Scripted {
    fn message(&self, connection: &Connection, message: Incoming<'_>) -> Work {
        match message {
            Incoming::Text(text) => {
                self.log.add(text.clone());
                lock(&self.message)(connection, &text)
            }
            Incoming::Binary(data) => {
                self.log.add(format!("binary of {}", data.len()));
                None
            }
        }
    }

    /// A text that begins with an exclamation mark overtakes.
    fn overtake<'a>(&self, _: &Connection, message: Incoming<'a>) -> Option<Incoming<'a>> {
        match message {
            Incoming::Text(text) if text.starts_with('!') => {
                self.log.add(format!("overtook {text}"));
                None
            }
            other => Some(other),
        }
    }

    fn pong(&self, _: &Connection, payload: &[u8]) -> Work {
        self.log
            .add(format!("pong {}", String::from_utf8_lossy(payload)));
        None
    }

    fn error(&self, connection: &Connection, error: &ConnectionError) -> Work {
        self.log.add(format!("error: {error}"));
        lock(&self.error)(connection)
    }

    fn ended(&self, _: &Connection, reason: &CloseReason, traffic: Traffic) {
        let Traffic {
            bytes_in,
            bytes_out,
            ..
        } = traffic;
        let code = reason.code.as_u16();
        self.log
            .add(format!("ended {code}: {bytes_in} in, {bytes_out} out"));
    }

    fn unsent(&self, _: &Connection, unsent: &[Unsent]) {
        for Unsent { room, first, .. } in unsent {
            self.log.add(format!("unsent in {room} from {first}"));
        }
    }

    fn close(&self, connection: &Connection, reason: &CloseReason) -> Work {
        let clean = if reason.clean { "clean" } else { "unclean" };
        self.log.add(format!(
            "close {} '{}' {clean}",
            reason.code.as_u16(),
            reason.reason
        ));
        lock(&self.close)(connection)
    }
}

/// Work that is pending until it is [opened](Gate::open).
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<Mutex<(bool, Vec<Waker>)>>);

impl Gate {
    pub(crate) fn open(&self) {
        let mut state = self.0.lock().unwrap();
        state.0 = true;
        state.1.drain(..).for_each(Waker::wake);
    }

    pub(crate) fn wait(&self) -> Work {
        Some(Box::pin(self.clone()))
    }
}

impl Future for Gate {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().unwrap();
        if state.0 {
            return Poll::Ready(());
        }
        state.1.push(context.waker().clone());
        Poll::Pending
    }
}

/// Polls a future once. Returns whether it is done.
pub(crate) fn is_done<F: Future>(future: Pin<&mut F>) -> bool {
    future
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_ready()
}

/// Random numbers that follow from a seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `bound` (SplitMix64).
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}
