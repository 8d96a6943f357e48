use std::hash::{BuildHasher, Hash};

use bytes::Bytes;
use nextrush_protocol::DeflateParams;
use rustc_hash::FxBuildHasher;

/// What an [`Engine`](crate::Engine) has to know of a connection that it takes over.
#[derive(Debug, Clone, Default)]
pub struct Handover {
    /// What had been read behind the handshake.
    pub read_ahead: Bytes,
    /// What the handshake has agreed on for compression, by the
    /// [`Options::deflate`](crate::Options) of the connection; `None`: nothing is
    /// compressed.
    pub deflate: Option<DeflateParams>,
    /// Which shard gets it. Default: [`Placement::LeastConnections`].
    pub placement: Placement,
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
