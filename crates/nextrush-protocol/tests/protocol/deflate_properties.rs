//! Laws of compressed streams.

use flate2::{Compress, Compression, FlushCompress};
use nextrush_protocol::{
    Decoder, DeflateConfig, DeflateContext, Deflater, Event, Frame, FrameHead, Inflater, Limits,
    Opcode, Role, encode_masked,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::deflate::{OVERHEAD, agreed};
use crate::properties::pieces;
use crate::wire::{
    BINARY, BINARY_START, LAST, MORE, PING, Said, TEXT, TEXT_START, feed_with, frame, unmasked,
};

fn config() -> impl Strategy<Value = DeflateConfig> {
    (
        any::<bool>(),
        any::<bool>(),
        8..=15u8,
        8..=15u8,
        1..=9u8,
        prop_oneof![Just(0usize), 0..400usize],
    )
        .prop_map(
            |(server, client, server_bits, client_bits, level, threshold)| {
                DeflateConfig::new()
                    .server_no_context_takeover(server)
                    .client_no_context_takeover(client)
                    .server_max_window_bits(server_bits)
                    .client_max_window_bits(client_bits)
                    .level(level)
                    .threshold(threshold)
            },
        )
}

/// Payloads of which most compress well, with references near and far, within a message and
/// to earlier ones, and some not at all.
fn message() -> impl Strategy<Value = Event<'static>> {
    let words = vec(
        prop_oneof![
            Just("{\"type\":\"update\"}".to_owned()),
            Just("größer ".to_owned()),
            Just("0123456789".repeat(30)),
            "\\PC{0,6}",
        ],
        0..60,
    );
    let runs = vec((any::<u8>(), 0..3_000usize), 0..6);
    prop_oneof![
        words.prop_map(|words| Event::Text(words.concat().into())),
        runs.prop_map(|runs| {
            let runs = runs.iter().map(|(byte, length)| vec![*byte; *length]);
            Event::Binary(runs.collect::<Vec<_>>().concat().into())
        }),
        vec(any::<u8>(), 0..500).prop_map(|data| Event::Binary(data.into())),
    ]
}

fn parts<'e>(event: &'e Event<'_>) -> (Opcode, &'e [u8]) {
    match event {
        Event::Text(text) => (Opcode::Text, text.as_bytes()),
        Event::Binary(data) => (Opcode::Binary, data),
        other => panic!("{other:?} is no message"),
    }
}

fn run(decoder: Decoder, inflater: &mut Inflater, pieces: &[&[u8]]) -> Said {
    run_within(usize::MAX, decoder, inflater, pieces)
}

/// Fails if the decoder ever holds more than `most` bytes.
fn run_within(
    most: usize,
    mut decoder: Decoder,
    inflater: &mut Inflater,
    pieces: &[&[u8]],
) -> Said {
    let mut said = Said {
        events: Vec::new(),
        error: None,
    };
    for piece in pieces {
        feed_with(&mut decoder, Some(inflater), piece, &mut said);
        assert!(decoder.buffered() <= most);
    }
    said
}

/// The violations of a compressed message, with their close codes.
fn violation() -> impl Strategy<Value = (Vec<u8>, u16)> {
    const RSV1: u8 = 0x40;
    let stored = |bytes: &[u8]| {
        let length = bytes.len() as u16;
        let lengths = [length.to_le_bytes(), (!length).to_le_bytes()].concat();
        [&[0][..], &lengths, bytes, &[0]].concat()
    };
    let mut bomb = vec![0; 1024];
    let mut stream = Compress::new(Compression::best(), false);
    let zeros = vec![0; Limits::default().message + 1];
    let flush = FlushCompress::Sync;
    stream
        .compress(&zeros, &mut bomb, flush)
        .expect("a new stream");
    bomb.truncate(stream.total_out() as usize - 4);
    prop_oneof![
        prop::sample::select(vec![
            PING | RSV1,
            TEXT | 0x20,
            TEXT | RSV1 | 0x10,
            LAST | RSV1
        ])
        .prop_map(|first| (frame(first, b""), 1002)),
        Just((
            [frame(TEXT_START | RSV1, b"\0"), frame(LAST | RSV1, b"")].concat(),
            1002
        )),
        // A block of the reserved kind, one that is cut, one that refers to nothing.
        prop::sample::select(vec![&b"\x06"[..], b"\xf2\x48\xcd", b"\x02\x03\x00"])
            .prop_map(|payload| (frame(BINARY | RSV1, payload), 1007)),
        Just((frame(TEXT | RSV1, &stored(b"ab\xed\xa0\x80")), 1007)),
        Just((frame(TEXT | RSV1, &stored(b"\xe2\x82")), 1007)),
        Just((frame(BINARY | RSV1, &bomb), 1009)),
    ]
}

proptest! {
    #[test]
    fn what_a_server_compresses_a_client_inflates(
        (server, client) in (config(), config()),
        messages in vec(message(), 0..6),
        cuts in vec(any::<Index>(), 0..6),
    ) {
        let params = agreed(&server, &client);
        let mut deflater = Deflater::new();
        let mut bytes = Vec::new();
        for event in &messages {
            let frame = match event {
                Event::Text(text) => Frame::text(text),
                event => Frame::binary(parts(event).1),
            };
            let deflated = frame.deflated(params, &server, &mut deflater);
            prop_assert!(deflated.len() <= frame.len());
            bytes.extend_from_slice(&deflated.as_bytes());
        }
        let decoder = Decoder::new(Role::Client, Limits::default()).with_deflate(params);
        let said = run(decoder, &mut Inflater::new(), &pieces(&bytes, &cuts));
        prop_assert_eq!(said, Said { events: messages, error: None });
    }

    #[test]
    fn what_a_client_compresses_a_server_inflates(
        (server, client) in (config(), config()),
        messages in vec((message(), vec(any::<Index>(), 0..3)), 0..6),
        cuts in vec(any::<Index>(), 0..6),
    ) {
        let params = agreed(&server, &client);
        let mut context = DeflateContext::new(Role::Client, params, &client);
        let mut bytes = Vec::new();
        let mut events = Vec::new();
        for (event, fragment_cuts) in messages {
            let (opcode, payload) = parts(&event);
            let deflated = context.deflate(payload);
            let compressed = deflated.is_some();
            let payload = deflated.unwrap_or_else(|| payload.to_vec());
            let fragments = pieces(&payload, &fragment_cuts);
            let last = fragments.len() - 1;
            for (index, fragment) in fragments.into_iter().enumerate() {
                let opcode = if index == 0 { opcode } else { Opcode::Continuation };
                let head = FrameHead::from(opcode)
                    .fin(index == last)
                    .compressed(compressed && index == 0);
                encode_masked(head, fragment, [1, 2, 3, 4], &mut bytes);
            }
            events.push(event);
        }
        let decoder = || Decoder::new(Role::Server, Limits::default()).with_deflate(params);
        let mut inflater = Inflater::new();
        let expected = Said { events, error: None };
        prop_assert_eq!(&run(decoder(), &mut inflater, &pieces(&bytes, &cuts)), &expected);
        let bytewise: Vec<_> = bytes.chunks(1).collect();
        prop_assert_eq!(&run(decoder(), &mut inflater, &bytewise), &expected);
    }

    #[test]
    fn what_a_server_compresses_for_one_client_that_client_inflates(
        (server, client) in (config(), config()),
        messages in vec(message(), 0..6),
        cuts in vec(any::<Index>(), 0..6),
    ) {
        let params = agreed(&server, &client);
        let mut context = DeflateContext::new(Role::Server, params, &server);
        let mut bytes = Vec::new();
        for event in &messages {
            let (opcode, payload) = parts(event);
            bytes.extend(match context.deflate(payload) {
                Some(deflated) => unmasked(0xC0 | opcode as u8, &deflated),
                None => unmasked(0x80 | opcode as u8, payload),
            });
        }
        let decoder = Decoder::new(Role::Client, Limits::default()).with_deflate(params);
        let said = run(decoder, &mut Inflater::new(), &pieces(&bytes, &cuts));
        prop_assert_eq!(said, Said { events: messages, error: None });
    }

    #[test]
    fn a_violation_gives_one_error_with_its_code_after_all_messages_before_it(
        messages in vec(message(), 0..4),
        (violation, code) in violation(),
        after in vec(message(), 0..2),
        cuts in vec(any::<Index>(), 0..8),
    ) {
        // Without takeover, so that references have no target.
        let params = agreed(&DeflateConfig::default(), &DeflateConfig::default());
        let config = DeflateConfig::default().threshold(0);
        let mut context = DeflateContext::new(Role::Client, params, &config);
        let mut encode = |event: &Event<'_>| {
            let (opcode, payload) = parts(event);
            match context.deflate(payload) {
                Some(deflated) => frame(0xC0 | opcode as u8, &deflated),
                None => frame(0x80 | opcode as u8, payload),
            }
        };
        let before: Vec<u8> = messages.iter().flat_map(&mut encode).collect();
        let behind: Vec<u8> = after.iter().flat_map(&mut encode).collect();
        let bytes = [before, violation, behind].concat();
        let bytewise: Vec<_> = bytes.chunks(1).collect();
        for pieces in [pieces(&bytes, &cuts), bytewise] {
            let limits = Limits::default();
            let decoder = Decoder::new(Role::Server, limits).with_deflate(params);
            let most = limits.message + OVERHEAD;
            // `feed_with` fails on a second error and on events after the first.
            let said = run_within(most, decoder, &mut Inflater::new(), &pieces);
            prop_assert_eq!(&said.events, &messages);
            let answer = said.error.map(|error| error.close_code().as_u16());
            prop_assert_eq!(answer, Some(code));
        }
    }

    #[test]
    fn any_cut_of_any_compressed_bytes_gives_the_same_within_the_limit(
        (server, client) in (config(), config()),
        frames in vec((
            prop::sample::select(&[
                TEXT | 0x40, TEXT | 0x40, BINARY | 0x40, TEXT_START | 0x40, BINARY_START | 0x40,
                MORE, LAST, LAST, PING, TEXT, LAST | 0x40,
            ][..]),
            prop_oneof![
                vec(any::<u8>(), 0..40),
                message().prop_map(|event| parts(&event).1.to_vec()),
            ],
            any::<bool>(),
            vec((any::<Index>(), any::<u8>()), 0..2),
        ), 0..6),
        limit in prop_oneof![0..600usize, Just(64 * 1024)],
        cuts in vec(any::<Index>(), 0..8),
    ) {
        let params = agreed(&server, &client);
        let lenient = client.threshold(0);
        let mut context = DeflateContext::new(Role::Client, params, &lenient);
        let mut bytes = Vec::new();
        for (first, payload, is_compressed, damage) in frames {
            let mut payload = match context.deflate(&payload) {
                Some(deflated) if is_compressed => deflated,
                _ => payload,
            };
            for (index, byte) in damage {
                if let Some(place) = (!payload.is_empty()).then(|| index.index(payload.len())) {
                    payload[place] = byte;
                }
            }
            // No control frame is longer.
            payload.truncate(if first == PING { 125 } else { payload.len() });
            bytes.extend(frame(first, &payload));
        }
        let limits = Limits::message(limit);
        let decoder = || Decoder::new(Role::Server, limits).with_deflate(params);
        let mut inflater = Inflater::new();
        let whole = run(decoder(), &mut inflater, &[&bytes]);
        for event in &whole.events {
            if let Event::Text(_) | Event::Binary(_) = event {
                prop_assert!(parts(event).1.len() <= limit);
            }
        }
        let bytewise: Vec<_> = bytes.chunks(1).collect();
        let window = 1 << params.client_max_window_bits();
        for pieces in [pieces(&bytes, &cuts), bytewise] {
            let most = limit + window + OVERHEAD;
            let said = run_within(most, decoder(), &mut inflater, &pieces);
            prop_assert_eq!(&said, &whole);
        }
    }
}
