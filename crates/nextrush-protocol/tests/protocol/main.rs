//! The crate through its public face. The bytes on the wire are written by `wire`, which
//! shares nothing with the crate's own encoder.

mod encoding;
mod examples;
mod frames;
mod handshake;
mod properties;
mod wire;
