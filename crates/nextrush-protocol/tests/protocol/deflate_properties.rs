//! Laws of compressed streams.

use nextrush_protocol::{
    Decoder, DeflateConfig, DeflateContext, Deflater, Event, Frame, FrameHead, Inflater, Limits,
    Opcode, Role, encode_masked,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::deflate::agreed;
use crate::properties::pieces;
use crate::wire::{
    BINARY, BINARY_START, LAST, MORE, PING, Said, TEXT, TEXT_START, feed_with, frame,
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
            |(server, client, server_bits, client_bits, level, threshold)| DeflateConfig {
                server_no_context_takeover: server,
                client_no_context_takeover: client,
                server_max_window_bits: server_bits,
                client_max_window_bits: client_bits,
                level,
                threshold,
            },
        )
}

/// Much of it compresses well, with references near and far, within a message and to
/// earlier ones; some not at all.
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

fn run(mut decoder: Decoder, inflater: &mut Inflater, pieces: &[&[u8]]) -> Said {
    let mut said = Said {
        events: Vec::new(),
        error: None,
    };
    for piece in pieces {
        feed_with(&mut decoder, Some(inflater), piece, &mut said);
    }
    said
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
            bytes.extend_from_slice(deflated.as_bytes());
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
                let head = FrameHead {
                    fin: index == last,
                    opcode: if index == 0 { opcode } else { Opcode::Continuation },
                    compressed: compressed && index == 0,
                };
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
        let lenient = DeflateConfig { threshold: 0, ..client };
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
        for pieces in [pieces(&bytes, &cuts), bytewise] {
            prop_assert_eq!(&run(decoder(), &mut inflater, &pieces), &whole);
        }
    }
}
