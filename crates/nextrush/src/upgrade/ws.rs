//! WebSocket routes: from an opening handshake to an upgrade.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::Request;
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, StatusCode, Version};
use nextrush_protocol::handshake;

use crate::auth::{self, AuthRejection};
use crate::http::origin::{OriginPolicy, RefusedOrigins};
use crate::http::{refusal, subprotocol};
use crate::socket::handle::{Handle, MissingHandle};
use crate::upgrade::endpoint::Endpoint;
use crate::upgrade::options::{self, RouteOptions};
use crate::upgrade::{first_message, transport};

/// A WebSocket route for any axum router; see [`Endpoint`] for what a handler may be.
///
/// [`App::ws`](crate::App::ws) is the short form of `app.route(pattern, ws(handler))`. In a
/// router of its own the route can have layers and settings of its own, and be
/// [merged](crate::App::merge) or [nested](crate::App::nest) into an application:
///
/// ```
/// use axum::{Extension, Router};
/// use nextrush::{App, Socket, SocketOptions, ws};
/// use nextrush::limits::Limits;
///
/// fn uploads() -> Router {
///     let options = SocketOptions::default().limits(Limits::message(1024 * 1024));
///     Router::new()
///         .route("/upload", ws(|socket: Socket| socket.send("up to 1 MiB")))
///         .layer(Extension(options))
/// }
///
/// let mut app = App::new();
/// app.nest("/files", uploads());
/// # let _: Router = app.into_router();
/// ```
///
/// # Settings
///
/// [`App::options`](crate::App::options), [`App::origins`](crate::App::origins) and
/// [`App::jwt`](crate::App::jwt) hold for every route of the application, whether it was
/// added before or after. An [`Extension`](axum::Extension) layer of
/// [`SocketOptions`](crate::SocketOptions), [`OriginPolicy`] or [`Jwt`](crate::Jwt) around a
/// route or a router holds for that alone, and wins.
///
/// The socket's [endpoint](crate::Socket::endpoint) is named by
/// [`SocketOptions::name`](crate::SocketOptions::name) or else by the route's pattern.
///
/// # Subprotocols
///
/// The answer names the subprotocol that the client and the endpoint agree on (RFC 6455 §1.9), and
/// [`Socket::protocol`](crate::Socket::protocol) tells it. Without
/// [`SocketOptions::protocols`](crate::SocketOptions::protocols) that is `nextrush.v1`, which the
/// clients of chats and live updates offer, or else the first that the client offers. An offer
/// `nextrush.bearer.<token>` is the token that [`Authenticated`](crate::Authenticated) reads; it
/// is never chosen, so a client offers a subprotocol beside it.
///
/// # The first message
///
/// A client that asks for it by `?auth=message` is upgraded before the extractors run, where that is
/// [allowed](crate::auth::TokenMessage). They run when its token has come, and their rejections are
/// sent over the socket, before it is closed with 1008, with 1013 where a later attempt may succeed, or with 1011 where the
/// server failed.
///
/// # Refusals
///
/// A request that is no valid opening handshake (RFC 6455 §4.2.1; over HTTP/2 RFC 8441 §5) is
/// refused with the status that the RFC asks for, 426 or 400 for instance, a foreign origin
/// with 403, a token without a subprotocol beside it with 400, and an extractor's rejection is the extractor's own; all have a JSON body, and
/// `Sec-WebSocket-Protocol: nextrush.v1` where the endpoint speaks that.
/// Outside of an [`App`](crate::App) the route needs a layer `Extension(handle)` with the
/// [`Handle`] of one, and answers 500 without.
pub fn ws<S, M>(endpoint: impl Endpoint<S, M>) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
    M: 'static,
{
    route(endpoint, RouteOptions::default())
}

/// The same, with the pattern as the application wrote it.
pub(crate) fn with_pattern<S, M>(endpoint: impl Endpoint<S, M>, pattern: &str) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
    M: 'static,
{
    route(endpoint, RouteOptions::of_pattern(pattern))
}

fn route<S, M>(endpoint: impl Endpoint<S, M>, options: RouteOptions) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
    M: 'static,
{
    let handler = EndpointHandler {
        endpoint: Arc::new(endpoint),
        options: Arc::new(options),
        marker: PhantomData,
    };
    // HTTP/1.1 upgrades a GET, HTTP/2 a CONNECT.
    get(handler.clone()).connect(handler)
}

/// An endpoint as axum sees it.
struct EndpointHandler<F, M> {
    endpoint: Arc<F>,
    options: Arc<RouteOptions>,
    marker: PhantomData<fn() -> M>,
}

impl<F, M> Clone for EndpointHandler<F, M> {
    fn clone(&self) -> Self {
        Self {
            endpoint: Arc::clone(&self.endpoint),
            options: Arc::clone(&self.options),
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
            answer(self.endpoint, &self.options, &mut parts, state)
                .await
                .unwrap_or_else(|mut refused| {
                    let spoken = options::found_in(&parts.extensions).protocols.as_deref();
                    subprotocol::name_own(&mut refused, spoken);
                    refusal::ending_connection(refused, parts.version)
                })
        })
    }
}

async fn answer<F, M, S>(
    endpoint: Arc<F>,
    options: &RouteOptions,
    parts: &mut Parts,
    state: S,
) -> Result<Response, Response>
where
    F: Endpoint<S, M>,
    M: 'static,
    S: Send + Sync + 'static,
{
    let accepted = if parts.version < Version::HTTP_2 {
        handshake::server::accept(&parts.method, parts.version, &parts.headers)
            .map_err(refusal::of_handshake)
    } else {
        name_host(parts);
        let protocol = parts.extensions.get().map(hyper::ext::Protocol::as_str);
        handshake::server::accept_connect(parts, protocol).map_err(refusal::of_connect)
    };
    // A page is not told why its handshake was refused, and may ask with a plain request: that
    // is answered with the reason, if there is another than that it is no handshake.
    let accepted = match accepted {
        Err(refused) if refused.status() != StatusCode::UPGRADE_REQUIRED => return Err(refused),
        accepted => accepted,
    };
    let app = parts.extensions.get::<Handle>().cloned();
    let app = app.ok_or_else(|| MissingHandle.into_response())?;
    let origins = parts.extensions.get();
    let origins = origins.unwrap_or(&OriginPolicy::SameOrigin);
    if let Err(error) = origins.check(&parts.headers) {
        app.part(Arc::<RefusedOrigins>::default)
            .tell(origins, &parts.headers);
        return Err(error.into_response());
    }
    let offered = accepted
        .as_ref()
        .map_or(&[][..], |accepted| &accepted.protocols);
    if subprotocol::is_token_alone(offered) {
        return Err(subprotocol::refuse_token_alone());
    }
    let options = options.of_request(&parts.extensions, offered);
    let awaited =
        auth::awaited(parts).map_err(|error| AuthRejection::from(error).into_response())?;
    let (mut accepted, first, open) = match awaited {
        Some(allowed) => {
            let first = allowed.limits(options.limits);
            let open = first_message::opening(endpoint, parts.clone(), state, allowed);
            (accepted?, Some(first), open)
        }
        None => {
            let open = endpoint.extract(parts, &state).await?;
            (accepted?, None, open)
        }
    };
    if let Some(protocol) = &options.protocol {
        accepted.choose(protocol);
    }
    let deflate = options.deflate.as_ref();
    let deflate = deflate.and_then(|config| accepted.negotiate_deflate(config));
    transport::start(parts, &app, options, deflate, first, open)
        .map_err(IntoResponse::into_response)?;
    Ok(accepted.into_response().map(|()| axum::body::Body::empty()))
}

/// Writes `:authority` into `Host`, whose place it takes in HTTP/2 (RFC 9113 §8.3.1).
fn name_host(parts: &mut Parts) {
    let authority = parts.uri.authority().map(Authority::as_str);
    if let Some(Ok(host)) = authority.map(HeaderValue::from_str) {
        parts.headers.insert(HOST, host);
    }
}
