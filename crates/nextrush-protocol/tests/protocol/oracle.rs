//! A literal reading of DEFLATE (RFC 1951), a bit at a time, to judge sent messages.

/// The contents of a compressed payload.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Inflated {
    pub(crate) bytes: Vec<u8>,
    /// The farthest reference.
    pub(crate) distance: usize,
}

/// Inflates the payload of a compressed message (RFC 7692 §7.2.2) that stands alone.
pub(crate) fn inflate(payload: &[u8]) -> Inflated {
    let payload = [payload, &[0, 0, 0xFF, 0xFF]].concat();
    let mut bits = Bits {
        bytes: &payload,
        position: 0,
    };
    let mut out = Inflated {
        bytes: Vec::new(),
        distance: 0,
    };
    while bits.position < payload.len() * 8 {
        assert_eq!(bits.take(1), 0, "a final block");
        match bits.take(2) {
            0 => stored(&mut bits, &mut out),
            1 => {
                let lengths: Vec<u8> = (0..288)
                    .map(|symbol| match symbol {
                        0..144 => 8,
                        144..256 => 9,
                        256..280 => 7,
                        _ => 8,
                    })
                    .collect();
                codes(
                    &mut bits,
                    &mut out,
                    &Code::new(&lengths),
                    &Code::new(&[5; 30]),
                );
            }
            2 => dynamic(&mut bits, &mut out),
            kind => panic!("block of kind {kind}"),
        }
    }
    out
}

struct Bits<'b> {
    bytes: &'b [u8],
    position: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> usize {
        (0..count).fold(0, |value, bit| {
            let byte = self.bytes[self.position / 8];
            let found = usize::from(byte >> (self.position % 8) & 1);
            self.position += 1;
            value | found << bit
        })
    }
}

/// A Huffman code: the number of symbols of each length, and the symbols in order.
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[u8]) -> Self {
        let mut counts = [0; 16];
        for length in lengths {
            counts[usize::from(*length)] += 1;
        }
        counts[0] = 0;
        let mut symbols: Vec<usize> = (0..lengths.len()).filter(|it| lengths[*it] > 0).collect();
        symbols.sort_by_key(|symbol| lengths[*symbol]);
        Self { counts, symbols }
    }

    fn read(&self, bits: &mut Bits<'_>) -> usize {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code |= bits.take(1);
            if code < first + count {
                return self.symbols[index + code - first];
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        panic!("no such code");
    }
}

fn stored(bits: &mut Bits<'_>, out: &mut Inflated) {
    bits.position = bits.position.next_multiple_of(8);
    let (length, complement) = (bits.take(16), bits.take(16));
    assert_eq!(length ^ complement, 0xFFFF);
    out.bytes.extend((0..length).map(|_| bits.take(8) as u8));
}

fn dynamic(bits: &mut Bits<'_>, out: &mut Inflated) {
    const ORDER: [usize; 19] = [
        16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
    ];
    let literals = bits.take(5) + 257;
    let distances = bits.take(5) + 1;
    let of_lengths = bits.take(4) + 4;
    let mut lengths = [0; 19];
    for place in &ORDER[..of_lengths] {
        lengths[*place] = bits.take(3) as u8;
    }
    let code = Code::new(&lengths);
    let mut lengths = Vec::new();
    while lengths.len() < literals + distances {
        let (length, times) = match code.read(bits) {
            16 => (*lengths.last().expect("one before"), 3 + bits.take(2)),
            17 => (0, 3 + bits.take(3)),
            18 => (0, 11 + bits.take(7)),
            length => (length as u8, 1),
        };
        lengths.extend(std::iter::repeat_n(length, times));
    }
    let (literals, distances) = lengths.split_at(literals);
    codes(bits, out, &Code::new(literals), &Code::new(distances));
}

fn codes(bits: &mut Bits<'_>, out: &mut Inflated, literals: &Code, distances: &Code) {
    loop {
        match literals.read(bits) {
            literal @ 0..256 => out.bytes.push(literal as u8),
            256 => return,
            symbol => {
                let length = match symbol - 257 {
                    28 => 258,
                    symbol => 3 + stepped(bits, symbol, 4),
                };
                let symbol = distances.read(bits);
                let distance = 1 + stepped(bits, symbol, 2);
                out.distance = out.distance.max(distance);
                for _ in 0..length {
                    out.bytes.push(out.bytes[out.bytes.len() - distance]);
                }
            }
        }
    }
}

/// The values whose steps double after every `per_step` symbols (RFC 1951 §3.2.5).
fn stepped(bits: &mut Bits<'_>, symbol: usize, per_step: usize) -> usize {
    if symbol < 2 * per_step {
        return symbol;
    }
    let extra = symbol / per_step - 1;
    ((per_step + symbol % per_step) << extra) + bits.take(extra as u32)
}
