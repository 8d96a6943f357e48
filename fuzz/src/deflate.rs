use nextrush_protocol::handshake::client::Opening;
use nextrush_protocol::handshake::server;
use nextrush_protocol::{
    Decoder, DeflateConfig, DeflateContext, DeflateParams, Deflater, Event, Frame, FrameHead,
    Inflater, Limits, Opcode, ProtocolError, Role, encode_masked,
};

use crate::by_the_book;
use crate::inflate::{self, Rules};
use crate::said::{Said, cut};

const RSV1: u8 = 0x40;
const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// The most bytes that an inflater takes while a message is not complete.
const INFLATER: usize = 48 * 1024;

/// The number of repetitions that make a payload long.
const REPEATED: usize = 300;

/// A stream of more bytes than this is cut into pieces that are as much longer.
const LONG: usize = 4096;

/// Any bytes as compressed messages, to a `Decoder` of any role with any parameters.
///
/// Promises: events and errors are those that a plain reading of RFC 1951 and RFC 7692
/// gives (`src/inflate.rs`), the same for every cut; no message is longer than the limit,
/// and no more than the limit, the window agreed on and one inflater is in memory.
///
/// An input is 6 bytes and a list of messages: role of the receiver (odd: client), whether
/// contexts are taken over (2), and the window bits less 8 of both sides (the 3 bits above);
/// the message limit, 2 bytes, the lower one first; three lengths of pieces, used in turn.
/// A message is a byte (odd: binary; 2: not compressed; the next 2 bits: how often it is
/// cut into fragments), its length, 2 bytes, the lower one first, the payload, and for each
/// cut its place in parts of 256.
pub fn deflate(input: &[u8]) {
    let Some(([what, limit, more_limit, lengths @ ..], list)) = input.split_first_chunk::<6>()
    else {
        return;
    };
    let role = match what % 2 {
        0 => Role::Server,
        _ => Role::Client,
    };
    let takeover = what & 2 != 0;
    let bits = 8 + (what >> 2 & 7);
    let config = DeflateConfig::default()
        .server_no_context_takeover(!takeover)
        .client_no_context_takeover(!takeover)
        .server_max_window_bits(bits)
        .client_max_window_bits(bits);
    let params = agreed(&config, &config);
    let limit = usize::from(u16::from_le_bytes([*limit, *more_limit]));
    let window = if takeover { 1 << bits } else { 0 };

    let messages = read_messages(list);
    let mut bytes = Vec::new();
    for message in &messages {
        message.write(role, &mut bytes);
    }
    let expected = by_plain_reading(&messages, limit, window);
    let lengths = lengths.map(usize::from);
    let mut inflater = Inflater::new();
    for lengths in [&[0], &[1], &lengths[..]] {
        let decoder = Decoder::new(role, Limits::message(limit)).with_deflate(params);
        let pieces = cut(&bytes, lengths);
        let most = limit + window + INFLATER;
        let (said, _) = Said::by_deflating_decoder(decoder, &mut inflater, pieces, most);
        assert_eq!(said, expected, "limit {limit}, pieces of {lengths:?}");
    }
}

struct Message<'l> {
    opcode: Opcode,
    compressed: bool,
    fragments: Vec<&'l [u8]>,
}

fn read_messages(mut list: &[u8]) -> Vec<Message<'_>> {
    let mut messages = Vec::new();
    while let Some(([kind, length, more_length], rest)) = list.split_first_chunk::<3>() {
        let length = usize::from(u16::from_le_bytes([*length, *more_length]));
        let (payload, rest) = rest.split_at(length.min(rest.len()));
        let cuts = usize::from(kind >> 2 & 3).min(rest.len());
        let (cuts, rest) = rest.split_at(cuts);
        messages.push(Message {
            opcode: if kind % 2 == 0 {
                Opcode::Text
            } else {
                Opcode::Binary
            },
            compressed: kind & 2 == 0,
            fragments: in_fragments(payload, cuts),
        });
        list = rest;
    }
    messages
}

fn in_fragments<'p>(payload: &'p [u8], cuts: &[u8]) -> Vec<&'p [u8]> {
    let mut fragments = Vec::new();
    let mut start = 0;
    for place in cuts {
        let end = (usize::from(*place) * payload.len() / 256).max(start);
        fragments.push(&payload[start..end]);
        start = end;
    }
    fragments.push(&payload[start..]);
    fragments
}

impl Message<'_> {
    fn write(&self, receiver: Role, bytes: &mut Vec<u8>) {
        let mask = (receiver == Role::Server).then_some(MASK);
        let last = self.fragments.len() - 1;
        for (index, fragment) in self.fragments.iter().enumerate() {
            let first = match index {
                0 if self.compressed => self.opcode as u8 | RSV1,
                0 => self.opcode as u8,
                _ => Opcode::Continuation as u8,
            };
            bytes.extend(by_the_book::encode(index == last, first, mask, fragment));
        }
    }

    /// The message's content, whether it was compressed or not.
    fn read(&self, rules: Rules<'_>) -> Result<Vec<u8>, ProtocolError> {
        let mut payload: Vec<u8> = Vec::new();
        for fragment in &self.fragments {
            // What compressing may add to bytes that get no shorter.
            let (counted, most) = if self.compressed {
                (fragment.len(), rules.limit + rules.limit / 8 + 64)
            } else {
                (payload.len() + fragment.len(), rules.limit)
            };
            if counted > most {
                let limit = rules.limit;
                return Err(ProtocolError::MessageTooBig { limit });
            }
            payload.extend_from_slice(fragment);
            if self.compressed {
                inflate::beginning(&payload, rules)?;
            } else if rules.is_text
                && let Err(error) = str::from_utf8(&payload)
                && error.error_len().is_some()
            {
                return Err(ProtocolError::InvalidText);
            }
        }
        if self.compressed {
            payload = inflate::whole(&payload, rules)?.bytes;
        }
        Ok(payload)
    }
}

fn by_plain_reading(messages: &[Message<'_>], limit: usize, window: usize) -> Said {
    let mut said = Said::default();
    let mut before = Vec::new();
    for message in messages {
        let is_text = message.opcode == Opcode::Text;
        let rules = Rules {
            is_text,
            limit,
            window: &before,
        };
        let read = message.read(rules).and_then(|bytes| {
            if message.compressed {
                before.extend_from_slice(&bytes);
                before.drain(..before.len().saturating_sub(window));
            }
            event(message.opcode, bytes)
        });
        match read {
            Ok(event) => said.events.push(event),
            Err(error) => {
                said.error = Some(error);
                break;
            }
        }
    }
    said
}

fn event(opcode: Opcode, bytes: Vec<u8>) -> Result<Event<'static>, ProtocolError> {
    if opcode == Opcode::Binary {
        return Ok(Event::Binary(bytes.into()));
    }
    let text = String::from_utf8(bytes).map_err(|_| ProtocolError::InvalidText)?;
    Ok(Event::Text(text.into()))
}

/// Messages compressed in every configuration, by a server for all or for one connection
/// and by a client, in one frame or several, decoded with any cut.
///
/// Promises: a plain reading of RFC 1951 finds the same bytes, and no reference that goes
/// back beyond the window agreed on; the events come out as they went in; nothing but the
/// window stays in memory.
///
/// An input is 8 bytes and a list of messages as in [`deflate`], whose byte also says
/// whether the payload is repeated 300 times (128). The 8 bytes: sender, by its remainder by
/// 3 (client, a server that shares its frames, one that does not), and the level above that;
/// for the server's configuration and then the client's the window bits less 8 of the server
/// (3 bits) and of the client (3 bits), whether the server (64) and the client (128)
/// compress each message by itself; the thresholds of both; three lengths of pieces.
pub fn deflate_round_trip(input: &[u8]) {
    let Some(([sender, server, client, thresholds @ .., a, b, c], list)) =
        input.split_first_chunk::<8>()
    else {
        return;
    };
    let config = |what: u8, threshold: u8| {
        DeflateConfig::new()
            .server_max_window_bits(8 + (what & 7))
            .client_max_window_bits(8 + (what >> 3 & 7))
            .server_no_context_takeover(what & 64 != 0)
            .client_no_context_takeover(what & 128 != 0)
            .level(sender / 3 % 10)
            .threshold(threshold.into())
    };
    let server = config(*server, thresholds[0]);
    let client = config(*client, thresholds[1]);
    let params = agreed(&server, &client);
    let (receiver, takeover, bits) = match sender % 3 {
        0 => (
            Role::Server,
            !params.client_no_context_takeover(),
            params.client_max_window_bits(),
        ),
        _ => (
            Role::Client,
            !params.server_no_context_takeover(),
            params.server_max_window_bits(),
        ),
    };
    let mut context = match sender % 3 {
        0 => Some(DeflateContext::new(Role::Client, params, &client)),
        1 => None,
        _ => Some(DeflateContext::new(Role::Server, params, &server)),
    };
    let mut deflater = Deflater::new();

    let mut bytes = Vec::new();
    let mut events = Vec::new();
    let mut window = Vec::new();
    for (opcode, payload, cuts) in read_payloads(list) {
        let deflated = match &mut context {
            Some(context) => context.deflate(&payload),
            None => {
                let frame = match str::from_utf8(&payload) {
                    Ok(text) if opcode == Opcode::Text => Frame::text(text),
                    _ => Frame::binary(&payload),
                };
                let deflated = frame.deflated(params, &server, &mut deflater);
                assert!(deflated.len() <= frame.len());
                (deflated != frame).then(|| payload_of(&deflated.as_bytes()).to_vec())
            }
        };
        if let Some(deflated) = &deflated {
            assert!(deflated.len() < payload.len());
            let rules = Rules {
                is_text: false,
                limit: payload.len(),
                window: &window,
            };
            let inflated = inflate::whole(deflated, rules).expect("right DEFLATE data");
            assert!(inflated.bytes == payload);
            assert!(inflated.distance <= 1 << bits, "{} back", inflated.distance);
            // A shared frame refers to nothing before it, whatever was agreed on.
            if takeover && context.is_some() {
                window.extend_from_slice(&payload);
                window.drain(..window.len().saturating_sub(1 << bits));
            }
        }

        let mut opcode_left = opcode;
        let fragments = in_fragments(deflated.as_ref().unwrap_or(&payload), &cuts);
        let last = fragments.len() - 1;
        for (index, fragment) in fragments.into_iter().enumerate() {
            let head = FrameHead::from(std::mem::replace(&mut opcode_left, Opcode::Continuation))
                .fin(index == last)
                .compressed(index == 0 && deflated.is_some());
            match receiver {
                Role::Server => encode_masked(head, fragment, MASK, &mut bytes),
                Role::Client => {
                    let rsv1 = if head.compressed { RSV1 } else { 0 };
                    let first = head.opcode as u8 | rsv1;
                    bytes.extend(by_the_book::encode(head.fin, first, None, fragment));
                }
            }
        }
        events.push(event(opcode, payload).expect("text is text"));
    }

    let limit = events.iter().map(length).max().unwrap_or(0);
    let decoder = Decoder::new(receiver, Limits::message(limit)).with_deflate(params);
    let scale = if bytes.len() > LONG { REPEATED } else { 1 };
    let lengths = [*a, *b, *c].map(|length| usize::from(length) * scale);
    let pieces = cut(&bytes, &lengths);
    let most = limit + (1 << bits) + INFLATER;
    let (said, decoder) = Said::by_deflating_decoder(decoder, &mut Inflater::new(), pieces, most);
    assert_eq!(said.error, None);
    assert!(said.events == events, "other events");
    let window = if takeover { 1 << bits } else { 0 };
    assert!(decoder.buffered() <= window + Said::OVERHEAD);
}

/// Opcode, payload and places of cuts of each message. Text that is not UTF-8 is made so.
fn read_payloads(mut list: &[u8]) -> Vec<(Opcode, Vec<u8>, Vec<u8>)> {
    let mut payloads = Vec::new();
    while let Some(([kind, length, more_length], rest)) = list.split_first_chunk::<3>() {
        let length = usize::from(u16::from_le_bytes([*length, *more_length]));
        let (payload, rest) = rest.split_at(length.min(rest.len()));
        let cuts = usize::from(kind >> 2 & 3).min(rest.len());
        let (cuts, rest) = rest.split_at(cuts);
        let times = if *kind >= 128 { REPEATED } else { 1 };
        let (opcode, payload) = if kind % 2 == 0 {
            let text = String::from_utf8_lossy(payload).into_owned();
            (Opcode::Text, text.into_bytes())
        } else {
            (Opcode::Binary, payload.to_vec())
        };
        payloads.push((opcode, payload.repeat(times), cuts.to_vec()));
        list = rest;
    }
    payloads
}

fn length(event: &Event<'_>) -> usize {
    match event {
        Event::Text(text) => text.len(),
        Event::Binary(data) => data.len(),
        Event::Ping(_) | Event::Pong(_) | Event::Close(_) => 0,
    }
}

/// The payload behind a server's header.
fn payload_of(frame: &[u8]) -> &[u8] {
    match frame[1] {
        127 => &frame[10..],
        126 => &frame[4..],
        _ => &frame[2..],
    }
}

/// The parameters that two sides agree on.
fn agreed(server: &DeflateConfig, client: &DeflateConfig) -> DeflateParams {
    let opening = Opening::new([7; 16]).deflate(*client);
    let mut request = opening.headers();
    request.insert("host", http::HeaderValue::from_static("example.com"));
    let method = http::Method::GET;
    let mut accepted =
        server::accept(&method, http::Version::HTTP_11, &request).expect("a right request");
    let params = accepted.negotiate_deflate(server).expect("an offer");
    let status = http::StatusCode::SWITCHING_PROTOCOLS;
    let answer = accepted.headers();
    let agreed = opening.verify(status, &answer).expect("a right answer");
    assert_eq!(agreed.deflate, Some(params));
    params
}
