//! The crate through its public interface. The bytes on the wire are made by `wire`, which
//! shares nothing with the crate's own encoder.

mod close_codes;
mod connect;
mod deflate;
mod deflate_negotiation;
mod deflate_properties;
mod encoding;
mod examples;
mod frames;
mod handshake;
mod long;
mod oracle;
mod properties;
mod wire;
