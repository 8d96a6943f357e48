use std::fmt;
use std::str::FromStr;

use crate::sample::Kind;

/// The work to be done with one message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Work {
    /// The side that acts, and whether it sends or receives.
    pub direction: Direction,
    /// The content of the message.
    pub kind: Kind,
    /// The payload's length in bytes.
    pub size: usize,
    /// The size of the pieces in which the bytes come in.
    pub arrival: Arrival,
    /// The form of the payload on the wire.
    pub coding: Coding,
}

/// The side that acts, and whether it sends or receives: both decide about masking (RFC 6455
/// §5.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// A server decodes masked frames.
    ServerReceives,
    /// A client decodes frames without masks.
    ClientReceives,
    /// A server encodes frames without masks.
    ServerSends,
    /// A client encodes masked frames; drawing the mask is part of it.
    ClientSends,
}

/// The size of the pieces in which the bytes to decode come in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Arrival {
    /// Each read gets as much as it has room for.
    Bulk,
    /// Each read gets one frame, as from a peer that waits for answers.
    OneByOne,
}

/// The form of the payload on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Coding {
    /// The payload as it is.
    Plain,
    /// Each message compressed by itself (RFC 7692), with a window of 32 KiB.
    Deflate,
}

const SIZES: [(&str, usize); 6] = [
    ("16B", 16),
    ("64B", 64),
    ("1KiB", 1024),
    ("16KiB", 16 * 1024),
    ("64KiB", 64 * 1024),
    ("1MiB", 1024 * 1024),
];

const DIRECTIONS: [(&str, Direction); 4] = [
    ("server-receives", Direction::ServerReceives),
    ("client-receives", Direction::ClientReceives),
    ("server-sends", Direction::ServerSends),
    ("client-sends", Direction::ClientSends),
];

const KINDS: [(&str, Kind); 4] = [
    ("text", Kind::Text),
    ("unicode", Kind::Unicode),
    ("binary", Kind::Binary),
    ("json", Kind::Json),
];

const ONE_BY_ONE: &str = "one-by-one";
const DEFLATE: &str = "deflate";

/// The smallest payload, in bytes, that pays to be compressed.
const LEAST_DEFLATED: usize = 1024;

/// The largest payload, in bytes, that is measured one by one too; above it that comes to the
/// same as in bulk.
const LARGEST_ONE_BY_ONE: usize = 1024;

impl Work {
    /// Every combination that is measured.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for (_, direction) in DIRECTIONS {
            for (_, kind) in KINDS {
                for (_, size) in SIZES {
                    let mut work = Self {
                        direction,
                        kind,
                        size,
                        arrival: Arrival::Bulk,
                        coding: Coding::Plain,
                    };
                    if kind == Kind::Json {
                        work.coding = Coding::Deflate;
                        all.extend((size >= LEAST_DEFLATED).then_some(work));
                        continue;
                    }
                    all.push(work);
                    if direction == Direction::ServerReceives && size <= LARGEST_ONE_BY_ONE {
                        all.push(Self {
                            arrival: Arrival::OneByOne,
                            ..work
                        });
                    }
                }
            }
        }
        all
    }

    /// The number of messages to handle at a time, so that reading a clock does not count.
    pub fn batch(&self) -> usize {
        (256 * 1024 / self.size).clamp(1, 1000)
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = name_in(&DIRECTIONS, self.direction);
        let kind = name_in(&KINDS, self.kind);
        let size = name_in(&SIZES, self.size);
        let mut name = format!("{direction}/{kind}/{size}");
        if self.arrival == Arrival::OneByOne {
            name = name + "/" + ONE_BY_ONE;
        }
        if self.coding == Coding::Deflate {
            name = name + "/" + DEFLATE;
        }
        f.pad(&name)
    }
}

impl FromStr for Work {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::all()
            .into_iter()
            .find(|work| work.to_string() == name)
            .ok_or_else(|| format!("no work is named {name}"))
    }
}

fn name_in<T: Copy + PartialEq>(names: &[(&'static str, T)], value: T) -> &'static str {
    names
        .iter()
        .find(|(_, named)| *named == value)
        .map_or("?", |(name, _)| name)
}
