use nextrush_protocol::{
    CloseCode, CloseFrame, Event, Frame, FrameHead, Limits, Opcode, ProtocolError, Role,
    encode_masked,
};

use crate::by_the_book;
use crate::said::{Said, cut};

/// The number of repetitions that make a payload long: 85 bytes become 65535, the most that a
/// length of 16 bits can say.
const REPEATED: usize = 771;

/// A stream of more bytes than this is cut into pieces that are as much longer.
const LONG: usize = 4096;

/// RFC 6455 §5.5.
const MAX_CONTROL: usize = 125;

/// Messages in one frame or several, with control frames between the fragments: encoded
/// as a client (masked) and as a server, cut anyhow, decoded.
///
/// Promises: the encoders write what RFC 6455 §5.2 says; the events come out as they went
/// in; nothing is kept in memory then. The limits are inclusive: those of the longest
/// message and frame are enough, and one byte less is refused with one error at the
/// first message that is longer.
///
/// An input is 8 bytes and a list of things to say. The 8 bytes: sender (even: client,
/// odd: server); the first frame's mask, 4 bytes, which is rotated for each further
/// frame; three lengths of pieces, used in turn, 771 times as long for a stream above
/// 4 KiB. Each thing to say starts with a byte whose remainder by 5 is its kind:
///
/// - 0, text; 1, binary: a length; a count of cuts, modulo 4; the payload; for each cut
///   its place, in parts of 256, and a control frame that goes there: 0 for none, else
///   odd for a ping and even for a pong, half of it the length, and the payload. A first
///   byte of 128 or more makes the payload 771 times as long.
/// - 2, ping; 3, pong: a length, and the payload.
/// - 4, close: a length, 2 bytes of code, the higher one first, and the reason. With a
///   code that must not be sent it has neither code nor reason. Ends the list.
///
/// Payloads end where the input does. Text that is not UTF-8 is made so.
pub fn round_trip(input: &[u8]) {
    let Some(([sender, mask @ .., a, b, c], list)) = input.split_first_chunk::<8>() else {
        return;
    };
    let mut script = Script {
        sender: if sender % 2 == 0 {
            Role::Client
        } else {
            Role::Server
        },
        mask: *mask,
        bytes: Vec::new(),
        events: Vec::new(),
        longest_message: 0,
        longest_frame: 0,
    };
    script.read(list);

    let receiver = match script.sender {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    };
    let limits = Limits::message(script.longest_message).frame(script.longest_frame);
    let scale = if script.bytes.len() > LONG {
        REPEATED
    } else {
        1
    };
    let lengths = [*a, *b, *c].map(|length| usize::from(length) * scale);
    let pieces = cut(&script.bytes, &lengths);
    let (said, decoder) = Said::by_decoder(receiver, limits, pieces.iter().copied());
    assert_eq!(said.error, None);
    assert_eq!(said.events, script.events);
    assert_eq!(decoder.buffered(), 0, "memory kept between messages");

    if let Some(limit) = script.longest_message.checked_sub(1) {
        let limits = Limits::message(limit);
        let (said, _) = Said::by_decoder(receiver, limits, pieces);
        assert_eq!(said.error, Some(ProtocolError::MessageTooBig { limit }));
        let before = &script.events[..said.events.len()];
        assert_eq!(said.events, before);
        assert!(before.iter().all(|event| payload_length(event) <= limit));
    }
}

/// A stream in the making, and what it says.
struct Script {
    sender: Role,
    mask: [u8; 4],
    bytes: Vec<u8>,
    events: Vec<Event<'static>>,
    longest_message: usize,
    longest_frame: usize,
}

impl Script {
    fn read(&mut self, mut list: &[u8]) {
        while let Some(kind) = byte(&mut list) {
            match kind % 5 {
                0 => self.message(Opcode::Text, kind >= 128, &mut list),
                1 => self.message(Opcode::Binary, kind >= 128, &mut list),
                2 => self.ping_or_pong(Opcode::Ping, &mut list),
                3 => self.ping_or_pong(Opcode::Pong, &mut list),
                _ => return self.close(&mut list),
            }
        }
    }

    fn message(&mut self, mut opcode: Opcode, is_long: bool, list: &mut &[u8]) {
        let length = byte(list).unwrap_or(0);
        let cuts = byte(list).unwrap_or(0) % 4;
        let mut payload = take(list, length).to_vec();
        if opcode == Opcode::Text {
            payload = String::from_utf8_lossy(&payload).into_owned().into_bytes();
        }
        if is_long {
            payload = payload.repeat(REPEATED);
        }
        let event = match opcode {
            Opcode::Text => Event::Text(String::from_utf8_lossy(&payload).into_owned().into()),
            _ => Event::Binary(payload.clone().into()),
        };

        let mut start = 0;
        for _ in 0..cuts {
            let place = usize::from(byte(list).unwrap_or(0)) * payload.len() / 256;
            let end = place.max(start);
            self.frame(false, opcode, &payload[start..end]);
            opcode = Opcode::Continuation;
            start = end;
            match byte(list).unwrap_or(0) {
                0 => {}
                odd if odd % 2 == 1 => self.control(Opcode::Ping, take(list, odd / 2)),
                even => self.control(Opcode::Pong, take(list, even / 2)),
            }
        }
        self.frame(true, opcode, &payload[start..]);
        self.longest_message = self.longest_message.max(payload.len());
        self.events.push(event);
    }

    fn ping_or_pong(&mut self, opcode: Opcode, list: &mut &[u8]) {
        let length = byte(list).unwrap_or(0);
        self.control(opcode, take(list, length));
    }

    /// Adds a ping or a pong. If its payload is too long, the encoder must refuse it, and it
    /// is left out.
    fn control(&mut self, opcode: Opcode, payload: &[u8]) {
        if payload.len() > MAX_CONTROL {
            assert_eq!(
                Frame::ping(payload).map_err(|it| it.length()),
                Err(payload.len())
            );
            assert_eq!(
                Frame::pong(payload).map_err(|it| it.length()),
                Err(payload.len())
            );
            return;
        }
        self.frame(true, opcode, payload);
        let payload = payload.to_vec().into();
        self.events.push(match opcode {
            Opcode::Ping => Event::Ping(payload),
            _ => Event::Pong(payload),
        });
    }

    fn close(&mut self, list: &mut &[u8]) {
        let length = byte(list).unwrap_or(0);
        let payload = take(list, length);
        let frame = payload.split_first_chunk().and_then(|(code, reason)| {
            let code = CloseCode::new(u16::from_be_bytes(*code));
            let reason = String::from_utf8_lossy(reason);
            code.is_sendable().then(|| CloseFrame::new(code, reason))
        });
        let payload = frame.as_ref().map_or_else(Vec::new, |frame| {
            let code = frame.code().as_u16().to_be_bytes();
            [&code, frame.reason().as_bytes()].concat()
        });
        self.frame(true, Opcode::Close, &payload);
        self.events.push(Event::Close(frame));
    }

    /// Appends a frame by the book, after a look at whether the encoder makes the same.
    fn frame(&mut self, fin: bool, opcode: Opcode, payload: &[u8]) {
        let start = self.bytes.len();
        let mask = (self.sender == Role::Client).then_some(self.mask);
        self.bytes
            .extend(by_the_book::encode(fin, opcode as u8, mask, payload));
        let frame = &self.bytes[start..];
        match self.sender {
            Role::Client => {
                let mut masked = Vec::new();
                let head = FrameHead::from(opcode).fin(fin);
                encode_masked(head, payload, self.mask, &mut masked);
                assert!(masked == frame, "{opcode:?} of {} bytes", payload.len());
                self.mask.rotate_left(1);
            }
            Role::Server => {
                if let Some(whole) = whole_frame(opcode, payload).filter(|_| fin) {
                    assert!(*whole.as_bytes() == *frame, "{whole:?}");
                    assert_eq!(whole.opcode(), opcode);
                    assert_eq!(whole.len(), frame.len());
                }
            }
        }
        if !opcode.is_control() {
            self.longest_frame = self.longest_frame.max(payload.len());
        }
    }
}

/// The server's encoder; it makes no fragments.
fn whole_frame(opcode: Opcode, payload: &[u8]) -> Option<Frame> {
    match opcode {
        Opcode::Text => str::from_utf8(payload).ok().map(Frame::text),
        Opcode::Binary => Some(Frame::binary(payload)),
        Opcode::Ping => Frame::ping(payload).ok(),
        Opcode::Pong => Frame::pong(payload).ok(),
        Opcode::Close => {
            let close = payload.split_first_chunk().map(|(code, reason)| {
                let code = CloseCode::new(u16::from_be_bytes(*code));
                CloseFrame::new(code, String::from_utf8_lossy(reason))
            });
            Some(Frame::close(close.as_ref()))
        }
        Opcode::Continuation => None,
    }
}

fn payload_length(event: &Event<'_>) -> usize {
    match event {
        Event::Text(text) => text.len(),
        Event::Binary(data) => data.len(),
        Event::Ping(_) | Event::Pong(_) | Event::Close(_) => 0,
    }
}

/// Takes the next byte off `list`, if there is one.
fn byte(list: &mut &[u8]) -> Option<u8> {
    let (byte, rest) = list.split_first()?;
    *list = rest;
    Some(*byte)
}

/// Takes `length` bytes off `list`, or as many as there are.
fn take<'l>(list: &mut &'l [u8], length: u8) -> &'l [u8] {
    let (front, rest) = list.split_at(list.len().min(usize::from(length)));
    *list = rest;
    front
}
