//! From hyper's connection to the engine's.

use std::io;
#[cfg(unix)]
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use nextrush_engine::{Handover, Options, Transport};
use nextrush_protocol::DeflateParams;
#[cfg(unix)]
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use crate::endpoint::Open;
use crate::handle::Handle;
use crate::place;
use crate::refusal;
use crate::socket::{SocketEvents, call_endpoint};

/// Prepares the upgrade: the connection moves to the engine as soon as the answer
/// to the request has been written.
pub(crate) fn start(
    parts: &mut Parts,
    app: &Handle,
    options: &Arc<Options>,
    deflate: Option<DeflateParams>,
    open: Open,
) -> Result<(), UpgradeError> {
    let placement = place::of(&parts.extensions);
    let upgrade = parts.extensions.remove::<OnUpgrade>();
    let upgrade = upgrade.ok_or(UpgradeError::NotUpgradable)?;
    if !app.engine().has_capacity() {
        return Err(UpgradeError::Full);
    }
    let app = app.clone();
    let options = Arc::clone(options);
    tokio::spawn(async move {
        let upgraded = match upgrade.await {
            Ok(upgraded) => upgraded,
            Err(error) => return tracing::debug!(%error, "a connection broke during its upgrade"),
        };
        match take_transport(upgraded, options.close_timeout) {
            Ok((transport, read_ahead)) => {
                let handover = Handover {
                    open: Some(Box::new(|connection| call_endpoint(connection, open))),
                    read_ahead,
                    deflate,
                    placement,
                };
                let events = SocketEvents::new(app.clone());
                let accepted = app.engine().accept(transport, handover, options, events);
                if let Err(error) = accepted {
                    tracing::warn!(%error, "an upgraded connection was dropped");
                }
            }
            Err(error) => tracing::error!(%error, "an upgraded connection cannot be taken over"),
        }
    });
    Ok(())
}

/// Why a valid opening handshake does not lead to a socket.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum UpgradeError {
    /// Whoever serves the router does not let connections be upgraded.
    #[error("this connection cannot be upgraded")]
    NotUpgradable,
    /// There are as many connections as may be, or the application is closing.
    #[error("no more connections are accepted")]
    Full,
}

impl IntoResponse for UpgradeError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NotUpgradable => StatusCode::NOT_IMPLEMENTED,
            Self::Full => StatusCode::SERVICE_UNAVAILABLE,
        };
        refusal::new(status, self.to_string())
    }
}

/// The descriptor below a connection, and what was already read from it.
///
/// A plain TCP connection is taken out of tokio as it is; its descriptor is
/// registered anew by the engine, which frees all that the HTTP side had
/// allocated for it. Anything else (TLS, a wrapped stream) is bridged.
fn take_transport(upgraded: Upgraded, close_timeout: Duration) -> io::Result<(Transport, Bytes)> {
    // `axum::serve` serves through hyper-util, whose own wrapper is around the stream;
    // `Server` and bare hyper have none.
    let upgraded =
        match hyper_util::server::conn::auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
            Ok(parts) => {
                let stream = parts.io.into_inner().into_std()?;
                return Ok((Transport::Tcp(stream), parts.read_buf));
            }
            Err(upgraded) => upgraded,
        };
    match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => {
            let stream = parts.io.into_inner().into_std()?;
            Ok((Transport::Tcp(stream), parts.read_buf))
        }
        Err(upgraded) => bridge(upgraded, close_timeout),
    }
}

/// Connects a stream of unknown kind to the engine by a pair of Unix sockets,
/// with one task that copies.
#[cfg(unix)]
fn bridge(upgraded: Upgraded, close_timeout: Duration) -> io::Result<(Transport, Bytes)> {
    let (ours, engines) = UnixStream::pair()?;
    tokio::spawn(carry(upgraded, ours, close_timeout));
    Ok((Transport::Unix(engines.into_std()?), Bytes::new()))
}

/// Copies both ways until both sides have ended. A client that does not end when the
/// engine has is waited for as long as the engine would wait.
#[cfg(unix)]
async fn carry(upgraded: Upgraded, engine: UnixStream, close_timeout: Duration) {
    let (mut from_client, mut to_client) = tokio::io::split(TokioIo::new(upgraded));
    let (mut from_engine, mut to_engine) = engine.into_split();
    let mut inwards = pin!(pass(&mut from_client, &mut to_engine));
    let mut outwards = pin!(pass(&mut from_engine, &mut to_client));
    tokio::select! {
        () = &mut inwards => outwards.await,
        () = &mut outwards => {
            // In time or not: it is over.
            let _ = tokio::time::timeout(close_timeout, inwards).await;
        }
    }
}

/// Copies one way, and passes on the end, whether it was in order or not.
#[cfg(unix)]
async fn pass(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin)) {
    let copied = tokio::io::copy(from, to).await;
    if let Err(error) = copied.and(to.shutdown().await) {
        tracing::debug!(%error, "a bridged connection broke");
    }
}

#[cfg(not(unix))]
fn bridge(_: Upgraded, _: Duration) -> io::Result<(Transport, Bytes)> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "only plain TCP connections can be upgraded on this platform",
    ))
}
