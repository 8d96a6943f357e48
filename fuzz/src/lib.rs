//! Promises that must hold for any bytes from outside.
//!
//! Each target is a function that takes an input and panics if a promise is broken. It is
//! run twice: by libFuzzer, which invents inputs (`targets/`), and by `cargo test`, which
//! replays the committed ones (`tests/seeds.rs`). Each function documents the layout of its
//! input, so that one can be written by hand.

#![forbid(unsafe_code)]

mod api;
mod by_the_book;
mod command;
mod decoder;
mod deflate;
mod forwarded;
mod handshake;
mod hook_answer;
mod inflate;
mod proxy_header;
mod round_trip;
mod said;
mod server;
mod settings;
mod tickets;
mod tokens;

pub use api::api;
pub use command::command;
pub use decoder::decoder;
pub use deflate::{deflate, deflate_round_trip};
pub use forwarded::forwarded;
pub use handshake::handshake;
pub use hook_answer::hook_answer;
pub use proxy_header::proxy_header;
pub use round_trip::round_trip;
pub use settings::settings;
pub use tickets::tickets;
pub use tokens::tokens;
