//! The routers of this crate, mounted in applications of their own, in virtual time.

#![expect(
    clippy::unwrap_used,
    reason = "what the tests share fails by panicking, as they do"
)]

mod api;
mod api_keys;
mod health;
mod inspector;
mod keys;
mod metrics;
mod nodes;
mod page;
mod strangers;
mod support;
mod tokens;
mod traces;
