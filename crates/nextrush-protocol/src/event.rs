//! Events: messages, pings, pongs and the close.

use std::borrow::Cow;

use crate::close::CloseFrame;

/// A message or control frame from the peer, decoded by a [`Decoder`](crate::Decoder).
///
/// A payload that was complete in the input is borrowed from there, others are owned.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "RFC 6455 has no more of them, and each needs an answer"
)]
pub enum Event<'a> {
    /// A whole text message, valid UTF-8.
    Text(Cow<'a, str>),
    /// A whole binary message.
    Binary(Cow<'a, [u8]>),
    /// A ping, to be answered with a pong of the same payload, at most 125 bytes (RFC 6455
    /// §5.5.2).
    Ping(Cow<'a, [u8]>),
    /// A pong, in answer to a ping or on its own, at most 125 bytes (RFC 6455 §5.5.3).
    Pong(Cow<'a, [u8]>),
    /// A close, after which all input is ignored. `None` without a code
    /// ([`CloseCode::NO_STATUS`](crate::CloseCode::NO_STATUS)).
    Close(Option<CloseFrame>),
}

impl Event<'_> {
    /// Copies what is borrowed, so that the event outlives the input.
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
