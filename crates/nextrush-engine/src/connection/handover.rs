use std::fmt;
use std::hash::{BuildHasher, Hash};

use bytes::Bytes;
use nextrush_protocol::DeflateParams;
use rustc_hash::FxBuildHasher;

use super::{Connection, Work};

/// What an [`Engine`](crate::Engine) has to know of a connection that it takes over.
#[derive(Default)]
pub struct Handover {
    /// Called once on the shard's thread, when the connection is there and can be sent to;
    /// `None`: nothing.
    ///
    /// A message is not handed over, and nothing is read past it, before the work is done
    /// or [`Connection::start_reading`] was called. Pings and the end of the connection
    /// are seen to all the same. A panic closes the connection with 1011.
    pub open: Option<OpenFn>,
    /// What had been read behind the handshake.
    pub read_ahead: Bytes,
    /// What the handshake has agreed on for compression, by the
    /// [`SocketOptions::deflate`](crate::SocketOptions) of the connection; `None`: nothing is
    /// compressed.
    pub deflate: Option<DeflateParams>,
    /// Which shard gets it. Default: [`Placement::LeastConnections`].
    pub placement: Placement,
}

/// What [`Handover::open`] may be.
pub type OpenFn = Box<dyn FnOnce(&Connection) -> Work + Send>;

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handover")
            .field("read_ahead", &self.read_ahead.len())
            .field("deflate", &self.deflate)
            .field("placement", &self.placement)
            .finish_non_exhaustive()
    }
}

/// Which shard gets a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Placement {
    /// The one that has the fewest: rooms spread over all cores.
    #[default]
    LeastConnections,
    /// The same one as all other connections with this key. Worth it where small groups
    /// talk among themselves: what one sends to the others stays on one core.
    Key(u64),
}

impl Placement {
    /// Places a connection by a key of any kind.
    pub fn by(key: &(impl Hash + ?Sized)) -> Self {
        Self::Key(FxBuildHasher.hash_one(key))
    }
}
