//! Limits of messages and frames.

/// The limits of a peer's messages, in bytes of payload.
///
/// A limit is inclusive: a message of exactly the limit is delivered. A larger one is refused
/// with close code 1009 as soon as a header announces it, before any of its payload is kept.
/// Control frames do not count here; they have their own bound of 125 bytes (RFC 6455 §5.5).
///
/// A compressed message (RFC 7692) has the limit when it is inflated, and is refused at the
/// first byte above it. Its frames may exceed the limits by an eighth and 64 bytes, which is
/// the most that compressing can add.
///
/// A limit of 4 GiB or more counts as 4 GiB - 1 byte.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest message, with all its fragments. Default: 64 KiB.
    pub message: usize,
    /// The longest data frame. Default: 64 KiB, as no frame is longer than its message.
    pub frame: usize,
}

impl Limits {
    /// At most `bytes` for a message, in any number of frames.
    ///
    /// ```
    /// use nextrush_protocol::Limits;
    ///
    /// let limits = Limits::message(1024 * 1024);
    /// assert_eq!(limits.frame, limits.message);
    ///
    /// let in_small_frames = limits.frame(16 * 1024);
    /// assert_eq!(in_small_frames.message, 1024 * 1024);
    /// ```
    #[must_use]
    pub const fn message(bytes: usize) -> Self {
        Self {
            message: bytes,
            frame: bytes,
        }
    }

    /// Sets [`frame`](Self::frame).
    #[must_use]
    pub const fn frame(mut self, bytes: usize) -> Self {
        self.frame = bytes;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::message(64 * 1024)
    }
}
