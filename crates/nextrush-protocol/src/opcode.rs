//! Opcodes of frames.

/// The opcode of a frame (RFC 6455 §5.2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
#[allow(clippy::exhaustive_enums, reason = "all others violate the protocol")]
pub enum Opcode {
    /// The next part of a fragmented message.
    Continuation = 0x0,
    /// A text message, or its first part.
    Text = 0x1,
    /// A binary message, or its first part.
    Binary = 0x2,
    /// The close of one side, or the answer to it.
    Close = 0x8,
    /// A ping, to be answered with the same payload.
    Ping = 0x9,
    /// A pong, in answer to a ping or on its own.
    Pong = 0xA,
}

impl Opcode {
    /// Returns `true` for control frames: at most 125 bytes, never fragmented (RFC 6455
    /// §5.5).
    #[must_use]
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }

    /// The opcode in the low four bits of a frame's first byte; `Err` with these bits if they
    /// are reserved.
    pub(crate) const fn from_first_byte(byte: u8) -> Result<Self, u8> {
        match byte & 0x0F {
            0x0 => Ok(Self::Continuation),
            0x1 => Ok(Self::Text),
            0x2 => Ok(Self::Binary),
            0x8 => Ok(Self::Close),
            0x9 => Ok(Self::Ping),
            0xA => Ok(Self::Pong),
            reserved => Err(reserved),
        }
    }
}
