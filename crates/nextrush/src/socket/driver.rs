//! From the engine's calls to the socket's functions.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use nextrush_engine::{CloseReason, ConnectionError, Handler, Incoming, Work};
use tokio::sync::mpsc::error::TrySendError;

use super::Socket;
use crate::message::Message;

type Open = Box<dyn FnOnce(Socket) -> Work + Send>;

/// What the engine calls for one connection.
pub(crate) struct SocketDriver {
    socket: Socket,
    open: Option<Open>,
}

impl SocketDriver {
    /// `open` is the endpoint's handler with its extractors already filled in.
    pub(crate) fn new(socket: Socket, open: Open) -> Self {
        Self {
            socket,
            open: Some(open),
        }
    }
}

impl Handler for SocketDriver {
    fn open(&mut self) -> Work {
        let open = self.open.take()?;
        let opened = Opened(self.socket.clone());
        let work = open(self.socket.clone())?;
        Some(Box::pin(async move {
            let _opened = opened;
            work.await;
        }))
    }

    fn message(&mut self, incoming: Incoming<'_>) -> Work {
        let socket = &self.socket;
        let (filters, callback, sender) = {
            let listeners = socket.0.listeners.lock();
            (
                listeners.filters.clone(),
                listeners.message.clone(),
                listeners.sender().cloned(),
            )
        };
        if sender.is_none() && callback.is_none() {
            return None;
        }
        let message = Message::from(incoming);
        for filter in &filters {
            if filter(socket, &message).is_break() {
                return None;
            }
        }
        match (sender, callback) {
            (Some(sender), _) => match sender.try_send(message) {
                Ok(()) | Err(TrySendError::Closed(_)) => None,
                Err(TrySendError::Full(message)) => Some(Box::pin(async move {
                    // Fails only when nobody receives any more.
                    let _ = sender.send(message).await;
                })),
            },
            (None, Some(callback)) => callback.call(socket.clone(), message),
            (None, None) => None,
        }
    }

    fn pong(&mut self, payload: &[u8]) -> Work {
        let callback = self.socket.0.listeners.lock().pong.clone()?;
        callback.call(self.socket.clone(), Bytes::copy_from_slice(payload))
    }

    fn error(&mut self, error: &ConnectionError) -> Work {
        let callback = self.socket.0.listeners.lock().error.clone()?;
        callback.call(self.socket.clone(), error.clone())
    }

    fn close(&mut self, reason: &CloseReason) -> Work {
        let socket = self.socket.clone();
        socket.0.handle.forget(&socket);
        let message = socket.0.listeners.lock().end();
        drop(message);
        Some(Box::pin(run_close_functions(socket, reason.clone())))
    }
}

/// Calls each function of the close event once, in order: those that are registered by
/// now, and those that come while the endpoint's handler or one of them is still running.
///
/// Much depends on all of them being called, such as who is told to be in a room: so
/// neither a panic nor a wait of one holds up the others.
async fn run_close_functions(socket: Socket, reason: CloseReason) {
    let mut running = Vec::new();
    poll_fn(|context| {
        running.retain_mut(|work| is_pending(work, context));
        loop {
            let is_running = !running.is_empty();
            let next = socket.0.listeners.lock().poll_close(context, is_running);
            let Some(callback) = ready!(next) else {
                return Poll::Ready(());
            };
            let work = shield(|| callback.call(socket.clone(), reason.clone()));
            running.extend(
                work.flatten()
                    .and_then(|mut work| is_pending(&mut work, context).then_some(work)),
            );
        }
    })
    .await;
    let functions = socket.0.listeners.lock().forget();
    drop(functions);
}

type Running = Pin<Box<dyn Future<Output = ()>>>;

fn is_pending(work: &mut Running, context: &mut Context<'_>) -> bool {
    shield(|| work.as_mut().poll(context)).is_some_and(|poll| poll.is_pending())
}

fn shield<T>(call: impl FnOnce() -> T) -> Option<T> {
    let result = catch_unwind(AssertUnwindSafe(call));
    if result.is_err() {
        tracing::error!("a function for the close event panicked");
    }
    result.ok()
}

/// Marks the endpoint's handler as done, also when it panics.
struct Opened(Socket);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.0.listeners.lock().set_opened();
    }
}
