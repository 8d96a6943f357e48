//! What most sockets keep, behind one pointer that is empty for the others.

use std::fmt;

use parking_lot::Mutex;

use super::listeners::Listeners;

/// What a socket's functions and its endpoint's handler have left with it.
///
/// Empty for a socket whose endpoint's handler has returned and has left nothing: it
/// only listens to rooms, as most of a million may.
pub(super) struct Kept(Mutex<Option<Box<Content>>>);

pub(super) struct Content {
    pub(super) listeners: Listeners,
    /// Values of the user's own.
    pub(super) data: http::Extensions,
}

impl Kept {
    pub(super) fn new(listeners: Listeners) -> Self {
        Self(Mutex::new(Some(Box::new(Content {
            listeners,
            data: http::Extensions::new(),
        }))))
    }

    /// Changes the content; `change` must not call code of the user.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut Content) -> R) -> R {
        let mut content = self.0.lock();
        let kept = content.get_or_insert_with(|| {
            Box::new(Content {
                listeners: Listeners::idle(),
                data: http::Extensions::new(),
            })
        });
        let result = change(kept);
        if kept.listeners.is_idle() && kept.data.is_empty() {
            *content = None;
        }
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
