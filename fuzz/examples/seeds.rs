//! Writes the seeds that are made by hand: `cargo run --no-default-features --example seeds`.
//!
//! How an input is laid out is said in `src/`, at the target's function. Inputs that a
//! fuzzer found are kept beside these, and not touched.

use std::fs;
use std::io;
use std::path::Path;

const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

fn main() -> io::Result<()> {
    for (target, seeds) in [
        ("decoder", decoder()),
        ("round_trip", round_trip()),
        ("deflate", deflate()),
        ("deflate_round_trip", deflate_round_trip()),
        ("handshake", handshake()),
        ("command", command()),
        ("forwarded", forwarded()),
        ("proxy_header", proxy_header()),
        ("hook_answer", hook_answer()),
        ("tickets", tickets()),
        ("api", api()),
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("seeds")
            .join(target);
        fs::create_dir_all(&folder)?;
        for (name, input) in seeds {
            fs::write(folder.join(name), input)?;
        }
    }
    Ok(())
}

type Seeds = Vec<(&'static str, Vec<u8>)>;

/// 64 KiB, less 1 byte: 0xFFFF would be none at all.
const ROOMY: [u8; 4] = [0xFE, 0xFF, 0xFE, 0xFF];
const SMALL: [u8; 4] = [8, 0, 4, 0];
const NONE: [u8; 4] = [0xFF; 4];

fn decoder() -> Seeds {
    let from_client = |limits, frames: &[(u8, &[u8])]| {
        let frames = frames
            .iter()
            .map(|(first, payload)| masked(*first, payload));
        stream(0, limits, &frames.collect::<Vec<_>>().concat())
    };
    let from_server = |limits, frames: &[(u8, &[u8])]| {
        let frames = frames
            .iter()
            .map(|(first, payload)| unmasked(*first, payload));
        stream(1, limits, &frames.collect::<Vec<_>>().concat())
    };
    vec![
        (
            "text",
            from_client(
                ROOMY,
                &[
                    (0x81, b"Hello"),
                    (0x81, b""),
                    (0x81, "h\u{e9}\u{20ac}\u{1f980}".as_bytes()),
                ],
            ),
        ),
        (
            "binary",
            from_client(ROOMY, &[(0x82, &[0, 255, 128]), (0x82, b"")]),
        ),
        (
            "length_of_16_bits",
            from_client(ROOMY, &[(0x82, &[7; 126]), (0x81, &[b'a'; 300])]),
        ),
        (
            "length_of_64_bits",
            stream(1, NONE, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3]),
        ),
        (
            "length_of_4_gib",
            stream(1, NONE, &[0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0, 1]),
        ),
        (
            "length_just_below_4_gib",
            stream(1, NONE, &[0x02, 127, 0, 0, 0, 0, 255, 255, 255, 255, 1]),
        ),
        (
            "length_overflow",
            stream(1, NONE, &[0x82, 127, 128, 0, 0, 0, 0, 0, 0, 0]),
        ),
        ("length_not_minimal", stream(1, ROOMY, &[0x82, 126, 0, 125])),
        (
            "long_length_not_minimal",
            stream(1, ROOMY, &[0x82, 127, 0, 0, 0, 0, 0, 0, 255, 255]),
        ),
        (
            "fragments",
            from_client(
                ROOMY,
                &[(0x01, b"He"), (0x00, b""), (0x00, b"ll"), (0x80, b"o")],
            ),
        ),
        (
            "fragments_from_a_server",
            from_server(
                ROOMY,
                &[(0x02, b"He"), (0x00, b"ll"), (0x80, b"o"), (0x81, b"x")],
            ),
        ),
        (
            "character_across_fragments",
            from_client(ROOMY, &[(0x01, b"\xe2"), (0x00, b"\x82"), (0x80, b"\xac")]),
        ),
        (
            "character_unfinished",
            from_client(ROOMY, &[(0x01, b"\xe2\x82"), (0x80, b"")]),
        ),
        (
            "surrogate_in_a_fragment",
            from_client(ROOMY, &[(0x01, b"ok\xed"), (0x00, b"\xa0")]),
        ),
        ("not_utf8", from_server(ROOMY, &[(0x81, b"ab\xffcd")])),
        (
            "controls_between_fragments",
            from_client(
                ROOMY,
                &[
                    (0x01, b"a"),
                    (0x89, b"p"),
                    (0x00, b"b"),
                    (0x8A, b""),
                    (0x80, b"c"),
                ],
            ),
        ),
        (
            "longest_ping",
            from_client(ROOMY, &[(0x01, b"a"), (0x89, &[9; 125]), (0x80, b"")]),
        ),
        ("ping_too_long", from_client(ROOMY, &[(0x89, &[9; 126])])),
        ("ping_in_fragments", from_client(ROOMY, &[(0x09, b"p")])),
        (
            "close",
            from_client(ROOMY, &[(0x88, b"\x03\xe8bye"), (0x81, b"late")]),
        ),
        (
            "close_without_a_code",
            from_server(ROOMY, &[(0x88, b""), (0x81, b"late")]),
        ),
        ("close_of_one_byte", from_client(ROOMY, &[(0x88, b"\x03")])),
        (
            "close_with_1005",
            from_client(ROOMY, &[(0x88, b"\x03\xed")]),
        ),
        (
            "close_with_4999",
            from_client(ROOMY, &[(0x88, b"\x13\x87")]),
        ),
        (
            "close_reason_not_utf8",
            from_client(ROOMY, &[(0x88, b"\x03\xe8\xff")]),
        ),
        (
            "close_between_fragments",
            from_client(ROOMY, &[(0x01, b"a"), (0x88, b"\x03\xe9")]),
        ),
        (
            "reserved_bit",
            from_client(ROOMY, &[(0x81, b"a"), (0xC1, b"b")]),
        ),
        ("reserved_opcode", from_client(ROOMY, &[(0x83, b"a")])),
        (
            "continuation_of_nothing",
            from_client(ROOMY, &[(0x80, b"a")]),
        ),
        (
            "message_in_a_message",
            from_client(ROOMY, &[(0x01, b"a"), (0x82, b"b")]),
        ),
        ("unmasked", stream(0, ROOMY, &unmasked(0x81, b"a"))),
        ("masked_by_a_server", stream(1, ROOMY, &masked(0x81, b"a"))),
        (
            "frame_of_the_limit",
            from_client(SMALL, &[(0x02, b"abcd"), (0x80, b"efgh")]),
        ),
        (
            "frame_above_the_limit",
            from_client(SMALL, &[(0x82, b"abcde")]),
        ),
        (
            "message_above_the_limit",
            from_client(SMALL, &[(0x02, b"abcd"), (0x00, b"efgh"), (0x80, b"i")]),
        ),
        (
            "no_byte_allowed",
            from_client([0; 4], &[(0x81, b""), (0x89, b"p"), (0x81, b"a")]),
        ),
    ]
}

/// Pieces of 1, 2 and 5 bytes.
fn stream(role: u8, limits: [u8; 4], bytes: &[u8]) -> Vec<u8> {
    [&[role], &limits[..], &[1, 2, 5], bytes].concat()
}

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = unmasked(first, &[]);
    bytes.truncate(1);
    bytes.extend(length(payload.len()));
    bytes[1] |= 0x80;
    bytes.extend(MASK);
    bytes.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    bytes
}

fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    [&[first][..], &length(payload.len()), payload].concat()
}

fn length(length: usize) -> Vec<u8> {
    match length {
        0..=125 => vec![length as u8],
        _ => [&[126][..], &(length as u16).to_be_bytes()].concat(),
    }
}

fn round_trip() -> Seeds {
    let client = |list: &[u8]| [&[0], &MASK[..], &[1, 2, 5], list].concat();
    let server = |list: &[u8]| [&[1], &[0; 4][..], &[0, 3, 40], list].concat();
    vec![
        ("nothing", client(b"")),
        ("text", client(b"\x00\x05\x00Hello\x00\x00\x00")),
        ("binary", server(b"\x01\x03\x00\x00\xff\x80\x01\x00\x00")),
        (
            "fragments",
            client(b"\x00\x06\x03H\xc3\xa9llo\x30\x00\x60\x00\xf0\x00"),
        ),
        (
            "fragments_from_a_server",
            server(b"\x01\x06\x03abcdef\x30\x00\x60\x00\xf0\x00"),
        ),
        (
            "ping_between_fragments",
            client(b"\x01\x04\x02abcd\x40\x07abc\x80\x04de\x00\x01\x00x"),
        ),
        (
            "pong_between_characters_halves",
            server(b"\x00\x03\x02\xe2\x82\xac\x60\x02p\xb0\x00"),
        ),
        ("ping_and_pong", client(b"\x02\x04ping\x03\x04pong\x02\x00")),
        (
            "ping_too_long",
            server(&[&[2, 126][..], &[9; 126], &[3, 125], &[9; 125]].concat()),
        ),
        (
            "close",
            client(b"\x00\x01\x00a\x04\x05\x03\xe8bye\x00\x01\x00b"),
        ),
        ("close_without_a_code", server(b"\x04\x00")),
        ("close_with_1006", server(b"\x04\x02\x03\xee")),
        (
            "close_with_a_long_reason",
            client(&[&[4, 255, 0x0F, 0xA0][..], "\u{e9}".repeat(126).as_bytes()].concat()),
        ),
        (
            "length_of_16_bits",
            server(b"\x82\x02\x02ab\x10\x00\x80\x03p"),
        ),
        (
            "length_of_64_bits",
            client(&[&[0x83, 100, 2][..], &[b'x'; 100], &[0x01, 0, 0xF0, 3, b'p']].concat()),
        ),
        (
            "longest_length_of_16_bits",
            server(&[&[0x83, 85, 0][..], &[b'x'; 85]].concat()),
        ),
        (
            "shortest_length_of_16_bits",
            client(&[&[1, 125, 0][..], &[7; 125], &[1, 126, 0], &[8; 126]].concat()),
        ),
        ("mask_of_zeros", [&[0; 8], &b"\x00\x02\x00hi"[..]].concat()),
    ]
}

/// The samples of RFC 7692 §7.2.3, and what is wrong in each way.
fn deflate() -> Seeds {
    const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    const AGAIN: &[u8] = b"\xf2\x00\x11\x00\x00";
    const FINAL: &[u8] = b"\xf3\x48\xcd\xc9\xc9\x07\x00";
    const ALONE: u8 = 7 << 2;
    const TAKEOVER: u8 = 7 << 2 | 2;
    const TEXT: u8 = 0;
    const BINARY: u8 = 1;
    const IN_TWO: u8 = 4;
    let of = |what: u8, limit: u16, messages: &[(u8, &[u8], &[u8])]| {
        let [limit, more_limit] = limit.to_le_bytes();
        let mut input = vec![what, limit, more_limit, 1, 2, 5];
        for (kind, payload, cuts) in messages {
            input.push(*kind);
            input.extend((payload.len() as u16).to_le_bytes());
            input.extend_from_slice(payload);
            input.extend_from_slice(cuts);
        }
        input
    };
    let stored = |bytes: &[u8]| {
        let length = bytes.len() as u16;
        let head = [length.to_le_bytes(), (!length).to_le_bytes()].concat();
        [&[0][..], &head, bytes, &[0]].concat()
    };
    vec![
        ("hello", of(ALONE, 5, &[(TEXT, HELLO, b"")])),
        (
            "hello_to_a_client",
            of(ALONE | 1, 5, &[(BINARY, HELLO, b"")]),
        ),
        (
            "one_byte_over_the_limit",
            of(ALONE, 4, &[(TEXT, HELLO, b"")]),
        ),
        (
            "fragments",
            of(
                TAKEOVER,
                99,
                &[(TEXT | IN_TWO, HELLO, b"\x40"), (TEXT, AGAIN, b"")],
            ),
        ),
        (
            "takeover",
            of(
                2,
                99,
                &[(TEXT, HELLO, b""), (TEXT, AGAIN, b""), (BINARY, AGAIN, b"")],
            ),
        ),
        (
            "takeover_where_there_is_none",
            of(ALONE, 99, &[(TEXT, HELLO, b""), (TEXT, AGAIN, b"")]),
        ),
        (
            "uncompressed_between",
            of(
                TAKEOVER,
                99,
                &[(TEXT, HELLO, b""), (3, b"plain", b""), (TEXT, AGAIN, b"")],
            ),
        ),
        ("stored", of(ALONE, 99, &[(TEXT, &stored(b"Hello"), b"")])),
        (
            "final",
            of(ALONE, 99, &[(TEXT, &[FINAL, &[0]].concat(), b"")]),
        ),
        (
            "behind_a_final_block",
            of(
                TAKEOVER,
                99,
                &[(TEXT, &[FINAL, AGAIN].concat(), b""), (TEXT, AGAIN, b"")],
            ),
        ),
        (
            "two_blocks",
            of(
                ALONE,
                99,
                &[(TEXT, b"\xf2\x48\x05\0\0\0\xff\xff\xca\xc9\xc9\x07\0", b"")],
            ),
        ),
        (
            "empty",
            of(
                ALONE,
                0,
                &[
                    (TEXT, b"\0", b""),
                    (TEXT, b"\x02\0", b""),
                    (BINARY, b"", b""),
                ],
            ),
        ),
        // Codes of its own (RFC 1951 §3.2.7).
        (
            "dynamic",
            of(
                TAKEOVER,
                0xFFFF,
                &[(
                    BINARY,
                    b"\x84\x4f\xbb\x15\x03\x40\x08\x5a\x85\x01\x7c\xec\x84\x5f\xea\xec\x5f\xe4\x32\x41\x2a\x50\x10\xb5\x90\x93\xb6\xe3\x3a\xad\x3b\x88\x1e\x36\x72\x25\x05\x74\xd1\x47\xa1\x6d\xf4\x76\xb4\x47\x87\xc8\x0a\x4e\x72\x49\xbc\xaa\x67\xe0\x47\xe4\xe6\x5d\xd4\x82\xc1\x4d\x07\xb2\x70\x6b\xca\x1a\x02\x78\x5a\xa1\xd5\x40\x1f\x16\xeb\x09\x80\x3a\xa2\x7e\x2d\x79\x1f\xe0\xbc\xb7\x7a\xf6\x67\x80\x3a\x9e\x56\x89\x51\x64\xfe\x82\x7a\x12\xb5\x93\x55\x83\x8a\x79\x87\x98\x6b\xa7\xe6\xf6\x9e\xf8\x36\xbd\x0c\xb5\xae\xc4\x32\x11\x87\x0e\xc2\x8d\x78\xef\x60\x23\x4e\x9c\x6a\x4d\xe6\x0c\xeb\x94\x1f\xd5\x1b\x78\xf0\x97\x7e\x01",
                    b"",
                )],
            ),
        ),
        (
            "bomb",
            of(
                ALONE,
                100,
                &[(
                    BINARY,
                    b"\x62\x60\x18\x05\xa3\x60\x14\x0c\x77\x00\x00",
                    b"",
                )],
            ),
        ),
        ("reserved_kind", of(ALONE, 99, &[(TEXT, b"\x06", b"")])),
        ("broken_off", of(ALONE, 99, &[(TEXT, &HELLO[..4], b"")])),
        (
            "lengths_do_not_match",
            of(ALONE, 99, &[(TEXT, b"\0\x05\0\x05\0H", b"")]),
        ),
        (
            "too_many_codes",
            of(ALONE, 99, &[(TEXT, b"\x04\0\xfe\xff\xff\xff\xff", b"")]),
        ),
        (
            "not_utf8",
            of(ALONE, 99, &[(TEXT, &stored(b"ab\xffcd"), b"")]),
        ),
        (
            "character_unfinished",
            of(ALONE, 99, &[(TEXT, &stored(b"\xe2\x82"), b"")]),
        ),
        (
            "only_final_blocks",
            of(ALONE, 99, &[(BINARY, &[3, 0].repeat(300), b"")]),
        ),
        (
            "longer_than_compressing_makes_it",
            of(ALONE, 8, &[(BINARY, &[0; 74], b"")]),
        ),
    ]
}

fn deflate_round_trip() -> Seeds {
    let json = br#"{"type":"update","channel":"posts","data":{"id":17,"title":"Hello, hello"}}"#;
    let of = |head: [u8; 8], messages: &[(u8, &[u8], &[u8])]| {
        let mut input = head.to_vec();
        for (kind, payload, cuts) in messages {
            input.push(*kind);
            input.extend((payload.len() as u16).to_le_bytes());
            input.extend_from_slice(payload);
            input.extend_from_slice(cuts);
        }
        input
    };
    let twice: &[(u8, &[u8], &[u8])] = &[(0, json, b""), (0, json, b""), (1, b"short", b"")];
    let long: &[(u8, &[u8], &[u8])] = &[(0x80, json, b""), (0x88, json, b"\x40\x80")];
    let noise: Vec<u8> = (0..500_u32)
        .map(|at| (at.wrapping_mul(at).wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    vec![
        ("client", of([3, 0x3F, 0x3F, 0, 0, 1, 2, 5], twice)),
        (
            "client_without_takeover",
            of([18, 0xFF, 0xFF, 0, 0, 0, 3, 40], twice),
        ),
        (
            "client_with_the_least_window",
            of([27, 0x00, 0x00, 0, 0, 7, 7, 7], long),
        ),
        ("server", of([5, 0x3F, 0x3F, 0, 0, 1, 2, 5], twice)),
        (
            "server_with_a_window_of_10_bits",
            of([20, 0x12, 0x3F, 0, 0, 9, 0, 1], long),
        ),
        ("shared", of([4, 0x3F, 0x3F, 0, 0, 1, 2, 5], twice)),
        (
            "shared_with_the_least_window",
            of([28, 0x38, 0x38, 0, 0, 3, 2, 1], long),
        ),
        (
            "below_the_threshold",
            of([3, 0x3F, 0x3F, 99, 99, 1, 2, 5], twice),
        ),
        (
            "no_shorter",
            of(
                [3, 0x3F, 0x3F, 0, 0, 1, 2, 5],
                &[(1, &noise, b""), (0, json, b""), (0, json, b"")],
            ),
        ),
        ("nothing", of([3, 0x3F, 0x3F, 0, 0, 1, 2, 5], &[])),
    ]
}

fn handshake() -> Seeds {
    const REQUEST: &str = "GET 1.1 200\nhost:server.example.com\nupgrade:websocket\n\
        connection:Upgrade\nsec-websocket-key:dGhlIHNhbXBsZSBub25jZQ==\n\
        sec-websocket-version:13\n";
    const ANSWER: &str = "GET 1.1 101\nupgrade:websocket\nconnection:Upgrade\n\
        sec-websocket-accept:s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n";
    let request = |more: &str| format!("{REQUEST}{more}").into_bytes();
    let answer = |more: &str| format!("{ANSWER}{more}").into_bytes();
    let instead = |old: &str, new: &str| {
        assert!(REQUEST.contains(old), "{old}");
        REQUEST.replace(old, new).into_bytes()
    };
    vec![
        ("request", request("")),
        (
            "request_with_subprotocols",
            request("sec-websocket-protocol:chat, superchat\nsec-websocket-protocol:v2\n"),
        ),
        (
            "request_with_a_bad_subprotocol",
            request("sec-websocket-protocol:chat, a b\n"),
        ),
        (
            "request_with_one_subprotocol_twice",
            request("sec-websocket-protocol:chat,chat\n"),
        ),
        (
            "request_with_an_extension",
            request("sec-websocket-extensions:permessage-deflate; client_max_window_bits\n"),
        ),
        ("request_with_an_empty_body", request("content-length:0\n")),
        ("request_with_a_body", request("content-length:5\n")),
        (
            "request_with_chunks",
            request("transfer-encoding:chunked\n"),
        ),
        ("request_with_two_hosts", request("host:b.example\n")),
        (
            "request_with_two_keys",
            request("sec-websocket-key:dGhlIHNhbXBsZSBub25jZQ==\n"),
        ),
        (
            "request_with_two_versions",
            request("sec-websocket-version:13\n"),
        ),
        (
            "request_without_a_host",
            instead("host:server.example.com", "host:"),
        ),
        (
            "request_in_lists",
            instead("connection:Upgrade", "connection:keep-alive,, UPGRADE"),
        ),
        (
            "request_for_h2c_too",
            instead("upgrade:websocket", "upgrade:h2c\nupgrade: WebSocket\t"),
        ),
        ("request_with_version_12", instead(":13", ":12")),
        (
            "request_with_a_key_of_15_bytes",
            instead("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j"),
        ),
        (
            "request_with_a_key_with_spare_bits",
            instead("ZQ==", "ZR=="),
        ),
        ("request_by_post", instead("GET", "POST")),
        ("request_over_http_1_0", instead("1.1", "1.0")),
        ("request_over_http_2", instead("1.1", "2")),
        ("answer", answer("")),
        (
            "answer_with_a_subprotocol",
            answer("sec-websocket-protocol:superchat\n"),
        ),
        (
            "answer_with_another_subprotocol",
            answer("sec-websocket-protocol:other\n"),
        ),
        (
            "answer_with_two_subprotocols",
            answer("sec-websocket-protocol:chat\nsec-websocket-protocol:superchat\n"),
        ),
        (
            "answer_with_an_extension",
            answer("sec-websocket-extensions:permessage-deflate\n"),
        ),
        (
            "answer_with_no_extension",
            answer("sec-websocket-extensions: ,\n"),
        ),
        (
            "answer_with_two_accepts",
            answer("sec-websocket-accept:s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n"),
        ),
        ("answer_with_another_protocol_too", answer("upgrade:h2c\n")),
        (
            "answer_to_both",
            answer(
                "host:a\nsec-websocket-key:dGhlIHNhbXBsZSBub25jZQ==\nsec-websocket-version:13\n",
            ),
        ),
        ("answer_200", ANSWER.replace("101", "200").into_bytes()),
        ("empty", Vec::new()),
    ]
}

fn command() -> Seeds {
    let mut seeds: Seeds = [
        ("chat", r#"{"type":"chat","text":"hello"}"#),
        (
            "chat_with_the_type_last",
            r#"{"text":"hello","type":"chat"}"#,
        ),
        (
            "chat_with_more",
            r#"{"type":"chat","text":"hi","more":[{"a":null}],"x":1.5e3}"#,
        ),
        (
            "chat_in_escapes",
            r#"{"typ\u0065":"ch\u0061t","text":"\ud83e\udd80\n\""}"#,
        ),
        (
            "chat_with_a_lone_surrogate",
            r#"{"type":"chat","text":"\ud800"}"#,
        ),
        ("chat_without_a_text", r#"{"type":"chat"}"#),
        ("chat_with_a_number", r#"{"type":"chat","text":1}"#),
        (
            "chat_with_two_texts",
            r#"{"type":"chat","text":"a","text":"b"}"#,
        ),
        (
            "chat_with_two_types",
            r#"{"type":"chat","type":"ping","text":"a"}"#,
        ),
        ("typing", r#"{"type":"typing","isTyping":true}"#),
        (
            "move",
            r#"{"type":"move","x":-9223372036854775808,"y":9223372036854775807}"#,
        ),
        (
            "move_too_far",
            r#"{"type":"move","x":1e400,"y":9223372036854775808}"#,
        ),
        ("move_by_a_float", r#"{"type":"move","x":-0,"y":1.0}"#),
        ("choose", r#"{"type":"choose","options":["a","","c"]}"#),
        (
            "choose_in_depth",
            r#"{"type":"choose","options":[[[[["a"]]]]]}"#,
        ),
        ("ping", "\t\r\n {\"type\":\"ping\"} \n"),
        ("ping_with_more", r#"{"type":"ping","x":null}"#),
        ("unknown", r#"{"type":"dance","x":1,"x":2}"#),
        (
            "unknown_with_a_number_too_big",
            r#"{"type":"dance","x":1e400}"#,
        ),
        ("type_of_null", r#"{"type":null}"#),
        ("type_by_index", r#"{"type":4}"#),
        ("type_as_an_object", r#"{"type":{"ping":null}}"#),
        ("without_a_type", "{}"),
        ("array", r#"["ping",{"type":"ping"}]"#),
        ("array_of_a_type", r#"["ping"]"#),
        ("array_of_values", r#"["chat","hi"]"#),
        ("text", r#""ping""#),
        ("number", "12"),
        ("not_json", "hello"),
        ("comma_at_the_end", r#"{"type":"ping",}"#),
        ("two_objects", r#"{"type":"ping"}{}"#),
        ("mark_of_byte_order", "\u{feff}{\"type\":\"ping\"}"),
        ("empty", ""),
    ]
    .map(|(name, text)| (name, text.as_bytes().to_vec()))
    .into();
    let deep = format!(r#"{{"type":"chat","text":{}"#, "[".repeat(200));
    seeds.push(("deep", deep.into_bytes()));
    seeds.push((
        "not_utf8",
        b"{\"type\":\"chat\",\"text\":\"\xff\"}".to_vec(),
    ));
    seeds
}

fn forwarded() -> Seeds {
    [
        ("nothing", ""),
        ("x", "x-forwarded-for:192.0.2.1, 10.0.0.1"),
        (
            "x_with_all",
            "x-forwarded-for:192.0.2.1\nx-forwarded-proto:https\nx-forwarded-host:example.com",
        ),
        (
            "x_of_ipv6",
            "x-forwarded-for:2001:db8::1, [2001:db8::2]:80, ::ffff:10.0.0.1",
        ),
        (
            "x_unknown",
            "x-forwarded-for:unknown, _hidden, , 192.0.2.256",
        ),
        (
            "x_in_two_lines",
            "x-forwarded-for:203.0.113.9\nx-forwarded-for:192.0.2.1:4711",
        ),
        (
            "forwarded",
            "forwarded:for=9.9.9.9, for=192.0.2.1;proto=https;host=example.com;by=10.0.0.1",
        ),
        (
            "forwarded_in_quotes",
            "forwarded:for=\"[2001:db8::1]:80\";proto=WSS , for=\"192.0.2.1:_hidden\"",
        ),
        (
            "forwarded_with_a_user",
            "forwarded:for=1.2.3.4;host=\"a@b\"",
        ),
        ("forwarded_twice", "forwarded:for=1.2.3.4;for=1.2.3.5"),
        ("forwarded_in_an_open_text", "forwarded:for=\"1.2.3.4"),
        ("forwarded_with_a_backslash", "forwarded:for=\"1\\.2.3.4\""),
        (
            "forwarded_and_x",
            "forwarded:for=1.2.3.4\nx-forwarded-for:1.2.3.5",
        ),
    ]
    .map(|(name, text)| (name, text.as_bytes().to_vec()))
    .into()
}

/// In pieces of 5 bytes.
fn proxy_header() -> Seeds {
    const OF_V4: [u8; 12] = [192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x34, 0, 80];
    let v1 = |line: &str| [b"\x05", line.as_bytes(), b"\r\nGET / HTTP/1.1\r\n"].concat();
    let v2 = |command: u8, family: u8, rest: &[u8]| {
        let length = (rest.len() as u16).to_be_bytes();
        let head = [
            &b"\x05\r\n\r\n\0\r\nQUIT\n"[..],
            &[command, family],
            &length,
        ]
        .concat();
        [&head[..], rest, b"GET"].concat()
    };
    vec![
        ("v1_of_ipv4", v1("PROXY TCP4 192.0.2.1 10.0.0.1 4660 80")),
        ("v1_of_ipv6", v1("PROXY TCP6 2001:db8::1 ::1 7 80")),
        ("v1_unknown", v1("PROXY UNKNOWN")),
        ("v1_unknown_with_more", v1("PROXY UNKNOWN ff::1 ff::2 1 2")),
        (
            "v1_with_a_port_too_high",
            v1("PROXY TCP4 1.1.1.1 1.1.1.1 70000 1"),
        ),
        ("v1_with_two_spaces", v1("PROXY TCP4  1.1.1.1 1.1.1.1 7 1")),
        (
            "v1_too_long",
            v1(&format!("PROXY UNKNOWN {}", "1".repeat(92))),
        ),
        (
            "v1_of_the_longest",
            v1(&format!("PROXY UNKNOWN {}", "1".repeat(91))),
        ),
        ("v2_of_ipv4", v2(0x21, 0x11, &OF_V4)),
        (
            "v2_of_ipv4_with_more",
            v2(0x21, 0x12, &[&OF_V4[..], &[4, 0, 2, 0, 0]].concat()),
        ),
        ("v2_of_ipv6", v2(0x21, 0x21, &[7; 36])),
        ("v2_of_unix", v2(0x21, 0x31, &[0; 216])),
        ("v2_of_no_family", v2(0x21, 0, &[])),
        ("v2_local", v2(0x20, 0, &[])),
        ("v2_local_of_a_family", v2(0x20, 0x11, &[1])),
        ("v2_too_short", v2(0x21, 0x11, &OF_V4[..11])),
        ("v2_of_another_version", v2(0x31, 0x11, &OF_V4)),
        ("v2_too_long", v2(0x20, 0, &[0; 4081])),
        ("http", b"\x01GET / HTTP/1.1\r\n\r\n".to_vec()),
    ]
}

fn hook_answer() -> Seeds {
    [
        ("user", r#"{"result":{"user":{"id":7,"email":"ada@example.com"}}}"#),
        (
            "user_with_all",
            r#"{"result":{"user":{"id":"ada","email":""},"claims":{"role":["a"]},"expires":4102444800,"session":"s","channels":["news"]}}"#,
        ),
        ("user_whose_session_is_over", r#"{"result":{"user":{"id":7,"email":""},"expires":1}}"#),
        ("user_with_an_odd_id", r#"{"result":{"user":{"id":1e300,"email":""}}}"#),
        ("user_with_an_invisible_id", r#"{"result":{"user":{"id":"a\u200b","email":""}}}"#),
        ("misspelt", r#"{"result":{"user":{"id":7,"email":""},"chanels":[]}}"#),
        ("nobody", r#"{"result":null}"#),
        ("nothing", r#"{"result":{}}"#),
        ("refusal", r#"{"error":{"code":"board-full","message":"Full","details":"12","retryAfterMs":5}}"#),
        ("refusal_without_a_code", r#"{"error":{"code":"","message":"No"}}"#),
        ("refusal_without_a_message", r#"{"error":{"code":"a","message":""}}"#),
        ("both", r#"{"result":{},"error":{"code":"a","message":"b"}}"#),
        ("html", "<html></html>"),
        ("empty", ""),
    ]
    .map(|(name, text)| (name, [b"\0", text.as_bytes()].concat()))
    .into_iter()
    .chain([("failure", b"\x08{\"error\":{\"code\":\"a\",\"message\":\"b\"}}".to_vec())])
    .collect()
}

fn tickets() -> Seeds {
    vec![
        ("as_issued", Vec::new()),
        ("one_byte", vec![3, b'A']),
        ("two_bytes", vec![0, b'-', 90, b'_']),
        ("empty", vec![255, 0]),
        (
            "of_another_server",
            b"\xffv1.AAAAAAAAAAAAAAAAAAAAAA.BBBBBBBBBBBBBBBBBBBBBB".to_vec(),
        ),
        ("token", b"\xffeyJhbGciOiJub25lIn0.eyJpZCI6MX0.".to_vec()),
        ("not_utf8", b"\xff\xfe\xff\0".to_vec()),
    ]
}

/// Behind the number of the route.
fn api() -> Seeds {
    [
        ("publish", 0, r#"{"channel":"news","data":{"a":1}}"#),
        ("publish_bytes", 0, r#"{"channel":"news","data":"aGk=","encoding":"base64"}"#),
        ("publish_a_version", 0, r#"{"channel":"posts","data":null,"version":3,"key":"k"}"#),
        ("publish_with_an_odd_name", 0, r#"{"channel":"a\u0000","data":1}"#),
        ("broadcast", 1, r#"{"channels":["news","","posts"],"data":[1.5e3]}"#),
        ("purge_a_room", 2, r#"{"room":"den"}"#),
        ("purge_a_user", 2, r#"{"userId":7}"#),
        ("purge_two", 2, r#"{"room":"den","channel":"news"}"#),
        ("disconnect", 3, r#"{"userId":"ada"}"#),
        ("disconnect_a_float", 3, r#"{"userId":1.0}"#),
        ("ticket", 4, r#"{"user":"ada","ttl":10,"session":"s","expires":"2100-01-31T09:05:07.123Z"}"#),
        ("ticket_with_claims", 4, r#"{"user":{"id":7,"email":"a","role":["b"]}}"#),
        ("ticket_for_too_long", 4, r#"{"user":7,"ttl":601}"#),
        ("revoke", 5, r#"{"user":"ada","before":"2026-01-31T09:05:07.123Z"}"#),
        ("revoke_later", 5, r#"{"user":9007199254740992}"#),
        ("history", 6, "channel=posts&limit=3&after=1"),
        ("history_of_nothing", 6, "limit=-1"),
        ("presence", 7, "channel=presence-desk&after=0"),
        (
            "trace",
            8,
            "channel=posts&position=a:1&user=7\n00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
        ("trace_of_a_room", 8, "room=den&position=x"),
        ("post", 9, r#"{"title":"mine","body":""}"#),
    ]
    .map(|(name, route, rest)| (name, [&[route], rest.as_bytes()].concat()))
    .into()
}
