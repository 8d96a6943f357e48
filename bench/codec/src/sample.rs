use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};

/// The content of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A text message, all ASCII.
    Text,
    /// A text message of several scripts.
    Unicode,
    /// A binary message.
    Binary,
    /// A text message, a JSON array of records that resemble each other as an application's
    /// do.
    Json,
}

impl Kind {
    /// Returns whether the message is a text message on the wire.
    pub fn is_text(self) -> bool {
        self != Self::Binary
    }
}

/// A message's payload.
#[derive(Clone, Debug)]
pub struct Sample {
    kind: Kind,
    payload: Bytes,
}

const ASCII: &str = "The quick brown fox jumps over the lazy dog, and then it sleeps. ";
const SCRIPTS: &str = "Grüße aus Łódź, съешь ещё этих мягких булок, 今日は良い天気 🌞 ok. ";

impl Sample {
    /// A payload of `size` bytes.
    pub fn new(kind: Kind, size: usize) -> Self {
        let payload = match kind {
            Kind::Text => text(ASCII, size).into(),
            Kind::Unicode => text(SCRIPTS, size).into(),
            Kind::Json => json(size).into(),
            Kind::Binary => (0..size).map(|at| (at * 131 + at / 256) as u8).collect(),
        };
        Self { kind, payload }
    }

    /// The kind of content.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The payload, shared.
    pub fn payload(&self) -> Bytes {
        self.payload.clone()
    }

    /// The payload as text, `None` if it is not a text message's.
    pub fn text(&self) -> Option<String> {
        if !self.kind.is_text() {
            return None;
        }
        String::from_utf8(self.payload.to_vec()).ok()
    }

    /// A frame on the wire with this as its payload, written by the book (RFC 6455 §5.2)
    /// and not by any of the codecs.
    pub fn frame(&self, mask: Option<[u8; 4]>) -> Vec<u8> {
        self.frame_of(0, &self.payload, mask)
    }

    /// The same compressed by itself (RFC 7692 §7.2.1), at the usual level 6.
    pub fn deflated_frame(&self, mask: Option<[u8; 4]>) -> Vec<u8> {
        let mut stream = Compress::new(Compression::default(), false);
        let mut payload = Vec::with_capacity(self.payload.len() + 1024);
        let flush = FlushCompress::Sync;
        let done = stream.compress_vec(&self.payload, &mut payload, flush);
        assert!(done.is_ok() && payload.ends_with(&[0, 0, 0xFF, 0xFF]));
        payload.truncate(payload.len() - 4);
        self.frame_of(0x40, &payload, mask)
    }

    fn frame_of(&self, rsv1: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
        let opcode = if self.kind.is_text() { 0x1 } else { 0x2 };
        let masked = if mask.is_some() { 0x80 } else { 0 };
        let mut frame = vec![0x80 | rsv1 | opcode];
        match payload.len() {
            short @ 0..=125 => frame.push(masked | short as u8),
            medium @ 126..=0xFFFF => {
                frame.push(masked | 126);
                frame.extend((medium as u16).to_be_bytes());
            }
            long => {
                frame.push(masked | 127);
                frame.extend((long as u64).to_be_bytes());
            }
        }
        let mask = mask.inspect(|mask| frame.extend(mask)).unwrap_or_default();
        let octets = payload.iter().enumerate();
        frame.extend(octets.map(|(at, octet)| octet ^ mask[at % 4]));
        frame
    }
}

/// `size` bytes of `words` over and over; spaces where the next character is too long.
fn text(words: &str, size: usize) -> String {
    let mut text = String::with_capacity(size);
    for character in words.chars().cycle() {
        if text.len() + character.len_utf8() > size {
            break;
        }
        text.push(character);
    }
    text.extend(std::iter::repeat_n(' ', size - text.len()));
    text
}

/// An array of records, filled up with blanks.
fn json(size: usize) -> String {
    let mut noise = 1_u32;
    let mut next = |below: u32| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (noise >> 8) % below
    };
    let mut text = "[".to_owned();
    loop {
        let record = format!(
            r#"{{"id":{},"user":"user-{}","price":{}.{:02},"up":{}}}"#,
            next(1_000_000),
            next(5_000),
            next(10_000),
            next(100),
            next(2) == 0,
        );
        if text.len() + record.len() + ",]".len() > size {
            break;
        }
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&record);
    }
    text.extend(std::iter::repeat_n(' ', size - text.len() - 1));
    text.push(']');
    text
}
