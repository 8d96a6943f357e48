//! The configuration of one side before the handshake.

/// The configuration of one side's compression (RFC 7692), before the handshake.
///
/// ```
/// use nextrush_protocol::DeflateConfig;
///
/// // Costs up to 4 KiB for each client that compresses, and makes small messages that
/// // resemble each other smaller.
/// let config = DeflateConfig::new()
///     .client_no_context_takeover(false)
///     .client_max_window_bits(12);
/// assert_eq!(config.server_max_window_bits, 15);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct DeflateConfig {
    /// The server compresses each message by itself (RFC 7692 §7.1.1.1). Default: `true`.
    ///
    /// So a message to many is compressed once, and the length of a message tells nothing
    /// about other messages (the attacks CRIME and BREACH).
    pub server_no_context_takeover: bool,
    /// The client compresses each message by itself (RFC 7692 §7.1.1.2). Default: `true`.
    ///
    /// So a server keeps nothing between two messages. With context takeover it keeps the end
    /// of the client's data, up to 2^[`client_max_window_bits`](Self::client_max_window_bits)
    /// bytes for each connection.
    pub client_no_context_takeover: bool,
    /// The farthest distance to which the server's compressor refers back, as a power of two
    /// (RFC 7692 §7.1.2.1): 8 to 15, others count as the nearest of these. Default: 15, 32
    /// KiB.
    pub server_max_window_bits: u8,
    /// The same for the client (RFC 7692 §7.1.2.2). A server can ask this only of clients
    /// that know the parameter. It asks the others not to take over contexts, which costs
    /// less memory than any window. Default: 15, 32 KiB.
    pub client_max_window_bits: u8,
    /// The effort: 1 (fast) to 9 (small), others count as the nearest of these. Default: 1.
    /// Level 6 makes a JSON message of 1 KiB a fifth smaller and takes three times as long.
    pub level: u8,
    /// The length in bytes below which payloads are not compressed. Default: 256. Payloads of
    /// up to 64 bytes never are.
    pub threshold: usize,
}

impl DeflateConfig {
    /// The default configuration.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            server_max_window_bits: MAX_WINDOW_BITS,
            client_max_window_bits: MAX_WINDOW_BITS,
            level: 1,
            threshold: 256,
        }
    }

    /// Sets [`server_no_context_takeover`](Self::server_no_context_takeover).
    #[must_use]
    pub const fn server_no_context_takeover(mut self, is_set: bool) -> Self {
        self.server_no_context_takeover = is_set;
        self
    }

    /// Sets [`client_no_context_takeover`](Self::client_no_context_takeover).
    #[must_use]
    pub const fn client_no_context_takeover(mut self, is_set: bool) -> Self {
        self.client_no_context_takeover = is_set;
        self
    }

    /// Sets [`server_max_window_bits`](Self::server_max_window_bits).
    #[must_use]
    pub const fn server_max_window_bits(mut self, bits: u8) -> Self {
        self.server_max_window_bits = bits;
        self
    }

    /// Sets [`client_max_window_bits`](Self::client_max_window_bits).
    #[must_use]
    pub const fn client_max_window_bits(mut self, bits: u8) -> Self {
        self.client_max_window_bits = bits;
        self
    }

    /// Sets [`level`](Self::level).
    #[must_use]
    pub const fn level(mut self, level: u8) -> Self {
        self.level = level;
        self
    }

    /// Sets [`threshold`](Self::threshold).
    #[must_use]
    pub const fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }
}

impl Default for DeflateConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// The bounds of window bits, RFC 7692 §7.1.2.
pub(crate) const MIN_WINDOW_BITS: u8 = 8;
pub(crate) const MAX_WINDOW_BITS: u8 = 15;

impl DeflateConfig {
    pub(crate) fn server_window_bits(&self) -> u8 {
        clamp_window_bits(self.server_max_window_bits)
    }

    pub(crate) fn client_window_bits(&self) -> u8 {
        clamp_window_bits(self.client_max_window_bits)
    }
}

fn clamp_window_bits(bits: u8) -> u8 {
    bits.clamp(MIN_WINDOW_BITS, MAX_WINDOW_BITS)
}
