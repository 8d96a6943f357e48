//! Functions that handle the sockets of a WebSocket route, and their extractors.

use std::future::Future;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;

use crate::http::refusal;
use crate::socket::Socket;
use crate::socket::handler::{AsyncMarker, Open, Outcome, SyncMarker};

/// A handler of a WebSocket endpoint: a function of a [`Socket`] and up to eight
/// axum extractors after it.
///
/// Implemented for sync functions, `Fn(Socket, E1, …)`, and async ones,
/// `AsyncFn(Socket, E1, …)`, that return an [`Outcome`]. The extractors run before
/// the upgrade: one that rejects answers over HTTP and no socket comes about.
///
/// The function is called when the connection is open; an async one need not be
/// `Send`. When it fails or panics its own socket is closed with 1011.
///
/// ```
/// use axum::extract::{Path, Query};
/// use nextrush::{App, Socket};
/// use std::collections::HashMap;
///
/// let mut app = App::new();
/// app.ws(
///     "/rooms/:roomId",
///     |socket: Socket, Path(room): Path<String>, Query(query): Query<HashMap<String, String>>| {
///         let user = query.get("userId").map_or("somebody", String::as_str);
///         socket.send(format!("Welcome to room {room}, {user}!"));
///     },
/// );
/// # let _: axum::Router = app.into_router();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handler of a WebSocket endpoint",
    note = "a handler takes a `Socket`, then types that implement `FromRequestParts`, \
            `Send` and `'static`; it returns nothing or a `Result<(), E>`",
    note = "the error `E` has to convert into `BoxError`, as every `std::error::Error` does; a status \
            code or a response does not: what refuses a client over HTTP is an extractor",
    note = "an async function with values of its own is written `async move |socket: Socket| …`"
)]
pub trait Endpoint<S, Marker>: Send + Sync + 'static {
    /// Runs the extractors.
    #[doc(hidden)]
    fn extract(
        self: Arc<Self>,
        parts: &mut Parts,
        state: &S,
    ) -> impl Future<Output = Result<Open, Response>> + Send;
}

macro_rules! endpoint {
    ($($extractor:ident),*) => {
        impl<S, F, R, $($extractor,)*> Endpoint<S, (SyncMarker, R, $($extractor,)*)> for F
        where
            S: Send + Sync,
            F: Fn(Socket, $($extractor),*) -> R + Send + Sync + 'static,
            R: Outcome + 'static,
            $($extractor: FromRequestParts<S> + Send + 'static,)*
        {
            #[allow(
                non_snake_case,
                unused_variables,
                reason = "the extractors are named after their types, and there may be none"
            )]
            async fn extract(self: Arc<Self>, parts: &mut Parts, state: &S) -> Result<Open, Response> {
                $(let $extractor = extract::<$extractor, S>(parts, state).await?;)*
                Ok(Box::new(move |socket: Socket| {
                    let outcome = self(socket.clone(), $($extractor),*);
                    socket.conclude(outcome);
                    None
                }))
            }
        }

        impl<S, F, R, $($extractor,)*> Endpoint<S, (AsyncMarker, R, $($extractor,)*)> for F
        where
            S: Send + Sync,
            F: AsyncFn(Socket, $($extractor),*) -> R + Send + Sync + 'static,
            R: Outcome + 'static,
            $($extractor: FromRequestParts<S> + Send + 'static,)*
        {
            #[allow(
                non_snake_case,
                unused_variables,
                reason = "the extractors are named after their types, and there may be none"
            )]
            async fn extract(self: Arc<Self>, parts: &mut Parts, state: &S) -> Result<Open, Response> {
                $(let $extractor = extract::<$extractor, S>(parts, state).await?;)*
                Ok(Box::new(move |socket: Socket| {
                    Some(Box::pin(async move {
                        let outcome = self(socket.clone(), $($extractor),*).await;
                        socket.conclude(outcome);
                    }))
                }))
            }
        }
    };
}

endpoint!();
endpoint!(E1);
endpoint!(E1, E2);
endpoint!(E1, E2, E3);
endpoint!(E1, E2, E3, E4);
endpoint!(E1, E2, E3, E4, E5);
endpoint!(E1, E2, E3, E4, E5, E6);
endpoint!(E1, E2, E3, E4, E5, E6, E7);
endpoint!(E1, E2, E3, E4, E5, E6, E7, E8);

async fn extract<E: FromRequestParts<S>, S: Sync>(
    parts: &mut Parts,
    state: &S,
) -> Result<E, Response> {
    // A rejection need not be `Send`: it becomes a response before the next await.
    let extracted = E::from_request_parts(parts, state).await;
    match extracted.map_err(IntoResponse::into_response) {
        Ok(value) => Ok(value),
        Err(response) => Err(refusal::as_json(response).await),
    }
}
