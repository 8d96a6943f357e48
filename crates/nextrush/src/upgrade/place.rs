//! The choice of the thread that serves a socket.

use std::hash::Hash;

use axum::extract::Request;
use http::Extensions;
use nextrush_engine::Placement;
use tower::util::MapRequestLayer;

/// A layer that has all sockets with the same key served by one thread.
///
/// Without it sockets are spread over all threads, which uses all cores for a room of any
/// size. Where many small groups talk among themselves it is cheaper to keep each group on
/// one core: no message has to cross to another core. A key that most of the sockets share
/// would load one core alone, so choose one with many values.
///
/// ```
/// use nextrush::{App, Socket, place_by};
///
/// let mut app = App::new();
/// app.ws("/games/:gameId", async |_: Socket| {});
/// app.layer(place_by(|request| request.uri().path().to_owned()));
/// # let _: axum::Router = app.into_router();
/// ```
pub fn place_by<K: Hash>(
    key: impl Fn(&Request) -> K + Clone + Send + Sync + 'static,
) -> MapRequestLayer<impl Fn(Request) -> Request + Clone + Send + Sync + 'static> {
    MapRequestLayer::new(move |mut request: Request| {
        let placement = Placement::by(&key(&request));
        request.extensions_mut().insert(placement);
        request
    })
}

/// The placement that the layer chose for a request.
pub(crate) fn of(extensions: &Extensions) -> Placement {
    extensions.get().copied().unwrap_or_default()
}
