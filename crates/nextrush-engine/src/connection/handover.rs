//! The way in: a connection whose opening handshake is done, and the shard that gets it.

use std::fmt;
use std::hash::{BuildHasher, Hash};

use bytes::Bytes;
use nextrush_protocol::{DeflateParams, Limits};
use rustc_hash::FxBuildHasher;

use super::{Connection, Reservation, Work};

/// The results of an opening handshake, for [`Engine::accept`](crate::Engine::accept).
///
/// ```
/// use nextrush_engine::{Handover, Placement};
/// use nextrush_protocol::Frame;
///
/// let handover = Handover::default()
///     .placement(Placement::by("a document"))
///     .open(|connection| {
///         connection.send(Frame::text("hello"));
///         None
///     });
/// # drop(handover);
/// ```
#[derive(Default)]
#[non_exhaustive]
pub struct Handover {
    /// The first call for the connection, made once on its shard's thread as soon as frames can
    /// be sent. Default: `None`.
    ///
    /// No message is handed over, and nothing is read past the first one, before the returned
    /// work is done or [`Connection::start_reading`] was called. Pings are answered and the end
    /// of the connection is noticed all the same. A panic closes the connection with 1011.
    pub open: Option<OpenFn>,
    /// The bytes that were read behind the handshake.
    pub read_ahead: Bytes,
    /// The compression that the handshake has agreed on, by the
    /// [`SocketOptions::deflate`](crate::SocketOptions) of the connection; nothing is
    /// compressed with `None`.
    pub deflate: Option<DeflateParams>,
    /// The choice of a shard. Default: [`Placement::LeastConnections`].
    pub placement: Placement,
    /// `true` if the connection's own bytes are counted, for [`Handler::ended`](crate::Handler::ended). Costs some 50
    /// bytes, and publications of rooms take the slower way through its outbox. Default: `false`.
    pub is_counted: bool,
    /// The limits of the client's first message, if that has to say who the client is. The message is
    /// offered to [`Handler::overtake`](crate::Handler::overtake) while the work of `open` is pending.
    /// Behind it nothing is read, and no [broadcast](crate::Engine::broadcast_except) is sent, before
    /// [`Connection::admit`] was called. Default: `None`, for a connection that is as good as any other.
    pub first_message: Option<Limits>,
    /// The place that was kept free for the connection. With `None`, or one of another engine,
    /// [`Engine::accept`](crate::Engine::accept) looks for a place. Default: `None`.
    pub reservation: Option<Reservation>,
}

impl Handover {
    /// Sets [`open`](Self::open).
    #[must_use]
    pub fn open(mut self, open: impl FnOnce(&Connection) -> Work + Send + 'static) -> Self {
        self.open = Some(Box::new(open));
        self
    }

    /// Sets [`read_ahead`](Self::read_ahead).
    #[must_use]
    pub fn read_ahead(mut self, read_ahead: impl Into<Bytes>) -> Self {
        self.read_ahead = read_ahead.into();
        self
    }

    /// Sets [`deflate`](Self::deflate).
    #[must_use]
    pub fn deflate(mut self, deflate: impl Into<Option<DeflateParams>>) -> Self {
        self.deflate = deflate.into();
        self
    }

    /// Sets [`is_counted`](Self::is_counted).
    #[must_use]
    pub fn counted(mut self, is_counted: bool) -> Self {
        self.is_counted = is_counted;
        self
    }

    /// Sets [`first_message`](Self::first_message).
    #[must_use]
    pub fn first_message(mut self, limits: impl Into<Option<Limits>>) -> Self {
        self.first_message = limits.into();
        self
    }

    /// Sets [`reservation`](Self::reservation).
    #[must_use]
    pub fn reservation(mut self, reservation: impl Into<Option<Reservation>>) -> Self {
        self.reservation = reservation.into();
        self
    }

    /// Sets [`placement`](Self::placement).
    #[must_use]
    pub fn placement(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }
}

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handover")
            .field("read_ahead", &self.read_ahead.len())
            .field("deflate", &self.deflate)
            .field("placement", &self.placement)
            .field("is_counted", &self.is_counted)
            .field("first_message", &self.first_message)
            .finish_non_exhaustive()
    }
}

/// The type of [`Handover::open`].
pub type OpenFn = Box<dyn FnOnce(&Connection) -> Work + Send>;

/// The choice of a shard for a connection.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Placement {
    /// The shard with the fewest connections: rooms spread over all cores.
    #[default]
    LeastConnections,
    /// The shard of all other connections with this key. Worth it where small groups talk
    /// among themselves: a message from one to the others stays on one core.
    Key(u64),
}

impl Placement {
    /// Places a connection by a key of any kind.
    pub fn by(key: &(impl Hash + ?Sized)) -> Self {
        Self::Key(FxBuildHasher.hash_one(key))
    }
}
