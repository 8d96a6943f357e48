//! Tests of an application without sockets: its own routes, handlers and rooms on a
//! simulated network, in one thread and in virtual time.
//!
//! Needs the feature `testing`, for the tests only:
//!
//! ```toml
//! [dev-dependencies]
//! nextrush = { version = "0.1", features = ["testing"] }
//! tokio = { version = "1", features = ["macros", "rt", "test-util"] }
//! ```
//!
//! ```
//! use std::time::Duration;
//! use nextrush::testing::Network;
//! use nextrush::{App, CloseCode, Message, Socket};
//!
//! fn app() -> App {
//!     let mut app = App::new();
//!     app.ws("/chat", async |socket: Socket| {
//!         socket.send("Welcome to the chat!");
//!         socket.on_message(async |socket: Socket, message: Message| {
//!             socket.send(format!("Echo: {message}"));
//!         });
//!     });
//!     app
//! }
//!
//! # // A doctest has no `#[tokio::test]`.
//! # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?.block_on(async {
//! // In a test: #[tokio::test(start_paused = true)]
//! let network = Network::new(app());
//! let mut ada = network.connect("/chat").await?;
//! assert_eq!(ada.text().await, "Welcome to the chat!");
//! ada.send("hello");
//! assert_eq!(ada.text().await, "Echo: hello");
//!
//! // A client that has gone silent is noticed after 35 s, which take no time here.
//! ada.fall_silent();
//! network.advance(Duration::from_secs(40)).await;
//! assert_eq!(network.handle().local_connections(), 0);
//! # Ok::<(), nextrush::testing::Refused>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Time
//!
//! The network's time is tokio's. With a clock that is
//! [paused](https://docs.rs/tokio/latest/tokio/time/fn.pause.html), as above, it stands still
//! while anybody has something to do and jumps to the next timer when nobody has: a test
//! waits for nothing, and runs the same each time. A handler that waits for another thread
//! (other than by [`blocking`](crate::blocking)) is overtaken by the clock; then let time
//! run as it does.
//!
//! # Running
//!
//! The sockets and their handlers run in the thread of the test, while it awaits something
//! of the [`Network`] or of a [`Client`], or of the [`Cluster`] of several. To wait for anything else that needs them, as
//! [`Handle::drain`](crate::Handle::drain) does, use [`Network::run_until`].

mod client;
mod cluster;
mod network;

pub use client::Client;
pub use cluster::Cluster;
pub use network::{Network, Refused};
pub use nextrush_protocol::CloseFrame;
