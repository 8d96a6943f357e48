//! What a socket does with its events.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use nextrush_engine::{CloseReason, ConnectionError};
use tokio::sync::mpsc;

use super::Socket;
use crate::event::Callback;
use crate::message::Message;

pub(super) type Filter = Arc<dyn Fn(&Socket, &Message) -> ControlFlow<()> + Send + Sync>;
pub(super) type Receiver = Arc<tokio::sync::Mutex<mpsc::Receiver<Message>>>;

/// The registered functions of one socket, and how far its life has come.
#[derive(Default)]
pub(super) struct Listeners {
    pub(super) filters: Vec<Filter>,
    pub(super) message: Option<Callback<Message>>,
    pub(super) pong: Option<Callback<Bytes>>,
    pub(super) error: Option<Callback<ConnectionError>>,
    pub(super) close: Vec<Callback<CloseReason>>,
    queue: Option<Queue>,
    closed: bool,
    finished: bool,
    opened: bool,
    opened_waker: Option<Waker>,
}

/// The queue behind `recv`. Without a sender the receiver ends.
struct Queue {
    sender: Option<mpsc::Sender<Message>>,
    receiver: Receiver,
}

impl Listeners {
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

    /// No message comes any more: lets `recv` end.
    pub(super) fn end(&mut self) {
        self.closed = true;
        self.message = None;
        if let Some(queue) = &mut self.queue {
            queue.sender = None;
        }
    }

    /// Adds a function for the close event; `false` if that event is over.
    pub(super) fn add_close(&mut self, callback: Callback<CloseReason>) -> bool {
        if !self.finished {
            self.close.push(callback);
        }
        !self.finished
    }

    /// The close event is over. Drops every function: one that captured its socket would keep it for ever.
    pub(super) fn forget(&mut self) {
        *self = Self {
            queue: self.queue.take(),
            closed: true,
            finished: true,
            opened: true,
            ..Self::default()
        };
    }

    /// The endpoint's handler has returned.
    pub(super) fn set_opened(&mut self) {
        self.opened = true;
        if let Some(waker) = self.opened_waker.take() {
            waker.wake();
        }
    }

    pub(super) fn opened(&self) -> bool {
        self.opened
    }

    pub(super) fn poll_opened(&mut self, context: &Context<'_>) -> Poll<()> {
        if self.opened {
            return Poll::Ready(());
        }
        self.opened_waker = Some(context.waker().clone());
        Poll::Pending
    }
}
