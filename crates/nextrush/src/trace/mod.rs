//! The answer to "why did this user not get message N?": a verdict for each socket.
//!
//! [`LiveUpdates::trace`](crate::LiveUpdates::trace),
//! [`ChatServer::trace`](crate::ChatServer::trace) and [`Topic::trace`](crate::topic::Topic::trace)
//! ask all nodes. Nothing is written down for a delivery: a node keeps what happens to
//! subscriptions (joined, left, lagged, given later), in a record of
//! [bounded](crate::AppBuilder::trace_record) size, and derives from that, and from how its sockets
//! stand now, what became of a publication.
//!
//! ```
//! use nextrush::trace::Question;
//! use nextrush::{App, LiveUpdates, UserId};
//!
//! # async fn example(live: &LiveUpdates, user: &UserId) -> nextrush::Result<(), nextrush::BoxError> {
//! let position = "018bcfe5-6800-7abc-8def-0123456789ab:7".parse()?;
//! let trace = live.trace("board-7", &Question::new(position).user(user)).await?;
//! for socket in &trace.sockets {
//!     println!("{} {:?}: {}", socket.socket, socket.user, socket.verdict);
//! }
//! # Ok(())
//! # }
//! ```

mod record;
mod times;
mod verdict;
mod walk;

pub(crate) use self::record::{
    DEFAULT_BYTES, Event, Filled, Given, Joined, Leaving, Lost, Record, Selected, What,
};
pub(crate) use self::times::{HandedOut, Times};
pub use self::verdict::{
    Closed, Healing, LeftOut, OfNode, Published, Question, SocketTrace, Trace, Verdict,
};
pub(crate) use self::walk::{Facts, Found, Present, walk};
