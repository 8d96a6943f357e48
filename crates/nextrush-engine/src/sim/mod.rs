//! A network in memory with a simulated clock: the engine itself, but in one thread, on pipes
//! in place of sockets, and in a time that the caller sets.
//!
//! Nothing happens by itself. [`Network::run`] lets everything happen that can happen now,
//! [`Network::advance`] lets time pass. The same calls give the same run. A caller that has a
//! clock sets the network's clock by it, with [`Network::set_elapsed`].

mod pipes;

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use parking_lot::Mutex;

use self::pipes::Pipes;
use crate::config::{EngineConfig, SocketOptions};
use crate::connection::{Handler, Handover};
use crate::engine::Engine;
use crate::error::AcceptError;
use crate::id::ConnectionId;
use crate::link::Link;
use crate::moment::Moment;
use crate::shard::Shard;
use crate::shared::Shared;
use crate::transport::Transport;
pub use crate::transport::pipe::{Client, Pipe, pipe};

/// An engine, run by hand on a simulated network.
pub struct Network {
    engine: Engine,
    shards: Vec<Shard<Pipes>>,
    bell: Arc<Bell>,
    now: Moment,
}

impl Network {
    /// A network with an engine and no connections.
    #[must_use]
    pub fn new(config: &EngineConfig) -> Self {
        Self::of(&Engine::new(config.clone())).expect("a new engine has no threads")
    }

    /// A network for an engine that was made already; `None` if the engine has had a
    /// connection, and so has threads, or is shutting down.
    #[must_use]
    pub fn of(engine: &Engine) -> Option<Self> {
        if !engine.claim_shards() {
            return None;
        }
        let shared = engine.shared();
        let bell = Arc::new(Bell::default());
        let new_shard = |link: &Arc<Link>| {
            let inbox_bell = Arc::clone(&bell);
            link.inbox.set_waker(Box::new(move || inbox_bell.ring()));
            let ready_bell = Arc::clone(&bell);
            let pipes = Pipes::new(Box::new(move || ready_bell.ring()));
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
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Connects a client, as if its opening handshake were done; see [`Engine::accept`].
    ///
    /// # Errors
    ///
    /// Fails as [`Engine::accept`] does.
    pub fn connect(
        &self,
        options: &Arc<SocketOptions>,
        handler: impl Handler,
    ) -> Result<(Client, ConnectionId), AcceptError> {
        self.connect_with(options, Handover::default(), handler)
    }

    /// Connects a client with the results of its opening handshake.
    ///
    /// # Errors
    ///
    /// Fails as [`Engine::accept`] does.
    pub fn connect_with(
        &self,
        options: &Arc<SocketOptions>,
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

    /// Sets the clock to a time after the start, but never back. The next [`run`](Self::run)
    /// does what is due by then.
    pub fn set_elapsed(&mut self, elapsed: Duration) {
        self.now = self.now.max(Moment::new(elapsed));
    }

    /// The time, counted from the start, at which something happens by itself.
    pub fn next_turn(&self) -> Option<Duration> {
        let next = self.shards.iter().filter_map(Shard::next_turn).min();
        next.map(|next| next.since(Moment::START))
    }

    /// Wakes `waker` as soon as any thread gives the shards something to do; `false` if there
    /// is something to do already.
    #[must_use]
    pub fn wait(&self, waker: &Waker) -> bool {
        self.bell.add(waker);
        let mut shards = self.shards.iter();
        shards.all(|shard| shard.doze() && !shard.io().has_ready())
    }

    /// The time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now.since(Moment::START)
    }

    /// Makes a turn of each shard that has something to do; `false` if none has.
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

/// The wakers of those that wait for the shards to have something to do.
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
