//! The transports of a shard, as the shard sees them.

use std::io;

use super::Transport;

/// The transports of one shard, by slot. A shard reaches the world through this alone, so it
/// runs on sockets and on a simulation alike.
pub(crate) trait Io {
    /// `true` if a read that does not fill the buffer has emptied the transport. If `false`, a
    /// transport reports more only after a read that would have blocked.
    const SHORT_READ_DRAINS: bool;

    /// Takes a transport over. From now on it is reported once each time that it becomes
    /// ready: always for reading, and for writing while [watched](Self::watch_writable).
    fn register(&mut self, slot: u32, transport: Transport) -> io::Result<()>;

    /// Reads the bytes that are there; 0 if the peer sends no more. Never blocks.
    fn read(&mut self, slot: u32, buffer: &mut [u8]) -> io::Result<usize>;

    /// Reads as [`read`](Self::read) does, behind what is in `message`, as many bytes as that has
    /// spare capacity for.
    fn read_to(&mut self, slot: u32, message: &mut Vec<u8>) -> io::Result<usize>;

    /// Writes bytes; fewer than all if the transport takes no more for now. Never blocks.
    fn write(&mut self, slot: u32, bytes: &[u8]) -> io::Result<usize>;

    /// Writes a header and the payload behind it as one, as [`write`](Self::write) does.
    fn write_both(&mut self, slot: u32, header: &[u8], payload: &[u8]) -> io::Result<usize>;

    /// Starts or ends reports of when writing is possible. If it is possible already, the first
    /// report comes at once.
    fn watch_writable(&mut self, slot: u32, watch: bool) -> io::Result<()>;

    /// Shuts our side; bytes that were written still arrive.
    fn shutdown_write(&mut self, slot: u32) -> io::Result<()>;

    /// Drops the transport.
    fn close(&mut self, slot: u32);
}

/// A report that a transport became ready.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Readiness {
    pub(crate) slot: u32,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The peer sends no more: reading has to go on until it returns the end.
    pub(crate) hangup: bool,
}
