//! The NextRush server: chat, live updates, an HTTP API and a page in one program.
//!
//! The program `nextrush` is this library behind a command line. [`app()`] builds
//! the application from a [`Config`]:
//!
//! | route | what it is |
//! |---|---|
//! | `/chat/:roomId` | chat: history, members, typing, private messages |
//! | `/live` | live updates: channels to subscribe to |
//! | `/private-chat/:roomId` | a plain room for those with a token |
//! | `/robust-chat/:roomId` | with `--open-endpoints`: a room with a time limit, pings, validation, a rate limit |
//! | `/rooms/:roomId`, `/games/:gameId/players/:playerId`, `/chat` | with `--open-endpoints`: route parameters and an echo |
//! | `/api/posts` | posts, published to `/live` |
//! | `/api/v1` | publishing from outside, with a key |
//! | `/api/inspect`, `/inspect` | the operators' view, with a key or in development mode |
//! | `/metrics` | figures for Prometheus, with `--metrics-key` or at `--metrics-listen` |
//! | `/version` | the program and its version |
//! | `/healthz`, `/readyz` | the state of the process, for whoever starts it and for load balancers |
//! | `/` | the page |
//!
//! Development mode adds `/api/dev`, which mints tokens, and keeps the store with the user's
//! data.
//!
//! A [`Config`] comes from a command line, the environment and a file: the module `settings` has the
//! table of all settings, and says how one is added. [`ConfigCommand`] is `nextrush config`.
//!
//! [`StoreCommand`] is `nextrush store`, [`Doctor`] and [`Health`] are `nextrush doctor` and `health`.
//!
//! [`Bench`] is `nextrush bench`, a load test of any WebSocket endpoint; [`Publish`] and
//! [`Tail`] are `nextrush publish` and `nextrush tail`, and [`Token`] is `nextrush token`.

mod api_keys;
mod app;
mod channels;
mod claims;
mod cli;
mod client;
mod client_limits;
mod commands;
mod config;
mod current;
mod document;
mod duration;
mod error;
mod filter;
mod hooks;
mod key_files;
mod log_format;
#[cfg(feature = "otlp")]
mod otlp;
mod routes;
mod secret;
mod settings;
mod size;

pub use app::{app, apps, listen, listen_beside};
pub use cli::{Cli, Command};
pub use client::{ClientError, InvalidTarget, JwksUrl, ServerUrl, Target};
pub use client_limits::ClientLimits;
pub use commands::{
    Bench, BenchError, BenchReport, Check, Completions, ConfigCommand, ConfigCommandError, Doctor,
    Health, HealthError, Init, InvalidMessage, InvalidPosition, Man, Position, Publish,
    PublishError, StoreBackup, StoreCommand, StoreDirectory, StoreError, StorePlace, StoreSizes,
    Tail, TailError, Token, TokenError, Trace, TraceError,
};
pub use config::{Config, RedisPlace, Reloaded, Store};
pub use document::{ConfigError, Place, Problem};
pub use error::StartError;
pub use filter::{Filter, InvalidFilter};
pub use log_format::{InvalidLogFormat, LogFormat};
#[cfg(feature = "otlp")]
pub use otlp::Spans;
pub use secret::Secret;
pub use settings::Flags;
pub use size::{InvalidSize, Size};
