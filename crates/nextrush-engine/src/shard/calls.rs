//! Calls of the user's code: handlers, timers, refills, and the work that they return.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use super::Shard;
use super::live::Flags;
use super::peer::{Parts, Peer};
use crate::close_reason::CloseReason;
use crate::connection::{Connection, Handler, Incoming, Traffic, Work};
use crate::error::ConnectionError;
use crate::link::{Key, Link, TimerFn};
use crate::transport::Io;

/// The purpose of work: it decides what pending work, or its panic, does to the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// Messages are not handed over before the work is done, unless that is asked for.
    Open,
    /// Nothing further is read before the work is done.
    Message,
    /// Reading goes on.
    Aside,
    /// Reading goes on, and a panic is only logged: the connection has failed already.
    Failure,
}

impl<I: Io> Shard<I> {
    pub(super) fn run_timer_fn(&mut self, key: Key, run: TimerFn) {
        let Some(mut peer) = self.peer_of(key) else {
            return drop_shielded(run);
        };
        match peer.parts.caller.call(key.slot, run) {
            Ok(work) => peer.begin_work(Purpose::Aside, work),
            Err(panic) => panicked(&peer.live.connection, &panic),
        }
    }

    /// Polls a task whose waker was called.
    pub(super) fn resume_task(&mut self, task: u32) {
        if !self.parts.tasks.is_pending(task) {
            return;
        }
        let (key, purpose) = self.parts.tasks.of(task);
        let polled = self.parts.poll(key.slot, task);
        match (self.peer_of(key), polled) {
            (Some(mut peer), polled) => {
                peer.follow_poll(purpose, polled);
            }
            (None, Err(panic)) => log_panic(None, &panic),
            (None, Ok(_)) => {}
        }
    }
}

impl<I: Io> Peer<'_, I> {
    /// Calls the connection's handler, unless it knows of the end already.
    pub(super) fn call(
        &mut self,
        purpose: Purpose,
        call: impl FnOnce(&dyn Handler, &Connection) -> Work,
    ) {
        if self.live.is_lingering() {
            return;
        }
        let connection = &self.live.connection;
        let called = self
            .parts
            .caller
            .call(self.slot, || call(connection.events(), connection));
        match called {
            Ok(work) => self.begin_work(purpose, work),
            Err(panic) if purpose == Purpose::Failure => {
                log_panic(Some(connection), &panic);
            }
            Err(panic) => panicked(connection, &panic),
        }
    }

    /// Offers the handler a message that may overtake pending work; returns it if it may not.
    pub(super) fn offer<'a>(&mut self, message: Incoming<'a>) -> Option<Incoming<'a>> {
        let connection = &self.live.connection;
        let offered = self.parts.caller.call(self.slot, || {
            connection.events().overtake(connection, message)
        });
        offered.unwrap_or_else(|panic| {
            panicked(connection, &panic);
            None
        })
    }

    /// Tells the handler of an error that ends the connection.
    pub(super) fn call_error(&mut self, error: &ConnectionError) {
        self.live.flags.insert(Flags::TOLD);
        self.call(Purpose::Failure, |handler, connection| {
            handler.error(connection, error)
        });
    }

    /// Tells the handler of the end. No call follows.
    pub(super) fn call_last(&mut self, reason: &CloseReason, traffic: Option<Traffic>) {
        let connection = &self.live.connection;
        let called = self.parts.caller.call(self.slot, || {
            if let Some(traffic) = traffic {
                connection.events().ended(connection, reason, traffic);
            }
            connection.events().close(connection, reason)
        });
        match called {
            Ok(work) => self.begin_work(Purpose::Failure, work),
            Err(panic) => log_panic(Some(connection), &panic),
        }
    }

    /// Polls work for the first time, and keeps it if it is pending.
    #[inline]
    pub(super) fn begin_work(&mut self, purpose: Purpose, work: Work) {
        let Some(work) = work else {
            return self.end_work(purpose);
        };
        let task = self.parts.tasks.insert(self.key(), purpose, work);
        let polled = self.parts.poll(self.slot, task);
        if self.follow_poll(purpose, polled) && purpose == Purpose::Message {
            self.live.flags.insert(Flags::HELD);
        }
    }

    /// Does what follows from a poll of the connection's work. Returns whether the work is
    /// still pending.
    fn follow_poll(&mut self, purpose: Purpose, polled: Result<Poll<()>, Panic>) -> bool {
        match polled {
            Ok(Poll::Pending) => return true,
            Ok(Poll::Ready(())) => self.end_work(purpose),
            Err(panic) if purpose == Purpose::Failure => {
                log_panic(Some(&self.live.connection), &panic);
            }
            Err(panic) => {
                panicked(&self.live.connection, &panic);
                self.end_work(purpose);
            }
        }
        false
    }

    fn end_work(&mut self, purpose: Purpose) {
        match purpose {
            Purpose::Open if !self.live.is(Flags::STARTED) => self.start_reading(),
            Purpose::Message if self.live.is(Flags::HELD) => {
                self.live.flags.remove(Flags::HELD | Flags::READS_ON);
                self.resume_reading();
            }
            Purpose::Open | Purpose::Message | Purpose::Aside | Purpose::Failure => {}
        }
    }
}

impl<I> Parts<I> {
    fn poll(&mut self, slot: u32, task: u32) -> Result<Poll<()>, Panic> {
        let tasks = &mut self.tasks;
        self.caller.call(slot, || tasks.poll(task)).flatten()
    }
}

/// Calls the user's code, visibly for the [watchdog](crate::driver).
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

/// The payload of a panic.
pub(super) type Panic = Box<dyn Any + Send>;

/// Calls the user's code, and stops its panic here. The code has no access to the shard, and a
/// handler that has panicked only gets the calls of its connection's end.
pub(super) fn shield<T>(call: impl FnOnce() -> T) -> Result<T, Panic> {
    catch_unwind(AssertUnwindSafe(call))
}

/// Drops a value of the user's.
pub(super) fn drop_shielded<T>(value: T) {
    if let Err(panic) = shield(|| drop(value)) {
        log_panic(None, &panic);
    }
}

/// Drops a future. Its `Drop` is the user's code as well.
pub(super) fn drop_work(work: Pin<Box<dyn Future<Output = ()>>>) {
    drop_shielded(work);
}

fn panicked(connection: &Connection, panic: &Panic) {
    log_panic(Some(connection), panic);
    connection.fail(ConnectionError::HandlerPanicked);
}

pub(super) fn log_panic(connection: Option<&Connection>, panic: &Panic) {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    match connection {
        Some(connection) => {
            let endpoint = connection.endpoint();
            let connection = connection.id();
            tracing::error!(%connection, endpoint, message, "a handler panicked");
        }
        None => tracing::error!(message, "code that belongs to no open connection panicked"),
    }
}
