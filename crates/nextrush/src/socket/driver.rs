//! From the engine's calls to the socket's functions.

use std::future::poll_fn;

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
        socket.0.listeners.lock().end();
        let first = run_close_functions(&socket, reason);
        if first.is_none() && socket.0.listeners.lock().opened() {
            socket.0.listeners.lock().forget();
            return None;
        }
        let reason = reason.clone();
        Some(Box::pin(async move {
            if let Some(work) = first {
                work.await;
            }
            // The endpoint's handler may still be running and register more.
            poll_fn(|context| socket.0.listeners.lock().poll_opened(context)).await;
            if let Some(work) = run_close_functions(&socket, &reason) {
                work.await;
            }
            socket.0.listeners.lock().forget();
        }))
    }
}

/// Calls what is registered for the close event by now, each function once.
fn run_close_functions(socket: &Socket, reason: &CloseReason) -> Work {
    let callbacks = std::mem::take(&mut socket.0.listeners.lock().close);
    let works: Vec<_> = callbacks
        .into_iter()
        .filter_map(|callback| callback.call(socket.clone(), reason.clone()))
        .collect();
    if works.is_empty() {
        return None;
    }
    Some(Box::pin(async move {
        for work in works {
            work.await;
        }
    }))
}

/// Marks the endpoint's handler as done, also when it panics.
struct Opened(Socket);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.0.listeners.lock().set_opened();
    }
}
