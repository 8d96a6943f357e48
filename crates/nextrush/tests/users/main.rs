//! Users and what they offer: tokens, subprotocols.

#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod subprotocols;
