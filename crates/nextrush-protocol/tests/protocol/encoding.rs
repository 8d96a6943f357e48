//! Encoded frames, close codes and reasons.

use nextrush_protocol::{CloseCode, CloseFrame, Frame, Opcode, encode_masked};

use crate::wire::{MASK, frame};

#[test]
fn lengths_are_written_in_their_shortest_form() {
    for (length, header) in [
        (0, &[0x82, 0][..]),
        (125, &[0x82, 125]),
        (126, &[0x82, 126, 0, 126]),
        (65_535, &[0x82, 126, 0xff, 0xff]),
        (65_536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
    ] {
        let payload = vec![b'x'; length];
        let unmasked = Frame::binary(&payload);
        assert_eq!(unmasked.as_bytes(), [header, &payload].concat());
        assert_eq!(unmasked.len(), header.len() + length);

        let mut masked = Vec::new();
        encode_masked(Opcode::Binary, &payload, MASK, &mut masked);
        assert_eq!(masked, frame(0x82, &payload));
    }
}

#[test]
fn a_masked_frame_is_appended_and_leaves_what_is_there() {
    let mut out = b"before".to_vec();
    encode_masked(Opcode::Text, b"hi", MASK, &mut out);
    assert_eq!(out, [b"before".as_slice(), &frame(0x81, b"hi")].concat());
}

#[test]
fn a_control_frame_takes_125_bytes_and_not_one_more() {
    let full = [b'p'; 125];
    assert_eq!(Frame::ping(&full).unwrap().len(), 127);
    assert_eq!(Frame::pong(&full).unwrap().len(), 127);

    let over = [b'p'; 126];
    assert_eq!(Frame::ping(&over).unwrap_err().length(), 126);
    let error = Frame::pong(&over).unwrap_err();
    assert_eq!(
        error.to_string(),
        "control frame of 126 bytes, 125 are possible"
    );
}

#[test]
fn pings_pongs_and_closes_are_control_frames() {
    let frames = [
        (Frame::text(""), Opcode::Text, false),
        (Frame::binary(b""), Opcode::Binary, false),
        (Frame::ping(b"").unwrap(), Opcode::Ping, true),
        (Frame::pong(b"").unwrap(), Opcode::Pong, true),
        (Frame::close(None), Opcode::Close, true),
    ];
    for (frame, opcode, is_control) in frames {
        assert_eq!(frame.opcode(), opcode);
        assert_eq!(frame.is_control(), is_control, "{frame:?}");
    }
}

#[test]
fn clones_of_a_frame_share_its_bytes() {
    for frame in [
        Frame::text(&"to many ".repeat(20)),
        Frame::from_text("to many ".repeat(20_000)),
        Frame::from_binary(vec![7; 16 * 1024]),
    ] {
        assert_eq!(frame.clone().payload().as_ptr(), frame.payload().as_ptr());
    }
}

#[test]
fn a_payload_that_is_given_away_makes_the_same_frame_as_a_copied_one() {
    let longest_copied = 16 * 1024 - 1;
    for length in [
        0,
        64,
        65,
        126,
        longest_copied,
        longest_copied + 1,
        65_535,
        65_536,
        200_000,
    ] {
        let text = "x".repeat(length);
        for (given, copied) in [
            (Frame::from_text(text.clone()), Frame::text(&text)),
            (
                Frame::from_binary(text.clone()),
                Frame::binary(text.as_bytes()),
            ),
        ] {
            assert_eq!(given, copied);
            assert_eq!(given.len(), copied.len());
            assert_eq!(given.opcode(), copied.opcode());
            assert_eq!(given.as_bytes(), copied.as_bytes());
            assert_eq!(*given.header(), copied.as_bytes()[..given.len() - length]);
            assert_eq!(given.is_compressible(), copied.is_compressible());
            assert_eq!(given.whole().is_none(), length > longest_copied);
            assert_eq!(bytes::Bytes::from(given), *copied.as_bytes());
        }
    }
}

#[test]
fn frames_with_different_heads_or_payloads_differ() {
    let long = "x".repeat(20_000);
    let other = "y".repeat(20_000);
    let frames = [
        Frame::text("x"),
        Frame::binary(b"x"),
        Frame::text(""),
        Frame::from_text(long.clone()),
        Frame::from_binary(long),
        Frame::from_text(other),
    ];
    for (at, frame) in frames.iter().enumerate() {
        for (other_at, other) in frames.iter().enumerate() {
            assert_eq!(frame == other, at == other_at);
        }
    }
}

#[test]
fn a_frame_in_a_log_does_not_show_its_payload() {
    let frame = format!("{:?}", Frame::text("secret"));
    assert_eq!(frame, "Frame(Text, 8 bytes)");
}

#[test]
fn a_close_frame_holds_code_and_reason() {
    let close = CloseFrame::new(CloseCode::TRY_AGAIN_LATER, "später");
    let bytes = [b"\x88\x09\x03\xf5".as_slice(), "später".as_bytes()].concat();
    assert_eq!(Frame::close(Some(&close)).as_bytes(), bytes);
    assert_eq!(*Frame::close(None).as_bytes(), [0x88, 0]);
}

#[test]
fn a_close_code_that_must_not_be_sent_is_left_out() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535] {
        let close = CloseFrame::new(CloseCode::new(code), "reason");
        assert_eq!(*Frame::close(Some(&close)).as_bytes(), [0x88, 0], "{code}");
    }
}

#[test]
fn a_long_reason_is_cut_between_characters_and_fits() {
    for (reason, kept) in [
        ("a".repeat(123), 123),
        ("a".repeat(124), 123),
        ("é".repeat(62), 122),
        ("€".repeat(42), 123),
        ("😀".repeat(40), 120),
    ] {
        let close = CloseFrame::new(CloseCode::NORMAL, reason.as_str());
        assert_eq!(close.reason(), &reason[..kept]);
        assert_eq!(Frame::close(Some(&close)).len(), 2 + 2 + kept);
    }
}
