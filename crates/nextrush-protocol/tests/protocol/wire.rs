//! Valid and invalid frames by the letter of RFC 6455 §5.2, and a decoder's result.

use nextrush_protocol::{Decoder, Event, Inflater, Limits, ProtocolError, Role};

pub(crate) const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// First bytes: FIN and opcode.
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const TEXT_START: u8 = 0x01;
pub(crate) const BINARY_START: u8 = 0x02;
pub(crate) const MORE: u8 = 0x00;
pub(crate) const LAST: u8 = 0x80;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8A;

/// A frame as the peer of `role` sends it.
pub(crate) fn frame_to(role: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    match role {
        Role::Server => frame(first, payload),
        Role::Client => unmasked(first, payload),
    }
}

/// A client's frame.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, payload.len() as u64);
    let masked = payload.iter().zip(MASK.iter().cycle());
    bytes.extend(masked.map(|(byte, key)| byte ^ key));
    bytes
}

/// A server's frame.
pub(crate) fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    bytes.extend(length(payload.len() as u64));
    bytes.extend_from_slice(payload);
    bytes
}

/// A client's header that announces `announced` bytes.
pub(crate) fn header(first: u8, announced: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    bytes.extend(length(announced));
    bytes[1] |= 0x80;
    bytes.extend(MASK);
    bytes
}

fn length(length: u64) -> Vec<u8> {
    match length {
        0..=125 => vec![length as u8],
        126..=0xFFFF => [&[126][..], &(length as u16).to_be_bytes()].concat(),
        _ => [&[127][..], &length.to_be_bytes()].concat(),
    }
}

/// The result of a decoder for some input.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Said {
    pub(crate) events: Vec<Event<'static>>,
    pub(crate) error: Option<ProtocolError>,
}

/// Feeds `piece` and checks the rules of every call.
pub(crate) fn feed(decoder: &mut Decoder, piece: &[u8], said: &mut Said) {
    feed_with(decoder, None, piece, said);
}

pub(crate) fn feed_with(
    decoder: &mut Decoder,
    mut inflater: Option<&mut Inflater>,
    piece: &[u8],
    said: &mut Said,
) {
    let mut bytes = piece.to_vec();
    let mut input = bytes.as_mut_slice();
    loop {
        let was_finished = decoder.is_finished();
        let result = match inflater.as_deref_mut() {
            Some(inflater) => decoder.decode_with(&mut input, inflater),
            None => decoder.decode(&mut input),
        };
        match result {
            Ok(Some(event)) => {
                assert!(!was_finished, "{event:?} after the end");
                said.events.push(event.into_owned());
            }
            Ok(None) => break,
            Err(error) => {
                assert_eq!(said.error.replace(error), None, "a second error");
                assert!(decoder.is_finished());
                assert!(input.is_empty(), "input left over behind an error");
            }
        }
    }
    assert!(input.is_empty(), "input left over");
    if decoder.is_finished() {
        assert_eq!(decoder.buffered(), 0, "memory kept after the end");
    }
}

pub(crate) fn decode<'p>(
    role: Role,
    limits: Limits,
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> (Said, Decoder) {
    let mut decoder = Decoder::new(role, limits);
    let mut said = Said {
        events: Vec::new(),
        error: None,
    };
    for piece in pieces {
        feed(&mut decoder, piece, &mut said);
    }
    (said, decoder)
}

/// The result of a decoder for `bytes`, the same in one piece and byte by byte.
pub(crate) fn said(role: Role, limits: Limits, bytes: &[u8]) -> Said {
    let (whole, _) = decode(role, limits, [bytes]);
    let (bytewise, _) = decode(role, limits, bytes.chunks(1));
    assert_eq!(whole, bytewise);
    whole
}

/// The events of a valid stream from a client.
pub(crate) fn events(bytes: &[u8]) -> Vec<Event<'static>> {
    let said = said(Role::Server, Limits::default(), bytes);
    assert_eq!(said.error, None);
    said.events
}

/// The error of an invalid stream from a client, without events before it.
pub(crate) fn error(bytes: &[u8]) -> ProtocolError {
    let said = said(Role::Server, Limits::default(), bytes);
    assert_eq!(said.events, []);
    said.error
        .unwrap_or_else(|| panic!("no error in {bytes:02x?}"))
}

/// The number of bytes after which an invalid stream from a client is refused.
pub(crate) fn bytes_until_error(limits: Limits, bytes: &[u8]) -> Option<usize> {
    let mut decoder = Decoder::new(Role::Server, limits);
    let mut said = Said {
        events: Vec::new(),
        error: None,
    };
    let mut bytes = bytes.iter();
    let index = bytes.position(|byte| {
        feed(&mut decoder, &[*byte], &mut said);
        said.error.is_some()
    });
    index.map(|index| index + 1)
}

pub(crate) fn text(text: &str) -> Event<'static> {
    Event::Text(text.to_owned().into())
}

pub(crate) fn binary(data: &[u8]) -> Event<'static> {
    Event::Binary(data.to_vec().into())
}

pub(crate) fn ping(payload: &[u8]) -> Event<'static> {
    Event::Ping(payload.to_vec().into())
}

pub(crate) fn pong(payload: &[u8]) -> Event<'static> {
    Event::Pong(payload.to_vec().into())
}
