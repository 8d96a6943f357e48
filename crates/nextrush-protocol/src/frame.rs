use std::fmt;

use bytes::Bytes;

use crate::close::CloseFrame;
use crate::error::ControlTooLong;
use crate::header::{self, MAX_CONTROL_PAYLOAD, MAX_HEADER};
use crate::mask;
use crate::opcode::Opcode;

/// A whole message or control frame as a server sends it: header and payload in one
/// shared buffer, ready for the wire.
///
/// Encoded once however many it goes to: a clone counts a reference and copies nothing.
///
/// ```
/// use nextrush_protocol::Frame;
///
/// let frame = Frame::text("hi");
/// assert_eq!(frame.as_bytes(), b"\x81\x02hi");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Frame(Bytes);

impl Frame {
    /// A text message in one frame.
    pub fn text(text: &str) -> Self {
        Self::encode(Opcode::Text, text.as_bytes())
    }

    /// A binary message in one frame.
    pub fn binary(data: &[u8]) -> Self {
        Self::encode(Opcode::Binary, data)
    }

    /// A ping (RFC 6455 §5.5.2).
    ///
    /// # Errors
    ///
    /// If the payload is longer than 125 bytes.
    pub fn ping(payload: &[u8]) -> Result<Self, ControlTooLong> {
        Self::control(Opcode::Ping, payload)
    }

    /// A pong (RFC 6455 §5.5.3). The payload of a received ping always fits.
    ///
    /// # Errors
    ///
    /// If the payload is longer than 125 bytes.
    pub fn pong(payload: &[u8]) -> Result<Self, ControlTooLong> {
        Self::control(Opcode::Pong, payload)
    }

    /// A close (RFC 6455 §5.5.1); without a code if `close` is `None`, or if its code
    /// [must not be sent](crate::CloseCode::is_sendable).
    ///
    /// ```
    /// use nextrush_protocol::{CloseCode, CloseFrame, Frame};
    ///
    /// let frame = Frame::close(Some(&CloseFrame::new(CloseCode::NORMAL, "bye")));
    /// assert_eq!(frame.as_bytes(), b"\x88\x05\x03\xe8bye");
    ///
    /// let never_sent = CloseFrame::new(CloseCode::ABNORMAL, "");
    /// assert_eq!(Frame::close(Some(&never_sent)), Frame::close(None));
    /// ```
    pub fn close(close: Option<&CloseFrame>) -> Self {
        let mut payload = Vec::new();
        if let Some(close) = close.filter(|close| close.code().is_sendable()) {
            payload.extend_from_slice(&close.code().as_u16().to_be_bytes());
            payload.extend_from_slice(close.reason().as_bytes());
        }
        Self::encode(Opcode::Close, &payload)
    }

    /// The bytes for the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The number of bytes on the wire, header included: at least 2.
    #[expect(clippy::len_without_is_empty, reason = "a frame is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether this is a ping, a pong or a close, which may overtake data in a queue.
    pub fn is_control(&self) -> bool {
        self.opcode().is_control()
    }

    /// What the frame carries.
    pub fn opcode(&self) -> Opcode {
        Opcode::from_first_byte(self.0[0]).expect("a frame is made from an opcode")
    }

    fn control(opcode: Opcode, payload: &[u8]) -> Result<Self, ControlTooLong> {
        if payload.len() > MAX_CONTROL_PAYLOAD {
            return Err(ControlTooLong {
                length: payload.len(),
            });
        }
        Ok(Self::encode(opcode, payload))
    }

    fn encode(opcode: Opcode, payload: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(MAX_HEADER + payload.len());
        header::encode(opcode.into(), None, payload.len(), &mut bytes);
        bytes.extend_from_slice(payload);
        Self(bytes.into())
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Payloads are other people's messages and can be long: not for logs.
        write!(f, "Frame({:?}, {} bytes)", self.opcode(), self.len())
    }
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Frame> for Bytes {
    fn from(frame: Frame) -> Self {
        frame.0
    }
}

/// What a frame's first byte says: the opcode, and whether the message ends here.
///
/// `Opcode::Text.into()` is a whole message; see [`encode_masked`] for fragments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FrameHead {
    /// Whether this is the message's last frame.
    pub fin: bool,
    /// What the frame carries.
    pub opcode: Opcode,
}

impl From<Opcode> for FrameHead {
    fn from(opcode: Opcode) -> Self {
        Self { fin: true, opcode }
    }
}

/// Appends to `out` a frame as a client sends it: masked with `mask` (RFC 6455 §5.3),
/// which must be drawn from a strong source of randomness for each frame.
///
/// Encodes what it is told, also what a strict peer refuses (a fragmented ping, a long
/// close), so that a test can send it.
///
/// ```
/// use nextrush_protocol::{FrameHead, Opcode, encode_masked};
///
/// let mut out = Vec::new();
/// let mask = [0x37, 0xfa, 0x21, 0x3d];
/// encode_masked(Opcode::Text, b"Hello", mask, &mut out);
/// assert_eq!(out, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
///
/// // The same message in two fragments.
/// let start = FrameHead { fin: false, opcode: Opcode::Text };
/// encode_masked(start, b"Hel", mask, &mut out);
/// encode_masked(Opcode::Continuation, b"lo", mask, &mut out);
/// ```
pub fn encode_masked(head: impl Into<FrameHead>, payload: &[u8], mask: [u8; 4], out: &mut Vec<u8>) {
    out.reserve(MAX_HEADER + payload.len());
    header::encode(head.into(), Some(mask), payload.len(), out);
    let start = out.len();
    out.extend_from_slice(payload);
    mask::apply(mask, &mut out[start..]);
}
