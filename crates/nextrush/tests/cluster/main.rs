//! Several nodes of an application, in virtual time.

#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod losses;
mod model;
mod presence;
mod request_model;
mod requests;
mod rooms;
mod support;
