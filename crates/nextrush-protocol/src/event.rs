//! Events: messages, pings, pongs and the close.

use std::borrow::Cow;

use crate::close::CloseFrame;

/// What a peer said, taken from its bytes by a [`Decoder`](crate::Decoder).
///
/// A payload that lay in one piece in the input is lent from there; one that had to be
/// put together is owned.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event<'a> {
    /// A whole text message, valid UTF-8.
    Text(Cow<'a, str>),
    /// A whole binary message.
    Binary(Cow<'a, [u8]>),
    /// Wants a pong with this payload of at most 125 bytes (RFC 6455 §5.5.2).
    Ping(Cow<'a, [u8]>),
    /// A pong, asked for or not (RFC 6455 §5.5.3), at most 125 bytes.
    Pong(Cow<'a, [u8]>),
    /// The peer closes; nothing of what it may send after this counts. `None` if it
    /// gives no code ([`CloseCode::NO_STATUS`](crate::CloseCode::NO_STATUS)).
    Close(Option<CloseFrame>),
}

impl Event<'_> {
    /// The same event, independent of the input buffer.
    #[must_use]
    pub fn into_owned(self) -> Event<'static> {
        match self {
            Event::Text(text) => Event::Text(Cow::Owned(text.into_owned())),
            Event::Binary(data) => Event::Binary(Cow::Owned(data.into_owned())),
            Event::Ping(payload) => Event::Ping(Cow::Owned(payload.into_owned())),
            Event::Pong(payload) => Event::Pong(Cow::Owned(payload.into_owned())),
            Event::Close(frame) => Event::Close(frame),
        }
    }
}
