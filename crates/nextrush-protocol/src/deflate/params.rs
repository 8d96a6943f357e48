//! The agreement of both sides after the handshake.

use super::config::MAX_WINDOW_BITS;
use crate::role::Role;

/// What both sides of a connection have agreed on (RFC 7692 §7.1).
///
/// Comes out of the handshake:
/// [`Accepted::negotiate_deflate`](crate::handshake::server::Accepted::negotiate_deflate)
/// or [`Opening::verify`](crate::handshake::client::Opening::verify). The default is what an
/// answer without parameters means: contexts are taken over, windows are of 32 KiB.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct DeflateParams {
    pub(crate) server: Direction,
    pub(crate) client: Direction,
}

/// How the messages of one side are compressed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Direction {
    /// Later messages refer to earlier ones.
    pub(crate) takeover: bool,
    pub(crate) window_bits: u8,
}

impl DeflateParams {
    /// Whether the server compresses each message by itself.
    #[must_use]
    pub const fn server_no_context_takeover(self) -> bool {
        !self.server.takeover
    }

    /// Whether the client compresses each message by itself.
    #[must_use]
    pub const fn client_no_context_takeover(self) -> bool {
        !self.client.takeover
    }

    /// How far back the server's compressor may refer, as a power of two: 8 to 15.
    #[must_use]
    pub const fn server_max_window_bits(self) -> u8 {
        self.server.window_bits
    }

    /// How far back the client's compressor may refer, as a power of two: 8 to 15.
    #[must_use]
    pub const fn client_max_window_bits(self) -> u8 {
        self.client.window_bits
    }

    /// How what this side sends is compressed.
    pub(crate) const fn sending(self, role: Role) -> Direction {
        match role {
            Role::Server => self.server,
            Role::Client => self.client,
        }
    }

    /// How what this side reads is compressed.
    pub(crate) const fn receiving(self, role: Role) -> Direction {
        match role {
            Role::Server => self.client,
            Role::Client => self.server,
        }
    }
}

impl Default for DeflateParams {
    fn default() -> Self {
        let direction = Direction {
            takeover: true,
            window_bits: MAX_WINDOW_BITS,
        };
        Self {
            server: direction,
            client: direction,
        }
    }
}
