//! A network in memory with a clock of its own: the engine as it is, on pipes instead of
//! sockets, in one thread, and in as much time as it is told.
//!
//! Nothing happens by itself. [`Network::run`] lets everything happen that can happen now,
//! [`Network::advance`] lets time pass. The same calls give the same run. Who has a clock
//! already sets the network's by it, with [`Network::set_elapsed`].

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind};
use std::mem;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use parking_lot::Mutex;

use crate::config::{Config, Options};
use crate::engine::Engine;
use crate::error::AcceptError;
use crate::handler::Handler;
use crate::handover::Handover;
use crate::id::ConnectionId;
use crate::io::{Io, Readiness};
use crate::link::Link;
use crate::moment::Moment;
use crate::shard::Shard;
use crate::shared::Shared;
use crate::transport::Transport;

/// How much a [`Client`] can be sent before it takes it, in bytes, unless it is told
/// otherwise.
const WINDOW: usize = 64 * 1024;

/// An engine, run by hand on a simulated network.
pub struct Network {
    engine: Engine,
    shards: Vec<Shard<Pipes>>,
    bell: Arc<Bell>,
    now: Moment,
}

impl Network {
    /// A network with an engine and no connections.
    pub fn new(config: &Config) -> Self {
        let network = Self::of(&Engine::new(config.clone()));
        network.expect("a new engine has no threads")
    }

    /// A network for an engine that was made already; `None` if it has had a connection,
    /// and with that threads, or is shutting down.
    pub fn of(engine: &Engine) -> Option<Self> {
        if !engine.claim_shards() {
            return None;
        }
        let shared = engine.shared();
        let bell = Arc::new(Bell::default());
        let new_shard = |link: &Arc<Link>| {
            let inbox_bell = Arc::clone(&bell);
            link.inbox.set_waker(Box::new(move || inbox_bell.ring()));
            let pipes = Pipes::new(&bell);
            Shard::new(pipes, Arc::clone(link), Shared::count_shard(shared))
        };
        Some(Self {
            shards: shared.links.iter().map(new_shard).collect(),
            engine: engine.clone(),
            bell,
            now: Moment::START,
        })
    }

    /// The engine that serves the clients.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Connects a client, as if its opening handshake were done; see [`Engine::accept`].
    ///
    /// # Errors
    ///
    /// As with [`Engine::accept`].
    pub fn connect(
        &self,
        options: &Arc<Options>,
        handler: impl Handler,
    ) -> Result<(Client, ConnectionId), AcceptError> {
        self.connect_with(options, Handover::default(), handler)
    }

    /// The same, with what is not usual about the handshake.
    ///
    /// # Errors
    ///
    /// As with [`Engine::accept`].
    pub fn connect_with(
        &self,
        options: &Arc<Options>,
        handover: Handover,
        handler: impl Handler,
    ) -> Result<(Client, ConnectionId), AcceptError> {
        let (client, pipe) = pipe();
        let (transport, options) = (Transport::Simulated(pipe), Arc::clone(options));
        let accept = self.engine.accept(transport, handover, options, handler);
        Ok((client, accept?))
    }

    /// Lets everything happen that can happen without time passing.
    ///
    /// Does not return while work of a handler wakes itself again and again.
    pub fn run(&mut self) {
        while self.step() {}
    }

    /// Lets `duration` pass, and everything happen in its time.
    pub fn advance(&mut self, duration: Duration) {
        let end = self.now.after(duration);
        loop {
            self.run();
            let next = self.shards.iter().filter_map(Shard::next_turn).min();
            match next {
                Some(next) if next <= end => self.now = self.now.max(next),
                _ => break,
            }
        }
        self.now = end;
        self.run();
    }

    /// Sets the clock to so much after the start; never back. What is due by then happens
    /// with the next [`run`](Self::run).
    pub fn set_elapsed(&mut self, elapsed: Duration) {
        self.now = self.now.max(Moment::new(elapsed));
    }

    /// When something will happen by itself, counted from the start.
    pub fn next_turn(&self) -> Option<Duration> {
        let next = self.shards.iter().filter_map(Shard::next_turn).min();
        next.map(|next| next.since(Moment::START))
    }

    /// Has `waker` woken as soon as somebody gives the shards something to do, from
    /// whatever thread. `false` if there is something already.
    pub fn wait(&self, waker: &Waker) -> bool {
        self.bell.add(waker);
        let mut shards = self.shards.iter();
        shards.all(|shard| shard.doze() && !shard.io().has_ready())
    }

    /// How much time has passed.
    pub fn elapsed(&self) -> Duration {
        self.now.since(Moment::START)
    }

    /// A turn of each shard that has something to do; `false` if none has.
    pub fn step(&mut self) -> bool {
        let mut turned = false;
        for shard in &mut self.shards {
            let ready = shard.io().take_ready();
            let is_due = shard.next_turn().is_some_and(|next| next <= self.now);
            if is_due || shard.has_commands() || !ready.is_empty() {
                shard.turn(self.now, ready);
                turned = true;
            }
        }
        self.shards.retain(|shard| !shard.is_stopped());
        turned
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("engine", &self.engine)
            .field("elapsed", &self.elapsed())
            .finish_non_exhaustive()
    }
}

/// Wakes those who wait for something to do.
#[derive(Default)]
struct Bell(Mutex<Vec<Waker>>);

impl Bell {
    fn add(&self, waker: &Waker) {
        let mut wakers = self.0.lock();
        if !wakers.iter().any(|known| known.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }

    fn ring(&self) {
        let wakers = mem::take(&mut *self.0.lock());
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// Two ends of a new connection.
pub fn pipe() -> (Client, Pipe) {
    let shared = Arc::new(Mutex::new(State {
        window: WINDOW,
        ..State::default()
    }));
    (Client(Arc::clone(&shared)), Pipe(shared))
}

/// The server's end of a connection; goes into [`Transport::Simulated`].
pub struct Pipe(Arc<Mutex<State>>);

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe").finish_non_exhaustive()
    }
}

/// The client's end of a connection: bytes in, bytes out. Dropping it is no goodbye; a
/// client that is only forgotten is one that has gone silent.
pub struct Client(Arc<Mutex<State>>);

impl Client {
    /// Sends bytes. Ignored once the connection is closed.
    pub fn send(&self, bytes: &[u8]) {
        let mut state = self.0.lock();
        if !state.closed {
            state.to_server.extend(bytes);
            state.report();
        }
    }

    /// Takes what has been sent to the client, which makes room for more.
    pub fn take(&self) -> Vec<u8> {
        let mut state = self.0.lock();
        let taken = mem::take(&mut state.to_client);
        state.report_writable();
        taken.into()
    }

    /// The same, but at most so many bytes, the oldest.
    pub fn take_up_to(&self, bytes: usize) -> Vec<u8> {
        let mut state = self.0.lock();
        let count = bytes.min(state.to_client.len());
        if count == 0 {
            return Vec::new();
        }
        let taken = state.to_client.drain(..count).collect();
        state.report_writable();
        taken
    }

    /// How much may be on the way to the client before it takes it, in bytes: what the
    /// kernel takes for a client that does not read. 64 KiB in the beginning.
    pub fn set_window(&self, bytes: usize) {
        let mut state = self.0.lock();
        state.window = bytes;
        state.report_writable();
    }

    /// Takes everything that comes from now on at once, and throws it away.
    pub fn ignore(&self) {
        let mut state = self.0.lock();
        state.to_client = VecDeque::new();
        state.ignores = true;
        state.report_writable();
    }

    /// Sends no more: the server sees the end of the stream.
    pub fn shutdown(&self) {
        let mut state = self.0.lock();
        state.client_shut = true;
        state.report();
    }

    /// Breaks the connection: the server sees a reset.
    pub fn reset(&self) {
        let mut state = self.0.lock();
        state.reset = true;
        state.report();
    }

    /// What the server has not read yet, in bytes.
    pub fn unread(&self) -> usize {
        self.0.lock().to_server.len()
    }

    /// Whether the server sends no more.
    pub fn is_shut(&self) -> bool {
        let state = self.0.lock();
        state.server_shut || state.closed
    }

    /// Whether the server has dropped the connection.
    pub fn is_closed(&self) -> bool {
        self.0.lock().closed
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock();
        f.debug_struct("Client")
            .field("waiting", &state.to_client.len())
            .field("closed", &state.closed)
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    to_server: VecDeque<u8>,
    to_client: VecDeque<u8>,
    window: usize,
    client_shut: bool,
    server_shut: bool,
    closed: bool,
    reset: bool,
    /// Where readiness is reported, once a shard has the connection.
    report: Option<(Arc<Reports>, u32)>,
    watch_writable: bool,
    ignores: bool,
}

/// What has become ready of one shard's connections.
struct Reports {
    ready: Mutex<Vec<Readiness>>,
    bell: Arc<Bell>,
}

impl Reports {
    fn add(&self, readiness: Readiness) {
        self.ready.lock().push(readiness);
        self.bell.ring();
    }
}

impl State {
    fn has_room(&self) -> bool {
        self.to_client.len() < self.window
    }

    fn report(&self) {
        if let Some((reports, slot)) = &self.report {
            reports.add(Readiness {
                slot: *slot,
                readable: true,
                writable: self.watch_writable && self.has_room(),
                hangup: self.client_shut || self.reset,
            });
        }
    }

    fn report_writable(&self) {
        if let Some((reports, slot)) = &self.report
            && self.watch_writable
            && self.has_room()
        {
            reports.add(Readiness {
                slot: *slot,
                writable: true,
                ..Readiness::default()
            });
        }
    }
}

/// The connections of one shard.
struct Pipes {
    pipes: Vec<Option<Arc<Mutex<State>>>>,
    reports: Arc<Reports>,
}

impl Pipes {
    fn new(bell: &Arc<Bell>) -> Self {
        Self {
            pipes: Vec::new(),
            reports: Arc::new(Reports {
                ready: Mutex::default(),
                bell: Arc::clone(bell),
            }),
        }
    }

    fn take_ready(&self) -> Vec<Readiness> {
        mem::take(&mut *self.reports.ready.lock())
    }

    fn has_ready(&self) -> bool {
        !self.reports.ready.lock().is_empty()
    }

    fn pipe(&self, slot: u32) -> io::Result<&Mutex<State>> {
        let pipe = self.pipes.get(slot as usize).and_then(Option::as_ref);
        pipe.map(AsRef::as_ref)
            .ok_or_else(|| ErrorKind::NotConnected.into())
    }
}

impl Io for Pipes {
    const SHORT_READ_DRAINS: bool = true;

    fn register(&mut self, slot: u32, transport: Transport) -> io::Result<()> {
        let Transport::Simulated(Pipe(pipe)) = transport else {
            return Err(ErrorKind::Unsupported.into());
        };
        {
            let mut state = pipe.lock();
            state.report = Some((Arc::clone(&self.reports), slot));
            if !state.to_server.is_empty() || state.client_shut || state.reset {
                state.report();
            }
        }
        let index = slot as usize;
        if index >= self.pipes.len() {
            self.pipes.resize_with(index + 1, || None);
        }
        self.pipes[index] = Some(pipe);
        Ok(())
    }

    fn read(&mut self, slot: u32, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.pipe(slot)?.lock();
        if state.to_server.is_empty() {
            return if state.reset {
                Err(ErrorKind::ConnectionReset.into())
            } else if state.client_shut {
                Ok(0)
            } else {
                Err(ErrorKind::WouldBlock.into())
            };
        }
        let count = buffer.len().min(state.to_server.len());
        let (front, back) = state.to_server.as_slices();
        let from_front = count.min(front.len());
        buffer[..from_front].copy_from_slice(&front[..from_front]);
        buffer[from_front..count].copy_from_slice(&back[..count - from_front]);
        state.to_server.drain(..count);
        Ok(count)
    }

    fn write(&mut self, slot: u32, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.pipe(slot)?.lock();
        if state.reset || state.server_shut {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if !state.has_room() {
            return Err(ErrorKind::WouldBlock.into());
        }
        if state.ignores {
            return Ok(bytes.len());
        }
        let count = bytes.len().min(state.window - state.to_client.len());
        state.to_client.extend(&bytes[..count]);
        Ok(count)
    }

    fn watch_writable(&mut self, slot: u32, watch: bool) -> io::Result<()> {
        let mut state = self.pipe(slot)?.lock();
        state.watch_writable = watch;
        state.report_writable();
        Ok(())
    }

    fn shutdown_write(&mut self, slot: u32) -> io::Result<()> {
        self.pipe(slot)?.lock().server_shut = true;
        Ok(())
    }

    fn close(&mut self, slot: u32) {
        let pipe = self.pipes.get_mut(slot as usize).and_then(Option::take);
        if let Some(pipe) = pipe {
            let mut state = pipe.lock();
            state.closed = true;
            state.report = None;
        }
    }
}
