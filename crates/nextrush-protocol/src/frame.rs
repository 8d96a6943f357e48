//! Frames on their way out, encoded once and shared.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;

use crate::close::CloseFrame;
use crate::deflate::{
    DeflateClass, DeflateConfig, DeflateParams, Deflater, NEVER_UP_TO, is_worthwhile,
};
use crate::error::ControlTooLong;
use crate::header::{self, FrameHead, MAX_CONTROL_PAYLOAD, MAX_HEADER};
use crate::mask;
use crate::opcode::Opcode;
use crate::twin::Twins;

/// A whole message or control frame for the wire, as a server sends it: header and payload in
/// one shared buffer.
///
/// Encoded once for any number of receivers: a clone counts a reference and copies nothing.
///
/// ```
/// use nextrush_protocol::Frame;
///
/// let frame = Frame::text("hi");
/// assert_eq!(frame.as_bytes(), b"\x81\x02hi");
/// ```
///
/// With compression, [`deflated`](Self::deflated) returns the compressed twin, which all
/// clones share too. [`uncompressed`](Self::uncompressed) frames have none.
#[derive(Clone)]
pub struct Frame {
    bytes: Bytes,
    /// `None` if the frame is never compressed.
    twins: Option<Arc<Twins>>,
}

impl Frame {
    /// A text message in one frame.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::encode(Opcode::Text, text.as_bytes())
    }

    /// A binary message in one frame.
    #[must_use]
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

    /// A close (RFC 6455 §5.5.1). Has no code if `close` is `None` or its code [must not be
    /// sent](crate::CloseCode::is_sendable).
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
    #[must_use]
    pub fn close(close: Option<&CloseFrame>) -> Self {
        let mut payload = Vec::new();
        if let Some(close) = close.filter(|close| close.code().is_sendable()) {
            payload.extend_from_slice(&close.code().as_u16().to_be_bytes());
            payload.extend_from_slice(close.reason().as_bytes());
        }
        Self::encode(Opcode::Close, &payload)
    }

    /// The same frame, never to be compressed: for messages with a secret beside text that
    /// others choose. From the length of the compressed form they could guess the secret.
    #[must_use]
    pub fn uncompressed(mut self) -> Self {
        self.twins = None;
        self
    }

    /// Returns `true` if the frame may be compressed: it is a message of more than a few bytes, and
    /// not [`uncompressed`](Self::uncompressed).
    pub fn is_compressible(&self) -> bool {
        self.twins.is_some()
    }

    /// The frame for a connection with `params`: compressed by itself (RFC 7692 §7.2.1), or
    /// unchanged if it is a control frame, [below the threshold](DeflateConfig::threshold),
    /// [`uncompressed`](Self::uncompressed), or no shorter when compressed.
    ///
    /// Compressed once for all clones and all connections with the same window and level;
    /// other threads wait meanwhile. As no such frame refers to an earlier one, it can be
    /// sent whether or not contexts are taken over.
    ///
    /// ```
    /// use nextrush_protocol::{DeflateConfig, DeflateParams, Deflater, Frame};
    ///
    /// let frame = Frame::text(&"over and ".repeat(100));
    /// let (params, config) = (DeflateParams::default(), DeflateConfig::default());
    /// let deflated = frame.deflated(params, &config, &mut Deflater::new());
    /// assert_eq!(deflated.as_bytes()[0], 0xC1);
    /// assert!(deflated.len() < 50);
    /// ```
    #[must_use]
    pub fn deflated(
        &self,
        params: DeflateParams,
        config: &DeflateConfig,
        deflater: &mut Deflater,
    ) -> Self {
        let Some(twins) = &self.twins else {
            return self.clone();
        };
        let payload = self.payload();
        if !is_worthwhile(payload, config.threshold) {
            return self.clone();
        }
        let class = DeflateClass::new(params.server_max_window_bits(), config);
        let deflated = twins.get_or_make(class, || {
            let deflated = deflater.deflate(class, payload)?;
            let head = FrameHead::from(self.opcode()).compressed(true);
            Some(encode_unmasked(head, deflated))
        });
        match deflated {
            Some(bytes) => Self { bytes, twins: None },
            None => self.clone(),
        }
    }

    /// The bytes for the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The number of bytes on the wire, header included: at least 2.
    #[expect(clippy::len_without_is_empty, reason = "a frame is never empty")]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns `true` for a ping, a pong or a close, which may overtake data in a queue.
    pub fn is_control(&self) -> bool {
        self.opcode().is_control()
    }

    /// The opcode.
    pub fn opcode(&self) -> Opcode {
        Opcode::from_first_byte(self.bytes[0]).expect("a frame is made from an opcode")
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
        let compressible = !opcode.is_control() && payload.len() > NEVER_UP_TO;
        Self {
            bytes: encode_unmasked(opcode.into(), payload),
            twins: compressible.then(Arc::default),
        }
    }

    /// The payload.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[header::length_of_unmasked(self.bytes[1])..]
    }
}

fn encode_unmasked(head: FrameHead, payload: &[u8]) -> Bytes {
    // Exactly the length of the frame: only then does `Bytes` take over the vector without an
    // allocation of its own. 64 B of text take 14 ns instead of 20.
    let length = header::length_before(payload.len()) + payload.len();
    let mut bytes = Vec::with_capacity(length);
    header::encode(head, None, payload.len(), &mut bytes);
    bytes.extend_from_slice(payload);
    bytes.into()
}

/// Compares the bytes for the wire.
impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Frame {}

impl Hash for Frame {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Payloads are other people's messages and can be long, so they are not for logs.
        write!(f, "Frame({:?}, {} bytes)", self.opcode(), self.len())
    }
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl From<Frame> for Bytes {
    fn from(frame: Frame) -> Self {
        frame.bytes
    }
}

/// Appends a frame as a client sends it, masked with `mask` (RFC 6455 §5.3), which must come
/// from a strong source of randomness for each frame.
///
/// Encodes invalid frames as well (a fragmented ping, a long close), so that tests can send
/// them.
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
/// let start = FrameHead::from(Opcode::Text).fin(false);
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::Frame;

    #[test]
    fn a_frame_has_not_a_byte_more_than_it_needs() {
        for (payload, header) in [
            (0, 2),
            (125, 2),
            (126, 4),
            (65_535, 4),
            (65_536, 10),
            (100_000, 10),
        ] {
            let bytes = Vec::from(Bytes::from(Frame::binary(&vec![0; payload])));
            assert_eq!(bytes.len(), header + payload);
            assert_eq!(bytes.capacity(), bytes.len());
        }
    }
}
