use std::io::{self, ErrorKind};

use super::outbox::COALESCE;
use super::rooms::Publication;
use crate::transport::Io;

/// What a room's members get in one turn, laid out once as it is written to each of them:
/// small frames copied together, long ones from where they are.
#[derive(Default)]
pub(super) struct Cast {
    chunks: Vec<Chunk>,
    together: Vec<u8>,
    len: usize,
    /// How many members have got all of it.
    members: u64,
    has_exceptions: bool,
}

enum Chunk {
    /// The frame of one publication.
    Frame(usize),
    /// A piece of what was copied together.
    Together { start: usize, end: usize },
}

impl Cast {
    pub(super) fn prepare(&mut self, publications: &[Publication]) {
        self.chunks.clear();
        self.together.clear();
        self.len = 0;
        self.members = 0;
        self.has_exceptions = false;
        let mut first = 0;
        let mut bytes = 0;
        for (index, publication) in publications.iter().enumerate() {
            self.has_exceptions |= publication.except.is_some();
            let length = publication.sent.frame.len();
            self.len += length;
            if bytes + length > COALESCE {
                self.add(publications, first, index);
                first = index;
                bytes = 0;
            }
            bytes += length;
        }
        self.add(publications, first, publications.len());
    }

    fn add(&mut self, publications: &[Publication], first: usize, end: usize) {
        match end - first {
            0 => {}
            1 => self.chunks.push(Chunk::Frame(first)),
            _ => {
                let start = self.together.len();
                for publication in &publications[first..end] {
                    let frame = publication.sent.frame.as_bytes();
                    self.together.extend_from_slice(frame);
                }
                let end = self.together.len();
                self.chunks.push(Chunk::Together { start, end });
            }
        }
    }

    /// Whether some of the publications are not for everybody.
    pub(super) fn has_exceptions(&self) -> bool {
        self.has_exceptions
    }

    /// The bytes that each member gets.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// One more member has got all of it.
    pub(super) fn count(&mut self) {
        self.members += 1;
    }

    /// How many members have got all of it, and the bytes that these have got.
    pub(super) fn counted(&self) -> (u64, u64) {
        (self.members, self.members * self.len as u64)
    }

    /// Writes to one member; returns how much the transport took.
    pub(super) fn write<I: Io>(
        &self,
        publications: &[Publication],
        io: &mut I,
        slot: u32,
    ) -> io::Result<usize> {
        let mut written = 0;
        for chunk in &self.chunks {
            let bytes = match *chunk {
                Chunk::Frame(index) => publications[index].sent.frame.as_bytes(),
                Chunk::Together { start, end } => &self.together[start..end],
            };
            match io.write(slot, bytes) {
                Ok(count) => {
                    written += count;
                    if count < bytes.len() {
                        break;
                    }
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
                {
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }
}
