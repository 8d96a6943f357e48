//! The server program as a whole: its application on real sockets, and its command line.

#![expect(
    clippy::unwrap_used,
    reason = "what the tests share fails by panicking, as they do"
)]

mod api;
mod base_path;
mod command_line;
mod development;
mod hooks;
mod inspect;
mod log;
mod metrics;
mod migration;
mod operators;
#[cfg(feature = "otlp")]
mod otlp;
mod posts;
mod purge;
mod refresh;
#[cfg(unix)]
mod service;
mod settings;
mod signals;
mod store;
#[allow(dead_code, reason = "other tests use more")]
mod support;
mod tls;
