//! Violations of the protocol, each with its close code.

use thiserror::Error;

use crate::close_code::CloseCode;

/// A violation of the protocol by the peer. The connection has to be closed with
/// [`close_code`](Self::close_code), as the bytes that follow have no meaning.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A reserved bit without a meaning is set (RFC 6455 §5.2). With permessage-deflate, RSV1
    /// has one, only on the first frame of a message (RFC 7692 §6).
    #[error("reserved bit set in a frame header")]
    ReservedBit,
    /// This opcode is reserved (RFC 6455 §5.2).
    #[error("reserved opcode {0:#x}")]
    ReservedOpcode(u8),
    /// A control frame without the FIN bit (RFC 6455 §5.5).
    #[error("fragmented control frame")]
    FragmentedControl,
    /// A control frame of more than 125 bytes (RFC 6455 §5.5).
    #[error("control frame longer than 125 bytes")]
    OversizedControl,
    /// A continuation frame without a message to continue (RFC 6455 §5.4).
    #[error("continuation frame without a message to continue")]
    UnexpectedContinuation,
    /// A new message before the end of a fragmented one (RFC 6455 §5.4).
    #[error("new message inside a fragmented message")]
    UnfinishedMessage,
    /// A client sent a frame without a mask (RFC 6455 §5.1).
    #[error("unmasked frame from a client")]
    Unmasked,
    /// A server sent a frame with a mask (RFC 6455 §5.1).
    #[error("masked frame from a server")]
    Masked,
    /// The payload length is not in its shortest form (RFC 6455 §5.2).
    #[error("payload length not in its shortest form")]
    LengthNotMinimal,
    /// The highest bit of a 64-bit payload length is set (RFC 6455 §5.2).
    #[error("payload length of 2^63 bytes or more")]
    LengthOverflow,
    /// A data frame announces more than the frame limit.
    #[error("frame longer than {limit} bytes")]
    FrameTooBig {
        /// The limit in bytes.
        limit: usize,
    },
    /// A data frame exceeds the rest of the message limit, or a compressed message exceeds it
    /// when it is inflated.
    #[error("message longer than {limit} bytes")]
    MessageTooBig {
        /// The limit in bytes.
        limit: usize,
    },
    /// A text message is not UTF-8 (RFC 6455 §8.1).
    #[error("text message is not UTF-8")]
    InvalidText,
    /// A compressed message is not DEFLATE data, is cut short, or refers to data before the
    /// window (RFC 7692 §7.2.2).
    #[error("compressed message is not valid DEFLATE data")]
    InvalidDeflate,
    /// A close frame of one byte, too short for its code (RFC 6455 §5.5.1).
    #[error("close frame of one byte")]
    TruncatedCloseCode,
    /// A close frame has this code, which must not be sent (RFC 6455 §7.4).
    #[error("close code {} must not be sent", .0.as_u16())]
    InvalidCloseCode(CloseCode),
    /// The reason of a close frame is not UTF-8 (RFC 6455 §5.5.1).
    #[error("close reason is not UTF-8")]
    InvalidCloseReason,
}

impl ProtocolError {
    /// The code to close the connection with: 1007 for invalid UTF-8 and DEFLATE data, 1009
    /// for an exceeded limit, 1002 for all else.
    #[must_use]
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::InvalidText | Self::InvalidDeflate | Self::InvalidCloseReason => {
                CloseCode::INVALID_PAYLOAD
            }
            Self::FrameTooBig { .. } | Self::MessageTooBig { .. } => CloseCode::MESSAGE_TOO_BIG,
            Self::ReservedBit
            | Self::ReservedOpcode(_)
            | Self::FragmentedControl
            | Self::OversizedControl
            | Self::UnexpectedContinuation
            | Self::UnfinishedMessage
            | Self::Unmasked
            | Self::Masked
            | Self::LengthNotMinimal
            | Self::LengthOverflow
            | Self::TruncatedCloseCode
            | Self::InvalidCloseCode(_) => CloseCode::PROTOCOL_ERROR,
        }
    }
}

/// The error of a payload that exceeds a control frame (RFC 6455 §5.5).
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("control frame of {length} bytes, 125 are possible")]
pub struct ControlTooLong {
    pub(crate) length: usize,
}

impl ControlTooLong {
    /// The length of the payload, in bytes.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }
}
