//! Frames by the letter of RFC 6455, slow and plain: the second opinion.

use nextrush_protocol::{CloseCode, CloseFrame, Event, Limits, ProtocolError, Role};

use crate::said::Said;

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// A frame as it stands on the wire (§5.2).
pub(crate) fn encode(fin: bool, opcode: u8, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![if fin { 0x80 } else { 0 } | opcode];
    match payload.len() {
        length @ 0..=125 => bytes.push(length as u8),
        length @ 126..=0xFFFF => {
            bytes.push(126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    match mask {
        None => bytes.extend_from_slice(payload),
        Some(mask) => {
            bytes[1] |= 0x80;
            bytes.extend(mask);
            bytes.extend(masked(payload, mask));
        }
    }
    bytes
}

/// Reads what `stream` says to an endpoint of this role.
pub(crate) fn decode(role: Role, limits: Limits, stream: &[u8]) -> Said {
    let mut reader = Reader {
        role,
        limits,
        rest: stream,
        message: None,
        said: Said::default(),
    };
    loop {
        match reader.frame() {
            Ok(()) => {}
            Err(Stop::End) => return reader.said,
            Err(Stop::Violation(error)) => {
                reader.said.error = Some(error);
                return reader.said;
            }
        }
    }
}

struct Reader<'s> {
    role: Role,
    limits: Limits,
    rest: &'s [u8],
    message: Option<Message>,
    said: Said,
}

struct Message {
    is_text: bool,
    payload: Vec<u8>,
    /// The number of leading bytes that are known to be whole characters.
    whole: usize,
}

enum Stop {
    /// The stream is used up, or the peer has closed.
    End,
    Violation(ProtocolError),
}

impl From<ProtocolError> for Stop {
    fn from(error: ProtocolError) -> Self {
        Self::Violation(error)
    }
}

impl Reader<'_> {
    fn frame(&mut self) -> Result<(), Stop> {
        let first = self.byte()?;
        let (fin, opcode) = (first & 0x80 != 0, first & 0x0F);
        self.check_first_byte(first)?;

        let second = self.byte()?;
        match (self.role, second & 0x80 != 0) {
            (Role::Server, false) => return Err(ProtocolError::Unmasked.into()),
            (Role::Client, true) => return Err(ProtocolError::Masked.into()),
            (Role::Server, true) | (Role::Client, false) => {}
        }
        let length = self.length(opcode, second & 0x7F)?;

        let mut mask = [0; 4];
        if self.role == Role::Server {
            for byte in &mut mask {
                *byte = self.byte()?;
            }
        }
        let arrived = self
            .rest
            .len()
            .min(usize::try_from(length).unwrap_or(usize::MAX));
        let (payload, rest) = self.rest.split_at(arrived);
        self.rest = rest;
        let payload = masked(payload, mask);
        let is_whole = arrived as u64 == length;

        if opcode >= CLOSE {
            return if is_whole {
                self.control(opcode, payload)
            } else {
                Err(Stop::End)
            };
        }
        if let TEXT | BINARY = opcode {
            self.message = Some(Message {
                is_text: opcode == TEXT,
                payload: Vec::new(),
                whole: 0,
            });
        }
        if let Some(message) = &mut self.message {
            message.append(&payload)?;
        }
        if !is_whole {
            return Err(Stop::End);
        }
        if fin && let Some(message) = self.message.take() {
            self.said.events.push(message.finish()?);
        }
        Ok(())
    }

    /// §5.2 (reserved bits and opcodes), §5.4 and §5.5 (what may be fragmented).
    fn check_first_byte(&self, first: u8) -> Result<(), ProtocolError> {
        if first & 0x70 != 0 {
            return Err(ProtocolError::ReservedBit);
        }
        let fin = first & 0x80 != 0;
        match (first & 0x0F, self.message.is_some()) {
            (CONTINUATION, false) => Err(ProtocolError::UnexpectedContinuation),
            (TEXT | BINARY, true) => Err(ProtocolError::UnfinishedMessage),
            (CONTINUATION | TEXT | BINARY, _) => Ok(()),
            (CLOSE | PING | PONG, _) if !fin => Err(ProtocolError::FragmentedControl),
            (CLOSE | PING | PONG, _) => Ok(()),
            (reserved, _) => Err(ProtocolError::ReservedOpcode(reserved)),
        }
    }

    /// §5.2 (the shortest form, the highest bit 0), §5.5 (control frames), and limits.
    fn length(&mut self, opcode: u8, short: u8) -> Result<u64, Stop> {
        if opcode >= CLOSE && short > 125 {
            return Err(ProtocolError::OversizedControl.into());
        }
        let (length, least) = match short {
            126 => (self.number(2)?, 126),
            127 => (self.number(8)?, 0x1_0000),
            short => (u64::from(short), 0),
        };
        if length < least {
            return Err(ProtocolError::LengthNotMinimal.into());
        }
        if length >= 1 << 63 {
            return Err(ProtocolError::LengthOverflow.into());
        }
        if opcode < CLOSE {
            let so_far = self
                .message
                .as_ref()
                .map_or(0, |message| message.payload.len());
            let [message_limit, frame_limit] = [self.limits.message, self.limits.frame].map(stored);
            if so_far as u64 + length > message_limit as u64 {
                return Err(ProtocolError::MessageTooBig {
                    limit: message_limit,
                }
                .into());
            }
            if length > frame_limit as u64 {
                return Err(ProtocolError::FrameTooBig { limit: frame_limit }.into());
            }
        }
        Ok(length)
    }

    fn control(&mut self, opcode: u8, payload: Vec<u8>) -> Result<(), Stop> {
        match opcode {
            PING => self.said.events.push(Event::Ping(payload.into())),
            PONG => self.said.events.push(Event::Pong(payload.into())),
            _ => {
                self.said.events.push(Event::Close(close(&payload)?));
                return Err(Stop::End);
            }
        }
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, Stop> {
        let (byte, rest) = self.rest.split_first().ok_or(Stop::End)?;
        self.rest = rest;
        Ok(*byte)
    }

    fn number(&mut self, bytes: usize) -> Result<u64, Stop> {
        let mut number = 0;
        for _ in 0..bytes {
            number = number << 8 | u64::from(self.byte()?);
        }
        Ok(number)
    }
}

impl Message {
    /// §8.1, as soon as no continuation could make the text right.
    fn append(&mut self, payload: &[u8]) -> Result<(), ProtocolError> {
        self.payload.extend_from_slice(payload);
        if self.is_text
            && let Err(error) = str::from_utf8(&self.payload[self.whole..])
        {
            if error.error_len().is_some() {
                return Err(ProtocolError::InvalidText);
            }
            self.whole += error.valid_up_to();
        } else {
            self.whole = self.payload.len();
        }
        Ok(())
    }

    fn finish(self) -> Result<Event<'static>, ProtocolError> {
        if !self.is_text {
            return Ok(Event::Binary(self.payload.into()));
        }
        let text = String::from_utf8(self.payload).map_err(|_| ProtocolError::InvalidText)?;
        Ok(Event::Text(text.into()))
    }
}

/// §5.5.1 and §7.4, with the codes that the registry has added.
fn close(payload: &[u8]) -> Result<Option<CloseFrame>, ProtocolError> {
    let (code, reason) = match payload {
        [] => return Ok(None),
        [_] => return Err(ProtocolError::TruncatedCloseCode),
        [high, low, reason @ ..] => (u16::from(*high) << 8 | u16::from(*low), reason),
    };
    let code_may_be_sent = match code {
        1004..=1006 | 1015 => false,
        1000..=1014 | 3000..=4999 => true,
        _ => false,
    };
    if !code_may_be_sent {
        return Err(ProtocolError::InvalidCloseCode(CloseCode::new(code)));
    }
    let reason = str::from_utf8(reason).map_err(|_| ProtocolError::InvalidCloseReason)?;
    Ok(Some(CloseFrame::new(CloseCode::new(code), reason)))
}

/// §5.3.
fn masked(payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let octets = payload.iter().enumerate();
    octets.map(|(i, octet)| octet ^ mask[i % 4]).collect()
}

/// Caps a limit at 4 GiB - 1 byte, as `Limits` documents it.
fn stored(limit: usize) -> usize {
    limit.min(u32::MAX as usize)
}
