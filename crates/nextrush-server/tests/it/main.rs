//! The server program as a whole: its application on real sockets, and its command line.

#![expect(
    clippy::unwrap_used,
    reason = "what the tests share fails by panicking, as they do"
)]

mod api;
mod command_line;
mod development;
mod inspect;
mod migration;
mod posts;
mod refresh;
mod signals;
mod store;
mod support;
mod tls;
