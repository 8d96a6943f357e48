//! DEFLATE (RFC 1951) a bit at a time, slow and plain, as compressed messages use it
//! (RFC 7692 §7.2.2): the second opinion.

use nextrush_protocol::ProtocolError;

/// The bytes that a message leaves out at its end, and an empty final block: with these behind
/// the payload everything has to come to an end.
const END: [u8; 6] = [0x00, 0x00, 0xFF, 0xFF, 0x03, 0x00];

/// Blocks marked as final that a message may have and go on.
const MAX_FINAL_BLOCKS: usize = 256;

/// The rules by which a compressed message is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'w> {
    pub(crate) is_text: bool,
    pub(crate) limit: usize,
    /// The end of the messages before it, to which it may refer.
    pub(crate) window: &'w [u8],
}

/// The content of a compressed message.
#[derive(Debug, Default)]
pub(crate) struct Inflated {
    pub(crate) bytes: Vec<u8>,
    /// The farthest that it refers back.
    pub(crate) distance: usize,
}

/// Inflates a whole message's payload.
pub(crate) fn whole(payload: &[u8], rules: Rules<'_>) -> Result<Inflated, ProtocolError> {
    let bytes = [payload, &END].concat();
    let mut reader = Reader::new(&bytes, payload.len(), rules);
    match reader.message() {
        Ok(()) => Ok(reader.out),
        Err(Stop::Violation(error)) => Err(error),
        Err(Stop::OutOfBits) => Err(ProtocolError::InvalidDeflate),
    }
}

/// Fails if the beginning of a payload is already wrong.
pub(crate) fn beginning(payload: &[u8], rules: Rules<'_>) -> Result<(), ProtocolError> {
    match Reader::new(payload, payload.len(), rules).message() {
        Ok(()) | Err(Stop::OutOfBits) => Ok(()),
        Err(Stop::Violation(error)) => Err(error),
    }
}

enum Stop {
    OutOfBits,
    Violation(ProtocolError),
}

/// There are no other reasons: the format knows one kind of wrong.
fn wrong<T>() -> Result<T, Stop> {
    Err(Stop::Violation(ProtocolError::InvalidDeflate))
}

struct Reader<'b> {
    bytes: &'b [u8],
    /// The next bit.
    position: usize,
    /// The number of bytes that have been sent; nothing may come out of the others.
    sent: usize,
    rules: Rules<'b>,
    out: Inflated,
    /// The number of bytes in `out` that are known to be whole characters.
    characters: usize,
}

impl<'b> Reader<'b> {
    fn new(bytes: &'b [u8], sent: usize, rules: Rules<'b>) -> Self {
        Self {
            bytes,
            position: 0,
            sent,
            rules,
            out: Inflated::default(),
            characters: 0,
        }
    }

    fn message(&mut self) -> Result<(), Stop> {
        let mut final_blocks = 0;
        // A message of no bytes is taken for an empty one.
        while self.sent > 0 {
            if !self.block()? {
                continue;
            }
            self.position = self.position.next_multiple_of(8);
            let read = self.position / 8;
            if read == self.sent || read == self.bytes.len() {
                break;
            }
            final_blocks += 1;
            if read > self.sent || final_blocks > MAX_FINAL_BLOCKS {
                return wrong();
            }
        }
        Ok(())
    }

    /// Reads a block, and returns whether it was marked as the final one (RFC 1951 §3.2.3).
    fn block(&mut self) -> Result<bool, Stop> {
        let is_final = self.take(1)? == 1;
        match self.take(2)? {
            0 => self.stored()?,
            1 => {
                let lengths = [&[8; 144][..], &[9; 112], &[7; 24], &[8; 8]].concat();
                let distances = Code::new(&[5; 32], false)?;
                self.codes(&Code::new(&lengths, false)?, &distances)?;
            }
            2 => {
                let (literals, distances) = self.code_lengths()?;
                self.codes(&literals, &distances)?;
            }
            _ => return wrong(),
        }
        Ok(is_final)
    }

    /// §3.2.4.
    fn stored(&mut self) -> Result<(), Stop> {
        self.position = self.position.next_multiple_of(8);
        let both = self.take(32)?;
        if both & 0xFFFF != !(both >> 16) & 0xFFFF {
            return wrong();
        }
        for _ in 0..both & 0xFFFF {
            let byte = self.take(8)?;
            self.emit(byte as u8)?;
        }
        Ok(())
    }

    /// §3.2.7.
    fn code_lengths(&mut self) -> Result<(Code, Code), Stop> {
        const ORDER: [usize; 19] = [
            16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
        ];
        let counts = self.take(14)?;
        let literals = 257 + (counts & 0x1F);
        let distances = 1 + (counts >> 5 & 0x1F);
        let of_lengths = 4 + (counts >> 10);
        if literals > 286 || distances > 30 {
            return wrong();
        }
        let mut lengths = [0; 19];
        for place in &ORDER[..of_lengths] {
            lengths[*place] = self.take(3)? as u8;
        }
        let code = Code::new(&lengths, false)?;
        let mut lengths: Vec<u8> = Vec::new();
        while lengths.len() < literals + distances {
            let (length, times) = match code.read(self)? {
                16 => {
                    let times = 3 + self.take(2)?;
                    match lengths.last() {
                        Some(length) => (*length, times),
                        None => return wrong(),
                    }
                }
                17 => (0, 3 + self.take(3)?),
                18 => (0, 11 + self.take(7)?),
                length => (length as u8, 1),
            };
            lengths.extend(std::iter::repeat_n(length, times));
        }
        if lengths.len() > literals + distances || lengths[256] == 0 {
            return wrong();
        }
        let (literals, distances) = lengths.split_at(literals);
        Ok((Code::new(literals, true)?, Code::new(distances, true)?))
    }

    /// §3.2.5.
    fn codes(&mut self, literals: &Code, distances: &Code) -> Result<(), Stop> {
        loop {
            let length = match literals.read(self)? {
                literal @ 0..256 => {
                    self.emit(literal as u8)?;
                    continue;
                }
                256 => return Ok(()),
                285 => 258,
                symbol @ 257..285 => 3 + self.stepped(symbol - 257, 4)?,
                _ => return wrong(),
            };
            let distance = match distances.read(self)? {
                symbol @ 0..30 => 1 + self.stepped(symbol, 2)?,
                _ => return wrong(),
            };
            if distance > self.rules.window.len() + self.out.bytes.len() {
                return wrong();
            }
            self.out.distance = self.out.distance.max(distance);
            for _ in 0..length {
                let before = self.out.bytes.len();
                let byte = match before.checked_sub(distance) {
                    Some(place) => self.out.bytes[place],
                    None => self.rules.window[self.rules.window.len() + before - distance],
                };
                self.emit(byte)?;
            }
        }
    }

    /// Values whose steps double after every `per_step` symbols.
    fn stepped(&mut self, symbol: usize, per_step: usize) -> Result<usize, Stop> {
        if symbol < 2 * per_step {
            return Ok(symbol);
        }
        let extra = symbol / per_step - 1;
        Ok(((per_step + symbol % per_step) << extra) + self.take(extra)?)
    }

    fn emit(&mut self, byte: u8) -> Result<(), Stop> {
        if self.position > 8 * self.sent {
            return wrong();
        }
        let limit = self.rules.limit;
        if self.out.bytes.len() == limit {
            return Err(Stop::Violation(ProtocolError::MessageTooBig { limit }));
        }
        self.out.bytes.push(byte);
        if self.rules.is_text {
            match str::from_utf8(&self.out.bytes[self.characters..]) {
                Ok(_) => self.characters = self.out.bytes.len(),
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(Stop::Violation(ProtocolError::InvalidText)),
            }
        }
        Ok(())
    }

    /// The next `count` bits, the first one the lowest (§3.1.1).
    fn take(&mut self, count: usize) -> Result<usize, Stop> {
        let mut value = 0;
        for bit in 0..count {
            let Some(byte) = self.bytes.get(self.position / 8) else {
                return Err(Stop::OutOfBits);
            };
            value |= usize::from(byte >> (self.position % 8) & 1) << bit;
            self.position += 1;
        }
        Ok(value)
    }
}

/// A Huffman code (§3.2.2): how many symbols there are of each length, and the symbols in
/// order.
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    /// A code for symbols of these lengths, where 0 is none. A code of one bit with one
    /// symbol is `loose`, if that may be. Without a symbol it can be made, and not read.
    fn new(lengths: &[u8], loose: bool) -> Result<Self, Stop> {
        let mut counts = [0; 16];
        for length in lengths {
            counts[usize::from(*length)] += 1;
        }
        counts[0] = 0;
        let mut symbols: Vec<usize> = (0..lengths.len()).filter(|it| lengths[*it] > 0).collect();
        symbols.sort_by_key(|symbol| lengths[*symbol]);

        let mut free = 1_usize;
        for count in &counts[1..] {
            free = match (2 * free).checked_sub(*count) {
                Some(free) => free,
                None => return wrong(),
            };
        }
        let is_loose = symbols.len() == 1 && counts[1] == 1 && loose;
        if free > 0 && !is_loose && !symbols.is_empty() {
            return wrong();
        }
        Ok(Self { counts, symbols })
    }

    fn read(&self, reader: &mut Reader<'_>) -> Result<usize, Stop> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code |= reader.take(1)?;
            if code < first + count {
                return Ok(self.symbols[index + code - first]);
            }
            if self.symbols.len() < 2 {
                break;
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        wrong()
    }
}
