//! The body of a request, which has to come in time.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::BoxError;
use axum::body::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

/// The time that a client may take for a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyTimes {
    /// The longest time without a byte.
    pub(crate) progress: Duration,
    /// The longest time for the whole body.
    pub(crate) whole: Duration,
}

/// A body that fails once its client is too slow.
pub(crate) struct RequestBody {
    body: Incoming,
    times: BodyTimes,
    /// The end of the time for the whole body.
    end: Instant,
    /// The next deadline: while there is nothing to be read, as long as somebody waits for it.
    deadline: Option<Pin<Box<Sleep>>>,
    is_late: Late,
}

/// Tells whether the body of a request was too slow.
#[derive(Clone, Debug, Default)]
pub(crate) struct Late(Option<Arc<AtomicBool>>);

impl Late {
    /// A note for a body that may become late; the default is of one that cannot.
    fn new() -> Self {
        Self(Some(Arc::default()))
    }

    pub(crate) fn is_late(&self) -> bool {
        let is_late = self.0.as_ref();
        is_late.is_some_and(|is_late| is_late.load(Ordering::Relaxed))
    }

    fn set(&self) {
        if let Some(is_late) = &self.0 {
            is_late.store(true, Ordering::Relaxed);
        }
    }
}

impl Default for BodyTimes {
    fn default() -> Self {
        Self {
            progress: Duration::from_secs(10),
            whole: Duration::from_secs(30),
        }
    }
}

impl RequestBody {
    /// The body, and a note of whether it is late. A body that is there already takes no timer.
    pub(crate) fn watch(body: Incoming, times: BodyTimes) -> (axum::body::Body, Late) {
        if body.is_end_stream() {
            return (axum::body::Body::new(body), Late::default());
        }
        let is_late = Late::new();
        let body = Self {
            body,
            times,
            end: Instant::now() + times.whole,
            deadline: None,
            is_late: is_late.clone(),
        };
        (axum::body::Body::new(body), is_late)
    }

    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline.get_or_insert_with(|| {
            let stalled = Instant::now() + self.times.progress;
            Box::pin(sleep_until(stalled.min(self.end)))
        });
        deadline.as_mut().poll(context)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        // Also while bytes come, one now and then.
        let is_over = Instant::now() >= self.end;
        if !is_over && let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.deadline = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        if !is_over {
            ready!(self.poll_late(context));
        }
        self.is_late.set();
        let late = io::Error::new(io::ErrorKind::TimedOut, "the body did not come in time");
        Poll::Ready(Some(Err(late.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
