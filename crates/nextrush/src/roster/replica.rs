//! A roster that this node follows: its inputs one after the other, and the work with the store.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use nextrush_broker::{RosterChange, RosterRevision, TopicName};
use nextrush_engine::ConnectionId;
use parking_lot::{Mutex, MutexGuard};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use super::change::Shown;
use super::host::{Followed, RosterHost, Surroundings};
use super::living::Living;
use super::rules::Rules;
use super::state::{Input, Request, State};

/// The time for which a roster is followed on that nobody uses. What a store loses in a failover is
/// younger: as long as this node looks, nobody comes back in it who has left here.
const LINGER: Duration = Duration::from_secs(60);

/// The rosters of a kind that this node follows.
pub(super) type Replicas<R> = Mutex<HashMap<TopicName, Arc<Replica<R>>>>;

/// A roster that this node follows.
///
/// Whatever happens to it is an input. Whoever gives one while nobody else is at work takes all
/// that are there, on its own thread: with a store that answers at once everything is done when
/// it returns. Requests that take their time become tasks, whose outcome is an input.
///
/// Order of locks: the state, then the topic's, then the queue and what is shown, which are leaves.
pub(super) struct Replica<R: Rules> {
    roster: TopicName,
    own: Weak<Self>,
    rules: Arc<R>,
    host: Arc<RosterHost>,
    replicas: Weak<Replicas<R>>,
    queue: Mutex<Queue<R>>,
    state: Mutex<State<R>>,
    pub(super) shown: Shown<R>,
}

struct Queue<R: Rules> {
    inputs: VecDeque<Input<R>>,
    /// Somebody takes the inputs.
    is_pumped: bool,
    /// `true` when it does not follow the roster any more.
    is_retired: bool,
    /// The number of those who keep it.
    guards: usize,
    /// The moment at which nobody used it any more.
    unused_since: Option<Instant>,
    timer: Option<Timer>,
}

struct Timer {
    at: Instant,
    task: AbortHandle,
}

impl<R: Rules> Replica<R> {
    pub(super) fn new(
        host: &Arc<RosterHost>,
        rules: &Arc<R>,
        replicas: &Arc<Replicas<R>>,
        roster: &TopicName,
    ) -> Arc<Self> {
        let is_alone = host.store.is_none();
        let home = Arc::clone(host.home());
        let state = State::new(Arc::clone(rules), roster.clone(), home, is_alone);
        let shown = Shown::new();
        if let Some(view) = state.view() {
            shown.set(view);
        }
        let replica = Arc::new_cyclic(|own| Self {
            roster: roster.clone(),
            own: Weak::clone(own),
            rules: Arc::clone(rules),
            host: Arc::clone(host),
            replicas: Arc::downgrade(replicas),
            queue: Mutex::new(Queue {
                inputs: VecDeque::new(),
                is_pumped: false,
                is_retired: false,
                guards: 0,
                unused_since: None,
                timer: None,
            }),
            state: Mutex::new(state),
            shown,
        });
        let followed: Weak<Self> = Arc::downgrade(&replica);
        host.follow(roster, followed);
        replica
    }

    /// Puts an input behind the others; gives it back if this does not follow the roster any
    /// more.
    pub(super) fn enqueue(&self, input: Input<R>) -> Result<(), Input<R>> {
        let mut queue = self.queue.lock();
        if queue.is_retired {
            return Err(input);
        }
        queue.inputs.push_back(input);
        Ok(())
    }

    /// The member that a socket of this node is or wants to be.
    pub(super) fn own(&self, socket: ConnectionId) -> Option<Arc<R::Member>> {
        self.state.lock().own(socket)
    }

    /// Follows the roster until it is [released](Self::release); `false` if it does not any more.
    pub(super) fn keep(&self) -> bool {
        let mut queue = self.queue.lock();
        queue.guards += usize::from(!queue.is_retired);
        !queue.is_retired
    }

    pub(super) fn release(&self) {
        self.queue.lock().guards -= 1;
        self.pump();
    }

    /// Takes all inputs, unless somebody else does.
    pub(super) fn pump(&self) {
        let Some(pumping) = Pumping::begin(&self.queue) else {
            return;
        };
        let mut state = self.state.lock();
        let around = Surroundings {
            time: &self.host.time,
            chance: &self.host.chance,
            shown: &self.shown,
        };
        loop {
            let input = self.queue.lock().inputs.pop_front();
            if let Some(input) = input {
                state.take(input, &around);
                // On a node alone each wish is a change of its own.
                if self.host.store.is_none() {
                    state.next_request(&around);
                }
                continue;
            }
            while let Some(request) = state.next_request(&around) {
                self.ask(request);
            }
            state.shrink();
            if let Some(due) = state.due() {
                self.set_timer(due);
            }
            let is_used =
                !state.is_idle() || (self.host.store.is_some() && self.rules.is_used(&self.roster));
            let mut queue = self.queue.lock();
            if !queue.inputs.is_empty() {
                continue;
            }
            if is_used || queue.guards > 0 {
                queue.unused_since = None;
            } else if let Some(end) = self.end_of_linger(&mut queue) {
                drop(queue);
                self.set_timer(end);
                queue = self.queue.lock();
                if !queue.inputs.is_empty() {
                    continue;
                }
            } else {
                queue.is_retired = true;
            }
            let is_retired = queue.is_retired;
            // An input has some hundred bytes, and there may be as many rosters as channels.
            queue.inputs.shrink_to_fit();
            pumping.end(queue);
            if is_retired {
                self.retire(&state);
            }
            break;
        }
        let mut released = None;
        if self.host.store.is_some() {
            let own = self.own.upgrade().filter(|_| !state.is_settled());
            let unsettled = own.map(|own| own as Arc<dyn Followed>);
            released = self.host.hold(&self.roster, unsettled);
        }
        drop(state);
        drop(released);
        self.host.changed.notify_waiters();
    }

    /// The moment until which the roster is followed that nobody uses, unless it has passed.
    fn end_of_linger(&self, queue: &mut Queue<R>) -> Option<Instant> {
        self.host.store.as_ref()?;
        let now = Instant::now();
        let end = *queue.unused_since.get_or_insert(now) + LINGER;
        (end > now).then_some(end)
    }

    /// Stops following the roster.
    fn retire(&self, state: &State<R>) {
        if let Some(replicas) = self.replicas.upgrade() {
            let mut replicas = replicas.lock();
            let known = replicas.get(&self.roster).map(Arc::as_ptr);
            if known.is_some_and(|known| std::ptr::eq(known, self)) {
                replicas.remove(&self.roster);
            }
        }
        let followed: Weak<Self> = Weak::clone(&self.own);
        self.host
            .forget(&self.roster, &(followed as Weak<dyn Followed>));
        let Some(view) = state.view() else { return };
        self.rules.ended(view.origin);
        if let Some(store) = &self.host.store {
            let (store, roster) = (Arc::clone(store), self.roster.clone());
            self.host.spawn(async move { store.unwatch(&roster).await });
        }
    }

    /// Makes a request. Its outcome is an input, at once if it is there at once.
    fn ask(&self, request: Request) {
        let Some(store) = self.host.store.clone() else {
            return;
        };
        let (roster, host) = (self.roster.clone(), Arc::clone(&self.host));
        let mut work: Pin<Box<dyn Future<Output = Input<R>> + Send>> = match request {
            Request::Load => Box::pin(async move {
                if let Err(error) = host.announce().await {
                    return Input::Loaded(Err(error));
                }
                if let Err(error) = store.watch(&roster).await {
                    return Input::Loaded(Err(error));
                }
                let read = store.read(&roster).await;
                if read.is_err() {
                    store.unwatch(&roster).await;
                }
                Input::Loaded(read)
            }),
            Request::Read => Box::pin(async move { Input::Read(store.read(&roster).await) }),
            Request::Commit(change) => {
                Box::pin(async move { Input::Committed(store.commit(&roster, change).await) })
            }
            Request::Check(known) => Box::pin(async move {
                let found = store.revisions(&[roster]).await;
                let found = found.ok().and_then(|found| found.first().copied());
                Input::Checked { known, found }
            }),
        };
        let mut context = Context::from_waker(Waker::noop());
        match work.as_mut().poll(&mut context) {
            Poll::Ready(input) => self.give(input),
            Poll::Pending => {
                let own = Weak::clone(&self.own);
                self.host.spawn(async move {
                    let input = work.await;
                    if let Some(replica) = own.upgrade() {
                        replica.give(input);
                        replica.pump();
                    }
                });
            }
        }
    }

    /// Enqueues an input that means nothing to a roster that is not followed any more.
    fn give(&self, input: Input<R>) {
        if let Err(input) = self.enqueue(input) {
            drop(input);
        }
    }

    /// Wakes this at a moment, unless it wakes before that anyway.
    fn set_timer(&self, at: Instant) {
        let mut queue = self.queue.lock();
        if queue.timer.as_ref().is_some_and(|timer| timer.at <= at) {
            return;
        }
        let own = Weak::clone(&self.own);
        let task = self.host.spawn(async move {
            sleep_until(at).await;
            if let Some(replica) = own.upgrade() {
                replica.queue.lock().timer = None;
                replica.give(Input::Due);
                replica.pump();
            }
        });
        let task = task.map(|task| Timer { at, task });
        if let Some(before) = mem::replace(&mut queue.timer, task) {
            before.task.abort();
        }
    }
}

impl<R: Rules> Drop for Replica<R> {
    fn drop(&mut self) {
        if let Some(timer) = self.queue.get_mut().timer.take() {
            timer.task.abort();
        }
    }
}

/// The right to take the inputs, which also ends when that panics.
struct Pumping<'a, R: Rules>(Option<&'a Mutex<Queue<R>>>);

impl<'a, R: Rules> Pumping<'a, R> {
    fn begin(queue: &'a Mutex<Queue<R>>) -> Option<Self> {
        let mut locked = queue.lock();
        if locked.is_pumped || locked.is_retired {
            return None;
        }
        locked.is_pumped = true;
        Some(Self(Some(queue)))
    }

    /// Ends while nobody can enqueue anything.
    fn end(mut self, mut queue: MutexGuard<'_, Queue<R>>) {
        queue.is_pumped = false;
        self.0 = None;
    }
}

impl<R: Rules> Drop for Pumping<'_, R> {
    fn drop(&mut self) {
        if let Some(queue) = self.0 {
            queue.lock().is_pumped = false;
        }
    }
}

impl<R: Rules> Followed for Replica<R> {
    fn pushed(self: Arc<Self>, change: Arc<RosterChange>) {
        self.give(Input::Pushed(change));
        self.pump();
    }

    fn interrupted(self: Arc<Self>) {
        self.give(Input::Interrupted);
        self.pump();
    }

    fn living(self: Arc<Self>, living: Arc<Living>) {
        self.give(Input::Living(living));
        self.pump();
    }

    fn checked(self: Arc<Self>, known: RosterRevision, found: RosterRevision) {
        let found = Some(found);
        self.give(Input::Checked { known, found });
        self.pump();
    }

    fn revision(&self) -> Option<RosterRevision> {
        self.state.lock().view().map(|view| view.revision)
    }

    fn has_others(&self) -> bool {
        self.state.lock().has_others()
    }

    fn is_settled(&self) -> bool {
        let is_idle = {
            let queue = self.queue.lock();
            queue.inputs.is_empty() && !queue.is_pumped
        };
        is_idle && self.state.lock().is_settled()
    }
}
