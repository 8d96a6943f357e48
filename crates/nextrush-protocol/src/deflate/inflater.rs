//! Decompression of messages, never beyond a limit.

use std::fmt;

use flate2::{Decompress, FlushDecompress, Status};

use super::TAIL;
use crate::error::ProtocolError;
use crate::message::Message;

/// The size of the buffer through which inflated bytes go, and so the most that is inflated
/// beyond a limit. References within it are faster than those to the window: with 16 KiB a
/// message of 1 MiB takes a quarter longer.
const CHUNK: usize = 64 * 1024;

/// The end that each message omits, and an empty final block.
const END: [u8; 6] = [TAIL[0], TAIL[1], TAIL[2], TAIL[3], 0x03, 0x00];

/// The most final blocks in a message. A sender needs no more than one, and each costs a copy
/// of the window.
const MAX_FINAL_BLOCKS: u16 = 256;

/// The farthest reference of DEFLATE (RFC 1951 §3.2.5).
const MAX_DISTANCE: usize = 32 * 1024;

/// The state for inflating messages, which all decoders of a thread share; see
/// [`Decoder::decode_with`](crate::Decoder::decode_with).
///
/// Empty at first, about 112 KiB after the first compressed message. A decoder borrows it
/// during a call. A message that is incomplete after the call keeps about 48 KiB of it until
/// it is complete, and the next message gets a new one.
#[derive(Default)]
pub struct Inflater {
    spare: Option<Box<Inflation>>,
    chunk: Vec<u8>,
}

impl Inflater {
    /// An empty inflater.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a message that may refer to `window`.
    pub(crate) fn begin(&mut self, window: &Window) -> Result<Box<Inflation>, ProtocolError> {
        let mut inflation = match self.spare.take() {
            Some(mut used) => {
                used.reset();
                used
            }
            None => Box::default(),
        };
        inflation.remember(&window.bytes)?;
        Ok(inflation)
    }

    /// Takes back the state of a message.
    pub(crate) fn give_back(&mut self, inflation: Box<Inflation>) {
        self.spare = Some(inflation);
    }

    /// The buffer for inflated bytes.
    fn chunk(&mut self) -> &mut [u8] {
        if self.chunk.is_empty() {
            self.chunk = vec![0; CHUNK];
        }
        &mut self.chunk
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater").finish_non_exhaustive()
    }
}

/// The state of an incomplete compressed message.
pub(crate) struct Inflation {
    stream: Decompress,
    /// A final block is complete; the next byte starts a new stream.
    at_end: bool,
    final_blocks: u16,
    is_empty: bool,
}

impl Default for Inflation {
    fn default() -> Self {
        Self {
            // Accepts any window, as its own is the largest.
            stream: Decompress::new(false),
            at_end: false,
            final_blocks: 0,
            is_empty: true,
        }
    }
}

impl Inflation {
    /// The bytes that it allocates, as measured: the window of 32 KiB and the tables.
    pub(crate) const ALLOCATED: usize = 48 * 1024;

    /// Inflates arrived bytes into `message`, which may have `limit` bytes.
    ///
    /// The result is independent of how the bytes are cut: all bytes inflated before an error
    /// are judged first.
    pub(crate) fn push(
        &mut self,
        mut bytes: &[u8],
        message: &mut Message,
        limit: usize,
        window: &Window,
        inflater: &mut Inflater,
    ) -> Result<(), ProtocolError> {
        let chunk = inflater.chunk();
        self.is_empty &= bytes.is_empty();
        loop {
            if self.at_end {
                if bytes.is_empty() {
                    return Ok(());
                }
                self.restart(message, window)?;
            }
            // One byte more than allowed tells a message that is too long.
            let room = limit - message.len();
            let wanted = chunk.len().min(room + 1);
            let before = (self.stream.total_in(), self.stream.total_out());
            let status = self
                .stream
                .decompress(bytes, &mut chunk[..wanted], FlushDecompress::None);
            // No truncation: at most the lengths of the two buffers.
            let consumed = (self.stream.total_in() - before.0) as usize;
            let produced = (self.stream.total_out() - before.1) as usize;
            bytes = &bytes[consumed..];

            let inflated = &chunk[..produced.min(room)];
            message.make_room(inflated.len(), limit);
            message.push(inflated)?;
            if produced > room {
                return Err(ProtocolError::MessageTooBig { limit });
            }
            match status {
                Ok(Status::StreamEnd) => self.at_end = true,
                Ok(Status::Ok | Status::BufError) if produced < wanted && bytes.is_empty() => {
                    return Ok(());
                }
                Ok(Status::Ok | Status::BufError) if consumed > 0 || produced > 0 => {}
                Ok(Status::Ok | Status::BufError) | Err(_) => {
                    return Err(ProtocolError::InvalidDeflate);
                }
            }
        }
    }

    /// Ends the message after its last byte (RFC 7692 §7.2.2).
    pub(crate) fn finish(&mut self, inflater: &mut Inflater) -> Result<(), ProtocolError> {
        // Some clients send an empty message without a byte, as zlib makes it after a flush.
        // A message that ends with a final block is complete too.
        if self.is_empty || self.at_end {
            return Ok(());
        }
        // Without this check a message that is cut inside a block would pass as a shorter
        // one. It is complete if the omitted end is an empty block and another block can
        // follow.
        let before = (self.stream.total_in(), self.stream.total_out());
        let flush = FlushDecompress::None;
        let status = self.stream.decompress(&END, inflater.chunk(), flush);
        let is_whole = matches!(status, Ok(Status::StreamEnd))
            && self.stream.total_in() - before.0 == END.len() as u64
            && self.stream.total_out() == before.1;
        is_whole.then_some(()).ok_or(ProtocolError::InvalidDeflate)
    }

    fn reset(&mut self) {
        self.stream.reset(false);
        self.at_end = false;
        self.final_blocks = 0;
        self.is_empty = true;
    }

    /// Continues after a final block (RFC 7692 §7.2.3.4) as if it had not been final.
    fn restart(&mut self, message: &Message, window: &Window) -> Result<(), ProtocolError> {
        self.final_blocks += 1;
        if self.final_blocks > MAX_FINAL_BLOCKS {
            return Err(ProtocolError::InvalidDeflate);
        }
        self.at_end = false;
        self.stream.reset(false);
        self.remember(&window.bytes)?;
        for part in message.parts() {
            self.remember(&part[part.len().saturating_sub(MAX_DISTANCE)..])?;
        }
        Ok(())
    }

    /// Lets the following data refer to these bytes too.
    fn remember(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let set = self.stream.set_dictionary(bytes);
        // A stream without a zlib header accepts any dictionary.
        set.map(|_| ()).map_err(|_| ProtocolError::InvalidDeflate)
    }
}

impl fmt::Debug for Inflation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflation").finish_non_exhaustive()
    }
}

/// The end of the peer's compressed data, to which later messages may refer if contexts are
/// taken over. Smaller than the state of an inflater, which includes the same data.
#[derive(Debug, Default)]
pub(crate) struct Window {
    bytes: Vec<u8>,
}

impl Window {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn allocated(&self) -> usize {
        self.bytes.capacity()
    }

    /// Adds a message and forgets data farther back than `2^bits` bytes.
    pub(crate) fn slide(&mut self, message: &Message, bits: u8) {
        let size = 1 << bits;
        for part in message.parts() {
            let part = &part[part.len().saturating_sub(size)..];
            let excess = (self.bytes.len() + part.len()).saturating_sub(size);
            self.bytes.drain(..excess);
            let needed = self.bytes.len() + part.len();
            if needed > self.bytes.capacity() {
                let capacity = needed.max(self.bytes.capacity() * 2).min(size);
                self.bytes.reserve_exact(capacity - self.bytes.len());
            }
            self.bytes.extend_from_slice(part);
        }
    }
}
