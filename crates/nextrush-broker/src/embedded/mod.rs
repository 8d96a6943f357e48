//! A broker of a single process whose topics are on disk.

mod broker;
mod migration;
mod options;

mod cached;
mod census;
mod change;
mod checkup;
mod contents;
mod damage;
mod eraser;
mod error;
mod extent;
mod file;
mod filling;
mod format;
mod group;
mod import;
mod journal;
mod limit;
mod log;
mod moved;
mod opening;
mod recent;
mod record;
mod request;
mod scratch;
mod shared;
mod stats;
mod stopped;
mod store;
mod transfer;
mod tree;
mod unborn;
mod usage;
mod writer;

pub use self::broker::{EmbeddedBroker, EmbeddedBuilder};
pub use self::checkup::{StoreCheck, StoreDamage};
pub use self::error::OpenError;
pub use self::import::StoreImport;
pub use self::migration::Migration;
pub use self::options::EmbeddedOptions;
pub use self::stats::{StoreBytes, StoreStats, TopicStats};
pub use self::stopped::{Compacted, StoppedStore};
