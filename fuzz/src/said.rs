use nextrush_protocol::{Decoder, Event, Inflater, Limits, ProtocolError, Role};

/// A [`Decoder`]'s own bookkeeping, and the payload of a control frame inside a message,
/// whose buffer may have grown to twice its length.
const OVERHEAD: usize = 128 + 256;

/// The room that a message gets at its first byte.
const LEAST_ROOM: usize = 256;

/// The events in a stream of bytes, and the error that ended it, if one did.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Said {
    pub(crate) events: Vec<Event<'static>>,
    pub(crate) error: Option<ProtocolError>,
}

impl Said {
    /// The most bytes that a decoder's bookkeeping takes.
    pub(crate) const OVERHEAD: usize = OVERHEAD;

    /// Feeds a new decoder with `pieces`, and checks what holds at every call.
    pub(crate) fn by_decoder<'p>(
        role: Role,
        limits: Limits,
        pieces: impl IntoIterator<Item = &'p [u8]>,
    ) -> (Self, Decoder) {
        let mut decoder = Decoder::new(role, limits);
        let mut said = Self::default();
        let mut fed = 0;
        for piece in pieces {
            fed += piece.len();
            said.feed(&mut decoder, &mut Inflater::new(), piece);
            let room = limits.message.min(2 * fed + LEAST_ROOM) + OVERHEAD;
            let buffered = decoder.buffered();
            assert!(buffered <= room, "{buffered} bytes kept, {fed} have come");
            if decoder.is_finished() {
                assert_eq!(buffered, 0, "memory kept after the end");
            }
        }
        // Each event comes from a frame of its own, and the least frame has two bytes.
        assert!(said.events.len() <= fed / 2);
        (said, decoder)
    }

    /// Feeds `decoder` with `pieces`, and checks that it keeps at most `most` bytes.
    pub(crate) fn by_deflating_decoder<'p>(
        mut decoder: Decoder,
        inflater: &mut Inflater,
        pieces: impl IntoIterator<Item = &'p [u8]>,
        most: usize,
    ) -> (Self, Decoder) {
        let mut said = Self::default();
        for piece in pieces {
            said.feed(&mut decoder, inflater, piece);
            let buffered = decoder.buffered();
            assert!(buffered <= most + OVERHEAD, "{buffered} bytes kept");
            if decoder.is_finished() {
                assert_eq!(buffered, 0, "memory kept after the end");
            }
        }
        (said, decoder)
    }

    fn feed(&mut self, decoder: &mut Decoder, inflater: &mut Inflater, piece: &[u8]) {
        let mut bytes = piece.to_vec();
        let mut input = bytes.as_mut_slice();
        loop {
            let was_finished = decoder.is_finished();
            match decoder.decode_with(&mut input, inflater) {
                Ok(None) => break,
                Ok(Some(event)) => {
                    assert!(!was_finished, "{event:?} after the end");
                    let closes = matches!(event, Event::Close(_));
                    assert_eq!(decoder.is_finished(), closes, "{event:?}");
                    self.events.push(event.into_owned());
                }
                Err(error) => {
                    assert!(!was_finished, "{error} after the end");
                    assert!(decoder.is_finished(), "{error} did not end it");
                    assert!(error.close_code().is_sendable(), "{error}");
                    self.error = Some(error);
                }
            }
        }
        assert!(input.is_empty(), "input left over");
    }
}

/// Cuts `bytes` into pieces of these lengths, again and again; an empty piece for a 0,
/// the whole rest if they are all 0.
pub(crate) fn cut<'b>(mut bytes: &'b [u8], lengths: &[usize]) -> Vec<&'b [u8]> {
    let mut pieces = Vec::new();
    if lengths.iter().any(|length| *length > 0) {
        for length in lengths.iter().cycle() {
            let Some((piece, rest)) = bytes.split_at_checked(*length) else {
                break;
            };
            pieces.push(piece);
            bytes = rest;
            if bytes.is_empty() {
                break;
            }
        }
    }
    pieces.push(bytes);
    pieces
}
