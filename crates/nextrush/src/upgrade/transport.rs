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
use hyper_util::server::conn::auto;
use nextrush_engine::{Handover, SocketOptions, Transport};
use nextrush_protocol::{DeflateParams, Limits};
#[cfg(unix)]
use tokio::io::AsyncWriteExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
#[cfg(feature = "tls")]
use tokio_rustls::server::TlsStream;

use crate::http::connection::Admitted;
use crate::http::last_word::LastWord;
use crate::http::read_ahead::ReadAhead;
use crate::http::refusal;
use crate::http::traffic::Busy;
use crate::message::ErrorCode;
use crate::socket::handle::Handle;
use crate::socket::handler::Open;
use crate::socket::{SocketEvents, are_logged, call_endpoint};
use crate::upgrade::place;
#[cfg(feature = "testing")]
use crate::upgrade::simulated;

/// Prepares the upgrade: the connection moves to the engine as soon as the answer
/// to the request has been written.
pub(super) fn start(
    parts: &mut Parts,
    app: &Handle,
    options: Arc<SocketOptions>,
    deflate: Option<DeflateParams>,
    first_message: Option<Limits>,
    open: Open,
) -> Result<(), UpgradeError> {
    app.join_nodes_later();
    let placement = place::of(&parts.extensions);
    #[cfg(feature = "testing")]
    if let Some(transport) = simulated::take_transport(&parts.extensions) {
        let events = SocketEvents::new(app.clone(), None);
        let handover = Handover::default()
            .open(|connection| call_endpoint(connection, open))
            .deflate(deflate)
            .counted(are_logged())
            .first_message(first_message)
            .placement(placement);
        return app
            .engine()
            .accept(transport, handover, options, events)
            .map(drop)
            .map_err(|_| UpgradeError::Full);
    }
    let upgrade = parts.extensions.remove::<OnUpgrade>();
    let upgrade = upgrade.ok_or(UpgradeError::NotUpgradable)?;
    // Not only asked for: others come before this one is handed over.
    let place = app.engine().reserve().ok_or(UpgradeError::Full)?;
    let permit = match parts.extensions.get::<Admitted>() {
        Some(admitted) => admitted
            .count_socket(parts.version)
            .map_err(|_| UpgradeError::AddressLimit)?,
        // Served by another server, which has its own rules.
        None => None,
    };
    let busy = parts.extensions.remove::<Busy>();
    let app = app.clone();
    tokio::spawn(async move {
        let upgraded = match upgrade.await {
            Ok(upgraded) => upgraded,
            Err(error) => return tracing::debug!(%error, "a connection broke during its upgrade"),
        };
        match take_transport(upgraded, options.close_timeout, busy) {
            Ok((transport, read_ahead)) => {
                let handover = Handover::default()
                    .open(|connection| call_endpoint(connection, open))
                    .read_ahead(read_ahead)
                    .deflate(deflate)
                    .counted(are_logged())
                    .first_message(first_message)
                    .reservation(place)
                    .placement(placement);
                let events = SocketEvents::new(app.clone(), permit);
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

/// The reason why a valid opening handshake does not lead to a socket.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum UpgradeError {
    /// The server that serves the router does not let connections be upgraded.
    #[error("this connection cannot be upgraded")]
    NotUpgradable,
    /// The application has as many connections as it may, or is closing.
    #[error("no more connections are accepted")]
    Full,
    /// The client's address has as many connections as it may.
    #[error("Too many connections from this address")]
    AddressLimit,
}

impl IntoResponse for UpgradeError {
    fn into_response(self) -> Response {
        match self {
            Self::NotUpgradable => {
                let status = StatusCode::NOT_IMPLEMENTED;
                refusal::new(status, ErrorCode::Internal, self.to_string())
            }
            Self::Full => refusal::no_more_connections().into_response(),
            Self::AddressLimit => refusal::too_many_connections().into_response(),
        }
    }
}

/// The descriptor below a connection, and what was already read from it.
///
/// A connection of a known kind is taken out of tokio as it is; its descriptor is
/// registered anew by the engine, which frees all that the HTTP side had allocated for it.
/// Anything else (a stream of HTTP/2, a wrapped connection) is bridged.
fn take_transport(
    upgraded: Upgraded,
    close_timeout: Duration,
    busy: Option<Busy>,
) -> io::Result<(Transport, Bytes)> {
    let upgraded = match take::<LastWord<ReadAhead<TcpStream>>>(upgraded) {
        Ok((stream, read)) => {
            let (stream, ahead) = stream.into_inner().into_parts();
            return Ok((Transport::Tcp(stream.into_std()?), join(read, ahead)));
        }
        Err(upgraded) => upgraded,
    };
    let upgraded = match take::<TcpStream>(upgraded) {
        Ok((stream, read)) => return Ok((Transport::Tcp(stream.into_std()?), read)),
        Err(upgraded) => upgraded,
    };
    #[cfg(unix)]
    let upgraded = match take::<LastWord<ReadAhead<UnixStream>>>(upgraded) {
        Ok((stream, read)) => {
            let (stream, ahead) = stream.into_inner().into_parts();
            return Ok((Transport::Unix(stream.into_std()?), join(read, ahead)));
        }
        Err(upgraded) => upgraded,
    };
    #[cfg(unix)]
    let upgraded = match take::<UnixStream>(upgraded) {
        Ok((stream, read)) => return Ok((Transport::Unix(stream.into_std()?), read)),
        Err(upgraded) => upgraded,
    };
    #[cfg(feature = "tls")]
    let upgraded = match take::<LastWord<TlsStream<TcpStream>>>(upgraded) {
        Ok((stream, read)) => {
            let (stream, session) = stream.into_inner().into_inner();
            let transport = Transport::Tls(stream.into_std()?, Box::new(session));
            return Ok((transport, read));
        }
        Err(upgraded) => upgraded,
    };
    // Another server's.
    #[cfg(feature = "tls")]
    let upgraded = match take::<TlsStream<TcpStream>>(upgraded) {
        Ok((stream, read)) => {
            let (stream, session) = stream.into_inner();
            let transport = Transport::Tls(stream.into_std()?, Box::new(session));
            return Ok((transport, read));
        }
        Err(upgraded) => upgraded,
    };
    bridge(upgraded, close_timeout, busy)
}

/// The stream that was upgraded, if it is a `T`, and what was already read from it.
fn take<T>(upgraded: Upgraded) -> Result<(T, Bytes), Upgraded>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // `axum::serve` serves through hyper-util, whose own wrapper is around the stream;
    // `Server` and bare hyper have none.
    let upgraded = match auto::upgrade::downcast::<TokioIo<T>>(upgraded) {
        Ok(parts) => return Ok((parts.io.into_inner(), parts.read_buf)),
        Err(upgraded) => upgraded,
    };
    let parts = upgraded.downcast::<TokioIo<T>>()?;
    Ok((parts.io.into_inner(), parts.read_buf))
}

fn join(first: Bytes, second: Bytes) -> Bytes {
    if second.is_empty() {
        return first;
    }
    [first, second].concat().into()
}

/// Connects a stream of unknown kind to the engine by a pair of Unix sockets,
/// with one task that copies.
#[cfg(unix)]
fn bridge(
    upgraded: Upgraded,
    close_timeout: Duration,
    busy: Option<Busy>,
) -> io::Result<(Transport, Bytes)> {
    let (ours, engines) = UnixStream::pair()?;
    tokio::spawn(async move {
        carry(upgraded, ours, close_timeout).await;
        // Until here the connection below was not idle.
        drop(busy);
    });
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
fn bridge(_: Upgraded, _: Duration, _: Option<Busy>) -> io::Result<(Transport, Bytes)> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "only TCP connections, with HTTP/1.1, can be upgraded on this platform",
    ))
}
