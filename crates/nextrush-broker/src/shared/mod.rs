//! Topics that several nodes share: a store that all of them speak to, and what it tells them.

mod feed;
mod store;

pub use feed::{Feed, Push, PushedGroup, Unwatched};
pub use store::{Appended, Purge, SharedStore, Stored, StoredHistory, Top};
