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
    let frame = Frame::text("to many");
    assert_eq!(frame.clone().as_bytes().as_ptr(), frame.as_bytes().as_ptr());
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
    assert_eq!(Frame::close(None).as_bytes(), [0x88, 0]);
}

#[test]
fn a_close_code_that_must_not_be_sent_is_left_out() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535] {
        let close = CloseFrame::new(CloseCode::new(code), "reason");
        assert_eq!(Frame::close(Some(&close)).as_bytes(), [0x88, 0], "{code}");
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
