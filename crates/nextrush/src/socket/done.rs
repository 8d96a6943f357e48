//! The acts that this node has done for commands of other nodes.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The time for which an act is remembered: that of the commands.
const WINDOW: Duration = Duration::from_secs(120);
/// The most acts that are remembered; the oldest go.
const KEPT: usize = 16_384;

/// The acts that have reached somebody.
///
/// A node that hangs for a while does what it was asked for when it goes on, and whoever asked has
/// given up by then and asks again.
#[derive(Debug, Default)]
pub(super) struct Done(Mutex<Acts>);

#[derive(Debug, Default)]
struct Acts {
    sockets: HashMap<Box<str>, usize>,
    oldest: VecDeque<(Instant, Box<str>)>,
}

impl Done {
    /// Does an act for a command, unless it has reached somebody before; the number of sockets.
    pub(super) fn once(&self, command: &str, act: impl FnOnce() -> usize) -> usize {
        let mut acts = self.0.lock();
        let now = Instant::now();
        acts.forget(now);
        if let Some(sockets) = acts.sockets.get(command) {
            return *sockets;
        }
        let sockets = act();
        if sockets > 0 {
            acts.sockets.insert(command.into(), sockets);
            acts.oldest.push_back((now, command.into()));
        }
        sockets
    }
}

impl Acts {
    fn forget(&mut self, now: Instant) {
        while let Some((at, _)) = self.oldest.front()
            && (self.oldest.len() >= KEPT || now.duration_since(*at) >= WINDOW)
            && let Some((_, command)) = self.oldest.pop_front()
        {
            self.sockets.remove(&command);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_act_that_has_reached_somebody_is_done_once_in_two_minutes() {
        let done = Done::default();
        assert_eq!(done.once("a", || 0), 0);
        assert_eq!(done.once("a", || 2), 2);
        assert_eq!(done.once("a", || unreachable!("it was done")), 2);
        assert_eq!(done.once("b", || 1), 1);
        tokio::time::advance(WINDOW).await;
        assert_eq!(done.once("a", || 3), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_acts_that_are_remembered_are_bounded() {
        let done = Done::default();
        for number in 0..=KEPT {
            done.once(&number.to_string(), || 1);
        }
        assert_eq!(done.0.lock().sockets.len(), KEPT);
        assert_eq!(done.once("0", || 7), 7);
    }
}
