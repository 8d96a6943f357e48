//! A network in memory.

/// One end of a connection.
#[derive(Debug)]
pub struct Pipe {}
