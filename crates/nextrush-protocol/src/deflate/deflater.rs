//! Compressing messages.

use std::fmt;

use flate2::{Compress, Compression, FlushCompress};

use super::TAIL;
use super::config::DeflateConfig;
use super::params::DeflateParams;
use crate::role::Role;

/// The smallest window that zlib compresses with. It refers back at most its size less
/// 262 bytes, here 250: that stays within a window of 2^8 bytes as well, so that a peer that
/// asks for 8 bits is served with this.
const LEAST_ZLIB_BITS: u8 = 9;

/// Payloads of up to this many bytes are sent as they are.
pub(crate) const NEVER_UP_TO: usize = 64;

/// A larger buffer is given back after the message that needed it.
const SCRATCH_KEPT: usize = 64 * 1024;

/// What it takes to compress messages each by itself, to be shared by all connections of a
/// thread; see [`Frame::deflated`](crate::Frame::deflated).
///
/// Empty at first. It holds about 300 KiB for each combination of level and window bits
/// that has been used.
#[derive(Default)]
pub struct Deflater {
    streams: Vec<(DeflateClass, Compress)>,
    scratch: Vec<u8>,
}

/// What a compressed message depends on, beside its payload.
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
    /// A deflater that holds nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The payload compressed by itself; `None` if that makes it no shorter.
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

/// The compressor of one connection, which takes its context over from message to message
/// if that was agreed on. Holds about 300 KiB.
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
///     match context.deflate(text.as_bytes()) {
///         Some(deflated) => encode_masked(head.compressed(true), &deflated, [1, 2, 3, 4], &mut out),
///         None => encode_masked(head, text.as_bytes(), [1, 2, 3, 4], &mut out),
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
    /// A context for what the side `role` sends.
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

    /// The payload of the message that is sent next, compressed; `None` if it has to be
    /// sent as it is, because it is shorter than the threshold or would get no shorter.
    ///
    /// What is returned has to be sent, and in this order: later messages may refer to it.
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
            // It has seen what the peer will not; after a reset it refers to nothing before.
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

/// Whether compressing is to be tried.
pub(crate) fn is_worthwhile(payload: &[u8], threshold: usize) -> bool {
    payload.len() >= threshold && payload.len() > NEVER_UP_TO
}

/// Puts the compressed payload (RFC 7692 §7.2.1) into `out`, which is empty.
fn deflate(stream: &mut Compress, payload: &[u8], out: &mut Vec<u8>) -> Outcome {
    // Room for the worst, though most of it would be of no use: at level 1 zlib-rs panics in
    // the message after one that was given up for want of room, even behind a reset.
    out.reserve_exact(payload.len() + payload.len() / 8 + 64);
    let start = stream.total_in();
    let status = stream.compress_vec(payload, out, FlushCompress::Sync);
    let is_consumed = stream.total_in() - start == payload.len() as u64;
    // A flush is known to be complete by the room that it leaves.
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
    /// The stream cannot be used any more.
    Incomplete,
}
