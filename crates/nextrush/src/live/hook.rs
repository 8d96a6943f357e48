//! Functions of the application that channels ask: they answer within a deadline, and their panics
//! end here.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::timeout;

use crate::message::{ErrorCode, ErrorMessage, UserId};
use crate::socket::Socket;
use crate::socket::requests::Refusal;

/// A function of the application behind one pointer. Its futures are polled on the thread of the
/// client's socket.
pub(super) struct Hook<C, T>(Arc<dyn Call<C, T>>);

type Answering<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

trait Call<C, T>: Send + Sync {
    fn call(&self, context: C) -> Answering<'_, T>;
}

/// A function and what becomes of its result.
struct Function<F, M> {
    function: F,
    map: M,
}

impl<C, T, F, R, M> Call<C, T> for Function<F, M>
where
    C: 'static,
    F: AsyncFn(C) -> R + Send + Sync,
    M: Fn(R) -> T + Send + Sync,
{
    fn call(&self, context: C) -> Answering<'_, T> {
        Box::pin(async move { (self.map)((self.function)(context).await) })
    }
}

/// The client for whom a function is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking<'a> {
    pub(super) socket: &'a Socket,
    pub(super) user: Option<&'a UserId>,
    pub(super) channel: &'a str,
    pub(super) deadline: Duration,
}

impl Asking<'_> {
    /// The word to the client of a function that refuses it. What is not for the client is logged
    /// as an error of `what`.
    pub(super) fn told(
        &self,
        what: &'static str,
        refusal: Refusal,
    ) -> Result<ErrorMessage, Unanswered> {
        match refusal {
            Refusal::Told(error) => Ok(error),
            Refusal::Internal(error) => {
                let Self {
                    socket,
                    user,
                    channel,
                    ..
                } = self;
                let (id, endpoint) = (socket.id(), socket.endpoint());
                tracing::error!(socket = %id, endpoint, ?user, channel, error, "{what} failed");
                Err(Unanswered::Failed)
            }
        }
    }
}

/// The reason why a function gave no answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unanswered {
    /// The function was not done by its deadline, and was dropped.
    Late,
    Panicked,
    /// The function failed, with an error that is not for the client.
    Failed,
}

impl Unanswered {
    /// The word to the client.
    pub(super) fn to_message(self) -> ErrorMessage {
        match self {
            Self::Late => ErrorMessage::new(ErrorCode::Unavailable, "Channel unavailable")
                .details("the application did not answer in time")
                .retry_after_ms(RETRY_MS),
            Self::Panicked | Self::Failed => {
                ErrorMessage::new(ErrorCode::Internal, "The application failed")
            }
        }
    }
}

/// The time after which a client may try again, in milliseconds.
pub(super) const RETRY_MS: u64 = 1000;

impl<C: 'static, T: 'static> Hook<C, T> {
    /// A function whose result `map` makes the answer.
    pub(super) fn new<F, R: 'static>(
        function: F,
        map: impl Fn(R) -> T + Send + Sync + 'static,
    ) -> Self
    where
        F: AsyncFn(C) -> R + Send + Sync + 'static,
    {
        Self(Arc::new(Function { function, map }))
    }

    /// Asks. A function that gives no answer is logged as `what`, with the endpoint and the user.
    pub(super) async fn ask(
        &self,
        what: &'static str,
        asking: Asking<'_>,
        context: C,
    ) -> Result<T, Unanswered> {
        // The function is dropped in here too, which is its code as well.
        let answer = async { timeout(asking.deadline, self.0.call(context)).await };
        let unanswered = match AssertUnwindSafe(answer).catch_unwind().await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(_)) => Unanswered::Late,
            Err(_) => Unanswered::Panicked,
        };
        let Asking {
            socket,
            user,
            channel,
            deadline,
        } = asking;
        let (id, endpoint) = (socket.id(), socket.endpoint());
        match unanswered {
            Unanswered::Late => {
                tracing::error!(socket = %id, endpoint, ?user, channel, ?deadline, "{what} did not answer in time");
            }
            Unanswered::Panicked | Unanswered::Failed => {
                tracing::error!(socket = %id, endpoint, ?user, channel, "{what} panicked");
            }
        }
        Err(unanswered)
    }
}

impl<C, T> Clone for Hook<C, T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C, T> fmt::Debug for Hook<C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}
