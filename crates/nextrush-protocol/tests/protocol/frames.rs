//! Decoded frames, rule by rule.

use std::borrow::Cow;

use nextrush_protocol::{CloseCode, CloseFrame, Decoder, Event, Limits, ProtocolError, Role};

use crate::wire::{
    BINARY, BINARY_START, CLOSE, LAST, MASK, MORE, PING, PONG, Said, TEXT, TEXT_START, binary,
    bytes_until_error, decode, error, events, feed, frame, header, ping, pong, said, text,
    unmasked,
};

/// A decoder's own bookkeeping for something incomplete, in bytes.
const BOOKKEEPING: usize = 128;

fn limited(bytes: usize, input: &[u8]) -> Said {
    said(Role::Server, Limits::message(bytes), input)
}

fn too_big(limit: usize) -> ProtocolError {
    ProtocolError::MessageTooBig { limit }
}

// Messages and the frames between them.

#[test]
fn text_and_binary_messages_of_every_length_form_arrive_whole() {
    for length in [0, 1, 3, 4, 5, 63, 64, 65, 125, 126, 127, 65_535, 65_536] {
        let payload = "x".repeat(length);
        assert_eq!(events(&frame(TEXT, payload.as_bytes())), [text(&payload)]);
        let data: Vec<u8> = (0..length).map(|i| i as u8).collect();
        assert_eq!(events(&frame(BINARY, &data)), [binary(&data)]);
    }
}

#[test]
fn many_frames_in_one_piece_come_out_one_by_one() {
    let bytes = [
        frame(TEXT, b"one"),
        frame(PING, b"?"),
        frame(BINARY, b"two"),
        frame(TEXT, b"three"),
    ];
    let expected = [text("one"), ping(b"?"), binary(b"two"), text("three")];
    assert_eq!(events(&bytes.concat()), expected);
}

#[test]
fn a_message_that_lies_wholly_in_the_input_is_lent_without_a_copy() {
    let mut bytes = [
        frame(TEXT, b"text"),
        frame(BINARY, b"binary"),
        frame(PING, b"!"),
    ]
    .concat();
    let range = bytes.as_ptr_range();
    let mut input = bytes.as_mut_slice();
    let mut decoder = Decoder::new(Role::Server, Limits::default());
    let mut lent = Vec::new();
    while let Some(event) = decoder.decode(&mut input).unwrap() {
        match event {
            Event::Text(Cow::Borrowed(text)) => lent.push(text.as_bytes()),
            Event::Binary(Cow::Borrowed(data)) | Event::Ping(Cow::Borrowed(data)) => {
                lent.push(data);
            }
            event => panic!("{event:?} is a copy"),
        }
    }
    assert_eq!(lent, [b"text".as_slice(), b"binary", b"!"]);
    assert!(lent.iter().all(|payload| range.contains(&payload.as_ptr())));
}

#[test]
fn a_message_is_lent_even_if_its_header_came_in_an_earlier_piece() {
    let mut bytes = frame(TEXT, b"text");
    let (mut first, mut second) = bytes.split_at_mut(5);
    let mut decoder = Decoder::new(Role::Server, Limits::default());
    assert_eq!(decoder.decode(&mut first), Ok(None));
    let event = decoder.decode(&mut second).unwrap();
    assert!(matches!(event, Some(Event::Text(Cow::Borrowed("text")))));
    assert_eq!(decoder.buffered(), 0);
}

#[test]
fn an_idle_decoder_is_24_bytes_and_holds_nothing() {
    assert!(size_of::<Decoder>() <= 24);
    let bytes = [
        frame(TEXT, b"whole"),
        frame(TEXT_START, b"frag"),
        frame(PING, b"?"),
        frame(LAST, b"mented"),
    ];
    let bytes = bytes.concat();
    let (_, decoder) = decode(Role::Server, Limits::default(), [&bytes[..]]);
    assert_eq!(decoder.buffered(), 0);
    let (_, decoder) = decode(Role::Server, Limits::default(), bytes.chunks(1));
    assert_eq!(decoder.buffered(), 0);
}

#[test]
fn an_unfinished_message_counts_as_buffered_from_its_first_byte() {
    let bytes = [frame(TEXT_START, b""), frame(MORE, b""), frame(LAST, b"")].concat();
    let mut decoder = Decoder::new(Role::Server, Limits::default());
    let mut said = Said {
        events: Vec::new(),
        error: None,
    };
    for byte in &bytes {
        assert_eq!(said.events, []);
        feed(&mut decoder, &[*byte], &mut said);
        assert_eq!(decoder.buffered() > 0, said.events.is_empty());
    }
    assert_eq!(said.events, [text("")]);
}

#[test]
fn a_ping_inside_a_fragmented_message_comes_out_at_once() {
    let bytes = [
        frame(TEXT_START, b"be"),
        frame(PING, b"now"),
        frame(MORE, b"fo"),
        frame(PONG, b"unasked"),
        frame(LAST, b"re"),
    ];
    let expected = [ping(b"now"), pong(b"unasked"), text("before")];
    assert_eq!(events(&bytes.concat()), expected);

    let (said, _) = decode(Role::Server, Limits::default(), [&bytes[..2].concat()[..]]);
    assert_eq!(said.events, [ping(b"now")]);
}

#[test]
fn a_close_inside_a_fragmented_message_ends_it() {
    let bytes = [
        frame(TEXT_START, b"lost"),
        frame(CLOSE, b""),
        frame(LAST, b"!"),
    ];
    assert_eq!(events(&bytes.concat()), [Event::Close(None)]);
}

#[test]
fn control_frames_may_be_empty_or_125_bytes_long() {
    let full = [b'p'; 125];
    let bytes = [
        frame(PING, b""),
        frame(PING, &full),
        frame(PONG, b""),
        frame(PONG, &full),
    ];
    let expected = [ping(b""), ping(&full), pong(b""), pong(&full)];
    assert_eq!(events(&bytes.concat()), expected);
}

// Masking, by role (RFC 6455 §5.1).

#[test]
fn an_unmasked_frame_from_a_client_is_refused() {
    let inside = [frame(TEXT_START, b""), unmasked(LAST, b"x")].concat();
    for bytes in [
        unmasked(TEXT, b"x"),
        unmasked(BINARY, b""),
        unmasked(PING, b"x"),
        unmasked(CLOSE, b""),
        inside,
    ] {
        assert_eq!(error(&bytes), ProtocolError::Unmasked);
    }
}

#[test]
fn a_masked_frame_from_a_server_is_refused() {
    for first in [TEXT, PING, CLOSE] {
        let said = said(Role::Client, Limits::default(), &frame(first, b"xy"));
        assert_eq!(said.events, []);
        assert_eq!(said.error, Some(ProtocolError::Masked));
    }
}

#[test]
fn a_mask_of_zeros_is_a_mask() {
    let bytes = b"\x81\x82\x00\x00\x00\x00hi";
    assert_eq!(events(bytes), [text("hi")]);
}

// The first byte (RFC 6455 §5.2, §5.4, §5.5).

#[test]
fn reserved_bits_are_refused_on_every_frame() {
    for bit in [0x40, 0x20, 0x10, 0x70] {
        for first in [TEXT, BINARY, TEXT_START, CLOSE, PING, PONG] {
            assert_eq!(error(&frame(first | bit, b"")), ProtocolError::ReservedBit);
        }
        let inside = [frame(TEXT_START, b""), frame(LAST | bit, b"")].concat();
        assert_eq!(error(&inside), ProtocolError::ReservedBit);
    }
}

#[test]
fn reserved_opcodes_are_refused() {
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        let expected = ProtocolError::ReservedOpcode(opcode);
        assert_eq!(error(&frame(0x80 | opcode, b"x")), expected);
        assert_eq!(error(&frame(opcode, b"")), expected);
    }
}

#[test]
fn fragmented_control_frames_are_refused() {
    for first in [CLOSE, PING, PONG] {
        let bytes = frame(first & 0x7F, b"");
        assert_eq!(error(&bytes), ProtocolError::FragmentedControl);
    }
}

#[test]
fn a_continuation_without_a_message_is_refused() {
    assert_eq!(
        error(&frame(MORE, b"x")),
        ProtocolError::UnexpectedContinuation
    );
    assert_eq!(
        error(&frame(LAST, b"x")),
        ProtocolError::UnexpectedContinuation
    );

    let after_the_end = [
        frame(TEXT_START, b"a"),
        frame(LAST, b"b"),
        frame(LAST, b"c"),
    ];
    let said = limited(100, &after_the_end.concat());
    assert_eq!(said.events, [text("ab")]);
    assert_eq!(said.error, Some(ProtocolError::UnexpectedContinuation));
}

#[test]
fn a_new_message_inside_a_message_is_refused() {
    for start in [TEXT_START, BINARY_START] {
        for second in [TEXT, BINARY, TEXT_START, BINARY_START] {
            let bytes = [frame(start, b"a"), frame(second, b"b")].concat();
            assert_eq!(error(&bytes), ProtocolError::UnfinishedMessage);
        }
    }
}

// The length (RFC 6455 §5.2, §5.5).

#[test]
fn control_frames_of_more_than_125_bytes_are_refused() {
    for first in [CLOSE, PING, PONG] {
        let bytes = frame(first, &[0; 126]);
        assert_eq!(error(&bytes), ProtocolError::OversizedControl);
        let bytes = [&[first, 0xFF][..], &[0, 0, 0, 0, 0, 0, 0, 5], &MASK].concat();
        assert_eq!(error(&bytes), ProtocolError::OversizedControl);
    }
}

#[test]
fn a_length_not_in_its_shortest_form_is_refused() {
    for length in [0u16, 1, 125] {
        let bytes = [&[BINARY, 0xFE][..], &length.to_be_bytes(), &MASK].concat();
        assert_eq!(error(&bytes), ProtocolError::LengthNotMinimal);
    }
    for length in [0u64, 125, 126, 65_535] {
        let bytes = [&[BINARY, 0xFF][..], &length.to_be_bytes(), &MASK].concat();
        assert_eq!(error(&bytes), ProtocolError::LengthNotMinimal);
    }
}

#[test]
fn a_length_with_its_highest_bit_set_is_refused() {
    for length in [1 << 63, u64::MAX] {
        let bytes = header(BINARY, length);
        assert_eq!(error(&bytes), ProtocolError::LengthOverflow);
    }
}

#[test]
fn gigantic_lengths_are_refused_by_the_header_alone() {
    for length in [(1 << 63) - 1, (1 << 32) + 10, 1 << 32, 65_537] {
        let bytes = header(BINARY, length);
        assert_eq!(error(&bytes), too_big(65_536));
        // The mask need not have come.
        assert_eq!(bytes_until_error(Limits::default(), &bytes), Some(10));
    }
}

#[test]
fn a_limit_beyond_32_bits_still_holds_at_4_gib() {
    let limits = Limits::message(usize::MAX);
    let said = said(Role::Server, limits, &header(BINARY, 1 << 32));
    assert_eq!(said.error, Some(too_big(u32::MAX as usize)));
    let (said, decoder) = decode(
        Role::Server,
        limits,
        [&header(BINARY, u64::from(u32::MAX))[..]],
    );
    assert_eq!(said.error, None);
    assert!(decoder.buffered() <= BOOKKEEPING);
}

// Limits.

#[test]
fn a_message_of_exactly_the_limit_is_delivered() {
    let data = [7; 1000];
    let fragments = [frame(BINARY_START, &data[..600]), frame(LAST, &data[600..])];
    for bytes in [frame(BINARY, &data), fragments.concat()] {
        assert_eq!(limited(1000, &bytes).events, [binary(&data)]);
    }
}

#[test]
fn one_byte_over_the_limit_is_refused() {
    let data = [7; 1001];
    let in_fragments = [frame(BINARY_START, &data[..600]), frame(LAST, &data[600..])];
    let in_text = [frame(TEXT_START, &data[..1000]), frame(MORE, &data[..1])];
    for bytes in [
        frame(BINARY, &data),
        in_fragments.concat(),
        in_text.concat(),
    ] {
        let said = limited(1000, &bytes);
        assert_eq!(said.events, []);
        assert_eq!(said.error, Some(too_big(1000)));
    }
}

#[test]
fn control_frames_do_not_count_for_the_limit() {
    let bytes = [
        frame(BINARY_START, b"12345"),
        frame(PING, &[0; 125]),
        frame(LAST, b"67890"),
        frame(BINARY_START, b"12345"),
        frame(PING, b""),
        frame(LAST, b"67890!"),
    ];
    let said = limited(10, &bytes.concat());
    let expected = [ping(&[0; 125]), binary(b"1234567890"), ping(b"")];
    assert_eq!(said.events, expected);
    assert_eq!(said.error, Some(too_big(10)));
}

#[test]
fn a_limit_of_nothing_lets_empty_messages_pass() {
    assert_eq!(limited(0, &frame(TEXT, b"")).events, [text("")]);
    assert_eq!(limited(0, &frame(TEXT, b"x")).error, Some(too_big(0)));
}

#[test]
fn a_frame_limit_below_the_message_limit_holds_for_each_frame() {
    let limits = Limits::message(100).frame(10);
    let bytes = [frame(BINARY_START, &[1; 10]), frame(LAST, &[1; 10])].concat();
    assert_eq!(
        said(Role::Server, limits, &bytes).events,
        [binary(&[1; 20])]
    );

    let refused = said(Role::Server, limits, &frame(BINARY, &[1; 11]));
    let expected = ProtocolError::FrameTooBig { limit: 10 };
    assert_eq!(refused.error, Some(expected));
    assert_eq!(expected.close_code(), CloseCode::MESSAGE_TOO_BIG);
}

#[test]
fn an_announced_payload_reserves_no_memory() {
    let limits = Limits::message(16 * 1024 * 1024);
    for first in [TEXT, BINARY, BINARY_START] {
        let bytes = [header(first, 16 * 1024 * 1024), vec![MASK[0]]].concat();
        let (said, decoder) = decode(Role::Server, limits, [&bytes[..]]);
        assert_eq!((said.events.len(), said.error), (0, None));
        assert!(decoder.buffered() <= 256 + BOOKKEEPING);
    }
}

#[test]
fn a_buffer_never_outgrows_the_longest_its_message_can_become() {
    let fragments = frame(BINARY_START, &[7; 100]);
    let fragments = [&fragments[..], &frame(MORE, &[7; 100]).repeat(5)].concat();
    for (bytes, longest) in [
        (fragments, 700),                // the limit
        (frame(BINARY, &[7; 600]), 600), // a last frame's end
        (frame(TEXT, "é".repeat(300).as_bytes()), 600),
    ] {
        let mut decoder = Decoder::new(Role::Server, Limits::message(700));
        let mut said = Said {
            events: Vec::new(),
            error: None,
        };
        let mut most = 0;
        for byte in &bytes {
            feed(&mut decoder, &[*byte], &mut said);
            most = most.max(decoder.buffered());
        }
        assert_eq!(said.error, None);
        assert!(most <= longest + BOOKKEEPING, "{most} bytes for {longest}");
    }
}

#[test]
fn fragments_of_one_byte_or_none_cost_no_memory_of_their_own() {
    let one = frame(MORE, b"x").repeat(65_535);
    let none = frame(MORE, b"").repeat(300_000);
    for first in [TEXT_START, BINARY_START] {
        let start = frame(first, b"x");
        let pieces = [&start[..], &one, &none];
        let (said, mut decoder) = decode(Role::Server, Limits::default(), pieces);
        assert_eq!((said.events.len(), said.error), (0, None));
        assert!(decoder.buffered() <= 65_536 + BOOKKEEPING);

        let mut said = said;
        feed(&mut decoder, &frame(LAST, b""), &mut said);
        let whole = "x".repeat(65_536);
        let expected = match first {
            TEXT_START => text(&whole),
            _ => binary(whole.as_bytes()),
        };
        assert_eq!(said.events, [expected]);
    }
}

// Text (RFC 6455 §8.1).

const BAD_TEXT: [&[u8]; 14] = [
    b"\xff",                                 // no such byte
    b"\xfe",                                 //
    b"\x80",                                 // continuation without a start
    b"\xbf\xbf",                             //
    b"\xc0\xaf",                             // overlong
    b"\xc1\xbf",                             //
    b"\xe0\x80\xaf",                         //
    b"\xf0\x80\x80\xaf",                     //
    b"\xed\xa0\x80",                         // surrogate
    b"\xed\xa0\x81\xed\xb0\x80",             // pair of surrogates
    b"\xf4\x90\x80\x80",                     // beyond U+10FFFF
    b"\xf8\x88\x80\x80\x80",                 // five bytes
    b"\xe2\x82",                             // cut off
    b"\xce\xba\xe1\xbd\xb9\xcf\xed\xa0\x80", // in the midst of good text
];

#[test]
fn text_that_is_not_utf_8_is_refused_in_one_frame_and_in_many() {
    for bad in BAD_TEXT {
        for padding in ["", "good text before, ", &"0123456789".repeat(10)] {
            let bytes = [padding.as_bytes(), bad].concat();
            assert_eq!(error(&frame(TEXT, &bytes)), ProtocolError::InvalidText);

            let mut fragments = frame(TEXT_START, b"");
            for byte in &bytes {
                fragments.extend(frame(MORE, &[*byte]));
            }
            fragments.extend(frame(LAST, b""));
            assert_eq!(error(&fragments), ProtocolError::InvalidText);
        }
    }
}

#[test]
fn binary_need_not_be_utf_8() {
    for bad in BAD_TEXT {
        assert_eq!(events(&frame(BINARY, bad)), [binary(bad)]);
    }
}

#[test]
fn a_bad_byte_is_refused_when_it_comes() {
    // In a frame that continues: a header of 6 bytes, then the fourth of 11.
    let in_frame = frame(TEXT, b"abc\xffdefghij");
    assert_eq!(bytes_until_error(Limits::default(), &in_frame), Some(10));

    // In a message that continues: two frames of 6 + 3 bytes, the last one bad.
    let in_message = [frame(TEXT_START, b"abc"), frame(MORE, b"de\xff")].concat();
    assert_eq!(bytes_until_error(Limits::default(), &in_message), Some(18));

    // A surrogate shows in its second byte.
    let surrogate = [frame(TEXT_START, b"\xed"), frame(MORE, b"\xa0\x80")].concat();
    assert_eq!(bytes_until_error(Limits::default(), &surrogate), Some(14));
}

#[test]
fn a_character_may_be_split_at_every_byte() {
    let message = "aé€😀";
    for cut in 0..=message.len() {
        let (start, end) = message.as_bytes().split_at(cut);
        let bytes = [frame(TEXT_START, start), frame(PING, b""), frame(LAST, end)].concat();
        assert_eq!(events(&bytes), [ping(b""), text(message)]);
    }
}

// Close (RFC 6455 §5.5.1, §7.4).

fn close_payload(code: u16, reason: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason].concat()
}

#[test]
fn a_close_comes_with_its_code_and_reason() {
    assert_eq!(events(&frame(CLOSE, b"")), [Event::Close(None)]);
    for code in [1000, 1001, 1002, 1003, 1007, 1014, 3000, 3999, 4000, 4999] {
        let reason = "grüße";
        let bytes = frame(CLOSE, &close_payload(code, reason.as_bytes()));
        let expected = CloseFrame::new(CloseCode::new(code), reason);
        assert_eq!(events(&bytes), [Event::Close(Some(expected))]);
    }
}

#[test]
fn a_close_of_one_byte_is_refused() {
    assert_eq!(
        error(&frame(CLOSE, b"\x03")),
        ProtocolError::TruncatedCloseCode
    );
}

#[test]
fn close_codes_that_must_not_be_sent_are_refused() {
    for code in [
        0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
    ] {
        let expected = ProtocolError::InvalidCloseCode(CloseCode::new(code));
        assert_eq!(error(&frame(CLOSE, &close_payload(code, b"why"))), expected);
    }
}

#[test]
fn a_close_reason_that_is_not_utf_8_is_refused() {
    for bad in BAD_TEXT {
        let bytes = frame(CLOSE, &close_payload(1000, bad));
        assert_eq!(error(&bytes), ProtocolError::InvalidCloseReason);
    }
}

#[test]
fn whatever_follows_a_close_is_ignored() {
    let close = frame(CLOSE, &close_payload(1000, b""));
    for after in [frame(TEXT, b"late"), frame(CLOSE, b""), vec![0xFF; 100]] {
        let bytes = [&close[..], &after].concat();
        let expected = Event::Close(Some(CloseFrame::new(CloseCode::NORMAL, "")));
        assert_eq!(events(&bytes), [expected]);
    }
}

#[test]
fn whatever_follows_an_error_is_ignored_and_the_error_comes_once() {
    let bytes = [
        frame(TEXT, b"fine"),
        frame(TEXT, b"\xff"),
        frame(TEXT, b"late"),
    ];
    // `said` fails on a second error and on input that is not used up.
    let said = limited(100, &bytes.concat());
    assert_eq!(said.events, [text("fine")]);
    assert_eq!(said.error, Some(ProtocolError::InvalidText));
}

// Errors.

#[test]
fn each_violation_has_its_close_code() {
    for (error, code) in [
        (ProtocolError::ReservedBit, 1002),
        (ProtocolError::ReservedOpcode(3), 1002),
        (ProtocolError::FragmentedControl, 1002),
        (ProtocolError::OversizedControl, 1002),
        (ProtocolError::UnexpectedContinuation, 1002),
        (ProtocolError::UnfinishedMessage, 1002),
        (ProtocolError::Unmasked, 1002),
        (ProtocolError::Masked, 1002),
        (ProtocolError::LengthNotMinimal, 1002),
        (ProtocolError::LengthOverflow, 1002),
        (ProtocolError::TruncatedCloseCode, 1002),
        (ProtocolError::InvalidCloseCode(CloseCode::NO_STATUS), 1002),
        (ProtocolError::InvalidText, 1007),
        (ProtocolError::InvalidCloseReason, 1007),
        (ProtocolError::FrameTooBig { limit: 1 }, 1009),
        (ProtocolError::MessageTooBig { limit: 1 }, 1009),
    ] {
        assert_eq!(error.close_code(), CloseCode::new(code), "{error}");
    }
}

#[test]
fn a_close_frame_is_judged_when_it_is_whole() {
    for payload in [&b"\x03\xedbye"[..], b"\x03\xe8\xffbye"] {
        let bytes = frame(CLOSE, payload);
        let refused = bytes_until_error(Limits::default(), &bytes);
        assert_eq!(refused, Some(bytes.len()));
    }
}

#[test]
fn a_header_is_refused_at_the_first_byte_that_proves_it_wrong() {
    for (bytes, needed) in [
        (frame(TEXT | 0x40, b"x"), 1),
        (frame(0x83, b"x"), 1),
        (frame(MORE, b"x"), 1),
        (frame(PING & 0x7F, b"x"), 1),
        (unmasked(TEXT, b"x"), 2),
        (frame(PING, &[0; 126]), 2),
        ([&[BINARY, 0xFE, 0, 125][..], &MASK].concat(), 4),
        (header(BINARY, 1 << 63), 10),
        (frame(CLOSE, b"x"), 7),
    ] {
        let took = bytes_until_error(Limits::default(), &bytes);
        assert_eq!(took, Some(needed), "{bytes:02x?}");
    }
}
