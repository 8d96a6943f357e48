//! Topics that remember.
//!
//! A topic, named by a [`TopicName`], is a stream of [`Publication`]s, numbered 1, 2, 3, …
//! within an [`Epoch`] that lasts as long as the stream does. A reader who knows a [`Position`]
//! can come back later and ask the [`Broker`] for the publications since; the numbers tell
//! whether any were lost.
//!
//! This crate has the [`Broker`] trait, the [`MemoryBroker`], with the feature `embedded` the
//! `EmbeddedBroker`, which keeps topics on disk, and with the feature `testing` a `conformance`
//! suite for every broker and a `simulated` store that nodes share. It knows neither sockets nor
//! users: publications are bytes, and each node receives them through a [`Sink`].
//!
//! ```
//! use nextrush_broker::{Broker, HistoryQuery, MemoryBroker, Publish, Retention, TopicName};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = MemoryBroker::new();
//! let posts = TopicName::try_from("posts")?;
//!
//! let kept = Retention::count(100);
//! let first = broker.publish(&posts, Publish::new("hello").retain(kept)).await?;
//! broker.publish(&posts, Publish::new("world").retain(kept)).await?;
//!
//! // Somebody who saw the first one comes back.
//! let missed = broker
//!     .history(&posts, HistoryQuery::After { offset: first.position.offset, limit: 300 })
//!     .await?;
//! assert_eq!(missed.position.epoch, first.position.epoch);
//! assert_eq!(missed.position.offset, 2);
//! assert_eq!(missed.publications[0].data, "world");
//! # Ok(())
//! # }
//! ```

#![warn(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::must_use_candidate
)]

mod broker;
mod bus;
mod roster;

mod answer;
mod backup;
mod claim;
mod deletion;
mod error;
mod history;
mod owner;
mod position;
mod publication;
mod retention;
mod topic_name;

#[cfg(feature = "embedded")]
mod embedded;
#[cfg(feature = "export")]
mod exported;
mod memory;

mod answers;
mod chance;
mod clock;
mod leases;
mod shared;
mod stream;
mod table;

#[cfg(feature = "testing")]
pub mod conformance;
#[cfg(feature = "testing")]
pub mod simulated;

pub use answer::{CommandKey, CommandKeyError, Fingerprint, Once};
pub use backup::Backup;
pub use broker::{Broker, Immediate, Interrupt, Sink, StoreSize};
pub use bus::{Answered, Asked, Bus, BusReceiver, Leased, NodeName, NodeNameError, OneNode};
pub use claim::{Attempt, Claim, Claimed};
pub use clock::{Clock, ManualClock, SystemClock};
pub use deletion::Deletion;
#[cfg(feature = "embedded")]
pub use embedded::{
    Compacted, EmbeddedBroker, EmbeddedBuilder, EmbeddedOptions, Migration, OpenError,
    StoppedStore, StoreBytes, StoreCheck, StoreDamage, StoreImport, StoreStats, TopicStats,
};
pub use error::BrokerError;
#[cfg(feature = "export")]
pub use exported::{
    ExportCounts, ExportError, ExportReader, ExportWriter, Exported, ExportedCommand, ExportedOnce,
    ExportedTopic, ExportedVersion,
};
pub use history::{History, HistoryQuery};
pub use memory::{MemoryBroker, MemoryBuilder, MemoryLimits};
pub use owner::Owner;
pub use position::{Epoch, EpochError, Position, PositionError};
pub use publication::{Publication, Publish, Published, Version};
pub use retention::Retention;
pub use roster::{
    Committed, MemoryRosters, Roster, RosterChange, RosterRevision, RosterSink, Rosters,
};
pub use shared::{
    Appended, Deleted, Feed, Push, PushedGroup, SequencedBroker, SequencerCounts, SequencerOptions,
    SharedStore, Stored, StoredHistory, Top, Unwatched,
};
pub use topic_name::{TopicName, TopicNameError};

/// The type of published data, from `bytes`.
pub use bytes::Bytes;
/// The type of the futures of a [`Broker`], from `futures-util`.
pub use futures_util::future::BoxFuture;
