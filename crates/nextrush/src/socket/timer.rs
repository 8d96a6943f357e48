//! Timers that live and die with their socket.

use std::sync::Arc;
use std::time::Duration;

use nextrush_engine::TimerId;
use parking_lot::Mutex;

use super::Socket;
use crate::socket::handler::{Callback, EventHandler};

/// A running timer of a socket. Dropping it changes nothing; the timer ends when
/// it is cancelled or its socket closes.
#[derive(Clone, Debug)]
pub struct Timer {
    socket: Socket,
    current: Arc<Mutex<Option<TimerId>>>,
}

impl Timer {
    /// Stops the timer; harmless when it has run or was stopped before.
    pub fn cancel(&self) {
        if let Some(id) = self.current.lock().take() {
            self.socket.connection().cancel_timer(id);
        }
    }

    /// Sets the timer. `current` is its own, locked, so that it cannot run or be
    /// cancelled before its id is known.
    fn schedule(
        &self,
        current: &mut Option<TimerId>,
        after: Duration,
        callback: Callback<()>,
        repeat: bool,
    ) {
        let timer = self.clone();
        let run = move || {
            {
                let mut current = timer.current.lock();
                // Taken out: a timer that was cancelled meanwhile ends here.
                current.take()?;
                if repeat {
                    timer.schedule(&mut current, after, callback.clone(), true);
                }
            }
            callback.call(timer.socket.clone(), ())
        };
        *current = Some(self.socket.connection().set_timer(after, Box::new(run)));
    }
}

impl Socket {
    /// Calls `handler` once, `after` this time, unless the socket closes or the
    /// timer is cancelled before. The engine keeps the timer; it is exact to the
    /// millisecond or so and costs no task.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use nextrush::Socket;
    /// # fn connected(socket: Socket) {
    /// socket.after(Duration::from_secs(60), |socket: Socket, ()| {
    ///     socket.close(1000, "Connection timeout");
    /// });
    /// # }
    /// ```
    pub fn after<M>(&self, after: Duration, handler: impl EventHandler<(), M>) -> Timer {
        self.start_timer(after, handler.into_callback(), false)
    }

    /// Calls `handler` again and again, `period` after the call before began,
    /// until the socket closes or the timer is cancelled. A period under 1 ms is
    /// taken as 1 ms. An async handler that takes longer than a period is called again
    /// while it is still running.
    pub fn every<M>(&self, period: Duration, handler: impl EventHandler<(), M>) -> Timer {
        let period = period.max(Duration::from_millis(1));
        self.start_timer(period, handler.into_callback(), true)
    }

    fn start_timer(&self, after: Duration, callback: Callback<()>, repeat: bool) -> Timer {
        let timer = Timer {
            socket: self.clone(),
            current: Arc::default(),
        };
        timer.schedule(&mut timer.current.lock(), after, callback, repeat);
        timer
    }
}
