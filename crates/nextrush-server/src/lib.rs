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
//! | `/healthz`, `/readyz` | the state of the process, for whoever starts it and for load balancers |
//! | `/` | the page |
//!
//! Development mode adds `/api/dev`, which mints tokens, and keeps the store with the user's
//! data.
//!
//! [`Bench`] is `nextrush bench`, a load test of any WebSocket endpoint; [`Publish`] and
//! [`Tail`] are `nextrush publish` and `nextrush tail`.

mod app;
mod cli;
mod commands;
mod config;
mod error;
mod routes;
mod secret;
mod size;

pub use app::app;
pub use cli::{Cli, Command};
pub use commands::{
    Bench, BenchError, BenchReport, ClientError, InvalidMessage, InvalidPosition, InvalidTarget,
    Position, Publish, PublishError, ServerUrl, Tail, TailError, Target,
};
pub use config::{Config, ConfigError, RedisPlace, Store};
pub use error::StartError;
pub use secret::Secret;
pub use size::{InvalidSize, Size};
