//! Compressed connections: what is received, sent and published, and what it costs.

use std::sync::Arc;

use nextrush_engine::sim::Client;
use nextrush_engine::{Connection, SocketOptions};
use nextrush_protocol::handshake::client::Opening;
use nextrush_protocol::handshake::server;
use nextrush_protocol::{
    CloseCode, Decoder, DeflateConfig, DeflateContext, DeflateParams, Event, Frame, FrameHead,
    Inflater, Limits, Opcode, Role, encode_masked,
};

use crate::support::{Log, Script, World, handover, world};

/// The first byte of a text message in one frame, compressed and not.
const COMPRESSED: u8 = 0xC1;
const UNCOMPRESSED: u8 = 0x81;

/// The compression that both sides agree on if each wants this.
fn agreed(server: &DeflateConfig, client: &DeflateConfig) -> DeflateParams {
    let mut request = Opening::new([7; 16]).deflate(*client).headers();
    request.insert("host", http::HeaderValue::from_static("example.com"));
    let method = http::Method::GET;
    let accepted = server::accept(&method, http::Version::HTTP_11, &request);
    let mut accepted = accepted.expect("a right request");
    accepted.negotiate_deflate(server).expect("an offer")
}

fn with_takeover() -> DeflateConfig {
    DeflateConfig::default()
        .server_no_context_takeover(false)
        .client_no_context_takeover(false)
}

/// A client that compresses as agreed on.
struct Peer {
    client: Client,
    connection: Connection,
    log: Log,
    context: DeflateContext,
    params: DeflateParams,
}

impl Peer {
    fn new(world: &mut World, server: DeflateConfig, client: DeflateConfig) -> Self {
        let params = agreed(&server, &client);
        let options = Arc::new(SocketOptions::default().deflate(server));
        let log = Log::default();
        let handler = Script::default().handler(log.clone());
        let connected = world.connect_with(&options, handover().deflate(params), handler);
        let (sent, id) = connected.expect("room for it");
        world.run();
        let connection = world.engine().connection(id).expect("nobody has closed it");
        Self {
            client: sent,
            connection,
            log,
            context: DeflateContext::new(Role::Client, params, &client),
            params,
        }
    }

    /// Sends a text compressed; how many bytes that took.
    fn text(&mut self, text: &str) -> usize {
        let deflated = self.context.deflate(text.as_bytes());
        let deflated = deflated.expect("long enough, and shorter when compressed");
        let mut bytes = Vec::new();
        let head = FrameHead::from(Opcode::Text).compressed(true);
        encode_masked(head, &deflated, [1, 2, 3, 4], &mut bytes);
        self.client.send(&bytes);
        bytes.len()
    }

    /// The texts in these bytes that the server has sent.
    fn texts(&self, mut bytes: Vec<u8>) -> Vec<String> {
        let mut decoder = Decoder::new(Role::Client, Limits::default()).with_deflate(self.params);
        let mut input = bytes.as_mut_slice();
        let mut inflater = Inflater::new();
        let mut texts = Vec::new();
        while let Some(event) = decoder
            .decode_with(&mut input, &mut inflater)
            .expect("right frames")
        {
            match event {
                Event::Text(text) => texts.push(text.into_owned()),
                other => panic!("{other:?} is no text"),
            }
        }
        texts
    }
}

fn long(text: &str) -> String {
    format!("{{\"type\":\"{text}\"}}").repeat(50)
}

#[test]
fn compressed_messages_arrive_inflated_however_they_are_cut() {
    let mut world = world(1);
    for config in [DeflateConfig::default(), with_takeover()] {
        let mut peer = Peer::new(&mut world, config, config);
        let first = peer.text(&long("one"));
        let second = peer.text(&long("two"));
        let again = peer.text(&long("two"));
        assert_eq!(again < second, !config.client_no_context_takeover);
        assert!(first < 100);
        world.run();
        assert_eq!(
            peer.log.take(),
            ["open", &long("one"), &long("two"), &long("two")]
        );
        // Byte by byte, each in a turn of its own.
        let deflated = peer.context.deflate(long("three").as_bytes());
        let mut bytes = Vec::new();
        let head = FrameHead::from(Opcode::Text).compressed(true);
        let deflated = deflated.expect("shorter");
        encode_masked(head, &deflated, [1, 2, 3, 4], &mut bytes);
        for byte in bytes {
            peer.client.send(&[byte]);
            world.run();
        }
        assert_eq!(peer.log.take(), [long("three")]);
    }
}

#[test]
fn connections_take_turns_with_the_shards_inflater() {
    let mut world = world(1);
    let config = with_takeover();
    let mut peers: Vec<_> = (0..3)
        .map(|_| Peer::new(&mut world, config, config))
        .collect();
    let mut halves = Vec::new();
    for peer in &mut peers {
        peer.text(&long("whole"));
        let deflated = peer.context.deflate(long("cut in two").as_bytes());
        let mut bytes = Vec::new();
        let head = FrameHead::from(Opcode::Text).compressed(true);
        let deflated = deflated.expect("shorter");
        encode_masked(head, &deflated, [1, 2, 3, 4], &mut bytes);
        let back = bytes.split_off(bytes.len() / 2);
        peer.client.send(&bytes);
        halves.push(back);
        world.run();
    }
    for (peer, back) in peers.iter().zip(halves) {
        peer.client.send(&back);
        world.run();
        let expected = ["open".to_owned(), long("whole"), long("cut in two")];
        assert_eq!(peer.log.take(), expected);
    }
}

#[test]
fn what_is_sent_is_compressed_from_the_threshold_on() {
    let mut world = world(1);
    // Takeover is agreed on and not made use of.
    for config in [DeflateConfig::default(), with_takeover()] {
        let peer = Peer::new(&mut world, config, config);
        for (text, first) in [
            ("short".to_owned(), UNCOMPRESSED),
            ("x".repeat(255), UNCOMPRESSED),
            ("x".repeat(256), COMPRESSED),
            (long("news"), COMPRESSED),
            (long("news"), COMPRESSED),
        ] {
            peer.connection.send(Frame::text(&text));
            world.run();
            let bytes = peer.client.take();
            assert_eq!(bytes[0], first, "{text}");
            assert_eq!(peer.texts(bytes), [text]);
        }
        let secret = Frame::text(&long("secret")).uncompressed();
        peer.connection.send(secret);
        world.run();
        assert_eq!(peer.client.take()[0], UNCOMPRESSED);
        assert_eq!(peer.connection.buffered(), 0);
    }
}

#[test]
fn a_publication_reaches_each_member_in_the_form_it_understands() {
    for shards in [1, 3] {
        let mut world = world(shards);
        let room = world.engine().room("lobby");
        let config = DeflateConfig::default();
        let small_window = config.server_max_window_bits(9);
        let compressing: Vec<_> = [config, small_window, config, small_window, config]
            .map(|client| Peer::new(&mut world, config, client))
            .into();
        let mut plain = world.connect();
        for peer in &compressing {
            assert_eq!(peer.connection.join(&room), Ok(true));
        }
        assert_eq!(plain.connection.join(&room), Ok(true));

        let frame = Frame::text(&long("to all"));
        room.publish(frame.clone());
        room.publish(Frame::text("short"));
        world.run();
        for peer in &compressing {
            let bytes = peer.client.take();
            assert_eq!(bytes[0], COMPRESSED);
            assert!(bytes.len() < 100);
            assert_eq!(peer.texts(bytes), [&long("to all"), "short"]);
        }
        assert_eq!(plain.received(), [&long("to all"), "short"]);

        // The one publication holds the forms that were made of it, so a member that comes
        // later has what was made for the others: the same buffer.
        let mut unused = nextrush_protocol::Deflater::new();
        let params = agreed(&config, &config);
        let once = frame.deflated(params, &config, &mut unused);
        assert_eq!(format!("{unused:?}"), "Deflater { streams: 0, .. }");
        assert_eq!(once.as_bytes()[0], COMPRESSED);
    }
}

#[test]
fn a_bomb_closes_its_own_connection_with_1009() {
    let mut world = world(1);
    let config = DeflateConfig::default();
    let mut bomber = Peer::new(&mut world, config, config);
    let mut other = Peer::new(&mut world, config, config);
    for _ in 0..20 {
        bomber.text(&"x".repeat(64 * 1024 + 1));
        world.run();
        let log = bomber.log.take();
        assert!(log.iter().any(|line| line.contains("1009")), "{log:?}");
        let code = CloseCode::MESSAGE_TOO_BIG.as_u16().to_be_bytes();
        assert_eq!(bomber.client.take()[2..4], code);
        bomber = Peer::new(&mut world, config, config);
    }
    other.text(&"x".repeat(64 * 1024));
    world.run();
    assert_eq!(other.log.take(), ["open", &"x".repeat(64 * 1024)]);
}

#[test]
fn compressed_bytes_without_an_agreement_are_a_violation() {
    let mut world = world(1);
    let mut peer = world.connect();
    let mut bytes = Vec::new();
    let head = FrameHead::from(Opcode::Text).compressed(true);
    encode_masked(head, &[0], [1, 2, 3, 4], &mut bytes);
    peer.client.send(&bytes);
    world.run();
    assert_eq!(peer.connection.deflate(), None);
    let received = peer.received();
    assert!(received[0].contains("1002"), "{received:?}");
}
