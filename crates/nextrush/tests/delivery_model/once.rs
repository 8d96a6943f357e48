//! A record of what is to happen once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use nextrush::broker::Clock;
use parking_lot::Mutex;

/// The time for which the broker remembers an answer.
pub const WINDOW: Duration = Duration::from_secs(120);

/// The times at which things happened that happen once, by their numbers. A cheap handle.
#[derive(Clone)]
pub struct Once(Arc<Inner>);

struct Inner {
    /// The thing that happens, for messages.
    what: &'static str,
    again: Again,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

/// The case in which something may happen again before its answer is forgotten.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Again {
    Never,
    /// No answer was given, or it was lost in a crash.
    Unanswered,
}

#[derive(Default)]
struct State {
    times: HashMap<u32, Vec<Time>>,
    /// The number of times that the broker has forgotten everything.
    life: u32,
    /// The number of crashes.
    crashes: u32,
    /// The reasons why the schedule fails; a panic of a hook or handler would be caught.
    faults: Vec<String>,
}

#[derive(Clone, Copy)]
struct Time {
    life: u32,
    crashes: u32,
    is_running: bool,
    /// True once there is an answer.
    is_done: bool,
    /// The time of the answer, or else of the beginning: from then on it is remembered.
    at_ms: u64,
}

/// Something that is happening; dropped before [`end`](Self::end), it was broken off.
pub struct Happening {
    once: Once,
    number: u32,
    index: usize,
}

impl Once {
    pub fn new(what: &'static str, again: Again, clock: &Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            what,
            again,
            clock: Arc::clone(clock),
            state: Mutex::default(),
        }))
    }

    /// Begins, and notes a fault if it has no right to happen again.
    pub fn begin(&self, number: u32) -> Happening {
        let now_ms = self.0.clock.now_ms();
        let mut state = self.0.state.lock();
        let now = Time {
            life: state.life,
            crashes: state.crashes,
            is_running: true,
            is_done: false,
            at_ms: now_ms,
        };
        let times = state.times.entry(number).or_default();
        let index = times.len();
        let is_fault = times
            .last()
            .is_some_and(|before| before.is_running || self.forbids(before, &now));
        times.push(now);
        if is_fault {
            let fault = format!("{} {number} twice", self.0.what);
            state.faults.push(fault);
        }
        drop(state);
        Happening {
            once: self.clone(),
            number,
            index,
        }
    }

    fn forbids(&self, before: &Time, now: &Time) -> bool {
        let is_remembered =
            before.life == now.life && u128::from(now.at_ms - before.at_ms) < WINDOW.as_millis();
        let may_be_unanswered = !before.is_done || before.crashes < now.crashes;
        is_remembered && (self.0.again == Again::Never || !may_be_unanswered)
    }

    /// The number of times that something has begun.
    pub fn times(&self, number: u32) -> usize {
        let state = self.0.state.lock();
        state.times.get(&number).map_or(0, Vec::len)
    }

    /// Notes that a process has ended, and with it what the broker remembers, if it `forgets`.
    pub fn end_process(&self, forgets: bool) {
        let mut state = self.0.state.lock();
        state.crashes += 1;
        state.life += u32::from(forgets);
    }

    /// Asserts that nothing has happened that had no right to.
    pub fn check(&self) {
        let state = self.0.state.lock();
        assert!(state.faults.is_empty(), "{:?}", state.faults);
    }
}

impl Happening {
    /// Returns whether it happens for the first time.
    pub fn is_first(&self) -> bool {
        self.index == 0
    }

    /// Ends it with an answer.
    pub fn end(&self) {
        self.see(true, true);
    }

    fn see(&self, is_running: bool, is_done: bool) {
        let inner = &self.once.0;
        let mut state = inner.state.lock();
        let times = state.times.get_mut(&self.number).expect("it has begun");
        let time = &mut times[self.index];
        time.is_running = is_running;
        if is_done {
            time.is_done = true;
            time.at_ms = inner.clock.now_ms();
        }
    }
}

impl Drop for Happening {
    fn drop(&mut self) {
        self.see(false, false);
    }
}
