//! Messages that arrive in parts.

use crate::error::ProtocolError;
use crate::event::Event;
use crate::utf8::TextBuffer;

/// The least growth: less would cost more in allocations than it saves in memory.
const LEAST_GROWTH: usize = 256;

/// An incomplete message. All fragments go into one buffer at once, so that neither their
/// number nor their size costs anything beside the payload.
#[derive(Debug)]
pub(crate) enum Message {
    Text(TextBuffer),
    Binary(Vec<u8>),
}

impl Message {
    pub(crate) fn text() -> Self {
        Self::Text(TextBuffer::default())
    }

    pub(crate) fn binary() -> Self {
        Self::Binary(Vec::new())
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(data) => data.len(),
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        match self {
            Self::Text(text) => text.capacity(),
            Self::Binary(data) => data.capacity(),
        }
    }

    /// The bytes that have arrived, in order.
    pub(crate) fn parts(&self) -> [&[u8]; 2] {
        match self {
            Self::Text(text) => text.parts(),
            Self::Binary(data) => [data, &[]],
        }
    }

    /// Makes room for `arrived` more bytes. The buffer never exceeds `bound`, the longest
    /// that the message can become.
    pub(crate) fn make_room(&mut self, arrived: usize, bound: usize) {
        let needed = self.len() + arrived;
        if needed > self.capacity() {
            // Doubling keeps copying linear. The announced length is no reason to reserve
            // memory: a peer can announce much and send nothing.
            let doubled = (self.capacity() * 2).max(LEAST_GROWTH).min(bound);
            self.grow_to(needed.max(doubled));
        }
    }

    /// Appends bytes, after [`make_room`](Self::make_room).
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        match self {
            Self::Text(text) => text.push(bytes).ok_or(ProtocolError::InvalidText),
            Self::Binary(data) => {
                data.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    pub(crate) fn finish(self) -> Result<Event<'static>, ProtocolError> {
        match self {
            Self::Text(text) => {
                let text = text.finish().ok_or(ProtocolError::InvalidText)?;
                Ok(Event::Text(text.into()))
            }
            Self::Binary(data) => Ok(Event::Binary(data.into())),
        }
    }

    fn grow_to(&mut self, capacity: usize) {
        match self {
            Self::Text(text) => text.grow_to(capacity),
            Self::Binary(data) => data.reserve_exact(capacity - data.len()),
        }
    }
}
