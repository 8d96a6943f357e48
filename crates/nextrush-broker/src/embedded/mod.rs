//! A broker of a single process whose topics are on disk.

mod broker;
mod migration;
mod options;

mod cached;
mod census;
mod change;
mod damage;
mod eraser;
mod error;
mod extent;
mod file;
mod format;
mod group;
mod journal;
mod limit;
mod log;
mod moved;
mod opening;
mod recent;
mod record;
mod request;
mod shared;
mod store;
mod transfer;
mod tree;
mod unborn;
mod usage;
mod writer;

pub use self::broker::{EmbeddedBroker, EmbeddedBuilder};
pub use self::error::OpenError;
pub use self::migration::Migration;
pub use self::options::EmbeddedOptions;
