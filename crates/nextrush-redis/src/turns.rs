//! The order of a topic's groups where some of them have to be sent again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use nextrush_broker::TopicName;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// The groups of publications that are under way, by topic.
///
/// Groups are sent one after the other without waiting, which keeps their order on one
/// connection. A group that the server redirects is sent again, and by then later ones may have
/// overtaken it: so from the first redirection on, the groups of that topic wait for each other.
#[derive(Default)]
pub(crate) struct Turns {
    lanes: Mutex<HashMap<TopicName, Lane>>,
}

#[derive(Default)]
struct Lane {
    /// The numbers of the groups under way, in their order.
    groups: VecDeque<u64>,
    next: u64,
    is_slow: bool,
    changed: Arc<Notify>,
}

/// The place of a group. Dropping it lets the next group go.
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    topic: TopicName,
    number: u64,
    changed: Arc<Notify>,
}

impl Turns {
    /// Takes the next place. Resolves at once unless groups of the topic wait for each other.
    pub(crate) async fn take(&self, topic: &TopicName) -> Turn<'_> {
        let (turn, is_slow) = {
            let mut lanes = self.lanes.lock();
            let lane = lanes.entry(topic.clone()).or_default();
            let number = lane.next;
            lane.next += 1;
            lane.groups.push_back(number);
            let turn = Turn {
                turns: self,
                topic: topic.clone(),
                number,
                changed: Arc::clone(&lane.changed),
            };
            (turn, lane.is_slow)
        };
        if is_slow {
            turn.wait().await;
        }
        turn
    }
}

impl Turn<'_> {
    /// Waits until no earlier group is under way, and makes later ones wait for this one.
    pub(crate) async fn wait(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut lanes = self.turns.lanes.lock();
                let Some(lane) = lanes.get_mut(&self.topic) else {
                    return;
                };
                lane.is_slow = true;
                if lane.groups.front() == Some(&self.number) {
                    return;
                }
            }
            changed.await;
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut lanes = self.turns.lanes.lock();
        if let Some(lane) = lanes.get_mut(&self.topic) {
            lane.groups.retain(|number| *number != self.number);
            if lane.groups.is_empty() {
                lanes.remove(&self.topic);
            }
        }
        self.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn groups_go_at_once_until_one_has_to_be_sent_again() {
        let turns = Turns::default();
        let [a, b] = ["a", "b"].map(|name| TopicName::try_from(name).unwrap());
        let take = |topic| turns.take(topic).now_or_never();
        let first = take(&a).unwrap();
        let second = take(&a).unwrap();
        let third = take(&a).unwrap();
        // The server redirected the second: it waits for the first, and the fourth for all.
        let mut again = Box::pin(second.wait());
        assert!(again.as_mut().now_or_never().is_none());
        let mut fourth = Box::pin(turns.take(&a));
        assert!(fourth.as_mut().now_or_never().is_none());
        assert!(take(&b).is_some());
        drop(first);
        assert!(again.as_mut().now_or_never().is_some());
        drop(again);
        drop(second);
        assert!(fourth.as_mut().now_or_never().is_none());
        drop(third);
        let fourth = fourth.as_mut().now_or_never().unwrap();
        drop(fourth);
        // All is as in the beginning.
        let first = take(&a);
        assert!(first.is_some() && take(&a).is_some());
        drop(first);
        assert!(turns.lanes.lock().is_empty());
    }
}
