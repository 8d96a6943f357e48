//! Topics that remember: publishing with a position, subscribing without a gap, coming back.
//!
//! A [`Topic`] is a numbered stream of publications that the [broker](crate::broker) keeps.
//! Sockets subscribe to it, with the position up to which they have seen it, and get what
//! they missed and then what is published: each once, in order, or a message that says what
//! they will not get. [`Handle::topic`](crate::Handle::topic) gives a topic by name; a family
//! of [`Topics`] has a [`Dialect`] of its own, which says what all that looks like on the
//! wire. [`ChatServer`](crate::ChatServer) and [`LiveUpdates`](crate::LiveUpdates) are such
//! families.

// Public: names, families, dialects.
mod dialect;
mod entry;
mod error;
mod family;
mod handle;
mod json;
mod members;
mod name;
#[cfg(feature = "embedded")]
mod numbered_parts;
mod since;
mod slow_readers;

// What they stand on: this node's subscribers, and how they keep up.
mod anew;
mod announcing;
mod bounds;
mod claims;
mod deletions;
mod encoded;
mod heal;
mod local;
mod locked;
mod newest;
mod seating;
mod seats;
mod subscriptions;
mod traces;
mod used_ids;

pub(crate) use handle::{Terms, UNSUBSCRIBED};
pub(crate) use local::LocalTopics;
pub(crate) use name::{TopicPath, own_name};

pub use bounds::newest_within;
pub use dialect::{Arrival, CatchUp, Dialect, Gap, Leaver, Newcomer};
pub use entry::{Entry, Wish};
pub use error::{InvalidTopicName, PublishError, SubscribeError};
pub use family::Topics;
pub use handle::Topic;
pub use json::Json;
pub use locked::Locked;
pub use members::{Profile, ShowUser, UserSockets, UsersPage, show_user};
pub(crate) use newest::key_of;
pub use newest::newest_by_key;
#[cfg(feature = "embedded")]
pub use numbered_parts::NumberedParts;
pub use since::{InvalidSince, Recovered, Since, Unrecovered};
pub use slow_readers::{SlowReaderCounts, SlowReaderPolicy, SlowReaders};
