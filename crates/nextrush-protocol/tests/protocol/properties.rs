//! Laws of all streams.

use nextrush_protocol::{
    CloseCode, CloseFrame, Decoder, Event, Frame, FrameHead, Limits, Opcode, Role, encode_masked,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::wire::{
    BINARY, BINARY_START, CLOSE, LAST, MORE, PING, PONG, Said, TEXT, TEXT_START, decode, feed,
    frame, frame_to, header, unmasked,
};

/// The bookkeeping, and the payload of a control frame between fragments.
const OVERHEAD: usize = 128 + 256;

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Server), Just(Role::Client)]
}

/// A message or control frame, and its cuts into fragments.
fn message() -> impl Strategy<Value = (Event<'static>, Vec<Index>)> {
    let event = prop_oneof![
        "\\PC{0,80}".prop_map(|text| Event::Text(text.into())),
        vec(any::<u8>(), 0..300).prop_map(|data| Event::Binary(data.into())),
    ];
    (event, vec(any::<Index>(), 0..4))
}

fn control() -> impl Strategy<Value = Event<'static>> {
    let payload = || vec(any::<u8>(), 0..=125);
    prop_oneof![
        payload().prop_map(|payload| Event::Ping(payload.into())),
        payload().prop_map(|payload| Event::Pong(payload.into())),
    ]
}

fn close() -> impl Strategy<Value = Event<'static>> {
    let frame = (1000..=1003u16, "\\PC{0,20}")
        .prop_map(|(code, reason)| CloseFrame::new(CloseCode::new(code), reason));
    proptest::option::of(frame).prop_map(Event::Close)
}

/// A valid stream and its events. Control frames come before messages and between their
/// fragments.
#[derive(Clone, Debug)]
struct Stream {
    bytes: Vec<u8>,
    events: Vec<Event<'static>>,
}

fn stream(role: Role) -> impl Strategy<Value = Stream> {
    vec((message(), vec(control(), 0..3)), 0..5).prop_map(move |parts| {
        let mut stream = Stream {
            bytes: Vec::new(),
            events: Vec::new(),
        };
        for ((event, cuts), controls) in parts {
            let mut controls = controls.into_iter();
            for (first, payload) in fragments(&event, &cuts) {
                if let Some(control) = controls.next() {
                    let (first, payload) = as_frame(&control);
                    stream.bytes.extend(frame_to(role, first, &payload));
                    stream.events.push(control);
                }
                stream.bytes.extend(frame_to(role, first, &payload));
            }
            stream.events.push(event);
        }
        stream
    })
}

fn fragments(event: &Event<'_>, cuts: &[Index]) -> Vec<(u8, Vec<u8>)> {
    let (whole, payload) = as_frame(event);
    let mut cuts: Vec<usize> = cuts
        .iter()
        .map(|cut| cut.index(payload.len() + 1))
        .collect();
    cuts.sort_unstable();
    let mut parts = Vec::new();
    let mut start = 0;
    for end in cuts.into_iter().chain([payload.len()]) {
        parts.push((MORE, payload[start..end].to_vec()));
        start = end;
    }
    parts[0].0 = if whole == TEXT {
        TEXT_START
    } else {
        BINARY_START
    };
    let last = parts.len() - 1;
    parts[last].0 |= LAST;
    parts
}

fn as_frame(event: &Event<'_>) -> (u8, Vec<u8>) {
    match event {
        Event::Text(text) => (TEXT, text.as_bytes().to_vec()),
        Event::Binary(data) => (BINARY, data.to_vec()),
        Event::Ping(payload) => (PING, payload.to_vec()),
        Event::Pong(payload) => (PONG, payload.to_vec()),
        Event::Close(None) => (CLOSE, Vec::new()),
        Event::Close(Some(close)) => {
            let code = close.code().as_u16().to_be_bytes();
            (CLOSE, [&code[..], close.reason().as_bytes()].concat())
        }
    }
}

pub(crate) fn pieces<'b>(bytes: &'b [u8], cuts: &[Index]) -> Vec<&'b [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let mut pieces = Vec::new();
    let mut start = 0;
    for end in cuts.into_iter().chain([bytes.len()]) {
        pieces.push(&bytes[start..end]);
        start = end;
    }
    pieces
}

/// A frame that breaks a rule in any state, with its close code.
fn violation(role: Role) -> impl Strategy<Value = (Vec<u8>, u16)> {
    let wrong = move |first, payload: &[u8]| frame_to(role, first, payload);
    // The mask bit, and a header that announces this many bytes.
    let masked = if role == Role::Server { 0x80 } else { 0 };
    let header = move |first, length: u64| {
        let mut bytes = header(first, length);
        if role == Role::Client {
            bytes[1] &= 0x7F;
            bytes.truncate(bytes.len() - 4);
        }
        bytes
    };
    let big = Limits::default().message as u64 + 1;
    prop_oneof![
        (1..8u8, any::<u8>())
            .prop_map(move |(bits, first)| { (wrong(first & 0x8F | bits << 4, b""), 1002) }),
        prop_oneof![3..=7u8, 11..=15u8].prop_map(move |opcode| (wrong(0x80 | opcode, b"x"), 1002)),
        Just((wrong(PING & 0x7F, b""), 1002)),
        Just((wrong(LAST, b"x"), 1002)),
        Just((wrong(PING, &[0; 126]), 1002)),
        Just((
            match role {
                Role::Server => unmasked(TEXT, b"x"),
                Role::Client => frame(TEXT, b"x"),
            },
            1002
        )),
        Just((header(BINARY, 1 << 63), 1002)),
        Just((vec![BINARY, masked | 126, 0, 125], 1002)),
        Just((wrong(CLOSE, b"x"), 1002)),
        (1004..=1006u16).prop_map(move |code| (wrong(CLOSE, &code.to_be_bytes()), 1002)),
        Just((wrong(CLOSE, b"\x03\xe8\xff"), 1007)),
        Just((wrong(TEXT, b"\xed\xa0\x80"), 1007)),
        Just((
            wrong(TEXT, "€".as_bytes().split_last().expect("3 bytes").1),
            1007
        )),
        (big..u64::MAX / 2).prop_map(move |length| (header(BINARY, length), 1009)),
        (big..big * 2).prop_map(move |length| (header(TEXT_START, length), 1009)),
    ]
}

/// Bytes that resemble frames enough to get far.
fn noise(role: Role) -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        4 => prop::sample::select(&[TEXT, BINARY, TEXT_START, MORE, LAST, PING, PONG, CLOSE][..]),
        1 => any::<u8>(),
    ];
    let like_a_frame = (first, vec(any::<u8>(), 0..20))
        .prop_map(move |(first, payload)| frame_to(role, first, &payload));
    let text_part = (
        prop::sample::select(&[TEXT, TEXT_START, MORE, LAST][..]),
        "\\PC{0,4}",
    )
        .prop_map(move |(first, text)| frame_to(role, first, text.as_bytes()));
    let random = vec(any::<u8>(), 0..20);
    vec(
        prop_oneof![4 => like_a_frame, 4 => text_part, 1 => random],
        0..8,
    )
    .prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_cut_of_a_right_stream_gives_the_same_events(
        (role, stream) in role().prop_flat_map(|role| (Just(role), stream(role))),
        end in proptest::option::of(close()),
        cuts in vec(any::<Index>(), 0..8),
    ) {
        let Stream { mut bytes, mut events } = stream;
        if let Some(close) = end {
            let (first, payload) = as_frame(&close);
            bytes.extend(frame_to(role, first, &payload));
            events.push(close);
        }
        let expected = Said { events, error: None };
        for pieces in [pieces(&bytes, &cuts), bytes.chunks(1).collect()] {
            let (said, decoder) = decode(role, Limits::default(), pieces);
            prop_assert_eq!(&said, &expected);
            prop_assert_eq!(decoder.buffered(), 0);
        }
    }

    #[test]
    fn a_violation_gives_one_error_with_its_code_after_all_events_before_it(
        (role, stream, (violation, code), after) in role().prop_flat_map(|role| {
            (Just(role), stream(role), violation(role), stream(role))
        }),
        cuts in vec(any::<Index>(), 0..8),
    ) {
        let bytes = [stream.bytes, violation, after.bytes].concat();
        // `decode` fails on a second error and on events after the first.
        let (said, decoder) = decode(role, Limits::default(), pieces(&bytes, &cuts));
        prop_assert_eq!(said.events, stream.events);
        let answer = said.error.map(|error| error.close_code().as_u16());
        prop_assert_eq!(answer, Some(code));
        prop_assert!(decoder.is_finished());
    }

    #[test]
    fn any_cut_of_any_bytes_gives_the_same_and_holds_no_more_than_limit_and_input(
        (role, bytes) in role().prop_flat_map(|role| (Just(role), noise(role))),
        limit in prop_oneof![0..64usize, Just(64 * 1024)],
        cuts in vec(any::<Index>(), 0..8),
    ) {
        let limits = Limits::message(limit);
        let (whole, _) = decode(role, limits, [&bytes[..]]);
        for pieces in [pieces(&bytes, &cuts), bytes.chunks(1).collect()] {
            let mut decoder = Decoder::new(role, limits);
            let mut said = Said { events: Vec::new(), error: None };
            let mut fed = 0;
            for piece in pieces {
                feed(&mut decoder, piece, &mut said);
                fed += piece.len();
                // Room to grow is at most as much again as has arrived, or 256 bytes.
                prop_assert!(decoder.buffered() <= limit.min(2 * fed + 256) + OVERHEAD);
            }
            prop_assert_eq!(&said, &whole);
        }
    }

    #[test]
    fn what_a_server_encodes_a_client_decodes(
        events in vec(prop_oneof![message().prop_map(|(event, _)| event), control()], 0..6),
        close in close(),
        cuts in vec(any::<Index>(), 0..4),
    ) {
        let events: Vec<_> = events.into_iter().chain([close]).collect();
        let mut bytes = Vec::new();
        for event in &events {
            let frame = match event {
                Event::Text(text) => Frame::text(text),
                Event::Binary(data) => Frame::binary(data),
                Event::Ping(payload) => Frame::ping(payload).expect("at most 125 bytes"),
                Event::Pong(payload) => Frame::pong(payload).expect("at most 125 bytes"),
                Event::Close(close) => Frame::close(close.as_ref()),
            };
            bytes.extend_from_slice(&frame.as_bytes());
        }
        let (said, _) = decode(Role::Client, Limits::default(), pieces(&bytes, &cuts));
        prop_assert_eq!(said, Said { events, error: None });
    }

    #[test]
    fn what_a_client_encodes_a_server_decodes(
        messages in vec(message(), 0..6),
        close in close(),
        mask: [u8; 4],
        cuts in vec(any::<Index>(), 0..4),
    ) {
        let mut bytes = Vec::new();
        let mut events = Vec::new();
        for (event, fragment_cuts) in messages {
            for (first, payload) in fragments(&event, &fragment_cuts) {
                let head = FrameHead::from(match first & 0x0F {
                        0 => Opcode::Continuation,
                        1 => Opcode::Text,
                        _ => Opcode::Binary,
                    }).fin(first & 0x80 != 0);
                encode_masked(head, &payload, mask, &mut bytes);
            }
            events.push(event);
        }
        encode_masked(Opcode::Close, &as_frame(&close).1, mask, &mut bytes);
        events.push(close);
        let (said, _) = decode(Role::Server, Limits::default(), pieces(&bytes, &cuts));
        prop_assert_eq!(said, Said { events, error: None });
    }
}
