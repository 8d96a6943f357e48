//! How the server's end of a simulated connection gets to its upgrade.

use std::sync::Arc;

use http::Extensions;
use nextrush_engine::{Transport, sim};
use parking_lot::Mutex;

/// Travels in the extensions of a request, which have to be cloneable.
#[derive(Clone)]
struct Waiting(Arc<Mutex<Option<sim::Pipe>>>);

/// Has the request upgrade to this connection.
pub(super) fn offer(pipe: sim::Pipe, extensions: &mut Extensions) {
    extensions.insert(Waiting(Arc::new(Mutex::new(Some(pipe)))));
}

/// The connection of a simulated request.
pub(crate) fn take_transport(extensions: &Extensions) -> Option<Transport> {
    let Waiting(pipe) = extensions.get()?;
    pipe.lock().take().map(Transport::Simulated)
}
