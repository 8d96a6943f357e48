//! Topics that several nodes share, on Redis or Valkey.
//!
//! [`Redis`] is the broker of a node: each node of an application connects to the same server and
//! shares topics with the others. The server is one that exists, be it alone, a master that
//! Sentinels watch over, or a cluster: Redis 7.0 or newer, Valkey 7.2 or newer.
//!
//! ```no_run
//! use nextrush_redis::Redis;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let redis = Redis::connect("redis://localhost").await?;
//! // let app = App::builder().broker(redis).build();
//! # Ok(())
//! # }
//! ```

#![warn(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::must_use_candidate
)]

mod bus;
mod export;
mod import;
mod redis;
mod rosters;
mod store;

mod options;
mod url;

mod checks;
mod cluster;
mod master;
mod requests;

mod dial;
mod link;
mod subscriber;

mod backoff;
mod failure;
mod format;
mod keys;
mod listing;
mod partition;
mod script;
mod turns;

pub use crate::redis::Redis;
pub use bus::RedisBus;
pub use options::{Deadlines, RedisOptions};
pub use rosters::RedisRosters;
pub use store::{ConnectError, RedisStore};
pub use url::{RedisUrl, RedisUrlError};
