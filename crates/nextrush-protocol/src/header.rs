//! The frame header on the wire (RFC 6455 §5.2).

use std::fmt;
use std::ops::Deref;

use crate::error::ProtocolError;
use crate::opcode::Opcode;
use crate::role::Role;

/// The bytes of the longest header: first byte, second byte, a 64-bit length, a mask.
pub(crate) const MAX_HEADER: usize = 14;
/// The longest payload of a control frame, RFC 6455 §5.5.
pub(crate) const MAX_CONTROL_PAYLOAD: usize = 125;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RESERVED_BITS: u8 = 0x70;
pub(crate) const MASKED: u8 = 0x80;
/// Values of the 7-bit length that announce a longer length field.
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// The first byte of a frame: the opcode, whether the message ends here, and whether it is
/// compressed.
///
/// `Opcode::Text.into()` is a whole message. [`encode_masked`](crate::encode_masked) shows
/// fragments.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct FrameHead {
    /// `true` for the last frame of a message.
    pub fin: bool,
    /// The opcode.
    pub opcode: Opcode,
    /// RSV1: `true` if a compressed message starts here (RFC 7692 §6).
    pub compressed: bool,
}

impl FrameHead {
    /// Sets [`fin`](Self::fin).
    #[must_use]
    pub const fn fin(mut self, is_last: bool) -> Self {
        self.fin = is_last;
        self
    }

    /// Sets [`compressed`](Self::compressed), for a payload made by
    /// [`DeflateContext::deflate`](crate::DeflateContext::deflate).
    #[must_use]
    pub const fn compressed(mut self, is_compressed: bool) -> Self {
        self.compressed = is_compressed;
        self
    }
}

impl From<Opcode> for FrameHead {
    fn from(opcode: Opcode) -> Self {
        Self {
            fin: true,
            opcode,
            compressed: false,
        }
    }
}

/// A valid header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Header {
    pub(crate) fin: bool,
    pub(crate) opcode: Opcode,
    /// `true` if the frame belongs to a compressed message (RFC 7692 §6).
    pub(crate) compressed: bool,
    /// The bytes of the payload, in 32 bits as the limits are.
    pub(crate) length: u32,
    /// The mask; zeros, which change nothing, if the frame is not masked.
    pub(crate) mask: [u8; 4],
}

/// The rules for the next header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expectation {
    pub(crate) role: Role,
    pub(crate) frame_limit: u32,
    pub(crate) message_limit: u32,
    /// `true` if messages may be compressed.
    pub(crate) deflate: bool,
    /// The fragmented message under way.
    pub(crate) message: Option<Underway>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Underway {
    /// The bytes that have arrived, inflated if the message is compressed.
    pub(crate) length: usize,
    pub(crate) compressed: bool,
}

impl Expectation {
    /// Reads the header at the front of `bytes`. Returns it and its length, or `None` if it
    /// is incomplete.
    ///
    /// Each part is judged as soon as it is complete, in the order of the bytes, so the error
    /// is independent of how the bytes are cut.
    pub(crate) fn read(&self, bytes: &[u8]) -> Result<Option<(Header, usize)>, ProtocolError> {
        let Some((first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        let FrameHead {
            fin,
            opcode,
            compressed,
        } = self.first_byte(*first)?;

        let Some((second, rest)) = rest.split_first() else {
            return Ok(None);
        };
        let short = self.second_byte(*second, opcode)?;

        let Some((length, rest)) = read_length(short, rest) else {
            return Ok(None);
        };
        check_form(length, short)?;
        let length = self.within_limits(length, opcode, compressed)?;

        let (mask, rest) = match self.role {
            Role::Client => ([0; 4], rest),
            Role::Server => match rest.split_first_chunk() {
                Some((mask, rest)) => (*mask, rest),
                None => return Ok(None),
            },
        };
        let header = Header {
            fin,
            opcode,
            compressed,
            length,
            mask,
        };
        Ok(Some((header, bytes.len() - rest.len())))
    }

    fn first_byte(&self, byte: u8) -> Result<FrameHead, ProtocolError> {
        let rsv1 = byte & RSV1 != 0;
        if byte & RESERVED_BITS != 0 && !(self.deflate && may_be_compressed(byte)) {
            return Err(ProtocolError::ReservedBit);
        }
        let fin = byte & FIN != 0;
        let opcode = Opcode::from_first_byte(byte).map_err(ProtocolError::ReservedOpcode)?;
        let compressed = match opcode {
            Opcode::Continuation => match self.message {
                Some(message) => message.compressed,
                None => return Err(ProtocolError::UnexpectedContinuation),
            },
            Opcode::Text | Opcode::Binary if self.message.is_some() => {
                return Err(ProtocolError::UnfinishedMessage);
            }
            Opcode::Close | Opcode::Ping | Opcode::Pong if !fin => {
                return Err(ProtocolError::FragmentedControl);
            }
            _ => rsv1,
        };
        Ok(FrameHead {
            fin,
            opcode,
            compressed,
        })
    }

    /// The 7-bit length.
    fn second_byte(&self, byte: u8, opcode: Opcode) -> Result<u8, ProtocolError> {
        match (self.role, byte & MASKED != 0) {
            (Role::Server, false) => return Err(ProtocolError::Unmasked),
            (Role::Client, true) => return Err(ProtocolError::Masked),
            (Role::Server, true) | (Role::Client, false) => {}
        }
        let short = byte & !MASKED;
        if opcode.is_control() && usize::from(short) > MAX_CONTROL_PAYLOAD {
            return Err(ProtocolError::OversizedControl);
        }
        Ok(short)
    }

    fn within_limits(
        &self,
        length: u64,
        opcode: Opcode,
        compressed: bool,
    ) -> Result<u32, ProtocolError> {
        if !opcode.is_control() {
            let so_far = match self.message {
                // Compressed bytes count once they are inflated.
                Some(message) if !compressed => message.length as u64,
                _ => 0,
            };
            let (message_limit, frame_limit) = if compressed {
                (deflated(self.message_limit), deflated(self.frame_limit))
            } else {
                (u64::from(self.message_limit), u64::from(self.frame_limit))
            };
            // No overflow: the length is below 2^63, and what has arrived is in memory.
            if so_far + length > message_limit {
                return Err(ProtocolError::MessageTooBig {
                    limit: self.message_limit as usize,
                });
            }
            if length > frame_limit {
                return Err(ProtocolError::FrameTooBig {
                    limit: self.frame_limit as usize,
                });
            }
        }
        // No truncation: limits have 32 bits, and control frames at most 125 bytes.
        Ok(length as u32)
    }
}

/// Returns `true` if the first byte of a frame starts a data message, with RSV1 as its only
/// reserved bit (RFC 7692 §6).
fn may_be_compressed(byte: u8) -> bool {
    let opcode = Opcode::from_first_byte(byte);
    byte & RESERVED_BITS == RSV1 && matches!(opcode, Ok(Opcode::Text | Opcode::Binary))
}

/// The longest compressed form of `limit` bytes, in 32 bits at most: the fixed codes of
/// DEFLATE make 9 bits of 8 (RFC 1951 §3.2.6), and blocks have ends.
fn deflated(limit: u32) -> u64 {
    let limit = u64::from(limit);
    (limit + limit / 8 + 64).min(u64::from(u32::MAX))
}

/// The payload length, in `short` or in the bytes that `short` announces, and the bytes
/// behind it; `None` if it is incomplete.
fn read_length(short: u8, bytes: &[u8]) -> Option<(u64, &[u8])> {
    match short {
        LENGTH_16 => {
            let (field, rest) = bytes.split_first_chunk()?;
            Some((u64::from(u16::from_be_bytes(*field)), rest))
        }
        LENGTH_64 => {
            let (field, rest) = bytes.split_first_chunk()?;
            Some((u64::from_be_bytes(*field), rest))
        }
        short => Some((u64::from(short), bytes)),
    }
}

/// Refuses all but the shortest form, and lengths of 2^63 and more (RFC 6455 §5.2).
fn check_form(length: u64, short: u8) -> Result<(), ProtocolError> {
    let least = match short {
        LENGTH_16 => u64::from(LENGTH_16),
        LENGTH_64 => 1 << 16,
        _ => 0,
    };
    if length < least {
        return Err(ProtocolError::LengthNotMinimal);
    }
    if length >> 63 != 0 {
        return Err(ProtocolError::LengthOverflow);
    }
    Ok(())
}

/// The length of the header of an unmasked frame with this second byte.
pub(crate) fn length_of_unmasked(second_byte: u8) -> usize {
    match second_byte {
        LENGTH_64 => 10,
        LENGTH_16 => 4,
        _ => 2,
    }
}

/// The length of the header before an unmasked payload of `payload` bytes.
pub(crate) fn length_before(payload: usize) -> usize {
    if payload < usize::from(LENGTH_16) {
        2
    } else if u16::try_from(payload).is_ok() {
        4
    } else {
        10
    }
}

/// The header of an unmasked frame, by itself: 2, 4 or 10 bytes.
#[derive(Clone, Copy)]
pub struct HeaderBytes {
    bytes: [u8; 10],
    len: u8,
}

impl HeaderBytes {
    /// The header behind the first byte `first` of a payload of `length` bytes.
    pub(crate) fn new(first: u8, length: usize) -> Self {
        let mut bytes = [first, length as u8, 0, 0, 0, 0, 0, 0, 0, 0];
        let len = length_before(length);
        match len {
            2 => {}
            4 => {
                bytes[1] = LENGTH_16;
                bytes[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            }
            _ => {
                bytes[1] = LENGTH_64;
                bytes[2..].copy_from_slice(&(length as u64).to_be_bytes());
            }
        }
        let len = len as u8;
        Self { bytes, len }
    }
}

impl Deref for HeaderBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Debug for HeaderBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// The first byte of a frame that is a whole message.
pub(crate) const fn first_byte_of_whole(opcode: Opcode) -> u8 {
    FIN | opcode as u8
}

/// Appends a header to `out`, with the length in its shortest form.
pub(crate) fn encode(head: FrameHead, mask: Option<[u8; 4]>, length: usize, out: &mut Vec<u8>) {
    let fin = if head.fin { FIN } else { 0 };
    let rsv1 = if head.compressed { RSV1 } else { 0 };
    let masked = if mask.is_some() { MASKED } else { 0 };
    out.push(fin | rsv1 | head.opcode as u8);
    if length < usize::from(LENGTH_16) {
        out.push(masked | length as u8);
    } else if let Ok(length) = u16::try_from(length) {
        out.push(masked | LENGTH_16);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(masked | LENGTH_64);
        out.extend_from_slice(&(length as u64).to_be_bytes());
    }
    if let Some(mask) = mask {
        out.extend_from_slice(&mask);
    }
}
