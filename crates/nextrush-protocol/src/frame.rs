//! Frames on their way out, encoded once and shared.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;

use crate::close::CloseFrame;
use crate::deflate::{
    DeflateClass, DeflateConfig, DeflateParams, Deflater, NEVER_UP_TO, is_worthwhile,
};
use crate::error::ControlTooLong;
use crate::header::{self, FrameHead, HeaderBytes, MAX_CONTROL_PAYLOAD, MAX_HEADER};
use crate::mask;
use crate::opcode::Opcode;
use crate::twin::Twins;

/// A whole message or control frame for the wire, as a server sends it: header and payload in
/// one shared buffer, or a long payload in its own.
///
/// Encoded once for any number of receivers: a clone counts a reference and copies nothing. A frame
/// with a payload of up to 64 bytes needs no buffer and is copied as it is.
///
/// ```
/// use nextrush_protocol::Frame;
///
/// let frame = Frame::text("hi");
/// assert_eq!(*frame.as_bytes(), *b"\x81\x02hi");
/// ```
///
/// With compression, [`deflated`](Self::deflated) returns the compressed twin, which all
/// clones share too. [`uncompressed`](Self::uncompressed) frames have none.
#[derive(Clone)]
pub struct Frame(Form);

#[derive(Clone)]
enum Form {
    /// All of a short frame: an echo of 64 bytes takes 350 instructions less than with a buffer.
    Short { length: u8, bytes: [u8; SHORT] },
    /// A longer one.
    Shared(Shared),
}

#[derive(Clone)]
struct Shared {
    /// The whole frame, or its payload alone.
    bytes: Bytes,
    /// The first byte of the frame if `bytes` is its payload alone; else [`WHOLE`].
    split: u8,
    /// `None` if the frame is never compressed.
    twins: Option<Arc<Twins>>,
}

/// The [`split`](Shared::split) of a frame whose bytes are in one piece: no frame begins with it.
const WHOLE: u8 = 0;

/// The longest frame without a buffer: the longest payload that is never compressed, and its header.
const SHORT: usize = 2 + NEVER_UP_TO;

/// The least payload that stays where it is. It is sent with a write of two pieces, which costs less
/// than a copy only if there is much to be copied.
const SPLIT_FROM: usize = 16 * 1024;

impl Frame {
    /// A text message in one frame, copied from `text`.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::encode(Opcode::Text, text.as_bytes())
    }

    /// A binary message in one frame, copied from `data`.
    #[must_use]
    pub fn binary(data: &[u8]) -> Self {
        Self::encode(Opcode::Binary, data)
    }

    /// A text message in one frame that takes `text` over: from 16 KiB on it is not copied, but
    /// sent from where it is. `text` may be a `String`, or an `Arc<str>` that others share.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use nextrush_protocol::Frame;
    ///
    /// let text: Arc<str> = "x".repeat(20_000).into();
    /// let frame = Frame::from_text(Arc::clone(&text));
    /// assert_eq!(frame.payload().as_ptr(), text.as_ptr());
    /// assert_eq!(frame, Frame::text(&text));
    /// ```
    #[must_use]
    pub fn from_text(text: impl AsRef<str> + Send + 'static) -> Self {
        if text.as_ref().len() < SPLIT_FROM {
            return Self::text(text.as_ref());
        }
        Self::split(Opcode::Text, Bytes::from_owner(Utf8(text)))
    }

    /// A binary message in one frame that takes `data` over: from 16 KiB on it is not copied, but
    /// sent from where it is.
    ///
    /// ```
    /// use nextrush_protocol::Frame;
    ///
    /// let frame = Frame::from_binary(vec![7; 20_000]);
    /// assert_eq!(frame.whole(), None);
    /// assert_eq!((frame.header().len(), frame.payload().len()), (4, 20_000));
    /// assert_eq!(frame, Frame::binary(&[7; 20_000]));
    /// ```
    #[must_use]
    pub fn from_binary(data: impl Into<Bytes>) -> Self {
        let data = data.into();
        if data.len() < SPLIT_FROM {
            return Self::binary(&data);
        }
        Self::split(Opcode::Binary, data)
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
    /// assert_eq!(*frame.as_bytes(), *b"\x88\x05\x03\xe8bye");
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
        if let Form::Shared(shared) = &mut self.0 {
            shared.twins = None;
        }
        self
    }

    /// Returns `true` if the frame may be compressed: it is a message of more than a few bytes, and
    /// not [`uncompressed`](Self::uncompressed).
    pub fn is_compressible(&self) -> bool {
        self.twins().is_some()
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
        let Some(twins) = self.twins() else {
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
            Some(bytes) => Self(Form::Shared(Shared {
                bytes,
                split: WHOLE,
                twins: None,
            })),
            None => self.clone(),
        }
    }

    /// The bytes for the wire in one piece: copied together if the payload is in its own buffer.
    /// [`whole`](Self::whole), [`header`](Self::header) and [`payload`](Self::payload) copy nothing.
    pub fn as_bytes(&self) -> Cow<'_, [u8]> {
        match self.whole() {
            Some(bytes) => bytes.into(),
            None => [&self.header(), self.payload()].concat().into(),
        }
    }

    /// The bytes for the wire if they are in one piece. `None` if the payload is in its own buffer:
    /// then [`header`](Self::header) and [`payload`](Self::payload) are the two pieces.
    #[inline]
    pub fn whole(&self) -> Option<&[u8]> {
        match &self.0 {
            Form::Short { length, bytes } => bytes.get(..usize::from(*length)),
            Form::Shared(shared) => (shared.split == WHOLE).then_some(&shared.bytes),
        }
    }

    /// The number of bytes on the wire, header included: at least 2.
    #[expect(clippy::len_without_is_empty, reason = "a frame is never empty")]
    #[inline]
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Short { length, .. } => usize::from(*length),
            Form::Shared(Shared { bytes, split, .. }) => match *split {
                WHOLE => bytes.len(),
                _ => header::length_before(bytes.len()) + bytes.len(),
            },
        }
    }

    /// The header, which comes before the [`payload`](Self::payload) on the wire.
    pub fn header(&self) -> HeaderBytes {
        HeaderBytes::new(self.first_byte(), self.payload().len())
    }

    /// Returns `true` for a ping, a pong or a close, which may overtake data in a queue.
    pub fn is_control(&self) -> bool {
        self.opcode().is_control()
    }

    /// The opcode.
    pub fn opcode(&self) -> Opcode {
        Opcode::from_first_byte(self.first_byte()).expect("a frame is made from an opcode")
    }

    fn control(opcode: Opcode, payload: &[u8]) -> Result<Self, ControlTooLong> {
        if payload.len() > MAX_CONTROL_PAYLOAD {
            return Err(ControlTooLong {
                length: payload.len(),
            });
        }
        Ok(Self::encode(opcode, payload))
    }

    #[inline]
    fn encode(opcode: Opcode, payload: &[u8]) -> Self {
        if payload.len() <= NEVER_UP_TO {
            return Self::short(opcode, payload);
        }
        Self(Form::Shared(Shared {
            bytes: encode_unmasked(opcode.into(), payload),
            split: WHOLE,
            twins: (!opcode.is_control()).then(Arc::default),
        }))
    }

    /// A frame with a payload of at most [`NEVER_UP_TO`] bytes.
    #[inline]
    fn short(opcode: Opcode, payload: &[u8]) -> Self {
        let length = 2 + payload.len();
        let mut bytes = [0; SHORT];
        bytes[0] = header::first_byte_of_whole(opcode);
        bytes[1] = payload.len() as u8;
        bytes[2..length].copy_from_slice(payload);
        let length = length as u8;
        Self(Form::Short { length, bytes })
    }

    fn split(opcode: Opcode, payload: Bytes) -> Self {
        Self(Form::Shared(Shared {
            bytes: payload,
            split: header::first_byte_of_whole(opcode),
            twins: Some(Arc::default()),
        }))
    }

    fn twins(&self) -> Option<&Arc<Twins>> {
        match &self.0 {
            Form::Short { .. } => None,
            Form::Shared(shared) => shared.twins.as_ref(),
        }
    }

    #[inline]
    fn first_byte(&self) -> u8 {
        match &self.0 {
            Form::Short { bytes, .. } => bytes[0],
            Form::Shared(Shared { bytes, split, .. }) => match *split {
                WHOLE => bytes[0],
                first => first,
            },
        }
    }

    /// The payload.
    pub fn payload(&self) -> &[u8] {
        match (&self.0, self.whole()) {
            (_, Some(whole)) => &whole[header::length_of_unmasked(whole[1])..],
            (Form::Shared(shared), None) => &shared.bytes,
            (Form::Short { .. }, None) => unreachable!("a short frame is whole"),
        }
    }
}

/// A text as the owner of its bytes.
struct Utf8<T>(T);

impl<T: AsRef<str>> AsRef<[u8]> for Utf8<T> {
    fn as_ref(&self) -> &[u8] {
        self.0.as_ref().as_bytes()
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

/// Compares the bytes for the wire, whether they are in one piece or in two.
impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        self.first_byte() == other.first_byte() && self.payload() == other.payload()
    }
}

impl Eq for Frame {}

impl Hash for Frame {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.first_byte().hash(state);
        self.payload().hash(state);
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Payloads are other people's messages and can be long, so they are not for logs.
        write!(f, "Frame({:?}, {} bytes)", self.opcode(), self.len())
    }
}

/// The bytes for the wire in one piece, as of [`Frame::as_bytes`].
impl From<Frame> for Bytes {
    fn from(frame: Frame) -> Self {
        match frame.0 {
            Form::Shared(shared) if shared.split == WHOLE => shared.bytes,
            _ => frame.as_bytes().into_owned().into(),
        }
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
            (65, 2),
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

    #[test]
    fn a_frame_takes_72_bytes() {
        assert_eq!(size_of::<Option<Frame>>(), 72);
    }
}
