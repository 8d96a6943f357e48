//! Compression of messages.

use std::fmt;

use flate2::{Compress, Compression, FlushCompress};

use super::TAIL;
use super::config::DeflateConfig;
use super::params::DeflateParams;
use crate::role::Role;

/// The smallest window that zlib compresses with. It refers back at most 262 bytes less than
/// its size, here 250. This fits into a window of 2^8 bytes, so it also serves peers that ask
/// for 8 bits.
const LEAST_ZLIB_BITS: u8 = 9;

/// The length up to which payloads are never compressed.
pub(crate) const NEVER_UP_TO: usize = 64;

/// The size up to which the buffer is kept after a message.
const SCRATCH_KEPT: usize = 64 * 1024;

/// The compressors that all connections of a thread share, for messages that are compressed
/// by themselves; see [`Frame::deflated`](crate::Frame::deflated).
///
/// Empty at first. Each combination of level and window bits that was used takes about 300
/// KiB.
#[derive(Default)]
pub struct Deflater {
    streams: Vec<(DeflateClass, Compress)>,
    scratch: Vec<u8>,
}

/// The settings on which a compressed message depends, beside its payload.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct DeflateClass {
    window_bits: u8,
    level: u8,
}

impl DeflateClass {
    pub(crate) fn new(window_bits: u8, config: &DeflateConfig) -> Self {
        Self {
            window_bits: window_bits.max(LEAST_ZLIB_BITS),
            level: config.level.clamp(1, 9),
        }
    }

    fn stream(self) -> Compress {
        let level = Compression::new(u32::from(self.level));
        Compress::new_with_window_bits(level, false, self.window_bits)
    }
}

impl Deflater {
    /// An empty deflater.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Compresses a payload by itself; `None` if that makes it no shorter.
    pub(crate) fn deflate(&mut self, class: DeflateClass, payload: &[u8]) -> Option<&[u8]> {
        let known = self.streams.iter().position(|(known, _)| *known == class);
        let index = known.unwrap_or_else(|| {
            self.streams.push((class, class.stream()));
            self.streams.len() - 1
        });
        let (_, stream) = &mut self.streams[index];
        stream.reset();
        self.scratch.clear();
        self.scratch.shrink_to(SCRATCH_KEPT);
        match deflate(stream, payload, &mut self.scratch) {
            Outcome::Shorter => Some(&self.scratch),
            Outcome::NoShorter => None,
            Outcome::Incomplete => {
                self.streams.swap_remove(index);
                None
            }
        }
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater")
            .field("streams", &self.streams.len())
            .finish_non_exhaustive()
    }
}

/// The compressor of one connection, which takes over its context from message to message if
/// that was agreed on. It takes about 300 KiB.
///
/// ```
/// use nextrush_protocol::{
///     DeflateConfig, DeflateContext, DeflateParams, FrameHead, Opcode, Role, encode_masked,
/// };
///
/// let config = DeflateConfig::new().client_no_context_takeover(false);
/// // As agreed on in the handshake.
/// let params = DeflateParams::default();
/// let mut context = DeflateContext::new(Role::Client, params, &config);
///
/// let text = r#"{"type":"update","channel":"posts"}"#.repeat(10);
/// let mut out = Vec::new();
/// for _ in 0..2 {
///     let head = FrameHead::from(Opcode::Text);
///     let mask = [1, 2, 3, 4];
///     match context.deflate(text.as_bytes()) {
///         Some(deflated) => encode_masked(head.compressed(true), &deflated, mask, &mut out),
///         None => encode_masked(head, text.as_bytes(), mask, &mut out),
///     }
/// }
/// assert!(out.len() < 80);
/// ```
pub struct DeflateContext {
    stream: Compress,
    class: DeflateClass,
    takeover: bool,
    threshold: usize,
}

impl DeflateContext {
    /// A compressor for messages from the side `role`.
    #[must_use]
    pub fn new(role: Role, params: DeflateParams, config: &DeflateConfig) -> Self {
        let direction = params.sending(role);
        let class = DeflateClass::new(direction.window_bits, config);
        Self {
            stream: class.stream(),
            class,
            takeover: direction.takeover,
            threshold: config.threshold,
        }
    }

    /// Compresses the payload of the next message; `None` if it is to be sent as it is,
    /// because it is shorter than the threshold or would be no shorter.
    ///
    /// The results have to be sent, in this order, as later messages may refer to them.
    pub fn deflate(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        if !is_worthwhile(payload, self.threshold) {
            return None;
        }
        if !self.takeover {
            self.stream.reset();
        }
        let mut out = Vec::new();
        match deflate(&mut self.stream, payload, &mut out) {
            Outcome::Shorter => return Some(out),
            // The stream has seen data that the peer will not. After a reset it refers to
            // nothing before.
            Outcome::NoShorter => self.stream.reset(),
            Outcome::Incomplete => self.stream = self.class.stream(),
        }
        None
    }
}

impl fmt::Debug for DeflateContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeflateContext")
            .field("takeover", &self.takeover)
            .finish_non_exhaustive()
    }
}

/// Returns `true` if compressing may be worthwhile.
pub(crate) fn is_worthwhile(payload: &[u8], threshold: usize) -> bool {
    payload.len() >= threshold && payload.len() > NEVER_UP_TO
}

/// Writes the compressed payload (RFC 7692 §7.2.1) to `out`, which is empty.
fn deflate(stream: &mut Compress, payload: &[u8], out: &mut Vec<u8>) -> Outcome {
    // Room for the worst case, though most of it is not needed: at level 1 zlib-rs panics in
    // the message after one that was given up for lack of room, even after a reset.
    out.reserve_exact(payload.len() + payload.len() / 8 + 64);
    let start = stream.total_in();
    let status = stream.compress_vec(payload, out, FlushCompress::Sync);
    let is_consumed = stream.total_in() - start == payload.len() as u64;
    // A flush is complete if it leaves room.
    if status.is_err() || !is_consumed || out.len() == out.capacity() || !out.ends_with(&TAIL) {
        return Outcome::Incomplete;
    }
    out.truncate(out.len() - TAIL.len());
    if out.len() < payload.len() {
        Outcome::Shorter
    } else {
        Outcome::NoShorter
    }
}

enum Outcome {
    Shorter,
    NoShorter,
    /// The stream is unusable.
    Incomplete,
}
