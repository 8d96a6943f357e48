//! The inbox of a shard.

use std::mem;
use std::sync::OnceLock;

use parking_lot::Mutex;

use super::command::Command;

/// The commands for a shard, from other threads and from its own. One queue, so that the
/// commands of one task are followed in its order.
#[derive(Default)]
pub(crate) struct Inbox {
    queue: Mutex<Queue>,
    waker: OnceLock<Waker>,
}

/// A function that ends the shard's wait for its sockets.
pub(crate) type Waker = Box<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct Queue {
    commands: Vec<Command>,
    /// `true` if the shard waits for its sockets, or is about to: it has to be woken.
    asleep: bool,
    closed: bool,
}

impl Inbox {
    /// Sets the waker, before the first [`doze`](Self::doze).
    pub(crate) fn set_waker(&self, waker: Waker) {
        // A second waker would belong to a second driver of the same shard, which nobody starts.
        let _ = self.waker.set(waker);
    }

    /// Adds a command, and wakes the shard if it sleeps. `false` if the shard has stopped.
    #[inline]
    pub(crate) fn push(&self, command: Command) -> bool {
        let mut queue = self.queue.lock();
        if queue.closed {
            drop(queue);
            // Not under the lock: it may hold the user's values.
            drop(command);
            return false;
        }
        if queue.add(command) {
            drop(queue);
            self.wake();
        }
        true
    }

    /// Adds a command, for callers that hold a room's lock. `true` if they have to call
    /// [`wake`](Self::wake) once they have released it.
    #[must_use]
    pub(crate) fn push_quietly(&self, command: Command) -> bool {
        let mut queue = self.queue.lock();
        !queue.closed && queue.add(command)
    }

    #[cold]
    pub(crate) fn wake(&self) {
        if let Some(wake) = self.waker.get() {
            wake();
        }
    }

    /// Swaps the commands that have come with `commands`, which must be empty.
    pub(crate) fn take(&self, commands: &mut Vec<Command>) {
        debug_assert!(commands.is_empty(), "commands would be lost");
        let mut queue = self.queue.lock();
        queue.asleep = false;
        mem::swap(&mut queue.commands, commands);
    }

    #[cfg(feature = "sim")]
    pub(crate) fn has_commands(&self) -> bool {
        !self.queue.lock().commands.is_empty()
    }

    /// Notes that the shard does not sleep any more, so that what it does itself does not wake it.
    pub(crate) fn rouse(&self) {
        self.queue.lock().asleep = false;
    }

    /// Lets the next command wake the shard; `false` if there is a command already.
    pub(crate) fn doze(&self) -> bool {
        let mut queue = self.queue.lock();
        queue.asleep = queue.commands.is_empty();
        queue.asleep
    }

    /// Refuses all further commands. Returns those that have come and will not be followed.
    pub(crate) fn close(&self) -> Vec<Command> {
        let mut queue = self.queue.lock();
        queue.closed = true;
        mem::take(&mut queue.commands)
    }
}

impl Queue {
    /// Adds a command. Returns whether the shard has to be woken for it.
    #[inline]
    fn add(&mut self, command: Command) -> bool {
        self.commands.push(command);
        mem::take(&mut self.asleep)
    }
}
