//! The commands beside serving.

mod bench;
mod config;
mod configured;
mod doctor;
mod health;
mod position;
mod publish;
mod shell;
mod store;
mod tail;
mod token;
mod trace;

pub use self::bench::{Bench, BenchError, BenchReport, InvalidMessage};
pub use self::config::{Check, ConfigCommand, ConfigCommandError, Init};
pub use self::doctor::Doctor;
pub use self::health::{Health, HealthError};
pub use self::position::{InvalidPosition, Position};
pub use self::publish::{Publish, PublishError};
pub use self::shell::{Completions, Man};
pub use self::store::{
    StoreBackup, StoreCommand, StoreDirectory, StoreError, StorePlace, StoreSizes,
};
pub use self::tail::{Tail, TailError};
pub use self::token::{Token, TokenError};
pub use self::trace::{Trace, TraceError};
