//! Limits of messages and frames.

/// How much a peer may send at once, in bytes of payload.
///
/// A limit is inclusive: a message of exactly the limit is delivered. What exceeds it is
/// refused with close code 1009 as soon as a frame header announces it, before any of
/// that payload is kept. Control frames have their own bound (125 bytes, RFC 6455 §5.5)
/// and do not count here.
///
/// A compressed message (RFC 7692) may have as many bytes when it is inflated, and is
/// refused at the first one over that. Its frames may be an eighth longer than the limits,
/// and 64 bytes: so much can compressing add to what does not get shorter.
///
/// A limit of 4 GiB or more is taken as 4 GiB - 1 byte.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest message, all its fragments together. Default: 64 KiB.
    pub message: usize,
    /// The longest single data frame. Default: 64 KiB, the same as the message, as no
    /// frame can be longer than the message it belongs to.
    pub frame: usize,
}

impl Limits {
    /// At most `bytes` for a message, in one frame or in many.
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
