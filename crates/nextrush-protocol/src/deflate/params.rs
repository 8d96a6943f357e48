//! The agreement of both sides after the handshake.

use super::config::MAX_WINDOW_BITS;
use crate::role::Role;

/// The parameters that both sides have agreed on (RFC 7692 §7.1).
///
/// Returned by
/// [`Accepted::negotiate_deflate`](crate::handshake::server::Accepted::negotiate_deflate) and
/// [`Opening::verify`](crate::handshake::client::Opening::verify). The default is an answer
/// without parameters: contexts are taken over, windows have 32 KiB.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct DeflateParams {
    pub(crate) server: Direction,
    pub(crate) client: Direction,
}

/// The compression of one side's messages.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Direction {
    /// `true` if later messages refer to earlier ones.
    pub(crate) takeover: bool,
    pub(crate) window_bits: u8,
}

impl DeflateParams {
    /// Returns `true` if the server compresses each message by itself.
    #[must_use]
    pub const fn server_no_context_takeover(self) -> bool {
        !self.server.takeover
    }

    /// Returns `true` if the client compresses each message by itself.
    #[must_use]
    pub const fn client_no_context_takeover(self) -> bool {
        !self.client.takeover
    }

    /// The farthest distance to which the server's compressor refers back, as a power of two:
    /// 8 to 15.
    #[must_use]
    pub const fn server_max_window_bits(self) -> u8 {
        self.server.window_bits
    }

    /// The farthest distance to which the client's compressor refers back, as a power of two:
    /// 8 to 15.
    #[must_use]
    pub const fn client_max_window_bits(self) -> u8 {
        self.client.window_bits
    }

    /// The compression of messages that this side sends.
    pub(crate) const fn sending(self, role: Role) -> Direction {
        match role {
            Role::Server => self.server,
            Role::Client => self.client,
        }
    }

    /// The compression of messages that this side reads.
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
