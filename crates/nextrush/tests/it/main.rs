//! The framework from outside: an independent client against a listening server.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(unreachable_pub, reason = "the examples are programs of their own")]

mod log;
mod schema;
mod support;
#[cfg(unix)]
mod ways;

#[cfg(unix)]
mod addresses;
mod axum_server;
mod bench_server;
mod commands_once;
mod deletions;
mod delivery_on_disk;
#[cfg(target_os = "linux")]
mod descriptors;
#[cfg(feature = "testing")]
mod dialect;
mod drain;
mod durable_names;
mod echo;
mod guide_authentication;
mod guide_basic_usage;
mod guide_error_handling;
mod guide_live_chat;
mod guide_live_updates;
mod guide_room_management;
mod guide_route_parameters;
mod guide_testing;
mod handlers;
mod hello;
mod hostile;
#[cfg(unix)]
mod http2;
mod listeners;
#[cfg(feature = "testing")]
mod many_nodes;
mod presence;
#[cfg(feature = "testing")]
mod presence_nodes;
mod presence_work;
#[cfg(unix)]
mod proxies;
mod publishing;
mod recovery;
mod refusals;
#[cfg(feature = "testing")]
mod requests;
mod room_users;
mod rooms;
mod routes;
mod server;
#[cfg(feature = "testing")]
mod shared_members;
mod shared_sockets;
mod slow_readers;
mod sockets;
#[cfg(feature = "tls")]
mod tls;
#[cfg(unix)]
mod transports;
#[cfg(feature = "testing")]
mod virtual_time;
