//! A connection in memory, for the simulated network.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::Arc;

use parking_lot::Mutex;

use super::io::Readiness;

/// Bytes that a [`Client`] can be sent before it takes them, unless it says otherwise.
const WINDOW: usize = 64 * 1024;

/// Makes both ends of a new connection.
#[must_use]
pub fn pipe() -> (Client, Pipe) {
    let shared = Arc::new(Mutex::new(State {
        window: WINDOW,
        ..State::default()
    }));
    (Client(Arc::clone(&shared)), Pipe(shared))
}

/// The server's end of a connection, for `Transport::Simulated`.
pub struct Pipe(pub(crate) Arc<Mutex<State>>);

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe").finish_non_exhaustive()
    }
}

/// The client's end of a connection: bytes in, bytes out. Dropping it does not close the
/// connection: the client has only gone silent.
pub struct Client(Arc<Mutex<State>>);

impl Client {
    /// Sends bytes; ignored once the connection is closed.
    pub fn send(&self, bytes: &[u8]) {
        let mut state = self.0.lock();
        if !state.closed {
            state.to_server.extend(bytes);
            state.report();
        }
    }

    /// Takes the bytes that were sent to the client, which makes room for more.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        let mut state = self.0.lock();
        let taken = mem::take(&mut state.to_client);
        state.report_writable();
        taken.into()
    }

    /// Takes the oldest bytes that were sent to the client, at most so many.
    #[must_use]
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

    /// Sets the bytes that may be on the way to the client before it takes them, like those
    /// that a kernel takes for a client that does not read. 64 KiB in the beginning.
    pub fn set_window(&self, bytes: usize) {
        let mut state = self.0.lock();
        state.window = bytes;
        state.report_writable();
    }

    /// Takes all bytes that come from now on at once, and throws them away.
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

    /// The number of bytes that the server has not read yet.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.0.lock().to_server.len()
    }

    /// Returns whether the server sends no more.
    #[must_use]
    pub fn is_shut(&self) -> bool {
        let state = self.0.lock();
        state.server_shut || state.closed
    }

    /// Returns whether the server has dropped the connection.
    #[must_use]
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
/// The state of a connection, which both ends share.
pub(crate) struct State {
    pub(crate) to_server: VecDeque<u8>,
    pub(crate) to_client: VecDeque<u8>,
    pub(crate) window: usize,
    pub(crate) client_shut: bool,
    pub(crate) server_shut: bool,
    pub(crate) closed: bool,
    pub(crate) reset: bool,
    /// The shard that gets reports of readiness, once it has the connection, and the slot.
    pub(crate) report: Option<(Arc<Reports>, u32)>,
    pub(crate) watch_writable: bool,
    pub(crate) ignores: bool,
}

/// The reports of readiness for one shard, and a function that rings for it.
pub(crate) struct Reports {
    ready: Mutex<Vec<Readiness>>,
    ring: Box<dyn Fn() + Send + Sync>,
}

impl Reports {
    pub(crate) fn new(ring: Box<dyn Fn() + Send + Sync>) -> Self {
        Self {
            ready: Mutex::default(),
            ring,
        }
    }

    fn add(&self, readiness: Readiness) {
        self.ready.lock().push(readiness);
        (self.ring)();
    }

    pub(crate) fn take(&self) -> Vec<Readiness> {
        mem::take(&mut *self.ready.lock())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ready.lock().is_empty()
    }
}

impl State {
    pub(crate) fn has_room(&self) -> bool {
        self.to_client.len() < self.window
    }

    pub(crate) fn report(&self) {
        if let Some((reports, slot)) = &self.report {
            reports.add(Readiness {
                slot: *slot,
                readable: true,
                writable: self.watch_writable && self.has_room(),
                hangup: self.client_shut || self.reset,
            });
        }
    }

    pub(crate) fn report_writable(&self) {
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
