//! From the engine's calls to the socket's functions.

use std::future::poll_fn;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use nextrush_engine::{
    CloseReason, Connection, ConnectionError, Handler, Incoming, Traffic, Unsent, Work,
};
use tokio::sync::mpsc::error::TrySendError;

use super::Socket;
use super::claims;
use super::kept::{Content, Kept};
use crate::http::address::Permit;
use crate::message::Message;
use crate::message::Timestamp;
use crate::socket::handle::Handle;
use crate::socket::handler::Open;
use crate::socket::requests::{Asked, may_overtake};

/// The target of the line that the log has for each connection, at debug.
const CONNECTIONS: &str = "nextrush::connections";

/// Returns whether the log has a line for each connection, whose bytes are counted then.
pub(crate) fn are_logged() -> bool {
    tracing::enabled!(target: CONNECTIONS, tracing::Level::DEBUG)
}

/// The engine's handler of one connection, and what it keeps for the socket.
pub(crate) struct SocketEvents {
    app: Handle,
    kept: Kept,
    /// Counts the socket among those of its client's address.
    permit: Option<Permit>,
    /// The time when the socket was opened, in seconds since 1970: four bytes fit into a gap.
    since: u32,
}

impl SocketEvents {
    pub(crate) fn new(app: Handle, permit: Option<Permit>) -> Self {
        Self {
            app,
            kept: Kept::default(),
            permit,
            since: u32::try_from(Timestamp::now().unix_ms() / 1000).unwrap_or(u32::MAX),
        }
    }

    pub(super) fn connected_at(&self) -> Timestamp {
        Timestamp::from_unix_ms(u64::from(self.since) * 1000)
    }

    pub(super) fn address(&self) -> Option<IpAddr> {
        self.permit.as_ref().map(Permit::address)
    }

    pub(super) fn app(&self) -> &Handle {
        &self.app
    }

    pub(super) fn kept(&self) -> &Kept {
        &self.kept
    }
}

impl Handler for SocketEvents {
    fn message(&self, connection: &Connection, incoming: Incoming<'_>) -> Work {
        let (callback, (filters, sender, asked)) = self.kept.look(|kept| {
            let others = kept.listeners();
            let others = others.map(|all| {
                let sender = all.sender().cloned();
                (
                    all.filters.clone(),
                    sender,
                    all.asked().map(Asked::is_waiting),
                )
            });
            (kept.message.clone(), others.unwrap_or_default())
        })?;
        if sender.is_none() && callback.is_none() && asked.is_none() {
            return None;
        }
        let socket = Socket::new(connection.clone());
        let message = Message::from(incoming);
        for filter in &filters {
            if filter(&socket, &message).is_break() {
                return None;
            }
        }
        match asked {
            Some(_) if socket.take_response(&message) => return None,
            // The response has to pass this message by, should its handler wait for that.
            Some(true) => connection.read_on(),
            Some(false) | None => {}
        }
        let Some(sender) = sender else {
            return callback?.call(socket, message);
        };
        // `recv` takes the place of `on_message`, and of nothing that has claimed messages.
        if let Some(claiming) = callback.and_then(|all| claims::claiming(&all, &message)) {
            return claiming.call(socket, message);
        }
        match sender.try_send(message) {
            Ok(()) | Err(TrySendError::Closed(_)) => None,
            Err(TrySendError::Full(message)) => Some(Box::pin(async move {
                // Fails only when nobody receives any more.
                let _ = sender.send(message).await;
            })),
        }
    }

    fn overtake<'a>(
        &self,
        connection: &Connection,
        incoming: Incoming<'a>,
    ) -> Option<Incoming<'a>> {
        let waits = |kept: &Content| {
            let listeners = kept.listeners()?;
            Some((listeners.awaits_first(), listeners.asked().is_some()))
        };
        let (awaits_first, has_asked) = self.kept.look(waits).flatten().unwrap_or_default();
        if awaits_first {
            let first = self.kept.change(|kept| kept.listeners_mut().take_first());
            // Nobody waits any more if the time has run out: the socket is closing.
            let _ = first.map(|first| first.send(Message::from(incoming)));
            return None;
        }
        if !has_asked || !may_overtake(&incoming) {
            return Some(incoming);
        }
        // A response needs no handler: this takes it, or drops it.
        let work = self.message(connection, incoming);
        debug_assert!(work.is_none(), "a response has no handler");
        None
    }

    fn pong(&self, connection: &Connection, payload: &[u8]) -> Work {
        let callback = self.kept.look(|kept| kept.listeners()?.pong.clone())??;
        let payload = Bytes::copy_from_slice(payload);
        callback.call(Socket::new(connection.clone()), payload)
    }

    fn error(&self, connection: &Connection, error: &ConnectionError) -> Work {
        self.kept
            .look(|kept| kept.listeners()?.error.clone())??
            .call(Socket::new(connection.clone()), error.clone())
    }

    fn ended(&self, connection: &Connection, reason: &CloseReason, traffic: Traffic) {
        let socket = Socket::new(connection.clone());
        let opened = self.connected_at();
        let open_ms = Timestamp::now().unix_ms().saturating_sub(opened.unix_ms());
        // An id is the application's, and may hold whatever it likes.
        let user = socket.user().map(|user| tracing::field::debug(user.id));
        tracing::debug!(
            target: CONNECTIONS,
            endpoint = socket.endpoint(),
            user,
            address = self.address().map(tracing::field::display),
            connection = %connection.id(),
            %opened,
            seconds = open_ms / 1000,
            code = u16::from(reason.code),
            reason = &*reason.reason,
            clean = reason.clean,
            bytes_in = traffic.bytes_in,
            bytes_out = traffic.bytes_out,
            "a connection closed"
        );
    }

    fn unsent(&self, connection: &Connection, unsent: &[Unsent]) {
        self.app.record().unsent(connection.id(), unsent);
    }

    fn close(&self, connection: &Connection, reason: &CloseReason) -> Work {
        let socket = Socket::new(connection.clone());
        if let Some(user) = socket.user() {
            self.app
                .record()
                .closed(connection.id(), Some(user.id), reason);
        }
        let message = self.kept.change(|kept| {
            kept.listeners_mut().end();
            kept.message.take()
        });
        drop(message);
        Some(Box::pin(run_close_functions(socket, reason.clone())))
    }
}

/// Calls each function of the close event once, in order: those that are registered by
/// now, and those that come while the endpoint's handler or one of them is still running.
///
/// Much depends on all of them being called, such as who is told to be in a room: so
/// neither a panic nor a wait of one holds up the others.
async fn run_close_functions(socket: Socket, reason: CloseReason) {
    let mut running = Vec::new();
    poll_fn(|context| {
        running.retain_mut(|work| is_pending(&socket, work, context));
        loop {
            let is_running = !running.is_empty();
            let next = socket.listeners(|all| all.poll_close(context, is_running));
            let Some(callback) = ready!(next) else {
                return Poll::Ready(());
            };
            let work = shield(&socket, || callback.call(socket.clone(), reason.clone()));
            running.extend(
                work.flatten()
                    .and_then(|mut work| is_pending(&socket, &mut work, context).then_some(work)),
            );
        }
    })
    .await;
    let functions = socket
        .events()
        .kept()
        .change(|kept| (kept.message.take(), kept.listeners_mut().forget()));
    drop(functions);
}

type Running = Pin<Box<dyn Future<Output = ()>>>;

fn is_pending(socket: &Socket, work: &mut Running, context: &mut Context<'_>) -> bool {
    shield(socket, || work.as_mut().poll(context)).is_some_and(|poll| poll.is_pending())
}

fn shield<T>(socket: &Socket, call: impl FnOnce() -> T) -> Option<T> {
    let result = catch_unwind(AssertUnwindSafe(call));
    if result.is_err() {
        let (endpoint, user) = (socket.endpoint(), socket.user().map(|user| user.id));
        tracing::error!(endpoint, ?user, "a function for the close event panicked");
    }
    result.ok()
}

/// Calls the endpoint's handler, with its extractors already filled in. Only one that is
/// pending is marked as such: until then nothing can ask.
pub(crate) fn call_endpoint(connection: &Connection, open: Open) -> Work {
    let socket = Socket::new(connection.clone());
    let mut work = open(socket.clone())?;
    Some(Box::pin(async move {
        if poll_once(work.as_mut()).await.is_ready() {
            return;
        }
        let _opened = Opened::pending(socket);
        work.await;
    }))
}

async fn poll_once(mut work: Pin<&mut dyn Future<Output = ()>>) -> Poll<()> {
    poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await
}

/// Marks the endpoint's handler as done, also when it panics.
struct Opened(Socket);

impl Opened {
    fn pending(socket: Socket) -> Self {
        socket.listeners(|all| all.set_opened(false));
        Self(socket)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.listeners(|all| all.set_opened(true));
    }
}
