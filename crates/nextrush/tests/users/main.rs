//! The users of clients, how they are known, and their limits: tokens, sessions, subprotocols.

#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(unreachable_pub, reason = "the example is a program of its own")]

mod cookies;
mod first_message;
mod hidden;
mod limits;
mod revoking;
mod sessions;
mod subprotocols;
mod support;
mod tickets;
