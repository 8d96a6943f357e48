//! Inflating messages, never beyond a limit.

use std::fmt;

use flate2::{Decompress, FlushDecompress, Status};

use super::TAIL;
use crate::error::ProtocolError;
use crate::message::Message;

/// Inflated bytes go through a buffer of this size, so that no more than this is ever
/// inflated beyond a limit. References within it are faster than those to the window: with
/// 16 KiB a message of 1 MiB takes a quarter longer.
const CHUNK: usize = 64 * 1024;

/// What a message has left out at its end, and an empty final block.
const END: [u8; 6] = [TAIL[0], TAIL[1], TAIL[2], TAIL[3], 0x03, 0x00];

/// Blocks marked as final that one message may have. A sender has no reason for more than
/// one; each costs a copy of the window.
const MAX_FINAL_BLOCKS: u16 = 256;

/// The farthest that DEFLATE refers back (RFC 1951 §3.2.5).
const MAX_DISTANCE: usize = 32 * 1024;

/// What it takes to inflate messages, to be shared by all decoders of a thread; see
/// [`Decoder::decode_with`](crate::Decoder::decode_with).
///
/// Empty at first; from the first compressed message on it holds about 112 KiB. Lent to a
/// decoder for the time of a call; a message that is not complete by the end of it
/// keeps the state, about 48 KiB, until it is, and the next one gets another.
#[derive(Default)]
pub struct Inflater {
    spare: Option<Box<Inflation>>,
    chunk: Vec<u8>,
}

impl Inflater {
    /// An inflater that holds nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a message that may refer to what `window` holds.
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

    /// Takes back what a message needed.
    pub(crate) fn give_back(&mut self, inflation: Box<Inflation>) {
        self.spare = Some(inflation);
    }

    /// Where inflated bytes go first.
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

/// A compressed message of which some part has arrived.
pub(crate) struct Inflation {
    stream: Decompress,
    /// A block marked as final is complete. Whatever follows begins anew.
    at_end: bool,
    final_blocks: u16,
    is_empty: bool,
}

impl Default for Inflation {
    fn default() -> Self {
        Self {
            // Takes any window, as the largest one is what a window is by default.
            stream: Decompress::new(false),
            at_end: false,
            final_blocks: 0,
            is_empty: true,
        }
    }
}

impl Inflation {
    /// What it allocates, in bytes, as measured: the window of 32 KiB and the tables.
    pub(crate) const ALLOCATED: usize = 48 * 1024;

    /// Inflates bytes that have arrived into `message`, which may have `limit` bytes.
    ///
    /// What is found does not depend on how the bytes were cut: all that was inflated
    /// ahead of an error is judged first.
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
            // One byte more than fits tells a message that is too long from one that is not.
            let room = limit - message.len();
            let wanted = chunk.len().min(room + 1);
            let before = (self.stream.total_in(), self.stream.total_out());
            let status = self
                .stream
                .decompress(bytes, &mut chunk[..wanted], FlushDecompress::None);
            // Fit: no more than the lengths of the two buffers.
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

    /// The last byte has arrived (RFC 7692 §7.2.2).
    pub(crate) fn finish(&mut self, inflater: &mut Inflater) -> Result<(), ProtocolError> {
        // A message of no bytes is what zlib makes of an empty one behind a flush, and some
        // clients send it so. And what ends with a final block lacks nothing.
        if self.is_empty || self.at_end {
            return Ok(());
        }
        // Without the check a message that breaks off inside a block would pass as a short
        // one: all is there if the end that was left out is an empty block, and another one
        // can follow.
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

    /// Goes on behind a final block (RFC 7692 §7.2.3.4), as if it had not been the final one.
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

    /// Has what follows refer to these bytes, too.
    fn remember(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let set = self.stream.set_dictionary(bytes);
        // A stream without a zlib header takes any dictionary.
        set.map(|_| ()).map_err(|_| ProtocolError::InvalidDeflate)
    }
}

impl fmt::Debug for Inflation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflation").finish_non_exhaustive()
    }
}

/// What later messages may refer to, where contexts are taken over: the end of what the
/// peer has sent compressed. Less than an inflater's own state, which has the same in it.
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

    /// Adds a message, and forgets what is now farther back than `2^bits` bytes.
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
