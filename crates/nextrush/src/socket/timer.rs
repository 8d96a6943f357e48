//! Timers that live and die with their socket.

use std::sync::Arc;
use std::time::Duration;

use nextrush_engine::TimerId;
use parking_lot::Mutex;

use super::Socket;
use crate::event::{Callback, EventHandler};

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

    fn schedule(&self, after: Duration, callback: Callback<()>, repeat: bool) {
        let timer = self.clone();
        // Held while arming, so that the timer cannot run before its id is known.
        let mut current = self.current.lock();
        let run = move || {
            // Taken out: a repeating timer that was cancelled meanwhile ends here.
            timer.current.lock().take()?;
            if repeat {
                timer.schedule(after, callback.clone(), true);
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
    /// taken as 1 ms.
    pub fn every<M>(&self, period: Duration, handler: impl EventHandler<(), M>) -> Timer {
        let period = period.max(Duration::from_millis(1));
        self.start_timer(period, handler.into_callback(), true)
    }

    fn start_timer(&self, after: Duration, callback: Callback<()>, repeat: bool) -> Timer {
        let timer = Timer {
            socket: self.clone(),
            current: Arc::default(),
        };
        timer.schedule(after, callback, repeat);
        timer
    }
}
