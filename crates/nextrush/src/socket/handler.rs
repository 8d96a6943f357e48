//! Functions that handle a socket's events.
//!
//! Sync and async functions are both accepted. The marker type parameter tells
//! the two apart; it is inferred and never written by hand.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use nextrush_engine::Work;

use crate::error::BoxError;
use crate::socket::Socket;
use crate::socket::claims::{Claim, Claims};

/// A function that handles an event of type `E` on a socket.
///
/// Implemented for `Fn(Socket, E)` and `AsyncFn(Socket, E)` that return an
/// [`Outcome`]: nothing, or a `Result` whose error closes the socket with 1011.
///
/// An async function is polled at once on the thread that owns the connection
/// and takes memory only while it is pending; its future need not be `Send`. One that
/// has values of its own is written `async move |…| …`: an axum handler's
/// `move |…| async move { … }` gives its values away with the first call.
///
/// ```
/// use nextrush::{Message, Socket};
///
/// fn listen(socket: &Socket) {
///     let greeting = String::from("you said");
///     socket.on_message(async move |socket: Socket, message: Message| {
///         socket.send(format!("{greeting} {message}"));
///     });
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "this function cannot handle the event `{E}` of a socket",
    label = "no function of a `Socket` and a `{E}` that returns nothing or a `Result<(), _>`",
    note = "it takes both by value, `|socket: Socket, event: {E}| …`, and not a `&Socket`",
    note = "an error that it returns has to convert into `BoxError`, as every `std::error::Error` \
            does; a status code or a response does not",
    note = "an async function is written `async move |socket: Socket, event: {E}| …`"
)]
pub trait EventHandler<E, Marker>: Send + Sync + 'static {
    #[doc(hidden)]
    fn into_callback(self) -> Callback<E>;
}

/// A return value of handlers: nothing, or a `Result` whose error closes the socket.
///
/// A handler that never returns, such as one that is still a `todo!()`, is one as well.
#[diagnostic::on_unimplemented(
    message = "a handler of a socket cannot return `{Self}`",
    label = "returns `{Self}`",
    note = "it returns nothing or a `Result<(), E>` whose error converts into `BoxError`, as every \
            `std::error::Error` does"
)]
pub trait Outcome {
    #[doc(hidden)]
    fn into_result(self) -> Result<(), BoxError>;
}

impl Outcome for () {
    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Into<BoxError>> Outcome for Result<(), E> {
    fn into_result(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}

/// A way to name the type `!`, which has no name in stable Rust outside of return types.
#[doc(hidden)]
#[allow(unnameable_types, reason = "only its output is used")]
pub trait Returning {
    type Type;
}

impl<R> Returning for fn() -> R {
    type Type = R;
}

impl Outcome for <fn() -> ! as Returning>::Type {
    fn into_result(self) -> Result<(), BoxError> {
        self
    }
}

#[doc(hidden)]
#[derive(Debug)]
#[non_exhaustive]
pub struct SyncMarker;

#[doc(hidden)]
#[derive(Debug)]
#[non_exhaustive]
pub struct AsyncMarker;

/// An endpoint's handler with its extractors filled in, to be called with its socket.
pub(crate) type Open = Box<dyn FnOnce(Socket) -> Work + Send>;

/// An event handler behind one pointer.
#[doc(hidden)]
pub struct Callback<E>(Arc<dyn Call<E>>);

impl<E: 'static> Callback<E> {
    /// A callback that is a step before another one.
    pub(crate) fn from_work(work: impl Fn(Socket, E) -> Work + Send + Sync + 'static) -> Self {
        struct Step<F>(F);

        impl<E, F: Fn(Socket, E) -> Work + Send + Sync> Call<E> for Step<F> {
            fn call(self: Arc<Self>, socket: Socket, event: E) -> Work {
                (self.0)(socket, event)
            }
        }

        Self(Arc::new(Step(work)))
    }
}

impl<E> Callback<E> {
    pub(crate) fn new(call: impl Call<E> + 'static) -> Self {
        Self(Arc::new(call))
    }

    /// A callback that others have a part in.
    pub(crate) fn of(call: Arc<impl Call<E> + 'static>) -> Self {
        Self(call)
    }

    /// The messages that it takes.
    pub(super) fn claims(&self) -> Claims<'_, E> {
        self.0.claims()
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<E> Callback<E> {
    pub(crate) fn call(&self, socket: Socket, event: E) -> Work {
        Arc::clone(&self.0).call(socket, event)
    }
}

impl<E> Clone for Callback<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E> fmt::Debug for Callback<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callback")
    }
}

/// A function for an event.
pub(crate) trait Call<E>: Send + Sync {
    fn call(self: Arc<Self>, socket: Socket, event: E) -> Work;

    /// The messages that it takes, if its events are messages.
    fn claims(&self) -> Claims<'_, E> {
        Claims::One(Claim::rest())
    }
}

struct SyncFunction<F, R>(F, PhantomData<fn() -> R>);

impl<E, F, R> Call<E> for SyncFunction<F, R>
where
    F: Fn(Socket, E) -> R + Send + Sync,
    R: Outcome,
{
    fn call(self: Arc<Self>, socket: Socket, event: E) -> Work {
        let outcome = (self.0)(socket.clone(), event);
        socket.conclude(outcome);
        None
    }
}

struct AsyncFunction<F, R>(F, PhantomData<fn() -> R>);

impl<E, F, R> Call<E> for AsyncFunction<F, R>
where
    E: 'static,
    F: AsyncFn(Socket, E) -> R + Send + Sync + 'static,
    R: Outcome + 'static,
{
    fn call(self: Arc<Self>, socket: Socket, event: E) -> Work {
        Some(Box::pin(async move {
            let outcome = (self.0)(socket.clone(), event).await;
            socket.conclude(outcome);
        }))
    }
}

impl<E, F, R> EventHandler<E, (SyncMarker, R)> for F
where
    E: 'static,
    F: Fn(Socket, E) -> R + Send + Sync + 'static,
    R: Outcome + 'static,
{
    fn into_callback(self) -> Callback<E> {
        Callback(Arc::new(SyncFunction(self, PhantomData)))
    }
}

impl<E, F, R> EventHandler<E, (AsyncMarker, R)> for F
where
    E: 'static,
    F: AsyncFn(Socket, E) -> R + Send + Sync + 'static,
    R: Outcome + 'static,
{
    fn into_callback(self) -> Callback<E> {
        Callback(Arc::new(AsyncFunction(self, PhantomData)))
    }
}
