//! Promises that must hold for any bytes from outside.
//!
//! Each target is a function that takes an input and panics if a promise is broken. It is
//! run twice: by libFuzzer, which invents inputs (`targets/`), and by `cargo test`, which
//! replays the committed ones (`tests/seeds.rs`). Each function documents the layout of its
//! input, so that one can be written by hand.

#![forbid(unsafe_code)]

mod by_the_book;
mod command;
mod decoder;
mod deflate;
mod handshake;
mod inflate;
mod round_trip;
mod said;
mod settings;
mod tokens;

pub use command::command;
pub use decoder::decoder;
pub use deflate::{deflate, deflate_round_trip};
pub use handshake::handshake;
pub use round_trip::round_trip;
pub use settings::settings;
pub use tokens::tokens;
