use std::io;

use super::Transport;

/// The transports of one shard, by slot. What a shard does to the world goes through
/// here, so that it runs on sockets and on a simulation alike.
pub(crate) trait Io {
    /// Whether a read that does not fill the buffer has emptied the transport. If not, it
    /// has to be read until it would block before it reports more.
    const SHORT_READ_DRAINS: bool;

    /// Takes a transport over. Its readiness is reported from now on, once for each time
    /// that it becomes ready: for reading always, for writing as
    /// [asked](Self::watch_writable).
    fn register(&mut self, slot: u32, transport: Transport) -> io::Result<()>;

    /// Reads what is there. 0: the peer sends no more. Never blocks.
    fn read(&mut self, slot: u32, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes what goes. Less than all: nothing more goes for now. Never blocks.
    fn write(&mut self, slot: u32, bytes: &[u8]) -> io::Result<usize>;

    /// Asks for a report when writing is possible, also if it is already.
    fn watch_writable(&mut self, slot: u32, watch: bool) -> io::Result<()>;

    /// Tells the peer that nothing more comes; what was written still arrives.
    fn shutdown_write(&mut self, slot: u32) -> io::Result<()>;

    /// Drops the transport.
    fn close(&mut self, slot: u32);
}

/// A transport became ready.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Readiness {
    pub(crate) slot: u32,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The peer sends no more: a read has to go on until it says so.
    pub(crate) hangup: bool,
}
