//! Rules of channels: functions of the application that let clients subscribe and publish.

use std::sync::Arc;

use nextrush_broker::Bytes;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::hook::Hook;
use super::pattern::Pattern;
use crate::message::{CommandId, User};
use crate::socket::Socket;
use crate::socket::requests::{IntoRefusal, Refusal};

/// A channel as a rule sees it: its name, and the values of its pattern's parameters there.
#[derive(Clone, Debug)]
pub struct Channel {
    name: Arc<str>,
    pattern: Arc<Pattern>,
}

impl Channel {
    pub(super) fn new(name: &str, pattern: &Arc<Pattern>) -> Self {
        Self {
            name: name.into(),
            pattern: Arc::clone(pattern),
        }
    }

    /// The whole name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of `:parameter` of the pattern; `None` if it has no such one.
    #[must_use]
    pub fn param(&self, parameter: &str) -> Option<&str> {
        self.pattern
            .matches(&self.name)?
            .into_iter()
            .find_map(|(name, value)| (name == parameter).then_some(value))
    }
}

/// A client's attempt to subscribe.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SubscribeContext {
    /// The client's socket.
    pub socket: Socket,
    /// The user that the socket belonged to when live updates were connected.
    pub user: Option<User>,
    /// The channel.
    pub channel: Channel,
}

/// A client's attempt to publish.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PublishContext {
    /// The client's socket.
    pub socket: Socket,
    /// The user that the socket belonged to when live updates were connected.
    pub user: Option<User>,
    /// The channel.
    pub channel: Channel,
    /// The data, as it came; [`json`](Self::json) reads it. Of bytes a text in base64.
    pub data: Arc<RawValue>,
    /// The bytes, where the client publishes such.
    pub bytes: Option<Bytes>,
    /// The id that the client gave the message: a repeat has the same one. With the user it is a key
    /// by which a store knows what it has already.
    pub id: Option<CommandId>,
}

impl PublishContext {
    /// The data as a type of yours.
    ///
    /// # Errors
    ///
    /// Fails if it is not in the form that the type asks for.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.data.get())
    }
}

/// The outcome of a rule: `true`, `Ok(true)` or `Ok(())` lets the client.
///
/// `false` refuses it with the usual message, an error as [`IntoRefusal`] says: an
/// [`ErrorMessage`](crate::ErrorMessage) with one of its own, any other error as
/// [`Internal`](crate::ErrorCode::Internal), with a line in the log.
pub trait Verdict {
    /// The outcome as a result; an error of `None` is the usual message.
    #[doc(hidden)]
    fn into_result(self) -> Result<(), Option<Refusal>>;
}

impl Verdict for bool {
    fn into_result(self) -> Result<(), Option<Refusal>> {
        match self {
            true => Ok(()),
            false => Err(None),
        }
    }
}

impl<E: IntoRefusal> Verdict for Result<(), E> {
    fn into_result(self) -> Result<(), Option<Refusal>> {
        self.map_err(|error| Some(error.into_refusal()))
    }
}

impl<E: IntoRefusal> Verdict for Result<bool, E> {
    fn into_result(self) -> Result<(), Option<Refusal>> {
        self.map_err(|error| Some(error.into_refusal()))?
            .into_result()
    }
}

/// A rule: an error of `None` is the usual message.
pub(super) type Rule<C> = Hook<C, Result<(), Option<Refusal>>>;
