//! The functions for a socket's events.

use std::collections::VecDeque;
use std::mem;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use nextrush_engine::{CloseReason, ConnectionError};
use tokio::sync::{mpsc, oneshot};

use super::Socket;
use crate::message::Message;
use crate::socket::handler::Callback;
use crate::socket::requests::Asked;

pub(super) type Filter = Arc<dyn Fn(&Socket, &Message) -> ControlFlow<()> + Send + Sync>;
pub(super) type Receiver = Arc<tokio::sync::Mutex<mpsc::Receiver<Message>>>;

/// The registered functions of one socket but the one for messages, and how far its life
/// has come.
///
/// The functions are the user's, and so is their end: what a method here takes out it
/// returns, to be dropped when the lock is released.
#[derive(Default)]
pub(super) struct Listeners {
    pub(super) filters: Vec<Filter>,
    pub(super) pong: Option<Callback<Bytes>>,
    pub(super) error: Option<Callback<ConnectionError>>,
    close: VecDeque<Callback<CloseReason>>,
    queue: Option<Queue>,
    /// The requests to the client, from the first on.
    asked: Option<Box<Asked>>,
    first: First,
    closed: bool,
    finished: bool,
    opened: bool,
    /// The waker of the task that runs the close event.
    close_waker: Option<Waker>,
}

/// The queue behind `recv`. Without a sender the receiver ends.
struct Queue {
    sender: Option<mpsc::Sender<Message>>,
    receiver: Receiver,
}

/// The wait for the message that says who the client is.
#[derive(Default)]
enum First {
    /// No such message is wanted, or it was right.
    #[default]
    Unwanted,
    Awaited(oneshot::Sender<Message>),
    /// The message has come, or is too late.
    Taken,
}

impl Listeners {
    /// The listeners of a socket whose endpoint's handler has returned and has left nothing.
    pub(super) fn idle() -> Self {
        Self {
            opened: true,
            ..Self::default()
        }
    }

    /// Returns whether these are [idle](Self::idle) listeners.
    pub(super) fn is_idle(&self) -> bool {
        let Self {
            filters,
            pong,
            error,
            close,
            queue,
            asked,
            first,
            closed,
            finished,
            opened,
            close_waker,
        } = self;
        *opened
            && !closed
            && !finished
            && filters.is_empty()
            && pong.is_none()
            && error.is_none()
            && close.is_empty()
            && queue.is_none()
            && asked.is_none()
            && matches!(first, First::Unwanted)
            && close_waker.is_none()
    }

    /// Puts a function into its place. On a socket whose close event is over it would
    /// never be called, and would keep a socket that it captured for ever.
    #[must_use = "the user's function is not to be dropped under the lock"]
    pub(super) fn set<E>(
        &mut self,
        place: fn(&mut Self) -> &mut Option<Callback<E>>,
        callback: Callback<E>,
    ) -> Option<Callback<E>> {
        if self.finished {
            return Some(callback);
        }
        place(self).replace(callback)
    }

    /// Adds a filter, under the same condition.
    #[must_use = "the user's function is not to be dropped under the lock"]
    pub(super) fn add_filter(&mut self, filter: Filter) -> Option<Filter> {
        if self.finished {
            return Some(filter);
        }
        self.filters.push(filter);
        None
    }

    /// The receiving end behind `recv`, made at the first call.
    pub(super) fn receiver(&mut self) -> Receiver {
        let closed = self.closed;
        let queue = self.queue.get_or_insert_with(|| {
            // One message: while it waits, the next one's handler is pending and
            // the socket is not read.
            let (sender, receiver) = mpsc::channel(1);
            Queue {
                sender: (!closed).then_some(sender),
                receiver: Arc::new(tokio::sync::Mutex::new(receiver)),
            }
        });
        Arc::clone(&queue.receiver)
    }

    /// The sending end, where somebody receives in a loop.
    pub(super) fn sender(&self) -> Option<&mpsc::Sender<Message>> {
        self.queue.as_ref()?.sender.as_ref()
    }

    /// The requests to the client, for a further one; `None` on a socket that has closed.
    pub(super) fn ask(&mut self) -> Option<&mut Asked> {
        match self.closed {
            true => None,
            false => Some(self.asked.get_or_insert_default()),
        }
    }

    pub(super) fn asked_mut(&mut self) -> Option<&mut Asked> {
        self.asked.as_deref_mut()
    }

    /// The requests to the client, if there was ever one.
    pub(super) fn asked(&self) -> Option<&Asked> {
        self.asked.as_deref()
    }

    /// Waits for the client's first message.
    pub(super) fn await_first(&mut self) -> oneshot::Receiver<Message> {
        let (sender, receiver) = oneshot::channel();
        if !self.closed {
            self.first = First::Awaited(sender);
        }
        receiver
    }

    /// Returns whether the client's first message is awaited.
    pub(super) fn awaits_first(&self) -> bool {
        matches!(self.first, First::Awaited(_))
    }

    /// The end for the client's first message, once.
    pub(super) fn take_first(&mut self) -> Option<oneshot::Sender<Message>> {
        match mem::replace(&mut self.first, First::Taken) {
            First::Awaited(sender) => Some(sender),
            First::Unwanted | First::Taken => None,
        }
    }

    /// Returns whether it is still to be known who the client is.
    pub(super) fn is_unknown(&self) -> bool {
        !matches!(self.first, First::Unwanted)
    }

    /// The client's first message was right.
    pub(super) fn admit(&mut self) {
        self.first = First::Unwanted;
    }

    /// No message comes any more: lets `recv` end, and whoever waits for a response or for the first
    /// message.
    pub(super) fn end(&mut self) {
        self.closed = true;
        self.asked = None;
        if self.is_unknown() {
            self.first = First::Taken;
        }
        if let Some(queue) = &mut self.queue {
            queue.sender = None;
        }
    }

    /// Returns whether the close event is over.
    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Adds a function for the close event; gives it back if that event is over.
    pub(super) fn add_close(
        &mut self,
        callback: Callback<CloseReason>,
    ) -> Result<(), Callback<CloseReason>> {
        if self.finished {
            return Err(callback);
        }
        self.close.push_back(callback);
        self.wake_close();
        Ok(())
    }

    /// The next function for the close event; `None` when there will be none, which is
    /// when the endpoint's handler has returned and nothing `is_running`. In the same
    /// moment the event is over.
    pub(super) fn poll_close(
        &mut self,
        context: &Context<'_>,
        is_running: bool,
    ) -> Poll<Option<Callback<CloseReason>>> {
        if let Some(callback) = self.close.pop_front() {
            return Poll::Ready(Some(callback));
        }
        if self.opened && !is_running {
            self.finished = true;
            return Poll::Ready(None);
        }
        self.close_waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// Takes out every function: one that captured its socket would keep it for ever.
    #[must_use = "the user's functions are not to be dropped under the lock"]
    pub(super) fn forget(&mut self) -> Self {
        let forgotten = Self {
            queue: self.queue.take(),
            closed: true,
            finished: true,
            opened: true,
            ..Self::default()
        };
        mem::replace(self, forgotten)
    }

    /// Notes whether the endpoint's handler has returned.
    pub(super) fn set_opened(&mut self, opened: bool) {
        self.opened = opened;
        self.wake_close();
    }

    fn wake_close(&mut self) {
        if let Some(waker) = self.close_waker.take() {
            waker.wake();
        }
    }
}
