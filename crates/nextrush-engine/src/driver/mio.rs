use std::io;
use std::sync::Arc;

use tokio::runtime;

use crate::shared::Shared;

/// Starts a thread for each shard.
pub(crate) fn start(_shared: &Arc<Shared>, _runtime: &runtime::Handle) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
