//! The requests of an HTTP connection that are being answered.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::Instant;

/// The requests of one connection.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    requests: AtomicUsize,
    open: AtomicUsize,
    /// The end of the last answer.
    answered: Mutex<Option<Instant>>,
    /// True once a further request would come too late.
    is_over: AtomicBool,
    /// True if a client was told so that had begun a request.
    is_refused: AtomicBool,
}

impl Traffic {
    /// A request came.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// The number of requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// The time since which all requests are answered; `None` while one is not, and before the
    /// first.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let answered = *self.answered.lock();
        answered.filter(|_| self.open.load(Ordering::Relaxed) == 0)
    }

    /// Ends the time for a further request.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Notes that a client was told of the end of that time.
    pub(crate) fn refuse(&self) {
        self.is_refused.store(true, Ordering::Relaxed);
    }

    /// Returns whether a client was told of the end of that time.
    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }

    /// Returns whether the time for a further request is over.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

/// A request is not done with while one of these is there: its answer is being made or
/// sent, or it has become a stream that is open.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Traffic>);

impl Clone for Busy {
    fn clone(&self) -> Self {
        self.0.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        // Under the lock, so that nobody sees an end without its time.
        let mut answered = self.0.answered.lock();
        if self.0.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            *answered = Some(Instant::now());
        }
    }
}

/// The body of an answer, and that its request is not done with.
pub(crate) struct Answer {
    pub(crate) body: Body,
    pub(crate) _busy: Busy,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
