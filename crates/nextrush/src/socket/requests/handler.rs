//! Functions that answer requests of clients.

use std::error::Error as _;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::error::BoxError;
use crate::message::{ErrorCode, ErrorMessage};
use crate::socket::Socket;
use crate::socket::handler::{AsyncMarker, SyncMarker};

/// A function that answers requests of type `T`; see [`Socket::on_request`].
///
/// Implemented for `Fn(Socket, T)` and `AsyncFn(Socket, T)` that return a `Result`: its value, which
/// serde can write, is the answer, and its error is told as [`IntoRefusal`] says.
///
/// An async function runs on the thread that owns the connection; its future need not be `Send`.
/// What computes for more than a millisecond belongs into a task of its own, as
/// `tokio::spawn(…).await??`.
pub trait RequestHandler<T, Marker>: Send + Sync + 'static {
    #[doc(hidden)]
    fn into_replies(self) -> Replies<T>;
}

/// An error that refuses a request.
///
/// - An [`ErrorMessage`] is told to the client as it is, also out of a [`BoxError`]: so a function may
///   return `Result<_, BoxError>`, refuse with a message, and use `?` on anything else.
/// - An [`ErrorCode`] is told with a text of its own.
/// - Every other error, whatever converts into a [`BoxError`], is told as
///   [`ErrorCode::Internal`] and nothing more. Its text is logged, with endpoint and user.
///
/// To tell a client of errors of your own, convert them: `impl From<BoardError> for ErrorMessage`,
/// and return `Result<_, ErrorMessage>`.
pub trait IntoRefusal {
    #[doc(hidden)]
    fn into_refusal(self) -> Refusal;
}

/// The reason why a request is refused.
#[doc(hidden)]
#[derive(Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// The client is told.
    Told(ErrorMessage),
    /// The log is told.
    Internal(BoxError),
}

impl IntoRefusal for ErrorCode {
    fn into_refusal(self) -> Refusal {
        Refusal::Told(self.into())
    }
}

impl<E: Into<BoxError>> IntoRefusal for E {
    fn into_refusal(self) -> Refusal {
        match self.into().downcast::<ErrorMessage>() {
            Ok(message) if message.source().is_none() => Refusal::Told(*message),
            // Made of another error, which is for the log.
            Ok(message) => Refusal::Internal(message),
            Err(error) => Refusal::Internal(error),
        }
    }
}

/// The outcome of a request: the answer as JSON, or the reason why there is none.
#[doc(hidden)]
pub trait Reply {
    #[doc(hidden)]
    fn into_reply(self) -> Result<Box<RawValue>, Refusal>;
}

impl<R: Serialize, E: IntoRefusal> Reply for Result<R, E> {
    fn into_reply(self) -> Result<Box<RawValue>, Refusal> {
        let reply = self.map_err(IntoRefusal::into_refusal)?;
        to_raw_value(&reply).map_err(IntoRefusal::into_refusal)
    }
}

/// A function that answers requests, behind one pointer.
#[doc(hidden)]
pub struct Replies<T>(Arc<dyn Answer<T>>);

type Answering = Pin<Box<dyn Future<Output = Result<Box<RawValue>, Refusal>>>>;

impl<T> Replies<T> {
    /// The answer to a request. Nothing of the user's runs before it is polled.
    pub(super) fn answer(&self, socket: Socket, request: T) -> Answering {
        Arc::clone(&self.0).answer(socket, request)
    }
}

impl<T> std::fmt::Debug for Replies<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Replies")
    }
}

trait Answer<T>: Send + Sync {
    fn answer(self: Arc<Self>, socket: Socket, request: T) -> Answering;
}

struct SyncFunction<F, R>(F, PhantomData<fn() -> R>);

impl<T, F, R> Answer<T> for SyncFunction<F, R>
where
    T: 'static,
    F: Fn(Socket, T) -> R + Send + Sync + 'static,
    R: Reply + 'static,
{
    fn answer(self: Arc<Self>, socket: Socket, request: T) -> Answering {
        Box::pin(async move { (self.0)(socket, request).into_reply() })
    }
}

struct AsyncFunction<F, R>(F, PhantomData<fn() -> R>);

impl<T, F, R> Answer<T> for AsyncFunction<F, R>
where
    T: 'static,
    F: AsyncFn(Socket, T) -> R + Send + Sync + 'static,
    R: Reply + 'static,
{
    fn answer(self: Arc<Self>, socket: Socket, request: T) -> Answering {
        Box::pin(async move { (self.0)(socket, request).await.into_reply() })
    }
}

impl<T, F, R> RequestHandler<T, (SyncMarker, R)> for F
where
    T: 'static,
    F: Fn(Socket, T) -> R + Send + Sync + 'static,
    R: Reply + 'static,
{
    fn into_replies(self) -> Replies<T> {
        Replies(Arc::new(SyncFunction(self, PhantomData)))
    }
}

impl<T, F, R> RequestHandler<T, (AsyncMarker, R)> for F
where
    T: 'static,
    F: AsyncFn(Socket, T) -> R + Send + Sync + 'static,
    R: Reply + 'static,
{
    fn into_replies(self) -> Replies<T> {
        Replies(Arc::new(AsyncFunction(self, PhantomData)))
    }
}
