//! The server's end of a simulated connection, on its way to the upgrade.

use std::sync::Arc;

use http::Extensions;
use nextrush_engine::{Transport, sim};
use parking_lot::Mutex;

/// The pipe of a simulated request. Extensions of a request have to be cloneable.
#[derive(Clone)]
struct Waiting(Arc<Mutex<Option<sim::Pipe>>>);

/// Makes this pipe the connection that the request upgrades to.
pub(crate) fn offer(pipe: sim::Pipe, extensions: &mut Extensions) {
    extensions.insert(Waiting(Arc::new(Mutex::new(Some(pipe)))));
}

/// The connection of a simulated request.
pub(crate) fn take_transport(extensions: &Extensions) -> Option<Transport> {
    let Waiting(pipe) = extensions.get()?;
    pipe.lock().take().map(Transport::Simulated)
}
