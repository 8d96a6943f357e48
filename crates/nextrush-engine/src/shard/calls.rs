use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use super::Shard;
use super::slab::Flags;
use crate::close_reason::CloseReason;
use crate::connection::{Connection, Handler, Work};
use crate::error::ConnectionError;
use crate::id::ConnectionId;
use crate::link::{Key, Link, TimerFn};
use crate::transport::Io;

/// What it means for the connection that work is pending, and that it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Messages are not read before it is done, unless that is asked for.
    Open,
    /// Nothing further is read before it is done.
    Message,
    /// Nothing.
    Aside,
    /// Nothing, not even if it panics: the connection has failed already.
    Failure,
}

impl<I: Io> Shard<I> {
    /// Calls the connection's handler, if it has not been told of the end yet.
    pub(super) fn call(
        &mut self,
        slot: u32,
        purpose: Purpose,
        call: impl FnOnce(&dyn Handler, &Connection) -> Work,
    ) {
        let Some(live) = self.slab.at(slot).filter(|live| !live.is_lingering()) else {
            return;
        };
        let key = live.key_at(slot);
        let connection = &live.connection;
        let called = self
            .caller
            .call(slot, || call(connection.events(), connection));
        match called {
            Ok(work) => self.begin_work(key, purpose, work),
            Err(panic) if purpose == Purpose::Failure => {
                log_panic(Some(connection.id()), &panic);
            }
            Err(panic) => panicked(connection, &panic),
        }
    }

    /// Tells the handler of an error that ends the connection.
    pub(super) fn call_error(&mut self, slot: u32, error: &ConnectionError) {
        if let Some(live) = self.slab.at(slot) {
            live.flags.insert(Flags::TOLD);
        }
        self.call(slot, Purpose::Failure, |handler, connection| {
            handler.error(connection, error)
        });
    }

    /// The last call.
    pub(super) fn call_last(&mut self, slot: u32, reason: &CloseReason) {
        let Some(live) = self.slab.at(slot) else {
            return;
        };
        let key = live.key_at(slot);
        let connection = &live.connection;
        let called = self
            .caller
            .call(slot, || connection.events().close(connection, reason));
        match called {
            Ok(work) => self.begin_work(key, Purpose::Failure, work),
            Err(panic) => log_panic(Some(live.id()), &panic),
        }
    }

    pub(super) fn run_timer_fn(&mut self, key: Key, run: TimerFn) {
        let Some(live) = self.slab.get(key) else {
            return drop_shielded(run);
        };
        match self.caller.call(key.slot, run) {
            Ok(work) => self.begin_work(key, Purpose::Aside, work),
            Err(panic) => panicked(&live.connection, &panic),
        }
    }

    /// Polls work for the first time, and keeps it if it is pending.
    pub(super) fn begin_work(&mut self, key: Key, purpose: Purpose, work: Work) {
        let Some(work) = work else {
            return self.end_work(key, purpose);
        };
        let task = self.tasks.insert(key, purpose, work);
        let pending = self.poll_task(task);
        let holds = pending && purpose == Purpose::Message;
        if let Some(live) = self.slab.get(key).filter(|_| holds) {
            live.flags.insert(Flags::HELD);
        }
    }

    /// A task says that it can go on.
    pub(super) fn resume_task(&mut self, task: u32) {
        if self.tasks.is_pending(task) {
            self.poll_task(task);
        }
    }

    /// Whether it is pending still.
    fn poll_task(&mut self, task: u32) -> bool {
        let (key, purpose) = self.tasks.of(task);
        let polled = self.caller.call(key.slot, || self.tasks.poll(task));
        match polled.flatten() {
            Ok(Poll::Pending) => return true,
            Ok(Poll::Ready(())) => self.end_work(key, purpose),
            Err(panic) => match self.slab.get(key) {
                Some(live) if purpose != Purpose::Failure => {
                    panicked(&live.connection, &panic);
                    self.end_work(key, purpose);
                }
                Some(live) => log_panic(Some(live.connection.id()), &panic),
                None => log_panic(None, &panic),
            },
        }
        false
    }

    fn end_work(&mut self, key: Key, purpose: Purpose) {
        let Some(live) = self.slab.get(key) else {
            return;
        };
        match purpose {
            Purpose::Open if !live.is(Flags::STARTED) => self.start_reading(key.slot),
            Purpose::Message if live.is(Flags::HELD) => {
                live.flags.remove(Flags::HELD);
                self.resume_reading(key.slot);
            }
            Purpose::Open | Purpose::Message | Purpose::Aside | Purpose::Failure => {}
        }
    }
}

/// Calls code of the user for a connection, where it can be seen that it runs.
pub(super) struct Caller {
    link: Arc<Link>,
    calls: u32,
}

impl Caller {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self { link, calls: 0 }
    }

    pub(super) fn call<T>(&mut self, slot: u32, call: impl FnOnce() -> T) -> Result<T, Panic> {
        self.calls = self.calls.checked_add(1).unwrap_or(1);
        self.link.enter(slot, self.calls);
        let result = shield(call);
        self.link.exit();
        result
    }
}

/// What a panic was called with.
pub(super) type Panic = Box<dyn Any + Send>;

/// Calls code of the user, and stops its panic here. It has no access to the shard, and
/// what it had begun of its own is only ever told of the end from then on.
pub(super) fn shield<T>(call: impl FnOnce() -> T) -> Result<T, Panic> {
    catch_unwind(AssertUnwindSafe(call))
}

/// Drops something of the user's.
pub(super) fn drop_shielded<T>(value: T) {
    if let Err(panic) = shield(|| drop(value)) {
        log_panic(None, &panic);
    }
}

/// The end of a future is code of the user as well.
pub(super) fn drop_work(work: Pin<Box<dyn Future<Output = ()>>>) {
    drop_shielded(work);
}

fn panicked(connection: &Connection, panic: &Panic) {
    log_panic(Some(connection.id()), panic);
    connection.fail(ConnectionError::HandlerPanicked);
}

pub(super) fn log_panic(connection: Option<ConnectionId>, panic: &Panic) {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    match connection {
        Some(connection) => tracing::error!(%connection, message, "a handler panicked"),
        None => tracing::error!(message, "code that belongs to no open connection panicked"),
    }
}
