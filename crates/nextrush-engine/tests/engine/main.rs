//! The behaviour of the engine: on the simulated network with virtual time, and in [`sockets`]
//! and `tls` on real sockets against an independent client.

#![expect(
    clippy::unwrap_used,
    reason = "what the tests share fails by panicking, as they do"
)]

mod real;
mod support;

mod abuse;
mod backlog;
mod close;
mod crowd;
mod deflate;
mod engine;
mod handlers;
mod heartbeat;
mod lagging;
mod long;
mod metrics;
mod model;
mod protocol;
mod rooms;
mod sockets;
mod timers;
#[cfg(feature = "tls")]
mod tls;
