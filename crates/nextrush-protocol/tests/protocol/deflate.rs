//! Compressed messages (RFC 7692): the samples of the RFC, hostile messages, and sent ones.

use flate2::{Compress, Compression, FlushCompress};
use nextrush_protocol::handshake::client::Opening;
use nextrush_protocol::handshake::server;
use nextrush_protocol::{
    Decoder, DeflateConfig, DeflateContext, DeflateParams, Deflater, Frame, Inflater, Limits,
    ProtocolError, Role,
};

use crate::oracle::inflate;
use crate::wire::{
    BINARY, BINARY_START, CLOSE, LAST, MORE, PING, Said, TEXT, TEXT_START, binary, feed_with,
    frame, header, ping, text, unmasked,
};

const RSV1: u8 = 0x40;
const RSV2: u8 = 0x20;
const RSV3: u8 = 0x10;

/// The bookkeeping, and the state of an incomplete compressed message.
pub(crate) const OVERHEAD: usize = 49 * 1024;

/// "Hello" in one block with fixed codes (RFC 7692 §7.2.3.1).
const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
/// "Hello" behind another one (§7.2.3.2).
const HELLO_AGAIN: [u8; 5] = [0xf2, 0x00, 0x11, 0x00, 0x00];

/// The agreement of two sides with these configurations.
pub(crate) fn agreed(server: &DeflateConfig, client: &DeflateConfig) -> DeflateParams {
    let opening = Opening::new([7; 16]).deflate(*client);
    let mut request = opening.headers();
    request.insert("host", http::HeaderValue::from_static("example.com"));
    let method = http::Method::GET;
    let mut accepted =
        server::accept(&method, http::Version::HTTP_11, &request).expect("a right request");
    let params = accepted.negotiate_deflate(server).expect("an offer");
    let status = http::StatusCode::SWITCHING_PROTOCOLS;
    let agreed = opening
        .verify(status, &accepted.headers())
        .expect("a right answer");
    assert_eq!(agreed.deflate, Some(params));
    params
}

/// Without context takeover on either side.
fn self_contained() -> DeflateParams {
    agreed(&DeflateConfig::default(), &DeflateConfig::default())
}

/// With both contexts taken over, and these window bits for the client's messages.
fn takeover(client_max_window_bits: u8) -> DeflateParams {
    let config = DeflateConfig::default()
        .server_no_context_takeover(false)
        .client_no_context_takeover(false)
        .client_max_window_bits(client_max_window_bits);
    agreed(&config, &config)
}

fn decoder(params: DeflateParams, limits: Limits) -> Decoder {
    Decoder::new(Role::Server, limits).with_deflate(params)
}

/// The events and error of a server for `bytes`: the same in one piece and byte by byte, with
/// a shared inflater and with a new one for each piece.
fn said(params: DeflateParams, limits: Limits, bytes: &[u8]) -> Said {
    let mut inflater = Inflater::new();
    let mut run = |piece, share: bool| {
        let mut decoder = decoder(params, limits);
        let mut said = Said {
            events: Vec::new(),
            error: None,
        };
        for piece in bytes.chunks(piece) {
            let inflater = share.then_some(&mut inflater);
            feed_with(&mut decoder, inflater, piece, &mut said);
            assert!(decoder.buffered() <= 2 * limits.message + OVERHEAD);
        }
        said
    };
    let whole = run(bytes.len().max(1), true);
    assert_eq!(run(1, true), whole);
    assert_eq!(run(1, false), whole);
    assert_eq!(run(7, true), whole);
    whole
}

fn events(params: DeflateParams, bytes: &[u8]) -> Vec<nextrush_protocol::Event<'static>> {
    let said = said(params, Limits::default(), bytes);
    assert_eq!(said.error, None);
    said.events
}

/// The error of a stream without events before it.
fn error(params: DeflateParams, limits: Limits, bytes: &[u8]) -> ProtocolError {
    let said = said(params, limits, bytes);
    assert_eq!(said.events, []);
    said.error
        .unwrap_or_else(|| panic!("no error in {bytes:02x?}"))
}

/// Compressed without being shorter: stored blocks (RFC 1951 §3.2.4), and the first byte of
/// the empty one whose other four are omitted.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    for block in bytes.chunks(0xFFFF) {
        let length = block.len() as u16;
        payload.push(0);
        payload.extend(length.to_le_bytes());
        payload.extend((!length).to_le_bytes());
        payload.extend(block);
    }
    payload.push(0);
    payload
}

/// Zeros, compressed as far as possible, without a final block. Any number of these makes one
/// message.
fn zeros(count: usize) -> Vec<u8> {
    let mut stream = Compress::new(Compression::best(), false);
    let mut out = Vec::with_capacity(count / 500 + 100);
    let zeros = vec![0; count];
    let status = stream.compress_vec(&zeros, &mut out, FlushCompress::Sync);
    assert!(status.is_ok() && stream.total_in() == count as u64);
    assert!(out.len() < out.capacity());
    out
}

// RFC 7692 §7.2.3.

#[test]
fn a_message_in_one_block_is_inflated() {
    let bytes = frame(TEXT | RSV1, &HELLO);
    assert_eq!(events(self_contained(), &bytes), [text("Hello")]);
    assert_eq!(events(takeover(15), &bytes), [text("Hello")]);
}

#[test]
fn a_fragmented_message_has_rsv1_on_its_first_frame_only() {
    let bytes = [
        frame(TEXT_START | RSV1, &HELLO[..3]),
        frame(PING, b"between"),
        frame(LAST, &HELLO[3..]),
    ];
    let expected = [ping(b"between"), text("Hello")];
    assert_eq!(events(self_contained(), &bytes.concat()), expected);
}

#[test]
fn a_message_may_refer_to_the_one_before_if_contexts_are_taken_over() {
    let first = frame(TEXT | RSV1, &HELLO);
    let second = frame(TEXT | RSV1, &HELLO_AGAIN);
    let bytes = [&first[..], &second, &second].concat();
    for bits in 8..=15 {
        let hello = text("Hello");
        let expected = [hello.clone(), hello.clone(), hello];
        assert_eq!(events(takeover(bits), &bytes), expected);
    }
}

#[test]
fn a_message_may_not_refer_to_the_one_before_if_contexts_are_not_taken_over() {
    let bytes = [frame(TEXT | RSV1, &HELLO), frame(TEXT | RSV1, &HELLO_AGAIN)];
    let said = said(self_contained(), Limits::default(), &bytes.concat());
    assert_eq!(said.events, [text("Hello")]);
    assert_eq!(said.error, Some(ProtocolError::InvalidDeflate));
}

#[test]
fn stored_final_and_several_blocks_are_inflated() {
    for payload in [
        // A block without compression (§7.2.3.3).
        &[
            0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
        ][..],
        // A block marked as final (§7.2.3.4), with and without the padding behind it.
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
        // Two blocks (§7.2.3.5).
        &[
            0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
        ],
    ] {
        let bytes = frame(TEXT | RSV1, payload);
        assert_eq!(events(self_contained(), &bytes), [text("Hello")]);
    }
}

#[test]
fn an_empty_message_may_be_compressed_in_any_way() {
    // §7.2.3.6; and no byte at all, which some clients send.
    for payload in [&[0x00][..], &[0x02, 0x00], &[]] {
        let bytes = [
            frame(TEXT | RSV1, payload),
            frame(BINARY_START | RSV1, b""),
            frame(LAST, payload),
        ];
        let expected = [text(""), binary(b"")];
        assert_eq!(events(self_contained(), &bytes.concat()), expected);
    }
}

#[test]
fn blocks_behind_a_final_one_may_refer_to_what_was_before_it() {
    // "Hello" in a final block, then a block that repeats it.
    let final_hello = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let within = [&final_hello[..], &HELLO_AGAIN].concat();
    let bytes = frame(TEXT | RSV1, &within);
    assert_eq!(events(self_contained(), &bytes), [text("HelloHello")]);

    // The same across messages.
    let bytes = [
        frame(TEXT | RSV1, &final_hello),
        frame(TEXT | RSV1, &HELLO_AGAIN),
    ];
    let expected = [text("Hello"), text("Hello")];
    assert_eq!(events(takeover(15), &bytes.concat()), expected);
}

#[test]
fn compressed_and_uncompressed_messages_may_alternate() {
    let bytes = [
        frame(TEXT, b"plain"),
        frame(TEXT | RSV1, &HELLO),
        frame(BINARY_START, b"pl"),
        frame(LAST, b"ain"),
        // Data that was sent uncompressed is not in the window (§7.2.1).
        frame(BINARY | RSV1, &HELLO_AGAIN),
    ];
    let expected = [
        text("plain"),
        text("Hello"),
        binary(b"plain"),
        binary(b"Hello"),
    ];
    assert_eq!(events(takeover(15), &bytes.concat()), expected);
}

// Hostile messages.

#[test]
fn reserved_bits_mean_nothing_where_nothing_was_agreed_on() {
    let decoded = crate::wire::said(Role::Server, Limits::default(), &frame(TEXT | RSV1, &HELLO));
    assert_eq!(decoded.error, Some(ProtocolError::ReservedBit));
}

#[test]
fn rsv1_on_anything_but_a_messages_first_frame_is_a_violation() {
    for wrong in [
        frame(PING | RSV1, b""),
        frame(CLOSE | RSV1, b""),
        frame(TEXT | RSV2, &HELLO),
        frame(TEXT | RSV3, &HELLO),
        frame(TEXT | RSV1 | RSV2, &HELLO),
        frame(TEXT | RSV1 | RSV3, &HELLO),
        [frame(TEXT_START, b""), frame(LAST | RSV1, b"")].concat(),
        [frame(TEXT_START | RSV1, &HELLO), frame(MORE | RSV1, b"")].concat(),
    ] {
        let error = error(takeover(15), Limits::default(), &wrong);
        assert_eq!(error, ProtocolError::ReservedBit, "{wrong:02x?}");
        assert_eq!(error.close_code().as_u16(), 1002);
    }
}

#[test]
fn what_is_not_deflate_data_is_refused() {
    for payload in [
        // A block of the reserved kind.
        &[0x06][..],
        &[0xff, 0xff],
        b"not compressed at all",
        // A stored block whose lengths do not match.
        &[0x00, 0x05, 0x00, 0x05, 0x00, 0x48],
        // Lengths of codes that make no code.
        &[0x04, 0x00, 0xfe, 0xff, 0xff, 0xff, 0xff],
        // Refers to data before the message.
        &HELLO_AGAIN,
        &[0x02, 0x03, 0x00],
        // Is cut inside a block.
        &HELLO[..3],
        &HELLO[..5],
        &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48],
        // Continues after a final block with something else.
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0xff],
    ] {
        let error = error(
            self_contained(),
            Limits::default(),
            &frame(TEXT | RSV1, payload),
        );
        assert_eq!(error, ProtocolError::InvalidDeflate, "{payload:02x?}");
        assert_eq!(error.close_code().as_u16(), 1007);
    }
}

#[test]
fn a_message_of_nothing_but_final_blocks_is_refused_in_the_end() {
    let of_blocks = |count: usize| frame(BINARY | RSV1, &[0x03, 0x00].repeat(count));
    assert_eq!(events(self_contained(), &of_blocks(200)), [binary(b"")]);
    let error = error(self_contained(), Limits::default(), &of_blocks(300));
    assert_eq!(error, ProtocolError::InvalidDeflate);
}

#[test]
fn compressed_text_that_is_not_utf8_is_refused_as_it_arrives() {
    for bad in [&b"\xff"[..], b"ab\xed\xa0\x80", b"\xe2\x82"] {
        let error = error(
            self_contained(),
            Limits::default(),
            &frame(TEXT | RSV1, &stored(bad)),
        );
        assert_eq!(error, ProtocolError::InvalidText, "{bad:02x?}");
        assert_eq!(error.close_code().as_u16(), 1007);
    }
    // The bad byte has come, the end of the frame has not.
    let payload = stored(b"ab\xffcdefgh");
    let mut decoder = decoder(self_contained(), Limits::default());
    let mut bytes = frame(TEXT_START | RSV1, &payload);
    let length = bytes.len() - "cdefgh".len() - 1;
    let refused = decoder.decode(&mut &mut bytes[..length]);
    assert_eq!(refused, Err(ProtocolError::InvalidText));
}

#[test]
fn text_is_cut_anywhere_by_blocks_and_frames() {
    let poem = "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich 😀";
    for cut in 0..=poem.len() {
        let (front, back) = poem.as_bytes().split_at(cut);
        let mut payload = stored(front);
        // The empty block is not at the end here.
        payload.extend([0, 0, 0xff, 0xff]);
        let bytes = [
            frame(TEXT_START | RSV1, &payload),
            frame(LAST, &stored(back)),
        ];
        assert_eq!(events(self_contained(), &bytes.concat()), [text(poem)]);
    }
}

// Limits.

#[test]
fn a_message_of_exactly_the_limit_is_delivered_and_one_byte_more_is_refused() {
    let limit = 70_000;
    let limits = Limits::message(limit);
    let mut noise = 1_u32;
    let mut next = || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (noise >> 24) as u8
    };
    for params in [self_contained(), takeover(15)] {
        for content in [vec![0; limit + 1], (0..=limit).map(|_| next()).collect()] {
            let mut payload = vec![0; content.len() + content.len() / 8];
            let mut stream = Compress::new(Compression::default(), false);
            let mut compress = |content: &[u8]| {
                stream.reset();
                let flush = FlushCompress::Sync;
                stream.compress(content, &mut payload, flush).unwrap();
                payload[..stream.total_out() as usize - 4].to_vec()
            };
            for whole in [compress(&content[..limit]), stored(&content[..limit])] {
                let bytes = frame(BINARY | RSV1, &whole);
                let said = said(params, limits, &bytes);
                assert_eq!(said.error, None);
                assert_eq!(said.events, [binary(&content[..limit])]);
            }
            for over in [compress(&content), stored(&content)] {
                let error = error(params, limits, &frame(BINARY | RSV1, &over));
                assert_eq!(error, ProtocolError::MessageTooBig { limit });
                assert_eq!(error.close_code().as_u16(), 1009);
            }
        }
    }
}

#[test]
fn a_bomb_is_refused_at_the_first_byte_over_the_limit() {
    let limit = 64 * 1024;
    let limits = Limits::message(limit);
    let bomb = zeros(200 * limit);
    assert!(bomb.len() < limit);

    let whole = frame(BINARY | RSV1, &bomb);
    let in_fragments: Vec<u8> = bomb
        .chunks(100)
        .enumerate()
        .flat_map(|(index, piece)| {
            frame(
                if index == 0 {
                    BINARY_START | RSV1
                } else {
                    MORE
                },
                piece,
            )
        })
        .collect();
    let text = frame(TEXT | RSV1, &bomb);
    for bytes in [whole, in_fragments, text] {
        let error = error(self_contained(), limits, &bytes);
        assert_eq!(error, ProtocolError::MessageTooBig { limit });
    }
}

#[test]
fn twenty_bombs_leave_nothing_behind() {
    let limit = 64 * 1024;
    let mut inflater = Inflater::new();
    let bytes = frame(BINARY | RSV1, &zeros(200 * limit));
    for _ in 0..20 {
        let mut decoder = decoder(takeover(15), Limits::message(limit));
        let mut said = Said {
            events: Vec::new(),
            error: None,
        };
        feed_with(&mut decoder, Some(&mut inflater), &bytes, &mut said);
        assert_eq!(said.error, Some(ProtocolError::MessageTooBig { limit }));
        assert_eq!(decoder.buffered(), 0);
    }
}

#[test]
fn a_compressed_frame_that_announces_more_than_compressing_can_add_is_refused_at_once() {
    let limit = 1000;
    let limits = Limits::message(limit);
    let params = self_contained();
    for first in [TEXT | RSV1, BINARY_START | RSV1] {
        let refused = error(params, limits, &header(first, 1000 + 125 + 64 + 1));
        assert_eq!(refused, ProtocolError::MessageTooBig { limit });
        let allowed = said(params, limits, &header(first, 1000 + 125 + 64));
        assert_eq!(allowed.error, None);
    }
    let limits = limits.frame(400);
    let refused = error(params, limits, &header(BINARY_START | RSV1, 600));
    assert_eq!(refused, ProtocolError::FrameTooBig { limit: 400 });
    // Uncompressed frames have no allowance.
    let refused = error(params, limits, &header(BINARY_START, 401));
    assert_eq!(refused, ProtocolError::FrameTooBig { limit: 400 });
}

// Memory between messages.

#[test]
fn between_compressed_messages_nothing_is_kept_without_takeover() {
    let mut decoder = decoder(self_contained(), Limits::default());
    let mut inflater = Inflater::new();
    let message = frame(BINARY | RSV1, &stored(&[b'x'; 50_000]));
    let (front, back) = message.split_at(message.len() / 2);
    let mut said = Said {
        events: Vec::new(),
        error: None,
    };
    for _ in 0..3 {
        feed_with(&mut decoder, Some(&mut inflater), front, &mut said);
        assert!(decoder.buffered() > 0);
        feed_with(&mut decoder, Some(&mut inflater), back, &mut said);
        assert_eq!(decoder.buffered(), 0);
    }
    assert_eq!(said.events.len(), 3);
    assert_eq!(size_of::<Decoder>(), 24);
}

#[test]
fn between_compressed_messages_the_window_is_kept_with_takeover() {
    for bits in 8..=15 {
        let mut decoder = decoder(takeover(bits), Limits::default());
        let mut inflater = Inflater::new();
        let mut said = Said {
            events: Vec::new(),
            error: None,
        };
        let mut feed = |bytes: &[u8]| {
            feed_with(&mut decoder, Some(&mut inflater), bytes, &mut said);
            decoder.buffered()
        };
        assert_eq!(feed(b""), 0);
        assert!(feed(&frame(BINARY | RSV1, &stored(b"small"))) < 300);
        for size in [100, 5_000, 60_000, 3] {
            let kept = feed(&frame(BINARY | RSV1, &stored(&vec![b'x'; size])));
            assert!(kept <= (1 << bits) + 250, "{kept} bytes with {bits} bits");
        }
        assert_eq!(said.error, None);
    }
}

// Sent messages.

/// A text with repetitions, near and far.
fn repetitive(length: usize) -> String {
    let words = [
        "room",
        "\"user\":",
        "Zoë ",
        "{\"type\":\"update\"}",
        "1234567",
        " and ",
    ];
    let mut state = 7_usize;
    let mut text = String::new();
    while text.len() < length {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        text.push_str(words[state / 65_536 % words.len()]);
        text.push_str(&(state / 65_536 % 97).to_string());
    }
    text
}

#[test]
fn a_compressed_frame_refers_back_no_farther_than_the_window_agreed_on() {
    let text = repetitive(100_000);
    for level in 1..=9 {
        let mut deflater = Deflater::new();
        for bits in 8..=15 {
            let config = DeflateConfig::default()
                .level(level)
                .server_max_window_bits(bits);
            let params = agreed(&config, &DeflateConfig::default());
            assert_eq!(params.server_max_window_bits(), bits);
            let frame = Frame::text(&text).deflated(params, &config, &mut deflater);
            assert_eq!(frame.as_bytes()[..2], [TEXT | RSV1, 126]);
            let inflated = inflate(&frame.as_bytes()[4..]);
            assert!(inflated.bytes == text.as_bytes());
            let window = 1 << bits;
            assert!(
                inflated.distance <= window,
                "{} of {window}, level {level}",
                inflated.distance
            );
            // And the level is used.
            assert!(inflated.distance > window / 4);
        }
    }
}

#[test]
fn a_frame_is_compressed_once_for_all_who_need_the_same_form() {
    let mut deflater = Deflater::new();
    let config = DeflateConfig::default();
    let frame = Frame::text(&repetitive(2_000));
    let (first, second) = (frame.clone(), frame.clone());
    let form = |frame: &Frame, bits, deflater: &mut Deflater| {
        let client = config.server_max_window_bits(bits);
        frame.deflated(agreed(&config, &client), &config, deflater)
    };
    let deflated = form(&first, 15, &mut deflater);
    let again = form(&second, 15, &mut Deflater::new());
    assert_eq!(deflated.as_bytes().as_ptr(), again.as_bytes().as_ptr());

    let smaller_window = form(&frame, 9, &mut deflater);
    assert_ne!(
        smaller_window.as_bytes().as_ptr(),
        deflated.as_bytes().as_ptr()
    );
    let eight = form(&frame, 8, &mut deflater);
    assert_eq!(
        eight.as_bytes().as_ptr(),
        smaller_window.as_bytes().as_ptr()
    );

    assert!(deflated.len() * 2 < frame.len());
    assert_eq!(deflated.opcode(), frame.opcode());
    // Not compressed again.
    assert_eq!(form(&deflated, 15, &mut deflater), deflated);
}

#[test]
fn what_is_not_worth_it_is_sent_as_it_is() {
    let mut deflater = Deflater::new();
    let params = self_contained();
    let config = DeflateConfig::default();
    let frames = [
        Frame::text(&"a".repeat(255)),
        Frame::ping(&[b'a'; 125]).unwrap(),
        Frame::text(&"a".repeat(1_000)).uncompressed(),
        Frame::binary(b""),
    ];
    for frame in frames {
        assert_eq!(frame.deflated(params, &config, &mut deflater), frame);
    }
    let frame = Frame::text(&"a".repeat(256));
    assert_ne!(frame.deflated(params, &config, &mut deflater), frame);

    let as_small_as_can_be = Frame::binary(&incompressible());
    let sent = as_small_as_can_be.deflated(params, &config, &mut deflater);
    assert_eq!(sent, as_small_as_can_be);

    let everything = config.threshold(0);
    let tiny = Frame::text(&"a".repeat(64));
    assert_eq!(tiny.deflated(params, &everything, &mut deflater), tiny);
    let small = Frame::text(&"a".repeat(65));
    assert_ne!(small.deflated(params, &everything, &mut deflater), small);
}

/// Compressed data does not get smaller when it is compressed again.
fn incompressible() -> Vec<u8> {
    let text = repetitive(3_000);
    let mut out = Vec::with_capacity(text.len());
    let mut stream = Compress::new(Compression::best(), false);
    let status = stream.compress_vec(text.as_bytes(), &mut out, FlushCompress::Finish);
    assert!(matches!(status, Ok(flate2::Status::StreamEnd)));
    assert!(out.len() > 300);
    out
}

#[test]
fn long_messages_that_get_no_shorter_leave_no_trace_in_the_shared_state() {
    let noise = |length: usize| {
        let mut state = length as u64 | 1;
        let next = |_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        };
        (0..length).map(next).collect::<Vec<u8>>()
    };
    let text = repetitive(2_000);
    let params = self_contained();
    for level in 1..=9 {
        let config = DeflateConfig::default().level(level);
        let mut deflater = Deflater::new();
        for length in [
            300, 5_000, 33_000, 65_536, 70_000, 131_072, 500_000, 1_000_000,
        ] {
            let frame = Frame::binary(&noise(length));
            assert_eq!(frame.deflated(params, &config, &mut deflater), frame);
            let frame = Frame::text(&text).deflated(params, &config, &mut deflater);
            assert_eq!(frame.as_bytes()[..2], [TEXT | RSV1, 126]);
            assert!(inflate(&frame.as_bytes()[4..]).bytes == text.as_bytes());
        }
    }
}

#[test]
fn with_takeover_a_repeated_message_costs_a_few_bytes() {
    let config = DeflateConfig::default().client_no_context_takeover(false);
    let text = repetitive(1_000);
    let mut taking_over = DeflateContext::new(Role::Client, takeover(15), &config);
    let mut fresh = DeflateContext::new(Role::Client, self_contained(), &config);
    let first = taking_over.deflate(text.as_bytes()).unwrap();
    assert_eq!(fresh.deflate(text.as_bytes()).as_ref(), Some(&first));
    assert_eq!(fresh.deflate(text.as_bytes()).as_ref(), Some(&first));
    let second = taking_over.deflate(text.as_bytes()).unwrap();
    assert!(second.len() < 30, "{} bytes", second.len());
    assert_eq!(taking_over.deflate(b"below the threshold"), None);
}

#[test]
fn a_context_that_saw_what_was_not_sent_does_not_refer_to_it() {
    let config = DeflateConfig::default()
        .client_no_context_takeover(false)
        .threshold(0);
    let params = takeover(15);
    let mut context = DeflateContext::new(Role::Client, params, &config);
    let noise = incompressible();
    // No shorter, so it is sent as it is and is not in the peer's window.
    assert_eq!(context.deflate(&noise), None);
    let twice = noise.repeat(2);
    let deflated = context.deflate(&twice).unwrap();
    let bytes = [frame(BINARY, &noise), frame(BINARY | RSV1, &deflated)];
    let expected = [binary(&noise), binary(&twice)];
    assert_eq!(events(params, &bytes.concat()), expected);
}

#[test]
fn a_client_inflates_what_a_server_compressed() {
    let bytes = unmasked(TEXT | RSV1, &HELLO);
    let mut decoder = Decoder::new(Role::Client, Limits::default()).with_deflate(takeover(8));
    let mut said = Said {
        events: Vec::new(),
        error: None,
    };
    feed_with(&mut decoder, None, &bytes, &mut said);
    assert_eq!(said.events, [text("Hello")]);
}
