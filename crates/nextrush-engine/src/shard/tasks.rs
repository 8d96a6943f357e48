//! Work of handlers that is pending.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::calls::{Panic, Purpose, drop_work, shield};
use crate::link::{Command, Key, Link};

/// See the [module](self).
///
/// A place is used again by later work, and keeps its waker. So a waker of earlier work may
/// cause a poll for nothing, which every future has to accept.
pub(super) struct Tasks {
    link: Arc<Link>,
    places: Vec<Place>,
    free: Vec<u32>,
}

struct Place {
    work: Option<Pin<Box<dyn Future<Output = ()>>>>,
    key: Key,
    purpose: Purpose,
    bell: Arc<Bell>,
    waker: Waker,
}

/// Tells the shard that a task can go on, once until it is polled.
struct Bell {
    link: Arc<Link>,
    task: u32,
    rung: AtomicBool,
}

impl Tasks {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self {
            link,
            places: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(super) fn insert(
        &mut self,
        key: Key,
        purpose: Purpose,
        work: Pin<Box<dyn Future<Output = ()>>>,
    ) -> u32 {
        if let Some(task) = self.free.pop() {
            let place = &mut self.places[task as usize];
            place.work = Some(work);
            place.key = key;
            place.purpose = purpose;
            return task;
        }
        let task = u32::try_from(self.places.len()).expect("no shard has 2^32 tasks");
        let bell = Arc::new(Bell {
            link: Arc::clone(&self.link),
            task,
            rung: AtomicBool::new(false),
        });
        self.places.push(Place {
            work: Some(work),
            key,
            purpose,
            waker: Waker::from(Arc::clone(&bell)),
            bell,
        });
        task
    }

    /// The connection and the purpose of a task.
    pub(super) fn of(&self, task: u32) -> (Key, Purpose) {
        let place = &self.places[task as usize];
        (place.key, place.purpose)
    }

    pub(super) fn is_pending(&self, task: u32) -> bool {
        self.places[task as usize].work.is_some()
    }

    /// Polls a task, which ends when it is ready or panics.
    pub(super) fn poll(&mut self, task: u32) -> Result<Poll<()>, Panic> {
        let place = &mut self.places[task as usize];
        let Some(mut work) = place.work.take() else {
            return Ok(Poll::Ready(()));
        };
        // Before the poll: a wake from now on is for the next one.
        place.bell.rung.store(false, Ordering::Release);
        let mut context = Context::from_waker(&place.waker);
        let polled = shield(|| work.as_mut().poll(&mut context));
        if let Ok(Poll::Pending) = polled {
            place.work = Some(work);
        } else {
            self.free.push(task);
            drop_work(work);
        }
        polled
    }

    pub(super) fn is_empty(&self) -> bool {
        self.free.len() == self.places.len()
    }

    /// Drops all work as it is.
    pub(super) fn cut(&mut self) {
        for place in self.places.drain(..) {
            if let Some(work) = place.work {
                drop_work(work);
            }
        }
        self.free.clear();
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.link.inbox.push(Command::Wake { task: self.task });
        }
    }
}
