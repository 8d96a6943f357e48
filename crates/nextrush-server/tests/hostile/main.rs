//! The server program under input that means it no good: bytes, counts and amplification.

#![expect(
    clippy::unwrap_used,
    reason = "what the tests share fails by panicking, as they do"
)]

mod backlogs;
mod bodies;
mod disk;
mod files;
mod hosts;
mod limits;
mod lingering;
mod logs;
mod open_endpoints;
mod posts;
mod presence;
mod program;
mod rooms;
mod secrets;
#[allow(dead_code, reason = "other tests use more")]
#[path = "../it/support.rs"]
mod support;
mod threads;
mod tokens;
mod work;
