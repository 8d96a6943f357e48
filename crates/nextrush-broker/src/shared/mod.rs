//! Topics that several nodes share: a store that all of them speak to, and the broker over it.

// The store, and what it tells a node.
mod feed;
mod store;

// The broker over it.
mod options;
mod sequenced;

// Its parts: what goes to the store and what comes from it.
mod feeding;
mod histories;
mod publishing;
mod watching;

// What they stand on: the topics of a node.
mod agenda;
mod early;
mod node;
mod sequence;
mod sinks;
mod tail;
mod topic;

pub use feed::{Deleted, Feed, Push, PushedGroup, Unwatched};
pub use options::SequencerOptions;
pub use sequenced::{SequencedBroker, SequencerCounts};
pub use store::{Appended, SharedStore, Stored, StoredHistory, Top};
