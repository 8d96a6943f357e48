//! The dialects that servers speak.

use std::net::SocketAddr;

use nextrush_protocol::handshake::client::Opening;
use serde::Deserialize;

/// The protocol on top of WebSocket messages.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// Nothing: a message is what is measured.
    #[default]
    Plain,
    /// Socket.IO's packets (Engine.IO protocol 4, Socket.IO protocol 5): a message is an
    /// event `m` with one argument; the path of an endpoint is in the parameter `at`.
    SocketIo,
}

/// The meaning of a message from a server.
#[derive(Debug, Eq, PartialEq)]
pub enum Heard<'a> {
    /// Something for the application.
    Message,
    /// Something that wants this answer.
    Answer(&'a [u8]),
    /// The connection is ready.
    Greeting,
}

impl Dialect {
    /// The request of the opening handshake.
    pub fn request(self, path: &str, server: SocketAddr, opening: &Opening) -> Vec<u8> {
        let path = match self {
            Self::Plain => path.to_owned(),
            Self::SocketIo => format!("/socket.io/?EIO=4&transport=websocket&at={path}"),
        };
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\n").into_bytes();
        for (name, value) in &opening.headers() {
            request.extend_from_slice(name.as_str().as_bytes());
            request.extend_from_slice(b": ");
            request.extend_from_slice(value.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        request
    }

    /// Returns whether a connection is ready only after a greeting.
    pub fn greets(self) -> bool {
        self == Self::SocketIo
    }

    /// Wraps a JSON value for the way to the server.
    pub fn encode(self, json: &[u8], send: impl FnOnce(&[u8])) {
        match self {
            Self::Plain => send(json),
            Self::SocketIo => send(&[b"42[\"m\",", json, b"]"].concat()),
        }
    }

    /// The meaning of a message from the server.
    pub fn hear(self, message: &[u8]) -> Heard<'static> {
        match (self, message) {
            (Self::Plain, _) => Heard::Message,
            (Self::SocketIo, [b'0', ..]) => Heard::Answer(b"40"),
            (Self::SocketIo, [b'2', ..]) => Heard::Answer(b"3"),
            (Self::SocketIo, [b'4', b'0', ..]) => Heard::Greeting,
            (Self::SocketIo, _) => Heard::Message,
        }
    }
}
