//! The examples that RFC 6455 itself gives.

use nextrush_protocol::handshake::accept_key;
use nextrush_protocol::{Event, Frame, FrameHead, Limits, Opcode, Role, encode_masked};

use crate::wire::{MASK, binary, events, ping, pong, said, text};

fn events_for_client(bytes: &[u8]) -> Vec<Event<'static>> {
    let said = said(Role::Client, Limits::default(), bytes);
    assert_eq!(said.error, None);
    said.events
}

#[test]
fn the_key_of_section_1_3_is_answered_as_there() {
    let accept = accept_key(b"dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[test]
fn the_unmasked_text_of_section_5_7_is_read_and_written() {
    let bytes = [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
    assert_eq!(events_for_client(&bytes), [text("Hello")]);
    assert_eq!(*Frame::text("Hello").as_bytes(), bytes);
}

#[test]
fn the_masked_text_of_section_5_7_is_read_and_written() {
    let bytes = [
        0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];
    assert_eq!(events(&bytes), [text("Hello")]);
    let mut written = Vec::new();
    encode_masked(Opcode::Text, b"Hello", MASK, &mut written);
    assert_eq!(written, bytes);
}

#[test]
fn the_fragmented_text_of_section_5_7_is_read() {
    let bytes = [0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f];
    assert_eq!(events_for_client(&bytes), [text("Hello")]);
}

#[test]
fn a_masked_message_can_be_written_in_fragments() {
    let mut bytes = Vec::new();
    let start = FrameHead::from(Opcode::Text).fin(false);
    encode_masked(start, b"Hel", MASK, &mut bytes);
    encode_masked(Opcode::Continuation, b"lo", MASK, &mut bytes);
    assert_eq!(bytes[0], 0x01);
    assert_eq!(bytes[9], 0x80);
    assert_eq!(events(&bytes), [text("Hello")]);
}

#[test]
fn the_ping_and_the_pong_of_section_5_7_are_read_and_written() {
    let bytes = [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
    assert_eq!(events_for_client(&bytes), [ping(b"Hello")]);
    assert_eq!(*Frame::ping(b"Hello").unwrap().as_bytes(), bytes);

    let masked = [
        0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];
    assert_eq!(events(&masked), [pong(b"Hello")]);
    let mut written = Vec::new();
    encode_masked(Opcode::Pong, b"Hello", MASK, &mut written);
    assert_eq!(written, masked);
}

#[test]
fn the_long_binary_messages_of_section_5_7_are_read_and_written() {
    let payload: Vec<u8> = (0..=255).collect();
    let bytes = [&[0x82, 0x7e, 0x01, 0x00][..], &payload].concat();
    assert_eq!(events_for_client(&bytes), [binary(&payload)]);
    assert_eq!(*Frame::binary(&payload).as_bytes(), bytes);

    let payload = vec![7; 65536];
    let header = [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0];
    let bytes = [&header[..], &payload].concat();
    assert_eq!(events_for_client(&bytes), [binary(&payload)]);
    assert_eq!(*Frame::binary(&payload).as_bytes(), bytes);
}
