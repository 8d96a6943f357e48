//! WebSocket endpoints: a handler, its extractors, and the way from an HTTP
//! request to an open socket.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request};
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, Version};
use nextrush_engine::Options;
use nextrush_protocol::handshake;

use crate::http::refusal;
use crate::socket::Socket;
use crate::socket::handle::Handle;
use crate::socket::handler::{AsyncMarker, Open, Outcome, SyncMarker};
use crate::upgrade::origin::OriginPolicy;
use crate::upgrade::transport;

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
            `Send` and `'static`; it returns nothing or a `Result<(), E>`"
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
            #[allow(non_snake_case, unused_variables)]
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
            #[allow(non_snake_case, unused_variables)]
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

/// An endpoint as axum sees it: a handler of GET requests and, for HTTP/2, of CONNECT.
pub(crate) struct EndpointHandler<F, M> {
    endpoint: Arc<F>,
    shared: Arc<Shared>,
    marker: PhantomData<fn() -> M>,
}

struct Shared {
    app: Handle,
    options: Arc<Options>,
    origins: OriginPolicy,
}

impl<F, M> EndpointHandler<F, M> {
    pub(crate) fn new(endpoint: F, app: Handle, options: Options, origins: OriginPolicy) -> Self {
        Self {
            endpoint: Arc::new(endpoint),
            shared: Arc::new(Shared {
                app,
                options: Arc::new(options),
                origins,
            }),
            marker: PhantomData,
        }
    }
}

impl<F, M> Clone for EndpointHandler<F, M> {
    fn clone(&self) -> Self {
        Self {
            endpoint: Arc::clone(&self.endpoint),
            shared: Arc::clone(&self.shared),
            marker: PhantomData,
        }
    }
}

impl<F, M> fmt::Debug for EndpointHandler<F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndpointHandler")
    }
}

impl<F, M, S> Handler<(M,), S> for EndpointHandler<F, M>
where
    F: Endpoint<S, M>,
    M: 'static,
    S: Send + Sync + 'static,
{
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, state: S) -> Self::Future {
        Box::pin(async move {
            let (mut parts, _) = request.into_parts();
            let answer = answer(self.endpoint, &self.shared, &mut parts, &state).await;
            answer.unwrap_or_else(|refused| refusal::ending_connection(refused, parts.version))
        })
    }
}

async fn answer<F, M, S>(
    endpoint: Arc<F>,
    shared: &Shared,
    parts: &mut Parts,
    state: &S,
) -> Result<Response, Response>
where
    F: Endpoint<S, M>,
{
    let mut accepted = if parts.version < Version::HTTP_2 {
        handshake::server::accept(&parts.method, parts.version, &parts.headers)
            .map_err(refusal::of_handshake)?
    } else {
        name_host(parts);
        let protocol = parts.extensions.get().map(hyper::ext::Protocol::as_str);
        handshake::server::accept_connect(parts, protocol).map_err(refusal::of_connect)?
    };
    shared
        .origins
        .check(&parts.headers)
        .map_err(IntoResponse::into_response)?;
    let open = endpoint.extract(parts, state).await?;
    let deflate = shared.options.deflate.as_ref();
    let deflate = deflate.and_then(|config| accepted.negotiate_deflate(config));
    transport::start(parts, &shared.app, &shared.options, deflate, open)
        .map_err(IntoResponse::into_response)?;
    Ok(accepted.into_response().map(|()| axum::body::Body::empty()))
}

/// `:authority` is what HTTP/1.1 says in `Host`, and counts more than that
/// (RFC 9113 §8.3.1).
fn name_host(parts: &mut Parts) {
    let authority = parts.uri.authority().map(Authority::as_str);
    if let Some(Ok(host)) = authority.map(HeaderValue::from_str) {
        parts.headers.insert(HOST, host);
    }
}
