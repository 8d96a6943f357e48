//! Topics that remember.
//!
//! A [`Topic`] is a stream of [`Publication`]s, numbered 1, 2, 3, … within an
//! [`Epoch`] that lasts as long as the stream does. Who knows a [`Position`] can
//! come back later and ask the [`Broker`] what it missed; whether nothing was lost
//! follows from the numbers alone.
//!
//! This crate holds the [`Broker`] trait, the [`MemoryBroker`], and the
//! [`conformance`] suite that every broker must pass. It knows neither sockets nor
//! users: what is published is bytes, and who receives it is one [`Sink`] per node.
//!
//! ```
//! use bytes::Bytes;
//! use nextrush_broker::{Broker, HistoryQuery, MemoryBroker, Retention, Topic};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = MemoryBroker::new();
//! let posts = Topic::try_from("posts")?;
//!
//! let first = broker
//!     .publish(&posts, Bytes::from("hello"), Retention::count(100))
//!     .await?;
//! broker
//!     .publish(&posts, Bytes::from("world"), Retention::count(100))
//!     .await?;
//!
//! // Somebody who saw the first one comes back.
//! let missed = broker
//!     .history(&posts, HistoryQuery::After { offset: first.offset, limit: 300 })
//!     .await?;
//! assert_eq!(missed.position.epoch, first.epoch);
//! assert_eq!(missed.position.offset, 2);
//! assert_eq!(missed.publications[0].data, "world");
//! # Ok(())
//! # }
//! ```

mod broker;
mod clock;
pub mod conformance;
mod history;
mod memory;
mod position;
mod publication;
mod topic;

pub use broker::{Broker, BrokerError, Sink};
pub use clock::{Clock, ManualClock, SystemClock};
pub use history::{History, HistoryQuery, Retention};
pub use memory::{MemoryBroker, MemoryLimits};
pub use position::{Epoch, EpochError, Position};
pub use publication::Publication;
pub use topic::{Topic, TopicError};

/// The futures a [`Broker`] returns, from `futures-util`.
pub use futures_util::future::BoxFuture;
