//! The content of a socket, allocated in steps, as most sockets need little of it.

use std::fmt;

use parking_lot::Mutex;

use super::listeners::Listeners;
use crate::message::Message;
use crate::socket::handler::Callback;
use crate::socket::identity::Identity;

/// The functions and values that an endpoint's handler has left with its socket.
///
/// Empty for a socket whose endpoint's handler has returned and has left nothing: it
/// only listens to rooms, as most of a million may.
#[derive(Default)]
pub(super) struct Kept(Mutex<Option<Box<Content>>>);

#[derive(Default)]
pub(super) struct Content {
    pub(super) message: Option<Callback<Message>>,
    /// Values of the user's own.
    pub(super) data: http::Extensions,
    /// The client's identity; boxed, as most have none.
    pub(super) identity: Option<Box<Identity>>,
    /// `None` while they are [idle](Listeners::idle).
    listeners: Option<Box<Listeners>>,
}

impl Content {
    /// All functions but the one for messages, and how far the socket is.
    pub(super) fn listeners(&self) -> Option<&Listeners> {
        self.listeners.as_deref()
    }

    pub(super) fn listeners_mut(&mut self) -> &mut Listeners {
        self.listeners
            .get_or_insert_with(|| Box::new(Listeners::idle()))
    }

    /// Replaces the function for messages, if it is the `expected` one, and returns it; a function
    /// that would never be called comes back. Otherwise the one that was found.
    #[must_use = "the user's function is not to be dropped under the lock"]
    pub(super) fn replace_message(
        &mut self,
        expected: Option<&Callback<Message>>,
        callback: Callback<Message>,
    ) -> Result<Option<Callback<Message>>, Unexpected> {
        let is_expected = match (&self.message, expected) {
            (None, None) => true,
            (Some(found), Some(expected)) => found.is(expected),
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !is_expected {
            return Err(Unexpected {
                found: self.message.clone(),
                refused: callback,
            });
        }
        Ok(match self.listeners() {
            Some(listeners) if listeners.is_finished() => Some(callback),
            _ => self.message.replace(callback),
        })
    }

    fn tidy(&mut self) {
        self.listeners.take_if(|listeners| listeners.is_idle());
    }

    fn is_empty(&self) -> bool {
        self.message.is_none()
            && self.data.is_empty()
            && self.identity.is_none()
            && self.listeners.is_none()
    }
}

/// A function for messages that was not the expected one, and the one that was to replace it.
pub(super) struct Unexpected {
    pub(super) found: Option<Callback<Message>>,
    pub(super) refused: Callback<Message>,
}

impl Kept {
    /// Changes the content; `change` must not call code of the user.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut Content) -> R) -> R {
        let mut content = self.0.lock();
        let kept = content.get_or_insert_default();
        let result = change(kept);
        kept.tidy();
        content.take_if(|kept| kept.is_empty());
        result
    }

    /// Looks at the content, if there is any.
    pub(super) fn look<R>(&self, look: impl FnOnce(&Content) -> R) -> Option<R> {
        self.0.lock().as_deref().map(look)
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}
