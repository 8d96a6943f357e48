//! Handlers that take long: away from the thread that serves the sockets.

use std::future::Future;
use std::sync::Arc;

use nextrush_engine::Work;
use tokio::task::{self, JoinError};

use crate::socket::Socket;
use crate::socket::handler::{Callback, EventHandler, Outcome};

/// Runs an async handler on the tokio runtime instead of the socket's thread, on which
/// every socket of that thread waits while one handler computes. For handlers that
/// compute for more than a millisecond or so between two awaits.
///
/// As with any handler, the next message is handed over when this one is done; what the
/// handler sends keeps its order. It costs a task for each event (some microseconds).
/// The future has to be `Send`, which is why this takes a closure that returns an async
/// block, and not an async closure.
///
/// ```
/// # use nextrush::{Message, Socket, offload};
/// # async fn render(text: &Message) -> String { text.to_string() }
/// fn connected(socket: Socket) {
///     socket.on_message(offload(|socket: Socket, message: Message| async move {
///         socket.send(render(&message).await);
///     }));
/// }
/// ```
pub fn offload<E, F, R>(handler: impl Fn(Socket, E) -> F + Send + Sync + 'static) -> Offloaded<E>
where
    E: Send + 'static,
    F: Future<Output = R> + Send + 'static,
    R: Outcome + Send + 'static,
{
    Offloaded(Callback::from_work(move |socket: Socket, event: E| {
        let running = task::spawn(handler(socket.clone(), event));
        finish(socket, running)
    }))
}

/// Runs a sync handler on a thread of tokio's for blocking work: for files, passwords,
/// images, and clients of databases that are not async.
///
/// As [`offload`] in everything else.
///
/// ```
/// # use nextrush::{Message, Socket, blocking};
/// # fn hash(password: &Message) -> String { password.to_string() }
/// fn connected(socket: Socket) {
///     socket.on_message(blocking(|socket: Socket, message: Message| {
///         socket.send(hash(&message));
///     }));
/// }
/// ```
pub fn blocking<E, R>(handler: impl Fn(Socket, E) -> R + Send + Sync + 'static) -> Offloaded<E>
where
    E: Send + 'static,
    R: Outcome + Send + 'static,
{
    let handler = Arc::new(handler);
    Offloaded(Callback::from_work(move |socket: Socket, event: E| {
        let handler = Arc::clone(&handler);
        let running = task::spawn_blocking({
            let socket = socket.clone();
            move || handler(socket, event)
        });
        finish(socket, running)
    }))
}

/// A handler that does not run on its socket's thread; see [`offload`] and [`blocking`].
#[derive(Debug)]
pub struct Offloaded<E>(Callback<E>);

#[doc(hidden)]
#[derive(Debug)]
#[non_exhaustive]
pub struct OffloadedMarker;

impl<E: 'static> EventHandler<E, OffloadedMarker> for Offloaded<E> {
    fn into_callback(self) -> Callback<E> {
        self.0
    }
}

/// The rest on the socket's thread: waits, and closes the socket if the handler failed.
fn finish<R: Outcome + 'static>(
    socket: Socket,
    running: impl Future<Output = Result<R, JoinError>> + 'static,
) -> Work {
    Some(Box::pin(async move {
        match running.await {
            Ok(outcome) => socket.conclude(outcome),
            // Without a runtime, at the end of the process.
            Err(error) if error.is_cancelled() => {}
            Err(error) => socket.conclude(Err::<(), _>(error)),
        }
    }))
}
