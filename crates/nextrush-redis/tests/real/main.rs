//! The store on real servers, and what becomes of it when they fail.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bus;
mod cluster;
mod faults;
mod moving;
mod nodes;
mod proxy;
mod recorded;
mod recorder;
mod rosters;
mod servers;
mod store;
