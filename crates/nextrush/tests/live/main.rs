//! Channels under the application's control, in virtual time.

#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(unreachable_pub, reason = "it is shared with other tests")]
#[path = "../it/schema.rs"]
mod schema;
mod support;

mod bytes;
mod history;
mod joining;
mod loading;
mod model;
mod nodes;
mod outbox;
mod publishing;
mod revoking;
mod rules;
mod trace;
mod versions;
