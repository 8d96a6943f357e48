//! The wishes of this node: its sockets come, change and leave.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use nextrush_broker::BrokerError;
use nextrush_engine::ConnectionId;
use tokio::sync::oneshot;

use super::draft::Draft;
use super::rules::Rules;

/// A change that is worked out on a draft, and again after a conflict.
pub(crate) type Act<R> = Box<dyn FnMut(&mut Draft<'_, R>) + Send>;

/// A wish of this node.
pub(crate) enum Wish<R: Rules> {
    /// A socket joins.
    Join {
        socket: ConnectionId,
        member: Arc<R::Member>,
        arrival: R::Arrival,
        settling: Settling,
    },
    /// A socket leaves at once.
    Leave(ConnectionId),
    /// The connection of a socket is lost: where the rules say so it is waited for.
    Lose(ConnectionId),
    /// A socket's member becomes another one.
    Update {
        socket: ConnectionId,
        member: Arc<R::Member>,
        settling: Settling,
    },
    /// Anything else.
    Act { act: Act<R>, settling: Settling },
}

impl<R: Rules> fmt::Debug for Wish<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Join { socket, .. } => f.debug_tuple("Join").field(socket).finish(),
            Self::Leave(socket) => f.debug_tuple("Leave").field(socket).finish(),
            Self::Lose(socket) => f.debug_tuple("Lose").field(socket).finish(),
            Self::Update { socket, .. } => f.debug_tuple("Update").field(socket).finish(),
            Self::Act { .. } => f.write_str("Act"),
        }
    }
}

/// The reason why a wish was given up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsettled {
    /// The socket has left meanwhile, or was not there.
    #[error("the socket is not there any more")]
    Gone,
    /// The store of the nodes could not be reached in time.
    #[error(transparent)]
    Store(#[from] BrokerError),
}

/// The end of a wish, for the one who makes it come true.
pub(crate) struct Settling(oneshot::Sender<Result<(), Unsettled>>);

impl Settling {
    pub(super) fn new() -> (Self, Settled) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), Settled(receiver))
    }

    pub(super) fn settle(self, outcome: Result<(), Unsettled>) {
        // Who does not wait any more does not want to know.
        let _ = self.0.send(outcome);
    }
}

impl fmt::Debug for Settling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Settling").finish_non_exhaustive()
    }
}

/// The end of a wish: resolves when it has come true, or was given up. Dropping it changes
/// nothing.
#[derive(Debug)]
pub(crate) struct Settled(oneshot::Receiver<Result<(), Unsettled>>);

impl Future for Settled {
    type Output = Result<(), Unsettled>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(context)
            .map(|settled| settled.unwrap_or(Err(Unsettled::Gone)))
    }
}
